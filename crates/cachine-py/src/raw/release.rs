//! Releasing what a call threw out of a store after the call, with no frame of ours below it.
//!
//! The last reference to a stored object may run a finalizer, and a finalizer may wait. If the
//! interpreter ends meanwhile, the thread is unwound from there (see [`super`]), and an ordinary
//! frame of Rust in between would abort the process. So the methods that can throw something out
//! are wrapped: inside, [`put_off`] collects what would be released; the wrapper, which holds
//! nothing that has to be dropped, releases it when the method has returned.
//!
//! Everywhere else (a cache that is deallocated, the garbage collector) objects are released at
//! once.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// What is waiting to be released, and how many wrapped methods are running.
struct PutOff {
    running: Cell<u32>,
    objects: UnsafeCell<Vec<*mut ffi::PyObject>>,
}

// SAFETY: only threads with the global interpreter lock get here; without one nothing is put off.
unsafe impl Sync for PutOff {}

static PUT_OFF: PutOff = PutOff { running: Cell::new(0), objects: UnsafeCell::new(Vec::new()) };

/// Keeps a reference for the wrapper to release; false where there is none.
#[inline]
pub(crate) fn put_off(object: *mut ffi::PyObject) -> bool {
    if cfg!(Py_GIL_DISABLED) || PUT_OFF.running.get() == 0 {
        return false;
    }
    // SAFETY: the thread has the interpreter's lock, and no reference to the list is alive: each
    // lives for one step.
    unsafe { (*PUT_OFF.objects.get()).push(object) };
    true
}

/// A wrapped method begins.
#[inline]
pub(super) fn begin() {
    if !cfg!(Py_GIL_DISABLED) {
        PUT_OFF.running.set(PUT_OFF.running.get() + 1);
    }
}

/// A wrapped method has returned: releases what it, or another one, has put off.
#[inline]
pub(super) unsafe fn end() {
    if cfg!(Py_GIL_DISABLED) {
        return;
    }
    PUT_OFF.running.set(PUT_OFF.running.get().saturating_sub(1));
    // SAFETY: as in `put_off`.
    if unsafe { !(*PUT_OFF.objects.get()).is_empty() } {
        // SAFETY: called from slots only, by attached threads.
        unsafe { release() };
    }
}

#[cold]
#[allow(deprecated, reason = "the new way is not there before CPython 3.12")]
unsafe fn release() {
    // SAFETY: as in `put_off`. The reference to the list ends before an object is released, which
    // may run any code, this function included. An exception of the method stays as it was.
    unsafe {
        let (mut kind, mut value, mut trace) =
            (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        ffi::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut trace);
        while let Some(object) = (*PUT_OFF.objects.get()).pop() {
            dealloc(object);
        }
        ffi::PyErr_Restore(kind, value, trace);
    }
}

/// Releases a reference through a function that is known to unwind.
unsafe fn dealloc(object: *mut ffi::PyObject) {
    unsafe extern "C-unwind" {
        fn Py_DecRef(object: *mut ffi::PyObject);
    }
    // SAFETY: the reference was ours.
    unsafe { Py_DecRef(object) };
}

type Fast = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;
type Plain = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;

/// A method and its two possible wrappers.
pub(crate) struct Wrapper {
    name: &'static CStr,
    original: &'static AtomicPtr<c_void>,
    fast: *mut c_void,
    plain: *mut c_void,
}

/// The head of a method descriptor, as far as the definition of its method.
#[repr(C)]
struct Descriptor {
    base: ffi::PyObject,
    class: *mut ffi::PyTypeObject,
    name: *mut ffi::PyObject,
    qualified: *mut ffi::PyObject,
    definition: *mut ffi::PyMethodDef,
}

/// Wrappers for methods of these names.
macro_rules! wrappers {
    ($($name:ident)*) => {
        [$({
            static ORIGINAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

            unsafe extern "C-unwind" fn fast(
                this: *mut ffi::PyObject,
                values: *const *mut ffi::PyObject,
                count: ffi::Py_ssize_t,
                names: *mut ffi::PyObject,
            ) -> *mut ffi::PyObject {
                begin();
                // SAFETY: `install` put the original of this kind there, and passes its arguments.
                unsafe {
                    let original = std::mem::transmute::<*mut c_void, Fast>(
                        ORIGINAL.load(Ordering::Relaxed),
                    );
                    let result = original(this, values, count, names);
                    end();
                    result
                }
            }

            unsafe extern "C-unwind" fn plain(
                this: *mut ffi::PyObject,
                none: *mut ffi::PyObject,
            ) -> *mut ffi::PyObject {
                begin();
                // SAFETY: as above.
                unsafe {
                    let original = std::mem::transmute::<*mut c_void, Plain>(
                        ORIGINAL.load(Ordering::Relaxed),
                    );
                    let result = original(this, none);
                    end();
                    result
                }
            }

            Wrapper {
                // SAFETY: the text ends with the only zero in it.
                name: unsafe {
                    CStr::from_bytes_with_nul_unchecked(
                        concat!(stringify!($name), "\0").as_bytes(),
                    )
                },
                original: &ORIGINAL,
                fast: fast as *mut c_void,
                plain: plain as *mut c_void,
            }
        }),*]
    };
}

/// Wraps the methods that can throw something out.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    wrap(
        &py.get_type::<crate::memory::Memory>(),
        &wrappers!(set delete exists clear ttl expire expire_at persist touch incr decr add_tags
            invalidate_tags close _fresh _get _peek),
    )?;
    wrap(
        &py.get_type::<crate::call::Call>(),
        &wrappers!(begin fill share fail abandon leave ended),
    )?;
    wrap(&py.get_type::<crate::function::FunctionCore>(), &wrappers!(clear))
}

fn wrap(class: &Bound<'_, PyType>, wrappers: &[Wrapper]) -> PyResult<()> {
    for wrapper in wrappers {
        let descriptor = class.getattr(wrapper.name)?;
        let fast = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
        // SAFETY: an attribute of ours that pyo3 made of a method is a method descriptor. Its
        // definition lives for ever; the function in it is replaced by one that is called alike.
        unsafe {
            let definition = (*descriptor.as_ptr().cast::<Descriptor>()).definition;
            let method = &raw mut (*definition).ml_meth;
            let original = method.cast::<*mut c_void>();
            let replacement = match (*definition).ml_flags {
                flags if flags == fast => wrapper.fast,
                ffi::METH_NOARGS => wrapper.plain,
                _ => continue, // Called in another way: it releases at once, as before.
            };
            wrapper.original.store(*original, Ordering::Relaxed);
            *original = replacement;
        }
    }
    Ok(())
}
