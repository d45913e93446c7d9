//! Reading through a cache: what is there is answered, what is missing is computed and stored.
//!
//! [`ReadThrough`] says how. What its options mean is written once, in `call`; `blocking` and
//! `tasks` only differ in how a caller waits and where a computation runs.
//!
//! ```text
//!             fresh ──────────────────────────────────────────► the value
//!            ╱
//! a read ───┼── stale ─► the value, and one caller's computation runs behind its back
//!            ╲
//!             nothing ─┬─► compute ─► store, unless fenced ───► the value, for all who wait
//!                      └─► wait (singleflight) ──┬────────────► the same value or error
//!                            ▲                   │
//!                            └── who computed gave up: ask again
//! ```

mod blocking;
mod call;
pub(crate) mod held;
mod refresh;
mod source;
mod tasks;
mod threads;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachine_core::error::Error;

use crate::freshness::Freshness;

pub(crate) use blocking::Parked;
#[cfg(any(feature = "json", feature = "msgpack"))]
pub(crate) use blocking::read;
#[cfg(any(feature = "json", feature = "msgpack"))]
pub(crate) use source::{Source, Writing};
#[cfg(any(feature = "json", feature = "msgpack"))]
pub(crate) use tasks::read as read_async;
#[cfg(all(feature = "tokio", any(feature = "json", feature = "msgpack")))]
pub(crate) use tasks::wait_for;
#[cfg(all(feature = "redis", any(feature = "json", feature = "msgpack")))]
pub(crate) use {blocking::block, refresh::Sealed};

pub use refresh::{Never, RefreshTask, Refreshes, RefreshesAsync, Tasks, Threads};

/// The options of reads through a cache of `V`s; made once, used for many keys.
///
/// | option | without it |
/// | --- | --- |
/// | [`ttl`](Self::ttl): how long a value is fresh | for ever |
/// | [`stale_ttl`](Self::stale_ttl): how old it may be served while it is computed anew | not at all |
/// | [`jitter`](Self::jitter): a random addition to both | none |
/// | [`singleflight`](Self::singleflight): callers at once share one computation | each computes |
/// | [`tags`](Self::tags), [`tags_from_result`](Self::tags_from_result) | none |
/// | [`condition`](Self::condition): which results are stored | all |
///
/// `R` says who computes a stale value anew: nobody ([`Never`]), the refresh [`Threads`], or
/// [`Tasks`] of the program's runtime. A computation that may outlive its call has to own what it
/// uses; only with a stale window does the compiler ask for that.
///
/// ```
/// use std::time::Duration;
/// use cachine::{InMemoryCache, ReadThrough};
///
/// let cache = InMemoryCache::new();
/// let users = ReadThrough::new()
///     .ttl(Duration::from_secs(60))
///     .jitter(Duration::from_secs(5))
///     .singleflight(true)
///     .tags(["users"])
///     .stale_ttl(Duration::from_secs(120));
/// let name = cache.get_or_compute("user:1", &users, || "Ada".to_owned())?;
/// assert_eq!(name, "Ada");
/// # Ok::<_, cachine::Error>(())
/// ```
///
/// # None
///
/// To a cache of `Option<T>` a `None` is a value like any other, stored and answered. The
/// condition `Option::is_some` keeps it out; those who wait for one computation share its `None`
/// all the same:
///
/// ```
/// use cachine::{InMemoryCache, ReadThrough};
///
/// let cache = InMemoryCache::<Option<u32>>::new();
/// let found = ReadThrough::new().condition(Option::is_some);
/// assert_eq!(cache.get_or_compute("zip:1", &found, || None)?, None);
/// assert_eq!(cache.get_or_compute("zip:1", &found, || Some(10_115))?, Some(10_115));
/// # Ok::<_, cachine::Error>(())
/// ```
#[must_use = "options do nothing on their own"]
pub struct ReadThrough<V, R = Never> {
    pub(crate) terms: Terms<V>,
    pub(crate) refresh: R,
}

type Condition<V> = Arc<dyn Fn(&V) -> bool + Send + Sync>;
type TagsOf<V> = Arc<dyn Fn(&V) -> Vec<String> + Send + Sync>;

/// What is asked of a value, whoever computes it.
pub(crate) struct Terms<V> {
    ttl: Option<Duration>,
    stale_ttl: Option<Duration>,
    jitter: Option<Duration>,
    pub(crate) singleflight: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) tags_from_result: Option<TagsOf<V>>,
    condition: Option<Condition<V>>,
}

impl<V> ReadThrough<V> {
    /// Values that are fresh for ever; every caller that finds none computes its own.
    pub const fn new() -> Self {
        let terms = Terms {
            ttl: None,
            stale_ttl: None,
            jitter: None,
            singleflight: false,
            tags: Vec::new(),
            tags_from_result: None,
            condition: None,
        };
        Self { terms, refresh: Never }
    }

    /// The options of `get_or_set`.
    pub(crate) const fn for_set(ttl: Option<Duration>) -> Self {
        let mut options = Self::new().singleflight(true);
        options.terms.ttl = ttl;
        options
    }

    /// Serves a value that is no longer fresh until `stale_ttl` after its *writing* (not after its
    /// ttl), while one caller's computation is run again in the background: a stale hit answers at
    /// once. One that is no longer than the ttl means no stale window; without a ttl the first
    /// read fails.
    ///
    /// The computation runs on one of at most eight threads of this process, named
    /// `cachine-refresh`; where all are busy and many more wait, the value stays stale. One that
    /// fails (an error, a panic, a result that is not to be stored) leaves the stale value to its
    /// end, and the next attempt has to wait: half a second, then twice as long each time, at most
    /// thirty seconds.
    ///
    /// For the async form, [`refresh_with`](ReadThrough::refresh_with) names the runtime.
    pub fn stale_ttl(mut self, stale_ttl: Duration) -> ReadThrough<V, Threads> {
        self.terms.stale_ttl = Some(stale_ttl);
        ReadThrough { terms: self.terms, refresh: Threads }
    }
}

impl<V> ReadThrough<V, Threads> {
    /// Hands refreshes to the program's async runtime: `spawn` has to run the task to its end, and
    /// may not wait for it. With tokio: `.refresh_with(|task| drop(tokio::spawn(task)))`.
    pub fn refresh_with(
        self,
        spawn: impl Fn(RefreshTask) + Send + Sync + 'static,
    ) -> ReadThrough<V, Tasks> {
        ReadThrough { terms: self.terms, refresh: Tasks::new(spawn) }
    }
}

impl<V, R> ReadThrough<V, R> {
    /// A value is fresh for `ttl`, counted from its writing. Zero: nothing is stored.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = Some(ttl);
        self
    }

    /// Adds a random time from zero to `jitter`, the same to the ttl and the stale ttl of a value,
    /// so that what was written together does not expire together.
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.terms.jitter = Some(jitter);
        self
    }

    /// Whether callers of one key that find nothing share one computation: one of them computes,
    /// the others wait, threads and tasks alike. All get the same value or error.
    ///
    /// A computation that ends without a result, because it panics or its future is dropped, is
    /// taken over by one of those who wait. A computation that asks for its own key, or for one
    /// whose computation waits for its own, computes directly, because waiting would never end.
    /// That is known by the thread, and in tasks by the future: a computation must not *wait* for
    /// other threads or spawned tasks that ask for its own key.
    pub const fn singleflight(mut self, share: bool) -> Self {
        self.terms.singleflight = share;
        self
    }

    /// Gives the values these tags too.
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.terms.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// Gives a value the tags that it names itself. A value whose tag was invalidated while it was
    /// computed is not stored.
    pub fn tags_from_result<I>(mut self, tags: impl Fn(&V) -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let tags = move |value: &V| tags(value).into_iter().map(Into::into).collect();
        self.terms.tags_from_result = Some(Arc::new(tags));
        self
    }

    /// Stores only results for which `condition` holds; the others are answered all the same.
    pub fn condition(mut self, condition: impl Fn(&V) -> bool + Send + Sync + 'static) -> Self {
        self.terms.condition = Some(Arc::new(condition));
        self
    }
}

impl<V> Terms<V> {
    pub(crate) fn freshness(&self) -> Result<Freshness, Error> {
        Freshness::new(self.ttl, self.stale_ttl, self.jitter)
    }

    /// Whether a result is to be stored.
    pub(crate) fn wants(&self, value: &V) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition(value))
    }

    /// The tags that only the result knows.
    pub(crate) fn late_tags(&self, value: &V) -> Vec<String> {
        self.tags_from_result.as_ref().map_or_else(Vec::new, |tags| tags(value))
    }
}

impl<V> Clone for Terms<V> {
    fn clone(&self) -> Self {
        let Self { ttl, stale_ttl, jitter, singleflight, .. } = *self;
        Self {
            ttl,
            stale_ttl,
            jitter,
            singleflight,
            tags: self.tags.clone(),
            tags_from_result: self.tags_from_result.clone(),
            condition: self.condition.clone(),
        }
    }
}

impl<V, R: Clone> Clone for ReadThrough<V, R> {
    fn clone(&self) -> Self {
        Self { terms: self.terms.clone(), refresh: self.refresh.clone() }
    }
}

impl<V> Default for ReadThrough<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V, R: fmt::Debug> fmt::Debug for ReadThrough<V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadThrough")
            .field("ttl", &self.terms.ttl)
            .field("stale_ttl", &self.terms.stale_ttl)
            .field("jitter", &self.terms.jitter)
            .field("singleflight", &self.terms.singleflight)
            .field("tags", &self.terms.tags)
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
