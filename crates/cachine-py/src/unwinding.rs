//! Functions of the interpreter that a dying thread unwinds through, called as what they are.
//!
//! pyo3 declares the same functions as ones that never unwind, and to the optimizer a symbol is one
//! thing, whichever declaration it meets first: it may leave out the way out of a call that "never
//! unwinds", and the process aborts where the thread should have stayed (seen with link-time
//! optimization). So each is called through a pointer that the optimizer can't see through.

#![allow(non_snake_case, reason = "the names of the interpreter")]

#[cfg(not(Py_3_10))]
use std::ffi::c_char;
use std::ffi::c_int;
use std::hint::black_box;

use pyo3::ffi::{Py_hash_t, PyObject};

type Object = *mut PyObject;

macro_rules! unwinding {
    ($($(#[$when:meta])* fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)?;)*) => {
        $(
            /// The function of this name.
            ///
            /// # Safety
            ///
            /// That of the interpreter's function.
            $(#[$when])*
            #[inline]
            pub(crate) unsafe fn $name($($argument: $kind),*) $(-> $result)? {
                type Function = unsafe extern "C-unwind" fn($($kind),*) $(-> $result)?;
                unsafe extern "C-unwind" {
                    fn $name($($argument: $kind),*) $(-> $result)?;
                }
                let function: Function = black_box($name);
                // SAFETY: the caller's promise.
                unsafe { function($($argument),*) }
            }
        )*
    };
}

unwinding! {
    fn Py_DecRef(object: Object);
    fn PyObject_Call(callable: Object, arguments: Object, keywords: Object) -> Object;
    fn PyObject_CallObject(callable: Object, arguments: Object) -> Object;
    fn PyObject_GetAttr(object: Object, name: Object) -> Object;
    fn PyObject_GenericGetAttr(object: Object, name: Object) -> Object;
    fn PyObject_GenericSetAttr(object: Object, name: Object, value: Object) -> c_int;
    fn PyObject_GetIter(object: Object) -> Object;
    fn PyObject_Hash(object: Object) -> Py_hash_t;
    fn PyIter_Next(iterator: Object) -> Object;
    #[cfg(Py_3_10)]
    fn PyIter_Send(iterator: Object, sent: Object, result: *mut Object) -> c_int;
    fn PyDict_DelItem(table: Object, key: Object) -> c_int;
    fn PyDict_GetItemWithError(table: Object, key: Object) -> Object;
    fn PyDict_SetDefault(table: Object, key: Object, value: Object) -> Object;
    fn PyDict_SetItem(table: Object, key: Object, value: Object) -> c_int;
    fn PySequence_List(iterable: Object) -> Object;
    fn PySet_Add(set: Object, item: Object) -> c_int;
}

/// `PyObject_CallFunctionObjArgs`: a callable, its arguments, a null.
type CallWithObjects = unsafe extern "C-unwind" fn(Object, ...) -> Object;

/// The function that calls a callable with the objects up to a null.
#[inline]
pub(crate) fn call_with_objects() -> CallWithObjects {
    unsafe extern "C-unwind" {
        fn PyObject_CallFunctionObjArgs(callable: Object, ...) -> Object;
    }
    black_box(PyObject_CallFunctionObjArgs)
}

/// `PyObject_CallMethod`: an object, the name of a method, a format, what it says.
#[cfg(not(Py_3_10))]
type CallMethod = unsafe extern "C-unwind" fn(Object, *const c_char, *const c_char, ...) -> Object;

/// The function that calls a method.
#[cfg(not(Py_3_10))]
#[inline]
pub(crate) fn call_method() -> CallMethod {
    unsafe extern "C-unwind" {
        fn PyObject_CallMethod(
            object: Object,
            name: *const c_char,
            format: *const c_char,
            ...
        ) -> Object;
    }
    black_box(PyObject_CallMethod)
}
