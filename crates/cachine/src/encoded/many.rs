//! Operations on many keys at once.
//!
//! In memory they save nothing but lines; on a server they are one round trip, and a program that
//! uses them here can move there.

use cachine_core::error::Error;
use cachine_core::key;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoded::EncodedCache;
use crate::memory::SetOptions;

impl EncodedCache {
    /// The keys that have a value, each with it, in the order asked for.
    ///
    /// ```
    /// use cachine::EncodedCache;
    ///
    /// let cache = EncodedCache::new();
    /// cache.set_many([("a", 1), ("b", 2)])?;
    /// let found: Vec<(_, u8)> = cache.get_many(["b", "x", "a"])?;
    /// assert_eq!(found, [("b", 2), ("a", 1)]);
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get): one value that can't be read is enough.
    pub fn get_many<T: DeserializeOwned, K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<(K, T)>, Error> {
        self.view().open("get_many")?;
        let mut found = Vec::new();
        for key in keys {
            if let Some(value) = self.look_up("get_many", key.as_ref())? {
                found.push((key, value));
            }
        }
        Ok(found)
    }

    /// Stores values, or references to them, that never expire.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); a key or value that is refused keeps all of them from being stored.
    pub fn set_many<T: Serialize, K: AsRef<str>>(
        &self,
        items: impl IntoIterator<Item = (K, T)>,
    ) -> Result<(), Error> {
        self.set_many_with(items, SetOptions::new())
    }

    /// Stores values with a time to live, tags or both, the same for all.
    ///
    /// # Errors
    ///
    /// As [`set_many`](Self::set_many).
    pub fn set_many_with<T: Serialize, K: AsRef<str>>(
        &self,
        items: impl IntoIterator<Item = (K, T)>,
        options: impl Into<SetOptions>,
    ) -> Result<(), Error> {
        self.view().open("set_many")?;
        let (items, options): (Vec<_>, _) = (items.into_iter().collect(), options.into());
        items.iter().try_for_each(|(key, _)| key::validate(key.as_ref(), "set_many"))?;
        let written = items.into_iter().map(|(key, value)| {
            let writing = self.written("set_many", key.as_ref(), &value)?;
            Ok((key, writing))
        });
        let written = written.collect::<Result<Vec<_>, Error>>()?;
        written.into_iter().try_for_each(|(key, writing)| self.put(key.as_ref(), writing, &options))
    }
}
