//! Calls from a serializer into code of Python, from which a thread may not come back.
//!
//! Writing and making values runs code of users in a few places: attributes of their classes,
//! hashes and equality of their keys, serializers of their own, finalizers. A daemon thread that is
//! unwound there at exit has to stay, as [`crate::host::stay`] says; these are the calls that it
//! lacks.

use std::ffi::c_int;
use std::ops::Deref;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::host::stay::{self, staying};
use crate::unwinding::{
    PyDict_SetItem, PyObject_Call, PyObject_GenericGetAttr, PyObject_GenericSetAttr,
    PyObject_GetAttr, PySequence_List, PySet_Add,
};

/// What a callable returns.
pub(super) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let keywords = keywords.map_or(ptr::null_mut(), Bound::as_ptr);
    // SAFETY: live objects, or none where there are no keywords; a new reference or an error.
    unsafe {
        let made = staying(|| PyObject_Call(callable.as_ptr(), arguments.as_ptr(), keywords));
        Bound::from_owned_ptr_or_err(callable.py(), made)
    }
}

/// What a callable returns for one argument.
pub(crate) fn call_one<'py>(
    callable: &Bound<'py, PyAny>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = PyTuple::new(callable.py(), [argument])?;
    call(callable, &arguments, None)
}

/// An attribute, by whatever the object does to find it.
pub(super) fn attribute<'py>(
    object: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let name = PyString::intern(object.py(), name);
    // SAFETY: live objects; a new reference or an error.
    unsafe {
        let found = staying(|| PyObject_GetAttr(object.as_ptr(), name.as_ptr()));
        Bound::from_owned_ptr_or_err(object.py(), found)
    }
}

/// What a method returns that takes no argument.
pub(super) fn method<'py>(object: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    stay::call_bare(&attribute(object, name)?)
}

/// An attribute as `object.__getattribute__` finds it, whatever the class makes of attributes.
pub(super) fn plain_attribute<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: live objects; a new reference or an error.
    unsafe {
        let found = staying(|| PyObject_GenericGetAttr(object.as_ptr(), name.as_ptr()));
        Bound::from_owned_ptr_or_err(object.py(), found)
    }
}

/// Sets an attribute as `object.__setattr__` does, even on an object that is frozen.
pub(super) fn set_plain_attribute(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyString>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: live objects; zero, or an error.
    let failed = unsafe {
        staying(|| PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()))
    };
    answer(object.py(), failed)
}

/// Puts an item into a dict, by the key's own hash and equality.
#[inline]
pub(super) fn set_item(
    table: &Bound<'_, PyDict>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: live objects; zero, or an error.
    let failed =
        unsafe { staying(|| PyDict_SetItem(table.as_ptr(), key.as_ptr(), value.as_ptr())) };
    answer(table.py(), failed)
}

/// Puts an item into a set, or into a frozen one that nobody else has seen.
pub(super) fn add(set: &Bound<'_, PyAny>, item: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: live objects; zero, or an error.
    let failed = unsafe { staying(|| PySet_Add(set.as_ptr(), item.as_ptr())) };
    answer(set.py(), failed)
}

/// The items of an iterable, as they are now.
pub(super) fn items_of<'py>(iterable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: a live object; a new list or an error.
    unsafe {
        let made = staying(|| PySequence_List(iterable.as_ptr()));
        let list = Bound::from_owned_ptr_or_err(iterable.py(), made)?;
        Ok(list.cast_into_unchecked())
    }
}

fn answer(py: Python<'_>, failed: c_int) -> PyResult<()> {
    if failed == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
}

/// A reference that may turn out to be the last one, so that giving it up runs a finalizer.
#[repr(transparent)]
pub(super) struct Held<'py>(Option<Bound<'py, PyAny>>);

impl<'py> Held<'py> {
    #[inline]
    pub(super) fn new(object: Bound<'py, PyAny>) -> Self {
        Self(Some(object))
    }
}

impl<'py> Deref for Held<'py> {
    type Target = Bound<'py, PyAny>;

    #[inline]
    fn deref(&self) -> &Bound<'py, PyAny> {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(object) = self.0.take() else { return };
        // SAFETY: a live object.
        if unsafe { ffi::Py_REFCNT(object.as_ptr()) } == 1 {
            // SAFETY: this reference is ours, and is used no more.
            unsafe { stay::release(object.into_ptr()) };
        }
    }
}
