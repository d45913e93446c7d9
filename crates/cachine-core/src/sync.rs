//! The only door to locks and atomics, so that a model checker can take their place.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard};
// Shuttle has no OnceLock; the engine never blocks in one, so the real one is safe to model with.
#[cfg(shuttle)]
pub(crate) use std::sync::{OnceLock, TryLockError};

use std::sync::PoisonError;

/// Takes a lock of the engine.
///
/// No foreign code runs under these locks, so a panic under one is a bug of ours that the data
/// did not cause: going on is better than spreading it to every later caller.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
