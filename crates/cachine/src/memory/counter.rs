//! Counters: integers in a cache that many add to at once.

use std::sync::Arc;
use std::time::Duration;

use cachine_core::error::{Error, ErrorKind};
use cachine_core::key;

use crate::memory::{InMemoryCache, Kept};
use crate::view::{Value, View};

/// A value that can be a counter.
///
/// It is there for `i64`. A type that keeps numbers among other things says which those are:
///
/// ```
/// use cachine::{Counter, InMemoryCache};
///
/// #[derive(Clone, Debug, PartialEq)]
/// enum Item {
///     Number(i64),
///     Text(String),
/// }
///
/// impl Counter for Item {
///     fn count(&self) -> Option<i64> {
///         if let Self::Number(count) = self { Some(*count) } else { None }
///     }
///     fn from_count(count: i64) -> Self {
///         Self::Number(count)
///     }
/// }
///
/// let cache = InMemoryCache::new();
/// cache.set("name", Item::Text("Ada".to_owned()))?;
/// assert_eq!(cache.incr("visits", 1, None)?, 1);
/// assert!(cache.incr("name", 1, None).is_err());
/// # Ok::<_, cachine::Error>(())
/// ```
pub trait Counter {
    /// The number, or `None` where this value is none.
    fn count(&self) -> Option<i64>;

    /// The value of a number.
    fn from_count(count: i64) -> Self;
}

impl Counter for i64 {
    fn count(&self) -> Option<i64> {
        Some(*self)
    }

    fn from_count(count: i64) -> Self {
        count
    }
}

impl<V: Counter + Clone + Send + Sync + 'static> InMemoryCache<V> {
    /// Adds `delta` to a counter and gives its new number; one that does not exist starts at zero.
    ///
    /// No addition is lost, however many threads add at once. `ttl_on_create` is the life of a
    /// counter that this call creates; one that exists keeps its own.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cachine::InMemoryCache;
    ///
    /// let cache = InMemoryCache::<i64>::new();
    /// let minute = Some(Duration::from_secs(60));
    /// assert_eq!(cache.incr("requests:10.0.0.1", 1, minute)?, 1);
    /// assert_eq!(cache.incr("requests:10.0.0.1", 1, minute)?, 2);
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`] where the value is no number, [`ErrorKind::Overflow`] past 64
    /// bits; both leave it as it is. [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
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
        let count = |value: &Arc<V>| value.count().ok_or_else(|| no_number(adding.operation));
        let stored = |count| {
            let value = Arc::new(V::from_count(count));
            let weight = self.weigh(adding.key, &value);
            (value, weight)
        };
        // While the old one is held, no other value can have its address.
        adding.run(self.view(), step, count, stored, Arc::ptr_eq)
    }
}

/// An addition to a counter, whatever the entries are kept as.
pub(crate) struct Adding<'a> {
    pub(crate) operation: &'static str,
    pub(crate) key: &'a str,
    pub(crate) ttl_on_create: Option<Duration>,
}

impl Adding<'_> {
    /// Reads, computes outside the lock, and writes if nobody else did meanwhile.
    pub(crate) fn run<S: Clone + 'static>(
        &self,
        view: &View<Kept<S>>,
        step: impl Fn(i64) -> Option<i64>,
        count: impl Fn(&S) -> Result<i64, Error>,
        stored: impl Fn(i64) -> (S, u64),
        is_same: impl Fn(&S, &S) -> bool,
    ) -> Result<i64, Error> {
        let Self { operation, key, ttl_on_create: ttl } = *self;
        view.open(operation)?;
        key::validate(key, operation)?;
        loop {
            let before = view.peek(key, S::clone);
            let after = step(before.as_ref().map_or(Ok(0), &count)?);
            let after = after.ok_or_else(|| too_large(operation))?;
            let (value, weight) = stored(after);
            let done = match &before {
                // Gone as soon as it is made.
                None if ttl == Some(Duration::ZERO) => return Ok(after),
                None => view.add(key, Value { value, ttl, tags: &[], weight })?,
                Some(old) => view.replace(key, value, weight, |value| is_same(value, old))?,
            };
            if done.is_ok() {
                return Ok(after);
            }
        }
    }
}

fn no_number(operation: &'static str) -> Error {
    let message = format!("{operation}: the value of this key is no number; it was not changed");
    Error::new(ErrorKind::Serialization, operation, message)
}

fn too_large(operation: &'static str) -> Error {
    let message =
        format!("{operation}: the counter would leave the range of 64 bits; it keeps its value");
    Error::new(ErrorKind::Overflow, operation, message)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use cachine_core::clock::{Clock, FakeClock};

    #[test]
    fn a_counter_starts_at_zero_and_its_life_belongs_to_the_call_that_made_it() {
        let fake = FakeClock::new();
        let clock = Clock::Fake(fake.clone());
        let cache = InMemoryCache::<i64>::builder().clock(clock).build().unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(cache.incr("n", 5, Some(2 * second)).unwrap(), 5);
        fake.advance(second);
        assert_eq!(cache.decr("n", 7, Some(60 * second)).unwrap(), -2);
        assert_eq!(cache.ttl("n").unwrap(), Some(second));
        fake.advance(second);
        assert_eq!(cache.incr("n", 1, None).unwrap(), 1, "an expired counter starts anew");
        assert_eq!(cache.ttl("n").unwrap(), None);
        assert_eq!(cache.incr("gone", 3, Some(Duration::ZERO)).unwrap(), 3);
        assert!(!cache.exists("gone").unwrap());
    }

    #[test]
    fn a_counter_that_would_overflow_keeps_its_value() {
        let cache = InMemoryCache::new();
        cache.set("n", i64::MAX).unwrap();
        assert_eq!(cache.incr("n", 1, None).unwrap_err().kind(), ErrorKind::Overflow);
        assert_eq!(cache.get("n").unwrap(), Some(i64::MAX));
        assert_eq!(cache.decr("new", i64::MIN, None).unwrap_err().kind(), ErrorKind::Overflow);
        assert_eq!(cache.decr("n", i64::MAX, None).unwrap(), 0);
        assert_eq!(cache.incr("", 1, None).unwrap_err().operation(), "incr");
    }

    /// A number that, while it is read, is replaced by somebody else.
    #[derive(Clone)]
    struct Overtaken(i64, Option<InMemoryCache<Self>>);

    impl Counter for Overtaken {
        fn count(&self) -> Option<i64> {
            if let Some(cache) = &self.1 {
                cache.set("n", Self(10, None)).unwrap();
            }
            Some(self.0)
        }

        fn from_count(count: i64) -> Self {
            Self(count, None)
        }
    }

    #[test]
    fn an_addition_that_was_overtaken_starts_again_from_the_new_number() {
        let cache = InMemoryCache::new();
        cache.set("n", Overtaken(1, Some(cache.clone()))).unwrap();
        assert_eq!(cache.incr("n", 1, None).unwrap(), 11);
    }

    #[test]
    fn threads_that_count_at_once_lose_nothing() {
        let cache = InMemoryCache::<i64>::new();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1_000).for_each(|_| drop(cache.incr("n", 1, None))));
            }
        });
        assert_eq!(cache.get("n").unwrap(), Some(8_000));
    }
}
