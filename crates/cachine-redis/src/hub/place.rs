//! A place in the line of replies; it outlives its caller, so that replies never shift.

use std::task::Waker;

use cachine_core::clock::Instant;
use redis::Value;

use crate::link::{Fault, Replies};

/// A table that is shorter than this is not worth shrinking.
const SMALL: usize = 64;

/// Where a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nowhere: answered, failed, or never sent.
    Out,
    /// In the outbox, in the segment of this number.
    Unwritten(u64),
    /// Given to the transport at this time.
    Written(Instant),
}

/// A batch that a call has sent, or is about to.
pub(super) struct Place {
    pub(super) node: usize,
    pub(super) stage: Stage,
    /// When the call began.
    pub(super) since: Instant,
    /// When it has to end.
    pub(super) until: Instant,
    /// Whether somebody waits for it.
    pub(super) is_wanted: bool,
    pub(super) waker: Option<Waker>,
    /// How many replies there will be.
    pub(super) expected: usize,
    /// How many have come.
    answered: usize,
    replies: Vec<Value>,
    pub(super) outcome: Option<Result<Replies, Fault>>,
}

impl Place {
    pub(super) fn new(node: usize, expected: usize, since: Instant, until: Instant) -> Self {
        Self {
            node,
            stage: Stage::Out,
            since,
            until,
            is_wanted: true,
            waker: None,
            expected,
            answered: 0,
            replies: Vec::new(),
            outcome: None,
        }
    }

    /// Whether a caller waits that has no outcome yet.
    pub(super) fn is_open(&self) -> bool {
        self.is_wanted && self.outcome.is_none()
    }

    /// Takes a reply; whether that was the last.
    pub(super) fn take(&mut self, reply: Value) -> bool {
        self.answered += 1;
        let is_complete = self.answered >= self.expected;
        if !self.is_open() {
            return is_complete;
        }
        if self.expected == 1 {
            self.outcome = Some(Ok(Replies::One(reply)));
            return true;
        }
        if self.replies.capacity() == 0 {
            self.replies.reserve_exact(self.expected);
        }
        self.replies.push(reply);
        if is_complete {
            self.outcome = Some(Ok(Replies::Many(std::mem::take(&mut self.replies))));
        }
        is_complete
    }

    /// Ends the call with a fault, unless it has an outcome.
    pub(super) fn fail(&mut self, fault: impl FnOnce() -> Fault) -> Option<Waker> {
        if !self.is_open() {
            return None;
        }
        self.replies = Vec::new();
        self.outcome = Some(Err(fault()));
        self.waker.take()
    }
}

/// All places, by number.
#[derive(Default)]
pub(super) struct Places {
    table: Vec<Option<Place>>,
    /// The numbers without a place.
    free: Vec<u32>,
}

impl Places {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.table.len() - self.free.len()
    }

    /// How many fit without growing.
    pub(super) fn capacity(&self) -> usize {
        self.table.capacity()
    }

    pub(super) fn add(&mut self, place: Place) -> u32 {
        if let Some(number) = self.free.pop() {
            self.table[number as usize] = Some(place);
            return number;
        }
        let number = u32::try_from(self.table.len()).expect("fewer than 2^32 calls at once");
        self.table.push(Some(place));
        number
    }

    pub(super) fn get(&self, number: u32) -> Option<&Place> {
        self.table.get(number as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Place> {
        self.table.get_mut(number as usize)?.as_mut()
    }

    /// Forgets a place that nobody waits for and no reply is due to.
    pub(super) fn release(&mut self, number: u32) {
        let Some(slot) = self.table.get_mut(number as usize) else { return };
        if slot.as_ref().is_some_and(|place| !place.is_wanted && place.stage == Stage::Out) {
            *slot = None;
            self.free.push(number);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.table.iter().flatten()
    }

    /// The numbers of the places whose callers are past their time.
    pub(super) fn overdue(&self, now: Instant) -> Vec<u32> {
        let is_overdue = |place: &Place| place.is_open() && place.until <= now;
        let numbers = (0u32..).zip(&self.table);
        numbers
            .filter(|(_, slot)| slot.as_ref().is_some_and(is_overdue))
            .map(|(number, _)| number)
            .collect()
    }

    /// Lets go of what a burst left behind.
    pub(super) fn shrink(&mut self) {
        if self.table.len() <= SMALL || self.len() > self.table.len() / 4 {
            return;
        }
        while self.table.last().is_some_and(Option::is_none) {
            self.table.pop();
        }
        let length = self.table.len();
        self.free.retain(|&number| (number as usize) < length);
        // The last is used next: low numbers first, so that the end of the table empties.
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        self.free.shrink_to(SMALL);
        self.table.shrink_to(SMALL);
    }
}
