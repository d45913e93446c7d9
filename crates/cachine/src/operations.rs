//! The operations of a cache in memory that do not look at a value, with their documentation.
//!
//! What they mean is said in [`View`](crate::View). A macro, because each kind of cache has them as
//! methods of its own: a trait would have to be imported by everyone who calls one.

use std::time::{Duration, SystemTime};

use cachine_core::error::{Error, ErrorKind};

/// The answer of `ping`, such as [`InMemoryCache::ping`](crate::InMemoryCache::ping).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether the store answers; that of a cache in memory always does.
    pub healthy: bool,
    /// How long that took, or the attempt.
    pub latency: Duration,
    /// The kind of store: `inmemory` or `redis`.
    pub backend: &'static str,
    /// Why it does not answer.
    pub error: Option<Error>,
}

impl Health {
    /// What a store in memory answers.
    pub(crate) const fn in_memory(latency: Duration) -> Self {
        Self { healthy: true, latency, backend: "inmemory", error: None }
    }

    /// What became of asking a Redis.
    #[cfg(all(feature = "redis", any(feature = "json", feature = "msgpack")))]
    pub(crate) const fn of_redis(latency: Duration, error: Option<Error>) -> Self {
        Self { healthy: error.is_none(), latency, backend: "redis", error }
    }
}

/// How far away a time of the wall clock is: zero for one that is past.
pub(crate) fn until(when: SystemTime) -> Duration {
    let Ok(since) = when.duration_since(SystemTime::UNIX_EPOCH) else { return Duration::ZERO };
    let cut = Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000));
    // The only place that reads the wall clock: the caller named a time of it.
    match (when - cut).elapsed() {
        Ok(_past) => Duration::ZERO,
        Err(ahead) => ahead.duration(),
    }
}

/// The names of tags, as a view takes them.
pub(crate) fn names(tags: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    tags.into_iter().map(Into::into).collect()
}

/// Why a cache without a namespace is not cleared.
pub(crate) fn not_cleared() -> Error {
    let message = "clear: this cache has no namespace, so every entry of its store would go: call \
                   clear_all, or build it with a namespace";
    Error::new(ErrorKind::Config, "clear", message)
}

/// Stands in the `impl` of a cache that has `view(&self) -> &View<_>` and `on(&self, View<_>) ->
/// Self`, the same cache on another view.
macro_rules! operations {
    () => {
        /// A cache on the same store whose keys all begin with `name:`, inside the namespace of
        /// this one. It counts its own statistics; closing it does not close this one.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an empty or reserved name,
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
        pub fn with_namespace(&self, name: &str) -> Result<Self, $crate::Error> {
            self.view().open("with_namespace")?;
            Ok(self.on(self.view().with_namespace(name)?))
        }

        /// Another handle to this cache, which counts for itself too: its [`stats`](Self::stats)
        /// are those of the calls that went through it, and each `get` of it is timed, not one in
        /// 64. What it counts is also counted here. Closing it closes this one.
        #[must_use]
        pub fn measured(&self) -> Self {
            self.on(self.view().wrapped(true))
        }

        /// The namespace of this cache.
        #[must_use]
        pub fn namespace(&self) -> Option<&str> {
            self.view().namespace().name()
        }

        /// Deletes a key; whether there was a live entry.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed),
        /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
        pub fn delete(&self, key: &str) -> Result<bool, $crate::Error> {
            self.view().delete(key)
        }

        /// Deletes keys; how many of them had a live entry.
        ///
        /// # Errors
        ///
        /// As [`delete`](Self::delete); a key that is refused keeps all of them from being deleted.
        pub fn delete_many<K: AsRef<str>>(
            &self,
            keys: impl IntoIterator<Item = K>,
        ) -> Result<u64, $crate::Error> {
            self.view().open("delete_many")?;
            let keys: Vec<_> = keys.into_iter().collect();
            for key in &keys {
                $crate::core::key::validate(key.as_ref(), "delete_many")?;
            }
            keys.iter().try_fold(0, |gone, key| Ok(gone + u64::from(self.delete(key.as_ref())?)))
        }

        /// Whether a key has a live entry. This is no use of it, and not counted.
        ///
        /// # Errors
        ///
        /// As [`delete`](Self::delete).
        pub fn exists(&self, key: &str) -> Result<bool, $crate::Error> {
            let left = self.view().remaining(key, "exists")?;
            Ok(left != $crate::core::store::Remaining::Missing)
        }

        /// Removes every entry of this namespace and of those inside it.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Config`](crate::ErrorKind::Config) without a namespace, because every other
        /// user of the store would lose its entries too: [`clear_all`](Self::clear_all) says that
        /// this is meant. [`ErrorKind::Closed`](crate::ErrorKind::Closed).
        pub fn clear(&self) -> Result<(), $crate::Error> {
            self.view().open("clear")?;
            if self.namespace().is_none() {
                return Err($crate::operations::not_cleared());
            }
            self.view().clear(false)
        }

        /// Removes every entry that this cache can see: those of its namespace, or without one all.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
        pub fn clear_all(&self) -> Result<(), $crate::Error> {
            self.view().clear(true)
        }

        /// How much of its life an entry has left, its stale time included, to the nanosecond (the
        /// Python door answers in whole seconds, rounded up). `None` where there is no entry, or
        /// none that ends.
        ///
        /// # Errors
        ///
        /// As [`delete`](Self::delete).
        pub fn ttl(&self, key: &str) -> Result<Option<std::time::Duration>, $crate::Error> {
            use $crate::core::store::Remaining;
            Ok(match self.view().remaining(key, "ttl")? {
                Remaining::Missing | Remaining::Forever => None,
                Remaining::Nanoseconds(left) => Some(std::time::Duration::from_nanos(left)),
            })
        }

        /// Gives a live entry a new life, fresh to its end; a `ttl` of zero deletes it. Whether
        /// there was one.
        ///
        /// # Errors
        ///
        /// As [`delete`](Self::delete).
        pub fn expire(&self, key: &str, ttl: std::time::Duration) -> Result<bool, $crate::Error> {
            self.view().expire(key, ttl)
        }

        /// Lets a live entry end at a time of the wall clock, cut down to the millisecond; one that
        /// is past deletes it. Whether there was one.
        ///
        /// # Errors
        ///
        /// As [`delete`](Self::delete).
        pub fn expire_at(
            &self,
            key: &str,
            when: std::time::SystemTime,
        ) -> Result<bool, $crate::Error> {
            self.expire(key, $crate::operations::until(when))
        }

        /// Lets a live entry be fresh for ever; whether there was one with an end.
        ///
        /// # Errors
        ///
        /// As [`delete`](Self::delete).
        pub fn persist(&self, key: &str) -> Result<bool, $crate::Error> {
            self.view().persist(key)
        }

        /// Counts as a use of a live entry, and gives it a new life if `ttl` is one; whether there
        /// was an entry.
        ///
        /// # Errors
        ///
        /// As [`delete`](Self::delete).
        pub fn touch(
            &self,
            key: &str,
            ttl: Option<std::time::Duration>,
        ) -> Result<bool, $crate::Error> {
            self.view().touch(key, ttl)
        }

        /// Adds tags to a live entry; whether there was one.
        ///
        /// # Errors
        ///
        /// As [`delete`](Self::delete).
        pub fn add_tags(
            &self,
            key: &str,
            tags: impl IntoIterator<Item = impl Into<String>>,
        ) -> Result<bool, $crate::Error> {
            self.view().add_tags(key, &$crate::operations::names(tags))
        }

        /// Removes every entry that has one of these tags; how many live ones there were. See
        /// [`SetOptions::tags`](crate::SetOptions::tags).
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
        pub fn invalidate_tags(
            &self,
            tags: impl IntoIterator<Item = impl Into<String>>,
        ) -> Result<u64, $crate::Error> {
            self.view().invalidate_tags(&$crate::operations::names(tags))
        }

        /// Takes a lock, waiting for it without end: from then on nobody else of this process holds
        /// the lock of this name, until what is returned is released or dropped. Who came first
        /// gets it first, threads and tasks alike.
        ///
        /// A name is the namespace's own, as a key is; an entry of the same name is something else.
        /// Asked again by its holder it waits for itself: see [`lock`](crate::lock).
        ///
        /// ```
        /// let cache = cachine::InMemoryCache::<u64>::new();
        /// std::thread::scope(|scope| {
        ///     for _ in 0..4 {
        ///         scope.spawn(|| {
        ///             let _lock = cache.lock("sum")?;
        ///             // Read, think, write: nobody does so at the same time.
        ///             let sum = cache.get("sum")?.unwrap_or(0);
        ///             cache.set("sum", sum + 1)
        ///         });
        ///     }
        /// });
        /// assert_eq!(cache.get("sum")?, Some(4));
        /// # Ok::<_, cachine::Error>(())
        /// ```
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed), also when the cache was closed while
        /// this waited; [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) for a name that can't
        /// be a key.
        pub fn lock(&self, name: &str) -> Result<$crate::Lock, $crate::Error> {
            self.lock_with(name, $crate::LockOptions::new())
        }

        /// Takes a lock as [`LockOptions`](crate::LockOptions) say; otherwise as
        /// [`lock`](Self::lock).
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) where it was not free within the
        /// timeout; [`ErrorKind::Config`](crate::ErrorKind::Config) for a ttl of zero. Otherwise as
        /// [`lock`](Self::lock).
        pub fn lock_with(
            &self,
            name: &str,
            options: $crate::LockOptions,
        ) -> Result<$crate::Lock, $crate::Error> {
            $crate::lock::take(self.view(), name, options)
        }

        /// As [`lock`](Self::lock), for a task: it waits by awaiting, in whatever runtime. A future
        /// that is dropped leaves the line.
        ///
        /// ```
        /// # pollster::block_on(async {
        /// let cache = cachine::InMemoryCache::<u64>::new();
        /// let lock = cache.lock_async("sum").await?;
        /// assert!(!lock.is_lost());
        /// # Ok::<_, cachine::Error>(()) }).unwrap();
        /// ```
        ///
        /// # Errors
        ///
        /// As [`lock`](Self::lock).
        pub async fn lock_async(&self, name: &str) -> Result<$crate::Lock, $crate::Error> {
            self.lock_with_async(name, $crate::LockOptions::new()).await
        }

        /// As [`lock_with`](Self::lock_with), for a task.
        ///
        /// # Errors
        ///
        /// As [`lock_with`](Self::lock_with).
        pub async fn lock_with_async(
            &self,
            name: &str,
            options: $crate::LockOptions,
        ) -> Result<$crate::Lock, $crate::Error> {
            $crate::lock::take_async(self.view(), name, options).await
        }

        /// Looks whether the store answers, and how fast.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed); never for a store that does not answer,
        /// which [`Health`](crate::memory::Health) tells.
        pub fn ping(&self) -> Result<$crate::memory::Health, $crate::Error> {
            let view = self.view();
            view.open("ping")?;
            let began = view.store().now();
            view.peek("ping", |_| ());
            let latency = view.store().now().saturating_sub(began);
            Ok($crate::memory::Health::in_memory(std::time::Duration::from_nanos(latency)))
        }

        /// Whether this cache is open and its store answers.
        #[must_use]
        pub fn ping_ok(&self) -> bool {
            self.ping().is_ok_and(|health| health.healthy)
        }

        /// How many entries there are in this namespace, expired ones that are not yet freed
        /// included. With a namespace this looks at every key of the store.
        #[must_use]
        pub fn len(&self) -> usize {
            let namespace = self.view().namespace();
            self.view().store().len(namespace.name().map(|_| namespace.prefix().as_bytes()))
        }

        /// Whether there is no entry in this namespace.
        #[must_use]
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// What was counted through this handle and its clones.
        #[must_use]
        pub fn stats(&self) -> $crate::Stats {
            self.view().counters().read()
        }

        /// Starts the counting anew.
        pub fn reset_stats(&self) {
            self.view().counters().reset();
        }

        /// Ends the use of this cache, for all clones of this handle: every operation from now on
        /// fails. The cache that was built, not one from
        /// [`with_namespace`](Self::with_namespace), empties the store as well. Idempotent.
        ///
        /// A cache that goes out of scope needs no closing.
        pub fn close(&self) {
            self.view().close();
        }

        /// Whether this cache, or the one whose store it shows, was closed.
        #[must_use]
        pub fn is_closed(&self) -> bool {
            self.view().is_closed()
        }
    };
}

pub(crate) use operations;
