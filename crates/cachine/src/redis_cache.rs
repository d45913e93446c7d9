//! A cache in a Redis server, for everything that serde can carry: shared by threads, tasks,
//! processes and hosts.
//!
//! ```text
//!  set(&T) ─► serializer ─► compression ─► encryption ─► namespace:key in the server
//!  get::<T> ◄─ deserialize ◄─ decompress ◄──── open ◄──────┘
//! ```
//!
//! What JSON wrote stands in the server as it is, so that `redis-cli` and other programs read it; a
//! Python program with the package of the same name reads and writes the same entries, tags and
//! counters. An integer of 64 bits is kept as its decimal, which [`RedisCache::incr`] adds to.
//!
//! [`RedisCache`] is for threads, `AsyncRedisCache` for tasks of tokio (feature `tokio`). They have
//! the same operations.
//!
//! # When the server fails
//!
//! A whole call takes no longer than its timeout, a second unless said otherwise, whatever happens:
//! a name that is not found, a server that does not answer, one that drips. An operation fails then;
//! a [`get_or_compute`](RedisCache::get_or_compute) computes, without storing. Connections that broke
//! are made anew by the next call. Writes that a server had acknowledged and not yet replicated may
//! be lost with it.
//!
//! Needs the feature `redis`, and `json` or `msgpack`; `compress`, `encrypt` and `tls` add to it.

/// An operation of a cache for tasks.
#[cfg(feature = "tokio")]
macro_rules! awaited {
    ($operation:expr) => {
        $operation.await
    };
}

/// An operation of a cache for threads.
macro_rules! finished {
    ($operation:expr) => {
        run($operation)
    };
}

mod builder;
mod call;
mod compute;
mod door;
mod lock;
mod operations;
mod pauses;
mod read_through;
mod refreshes;
mod renewal;
mod server;
mod settling;
mod shelf;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cachine_core::error::Error;
use cachine_redis::blocking::Blocking;
#[cfg(feature = "tokio")]
use cachine_redis::tokio_link::Multiplexed;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::memory::{Health, SetOptions};
use crate::redis_cache::door::run;
use crate::redis_cache::operations::redis_operations;
use crate::redis_cache::shelf::Shelf;

pub use builder::Builder;
#[cfg(feature = "tls")]
pub use cachine_redis::settings::Tls;
#[cfg(feature = "tokio")]
pub use lock::AsyncRedisLock;
pub use lock::RedisLock;

/// A cache in a Redis server, for threads.
///
/// A clone is another handle to the same cache. All operations take `&self`; each blocks its thread
/// until the server has answered, on a connection of a pool that all threads share. In an async task
/// use `AsyncRedisCache`.
///
/// ```no_run
/// use std::time::Duration;
/// use cachine::RedisCache;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct User {
///     name: String,
///     age: u8,
/// }
///
/// let cache = RedisCache::builder().host("localhost").namespace("shop").build()?;
/// let ada = User { name: "Ada".to_owned(), age: 36 };
/// cache.set_with("user:1", &ada, Duration::from_secs(60))?;
/// assert_eq!(cache.get::<User>("user:1")?, Some(ada));
/// assert_eq!(cache.incr("visits", 1, None)?, 1);
/// # Ok::<_, cachine::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisCache {
    shelf: Arc<Shelf<Blocking>>,
}

/// A cache in a Redis server, for tasks of tokio.
///
/// A clone is another handle to the same cache. It can be built anywhere, also before there is a
/// runtime; its operations are awaited inside of one whose I/O and time are enabled. The tasks of a
/// runtime share one connection. A call whose future is dropped may or may not be carried out.
///
/// ```no_run
/// # async fn example() -> Result<(), cachine::Error> {
/// use std::time::Duration;
/// use cachine::AsyncRedisCache;
///
/// let cache = AsyncRedisCache::builder().url("redis://localhost/0")?.namespace("shop").build()?;
/// cache.set_with("user:1", "Ada", Duration::from_secs(60)).await?;
/// assert_eq!(cache.get::<String>("user:1").await?.as_deref(), Some("Ada"));
/// # Ok(()) }
/// ```
#[cfg(feature = "tokio")]
#[derive(Clone)]
pub struct AsyncRedisCache {
    shelf: Arc<Shelf<Multiplexed>>,
}

impl RedisCache {
    /// The options of a new cache.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cachine::RedisCache;
    ///
    /// let cache = RedisCache::builder()
    ///     .url("redis://cache.example:6379/1")?
    ///     .password("from where you keep it")
    ///     .namespace("shop")
    ///     .timeout(Duration::from_millis(500))
    ///     .build()?; // The first operation connects, not this.
    /// # Ok::<_, cachine::Error>(())
    /// ```
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    redis_operations!([] finished, RedisLock);
}

#[cfg(feature = "tokio")]
impl AsyncRedisCache {
    /// The options of a new cache.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    redis_operations!([async] awaited, AsyncRedisLock);
}

impl Builder<RedisCache> {
    /// Makes the cache, without a word to the server.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an option that can't work: the message
    /// names it. Whether there is such a server, the first operation tells.
    pub fn build(self) -> Result<RedisCache, Error> {
        Ok(RedisCache { shelf: self.shelf()? })
    }
}

#[cfg(feature = "tokio")]
impl Builder<AsyncRedisCache> {
    /// Makes the cache, without a word to the server and without a runtime.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an option that can't work: the message
    /// names it. Whether there is such a server, the first operation tells.
    pub fn build(self) -> Result<AsyncRedisCache, Error> {
        Ok(AsyncRedisCache { shelf: self.shelf()? })
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shelf.show("RedisCache", f)
    }
}

#[cfg(feature = "tokio")]
impl fmt::Debug for AsyncRedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shelf.show("AsyncRedisCache", f)
    }
}
