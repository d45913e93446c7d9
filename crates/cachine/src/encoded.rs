//! A cache in the memory of this process that keeps values as bytes: small, secret, of any type.
//!
//! ```text
//!  set(&T) ─► serializer ─► compression ─► encryption ─► the store
//!  get::<T> ◄─ deserialize ◄─ decompress ◄──── open ◄──────┘
//!              JSON or        if it gets      bound to
//!              MessagePack    smaller         the key
//! ```
//!
//! It has the operations of [`InMemoryCache`](crate::InMemoryCache), with the type of the value at
//! each call. It is worth its price where memory is short (entries are bounded by their bytes, and
//! compressed), where values must not lie about in plain text, or where a program is to move to a
//! store that knows only bytes. Elsewhere an `InMemoryCache`, which hands out what it was given, is
//! several times faster.
//!
//! Encryption here has its key in the same memory. It keeps values out of what is swapped, dumped
//! in part or searched for text, not from somebody who can read the whole process.
//!
//! An integer of 64 bits is kept as an integer, so that [`incr`](EncodedCache::incr) and
//! [`get`](EncodedCache::get) agree; with encryption it is encrypted like everything that is set.
//!
//! Needs the feature `json` or `msgpack`; `compress` and `encrypt` add the other steps.

mod builder;
mod counter;
mod many;
mod misfit;
mod read_through;
pub(crate) mod serializer;
pub(crate) mod stored;
mod strict;

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "compress")]
use cachine_codec::compression::Compression;
#[cfg(feature = "encrypt")]
use cachine_codec::encryption::Encryption;
use cachine_core::error::Error;
use cachine_core::key;
use cachine_core::stats::Tally;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoded::stored::{Codec, Stored};
use crate::memory::{Kept, SetOptions};
use crate::operations::operations;
use crate::read_through::Writing;
use crate::view::{Value, View};

pub use builder::Builder;
pub use serializer::Serializer;

/// A cache in the memory of this process, for everything that serde can carry.
///
/// A clone is another handle to the same cache. All operations take `&self` and are as much at home
/// in a task as in a thread; those that touch a value take the time to encode or decode it, under
/// no lock.
///
/// ```
/// use std::time::Duration;
/// use cachine::EncodedCache;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct User {
///     name: String,
///     age: u8,
/// }
///
/// let cache = EncodedCache::builder().max_weight(1 << 20).namespace("shop").build()?;
/// let ada = User { name: "Ada".to_owned(), age: 36 };
/// cache.set_with("user:1", &ada, Duration::from_secs(60))?;
/// assert_eq!(cache.get::<User>("user:1")?, Some(ada));
/// assert_eq!(cache.get::<User>("user:2")?, None);
/// # Ok::<_, cachine::Error>(())
/// ```
#[derive(Clone)]
pub struct EncodedCache {
    shelf: Arc<Shelf>,
}

/// What all handles to one cache share.
struct Shelf {
    view: View<Kept<Stored>>,
    codec: Arc<Codec>,
}

impl EncodedCache {
    fn of(view: View<Kept<Stored>>, codec: Arc<Codec>) -> Self {
        Self { shelf: Arc::new(Shelf { view, codec }) }
    }

    fn view(&self) -> &View<Kept<Stored>> {
        &self.shelf.view
    }

    fn codec(&self) -> &Codec {
        &self.shelf.codec
    }

    /// The same cache on another view.
    fn on(&self, view: View<Kept<Stored>>) -> Self {
        Self::of(view, Arc::clone(&self.shelf.codec))
    }

    /// A cache of JSON, without bounds and namespace.
    #[cfg(feature = "json")]
    #[must_use]
    pub fn new() -> Self {
        use cachine_core::{clock::Clock, key::Namespace, store::Bounds};
        let view = View::new(Bounds::default(), Namespace::default(), Clock::System);
        let steps = cachine_codec::steps::Steps::default();
        Self::of(view, Arc::new(Codec { serializer: Serializer::Json, steps }))
    }

    /// The options of a new cache.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Another handle to the same entries, which compresses what it writes. What it reads may be
    /// compressed or not, in any way.
    #[cfg(feature = "compress")]
    #[must_use]
    pub fn compressed(&self, compression: Compression) -> Self {
        let mut codec = self.codec().clone();
        codec.steps.compression = Some(compression);
        Self::of(self.view().wrapped(false), Arc::new(codec))
    }

    /// Another handle to the same entries, which encrypts what it writes and reads only what is
    /// encrypted. To rotate a key, make one with the new key and [`Encryption::old_key`].
    ///
    /// ```
    /// use cachine::{EncodedCache, Encryption, ErrorKind};
    ///
    /// let plain = EncodedCache::new();
    /// let secret = plain.encrypted(Encryption::new(&cachine::generate_key())?);
    /// secret.set("iban", "DE02 1203 0000 0000 2020 51")?;
    /// assert_eq!(plain.get::<String>("iban").unwrap_err().kind(), ErrorKind::Integrity);
    /// # Ok::<_, cachine::Error>(())
    /// ```
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn encrypted(&self, encryption: Encryption) -> Self {
        let mut codec = self.codec().clone();
        codec.steps.encryption = Some(encryption);
        Self::of(self.view().wrapped(false), Arc::new(codec))
    }

    /// The value of a key, fresh or stale; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Deserialization`](crate::ErrorKind::Deserialization) for a value that is no `T`
    /// or is damaged: its cause says what is wrong, without quoting the value.
    /// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) for one that was tampered with, moved
    /// from another key, encrypted with an unknown key, or not encrypted though it should be.
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed),
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.look_up("get", key)
    }

    fn look_up<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        key: &str,
    ) -> Result<Option<T>, Error> {
        let (view, codec) = (self.view(), self.codec());
        // Decoding is foreign code: it waits until the lock is released.
        let decode = |stored: Stored| view.with_key(key, |key| codec.read(operation, key, &stored));
        let found = view.get_with(key, Stored::clone, decode)?.transpose();
        if found.is_err() {
            Tally::of(view.counters()).undecoded();
        }
        found
    }

    /// Stores a value that never expires, in place of what was there, tags included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) for a value that would not
    /// come back as it is (see [`Serializer`]), or is too large to be read again; what was there
    /// stays. [`ErrorKind::Closed`](crate::ErrorKind::Closed),
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.set_with(key, value, SetOptions::new())
    }

    /// Stores a value with a time to live, tags or both: [`SetOptions`], or simply a `Duration`.
    ///
    /// A computation of the same key that began before is fenced: its result reaches those who
    /// asked for it, never the store.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_with<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        options: impl Into<SetOptions>,
    ) -> Result<(), Error> {
        self.view().open("set")?;
        key::validate(key, "set")?;
        let writing = self.written("set", key, value)?;
        self.put(key, writing, &options.into())
    }

    /// What to store of a value; counts one that can't be written.
    fn written<T: Serialize + ?Sized>(
        &self,
        operation: &'static str,
        key: &str,
        value: &T,
    ) -> Result<Writing<Stored>, Error> {
        let view = self.view();
        let write = |physical: &[u8]| self.codec().write(operation, physical, value);
        let written = view.with_key(key, write);
        if written.is_err() {
            Tally::of(view.counters()).error();
        }
        written
    }

    fn put(&self, key: &str, writing: Writing<Stored>, options: &SetOptions) -> Result<(), Error> {
        let (Writing { stored, weight, bytes }, view) = (writing, self.view());
        let SetOptions { ttl, tags } = options;
        view.set(key, Value { value: stored, ttl: *ttl, tags, weight })?;
        // With a time to live of zero nothing was written.
        if let Some((raw, packed)) = bytes.filter(|_| ttl.is_none_or(|ttl| !ttl.is_zero())) {
            Tally::of(view.counters()).wrote(raw, packed);
        }
        Ok(())
    }

    /// The bytes in which a value is stored, after all steps; an integer that is not encrypted is
    /// its decimal. For looking, and for tools: this is no use of the entry, and not counted.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete).
    pub fn stored(&self, key: &str) -> Result<Option<Arc<[u8]>>, Error> {
        self.view().open("stored")?;
        key::validate(key, "stored")?;
        Ok(self.view().peek(key, Stored::clone).map(|stored| stored.to_bytes()))
    }

    operations!();
}

#[cfg(feature = "json")]
impl Default for EncodedCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EncodedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedCache")
            .field("namespace", &self.view().namespace().name())
            .field("closed", &self.view().is_closed())
            .field("codec", self.codec())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "json", feature = "msgpack", feature = "compress", feature = "encrypt"))]
mod tests;
