//! Types of Python that are made by hand, for what the usual way can't do.
//!
//! A cached function needs a vectorcall slot (a hit without a tuple and a dictionary of arguments
//! costs half), and frames that a dying thread may unwind: CPython up to 3.13 ends daemon threads
//! at exit by unwinding their stack, and an ordinary Rust frame in it aborts the process. So the
//! functions here that can call user code are `extern "C-unwind"` and hold nothing that would have
//! to be dropped; what they call in Rust calls no user code and returns first.

pub(crate) mod coroutine;
pub(crate) mod function;
pub(crate) mod get;

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::function::arguments;

/// A slot of a type.
pub(crate) fn slot(slot: c_int, pfunc: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc }
}

/// The end of a list of slots.
pub(crate) fn no_slot() -> ffi::PyType_Slot {
    slot(0, std::ptr::null_mut())
}

/// A read-only member that tells the interpreter where a field of the object is.
pub(crate) fn offset(name: &'static CStr, offset: usize) -> ffi::PyMemberDef {
    ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: offset.cast_signed(),
        flags: ffi::Py_READONLY,
        doc: std::ptr::null(),
    }
}

/// Flags of a type as a spec takes them; those in use fit.
pub(crate) fn flag(flags: std::ffi::c_ulong) -> u32 {
    u32::try_from(flags).unwrap_or(0)
}

/// Makes a type; what it points to has to live for ever.
pub(crate) fn make_type<'py>(
    py: Python<'py>,
    name: &'static CStr,
    (size, item): (usize, usize),
    flags: u32,
    slots: Vec<ffi::PyType_Slot>,
    bases: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyType>> {
    let slots: &'static mut [ffi::PyType_Slot] = slots.leak();
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: c_int::try_from(size).unwrap_or(c_int::MAX),
        itemsize: c_int::try_from(item).unwrap_or(0),
        flags: flags | flag(ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC),
        slots: slots.as_mut_ptr(),
    };
    let bases = bases.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: the spec is complete, its slots end with a zero and are leaked; the interpreter
    // copies the rest. The result is a new reference or an error.
    unsafe {
        let made = ffi::PyType_FromSpecWithBases(&raw mut spec, bases);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into::<PyType>()?)
    }
}

/// Runs Rust that may fail or panic on behalf of a slot: null with an exception set if it does.
pub(crate) fn guarded(
    act: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>,
) -> *mut ffi::PyObject {
    // SAFETY: slots are called by attached threads.
    let py = unsafe { Python::assume_attached() };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(py))) {
        Ok(Ok(object)) => object,
        Ok(Err(error)) => {
            error.restore(py);
            std::ptr::null_mut()
        }
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "panic in the engine".to_owned());
            pyo3::panic::PanicException::new_err(text).restore(py);
            std::ptr::null_mut()
        }
    }
}

/// Packs an argument vector into a tuple, and a dictionary or None; false with an exception set
/// when there is no memory.
pub(crate) unsafe fn pack(
    values: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    kwargs: *mut *mut ffi::PyObject,
) -> bool {
    let packed = guarded(|py| {
        // SAFETY: the caller passes live arguments and places for two results.
        unsafe {
            let given = arguments(values, count, names);
            let object = |value: &*mut ffi::PyObject| Bound::from_borrowed_ptr(py, *value);
            let tuple = PyTuple::new(py, given.values[..count].iter().map(object))?;
            let named = if names.is_null() {
                Bound::from_borrowed_ptr(py, ffi::Py_None())
            } else {
                let named = PyDict::new(py);
                let keys = Bound::from_borrowed_ptr(py, names).cast_into::<PyTuple>()?;
                for (key, value) in keys.iter().zip(&given.values[count..]) {
                    named.set_item(key, object(value))?;
                }
                named.into_any()
            };
            *args = tuple.into_ptr();
            *kwargs = named.into_ptr();
        }
        // Any pointer but null: it is not followed.
        // SAFETY: `args` was set above.
        Ok(unsafe { *args })
    });
    !packed.is_null()
}
