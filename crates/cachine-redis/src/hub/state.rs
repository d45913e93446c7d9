//! Everything that the hub's lock guards.

use std::task::Waker;

use cachine_core::clock::Instant;
use redis::Value;

use super::connection::{Connection, Phase};
use super::outbox::Segment;
use super::place::{Place, Places, Stage};
use super::{Act, Terms};
use crate::greeting::Greeting;
use crate::link::{Batch, Cause, Fault, Sent};

/// Connections, calls and what the loop is to do about them. Wakers that are to be woken are handed
/// out: nothing is woken under the lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) connections: Vec<Connection>,
    pub(super) places: Places,
    pub(super) naps: Vec<Nap>,
    pub(super) acts: Vec<Act>,
    /// When the loop's one timer goes off.
    pub(super) armed: Option<Instant>,
    /// Whether the loop was asked for [`Act::Soon`].
    pub(super) is_soon: bool,
    pub(super) is_closed: bool,
    pub(super) last_nap: u64,
}

/// Somebody who waits for a time.
pub(super) struct Nap {
    pub(super) number: u64,
    pub(super) until: Instant,
    pub(super) waker: Waker,
}

/// What came was not what was asked for.
pub(super) enum Wrong {
    /// The greeting was refused.
    Refused(Fault),
    /// A reply to nothing.
    Surplus(String),
}

impl State {
    /// Asks the loop for a timer, unless it has one that is early enough.
    pub(super) fn arm(&mut self, at: Instant) {
        if self.armed.is_none_or(|armed| at < armed) {
            self.armed = Some(at);
            self.acts.push(Act::Wake(at));
        }
    }

    /// Puts a batch in line.
    pub(super) fn enqueue(
        &mut self,
        place: Place,
        batch: &Batch,
        now: Instant,
        terms: &Terms,
    ) -> Result<u32, Fault> {
        let (node, until) = (place.node, place.until);
        if self.is_closed {
            return Err(fault(Sent::No, Cause::Connection, "the cache was closed".to_owned()));
        }
        let Some(connection) = self.connections.get_mut(node) else {
            let text = format!("node {node} is unknown to this link");
            return Err(fault(Sent::No, Cause::Connection, text));
        };
        let number = self.places.add(place);
        let is_quiet = connection.line.is_empty() && connection.outbox.is_empty();
        let segment = connection.outbox.push(number, batch.bytes());
        if let Some(place) = self.places.get_mut(number) {
            place.stage = Stage::Unwritten(segment);
        }
        match connection.phase {
            Phase::Idle => {
                connection.phase = Phase::Opening;
                connection.epoch = connection.epoch.wrapping_add(1);
                connection.opened = now;
                connection.needed = until;
                let (epoch, at) = (connection.epoch, connection.given_up(terms.connect_timeout));
                self.acts.push(Act::Connect { node, epoch });
                self.arm(at);
            }
            Phase::Opening | Phase::Greeting => connection.needed = connection.needed.max(until),
            Phase::Open if connection.is_paused => {}
            Phase::Open if is_quiet => {
                let epoch = connection.epoch;
                self.acts.push(Act::Write { node, epoch });
            }
            Phase::Open => self.soon(),
        }
        self.arm(until);
        Ok(number)
    }

    /// Asks the loop to flush in its next turn.
    pub(super) fn soon(&mut self) {
        if !self.is_soon {
            self.is_soon = true;
            self.acts.push(Act::Soon);
        }
    }

    /// The next segment to write.
    pub(super) fn pop(&mut self, node: usize, now: Instant) -> Option<Segment> {
        let connection = &mut self.connections[node];
        let segment = connection.outbox.pop()?;
        for &(number, _) in &segment.batches {
            connection.line.push_back(number);
            if let Some(place) = self.places.get_mut(number) {
                place.stage = Stage::Written(now);
            }
        }
        if !connection.outbox.is_empty() {
            self.soon();
        }
        Some(segment)
    }

    /// Takes a reply.
    pub(super) fn reply(
        &mut self,
        node: usize,
        reply: Value,
        now: Instant,
        greeting: &Greeting,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), Wrong> {
        if matches!(reply, Value::Push { .. }) {
            return Ok(());
        }
        let connection = &mut self.connections[node];
        if connection.phase == Phase::Greeting {
            greeting.judge(connection.greeted, &reply).map_err(Wrong::Refused)?;
            connection.greeted += 1;
            if connection.greeted == greeting.replies() {
                self.open(node, now);
            }
            return Ok(());
        }
        let Some(&number) = connection.line.front() else {
            return Err(Wrong::Surplus(kind(&reply)));
        };
        let Some(place) = self.places.get_mut(number) else { return Ok(()) };
        if place.take(reply) {
            place.stage = Stage::Out;
            wakers.extend(place.waker.take());
            connection.line.pop_front();
            connection.first_since = now;
            self.places.release(number);
        }
        Ok(())
    }

    /// The greeting is over: commands may go.
    pub(super) fn open(&mut self, node: usize, now: Instant) {
        let connection = &mut self.connections[node];
        connection.phase = Phase::Open;
        connection.received = now;
        connection.first_since = now;
        if !connection.outbox.is_empty() && !connection.is_paused {
            let epoch = connection.epoch;
            self.acts.push(Act::Write { node, epoch });
        }
    }

    /// Ends a connection, and every call that is in its line or waits to be written.
    pub(super) fn end(&mut self, node: usize, cause: Cause, text: &str, wakers: &mut Vec<Waker>) {
        let connection = &mut self.connections[node];
        if connection.phase == Phase::Idle {
            return;
        }
        connection.phase = Phase::Idle;
        connection.epoch = connection.epoch.wrapping_add(1);
        connection.greeted = 0;
        connection.is_paused = false;
        connection.stream = super::stream::Stream::default();
        let line = std::mem::take(&mut connection.line);
        let unwritten = connection.outbox.drain();
        let line = line.into_iter().map(|number| (number, Sent::Maybe));
        for (number, sent) in line.chain(unwritten.into_iter().map(|number| (number, Sent::No))) {
            if let Some(place) = self.places.get_mut(number) {
                place.stage = Stage::Out;
                wakers.extend(place.fail(|| fault(sent, cause, text.to_owned())));
            }
            self.places.release(number);
        }
        self.acts.push(Act::Abort { node });
    }

    /// The caller of a place is gone.
    pub(super) fn leave(&mut self, number: u32) {
        let Some(place) = self.places.get_mut(number) else { return };
        place.is_wanted = false;
        place.waker = None;
        self.take_back(number);
        self.places.release(number);
    }

    /// Takes a batch out of the outbox, if it is still there.
    pub(super) fn take_back(&mut self, number: u32) -> bool {
        let Some(place) = self.places.get_mut(number) else { return false };
        let Stage::Unwritten(segment) = place.stage else { return false };
        place.stage = Stage::Out;
        self.connections[place.node].outbox.remove(number, segment);
        true
    }
}

pub(super) fn fault(sent: Sent, cause: Cause, text: String) -> Fault {
    Fault { sent, cause, text }
}

/// What an unasked-for reply was; an error in the server's words, of anything else nothing, because
/// it may be a value.
fn kind(reply: &Value) -> String {
    match reply {
        Value::ServerError(error) => error.to_string(),
        _ => "a reply to no command".to_owned(),
    }
}
