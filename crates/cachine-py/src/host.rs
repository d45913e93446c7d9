//! What the engine keeps for Python: objects, outcomes of computations, callables that wake.
//!
//! The lock of a store is only ever taken by a thread that is attached to the interpreter, and
//! released before anything of Python runs. So it is always free when the garbage collector
//! traverses the store and when the process forks.

pub(crate) mod stay;

use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cachine::core::store::{Host, Store};
use pyo3::PyTraverseError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use crate::identity::Identities;

/// The door's side of the engine.
pub(crate) struct PyHost;

/// A stored object.
///
/// Unlike a `Py` it is released at once wherever that happens: pyo3 puts a release off when it does
/// not know that the thread is attached, and in the slots of [`crate::raw`] it does not.
#[repr(transparent)]
pub(crate) struct Object(NonNull<ffi::PyObject>);

// SAFETY: only threads that are attached to the interpreter have an object to copy or to drop; the
// rules of this module give none to others.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    /// One more reference to an object.
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> Self {
        let pointer = object.clone().into_ptr();
        // SAFETY: a bound object is never null.
        Self(unsafe { NonNull::new_unchecked(pointer) })
    }

    /// The object, as a new reference.
    #[inline]
    pub(crate) fn get(&self, py: Python<'_>) -> Py<PyAny> {
        // SAFETY: this holds a reference, so the object is alive.
        unsafe { Bound::from_borrowed_ptr(py, self.0.as_ptr()).unbind() }
    }

    /// The object, as a new reference without an owner.
    #[inline]
    pub(crate) fn copy(&self) -> *mut ffi::PyObject {
        // SAFETY: this holds a reference, and the thread is attached.
        unsafe { ffi::Py_INCREF(self.0.as_ptr()) };
        self.0.as_ptr()
    }

    /// Whether this is that object.
    pub(crate) fn is(&self, other: &Py<PyAny>) -> bool {
        self.0.as_ptr() == other.as_ptr()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: asks about the calling thread only.
        debug_assert!(unsafe { ffi::PyGILState_Check() } == 1, "the thread is attached");
        let object = self.0.as_ptr();
        // Only the last reference can run code.
        // SAFETY: this reference is ours, and is used no more.
        unsafe {
            if ffi::Py_REFCNT(object) > 1 {
                ffi::Py_DECREF(object);
            } else {
                stay::release(object);
            }
        }
    }
}

/// What a computation came to, for everyone who waited for it.
pub(crate) enum Outcome {
    /// Its value.
    Value(Py<PyAny>),
    /// The exception it ended with.
    Error(Py<PyAny>),
}

impl Host for PyHost {
    type Value = Object;
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
    pub(crate) weigher: Option<Weigher>,
}

/// Called with (key, value) for the weight of an entry.
///
/// The collector can take it away: a method of the cache itself closes a circle that nothing else
/// could open.
pub(crate) struct Weigher(Mutex<Option<Py<PyAny>>>);

impl Weigher {
    pub(crate) fn new(weigher: &Bound<'_, PyAny>) -> Self {
        Self(Mutex::new(Some(weigher.clone().unbind())))
    }

    /// The callable, unless the collector took it.
    pub(crate) fn bind<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.slot().as_ref().map(|weigher| weigher.bind(py).clone())
    }

    // Held for a step without Python, as the locks of a store are.
    fn slot(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Shelf {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let mut result = Ok(());
        let seen = self.store.try_each(|value| {
            if result.is_ok() {
                // SAFETY: the collector only looks at the pointer; the count is not changed.
                let value = unsafe { &*std::ptr::from_ref(value).cast::<Py<PyAny>>() };
                result = visit.call(value);
            }
        });
        // An object that is traversed in one pass of the collector and not in the next has its
        // live values finalised, so "the lock is taken" must never happen.
        debug_assert!(seen, "the lock of a store is free whenever the collector runs");
        result?;
        if let Some(weigher) = &self.weigher {
            visit.call(&*weigher.slot())?;
        }
        self.identities.traverse(&visit)
    }

    fn __clear__(&self) {
        self.store.clear(None);
        let weigher = self.weigher.as_ref().and_then(|weigher| weigher.slot().take());
        drop(weigher);
    }
}
