//! What the engine keeps for Python: objects, outcomes of computations, callables that wake.
//!
//! The lock of a store is only ever taken by a thread that is attached to the interpreter, and
//! released before anything of Python runs. So it is always free when the garbage collector
//! traverses the store and when the process forks.

use cachine::core::store::{Host, Store};
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use crate::identity::Identities;

/// The door's side of the engine.
pub(crate) struct PyHost;

/// What a computation came to, for everyone who waited for it.
pub(crate) enum Outcome {
    /// Its value.
    Value(Py<PyAny>),
    /// The exception it ended with.
    Error(Py<PyAny>),
}

impl Host for PyHost {
    type Value = Py<PyAny>;
    type Outcome = Outcome;
    type Waker = Py<PyAny>;
    type Lock<T> = crate::gil::GilLock<T>;

    fn wake(waker: Py<PyAny>) {
        Python::attach(|py| {
            if let Err(error) = waker.call0(py) {
                // The waiter's loop may be closed: there is nobody left to tell.
                error.write_unraisable(py, Some(waker.bind(py)));
            }
        });
    }
}

/// The one owner of a store that the garbage collector sees, however many caches and functions
/// share it.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Shelf {
    pub(crate) store: std::sync::Arc<Store<PyHost>>,
    pub(crate) identities: std::sync::Arc<Identities>,
    /// Called with (key, value) for the weight of an entry.
    pub(crate) weigher: Option<Py<PyAny>>,
}

#[pymethods]
impl Shelf {
    #[expect(clippy::needless_pass_by_value, reason = "the signature that pyo3 asks for")]
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let mut result = Ok(());
        let seen = self.store.try_each(|value| {
            if result.is_ok() {
                result = visit.call(value);
            }
        });
        // An object that is traversed in one pass of the collector and not in the next has its
        // live values finalised, so "the lock is taken" must never happen.
        debug_assert!(seen, "the lock of a store is free whenever the collector runs");
        result?;
        visit.call(&self.weigher)?;
        self.identities.traverse(&visit)
    }

    fn __clear__(&self) {
        self.store.clear(None);
    }
}
