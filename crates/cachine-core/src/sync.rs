//! The only door to locks and atomics, so that a model checker can take their place.
//!
//! The lock of a store is the host's choice: under the global lock of an interpreter a second one
//! would only cost time, a fifth of a hit.

#[cfg(not(shuttle))]
pub use std::sync::Mutex;
#[cfg(not(shuttle))]
pub(crate) use std::sync::{Arc, MutexGuard, OnceLock, TryLockError};

#[cfg(shuttle)]
pub use shuttle::sync::Mutex;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Arc, MutexGuard};
// Shuttle has no OnceLock; the engine never blocks in one, so the real one is safe to model with.
#[cfg(shuttle)]
pub(crate) use std::sync::{OnceLock, TryLockError};

use std::ops::DerefMut;
use std::sync::PoisonError;

/// A lock: one holder at a time.
pub trait Exclusive<T> {
    /// Holds the lock while it lives.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a,
        T: 'a;

    /// An open lock around a value.
    fn new(value: T) -> Self;

    /// Waits for the lock and takes it.
    fn lock(&self) -> Self::Guard<'_>;

    /// Takes the lock if it is open.
    fn try_lock(&self) -> Option<Self::Guard<'_>>;
}

impl<T> Exclusive<T> for Mutex<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, T> {
        lock(self)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Takes a lock of the engine.
///
/// No foreign code runs under these locks, so a panic under one is a bug of ours that the data
/// did not cause: going on is better than spreading it to every later caller.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
