//! A place in the queue of a named lock, for the glue that waits.
//!
//! Who waits is woken by code of Python's, which the glue runs: see the head of `call.rs`. A turn that is
//! merely dropped, with its thread or task, wakes the next one from here.

use std::sync::{Arc, OnceLock};

use cachine::View;
use cachine::core::locks;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::errors::OrRaise;
use crate::host::{PyHost, Shelf, stay};

/// A place in the queue of a lock: whoever is first holds it.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Turn {
    /// Empty until it stands in line: who asks for that has it in its hands before.
    inner: OnceLock<locks::Turn<PyHost>>,
    view: Arc<View<PyHost>>,
    lock: Box<str>,
    /// Keeps the store in sight of the garbage collector while the turn lasts.
    shelf: Py<Shelf>,
}

impl Turn {
    /// One that does not stand in line yet.
    pub(crate) fn new(view: Arc<View<PyHost>>, lock: Box<str>, shelf: Py<Shelf>) -> Self {
        Self { inner: OnceLock::new(), view, lock, shelf }
    }

    fn left(&self) -> Option<Py<PyAny>> {
        self.inner.get().and_then(locks::Turn::leave)
    }
}

#[pymethods]
impl Turn {
    /// Stand in line, once.
    fn stand(&self, py: Python<'_>) -> PyResult<()> {
        let turn = self.view.turn(&self.lock).or_raise(py)?;
        drop(self.inner.set(turn));
        Ok(())
    }

    /// Whether it holds the lock.
    #[getter]
    fn is_first(&self) -> bool {
        self.inner.get().is_some_and(locks::Turn::is_first)
    }

    /// What tells its lock from all others of this process while there is a turn of it.
    #[getter]
    fn place<'py>(&self, py: Python<'py>) -> (usize, Bound<'py, PyBytes>) {
        let store = std::sync::Arc::as_ptr(&self.shelf.get().store);
        let name = self.view.namespace().lock(&self.lock);
        (store.addr(), PyBytes::new(py, name.as_bytes()))
    }

    /// Leaves a callable that is called once when it is first; False when it is, or was forgotten. One
    /// that can't wake anybody any more returns that of the next.
    fn register(&self, waker: Py<PyAny>) -> bool {
        self.inner.get().is_some_and(|turn| turn.register(waker).is_ok())
    }

    /// Gives it up; what wakes the one who is first now, if anybody.
    fn leave(&self) -> Option<Py<PyAny>> {
        self.left()
    }

    /// The same, and wakes that one: all in one call, so that no signal comes in between. One that
    /// strikes what wakes is raised when it was done all the same.
    fn quit(&self, py: Python<'_>) -> PyResult<()> {
        let struck = self.left().and_then(|waker| ring(py, waker));
        struck.map_or(Ok(()), Err)
    }

    /// The next fencing token of a lock in memory.
    fn next_token(&self) -> u64 {
        self.inner.get().map_or(0, locks::Turn::next_token)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.shelf)
    }
}

/// What a lock for threads is left by: a signal that strikes before the first line of its own code, or
/// in the middle of it, would leave it held for ever.
#[pyclass(subclass, frozen, module = "cachine._core")]
pub(crate) struct Leaving;

#[pymethods]
impl Leaving {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self
    }

    /// Give the lock back.
    ///
    /// Raises:
    ///     `CacheTimeoutError`: the lock was lost before, and ``retryable`` is False; never in the place
    ///         of the block's own exception.
    fn __exit__(
        this: &Bound<'_, Self>,
        _kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (exit, leave) = (this.getattr("_exit")?, this.getattr("_leave")?);
        let left = stay::call(&exit, error, traceback);
        if left.is_err() {
            // Once more, whatever it was; what there is nothing left of is left already.
            drop(stay::call_bare(&leave));
        }
        left.map(drop)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(waker) = self.left() else { return };
        Python::attach(|py| {
            // Objects are dropped also while an exception is on its way.
            let pending = PyErr::take(py);
            if let Some(error) = ring(py, waker) {
                error.write_unraisable(py, None);
            }
            if let Some(error) = pending {
                error.restore(py);
            }
        });
    }
}

/// Wakes the one who is first now, or the one behind it; what struck meanwhile. It is done all the same:
/// what was torn is called once more.
fn ring(py: Python<'_>, mut waker: Py<PyAny>) -> Option<PyErr> {
    let mut struck = None;
    loop {
        match stay::call_bare(waker.bind(py)) {
            Ok(next) if next.is_none() => return struck,
            Ok(next) => waker = next.unbind(),
            Err(error) if struck.is_none() => struck = Some(error),
            Err(error) => {
                error.write_unraisable(py, Some(waker.bind(py)));
                return struck;
            }
        }
    }
}
