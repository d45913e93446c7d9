//! Named locks: their options, and the lock of a cache in memory.
//!
//! A lock of a cache in memory excludes the threads and tasks of this process from each other; one
//! of a cache in Redis everybody who uses the same server. Both stand in line in this process first,
//! so who came first gets it first.
//!
//! # What a lock is worth
//!
//! A lock in Redis ends when its holder could not renew it for its [`ttl`](LockOptions::ttl): the
//! process was frozen, or cut off from the server. The holder does not always know that at once, so
//! what it writes may come late, after somebody else got the lock and wrote. Where that would do
//! harm, send `token()` along with what you write, and have the one that stores refuse a smaller
//! token than it has seen: tokens grow from each holder of a lock to the next. (Kleppmann, "How to
//! do distributed locking", 2016.)
//!
//! A lock is not reentrant: who asks for one that it holds waits for itself, for ever without a
//! [`timeout`](LockOptions::timeout).

mod options;
mod waiting;

use std::fmt;

use cachine_core::error::Error;
use cachine_core::locks::Turn;

use crate::memory::Kept;
use crate::view::View;

pub use options::LockOptions;
pub(crate) use options::{Lost, until};
pub(crate) use waiting::{block, wait};

/// A lock that is held, of a cache in the memory of this process; dropped, it is given up.
///
/// Whoever waits next gets it at that moment, whether the holder returned, panicked or was
/// cancelled. A lock that is leaked (`std::mem::forget`) is held as long as the process lives.
///
/// ```
/// use cachine::InMemoryCache;
///
/// let cache = InMemoryCache::<u32>::new();
/// let lock = cache.lock("report")?;
/// // Nobody else of this process is here at the same time.
/// assert!(lock.token() > 0 && !lock.is_lost());
/// lock.release()?;
/// # Ok::<_, cachine::Error>(())
/// ```
#[must_use = "a lock that is dropped at once is given up at once"]
pub struct Lock {
    name: Box<str>,
    namespace: Option<Box<str>>,
    token: u64,
    process: u32,
    place: Box<dyn Place>,
}

/// A turn, whatever its store keeps.
trait Place: Send + Sync {
    fn is_first(&self) -> bool;
}

impl<S: Send + Sync + 'static> Place for Turn<Kept<S>> {
    fn is_first(&self) -> bool {
        self.is_first()
    }
}

impl Lock {
    fn new<S: Send + Sync + 'static>(
        view: &View<Kept<S>>,
        name: &str,
        turn: Turn<Kept<S>>,
    ) -> Result<Self, Error> {
        view.open("lock")?; // It may have been closed while this one waited.
        let namespace = view.namespace().name().map(Into::into);
        let (token, process) = (turn.next_token(), std::process::id());
        Ok(Self { name: name.into(), namespace, token, process, place: Box::new(turn) })
    }

    /// The fencing token: larger than that of every holder of any lock of this store before. It
    /// begins with the time, in microseconds since 1970, so it also grows from one process that
    /// uses a cache in memory to the next, unless the clock was set back in between.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// Whether it is held no more. In memory only the child of a fork loses a lock.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.process != std::process::id() || !self.place.is_first()
    }

    /// Gives the lock up, as dropping it does, and says if it had been lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), not retryable, for one that
    /// [`is_lost`](Self::is_lost).
    pub fn release(self) -> Result<(), Error> {
        if self.is_lost() { Err(Lost::Fork.error(&self.name)) } else { Ok(()) }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .field("token", &self.token)
            .field("is_lost", &self.is_lost())
            .finish_non_exhaustive()
    }
}

/// Takes a lock of a cache in memory, waiting as a thread does.
pub(crate) fn take<S: Send + Sync + 'static>(
    view: &View<Kept<S>>,
    name: &str,
    options: LockOptions,
) -> Result<Lock, Error> {
    options.check()?;
    let (turn, until) = (view.turn(name)?, until(options.timeout));
    if block(&turn, until) { Lock::new(view, name, turn) } else { Err(options.not_free(name)) }
}

/// The same, waiting as a task does.
pub(crate) async fn take_async<S: Send + Sync + 'static>(
    view: &View<Kept<S>>,
    name: &str,
    options: LockOptions,
) -> Result<Lock, Error> {
    options.check()?;
    let (turn, until) = (view.turn(name)?, until(options.timeout));
    if wait(&turn, until).await { Lock::new(view, name, turn) } else { Err(options.not_free(name)) }
}

#[cfg(test)]
mod tests;
