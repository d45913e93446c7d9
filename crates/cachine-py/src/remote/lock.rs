//! A lock in a server, for the glue that waits for it and renews it.
//!
//! What is held goes into a [`Hold`] that the glue has made before it asked: whatever strikes on the way
//! back, it finds there what is to be given back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cachine::core::error::Error;
use cachine::redis::client::{self, Locked};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use crate::convert;
use crate::looped::{LoopDriver, Outcome, Work};
use crate::remote::operation::{self, Answer, Place, operate};
use crate::remote::{Inner, Remote, plain, plain_bool};

/// Where a hold stands once there is one; a thread fills it while it is detached.
type Slot = Arc<Mutex<Option<client::Hold>>>;

/// What one try to take a lock has come to.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Hold {
    slot: Slot,
}

impl Hold {
    fn get(&self) -> Option<client::Hold> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn put(slot: &Slot, hold: client::Hold) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold);
}

#[pymethods]
impl Hold {
    #[new]
    fn new() -> Self {
        Self { slot: Slot::default() }
    }

    /// The fencing token; None while nothing is held.
    #[getter]
    fn token(&self) -> Option<u64> {
        self.get().map(|hold| hold.token())
    }
}

/// One lock in a server.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Locker {
    cache: Py<Remote>,
    name: Arc<str>,
    ttl: Duration,
}

impl Locker {
    fn inner(&self) -> PyResult<&Inner> {
        self.cache.get().inner()
    }
}

#[pymethods]
impl Locker {
    #[new]
    fn new(cache: Py<Remote>, name: &Bound<'_, PyAny>, ttl: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = convert::key(name, "lock")?.into();
        Ok(Self { cache, name, ttl: convert::span(ttl, "ttl")? })
    }

    /// Try to take it: None, with the hold filled, or the seconds that somebody else has it for.
    #[pyo3(signature = (hold, at=None))]
    fn lock(&self, py: Python<'_>, hold: &Bound<'_, Hold>, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let (name, ttl, server) = (Arc::clone(&self.name), self.ttl, &inner.server);
        let (space, owner) = (Arc::clone(&inner.space), Arc::clone(&inner.space));
        let slot = Arc::clone(&hold.get().slot);
        let Some((driver, future)) = at else {
            let client = server.client();
            let work = async move {
                let locked = space.lock(&client, &name, ttl).await?;
                // Here, since the signal that a thread may have got meanwhile is raised first.
                Ok(filled(&slot, locked))
            };
            return operation::waited(py, work, told);
        };
        let client = Arc::clone(&driver.get().client);
        let work = Box::pin(async move {
            let locked = space.lock(&client, &name, ttl).await;
            let mine = match &locked {
                Ok(Locked::Held(hold)) => Some(hold.clone()),
                _ => None,
            };
            let then = move |py: Python<'_>, locked| told(py, filled(&slot, locked));
            let finish = operation::finish(locked, then);
            // Nobody may be left to hold it: then the next one need not wait for its end.
            let orphaned = mine.map(|mine| {
                let give_back = async move {
                    let _ = owner.unlock(&client, &name, &mine).await;
                    operation::finish(Ok(()), |py, ()| Ok(py.None()))
                };
                Box::pin(give_back) as Work
            });
            Outcome { finish, orphaned }
        });
        LoopDriver::start_careful(&driver, &future, work).map(|steps| operation::given(py, steps))
    }

    /// Let it live for another ttl; whether it was still held.
    #[pyo3(signature = (hold, at=None))]
    fn renew(&self, py: Python<'_>, hold: &Bound<'_, Hold>, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let (name, ttl, server) = (Arc::clone(&self.name), self.ttl, &inner.server);
        let (space, hold) = (Arc::clone(&inner.space), hold.get().get());
        operate!(
            py,
            server,
            at,
            |client| match &hold {
                Some(hold) => space.renew_lock(&client, &name, hold, ttl).await,
                None => Ok::<_, Error>(false),
            },
            plain_bool
        )
    }

    /// Give it back; whether it was still held.
    #[pyo3(signature = (hold, at=None))]
    fn unlock(&self, py: Python<'_>, hold: &Bound<'_, Hold>, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let (name, server) = (Arc::clone(&self.name), &inner.server);
        let (space, hold) = (Arc::clone(&inner.space), hold.get().get());
        operate!(
            py,
            server,
            at,
            |client| match &hold {
                Some(hold) => space.unlock(&client, &name, hold).await,
                None => Ok::<_, Error>(false),
            },
            plain_bool
        )
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)
    }
}

/// How long somebody else holds it; `None`, with the slot filled, when nobody does.
fn filled(slot: &Slot, locked: Locked) -> Option<Duration> {
    match locked {
        Locked::Held(hold) => {
            put(slot, hold);
            None
        }
        Locked::Taken(left) => Some(left),
    }
}

fn told(py: Python<'_>, left: Option<Duration>) -> Answer {
    left.map_or_else(|| Ok(py.None()), |left| plain(py, left.as_secs_f64()))
}
