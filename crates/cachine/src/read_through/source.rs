//! What a read through a cache needs to know of the cache: how it keeps a value and gets it back.

use std::sync::Arc;

use crate::memory::{InMemoryCache, Kept};
use crate::view::View;

/// A cache that values of type `T` are read through.
pub(crate) trait Source<T>: Clone + Send + Sync + 'static {
    /// What its store keeps of a value.
    type Stored: Clone + Send + Sync + 'static;

    /// The entries.
    fn view(&self) -> &View<Kept<Self::Stored>>;

    /// The value of what is stored; `None` where it can't be read. Runs under no lock.
    fn read(&self, key: &str, stored: &Self::Stored) -> Option<T>;

    /// What is to be stored of a value; `None` where it can't be written. Runs under no lock.
    fn write(&self, key: &str, value: &Arc<T>) -> Option<Writing<Self::Stored>>;

    /// Whether two readings are of one and the same writing. Runs under the lock.
    fn is_same(a: &Self::Stored, b: &Self::Stored) -> bool;
}

/// A value as it is about to be stored.
pub(crate) struct Writing<S> {
    /// What is stored.
    pub(crate) stored: S,
    /// How heavy the entry is.
    pub(crate) weight: u64,
    /// The bytes that the value was serialized to, before and after compression; `None` where it is
    /// kept as it is.
    pub(crate) bytes: Option<(usize, usize)>,
}

impl<V: Clone + Send + Sync + 'static> Source<V> for InMemoryCache<V> {
    type Stored = Arc<V>;

    fn view(&self) -> &View<Kept<Arc<V>>> {
        self.view()
    }

    #[inline]
    fn read(&self, _: &str, stored: &Arc<V>) -> Option<V> {
        Some(V::clone(stored))
    }

    fn write(&self, key: &str, value: &Arc<V>) -> Option<Writing<Arc<V>>> {
        let weight = self.weigh(key, value);
        Some(Writing { stored: Arc::clone(value), weight, bytes: None })
    }

    fn is_same(a: &Arc<V>, b: &Arc<V>) -> bool {
        Arc::ptr_eq(a, b)
    }
}
