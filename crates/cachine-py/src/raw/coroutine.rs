//! What calling a cached coroutine function returns: a coroutine whose first step is the look-up.
//!
//! On a hit it ends in that step, with no frame and no event loop involved. Otherwise it becomes
//! a shell around the coroutine of the glue. Like any coroutine it does nothing until it is
//! awaited, can be awaited once, and complains when it never was.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr::null_mut;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::function::FunctionObject;
use super::{guarded, make_type, no_slot, pack, slot};
use crate::function::arguments;
#[cfg(Py_3_10)]
use crate::unwinding::PyIter_Send;
#[cfg(not(Py_3_10))]
use crate::unwinding::call_method;
use crate::unwinding::{PyObject_CallObject, call_with_objects};

#[repr(C)]
struct CallObject {
    base: ffi::PyVarObject,
    function: *mut ffi::PyObject,
    /// The names of the arguments by name, or null.
    names: *mut ffi::PyObject,
    /// The coroutine of the glue, once there is one.
    inner: *mut ffi::PyObject,
    state: State,
    /// Whether a step is under way: whoever comes back to this object from within is refused.
    is_busy: bool,
    /// How many arguments there are, 0 once they have been let go.
    count: usize,
    /// The arguments, first those by position.
    values: [*mut ffi::PyObject; 0],
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Created,
    Running,
    Finished,
}

static CALL: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Makes the type of these coroutines.
pub(crate) fn make(py: Python<'_>) -> PyResult<&Py<PyType>> {
    CALL.get_or_try_init(py, || {
        let method = |name: &'static std::ffi::CStr, function: *mut c_void, flags| {
            // SAFETY: the function has the signature that its flags promise.
            let function =
                unsafe { std::mem::transmute::<*mut c_void, ffi::PyCFunction>(function) };
            ffi::PyMethodDef {
                ml_name: name.as_ptr(),
                ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
                ml_flags: flags,
                ml_doc: std::ptr::null(),
            }
        };
        let methods = vec![
            method(c"send", send as *mut c_void, ffi::METH_O),
            method(c"throw", throw as *mut c_void, ffi::METH_VARARGS),
            method(c"close", close as *mut c_void, ffi::METH_NOARGS),
            ffi::PyMethodDef::zeroed(),
        ];
        let name = |name: &'static std::ffi::CStr| ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(name_of),
            set: None,
            doc: std::ptr::null(),
            closure: name.as_ptr().cast_mut().cast(),
        };
        // SAFETY: all zeros end a list of attributes.
        let getset = vec![name(c"__name__"), name(c"__qualname__"), unsafe { std::mem::zeroed() }];
        let mut slots = vec![
            slot(ffi::Py_tp_methods, methods.leak().as_mut_ptr().cast()),
            slot(ffi::Py_tp_getset, getset.leak().as_mut_ptr().cast()),
            slot(ffi::Py_am_await, awaited as *mut c_void),
            slot(ffi::Py_tp_iternext, next as *mut c_void),
            slot(ffi::Py_tp_iter, itself as *mut c_void),
            slot(ffi::Py_tp_traverse, traverse as *mut c_void),
            slot(ffi::Py_tp_clear, clear as *mut c_void),
            slot(ffi::Py_tp_dealloc, deallocate as *mut c_void),
        ];
        #[cfg(Py_3_10)]
        slots.push(slot(ffi::Py_am_send, am_send as *mut c_void));
        slots.push(no_slot());
        let size = (size_of::<CallObject>(), size_of::<*mut ffi::PyObject>());
        make_type(py, c"cachine.CachedCall", size, 0, slots, None).map(Bound::unbind)
    })
}

/// A coroutine for a call of `function`.
///
/// # Safety
///
/// `function` is one of ours, the arguments are live.
pub(crate) unsafe fn new(
    py: Python<'_>,
    function: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> PyResult<*mut ffi::PyObject> {
    let kind = make(py)?;
    // SAFETY: the caller's promise; the type is ours, so the object has our layout, with room for
    // as many arguments as it was made for.
    unsafe {
        let given = arguments(values, count, names).values;
        let room = given.len().cast_signed();
        let object = ffi::PyType_GenericAlloc(kind.as_ptr().cast(), room);
        if object.is_null() {
            return Err(PyErr::fetch(py));
        }
        let call = object.cast::<CallObject>();
        ffi::Py_INCREF(function);
        ffi::Py_XINCREF(names);
        (*call).function = function;
        (*call).names = names;
        (*call).state = State::Created;
        let places = (&raw mut (*call).values).cast::<*mut ffi::PyObject>();
        for (at, &value) in given.iter().enumerate() {
            ffi::Py_INCREF(value);
            places.add(at).write(value);
        }
        (*call).count = given.len();
        Ok(object)
    }
}

impl CallObject {
    /// The arguments by position and how many there are, and the names of the others.
    fn arguments(&self) -> (*const *mut ffi::PyObject, usize, *mut ffi::PyObject) {
        let named = if self.names.is_null() {
            0
        } else {
            // SAFETY: `names` is a tuple.
            unsafe { ffi::PyTuple_Size(self.names) }
        };
        ((&raw const self.values).cast(), self.count - named.unsigned_abs(), self.names)
    }
}

/// What a step came to, as `am_send` reports it.
struct Stepped {
    result: *mut ffi::PyObject,
    /// 1: a value that was yielded; 0: the returned value; -1: an exception is set.
    how: c_int,
}

const RAISED: Stepped = Stepped { result: null_mut(), how: -1 };

/// One step of the coroutine.
unsafe fn step(this: *mut ffi::PyObject, sent: *mut ffi::PyObject) -> Stepped {
    // SAFETY: called for objects of our type by attached threads. `begin` returns before user
    // code runs; nothing else here has to be dropped (see the module's head).
    unsafe {
        let call = this.cast::<CallObject>();
        if (*call).is_busy {
            return refuse(&PyValueError::new_err, "coroutine already executing");
        }
        if (*call).state == State::Created {
            if sent != ffi::Py_None() {
                let message = "can't send non-None value to a just-started coroutine";
                return refuse(&PyTypeError::new_err, message);
            }
            (*call).state = State::Running;
            (*call).is_busy = true;
            let found = begin(call);
            (*call).is_busy = false;
            if found.is_null() {
                finish(call);
                return RAISED;
            }
            if found != ffi::Py_NotImplemented() {
                finish(call);
                return Stepped { result: found, how: 0 };
            }
            ffi::Py_DECREF(found);
            let core = (*(*call).function.cast::<FunctionObject>()).core();
            let (values, count, names) = (*call).arguments();
            let (mut args, mut kwargs) = (null_mut(), null_mut());
            if !pack(values, count, names, &raw mut args, &raw mut kwargs) {
                finish(call);
                return RAISED;
            }
            let end: *mut ffi::PyObject = null_mut();
            let (miss, function) = ((*core).miss.as_ptr(), (*call).function);
            let inner = call_with_objects()(miss, function, args, kwargs, end);
            ffi::Py_DECREF(args);
            ffi::Py_DECREF(kwargs);
            if inner.is_null() {
                finish(call);
                return RAISED;
            }
            (*call).inner = inner;
        } else if (*call).state == State::Finished || (*call).inner.is_null() {
            return reused();
        }
        (*call).is_busy = true;
        let stepped = resume((*call).inner, sent);
        (*call).is_busy = false;
        if stepped.how != 1 {
            finish(call);
        }
        stepped
    }
}

fn reused() -> Stepped {
    refuse(&PyRuntimeError::new_err, "cannot reuse already awaited coroutine")
}

/// Raises what Python raises of its own coroutines.
fn refuse(error: &dyn Fn(&'static str) -> PyErr, message: &'static str) -> Stepped {
    guarded(|_| Err(error(message)));
    RAISED
}

/// The look-up: a value, `NotImplemented` for the glue, null for an error.
unsafe fn begin(call: *mut CallObject) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: the object is ours and holds its function and arguments.
        unsafe {
            let core = &*(*(*call).function.cast::<FunctionObject>()).core();
            let (values, count, names) = (*call).arguments();
            let given = arguments(values, count, names);
            core.look_up(py, given)
        }
    })
}

/// One step of the coroutine of the glue.
#[cfg(Py_3_10)]
unsafe fn resume(inner: *mut ffi::PyObject, sent: *mut ffi::PyObject) -> Stepped {
    let mut result = null_mut();
    // SAFETY: a live coroutine and a place for the result.
    let how = unsafe { PyIter_Send(inner, sent, &raw mut result) };
    Stepped { result, how }
}

#[cfg(not(Py_3_10))]
unsafe fn resume(inner: *mut ffi::PyObject, sent: *mut ffi::PyObject) -> Stepped {
    // SAFETY: a live coroutine, called as Python would call it.
    unsafe {
        let result = call_method()(inner, c"send".as_ptr(), c"(O)".as_ptr(), sent);
        if !result.is_null() {
            return Stepped { result, how: 1 };
        }
        let value = stopped();
        if value.is_null() { RAISED } else { Stepped { result: value, how: 0 } }
    }
}

/// The value of a StopIteration that is set, which it takes; null when another exception is.
#[cfg(not(Py_3_10))]
fn stopped() -> *mut ffi::PyObject {
    guarded(|py| {
        let error = PyErr::fetch(py);
        if !error.is_instance_of::<pyo3::exceptions::PyStopIteration>(py) {
            return Err(error);
        }
        Ok(error.value(py).getattr("value")?.into_ptr())
    })
}

/// Lets go of everything that a finished call held.
unsafe fn finish(call: *mut CallObject) {
    // SAFETY: each field is a reference of ours or null, and is emptied before it is released.
    unsafe {
        (*call).state = State::Finished;
        let count = std::mem::replace(&mut (*call).count, 0);
        let places = (&raw mut (*call).values).cast::<*mut ffi::PyObject>();
        for at in 0..count {
            ffi::Py_XDECREF(places.add(at).replace(null_mut()));
        }
        for field in [&raw mut (*call).names, &raw mut (*call).inner] {
            ffi::Py_XDECREF(std::mem::replace(&mut *field, null_mut()));
        }
    }
}

#[cfg(Py_3_10)]
unsafe extern "C-unwind" fn am_send(
    this: *mut ffi::PyObject,
    sent: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> c_int {
    // SAFETY: the interpreter passes a place for the result.
    unsafe {
        let stepped = step(this, sent);
        *result = stepped.result;
        stepped.how
    }
}

unsafe extern "C-unwind" fn next(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called for objects of our type.
    unsafe { send(this, ffi::Py_None()) }
}

unsafe extern "C-unwind" fn send(
    this: *mut ffi::PyObject,
    sent: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called for objects of our type.
    unsafe {
        let stepped = step(this, sent);
        if stepped.how != 0 {
            return stepped.result;
        }
        // A returned value leaves as a StopIteration; a tuple would be taken for its arguments.
        let stop = ffi::PyExc_StopIteration;
        if ffi::PyTuple_Check(stepped.result) == 0
            && ffi::PyExceptionInstance_Check(stepped.result) == 0
        {
            ffi::PyErr_SetObject(stop, stepped.result);
        } else {
            let end: *mut ffi::PyObject = null_mut();
            let exception = call_with_objects()(stop, stepped.result, end);
            if !exception.is_null() {
                ffi::PyErr_SetObject(stop, exception);
                ffi::Py_DECREF(exception);
            }
        }
        ffi::Py_DECREF(stepped.result);
        null_mut()
    }
}

unsafe extern "C-unwind" fn throw(
    this: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called for objects of our type with a tuple of arguments.
    unsafe {
        let call = this.cast::<CallObject>();
        if (*call).is_busy {
            return refuse(&PyValueError::new_err, "coroutine already executing").result;
        }
        if (*call).inner.is_null() {
            if (*call).state == State::Finished {
                return reused().result;
            }
            finish(call);
            return raise(args);
        }
        (*call).is_busy = true;
        let result = method((*call).inner, c"throw", args);
        (*call).is_busy = false;
        if result.is_null() {
            finish(call);
        }
        result
    }
}

/// Raises what `throw` was given: a class, an instance, or both.
unsafe fn raise(args: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: a live tuple.
        let args = unsafe { Bound::from_borrowed_ptr(py, args) };
        let first = args.get_item(0)?;
        let given = args.get_item(1).ok().filter(|value| !value.is_none());
        Err(match (first.cast::<PyType>().is_ok(), given) {
            (true, Some(value)) if value.is_instance(&first)? => PyErr::from_value(value),
            (true, Some(value)) => PyErr::from_value(first.call1((value,))?),
            (true, None) => PyErr::from_value(first.call0()?),
            (false, _) => PyErr::from_value(first),
        })
    })
}

unsafe extern "C-unwind" fn close(
    this: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called for objects of our type.
    unsafe {
        let call = this.cast::<CallObject>();
        if (*call).is_busy {
            return refuse(&PyValueError::new_err, "coroutine already executing").result;
        }
        let inner = (*call).inner;
        if inner.is_null() {
            finish(call);
            let none = ffi::Py_None();
            ffi::Py_INCREF(none);
            return none;
        }
        (*call).is_busy = true;
        let result = method(inner, c"close", null_mut());
        (*call).is_busy = false;
        if !result.is_null() {
            finish(call);
        }
        result
    }
}

/// Calls a method with a tuple of arguments, or none.
unsafe fn method(
    object: *mut ffi::PyObject,
    name: &std::ffi::CStr,
    args: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: live objects; the method's reference is released after the call.
    unsafe {
        let callable = ffi::PyObject_GetAttrString(object, name.as_ptr());
        if callable.is_null() {
            return null_mut();
        }
        let result = PyObject_CallObject(callable, args);
        ffi::Py_DECREF(callable);
        result
    }
}

unsafe extern "C" fn awaited(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called for objects of our type.
    unsafe {
        if (*this.cast::<CallObject>()).state == State::Running {
            let message = "coroutine is being awaited already";
            return refuse(&PyRuntimeError::new_err, message).result;
        }
        itself(this)
    }
}

unsafe extern "C" fn itself(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: a live object.
    unsafe { ffi::Py_INCREF(this) };
    this
}

unsafe extern "C" fn name_of(this: *mut ffi::PyObject, name: *mut c_void) -> *mut ffi::PyObject {
    // SAFETY: the function is held for as long as the object lives; the closure is its own name.
    unsafe { ffi::PyObject_GetAttrString((*this.cast::<CallObject>()).function, name.cast()) }
}

unsafe extern "C" fn traverse(
    this: *mut ffi::PyObject,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector for objects of our type; it only reads pointers.
    unsafe {
        let call = this.cast::<CallObject>();
        let kind = ffi::Py_TYPE(this).cast();
        let values = (&raw const (*call).values).cast::<*mut ffi::PyObject>();
        let values = std::slice::from_raw_parts(values, (*call).count);
        let own = [kind, (*call).function, (*call).names, (*call).inner];
        for held in own.iter().chain(values).copied() {
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
    // SAFETY: called for objects of our type that nobody can reach any more.
    unsafe { finish(this.cast()) };
    0
}

unsafe extern "C" fn deallocate(this: *mut ffi::PyObject) {
    // SAFETY: called once, when no reference is left.
    unsafe {
        ffi::PyObject_GC_UnTrack(this.cast());
        let call = this.cast::<CallObject>();
        if (*call).state == State::Created && !(*call).function.is_null() {
            never_awaited((*call).function);
        }
        finish(call);
        ffi::Py_XDECREF(std::mem::replace(&mut (*call).function, null_mut()));
        let kind = ffi::Py_TYPE(this);
        ffi::PyObject_GC_Del(this.cast());
        ffi::Py_DECREF(kind.cast());
    }
}

/// The warning that Python gives for its own coroutines.
unsafe fn never_awaited(function: *mut ffi::PyObject) {
    // SAFETY: a live function; an exception under way is put back as it was.
    unsafe {
        let py = Python::assume_attached();
        let pending = PyErr::take(py);
        let warned = guarded(|py| {
            let name = Bound::from_borrowed_ptr(py, function).getattr("__qualname__")?;
            let message = format!("coroutine '{name}' was never awaited");
            let category = py.get_type::<pyo3::exceptions::PyRuntimeWarning>();
            py.import("warnings")?.call_method1("warn", (message, category))?;
            Ok(py.None().into_ptr())
        });
        if warned.is_null() {
            ffi::PyErr_WriteUnraisable(function);
        } else {
            ffi::Py_DECREF(warned);
        }
        if let Some(pending) = pending {
            pending.restore(py);
        }
    }
}

// The arguments have to begin where the interpreter counts their room from.
const _: () = assert!(offset_of!(CallObject, values) == size_of::<CallObject>());
