//! The options of a memory cache, checked once when it is built.

use std::fmt;
use std::sync::Arc;

use cachine_core::clock::Clock;
use cachine_core::error::{Error, ErrorKind};
use cachine_core::key::Namespace;
use cachine_core::policy::Eviction;
use cachine_core::store::{Bounds, Host};

use crate::memory::{InMemoryCache, Shelf};
use crate::view::View;

/// Says how heavy an entry is.
pub(super) type Weigher<V> = Arc<dyn Fn(&str, &V) -> u64 + Send + Sync>;

/// Builds an [`InMemoryCache`]; see [`InMemoryCache::builder`].
#[must_use = "a builder makes no cache before `build`"]
pub struct Builder<V> {
    bounds: Bounds,
    namespace: String,
    weigher: Option<Weigher<V>>,
    clock: Clock,
}

impl<V> Builder<V> {
    pub(super) fn new() -> Self {
        Self {
            bounds: Bounds::default(),
            namespace: String::new(),
            weigher: None,
            clock: Clock::System,
        }
    }

    /// Keeps at most `entries` entries. Without this and [`max_weight`](Self::max_weight) nothing
    /// is ever evicted.
    pub fn max_size(mut self, entries: u64) -> Self {
        self.bounds.max_size = Some(entries);
        self
    }

    /// Keeps entries of at most `weight` in all, in the unit of the
    /// [`weigher`](Self::weigher), without which this is refused. An entry that is heavier than
    /// that on its own is not kept.
    pub fn max_weight(mut self, weight: u64) -> Self {
        self.bounds.max_weight = Some(weight);
        self
    }

    /// Weighs an entry by its key (without the namespace) and value when it is written. It runs
    /// under no lock.
    pub fn weigher(mut self, weigh: impl Fn(&str, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Arc::new(weigh));
        self
    }

    /// Who leaves when a bound is reached; [`Eviction::Lru`] unless said otherwise.
    pub fn eviction(mut self, eviction: Eviction) -> Self {
        self.bounds.eviction = eviction;
        self
    }

    /// Puts `name:` before every key; an empty name is no namespace.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Reads the time from `clock`, for tests that move it.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

impl<V: Clone + Send + Sync + 'static> Builder<V> {
    /// Makes the cache.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a bound of zero, for `max_weight` without `weigher` or the other
    /// way round, and for a namespace with a reserved name.
    pub fn build(self) -> Result<InMemoryCache<V>, Error> {
        if self.weigher.is_some() != self.bounds.max_weight.is_some() {
            return Err(refused("max_weight and weigher belong together: give both or neither"));
        }
        let view = view(self.bounds, &self.namespace, self.clock)?;
        Ok(InMemoryCache::of(Shelf { view, weigher: self.weigher }))
    }
}

/// A new store within `bounds`, seen through its namespace.
pub(crate) fn view<H: Host>(
    bounds: Bounds,
    namespace: &str,
    clock: Clock,
) -> Result<View<H>, Error> {
    if bounds.max_size == Some(0) || bounds.max_weight == Some(0) {
        return Err(refused("max_size=0 or max_weight=0 leaves room for nothing: give at least 1"));
    }
    Ok(View::new(bounds, Namespace::new(namespace)?, clock))
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::Config, "build", message)
}

impl<V> fmt::Debug for Builder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("bounds", &self.bounds)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let refused = |builder: Builder<u8>| builder.build().unwrap_err().kind();
        assert_eq!(refused(Builder::new().max_size(0)), ErrorKind::Config);
        assert_eq!(refused(Builder::new().max_weight(0).weigher(|_, _| 1)), ErrorKind::Config);
        assert_eq!(refused(Builder::new().max_weight(9)), ErrorKind::Config);
        assert_eq!(refused(Builder::new().weigher(|_, _| 1)), ErrorKind::Config);
        assert_eq!(refused(Builder::new().namespace("~cachine~")), ErrorKind::Config);
    }

    #[test]
    fn a_bounded_cache_evicts_by_size_by_weight_and_in_the_order_of_its_policy() {
        let cache = Builder::new().max_size(2).eviction(Eviction::Fifo).build().unwrap();
        for key in ["a", "b"] {
            cache.set(key, 1).unwrap();
        }
        cache.get("a").unwrap();
        cache.set("c", 1).unwrap();
        assert_eq!((cache.exists("a").unwrap(), cache.len()), (false, 2));

        let heavy = Builder::new().max_weight(10).weigher(|_, text: &String| text.len() as u64);
        let cache = heavy.build().unwrap();
        cache.set("a", "x".repeat(6)).unwrap();
        cache.set("b", "x".repeat(6)).unwrap();
        assert_eq!(["a", "b"].map(|key| cache.exists(key).unwrap()), [false, true]);
        assert_eq!(cache.stats().evictions, 1);
    }
}
