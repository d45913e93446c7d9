//! Reading through a cache in byte form: what is there is decoded, what is missing is computed.
//!
//! The code that runs is that of [`crate::read_through`]; said here is how it gets at a value.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cachine_core::error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoded::EncodedCache;
use crate::encoded::stored::Stored;
use crate::memory::Kept;
use crate::read_through::{
    ReadThrough, Refreshes, RefreshesAsync, Source, Writing, read, read_async,
};
use crate::view::View;

const OPERATION: &str = "get_or_compute";

impl<T> Source<T> for EncodedCache
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Stored = Stored;

    fn view(&self) -> &View<Kept<Stored>> {
        self.view()
    }

    fn read(&self, key: &str, stored: &Stored) -> Option<T> {
        self.view().with_key(key, |key| self.codec().read(OPERATION, key, stored)).ok()
    }

    fn write(&self, key: &str, value: &Arc<T>) -> Option<Writing<Stored>> {
        let value: &T = value;
        self.view().with_key(key, |key| self.codec().write(OPERATION, key, value)).ok()
    }

    fn is_same(a: &Stored, b: &Stored) -> bool {
        a.is_same(b)
    }
}

impl EncodedCache {
    /// The value of a key; where there is none, computes it and stores it as `options` say.
    ///
    /// Everything is as in [`InMemoryCache`](crate::InMemoryCache::get_or_compute), and a cache
    /// that fails never breaks the computation. A stored value that can't be read (tampered with,
    /// written under another key of encryption, of another type) is taken away and counted as an
    /// error and a miss. One that can't be written is answered to all who wait, not stored, and
    /// counted.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cachine::{EncodedCache, ReadThrough};
    ///
    /// let cache = EncodedCache::new();
    /// let options = ReadThrough::new().ttl(Duration::from_secs(60)).singleflight(true);
    /// let word = cache.get_or_compute("word:1", &options, || "cache".to_owned())?;
    /// assert_eq!(word, "cache");
    /// assert_eq!(cache.get::<String>("word:1")?, Some(word));
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// All before anything is computed: [`Closed`](crate::ErrorKind::Closed),
    /// [`InvalidKey`](crate::ErrorKind::InvalidKey), and [`Config`](crate::ErrorKind::Config) for
    /// a stale ttl without a ttl.
    ///
    /// # Panics
    ///
    /// Where `compute`, a closure of the options or the `Serialize` of `T` does; one of those who
    /// wait takes over.
    pub fn get_or_compute<T, R, F>(
        &self,
        key: &str,
        options: &ReadThrough<T, R>,
        compute: F,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: FnOnce() -> T,
        R: Refreshes<F>,
    {
        read(self, key, options, compute, Ok::<T, Infallible>).map(|Ok(value)| value)
    }

    /// As [`get_or_compute`](Self::get_or_compute), for a computation that can fail. Its error is
    /// not stored; those who wait for the computation get a clone of it. The outer result is the
    /// cache's, the inner one the computation's.
    ///
    /// # Errors
    ///
    /// As [`get_or_compute`](Self::get_or_compute); inside, whatever `compute` fails with.
    ///
    /// # Panics
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub fn try_get_or_compute<T, R, F, E>(
        &self,
        key: &str,
        options: &ReadThrough<T, R>,
        compute: F,
    ) -> Result<Result<T, E>, Error>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: FnOnce() -> Result<T, E>,
        R: Refreshes<F>,
        E: Clone + Send + Sync + 'static,
    {
        read(self, key, options, compute, |result| result)
    }

    /// The value of a key; where there is none, stores what `factory` makes, for `ttl` or for ever.
    /// However many ask at once, one computes.
    ///
    /// # Errors
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub fn get_or_set<T>(
        &self,
        key: &str,
        ttl: Option<Duration>,
        factory: impl FnOnce() -> T,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.get_or_compute(key, &ReadThrough::for_set(ttl), factory)
    }

    /// As [`get_or_compute`](Self::get_or_compute), for a computation that awaits.
    ///
    /// ```
    /// # pollster::block_on(async {
    /// use cachine::{EncodedCache, ReadThrough};
    ///
    /// let cache = EncodedCache::new();
    /// let options = ReadThrough::new().singleflight(true);
    /// assert_eq!(cache.get_or_compute_async("answer", &options, || async { 42 }).await?, 42);
    /// # Ok::<_, cachine::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    ///
    /// # Panics
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub async fn get_or_compute_async<T, R, F, A>(
        &self,
        key: &str,
        options: &ReadThrough<T, R>,
        compute: F,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: FnOnce() -> A,
        A: Future<Output = T>,
        R: RefreshesAsync<F, A>,
    {
        read_async(self, key, options, compute, Ok::<T, Infallible>).await.map(|Ok(value)| value)
    }

    /// As [`try_get_or_compute`](Self::try_get_or_compute), for a computation that awaits.
    ///
    /// # Errors
    ///
    /// As [`try_get_or_compute`](Self::try_get_or_compute).
    ///
    /// # Panics
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub async fn try_get_or_compute_async<T, R, F, A, E>(
        &self,
        key: &str,
        options: &ReadThrough<T, R>,
        compute: F,
    ) -> Result<Result<T, E>, Error>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: FnOnce() -> A,
        A: Future<Output = Result<T, E>>,
        R: RefreshesAsync<F, A>,
        E: Clone + Send + Sync + 'static,
    {
        read_async(self, key, options, compute, |result| result).await
    }
}
