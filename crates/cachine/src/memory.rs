//! The cache in the memory of this process, as a Rust program calls it.
//!
//! A handle over a [`View`], which says what the operations mean. What is added here is that a
//! value is the program's own type: it is kept behind a counted reference, so that cloning,
//! dropping and weighing it happen under no lock.
//!
//! # Cost
//!
//! A hit is one look-up under the lock, one reference count up and down, and one `clone` of the
//! value. Values that are slow to clone belong into an `Arc`.

mod builder;
mod counter;
mod host;
mod life;
mod many;
mod options;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_core::error::{Error, ErrorKind};
use cachine_core::key::Namespace;
use cachine_core::stats::Stats;
use cachine_core::store::{Bounds, Remaining};

use crate::view::{Value, View};

pub use builder::Builder;
pub use counter::Counter;
pub(crate) use host::{Kept, KeptLease, KeptWait, Outcome, result_of};
pub use options::SetOptions;

/// A cache in the memory of this process, for values of type `V`.
///
/// A clone is another handle to the same cache. All operations take `&self`, block for no longer
/// than a look-up, and are as much at home in a task as in a thread.
///
/// ```
/// use std::time::Duration;
/// use cachine::{Eviction, InMemoryCache};
///
/// let cache = InMemoryCache::builder().max_size(10_000).eviction(Eviction::Lru).build()?;
/// cache.set_with("user:1", "Ada".to_owned(), Duration::from_secs(60))?;
/// assert_eq!(cache.get("user:1")?.as_deref(), Some("Ada"));
/// assert_eq!(cache.get("user:2")?, None);
/// # Ok::<_, cachine::Error>(())
/// ```
pub struct InMemoryCache<V: 'static> {
    shelf: Arc<Shelf<V>>,
}

/// What all handles to one cache share.
struct Shelf<V: 'static> {
    view: View<Kept<V>>,
    weigher: Option<builder::Weigher<V>>,
}

/// The answer of [`InMemoryCache::ping`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether the store answers; that of a cache in memory always does.
    pub healthy: bool,
    /// How long a look-up took.
    pub latency: Duration,
    /// The kind of store: `inmemory`.
    pub backend: &'static str,
    /// Why it does not answer.
    pub error: Option<Error>,
}

impl<V: 'static> InMemoryCache<V> {
    fn of(shelf: Shelf<V>) -> Self {
        Self { shelf: Arc::new(shelf) }
    }

    pub(crate) fn view(&self) -> &View<Kept<V>> {
        &self.shelf.view
    }

    /// The weight of a value under a key; runs the program's weigher, under no lock.
    pub(crate) fn weigh(&self, key: &str, value: &V) -> u64 {
        self.shelf.weigher.as_ref().map_or(1, |weigher| weigher(key, value))
    }
}

impl<V: Clone + Send + Sync + 'static> InMemoryCache<V> {
    /// A cache without bounds and namespace.
    #[must_use]
    pub fn new() -> Self {
        let view = View::new(Bounds::default(), Namespace::default(), Clock::System);
        Self::of(Shelf { view, weigher: None })
    }

    /// The options of a new cache.
    pub fn builder() -> Builder<V> {
        Builder::new()
    }

    /// A cache on the same store whose keys all begin with `name:`, inside the namespace of this
    /// one. It counts its own statistics; closing it does not close this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an empty or reserved name, [`ErrorKind::Closed`].
    pub fn with_namespace(&self, name: &str) -> Result<Self, Error> {
        self.view().open("with_namespace")?;
        let view = self.view().with_namespace(name)?;
        Ok(Self::of(Shelf { view, weigher: self.shelf.weigher.clone() }))
    }

    /// The namespace of this cache.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.view().namespace().name()
    }

    /// The value of a key, fresh or stale; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    #[inline]
    pub fn get(&self, key: &str) -> Result<Option<V>, Error> {
        // The clone of the value itself is foreign code: it waits until the lock is released.
        Ok(self.view().get(key, Arc::clone)?.map(Arc::unwrap_or_clone))
    }

    /// Stores a value that never expires, in place of what was there, tags included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn set(&self, key: &str, value: V) -> Result<(), Error> {
        self.set_with(key, value, SetOptions::new())
    }

    /// Stores a value with a time to live, tags or both: [`SetOptions`], or simply a `Duration`.
    ///
    /// A computation of the same key that began before is fenced: its result reaches those who
    /// asked for it, never the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn set_with(
        &self,
        key: &str,
        value: V,
        options: impl Into<SetOptions>,
    ) -> Result<(), Error> {
        self.put(key, value, &options.into())
    }

    fn put(&self, key: &str, value: V, SetOptions { ttl, tags }: &SetOptions) -> Result<(), Error> {
        let weight = self.weigh(key, &value);
        self.view().set(key, Value { value: Arc::new(value), ttl: *ttl, tags, weight })
    }

    /// Deletes a key; whether there was a live entry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn delete(&self, key: &str) -> Result<bool, Error> {
        self.view().delete(key)
    }

    /// Whether a key has a live entry. This is no use of it, and not counted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        Ok(self.view().remaining(key, "exists")? != Remaining::Missing)
    }

    /// Removes every entry of this namespace and of those inside it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] without a namespace, because every other user of the store would lose
    /// its entries too: [`clear_all`](Self::clear_all) says that this is meant.
    /// [`ErrorKind::Closed`].
    pub fn clear(&self) -> Result<(), Error> {
        self.view().open("clear")?;
        if self.namespace().is_none() {
            let message = "clear: this cache has no namespace, so every entry of its store would \
                           go: call clear_all, or build it with a namespace";
            return Err(Error::new(ErrorKind::Config, "clear", message));
        }
        self.view().clear(false)
    }

    /// Removes every entry that this cache can see: those of its namespace, or without one all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub fn clear_all(&self) -> Result<(), Error> {
        self.view().clear(true)
    }

    /// Adds tags to a live entry; whether there was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn add_tags(
        &self,
        key: &str,
        tags: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<bool, Error> {
        self.view().add_tags(key, &names(tags))
    }

    /// Removes every entry that has one of these tags; how many live ones there were.
    ///
    /// ```
    /// use cachine::{InMemoryCache, SetOptions};
    ///
    /// let cache = InMemoryCache::new();
    /// cache.set_with("user:1", "Ada", SetOptions::new().tags(["users", "admins"]))?;
    /// assert_eq!(cache.invalidate_tags(["users"])?, 1);
    /// assert_eq!(cache.get("user:1")?, None);
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub fn invalidate_tags(
        &self,
        tags: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<u64, Error> {
        self.view().invalidate_tags(&names(tags))
    }

    /// Looks whether the store answers, and how fast.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`]; never for a store that does not answer, which [`Health`] tells.
    pub fn ping(&self) -> Result<Health, Error> {
        let view = self.view();
        view.open("ping")?;
        let began = view.store().now();
        view.peek("ping", |_| ());
        let latency = Duration::from_nanos(view.store().now().saturating_sub(began));
        Ok(Health { healthy: true, latency, backend: "inmemory", error: None })
    }

    /// Whether this cache is open and its store answers.
    #[must_use]
    pub fn ping_ok(&self) -> bool {
        self.ping().is_ok_and(|health| health.healthy)
    }

    /// How many entries there are in this namespace, expired ones that are not yet freed included.
    /// With a namespace this looks at every key of the store.
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
    pub fn stats(&self) -> Stats {
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
}

fn names(tags: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    tags.into_iter().map(Into::into).collect()
}

impl<V: 'static> Clone for InMemoryCache<V> {
    fn clone(&self) -> Self {
        Self { shelf: Arc::clone(&self.shelf) }
    }
}

impl<V: Clone + Send + Sync + 'static> Default for InMemoryCache<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: 'static> fmt::Debug for InMemoryCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, closed) = (self.view().namespace().name(), self.view().is_closed());
        f.debug_struct("InMemoryCache")
            .field("namespace", &namespace)
            .field("closed", &closed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
