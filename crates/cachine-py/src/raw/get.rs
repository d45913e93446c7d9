//! `get`, the most called method of all, without the general machinery around it.

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::{guarded, pack};
use crate::memory::Memory;

const DOC: &std::ffi::CStr =
    c"get($self, key, default=None, *, serializer=None)\n--\n\nReturn the value of a key, or the default.";

/// Gives the class its `get`.
pub(crate) fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: c"get".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: get },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: DOC.as_ptr(),
    }));
    // SAFETY: the definition lives for ever, and a descriptor of this class checks that what it is
    // called on is of this class.
    let descriptor = unsafe {
        let made = ffi::PyDescr_NewMethod(class.as_ptr().cast(), definition);
        Bound::from_owned_ptr_or_err(class.py(), made)?
    };
    class.setattr("get", descriptor)
}

unsafe extern "C" fn get(
    this: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: the descriptor has checked the class; the arguments are live for this call.
        unsafe {
            let this = Bound::from_borrowed_ptr(py, this).cast_into_unchecked::<Memory>();
            if !names.is_null() || !(1..=2).contains(&count) {
                return general(&this, values, count.unsigned_abs(), names);
            }
            let key = Bound::from_borrowed_ptr(py, *values);
            let found = this.get().look_up(py, &key)?;
            if !found.is_null() {
                return Ok(found);
            }
            let default = if count == 2 { *values.add(1) } else { ffi::Py_None() };
            ffi::Py_INCREF(default);
            Ok(default)
        }
    })
}

/// The same for arguments by name and for wrong calls.
#[cold]
unsafe fn general(
    this: &Bound<'_, Memory>,
    values: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> PyResult<*mut ffi::PyObject> {
    let py = this.py();
    let (mut args, mut kwargs) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the caller's live arguments; `pack` gives two new references.
    unsafe {
        if !pack(values, count, names, &raw mut args, &raw mut kwargs) {
            return Err(PyErr::take(py).unwrap_or_else(|| PyRuntimeError::new_err("get")));
        }
        let args = Bound::from_owned_ptr(py, args).cast_into_unchecked::<PyTuple>();
        let kwargs = Bound::from_owned_ptr(py, kwargs).cast_into::<PyDict>().ok();
        let result = this.as_any().getattr("_get")?.call(args, kwargs.as_ref());
        result.map(Bound::into_ptr)
    }
}
