//! The hub against a clock that tests move and a server that they play.

mod bounds;
mod deadlines;
mod lines;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use cachine_core::clock::{Clock, FakeClock, nanoseconds};
use redis::Value;

use super::{Act, Hub, Looped};
use crate::link::{Batch, Cause, Class, Fault, Link, Node, Replies, Sent};
use crate::settings::Settings;

/// A hub, the loop around it and the server behind it.
struct Table {
    clock: FakeClock,
    hub: Arc<Hub>,
    /// What the hub asked for and nobody did yet.
    acts: Vec<Act>,
    epoch: u32,
}

/// A call under way.
struct Guest {
    work: Pin<Box<dyn Future<Output = Result<Replies, Fault>>>>,
    bell: Arc<Bell>,
    until: u64,
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Table {
    fn new() -> Self {
        Self::with(&Settings::default())
    }

    fn with(settings: &Settings) -> Self {
        let clock = FakeClock::new();
        let hub = Hub::with_clock(settings, Clock::Fake(clock.clone()));
        Self { clock, hub, acts: Vec::new(), epoch: 0 }
    }

    /// One whose connection stands and is greeted.
    fn open() -> Self {
        let mut table = Self::new();
        let mut first = table.call(b"first", 1000);
        table.connect();
        table.greet();
        assert_eq!(table.written(), packed(b"first"));
        table.receive(b"+OK\r\n");
        assert!(first.outcome().unwrap().is_ok());
        table
    }

    fn call(&mut self, key: &[u8], milliseconds: u64) -> Guest {
        self.send(Batch::one(Class::Once, redis::cmd("GET").arg(key)), milliseconds)
    }

    fn send(&mut self, batch: Batch, milliseconds: u64) -> Guest {
        let link = Looped::new(Arc::clone(&self.hub));
        let until = link.now() + milliseconds * 1_000_000;
        let work = Box::pin(async move { link.call(Node(0), &batch, until).await });
        let mut guest = Guest { work, bell: Arc::default(), until };
        assert!(guest.poll().is_pending(), "a call waits");
        self.look();
        guest
    }

    /// Collects what the hub asks for.
    fn look(&mut self) {
        let mut acts = Vec::new();
        self.hub.acts(&mut acts);
        self.acts.extend(acts);
    }

    fn took(&mut self, wanted: impl Fn(&Act) -> bool) -> Option<Act> {
        self.look();
        let place = self.acts.iter().position(wanted)?;
        Some(self.acts.remove(place))
    }

    fn connect(&mut self) {
        let Some(Act::Connect { node: 0, epoch }) =
            self.took(|act| matches!(act, Act::Connect { .. }))
        else {
            panic!("no connection was asked for");
        };
        self.epoch = epoch;
        assert!(self.hub.connected(0, epoch));
    }

    fn greet(&mut self) {
        assert!(!self.written().is_empty());
        self.receive(b"+PONG\r\n");
    }

    /// What the hub asked to write, until it asks for no more.
    fn written(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let write = |act: &Act| matches!(act, Act::Write { .. });
            if let Some(Act::Write { node, epoch }) = self.took(write) {
                all.extend(self.hub.write(node, epoch, <[u8]>::to_vec).unwrap_or_default());
            } else if self.took(|act| *act == Act::Soon).is_some() {
                self.hub.flush();
            } else {
                return all;
            }
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.hub.feed(0, self.epoch, bytes, &mut Vec::new());
        self.look();
    }

    fn pass(&mut self, milliseconds: u64) {
        self.clock.advance(Duration::from_millis(milliseconds));
    }

    /// Moves the time to each timer that goes off until then, as the loop would.
    fn run(&mut self, milliseconds: u64) {
        let end = self.hub.now() + milliseconds * 1_000_000;
        loop {
            self.look();
            let armed = self.acts.iter().rev().find_map(|act| match act {
                Act::Wake(at) => Some(*at),
                _ => None,
            });
            let Some(at) = armed.filter(|&at| at <= end) else { break };
            self.acts.retain(|act| !matches!(act, Act::Wake(_)));
            let ahead = at.saturating_sub(self.hub.now());
            self.clock.advance(Duration::from_nanos(ahead));
            self.hub.tick();
        }
        let ahead = end.saturating_sub(self.hub.now());
        self.clock.advance(Duration::from_nanos(ahead));
    }

    fn is_aborted(&mut self) -> bool {
        self.took(|act| matches!(act, Act::Abort { .. })).is_some()
    }
}

impl Guest {
    fn poll(&mut self) -> Poll<Result<Replies, Fault>> {
        let waker = Waker::from(Arc::clone(&self.bell));
        self.work.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// The outcome, if the call was woken for one.
    fn outcome(&mut self) -> Option<Result<Replies, Fault>> {
        if self.bell.0.load(Ordering::Relaxed) == 0 {
            return None;
        }
        match self.poll() {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    fn value(&mut self) -> Value {
        self.outcome().expect("an outcome").expect("a reply").one()
    }

    fn fault(&mut self) -> Fault {
        self.outcome().expect("an outcome").expect_err("a fault")
    }
}

fn packed(key: &[u8]) -> Vec<u8> {
    redis::cmd("GET").arg(key).get_packed_command()
}

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

/// A second, in milliseconds: the deadline of the default settings.
const SECOND: u64 = 1000;

#[test]
fn the_default_deadline_is_a_second() {
    assert_eq!(nanoseconds(Settings::default().timeout), SECOND * 1_000_000);
}
