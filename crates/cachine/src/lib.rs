//! Cachine: the caching library that people stop looking after.
//!
//! A value that is slow to get is kept for the next time it is asked for. That is one line; what
//! the lines around it usually get wrong is what this crate is about:
//!
//! * **One computation, however many ask.** Threads and tasks that miss the same key at the same
//!   moment share one computation and its value or error ([`ReadThrough::singleflight`]).
//! * **No waiting for what is merely old.** A stale value is answered at once while a new one is
//!   computed behind its back ([`ReadThrough::stale_ttl`]).
//! * **No stale write.** A value whose computation began before a `set`, a `delete`, an
//!   invalidation of its tags or a `clear` is answered, but never stored.
//! * **Locks that tell when they are lost.** One holder at a time, in this process or in all that
//!   use a server; a growing token fences off what a frozen holder writes late ([`lock`]).
//! * **Your code never runs under a lock of ours**: closures, `Clone`, `Drop`, wakers.
//!
//! ```
//! use std::time::Duration;
//! use cachine::{InMemoryCache, ReadThrough};
//!
//! # fn load(id: u32) -> String { format!("product {id}") }
//! let cache = InMemoryCache::builder().max_size(10_000).namespace("shop").build()?;
//! let products = ReadThrough::new().ttl(Duration::from_secs(60)).singleflight(true);
//!
//! let product = cache.get_or_compute("product:7", &products, || load(7))?;
//! assert_eq!(product, "product 7");
//! assert_eq!(cache.get("product:7")?, Some(product));
//! # Ok::<_, cachine::Error>(())
//! ```
//!
//! [`InMemoryCache`] has every operation, [`ReadThrough`] the options of a read that computes what
//! is missing. `EncodedCache` (feature `json` or `msgpack`) keeps values as bytes, `RedisCache` and
//! `AsyncRedisCache` (features `redis` and `tokio`) keep them in a server that programs share.
//! `AsyncRedisCache` needs tokio; nothing else needs an async runtime, and every one will do. The
//! Python package of the same name is another door to the same engine: [`View`] and [`core`] are
//! what both stand on, and are of use to those who build a third.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "json", feature = "msgpack"))]
pub mod encoded;
mod freshness;
pub mod lock;
pub mod memory;
mod operations;
pub mod read_through;
#[cfg(all(feature = "redis", any(feature = "json", feature = "msgpack")))]
pub mod redis_cache;
#[cfg(feature = "redis")]
pub mod space;
mod timetable;
mod view;

#[cfg(feature = "compress")]
pub use cachine_codec::compression::{Algorithm, Compression};
#[cfg(feature = "encrypt")]
pub use cachine_codec::encryption::{Encryption, generate_key};
pub use cachine_core as core;
pub use cachine_core::clock::{Clock, FakeClock};
pub use cachine_core::error::{Error, ErrorKind};
pub use cachine_core::policy::Eviction;
pub use cachine_core::stats::Stats;
#[cfg(feature = "redis")]
pub use cachine_redis as redis;
#[cfg(any(feature = "json", feature = "msgpack"))]
pub use encoded::{EncodedCache, Serializer};
pub use freshness::Freshness;
pub use lock::{Lock, LockOptions};
pub use memory::{Counter, InMemoryCache, SetOptions};
pub use read_through::ReadThrough;
#[cfg(all(feature = "tokio", any(feature = "json", feature = "msgpack")))]
pub use redis_cache::{AsyncRedisCache, AsyncRedisLock};
#[cfg(all(feature = "redis", any(feature = "json", feature = "msgpack")))]
pub use redis_cache::{RedisCache, RedisLock};
pub use view::{Value, View};

/// The Rust of the README, compiled and run with the documentation's own examples.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
