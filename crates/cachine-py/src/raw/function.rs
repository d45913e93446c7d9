//! The object that stands in the place of a decorated function.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use super::{flag, guarded, make_type, no_slot, offset, pack, slot};
use crate::function::{FunctionCore, arguments};
use crate::unwinding::call_with_objects;

/// How vectorcall calls, with a frame that may be unwound.
type Vectorcall = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    usize,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

#[repr(C)]
pub(crate) struct FunctionObject {
    base: ffi::PyObject,
    vectorcall: Option<Vectorcall>,
    dict: *mut ffi::PyObject,
    weak: *mut ffi::PyObject,
    /// The owner of `core`.
    owner: *mut ffi::PyObject,
    core: *const FunctionCore,
}

impl FunctionObject {
    pub(super) fn core(&self) -> *const FunctionCore {
        self.core
    }
}

/// The type of what a method of this kind becomes when it is read from an instance.
static BOUND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static FUNCTION: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Makes the type of cached functions; `surface` is the class its methods come from, `bound` makes
/// a bound method from (function, instance).
#[pyfunction]
pub(crate) fn function_type<'py>(
    py: Python<'py>,
    surface: &Bound<'py, PyType>,
    bound: Py<PyAny>,
) -> PyResult<Bound<'py, PyType>> {
    let members = vec![
        offset(c"__vectorcalloffset__", offset_of!(FunctionObject, vectorcall)),
        offset(c"__dictoffset__", offset_of!(FunctionObject, dict)),
        offset(c"__weaklistoffset__", offset_of!(FunctionObject, weak)),
        // SAFETY: all zeros end a list of members.
        unsafe { std::mem::zeroed() },
    ];
    let getset = vec![
        ffi::PyGetSetDef {
            name: c"__dict__".as_ptr(),
            get: Some(ffi::PyObject_GenericGetDict),
            set: Some(ffi::PyObject_GenericSetDict),
            doc: std::ptr::null(),
            closure: null_mut(),
        },
        ffi::PyGetSetDef {
            name: c"_core".as_ptr(),
            get: Some(core_of),
            set: None,
            doc: std::ptr::null(),
            closure: null_mut(),
        },
        // SAFETY: all zeros end a list of attributes.
        unsafe { std::mem::zeroed() },
    ];
    let slots = vec![
        slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void),
        slot(ffi::Py_tp_members, members.leak().as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, getset.leak().as_mut_ptr().cast()),
        slot(ffi::Py_tp_descr_get, bind as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_dealloc, deallocate as *mut c_void),
        no_slot(),
    ];
    let flags = ffi::Py_TPFLAGS_HAVE_VECTORCALL | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR;
    let bases = PyTuple::new(py, [surface])?;
    let size = (size_of::<FunctionObject>(), 0);
    let name = c"cachine.CachedFunction";
    let made = make_type(py, name, size, flag(flags), slots, Some(bases.as_any()))?;
    drop(BOUND.set(py, bound));
    drop(FUNCTION.set(py, made.clone().unbind()));
    Ok(made)
}

/// A cached function around `core`.
#[pyfunction]
pub(crate) fn new_function<'py>(
    py: Python<'py>,
    core: &Bound<'py, FunctionCore>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(kind) = FUNCTION.get(py) else {
        return Err(pyo3::exceptions::PyRuntimeError::new_err("the function type was not made"));
    };
    // SAFETY: the type is ours, so the object has our layout, zeroed behind its head. The fields
    // are set before anyone else sees it.
    unsafe {
        let object = ffi::PyType_GenericAlloc(kind.as_ptr().cast(), 0);
        let made = Bound::from_owned_ptr_or_err(py, object)?;
        let this = &mut *object.cast::<FunctionObject>();
        this.vectorcall = Some(vectorcall);
        this.core = std::ptr::from_ref(core.get());
        this.owner = core.clone().into_ptr();
        Ok(made)
    }
}

/// A call of the function: the value at once on a hit, else whatever the glue makes of it.
unsafe extern "C-unwind" fn vectorcall(
    this: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    flags: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls this for objects of our type, with live arguments. `answer`
    // returns before user code runs; the rest holds raw pointers only, so a thread that dies in
    // user code can be unwound through this frame.
    unsafe {
        let count = ffi::PyVectorcall_NARGS(flags).unsigned_abs();
        let found = answer(this, values, count, names);
        if found != ffi::Py_NotImplemented() {
            return found;
        }
        ffi::Py_DECREF(found);
        let (mut args, mut kwargs) = (null_mut(), null_mut());
        if !pack(values, count, names, &raw mut args, &raw mut kwargs) {
            return null_mut();
        }
        let miss = (*(*this.cast::<FunctionObject>()).core).miss.as_ptr();
        let end: *mut ffi::PyObject = null_mut();
        let result = call_with_objects()(miss, this, args, kwargs, end);
        ffi::Py_DECREF(args);
        ffi::Py_DECREF(kwargs);
        result
    }
}

/// The value of a hit, the coroutine of a coroutine function, null for an error, and
/// `NotImplemented` (which a look-up never finds as a sign of its own) when the glue has to answer.
unsafe fn answer(
    this: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: as in `vectorcall`; the core lives as long as its function.
        let core = unsafe { &*(*this.cast::<FunctionObject>()).core };
        if core.is_coroutine {
            // SAFETY: the same live arguments.
            return unsafe { super::coroutine::new(py, this, values, count, names) };
        }
        // SAFETY: the same live arguments.
        let arguments = unsafe { arguments(values, count, names) };
        core.look_up(py, arguments)
    })
}

/// Reading the function from an instance binds it.
unsafe extern "C-unwind" fn bind(
    this: *mut ffi::PyObject,
    instance: *mut ffi::PyObject,
    _owner: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter passes live objects; nothing here has to be dropped.
    unsafe {
        if instance.is_null() || instance == ffi::Py_None() {
            ffi::Py_INCREF(this);
            return this;
        }
        let bound = BOUND.get(Python::assume_attached());
        let bound = bound.map_or(null_mut(), Py::as_ptr);
        let end: *mut ffi::PyObject = null_mut();
        call_with_objects()(bound, this, instance, end)
    }
}

unsafe extern "C" fn core_of(this: *mut ffi::PyObject, _: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: called for objects of our type; the owner is set for as long as the object lives.
    unsafe {
        let owner = (*this.cast::<FunctionObject>()).owner;
        ffi::Py_XINCREF(owner);
        owner
    }
}

unsafe extern "C" fn traverse(
    this: *mut ffi::PyObject,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector for objects of our type; it only reads pointers. The type
    // itself is visited because this is a heap type.
    unsafe {
        let object = this.cast::<FunctionObject>();
        for held in [ffi::Py_TYPE(this).cast(), (*object).dict, (*object).owner] {
            if !held.is_null() {
                let stop = visit(held, argument);
                if stop != 0 {
                    return stop;
                }
            }
        }
    }
    0
}

unsafe extern "C" fn clear(this: *mut ffi::PyObject) -> c_int {
    // SAFETY: called for objects of our type. `owner` stays until the end: the object may still
    // be called while a cycle is taken apart, and its owner clears what it holds itself.
    unsafe {
        let dict = std::mem::replace(&mut (*this.cast::<FunctionObject>()).dict, null_mut());
        ffi::Py_XDECREF(dict);
    }
    0
}

unsafe extern "C" fn deallocate(this: *mut ffi::PyObject) {
    // SAFETY: called once, when no reference is left. Weak references go first, since their
    // callbacks may look; then what the object holds; then its memory and the type's reference.
    unsafe {
        ffi::PyObject_GC_UnTrack(this.cast());
        let object = this.cast::<FunctionObject>();
        if !(*object).weak.is_null() {
            ffi::PyObject_ClearWeakRefs(this);
        }
        let kind = ffi::Py_TYPE(this);
        ffi::Py_XDECREF(std::mem::replace(&mut (*object).dict, null_mut()));
        ffi::Py_XDECREF(std::mem::replace(&mut (*object).owner, null_mut()));
        ffi::PyObject_GC_Del(this.cast());
        ffi::Py_DECREF(kind.cast());
    }
}
