//! The caches in Redis against a real server that each test starts for itself.
//!
//! What threads and tasks have in common is written once, as bodies of macros: `wait!` is a call of
//! a thread, or one that a task awaits. A second process is played by a cache that calls the same
//! server by another name: the two share nothing but the server.

#[path = "redis/building.rs"]
mod building;
#[path = "redis/endings.rs"]
mod endings;
#[path = "redis/failing.rs"]
mod failing;
#[path = "redis/fences.rs"]
mod fences;
#[path = "redis/flights.rs"]
mod flights;
#[path = "redis/locks.rs"]
mod locks;
#[path = "redis/operations.rs"]
mod operations;
#[path = "redis/proxy.rs"]
mod proxy;
#[path = "redis/server.rs"]
mod server;
#[path = "redis/stale.rs"]
mod stale;

use std::time::Duration;

use cachine::redis_cache::Builder;
use cachine::{AsyncRedisCache, RedisCache};
use serde::{Deserialize, Serialize};

use server::Server;

const SECOND: Duration = Duration::from_secs(1);
/// Long enough for a server on a machine that does ten other things.
const PATIENT: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct User {
    name: String,
    age: u8,
}

fn ada() -> User {
    User { name: "Ada".to_owned(), age: 36 }
}

/// A cache of this process.
fn blocking(server: &Server) -> Builder<RedisCache> {
    RedisCache::builder().host("127.0.0.1").port(server.port()).timeout(PATIENT)
}

/// The same for tasks.
fn asynchronous(server: &Server) -> Builder<AsyncRedisCache> {
    AsyncRedisCache::builder().host("127.0.0.1").port(server.port()).timeout(PATIENT)
}

/// A cache of what could be another process: it shares no computation with the two above.
fn elsewhere(server: &Server) -> RedisCache {
    let builder = RedisCache::builder().host("localhost").port(server.port());
    builder.timeout(PATIENT).namespace("n").build().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

/// Runs the bodies of `$tests` for threads and for tasks.
macro_rules! on_both {
    ($tests:ident) => {
        mod threads {
            use super::*;
            macro_rules! wait {
                ($call:expr) => {
                    $call
                };
            }
            macro_rules! enter {
                ($body:block) => {
                    $body
                };
            }
            use crate::blocking as builder;
            $tests!();
        }

        mod tasks {
            use super::*;
            macro_rules! wait {
                ($call:expr) => {
                    $call.await
                };
            }
            macro_rules! enter {
                                                        ($body:block) => {
                                                            crate::runtime().block_on(async $body)
                                                        };
                                                    }
            use crate::asynchronous as builder;
            $tests!();
        }
    };
}
pub(crate) use on_both;

#[expect(clippy::disallowed_methods, reason = "the caller of `expire_at` names a time of it")]
fn wall_clock() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
