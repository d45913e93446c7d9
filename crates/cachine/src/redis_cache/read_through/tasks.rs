//! Reading through a cache in Redis from tasks; the twin of that from threads.

use std::convert::Infallible;
use std::time::Duration;

use cachine_core::error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::read_through::{ReadThrough, RefreshesAsync};
use crate::redis_cache::AsyncRedisCache;
use crate::redis_cache::call::{Call, Looked};
use crate::redis_cache::compute::InTask;

impl AsyncRedisCache {
    /// The value of a key; where there is none, computes it and stores it as `options` say.
    ///
    /// Everything is as in [`RedisCache::get_or_compute`](crate::RedisCache::get_or_compute);
    /// threads and tasks share computations.
    /// One is part of the future that began it: where that is dropped, its right to store is
    /// given back, and one of those who wait takes over.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), cachine::Error> {
    /// use std::time::Duration;
    /// use cachine::{AsyncRedisCache, ReadThrough};
    ///
    /// let cache = AsyncRedisCache::builder().build()?;
    /// let options = ReadThrough::new()
    ///     .ttl(Duration::from_secs(60))
    ///     .singleflight(true)
    ///     .stale_ttl(Duration::from_secs(120))
    ///     .refresh_with(|task| drop(tokio::spawn(task)));
    /// let value = cache.get_or_compute("answer", &options, || async { 42 }).await?;
    /// assert_eq!(value, 42);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`RedisCache::get_or_compute`](crate::RedisCache::get_or_compute).
    ///
    /// # Panics
    ///
    /// As [`RedisCache::get_or_compute`](crate::RedisCache::get_or_compute).
    pub async fn get_or_compute<T, R, F, A>(
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
        let read = self.read(key, options, compute, Ok::<T, Infallible>);
        read.await.map(|Ok(value)| value)
    }

    /// As [`get_or_compute`](Self::get_or_compute), for a computation that can fail; see
    /// [`RedisCache::try_get_or_compute`](crate::RedisCache::try_get_or_compute).
    ///
    /// # Errors
    ///
    /// As [`RedisCache::get_or_compute`](crate::RedisCache::get_or_compute); inside, whatever
    /// `compute` fails with.
    ///
    /// # Panics
    ///
    /// As [`RedisCache::get_or_compute`](crate::RedisCache::get_or_compute).
    pub async fn try_get_or_compute<T, R, F, A, E>(
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
        self.read(key, options, compute, |result| result).await
    }

    /// The value of a key; where there is none, stores what `factory` makes, for `ttl` or for
    /// ever. However many ask at once, one computes.
    ///
    /// # Errors
    ///
    /// As [`RedisCache::get_or_compute`](crate::RedisCache::get_or_compute).
    pub async fn get_or_set<T, F, A>(
        &self,
        key: &str,
        ttl: Option<Duration>,
        factory: F,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        F: FnOnce() -> A,
        A: Future<Output = T>,
    {
        self.get_or_compute(key, &ReadThrough::for_set(ttl), factory).await
    }

    async fn read<T, R, F, A, E>(
        &self,
        key: &str,
        options: &ReadThrough<T, R>,
        compute: F,
        as_result: fn(A::Output) -> Result<T, E>,
    ) -> Result<Result<T, E>, Error>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        R: RefreshesAsync<F, A>,
        F: FnOnce() -> A,
        A: Future<Output: 'static>,
        E: Clone + Send + Sync + 'static,
    {
        let mut call = Call::new(&self.shelf, key, options)?;
        match call.look().await? {
            Looked::Value(value) => Ok(Ok(value)),
            Looked::Missing => call.compute(InTask(compute), as_result).await,
            Looked::Refresh(value, ticket) => {
                let lead = call.to_refresh().lead(ticket);
                options.refresh.start_after(compute, lead, move |(refresh, leading), output| {
                    let result = as_result(output);
                    async move { refresh.settle(leading, result).await }
                });
                Ok(Ok(value))
            }
        }
    }
}
