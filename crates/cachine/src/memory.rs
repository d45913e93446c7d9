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
mod many;
mod options;

use std::fmt;
use std::sync::Arc;

use cachine_core::clock::Clock;
use cachine_core::error::Error;
use cachine_core::key::Namespace;
use cachine_core::store::Bounds;

use crate::operations::operations;
use crate::view::{Value, View};

pub use crate::operations::Health;
pub use builder::Builder;
pub use counter::Counter;
pub(crate) use host::{Kept, KeptLease, KeptWait, Outcome, result_of};
pub use options::SetOptions;
#[cfg(any(feature = "json", feature = "msgpack"))]
pub(crate) use {builder::view, counter::Adding};

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
    view: View<Kept<Arc<V>>>,
    weigher: Option<builder::Weigher<V>>,
}

impl<V: 'static> InMemoryCache<V> {
    fn of(shelf: Shelf<V>) -> Self {
        Self { shelf: Arc::new(shelf) }
    }

    pub(crate) fn view(&self) -> &View<Kept<Arc<V>>> {
        &self.shelf.view
    }

    /// The same cache on another view.
    fn on(&self, view: View<Kept<Arc<V>>>) -> Self {
        Self::of(Shelf { view, weigher: self.shelf.weigher.clone() })
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

    /// The value of a key, fresh or stale; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed),
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
    #[inline]
    pub fn get(&self, key: &str) -> Result<Option<V>, Error> {
        // The clone of the value itself is foreign code: it waits until the lock is released.
        Ok(self.view().get(key, Arc::clone)?.map(Arc::unwrap_or_clone))
    }

    /// Stores a value that never expires, in place of what was there, tags included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed),
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
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
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed),
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
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

    operations!();
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
