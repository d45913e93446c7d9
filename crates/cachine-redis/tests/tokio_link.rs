//! The link for tasks against servers that misbehave, and against a real one.

#[cfg(feature = "tls")]
#[path = "tokio_link/encrypted.rs"]
mod encrypted;
#[path = "tokio_link/faults.rs"]
mod faults;
#[path = "tokio_link/replies.rs"]
mod replies;
#[path = "tokio_link/server.rs"]
mod server;

use std::time::Duration;

use cachine_core::clock::{Clock, nanoseconds};
use cachine_redis::link::{Batch, Class, Fault, Link, Node, Replies};
use cachine_redis::settings::{Address, Settings};
use cachine_redis::tokio_link::Multiplexed;
use redis::Cmd;

/// Long enough for a server on a machine that does ten other things.
const PATIENT: Duration = Duration::from_secs(20);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(200);

fn settings(port: u16) -> Settings {
    let address = Address::Tcp("127.0.0.1".to_owned(), port);
    Settings { address, connect_timeout: PATIENT, ..Settings::default() }
}

fn link(port: u16) -> Multiplexed {
    Multiplexed::new(settings(port))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn command(words: &[&str]) -> Cmd {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command
}

async fn within(link: &Multiplexed, time: Duration, batch: &Batch) -> Result<Replies, Fault> {
    let until = Clock::System.now() + nanoseconds(time);
    link.call(Node(0), batch, until).await
}

async fn say(link: &Multiplexed, words: &[&str]) -> Result<redis::Value, Fault> {
    let batch = Batch::one(Class::Idempotent, &command(words));
    within(link, PATIENT, &batch).await.map(Replies::one)
}

/// How long something takes.
fn took<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let began = Clock::System.now();
    let result = act();
    (result, Duration::from_nanos(Clock::System.now() - began))
}
