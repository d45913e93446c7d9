//! Reading through a cache in Redis: what is there is decoded, what is missing is computed.
//!
//! What happens is said in `call`; here it is started, for threads and for tasks.

#[cfg(feature = "tokio")]
mod tasks;

use std::convert::Infallible;
use std::time::Duration;

use cachine_core::error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::read_through::{ReadThrough, Refreshes, held};
use crate::redis_cache::RedisCache;
use crate::redis_cache::call::{Call, Looked};
use crate::redis_cache::compute::Here;
use crate::redis_cache::door::run;

impl RedisCache {
    /// The value of a key; where there is none, computes it and stores it as `options` say.
    ///
    /// With [`singleflight`](ReadThrough::singleflight) one computation serves all that ask at the
    /// same time: threads and tasks of this process, of all its caches on this database, wait for
    /// it; other processes and hosts look for its value every few milliseconds. A stale value is
    /// answered at once while one process computes it anew. A value whose computation began before
    /// a `set`, a `delete`, an invalidation of its tags or a `clear`, by whichever process, is
    /// answered to those who asked before, never stored.
    ///
    /// A store that fails never breaks the computation: where the server does not answer, or what
    /// it has can't be read, this computes, and counts an error.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use cachine::{ReadThrough, RedisCache};
    ///
    /// let cache = RedisCache::builder().build()?;
    /// let options = ReadThrough::new().ttl(Duration::from_secs(60)).singleflight(true);
    /// let word = cache.get_or_compute("word:1", &options, || "cache".to_owned())?;
    /// assert_eq!(word, "cache");
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed), and before anything is computed
    /// [`InvalidKey`](crate::ErrorKind::InvalidKey) and [`Config`](crate::ErrorKind::Config) for a
    /// stale ttl without a ttl.
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
        self.read(key, options, compute, Ok::<T, Infallible>).map(|Ok(value)| value)
    }

    /// As [`get_or_compute`](Self::get_or_compute), for a computation that can fail. Its error is
    /// not stored; those of this process who wait for the computation get a clone of it, another
    /// process computes for itself. The outer result is the cache's, the inner one the
    /// computation's.
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
        self.read(key, options, compute, |result| result)
    }

    /// The value of a key; where there is none, stores what `factory` makes, for `ttl` or for ever.
    /// However many ask at once, one computes.
    ///
    /// # Errors
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub fn get_or_set<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static>(
        &self,
        key: &str,
        ttl: Option<Duration>,
        factory: impl FnOnce() -> T,
    ) -> Result<T, Error> {
        self.get_or_compute(key, &ReadThrough::for_set(ttl), factory)
    }

    fn read<T, R, F, O, E>(
        &self,
        key: &str,
        options: &ReadThrough<T, R>,
        compute: F,
        as_result: fn(O) -> Result<T, E>,
    ) -> Result<Result<T, E>, Error>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        R: Refreshes<F>,
        F: FnOnce() -> O,
        O: 'static,
        E: Clone + Send + Sync + 'static,
    {
        run(async {
            let mut call = Call::new(&self.shelf, key, options)?;
            match call.look().await? {
                Looked::Value(value) => Ok(Ok(value)),
                Looked::Missing => call.compute(Here(compute), as_result).await,
                Looked::Refresh(value, ticket) => {
                    let refresh = call.to_refresh();
                    options.refresh.start(compute, move |compute| {
                        // There is nobody to tell: the ticket has heard how it ended.
                        let _ = run(async {
                            if let Some((flight, (refresh, leading))) = refresh.lead(ticket).await {
                                let result = as_result(held::run(flight, compute));
                                refresh.settle(leading, result).await;
                            }
                            Ok(())
                        });
                    });
                    Ok(Ok(value))
                }
            }
        })
    }
}
