//! Real servers for tests, as guards that stop what they started.
//!
//! ```
//! use cachine_testkit::{Redis, Reply};
//!
//! let redis = Redis::start();
//! redis.command(&["SET", "greeting", "hello"]);
//! assert_eq!(redis.command(&["GET", "greeting"]), Reply::from("hello"));
//! # assert_ne!(redis.port(), 6379);
//! ```
//!
//! A server listens on a free port of the loopback interface, keeps nothing on disk but what is in
//! its own temporary folder, and is ended when its guard is dropped, also by a panic. It does not
//! outlive its test even when that is killed: it is on a leash (`process.rs`).
//!
//! What can go wrong here is a defect of the test or of the machine, so it panics and says which.
//! `CACHINE_REDIS_SERVER` and `CACHINE_OPENSSL` name the programs to use; otherwise the search path
//! does.

mod certificates;
mod folder;
mod process;
pub mod program;
mod redis;
mod reply;
mod setup;

pub use certificates::{Certificates, Pair};
pub use redis::Redis;
pub use reply::Reply;
pub use setup::Setup;
