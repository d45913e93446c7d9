//! What the hub knows about one connection.

use std::collections::VecDeque;

use cachine_core::clock::Instant;

use super::outbox::Outbox;
use super::place::{Place, Places, Stage};
use super::stream::Stream;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    Idle,
    /// The loop was asked for one.
    Opening,
    /// The greeting was sent.
    Greeting,
    /// Commands may be sent.
    Open,
}

/// The connection to one node, and what waits for it.
pub(super) struct Connection {
    /// The address, for messages.
    pub(super) address: String,
    pub(super) phase: Phase,
    /// Counts connections: what an earlier one still has to say is not listened to.
    pub(super) epoch: u32,
    pub(super) outbox: Outbox,
    /// The places of batches that were written, in the order of their replies.
    pub(super) line: VecDeque<u32>,
    /// How many replies of the greeting have come.
    pub(super) greeted: usize,
    pub(super) stream: Stream,
    /// Whether the transport asked for a pause.
    pub(super) is_paused: bool,
    /// When bytes came last.
    pub(super) received: Instant,
    /// Since when the first in line has been the first.
    pub(super) first_since: Instant,
    /// When connecting began.
    pub(super) opened: Instant,
    /// The last deadline of the calls that waited for this attempt to connect.
    pub(super) needed: Instant,
}

impl Connection {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            phase: Phase::Idle,
            epoch: 0,
            outbox: Outbox::default(),
            line: VecDeque::new(),
            greeted: 0,
            stream: Stream::default(),
            is_paused: false,
            received: 0,
            first_since: 0,
            opened: 0,
            needed: 0,
        }
    }

    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Opening | Phase::Greeting)
    }

    /// When an attempt to connect is given up: when it took its time, or nobody needs it any more.
    pub(super) fn given_up(&self, connect_timeout: u64) -> Instant {
        self.opened.saturating_add(connect_timeout).min(self.needed)
    }

    /// From when on this connection is suspect, if nothing comes before; `timeout` is what a whole
    /// call usually has.
    ///
    /// Only what is past its deadline and unanswered counts, whether or not somebody still waits.
    ///
    /// - *Silence*: nothing at all has come since that batch was written. How long that has to last
    ///   depends on how long the call itself was ready to wait: for one that waited a whole timeout
    ///   half of it, so that connecting may have taken the other half; for one with a short deadline
    ///   of its own a whole timeout, because a server that did not answer in 5 ms is not dead, and
    ///   others wait on the same connection.
    /// - *Drip*: the first in line has been the first for a whole timeout, and is still not answered
    ///   in full: everything behind it is held up, however lively its bytes trickle in.
    pub(super) fn suspect(&self, places: &Places, now: Instant, timeout: u64) -> Option<Instant> {
        let mut soonest = None;
        for (index, &number) in self.line.iter().enumerate() {
            let Some(place) = places.get(number) else { continue };
            let Stage::Written(written) = place.stage else { continue };
            if place.until > now {
                continue;
            }
            let mut at = written.max(self.received).saturating_add(patience(place, timeout));
            if index == 0 {
                let first = written.max(self.first_since);
                at = at.min(first.saturating_add(hold(place, timeout)));
            }
            soonest = Some(soonest.map_or(at, |before: Instant| before.min(at)));
        }
        soonest
    }
}

/// How long silence has to last after the batch of a call that is past its deadline.
fn patience(place: &Place, timeout: u64) -> u64 {
    let half = place.until.saturating_sub(place.since) / 2;
    timeout.saturating_sub(half).max(half)
}

/// How long a call that is past its deadline may be the first in line. A little less than it was
/// ready to wait, so that the moments between its start and its writing do not make a second tick.
fn hold(place: &Place, timeout: u64) -> u64 {
    let waited = place.until.saturating_sub(place.since).max(timeout);
    waited - waited / 16
}
