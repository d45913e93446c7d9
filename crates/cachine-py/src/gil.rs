//! The lock of a store under the global interpreter lock: a flag, since there is a lock already.
//!
//! Every use of a store is by a thread that is attached to the interpreter, and lasts for a few
//! steps in which nothing of Python runs. So with a global lock two holders can't meet, and an
//! atomic operation on the way in and out would buy nothing: it was a fifth of a hit. A build
//! without the global lock takes the ordinary one.

#[cfg(Py_GIL_DISABLED)]
pub(crate) type GilLock<T> = cachine::core::store::Mutex<T>;

#[cfg(not(Py_GIL_DISABLED))]
pub(crate) use guarded::GilLock;

#[cfg(not(Py_GIL_DISABLED))]
mod guarded {
    use std::cell::{Cell, UnsafeCell};
    use std::ops::{Deref, DerefMut};

    use cachine::core::store::Exclusive;
    use pyo3::ffi;

    /// A value that only the thread with the global interpreter lock touches.
    pub(crate) struct GilLock<T> {
        taken: Cell<bool>,
        value: UnsafeCell<T>,
    }

    /// Holds a [`GilLock`].
    pub(crate) struct Guard<'a, T>(&'a GilLock<T>);

    // SAFETY: only the thread that has the global interpreter lock looks inside, so access from
    // several threads is one after the other. Debug builds, which the tests use, check it.
    unsafe impl<T: Send> Sync for GilLock<T> {}

    impl<T> Exclusive<T> for GilLock<T> {
        type Guard<'a>
            = Guard<'a, T>
        where
            T: 'a;

        fn new(value: T) -> Self {
            Self { taken: Cell::new(false), value: UnsafeCell::new(value) }
        }

        #[inline]
        fn lock(&self) -> Guard<'_, T> {
            self.try_lock().expect("a store is not used from within a use of itself")
        }

        #[inline]
        fn try_lock(&self) -> Option<Guard<'_, T>> {
            // SAFETY: asks about the calling thread only.
            debug_assert!(unsafe { ffi::PyGILState_Check() } == 1, "the thread is attached");
            if self.taken.replace(true) { None } else { Some(Guard(self)) }
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        #[inline]
        fn deref(&self) -> &T {
            // SAFETY: `taken` makes this the only guard, on the only thread that may look.
            unsafe { &*self.0.value.get() }
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: as above.
            unsafe { &mut *self.0.value.get() }
        }
    }

    impl<T> Drop for Guard<'_, T> {
        #[inline]
        fn drop(&mut self) {
            self.0.taken.set(false);
        }
    }
}
