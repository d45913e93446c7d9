//! One entry, and the bundle of dropped values that leaves the store with a call.
//!
//! # Cost
//!
//! An entry is 72 bytes beside its key and value's own heap; the index adds about 10.

use crate::clock::{Instant, NEVER};
use crate::policy::{Order, Places};
use crate::slab::{NIL, Slab};
use crate::wheel::{Filed, Timed};

/// A key, its value, and its place in every list of the store.
#[derive(Debug)]
pub(crate) struct Entry<V> {
    pub(crate) key: Box<[u8]>,
    pub(crate) value: V,
    /// The end of its life; never seen at or after it.
    pub(crate) deadline: Instant,
    /// From here on until the deadline it is stale; equal to the deadline without a stale window.
    pub(crate) stale_from: Instant,
    pub(crate) hash: u32,
    /// The first of its memberships in tags.
    pub(crate) tags: u32,
    pub(crate) order: Order,
    pub(crate) filed: Filed,
}

/// How long an entry lives, in nanoseconds from its writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    fresh: u64,
    total: u64,
}

/// Values that a call took out of the store.
///
/// They are dropped by the caller, after the lock: dropping one may run foreign code, which may
/// call back into the store. One value costs no allocation.
#[derive(Debug)]
pub(crate) struct Garbage<V> {
    first: Option<V>,
    rest: Vec<V>,
}

impl Life {
    /// Without end.
    pub const FOREVER: Self = Self { fresh: NEVER, total: NEVER };

    /// Fresh for `ttl` nanoseconds, then gone.
    pub const fn fresh_for(ttl: u64) -> Self {
        Self { fresh: ttl, total: ttl }
    }

    /// Fresh for `ttl`, stale until `total`, both in nanoseconds from the write.
    pub const fn with_stale(ttl: u64, total: u64) -> Self {
        Self { fresh: ttl, total: if total > ttl { total } else { ttl } }
    }

    /// Whether a clock is needed to place it.
    pub(crate) const fn ends(self) -> bool {
        self.total != NEVER
    }

    /// When it turns stale and when it ends, for a write at `now`.
    pub(crate) fn from(self, now: Instant) -> (Instant, Instant) {
        if self.total == NEVER {
            return (NEVER, NEVER);
        }
        // What does not fit ends just before "never": it still counts as an entry with an end.
        let end = |span| {
            let end = now.saturating_add(span);
            if end == NEVER { NEVER - 1 } else { end }
        };
        (end(self.fresh), end(self.total))
    }
}

impl<V> Garbage<V> {
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: Vec::new() }
    }

    pub(crate) fn push(&mut self, value: V) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.rest.push(value);
        }
    }
}

impl<V> Entry<V> {
    pub(crate) fn new(key: &[u8], hash: u32, value: V, (stale_from, deadline): (u64, u64)) -> Self {
        let (order, filed) = (Order::UNLINKED, Filed::NOWHERE);
        Self { key: key.into(), value, deadline, stale_from, hash, tags: NIL, order, filed }
    }
}

impl<V> Places for Slab<Entry<V>> {
    #[inline]
    fn order(&self, place: u32) -> &Order {
        &self[place].order
    }

    #[inline]
    fn order_mut(&mut self, place: u32) -> &mut Order {
        &mut self[place].order
    }
}

impl<V> Timed for Slab<Entry<V>> {
    fn deadline(&self, place: u32) -> Instant {
        self[place].deadline
    }

    fn filed(&mut self, place: u32) -> &mut Filed {
        &mut self[place].filed
    }
}
