//! The store as one would write it without a thought for speed: a vector of rows, searched.
//!
//! Nothing is lazy here: what expires is gone the moment the time passes. Expired rows are only
//! remembered (`ghosts`) because the engine may hold them a while, unseen.

use std::collections::{BTreeSet, HashMap};

use cachine_core::Life;
use cachine_core::clock::NEVER;
use cachine_core::policy::Eviction;
use cachine_core::stats::Stats;
use cachine_core::store::{Bounds, Lifetime, Remaining};

/// Every key, tag and flight is a number here.
pub(crate) type Key = usize;
pub(crate) type Names = BTreeSet<usize>;

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) value: u64,
    pub(crate) tags: Names,
    pub(crate) weight: u64,
    pub(crate) stale_from: u64,
    pub(crate) deadline: u64,
    uses: u64,
    used: u64,
    born: u64,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub(crate) struct Flight {
    pub(crate) id: u64,
    pub(crate) key: Key,
    joinable: bool,
    fenced: bool,
    refresh: bool,
    pub(crate) declared: Names,
    result_tags: bool,
    invalidated: Names,
}

/// What a caller that would compute has to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Hit(u64),
    Stale(u64, bool),
    Lease { joinable: bool },
    Wait(u64),
}

/// A value to be stored.
pub(crate) struct Fresh {
    pub(crate) value: u64,
    pub(crate) life: (u64, u64),
    pub(crate) weight: u64,
    pub(crate) tags: Names,
}

#[derive(Default)]
pub(crate) struct Naive {
    bounds: Bounds,
    pub(crate) now: u64,
    pub(crate) rows: Vec<Row>,
    pub(crate) ghosts: Vec<Row>,
    pub(crate) flights: Vec<Flight>,
    /// Who waits for whom, an edge for each wait that there is.
    pub(crate) edges: Vec<(u64, u64)>,
    paused: HashMap<Key, (u64, u64)>,
    pub(crate) stats: Stats,
    ticks: u64,
}

const SECOND: u64 = 1_000_000_000;

/// The lives that operations choose from, as the engine takes them and as plain spans.
pub(crate) fn life(choice: u8) -> (Life, (u64, u64)) {
    const MS: u64 = 1_000_000;
    let (fresh, total) = [
        (NEVER, NEVER),
        (1, 1),
        (10 * MS, 10 * MS),
        (3_600 * SECOND, 3_600 * SECOND),
        (20 * MS, 70 * MS),
        (2 * SECOND, 90 * SECOND),
        (NEVER - 1, NEVER - 1),
    ][usize::from(choice) % 7];
    let life = if fresh == NEVER { Life::FOREVER } else { Life::with_stale(fresh, total) };
    (life, (fresh, total))
}

fn end(now: u64, span: u64) -> u64 {
    if span == NEVER { NEVER } else { now.saturating_add(span).min(NEVER - 1) }
}

impl Naive {
    pub(crate) fn new(bounds: Bounds, now: u64) -> Self {
        Self { bounds, now, ..Self::default() }
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.bounds.max_size.is_some() || self.bounds.max_weight.is_some()
    }

    pub(crate) fn advance(&mut self, by: u64) {
        self.now += by;
        let now = self.now;
        let gone: Vec<_> = self.rows.extract_if(.., |row| row.deadline <= now).collect();
        self.paused.retain(|key, _| gone.iter().all(|row| row.key != *key));
        self.ghosts.extend(gone);
    }

    pub(crate) fn row(&self, key: Key) -> Option<&Row> {
        self.rows.iter().find(|row| row.key == key)
    }

    fn row_mut(&mut self, key: Key) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.key == key)
    }

    fn remove(&mut self, is_it: impl Fn(&Row) -> bool) -> usize {
        self.ghosts.retain(|row| !is_it(row));
        let gone: Vec<_> = self.rows.extract_if(.., |row| is_it(row)).collect();
        self.paused.retain(|key, _| gone.iter().all(|row| row.key != *key));
        gone.len()
    }

    fn touch(&mut self, key: Key) {
        self.ticks += 1;
        let ticks = self.ticks;
        let row = self.row_mut(key).expect("a live row");
        (row.uses, row.used) = (row.uses + 1, ticks);
    }

    /// All keys, the next victim first.
    pub(crate) fn order(&self) -> Vec<Key> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|row| match self.bounds.eviction {
            Eviction::Lru => (0, row.used),
            Eviction::Lfu => (row.uses, row.used),
            _ => (0, row.born),
        });
        rows.into_iter().map(|row| row.key).collect()
    }

    fn evict(&mut self, keep: Key) {
        let victim = self.order().into_iter().find(|&key| key != keep).expect("somebody");
        self.remove(|row| row.key == victim);
        self.stats.evictions += 1;
    }

    fn put(&mut self, key: Key, new: Fresh) {
        let weight = if self.bounds.max_weight.is_some() { new.weight } else { 0 };
        self.ghosts.retain(|row| row.key != key);
        if self.bounds.max_weight.is_some_and(|most| weight > most) {
            self.remove(|row| row.key == key);
            self.stats.evictions += 1;
            return;
        }
        let (stale_from, deadline) = (end(self.now, new.life.0), end(self.now, new.life.1));
        if self.row(key).is_none() {
            while self.bounds.max_size.is_some_and(|most| self.rows.len() as u64 >= most) {
                self.evict(key);
            }
            let (born, tags) = (self.ticks, Names::new());
            let (value, uses, used) = (0, 0, 0);
            self.rows.push(Row {
                key,
                value,
                tags,
                weight,
                stale_from,
                deadline,
                uses,
                used,
                born,
            });
        }
        self.touch(key);
        let row = self.row_mut(key).expect("a live row");
        (row.value, row.weight, row.tags) = (new.value, weight, new.tags);
        (row.stale_from, row.deadline) = (stale_from, deadline);
        let weight = |rows: &[Row]| rows.iter().map(|row| row.weight).sum::<u64>();
        while self.bounds.max_weight.is_some_and(|most| weight(&self.rows) > most) {
            self.evict(key);
        }
    }

    pub(crate) fn get(&mut self, key: Key) -> Option<u64> {
        let value = self.row(key).map(|row| row.value);
        if value.is_none() {
            self.stats.misses += 1;
            return None;
        }
        self.stats.hits += 1;
        self.touch(key);
        value
    }

    pub(crate) fn get_fresh(&mut self, key: Key) -> Option<u64> {
        self.row(key).filter(|row| self.now < row.stale_from)?;
        self.get(key)
    }

    pub(crate) fn set(&mut self, key: Key, new: Fresh) {
        self.stats.sets += 1;
        self.fence_key(key);
        self.put(key, new);
    }

    pub(crate) fn add(&mut self, key: Key, new: Fresh) -> bool {
        let is_new = self.row(key).is_none();
        if is_new {
            self.set(key, new);
        }
        is_new
    }

    pub(crate) fn replace(&mut self, key: Key, value: u64, is_expected: bool) -> bool {
        if self.row(key).is_none() || !is_expected {
            return false;
        }
        self.stats.sets += 1;
        self.fence_key(key);
        self.touch(key);
        self.row_mut(key).expect("a live row").value = value;
        true
    }

    pub(crate) fn delete(&mut self, key: Key) -> bool {
        self.fence_key(key);
        let found = self.remove(|row| row.key == key) == 1;
        self.stats.deletes += u64::from(found);
        found
    }

    pub(crate) fn remaining(&self, key: Key) -> Remaining {
        match self.row(key).map(|row| row.deadline) {
            None => Remaining::Missing,
            Some(NEVER) => Remaining::Forever,
            Some(deadline) => Remaining::Nanoseconds(deadline - self.now),
        }
    }

    pub(crate) fn change_life(&mut self, key: Key, change: Lifetime) -> bool {
        let Some(before) = self.row(key).map(|row| row.deadline) else { return false };
        let end = match change {
            Lifetime::Expire(span) | Lifetime::Touch(Some(span)) => end(self.now, span),
            Lifetime::Persist if before == NEVER => return false,
            Lifetime::Persist => NEVER,
            Lifetime::Touch(None) => {
                self.touch(key);
                return true;
            }
        };
        if matches!(change, Lifetime::Touch(_)) {
            self.touch(key);
        }
        let row = self.row_mut(key).expect("a live row");
        (row.stale_from, row.deadline) = (end, end);
        true
    }

    pub(crate) fn add_tags(&mut self, key: Key, tags: Names) -> bool {
        self.row_mut(key).map(|row| row.tags.extend(tags)).is_some()
    }

    pub(crate) fn invalidate(&mut self, names: &Names) -> u64 {
        for flight in &mut self.flights {
            if !flight.declared.is_disjoint(names) {
                flight.fence();
            } else if flight.result_tags {
                flight.joinable = false;
                flight.invalidated.extend(names);
            }
        }
        self.remove(|row| !row.tags.is_disjoint(names)) as u64
    }

    pub(crate) fn clear(&mut self, is_cleared: impl Fn(Key) -> bool) {
        let flights = self.flights.iter_mut().filter(|flight| is_cleared(flight.key));
        flights.for_each(Flight::fence);
        self.remove(|row| is_cleared(row.key));
    }

    pub(crate) fn fence_key(&mut self, key: Key) {
        self.paused.remove(&key);
        self.flights.iter_mut().filter(|flight| flight.key == key).for_each(Flight::fence);
    }

    pub(crate) fn begin(&mut self, key: Key, share: bool, held: &[u64], counted: bool) -> Told {
        let count = u64::from(!counted);
        if let Some(row) = self.row(key) {
            let (value, is_stale) = (row.value, row.stale_from <= self.now);
            self.stats.hits += count;
            self.touch(key);
            if !is_stale {
                return Told::Hit(value);
            }
            self.stats.stale += count;
            let mut flights = self.flights.iter().filter(|flight| flight.key == key);
            let busy = flights.any(|flight| flight.refresh && !flight.fenced);
            let paused = self.paused.get(&key).is_some_and(|&(until, _)| self.now < until);
            return Told::Stale(value, !busy && !paused);
        }
        self.stats.misses += count;
        match self.joinable(key).filter(|_| share) {
            None => Told::Lease { joinable: share },
            Some(id) if held.iter().any(|&from| self.reaches(id, from)) => {
                Told::Lease { joinable: false }
            }
            Some(id) => {
                self.stats.coalesced += count;
                self.edges.extend(held.iter().map(|&from| (from, id)));
                Told::Wait(id)
            }
        }
    }

    /// The flight of `key` that a caller may wait for.
    pub(crate) fn joinable(&self, key: Key) -> Option<u64> {
        let mut flights = self.flights.iter();
        flights.find(|flight| flight.key == key && flight.joinable).map(|flight| flight.id)
    }

    /// Whether there is a way from one computation to another; the edges have no circle.
    fn reaches(&self, from: u64, to: u64) -> bool {
        let mut next = self.edges.iter().filter(|edge| edge.0 == from);
        from == to || next.any(|edge| self.reaches(edge.1, to))
    }

    pub(crate) fn open(&mut self, id: u64, key: Key, joinable: bool, refresh: bool) {
        let (declared, invalidated) = (Names::new(), Names::new());
        let (fenced, result_tags) = (false, false);
        let flight =
            Flight { id, key, joinable, fenced, refresh, declared, result_tags, invalidated };
        self.flights.push(flight);
    }

    pub(crate) fn flight(&self, id: u64) -> &Flight {
        self.flights.iter().find(|flight| flight.id == id).expect("open")
    }

    pub(crate) fn may_store(&self, id: u64, late: &Names) -> bool {
        let flight = self.flight(id);
        !flight.fenced && flight.invalidated.is_disjoint(late)
    }

    pub(crate) fn declare(&mut self, id: u64, tags: Names, result_tags: bool) {
        let flight = self.flights.iter_mut().find(|flight| flight.id == id).expect("open");
        (flight.declared, flight.result_tags) = (tags, result_tags);
    }

    fn land(&mut self, id: u64) -> Flight {
        let at = self.flights.iter().position(|flight| flight.id == id).expect("open");
        self.flights.remove(at)
    }

    /// A value has been computed; `new` has all its tags, `late` are those not declared.
    pub(crate) fn fill(&mut self, id: u64, new: Fresh, late: &Names) -> bool {
        let may_store = self.may_store(id, late);
        let flight = self.land(id);
        if may_store {
            self.paused.remove(&flight.key);
            self.stats.sets += 1;
            self.put(flight.key, new);
        }
        may_store
    }

    /// A computation ended with nothing to be stored.
    pub(crate) fn settle(&mut self, id: u64) {
        let flight = self.land(id);
        if flight.refresh && !flight.fenced && self.row(flight.key).is_some() {
            let pause = self.paused.get(&flight.key).map_or(SECOND / 2, |&(_, next)| next);
            let next = (2 * pause).min(30 * SECOND);
            self.paused.insert(flight.key, (self.now.saturating_add(pause), next));
        }
    }
}

impl Flight {
    fn fence(&mut self) {
        (self.fenced, self.joinable) = (true, false);
    }
}
