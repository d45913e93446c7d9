//! Counters in byte form: integers that many add to at once.

use std::time::Duration;

use cachine_core::error::Error;

use crate::encoded::EncodedCache;
use crate::encoded::stored::Stored;
use crate::memory::Adding;

impl EncodedCache {
    /// Adds `delta` to a counter and gives its new number; one that does not exist starts at zero.
    ///
    /// No addition is lost, however many threads add at once. `ttl_on_create` is the life of a
    /// counter that this call creates; one that exists keeps its own. A value that is an integer is
    /// a counter, and [`get`](Self::get) of a counter is an integer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cachine::EncodedCache;
    ///
    /// let cache = EncodedCache::new();
    /// cache.set("visits", &41)?;
    /// assert_eq!(cache.incr("visits", 1, None)?, 42);
    /// assert_eq!(cache.get::<u32>("visits")?, Some(42));
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Encryption
    ///
    /// A counter stands in the store as it is: adding needs no key, and whoever can write to the
    /// store can change it. An integer that `set` encrypted is none, so this fails on it. Where
    /// that is not enough, `Encryption::refuse_counters` forbids counters altogether.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) where the value is no integer
    /// in the clear, or counters are refused; [`ErrorKind::Overflow`](crate::ErrorKind::Overflow)
    /// past 64 bits; both leave the value as it is.
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed),
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
    pub fn incr(
        &self,
        key: &str,
        delta: i64,
        ttl_on_create: Option<Duration>,
    ) -> Result<i64, Error> {
        let adding = Adding { operation: "incr", key, ttl_on_create };
        self.add(&adding, |count| count.checked_add(delta))
    }

    /// Takes `delta` from a counter; otherwise as [`incr`](Self::incr).
    ///
    /// # Errors
    ///
    /// As [`incr`](Self::incr).
    pub fn decr(
        &self,
        key: &str,
        delta: i64,
        ttl_on_create: Option<Duration>,
    ) -> Result<i64, Error> {
        let adding = Adding { operation: "decr", key, ttl_on_create };
        self.add(&adding, |count| count.checked_sub(delta))
    }

    fn add(&self, adding: &Adding<'_>, step: impl Fn(i64) -> Option<i64>) -> Result<i64, Error> {
        let (view, codec, operation) = (self.view(), self.codec(), adding.operation);
        view.open(operation)?;
        view.with_key(adding.key, |key| {
            codec.may_count(operation, key)?;
            let count = |stored: &Stored| codec.count(operation, key, stored);
            let stored = |count| {
                let stored = Stored::Integer(count);
                let weight = stored.weight(key);
                (stored, weight)
            };
            adding.run(view, step, count, stored, Stored::is_same)
        })
    }
}
