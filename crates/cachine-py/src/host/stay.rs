//! Calls into Python from which a thread may not come back.
//!
//! At exit CPython up to 3.13 ends a daemon thread by unwinding its stack, from wherever it waits
//! for the interpreter: that may be user code with a frame of ours below it, and an ordinary frame
//! of Rust in the way of an unwinding aborts the process. So where the engine's door calls user
//! code, it does so from here, through functions that are known to unwind: such a thread stays
//! where it is, for ever, as CPython itself has it from 3.14 on (and pyo3 where it attaches). It
//! holds no lock, and the process ends without it.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::unwinding::{
    Py_DecRef, PyDict_DelItem, PyDict_GetItemWithError, PyDict_SetDefault, PyIter_Next,
    PyObject_GetIter, PyObject_Hash, call_with_objects,
};

/// Stops a thread that is being unwound.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {
        // Only reached by unwinding, and what is called here does not panic.
        loop {
            std::thread::park();
        }
    }
}

/// Does something that user code may be part of.
#[inline]
pub(crate) fn staying<R>(act: impl FnOnce() -> R) -> R {
    let stay = Stay;
    let result = act();
    std::mem::forget(stay);
    result
}

/// Gives up a reference, which may be the last one.
///
/// # Safety
///
/// The reference has to be the caller's own, and the thread attached.
pub(crate) unsafe fn release(object: *mut ffi::PyObject) {
    // SAFETY: as above.
    staying(|| unsafe { Py_DecRef(object) });
}

/// What a callable returns for two arguments.
pub(crate) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    one: &Bound<'py, PyAny>,
    two: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let end = std::ptr::null_mut::<ffi::PyObject>();
    // SAFETY: live objects and the null that ends them; a new reference or an error comes back.
    unsafe {
        let made =
            staying(|| call_with_objects()(callable.as_ptr(), one.as_ptr(), two.as_ptr(), end));
        Bound::from_owned_ptr_or_err(callable.py(), made)
    }
}

/// What a callable returns for no argument.
pub(crate) fn call_bare<'py>(callable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let end = std::ptr::null_mut::<ffi::PyObject>();
    // SAFETY: a live object and the null that ends the arguments; a new reference or an error.
    unsafe {
        let made = staying(|| call_with_objects()(callable.as_ptr(), end));
        Bound::from_owned_ptr_or_err(callable.py(), made)
    }
}

/// Asks an object for its hash: an error when it has none.
pub(crate) fn hash(object: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: a live object; -1 comes with an error.
    let hash = unsafe { staying(|| PyObject_Hash(object.as_ptr())) };
    if hash == -1 { Err(PyErr::fetch(object.py())) } else { Ok(()) }
}

/// The iterator of an object.
pub(crate) fn iterate<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a live object; a new reference or an error comes back.
    unsafe {
        let made = staying(|| PyObject_GetIter(object.as_ptr()));
        Bound::from_owned_ptr_or_err(object.py(), made)
    }
}

/// The next item of an iterator; `None` at its end.
pub(crate) fn next<'py>(iterator: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = iterator.py();
    // SAFETY: a live iterator; a new reference comes back, or null with or without an error.
    let item = unsafe {
        let made = staying(|| PyIter_Next(iterator.as_ptr()));
        Bound::from_owned_ptr_or_opt(py, made)
    };
    match item {
        None => PyErr::take(py).map_or(Ok(None), Err),
        found => Ok(found),
    }
}

/// What a table holds for a key, by the key's own hash and equality.
pub(crate) fn item<'py>(
    table: &Bound<'py, PyDict>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = table.py();
    // SAFETY: live objects; a borrowed reference comes back, or null with or without an error.
    let found = unsafe {
        let found = staying(|| PyDict_GetItemWithError(table.as_ptr(), key.as_ptr()));
        Bound::from_borrowed_ptr_or_opt(py, found)
    };
    match found {
        None => PyErr::take(py).map_or(Ok(None), Err),
        found => Ok(found),
    }
}

/// What a table holds for a key once `value` was put there, if there was nothing.
pub(crate) fn keep<'py>(
    table: &Bound<'py, PyDict>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: live objects; a borrowed reference or an error comes back.
    unsafe {
        let kept = staying(|| PyDict_SetDefault(table.as_ptr(), key.as_ptr(), value.as_ptr()));
        Bound::from_borrowed_ptr_or_err(table.py(), kept)
    }
}

/// Takes a key out of a table, by the key's own hash and equality.
pub(crate) fn remove(table: &Bound<'_, PyDict>, key: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: live objects; zero, or an error.
    let failed = unsafe { staying(|| PyDict_DelItem(table.as_ptr(), key.as_ptr())) };
    if failed == 0 { Ok(()) } else { Err(PyErr::fetch(table.py())) }
}
