//! A link without I/O: an event loop carries its bytes, tells it the time and polls its work.
//!
//! The hub never touches a socket, a timer or an object of the loop. The loop tells it what happened
//! ([`Hub::connected`], [`Hub::feed`], [`Hub::lost`], [`Hub::tick`], ...), and after each of these
//! asks what to do ([`Hub::acts`]). Operations use [`Looped`], the [`Link`](crate::link::Link) over
//! it; replies wake them, and the loop polls them right there.
//!
//! - Every batch has a *place* in the line of its connection. A place outlives its caller: the reply
//!   to a call that was cancelled is counted and dropped, and replies never shift.
//! - While nothing is in flight a batch is written at once, otherwise once per turn of the loop.
//! - Commands wait until the greeting is answered: nothing runs in the wrong database or as the
//!   wrong user, and whatever fails before has certainly not been sent.
//! - What can't be understood ends the connection: a malformed reply, or one that nobody asked for.
//! - A connection that stops answering is given up, but not because of one impatient caller: see
//!   `Connection::suspect`.

mod connection;
mod looped;
mod outbox;
mod overdue;
mod place;
mod state;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use cachine_core::clock::{Clock, Instant, nanoseconds};

pub use self::looped::Looped;

use self::connection::{Connection, Phase};
use self::state::{State, Wrong};
use self::stream::Stop;
use crate::greeting::Greeting;
use crate::link::Cause;
use crate::settings::Settings;

/// What the loop is asked to do next. A node is given by its place in the hub's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Connect, then report [`Hub::connected`] or [`Hub::lost`] with this epoch.
    Connect {
        /// The node.
        node: usize,
        /// The number of the attempt.
        epoch: u32,
    },
    /// Write what [`Hub::write`] gives.
    Write {
        /// The node.
        node: usize,
        /// The number of the connection.
        epoch: u32,
    },
    /// Call [`Hub::flush`] in the next turn of the loop.
    Soon,
    /// Call [`Hub::tick`] at this time, and not at the time that was asked for before.
    Wake(Instant),
    /// Close the connection, or the attempt to connect, without sending what is left.
    Abort {
        /// The node.
        node: usize,
    },
}

/// Connections, their lines and the calls in them. It holds no object of any loop.
pub struct Hub {
    state: Mutex<State>,
    clock: Clock,
    greeting: Greeting,
    terms: Terms,
}

/// How long things may take, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Terms {
    timeout: u64,
    connect_timeout: u64,
}

/// How much a hub holds, for tests and for whoever looks for a leak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls whose caller waits, and replies that are due to nobody.
    pub places: usize,
    /// How many places fit without growing.
    pub capacity: usize,
    /// Waits for a time.
    pub naps: usize,
    /// Replies that are due.
    pub line: usize,
}

impl Hub {
    /// A hub for the server of these settings.
    pub fn new(settings: &Settings) -> Arc<Self> {
        Self::with_clock(settings, Clock::System)
    }

    fn with_clock(settings: &Settings, clock: Clock) -> Arc<Self> {
        let connections = vec![Connection::new(settings.address.to_string())];
        let terms = Terms {
            timeout: nanoseconds(settings.timeout),
            connect_timeout: nanoseconds(settings.connect_timeout),
        };
        let state = Mutex::new(State { connections, ..State::default() });
        Arc::new(Self { state, clock, greeting: Greeting::new(settings), terms })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, as deadlines count it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Moves what the loop has to do into an empty list.
    pub fn acts(&self, to: &mut Vec<Act>) {
        std::mem::swap(to, &mut self.lock().acts);
    }

    /// Whether there is nothing to do for the loop.
    pub fn is_still(&self) -> bool {
        self.lock().acts.is_empty()
    }

    /// Hands what is to be written now to `take`, if that connection still stands; the rest follows
    /// in later turns.
    pub fn write<T>(&self, node: usize, epoch: u32, take: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let now = self.clock.now();
        let mut state = self.lock();
        let connection = &state.connections[node];
        if connection.epoch != epoch || connection.is_paused {
            return None;
        }
        match connection.phase {
            Phase::Greeting => {
                drop(state);
                Some(take(self.greeting.bytes()))
            }
            Phase::Open => {
                let segment = state.pop(node, now)?;
                drop(state);
                let taken = take(&segment.bytes);
                self.lock().connections[node].outbox.recycle(segment);
                Some(taken)
            }
            Phase::Idle | Phase::Opening => None,
        }
    }

    /// Once per turn of the loop, if [`Act::Soon`] asked for it.
    pub fn flush(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        state.is_soon = false;
        for (node, connection) in state.connections.iter().enumerate() {
            let is_ready = connection.phase == Phase::Open && !connection.is_paused;
            if is_ready && !connection.outbox.is_empty() {
                state.acts.push(Act::Write { node, epoch: connection.epoch });
            }
        }
    }

    /// A connection stands; false if it is not wanted any more.
    pub fn connected(&self, node: usize, epoch: u32) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        let connection = &mut state.connections[node];
        if connection.epoch != epoch || connection.phase != Phase::Opening {
            return false;
        }
        connection.phase = Phase::Greeting;
        connection.greeted = 0;
        connection.received = now;
        if self.greeting.replies() == 0 {
            state.open(node, now);
        } else {
            state.acts.push(Act::Write { node, epoch });
        }
        true
    }

    /// There will be no connection, or it is gone; `text` says why.
    pub fn lost(&self, node: usize, epoch: u32, text: &str) {
        let mut wakers = Vec::new();
        let mut state = self.lock();
        let connection = &state.connections[node];
        if connection.epoch == epoch {
            let address = &connection.address;
            let text = match connection.phase {
                Phase::Open => format!("the connection to {address} broke: {text}"),
                _ => format!("there is no connection to {address}: {text}"),
            };
            state.end(node, Cause::Connection, &text, &mut wakers);
        }
        drop(state);
        wake(&mut wakers);
    }

    /// Bytes have come. `wakers` is an empty list, given so that it need not be allocated each time.
    pub fn feed(&self, node: usize, epoch: u32, bytes: &[u8], wakers: &mut Vec<Waker>) {
        let now = self.clock.now();
        let mut state = self.lock();
        let connection = &mut state.connections[node];
        let is_expected = matches!(connection.phase, Phase::Greeting | Phase::Open);
        if connection.epoch != epoch || !is_expected {
            return;
        }
        connection.received = now;
        let mut stream = std::mem::take(&mut connection.stream);
        let fed = stream.feed(bytes, |reply| state.reply(node, reply, now, &self.greeting, wakers));
        let connection = &mut state.connections[node];
        let is_clean = fed.is_err() || !connection.line.is_empty() || stream.renew();
        let fed = if is_clean { fed } else { Err(Stop::Malformed) };
        match fed {
            Ok(()) => connection.stream = stream,
            Err(stop) => {
                let (cause, text) = connection.reason(stop);
                state.end(node, cause, &text, wakers);
            }
        }
        drop(state);
        wake(wakers);
    }

    /// The transport asks for a pause: nothing is written until [`Hub::resume`].
    pub fn pause(&self, node: usize, epoch: u32) {
        let mut state = self.lock();
        let connection = &mut state.connections[node];
        if connection.epoch == epoch {
            connection.is_paused = true;
        }
    }

    /// The transport has room again.
    pub fn resume(&self, node: usize, epoch: u32) {
        let mut state = self.lock();
        let connection = &mut state.connections[node];
        if connection.epoch == epoch {
            connection.is_paused = false;
            if connection.phase == Phase::Open && !connection.outbox.is_empty() {
                state.acts.push(Act::Write { node, epoch });
            }
        }
    }

    /// The time of [`Act::Wake`] has come, more or less.
    pub fn tick(&self) {
        let now = self.clock.now();
        let mut wakers = Vec::new();
        self.lock().tick(now, &self.terms, &mut wakers);
        wake(&mut wakers);
    }

    /// Ends everything: calls fail, connections are aborted, and there will be no others.
    pub fn close(&self) {
        let mut wakers = Vec::new();
        let mut state = self.lock();
        state.is_closed = true;
        for node in 0..state.connections.len() {
            state.end(node, Cause::Connection, "the cache was closed", &mut wakers);
        }
        wakers.extend(std::mem::take(&mut state.naps).into_iter().map(|nap| nap.waker));
        drop(state);
        wake(&mut wakers);
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        let state = self.lock();
        Counts {
            places: state.places.len(),
            capacity: state.places.capacity(),
            naps: state.naps.len(),
            line: state.connections.iter().map(|connection| connection.line.len()).sum(),
        }
    }
}

/// Says how much there is, and nothing of it: keys, values and a password are inside.
impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Why a connection ends on which something else came than was expected.
    fn reason(&self, stop: Stop<Wrong>) -> (Cause, String) {
        let address = &self.address;
        match stop {
            Stop::Told(Wrong::Refused(fault)) => (fault.cause, fault.text),
            Stop::Told(Wrong::Surplus(what)) => {
                (Cause::Connection, format!("{address} sent what was not asked for: {what}"))
            }
            Stop::Malformed if self.phase == Phase::Greeting => {
                (Cause::Connection, format!("what answers at {address} does not speak RESP"))
            }
            Stop::Malformed => (Cause::Connection, format!("{address} sent a malformed reply")),
        }
    }
}

/// Wakes operations, under no lock.
fn wake(wakers: &mut Vec<Waker>) {
    for waker in wakers.drain(..) {
        waker.wake();
    }
}
