//! Operations on many keys at once.
//!
//! In memory they save nothing but lines; on a server they are one round trip, and a program that
//! uses them here can move there.

use cachine_core::error::Error;
use cachine_core::key;

use crate::memory::{InMemoryCache, SetOptions};

impl<V: Clone + Send + Sync + 'static> InMemoryCache<V> {
    /// The keys that have a value, each with it, in the order asked for.
    ///
    /// ```
    /// use cachine::InMemoryCache;
    ///
    /// let cache = InMemoryCache::new();
    /// cache.set_many([("a", 1), ("b", 2)])?;
    /// assert_eq!(cache.get_many(["b", "x", "a"])?, [("b", 2), ("a", 1)]);
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(K, V)>, Error> {
        self.view().open("get_many")?;
        let mut found = Vec::new();
        for key in keys {
            if let Some(value) = self.get(key.as_ref())? {
                found.push((key, value));
            }
        }
        Ok(found)
    }

    /// Stores values that never expire.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); a key that is refused keeps all of them from being stored.
    pub fn set_many<K: AsRef<str>>(
        &self,
        items: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        self.set_many_with(items, SetOptions::new())
    }

    /// Stores values with a time to live, tags or both, the same for all.
    ///
    /// # Errors
    ///
    /// As [`set_many`](Self::set_many).
    pub fn set_many_with<K: AsRef<str>>(
        &self,
        items: impl IntoIterator<Item = (K, V)>,
        options: impl Into<SetOptions>,
    ) -> Result<(), Error> {
        self.view().open("set_many")?;
        let (items, options): (Vec<_>, _) = (items.into_iter().collect(), options.into());
        items.iter().try_for_each(|(key, _)| key::validate(key.as_ref(), "set_many"))?;
        items.into_iter().try_for_each(|(key, value)| self.put(key.as_ref(), value, &options))
    }
}
