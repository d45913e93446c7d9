//! The state behind the lock of a store: every list, and the rules that keep them in step.
//!
//! # Invariants
//!
//! 1. Every entry is in the index, in the order of the policy (if there is one), and, when it has
//!    a deadline, in the wheel.
//! 2. What leaves goes into the caller's `garbage`; nothing is dropped here.
//! 3. There are never more than `max_size` entries, nor more than `max_weight` of weight.

use crate::clock::{Clock, Coarse, Glance, Instant, NEVER};
use crate::entry::{Entry, Garbage, Life};
use crate::fills::Fills;
use crate::graph::FlightId;
use crate::index::Index;
use crate::policy::{Chosen, Policy};
use crate::slab::{NIL, Slab};
use crate::store::{Bounds, Host, Lifetime, Remaining};
use crate::tags::{Tag, Tags};
use crate::wheel::Wheel;

/// Due entries that one call frees at most, with those it only moves on the way.
const SWEPT: u32 = 16;

/// Entries that a call with no room left moves at most, in search of one that is due. Each entry
/// is moved a few times in its life, however often it is asked for.
const MOVED: u32 = 512;

/// Every so many reads one of them sweeps too, so that a cache that is only read gets smaller.
const READS: u32 = 32;

/// The hash of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(pub(crate) u64);

/// A computation that has been opened: its place among the fills, and its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    pub(crate) place: u32,
    pub(crate) id: FlightId,
}

/// Everything that the lock of a store protects.
pub(crate) struct State<H: Host> {
    pub(super) index: Index,
    pub(super) entries: Slab<Entry<H::Value>>,
    pub(super) policy: Chosen,
    pub(super) wheel: Wheel,
    pub(crate) tags: Tags<H::Value>,
    pub(crate) fills: Fills<H::Outcome, H::Waker>,
    pub(super) bounds: Bounds,
    /// By place; only kept in a store with `max_weight`.
    pub(super) weights: Vec<u64>,
    pub(super) weight: u64,
    /// How many entries have a deadline.
    pub(super) deadlines: usize,
    glance: Glance,
    reads: u32,
}

impl Hash {
    /// The part that the index keeps.
    #[inline]
    pub(super) fn short(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl<H: Host> State<H> {
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        let is_bounded = bounds.max_size.is_some() || bounds.max_weight.is_some();
        let policy = if is_bounded { Chosen::new(bounds.eviction) } else { Chosen::Unbounded };
        let mut entries = Slab::new();
        if let Some(size) = bounds.max_size {
            // Presized up to a point: a bound is often chosen generously and never reached.
            entries.reserve(usize::try_from(size.min(1 << 14)).unwrap_or(0));
        }
        Self {
            index: Index::new(),
            entries,
            policy,
            wheel: Wheel::new(now),
            tags: Tags::new(),
            fills: Fills::new(),
            bounds,
            weights: Vec::new(),
            weight: 0,
            deadlines: 0,
            glance: Glance::default(),
            reads: 0,
        }
    }

    #[inline]
    fn find(&self, key: &[u8], hash: Hash) -> Option<u32> {
        self.index.find(hash.short(), |place| *self.entries[place].key == *key)
    }

    #[inline]
    fn count_read(&mut self, clock: &Clock, garbage: &mut Garbage<H::Value>) {
        if self.is_turn_to_sweep() {
            self.sweep(clock.now(), garbage);
        }
    }

    /// A read that counts as a use: the place of a live entry.
    #[inline]
    pub(super) fn read(
        &mut self,
        key: &[u8],
        hash: Hash,
        clock: &Clock,
        garbage: &mut Garbage<H::Value>,
    ) -> Option<u32> {
        self.count_read(clock, garbage);
        let place = self.find(key, hash)?;
        let deadline = self.entries[place].deadline;
        if deadline != NEVER && !self.glance.is_before(clock, Coarse::read(clock), deadline) {
            self.remove(place, garbage);
            return None;
        }
        self.policy.touch(&mut self.entries, place);
        Some(place)
    }

    /// Counts a read; whether it is one of those that sweep too.
    #[inline]
    pub(super) fn is_turn_to_sweep(&mut self) -> bool {
        self.reads = self.reads.wrapping_add(1);
        self.reads.is_multiple_of(READS) && self.has_deadlines()
    }

    /// A read that counts as a use: the place of a fresh entry.
    #[inline]
    pub(super) fn read_fresh(
        &mut self,
        key: &[u8],
        hash: Hash,
        clock: &Clock,
        coarse: Coarse,
    ) -> Option<u32> {
        let place = self.find(key, hash)?;
        let stale_from = self.entries[place].stale_from;
        if stale_from != NEVER && !self.glance.is_before(clock, coarse, stale_from) {
            return None;
        }
        self.policy.touch(&mut self.entries, place);
        Some(place)
    }

    /// The place of a live entry; an expired one is removed. This is no use.
    pub(super) fn live(
        &mut self,
        key: &[u8],
        hash: Hash,
        now: Instant,
        garbage: &mut Garbage<H::Value>,
    ) -> Option<u32> {
        let place = self.find(key, hash)?;
        if self.is_live(place, now) {
            return Some(place);
        }
        self.remove(place, garbage);
        None
    }

    pub(super) fn is_live(&self, place: u32, now: Instant) -> bool {
        now < self.entries[place].deadline
    }

    pub(super) fn is_stale(&self, place: u32, now: Instant) -> bool {
        self.entries[place].stale_from <= now
    }

    #[inline]
    pub(super) fn value(&self, place: u32) -> &H::Value {
        &self.entries[place].value
    }

    pub(super) fn swap_value(&mut self, place: u32, value: H::Value) -> H::Value {
        std::mem::replace(&mut self.entries[place].value, value)
    }

    pub(super) fn touch(&mut self, place: u32) {
        self.policy.touch(&mut self.entries, place);
    }

    pub(super) fn has_deadlines(&self) -> bool {
        self.deadlines > 0
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn remaining(&self, place: u32, now: Instant) -> Remaining {
        match self.entries[place].deadline {
            NEVER => Remaining::Forever,
            deadline => Remaining::Nanoseconds(deadline - now),
        }
    }

    /// Stores a value under a key, replacing what is there with its tags; how many entries had to
    /// make room.
    pub(super) fn put(
        &mut self,
        key: &[u8],
        hash: Hash,
        now: Instant,
        (value, life, weight): (H::Value, Life, u64),
        tags: Vec<(Hash, Tag<H::Value>)>,
        garbage: &mut Garbage<H::Value>,
    ) -> u64 {
        let weight = if self.bounds.max_weight.is_some() { weight } else { 0 };
        if self.bounds.max_weight.is_some_and(|most| weight > most) {
            // Too heavy for the whole store: it leaves at once, alone.
            if let Some(place) = self.find(key, hash) {
                self.remove(place, garbage);
            }
            discard(value, tags.into_iter().map(|(_, tag)| tag), garbage);
            return 1;
        }
        let mut evicted = 0;
        // Over an expired entry it is a new one: the uses and the age of the old one are gone.
        let place = if let Some(place) = self.live(key, hash, now, garbage) {
            garbage.push(self.swap_value(place, value));
            let head = std::mem::replace(&mut self.entries[place].tags, NIL);
            self.tags.detach(head, garbage);
            self.set_life(place, life.from(now));
            self.touch(place);
            self.set_weight(place, weight);
            place
        } else {
            let most = self.bounds.max_size.unwrap_or(u64::MAX);
            while self.len() as u64 >= most {
                evicted += self.make_room(NIL, now, garbage);
            }
            self.insert(Entry::new(key, hash.short(), value, life.from(now)), weight)
        };
        evicted += self.fit(place, now, garbage);
        self.attach(place, tags, garbage);
        evicted
    }

    /// Evicts others until the weight of all is in bounds; how many live entries that cost.
    fn fit(&mut self, keep: u32, now: Instant, garbage: &mut Garbage<H::Value>) -> u64 {
        let mut evicted = 0;
        while self.bounds.max_weight.is_some_and(|most| self.weight > most) {
            evicted += self.make_room(keep, now, garbage);
        }
        evicted
    }

    /// Gives an entry another weight; how many live entries had to make room. One that became too
    /// heavy for the whole store leaves itself.
    pub(super) fn reweigh(
        &mut self,
        place: u32,
        weight: u64,
        now: Instant,
        garbage: &mut Garbage<H::Value>,
    ) -> u64 {
        if self.bounds.max_weight.is_some_and(|most| weight > most) {
            self.remove(place, garbage);
            return 1;
        }
        self.set_weight(place, weight);
        self.fit(place, now, garbage)
    }

    fn insert(&mut self, entry: Entry<H::Value>, weight: u64) -> u32 {
        let (hash, ends) = (entry.hash, entry.deadline != NEVER);
        let place = self.entries.insert(entry);
        self.index.insert(hash, place);
        self.policy.insert(&mut self.entries, place);
        if ends {
            self.deadlines += 1;
            self.wheel.insert(&mut self.entries, place);
        }
        self.set_weight(place, weight);
        place
    }

    /// Evicts one entry other than `keep`: an expired one if there is one at hand, else the
    /// victim of the policy. How many live entries that cost: 0 or 1.
    fn make_room(&mut self, keep: u32, now: Instant, garbage: &mut Garbage<H::Value>) -> u64 {
        let mut budget = MOVED;
        if self.has_deadlines()
            && let Some(place) = self.wheel.pop(&mut self.entries, now, &mut budget)
        {
            self.remove(place, garbage);
            return 0;
        }
        // The newest entry may be its own victim, the least used of all: it has to stay readable.
        let Some(place) = self.policy.victim(&self.entries, keep) else {
            unreachable!("a bounded store that is full has an entry to evict");
        };
        let cost = u64::from(self.is_live(place, now));
        self.remove(place, garbage);
        cost
    }

    /// Takes an entry out of every list.
    pub(super) fn remove(&mut self, place: u32, garbage: &mut Garbage<H::Value>) {
        self.policy.remove(&mut self.entries, place);
        self.wheel.remove(&mut self.entries, place);
        self.set_weight(place, 0);
        let entry = self.entries.remove(place);
        self.index.remove(entry.hash, place);
        self.deadlines -= usize::from(entry.deadline != NEVER);
        self.tags.detach(entry.tags, garbage);
        self.fills.unpause(&entry.key);
        garbage.push(entry.value);
    }

    fn set_weight(&mut self, place: u32, weight: u64) {
        if self.bounds.max_weight.is_none() {
            return;
        }
        let at = place as usize;
        if at >= self.weights.len() {
            self.weights.resize(at + 1, 0);
        }
        let before = std::mem::replace(&mut self.weights[at], weight);
        self.weight = self.weight.saturating_sub(before).saturating_add(weight);
    }

    fn set_life(&mut self, place: u32, (stale_from, deadline): (Instant, Instant)) {
        let entry = &mut self.entries[place];
        let before = std::mem::replace(&mut entry.deadline, deadline);
        entry.stale_from = stale_from;
        self.deadlines -= usize::from(before != NEVER);
        self.deadlines += usize::from(deadline != NEVER);
        self.wheel.moved(&mut self.entries, place, before);
    }

    pub(super) fn change_life(&mut self, place: u32, change: Lifetime, now: Instant) -> bool {
        match change {
            Lifetime::Expire(span) => self.set_life(place, Life::fresh_for(span).from(now)),
            Lifetime::Persist => {
                if self.entries[place].deadline == NEVER {
                    return false;
                }
                self.set_life(place, Life::FOREVER.from(now));
            }
            Lifetime::Touch(span) => {
                self.touch(place);
                if let Some(span) = span {
                    self.set_life(place, Life::fresh_for(span).from(now));
                }
            }
        }
        true
    }

    pub(super) fn attach(
        &mut self,
        place: u32,
        tags: Vec<(Hash, Tag<H::Value>)>,
        garbage: &mut Garbage<H::Value>,
    ) {
        for (hash, tag) in tags {
            let head = &mut self.entries[place].tags;
            if let Some(unused) = self.tags.attach(place, head, tag, hash.short()) {
                garbage.push(unused);
            }
        }
    }

    /// Frees entries that are due, a bounded number of them.
    pub(super) fn sweep(&mut self, now: Instant, garbage: &mut Garbage<H::Value>) {
        if !self.has_deadlines() {
            return;
        }
        let mut budget = SWEPT;
        while let Some(place) = self.wheel.pop(&mut self.entries, now, &mut budget) {
            self.remove(place, garbage);
        }
    }

    pub(super) fn matching(&self, is_it: impl Fn(&[u8]) -> bool) -> Vec<u32> {
        let matching = self.entries.iter().filter(|(_, entry)| is_it(&entry.key));
        matching.map(|(place, _)| place).collect()
    }

    pub(super) fn each(&self, mut view: impl FnMut(&H::Value)) {
        self.entries.iter().for_each(|(_, entry)| view(&entry.value));
        self.tags.anchors().for_each(view);
    }

    pub(super) fn start(&mut self, key: &[u8], joinable: bool, refresh: bool) -> Open {
        let id = next_flight();
        Open { place: self.fills.start(id, key, joinable, refresh), id }
    }

    /// A refresh came to nothing: the next one has to wait, as long as there is something stale.
    pub(super) fn pause_refresh(&mut self, key: &[u8], hash: Hash, now: Instant) {
        if self.find(key, hash).is_some() {
            self.fills.pause(key, now);
        }
    }

    /// Opens the refresh of a stale entry, unless one is under way or failed just now.
    pub(super) fn start_refresh(&mut self, key: &[u8], now: Instant) -> Option<Open> {
        if self.fills.is_refreshing(key) || self.fills.is_paused(key, now) {
            return None;
        }
        let joinable = self.fills.joinable(key).is_none();
        Some(self.start(key, joinable, true))
    }
}

/// Throws a value away that is not stored, with what its tags would have kept alive.
pub(super) fn discard<V>(
    value: V,
    tags: impl IntoIterator<Item = Tag<V>>,
    garbage: &mut Garbage<V>,
) {
    garbage.push(value);
    tags.into_iter().filter_map(|tag| tag.anchor).for_each(|anchor| garbage.push(anchor));
}

fn next_flight() -> FlightId {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
