//! A clock that tests move, for every cache that is made while it is in use.

use std::sync::{Mutex, PoisonError};

use cachine::core::clock::{Clock, FakeClock as Engine};
use pyo3::prelude::*;

use crate::convert;

static IN_USE: Mutex<Option<Engine>> = Mutex::new(None);

/// A clock that stands still until it is moved.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct FakeClock(Engine);

#[pymethods]
impl FakeClock {
    #[new]
    fn new() -> Self {
        Self(Engine::new())
    }

    /// Move the time forward by seconds or a timedelta.
    fn advance(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.advance(convert::span(seconds, "seconds")?);
        Ok(())
    }

    /// Let every cache that is made from now on read this clock.
    fn install(&self) {
        *IN_USE.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.0.clone());
    }

    /// Let every cache that is made from now on read the clock of the machine again.
    #[staticmethod]
    fn uninstall() {
        *IN_USE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The clock for a new cache.
pub(crate) fn current() -> Clock {
    let in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    in_use.clone().map_or(Clock::System, Clock::Fake)
}

/// The time in nanoseconds, by the clock that new caches read.
#[pyfunction]
pub(crate) fn now() -> u64 {
    current().now()
}
