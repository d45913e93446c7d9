//! How long entries live, and how that is changed.

use std::time::{Duration, SystemTime};

use cachine_core::error::Error;
use cachine_core::store::Remaining;

use crate::memory::InMemoryCache;

impl<V: Clone + Send + Sync + 'static> InMemoryCache<V> {
    /// How much of its life an entry has left, its stale time included, to the nanosecond (the
    /// Python door answers in whole seconds, rounded up). `None` where there is no entry, or none
    /// that ends.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        Ok(match self.view().remaining(key, "ttl")? {
            Remaining::Missing | Remaining::Forever => None,
            Remaining::Nanoseconds(left) => Some(Duration::from_nanos(left)),
        })
    }

    /// Gives a live entry a new life, fresh to its end; a `ttl` of zero deletes it. Whether there
    /// was one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn expire(&self, key: &str, ttl: Duration) -> Result<bool, Error> {
        self.view().expire(key, ttl)
    }

    /// Lets a live entry end at a time of the wall clock, cut down to the millisecond; one that is
    /// past deletes it. Whether there was one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn expire_at(&self, key: &str, when: SystemTime) -> Result<bool, Error> {
        self.expire(key, until(when))
    }

    /// Lets a live entry be fresh for ever; whether there was one with an end.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn persist(&self, key: &str) -> Result<bool, Error> {
        self.view().persist(key)
    }

    /// Counts as a use of a live entry, and gives it a new life if `ttl` is one; whether there was
    /// an entry.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn touch(&self, key: &str, ttl: Option<Duration>) -> Result<bool, Error> {
        self.view().touch(key, ttl)
    }
}

/// How far away a time of the wall clock is: zero for one that is past.
fn until(when: SystemTime) -> Duration {
    let Ok(since) = when.duration_since(SystemTime::UNIX_EPOCH) else { return Duration::ZERO };
    let cut = Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000));
    // The only place that reads the wall clock: the caller named a time of it.
    match (when - cut).elapsed() {
        Ok(_past) => Duration::ZERO,
        Err(ahead) => ahead.duration(),
    }
}
