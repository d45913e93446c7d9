//! How a test calls a link, and how long it took.

use std::time::Duration;

use cachine_core::clock::{Clock, nanoseconds};
use cachine_redis::blocking::Blocking;
use cachine_redis::link::{Batch, Class, Fault, Link, Node, Replies, finish};
use cachine_redis::settings::{Address, Settings};

use crate::fake::Fake;

/// What a call brought.
pub(crate) struct Timed {
    pub(crate) outcome: Result<Replies, Fault>,
    pub(crate) took: Duration,
}

/// Settings without password or TLS for an address, with room for slow machines.
pub(crate) fn settings(port: u16) -> Settings {
    Settings {
        address: Address::Tcp("127.0.0.1".to_owned(), port),
        connect_timeout: Duration::from_secs(60),
        ..Settings::default()
    }
}

/// A link to a fake server.
pub(crate) fn link_to(server: &Fake) -> Blocking {
    Blocking::new(settings(server.address.port()), Clock::System)
}

/// A call with a deadline from now, and how long it took.
pub(crate) fn timed(link: &Blocking, batch: &Batch, deadline: Duration) -> Timed {
    let begin = link.now();
    let outcome = finish(link.call(Node(0), batch, begin + nanoseconds(deadline))).unwrap();
    Timed { outcome, took: Duration::from_nanos(link.now() - begin) }
}

/// A call that has all the time it needs.
pub(crate) fn call(link: &Blocking, batch: &Batch) -> Result<Replies, Fault> {
    timed(link, batch, Duration::from_secs(60)).outcome
}

/// A batch that may be sent twice.
pub(crate) fn get(key: &str) -> Batch {
    Batch::one(Class::Idempotent, redis::cmd("GET").arg(key))
}

/// A batch that may not.
pub(crate) fn incr(key: &str) -> Batch {
    Batch::one(Class::Once, redis::cmd("INCR").arg(key))
}
