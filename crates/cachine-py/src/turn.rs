//! A place in the queue of a named lock, for the glue that waits.
//!
//! Who waits is woken by code of Python's, which the glue runs: see the head of `call.rs`. A turn that is
//! merely dropped, with its thread or task, wakes the next one from here.

use cachine::core::locks;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::host::{PyHost, Shelf, stay};

/// A place in the queue of a lock: whoever is first holds it.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Turn {
    inner: locks::Turn<PyHost>,
    name: Box<[u8]>,
    /// Keeps the store in sight of the garbage collector while the turn lasts.
    shelf: Py<Shelf>,
}

impl Turn {
    /// One that stands in line; `name` with its namespace.
    pub(crate) fn new(inner: locks::Turn<PyHost>, name: Box<[u8]>, shelf: Py<Shelf>) -> Self {
        Self { inner, name, shelf }
    }
}

#[pymethods]
impl Turn {
    /// Whether it holds the lock.
    #[getter]
    fn is_first(&self) -> bool {
        self.inner.is_first()
    }

    /// What tells its lock from all others of this process while there is a turn of it.
    #[getter]
    fn place<'py>(&self, py: Python<'py>) -> (usize, Bound<'py, PyBytes>) {
        let store = std::sync::Arc::as_ptr(&self.shelf.get().store);
        (store.addr(), PyBytes::new(py, &self.name))
    }

    /// Leaves a callable that is called once when it is first; False when it is, or was forgotten. One
    /// that can't wake anybody any more returns that of the next.
    fn register(&self, waker: Py<PyAny>) -> bool {
        let unused = self.inner.register(waker);
        unused.is_ok()
    }

    /// Gives it up; what wakes the one who is first now, if anybody.
    fn leave(&self) -> Option<Py<PyAny>> {
        self.inner.leave()
    }

    /// The next fencing token of a lock in memory.
    fn next_token(&self) -> u64 {
        self.inner.next_token()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.shelf)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(mut waker) = self.inner.leave() else { return };
        Python::attach(|py| {
            // Objects are dropped also while an exception is on its way.
            let pending = PyErr::take(py);
            loop {
                match stay::call_bare(waker.bind(py)) {
                    Ok(next) if next.is_none() => break,
                    Ok(next) => waker = next.unbind(),
                    Err(error) => {
                        error.write_unraisable(py, Some(waker.bind(py)));
                        break;
                    }
                }
            }
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
    }
}
