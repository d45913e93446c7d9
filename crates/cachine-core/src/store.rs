//! The in-memory store: one table, one order of eviction, one wheel, one lock.
//!
//! Every operation is a method here: it takes the lock, lets `state` do the work, releases the
//! lock, and only then drops what the work threw out. Values are looked at through a closure that
//! runs under the lock; it may copy a pointer or count a reference, never call anything foreign.
//!
//! A read answers *hit*, *stale*, *lease* (you compute) or *wait* (somebody does). The store never
//! calls a loader: who gets a [`Lease`] computes wherever it likes and settles.
//!
//! # Invariants
//!
//! 1. No value, outcome, waker or anchor is dropped, woken or compared under the lock.
//! 2. The lock is held for a bounded time, except by operations on many entries at once
//!    (`clear`, `invalidate_tags`).

mod check;
mod lease;
mod state;

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use crate::clock::{Clock, Coarse, Instant};
use crate::entry::{Garbage, Life};
use crate::graph::{self, FlightId};
use crate::locks::{Locks, Turn};
use crate::policy::Eviction;
use crate::stats::Tally;
use crate::sync::Arc;
use crate::tags::Tag;

pub use crate::sync::{Exclusive, Mutex};
pub use lease::{Ended, Lease, Wait};
pub(crate) use state::{Hash, State};

/// What a door keeps in the store, shares between callers, and wakes.
pub trait Host: 'static {
    /// A stored value.
    type Value;
    /// What a computation shares with everyone who waited for it: a value or an error.
    type Outcome;
    /// Wakes one waiter.
    type Waker;
    /// The lock of a store; [`Mutex`] unless the host has a better one.
    type Lock<T>: Exclusive<T>;

    /// Wakes a waiter; called under no lock.
    fn wake(waker: Self::Waker);
}

/// The bounds of a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// At most so many entries.
    pub max_size: Option<u64>,
    /// At most so much weight in all.
    pub max_weight: Option<u64>,
    /// Who leaves when a bound is reached.
    pub eviction: Eviction,
}

/// A value to be stored.
#[derive(Debug)]
pub struct New<V> {
    /// The value itself.
    pub value: V,
    /// How long it lives.
    pub life: Life,
    /// Its weight; only counted in a store with `max_weight`.
    pub weight: u64,
    /// Its tags, and what those keep alive.
    pub tags: Vec<Tag<V>>,
}

/// What a reader that would compute asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The key: any bytes, in the doors always valid UTF-8.
    pub key: &'a [u8],
    /// Whether the caller joins a computation of this key, and lets others join its own.
    pub share: bool,
    /// The computations further up in this caller's context.
    pub held: &'a [FlightId],
    /// Whether this call was counted before: a waiter that looks again after an abandoned
    /// computation is no second miss.
    pub counted: bool,
}

/// What a reader that would compute is told.
pub enum Step<H: Host, R> {
    /// A fresh value.
    Hit(R),
    /// A stale value; with a lease for the one caller that starts its refresh.
    Stale(R, Option<Lease<H>>),
    /// Nothing: compute, and settle this.
    Lease(Lease<H>),
    /// Nothing, but somebody is computing: wait, and look again if they give up.
    Wait(Wait<H>),
}

/// How much of an entry's life is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// There is no live entry.
    Missing,
    /// It does not expire.
    Forever,
    /// So many nanoseconds, at least one.
    Nanoseconds(u64),
}

/// A change of an entry's life.
#[derive(Clone, Copy, Debug)]
pub enum Lifetime {
    /// A new life from now on, in nanoseconds; it is fresh to its end.
    Expire(u64),
    /// Fresh for ever.
    Persist,
    /// A use that counts for the eviction policy, with a new life if there is one.
    Touch(Option<u64>),
}

/// The in-memory store of a cache and all views on it.
pub struct Store<H: Host> {
    state: H::Lock<State<H>>,
    pub(crate) locks: H::Lock<Locks<H::Waker>>,
    clock: Clock,
    hasher: RandomState,
}

impl<H: Host> Store<H> {
    /// An empty store.
    pub fn new(bounds: Bounds, clock: Clock) -> Arc<Self> {
        let state = H::Lock::new(State::new(bounds, clock.now()));
        let locks = H::Lock::new(Locks::new());
        Arc::new(Self { state, locks, clock, hasher: RandomState::default() })
    }

    /// The clock that this store reads.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    #[inline]
    fn hash(&self, name: &[u8]) -> Hash {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name);
        Hash(hasher.finish())
    }

    fn lock(&self) -> <H::Lock<State<H>> as Exclusive<State<H>>>::Guard<'_> {
        self.state.lock()
    }

    /// The time, or 0 where no entry has a deadline to compare it with: that costs no clock reading.
    #[inline]
    fn time(&self, state: &State<H>) -> Instant {
        if state.has_deadlines() { self.clock.now() } else { 0 }
    }

    /// Does something to the state and drops what it threw out after the lock is released.
    #[inline]
    fn with<R>(&self, act: impl FnOnce(&mut State<H>, &mut Garbage<H::Value>) -> R) -> R {
        let mut garbage = Garbage::new();
        let result = act(&mut self.lock(), &mut garbage);
        drop(garbage); // Invariant 1: the lock was released on the line above.
        result
    }

    /// Looks a value up; `view` runs under the lock.
    #[inline]
    pub fn get<R>(
        &self,
        key: &[u8],
        tally: Tally<'_>,
        view: impl FnOnce(&H::Value) -> R,
    ) -> Option<R> {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            let found = state.read(key, hash, &self.clock, garbage);
            if found.is_some() {
                tally.hit();
            } else {
                tally.miss();
            }
            found.map(|place| view(state.value(place)))
        })
    }

    /// Looks a value up without a trace: no use, nothing counted.
    pub fn peek<R>(&self, key: &[u8], view: impl FnOnce(&H::Value) -> R) -> Option<R> {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            let now = self.time(state);
            let place = state.live(key, hash, now, garbage)?;
            Some(view(state.value(place)))
        })
    }

    /// Looks a value up that is not stale, and counts only a hit: the first look of a call that
    /// goes on to [`Store::begin`] when it finds nothing.
    #[inline]
    pub fn get_fresh<R>(
        &self,
        key: &[u8],
        tally: Tally<'_>,
        view: impl FnOnce(&H::Value) -> R,
    ) -> Option<R> {
        let mut state = self.lock();
        if state.is_turn_to_sweep() {
            drop(state);
            self.with(|state, garbage| state.sweep(self.clock.now(), garbage));
            state = self.lock();
        }
        // Before the hash, which may have to wait until a key that was just put together has
        // arrived in the cache of the processor. Nothing is thrown out from here on.
        let coarse = Coarse::read(&self.clock);
        let hash = self.hash(key);
        let place = state.read_fresh(key, hash, &self.clock, coarse)?;
        tally.hit();
        Some(view(state.value(place)))
    }

    /// Reads for a caller that will compute what is missing.
    pub fn begin<R>(
        self: &Arc<Self>,
        ask: Ask<'_>,
        tally: Tally<'_>,
        view: impl FnOnce(&H::Value) -> R,
    ) -> Step<H, R> {
        let hash = self.hash(ask.key);
        self.with(|state, garbage| {
            let now = self.time(state);
            state.sweep(now, garbage);
            if let Some(place) = state.live(ask.key, hash, now, garbage) {
                state.touch(place);
                let seen = view(state.value(place));
                if !ask.counted {
                    tally.hit();
                }
                if !state.is_stale(place, now) {
                    return Step::Hit(seen);
                }
                if !ask.counted {
                    tally.stale();
                }
                let lease = state.start_refresh(ask.key, now);
                return Step::Stale(seen, lease.map(|open| Lease::new(self, open)));
            }
            if !ask.counted {
                tally.miss();
            }
            match ask.share.then(|| state.fills.joinable(ask.key)).flatten() {
                None => Step::Lease(Lease::new(self, state.start(ask.key, ask.share, false))),
                Some(place) => match Wait::join(self, state, place, ask.held) {
                    Some(wait) => {
                        if !ask.counted {
                            tally.coalesced();
                        }
                        Step::Wait(wait)
                    }
                    // The caller is part of what it would wait for: it computes on its own.
                    None => Step::Lease(Lease::new(self, state.start(ask.key, false, false))),
                },
            }
        })
    }

    /// Starts a computation of `key` whatever is stored, and fences those under way; with `share`,
    /// callers that find nothing wait for it.
    pub fn recompute(self: &Arc<Self>, key: &[u8], share: bool) -> Lease<H> {
        let mut state = self.lock();
        // One that began before may end after this one, with an older value.
        state.fills.fence_key(key);
        Lease::new(self, state.start(key, share, false))
    }

    /// Stores a value; every computation of the key that is under way is fenced.
    pub fn set(&self, key: &[u8], new: New<H::Value>, tally: Tally<'_>) {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            tally.set();
            state.fills.fence_key(key);
            self.put(state, key, hash, new, tally, garbage);
        });
    }

    /// Stores a value if the key has none; otherwise gives it back.
    ///
    /// # Errors
    ///
    /// The value, when there is a live entry.
    pub fn add(
        &self,
        key: &[u8],
        new: New<H::Value>,
        tally: Tally<'_>,
    ) -> Result<(), New<H::Value>> {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            let now = self.time(state);
            if state.live(key, hash, now, garbage).is_some() {
                return Err(new);
            }
            tally.set();
            state.fills.fence_key(key);
            self.put(state, key, hash, new, tally, garbage);
            Ok(())
        })
    }

    /// Replaces the value of a live entry that `expected` still recognises, keeping its life and
    /// tags, and its weight unless there is a new one; otherwise gives the new value back. `expected` runs under the lock.
    ///
    /// # Errors
    ///
    /// The value, when the entry is gone or holds another value.
    pub fn replace(
        &self,
        key: &[u8],
        value: H::Value,
        weight: Option<u64>,
        tally: Tally<'_>,
        expected: impl FnOnce(&H::Value) -> bool,
    ) -> Result<(), H::Value> {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            let now = self.time(state);
            state.sweep(now, garbage);
            let found = state.live(key, hash, now, garbage);
            let Some(place) = found.filter(|&place| expected(state.value(place))) else {
                return Err(value);
            };
            tally.set();
            state.fills.fence_key(key);
            state.touch(place);
            garbage.push(state.swap_value(place, value));
            let evicted = weight.map_or(0, |weight| state.reweigh(place, weight, now, garbage));
            (0..evicted).for_each(|_| tally.eviction());
            Ok(())
        })
    }

    fn put(
        &self,
        state: &mut State<H>,
        key: &[u8],
        hash: Hash,
        new: New<H::Value>,
        tally: Tally<'_>,
        garbage: &mut Garbage<H::Value>,
    ) {
        let now = if new.life.ends() { self.clock.now() } else { self.time(state) };
        state.sweep(now, garbage);
        let tags = new.tags.into_iter().map(|tag| (self.hash(tag.name.as_bytes()), tag)).collect();
        let evicted = state.put(key, hash, now, (new.value, new.life, new.weight), tags, garbage);
        (0..evicted).for_each(|_| tally.eviction());
    }

    /// Deletes an entry, and fences the key's computations under way; whether there was a live one.
    pub fn delete(&self, key: &[u8], tally: Tally<'_>) -> bool {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            state.fills.fence_key(key);
            let now = self.time(state);
            state.sweep(now, garbage);
            let Some(place) = state.live(key, hash, now, garbage) else { return false };
            tally.delete();
            state.remove(place, garbage);
            true
        })
    }

    /// Takes an entry away that nobody can read, if `expected` still recognises it under the lock.
    /// Nothing is fenced: to its readers it was never there.
    pub fn discard(&self, key: &[u8], expected: impl FnOnce(&H::Value) -> bool) {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            let found = state.live(key, hash, self.time(state), garbage);
            if let Some(place) = found.filter(|&place| expected(state.value(place))) {
                state.remove(place, garbage);
            }
        });
    }

    /// How much of the key's life is left. This is no use.
    pub fn remaining(&self, key: &[u8]) -> Remaining {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            let now = self.time(state);
            match state.live(key, hash, now, garbage) {
                None => Remaining::Missing,
                Some(place) => state.remaining(place, now),
            }
        })
    }

    /// Changes the life of a live entry; whether there was one (for `Persist`: one with an end).
    pub fn change_life(&self, key: &[u8], change: Lifetime) -> bool {
        let hash = self.hash(key);
        self.with(|state, garbage| {
            let now = self.clock.now();
            state.sweep(now, garbage);
            let Some(place) = state.live(key, hash, now, garbage) else { return false };
            state.change_life(place, change, now)
        })
    }

    /// Adds tags to a live entry; whether there was one.
    pub fn add_tags(&self, key: &[u8], tags: Vec<Tag<H::Value>>) -> bool {
        let hash = self.hash(key);
        let mut tags: Vec<_> =
            tags.into_iter().map(|tag| (self.hash(tag.name.as_bytes()), tag)).collect();
        // What is not attached stays in `tags` and is dropped here, after the lock.
        self.with(|state, garbage| {
            let now = self.time(state);
            let Some(place) = state.live(key, hash, now, garbage) else { return false };
            state.attach(place, std::mem::take(&mut tags), garbage);
            true
        })
    }

    /// Removes every entry that has one of these tags; how many of them were live.
    pub fn invalidate_tags(&self, names: &[Box<str>]) -> u64 {
        let hashes: Vec<_> = names.iter().map(|name| self.hash(name.as_bytes())).collect();
        self.with(|state, garbage| {
            state.fills.fence_tags(names);
            let now = self.time(state);
            let mut live = 0;
            for (name, hash) in names.iter().zip(hashes) {
                while let Some(place) = state.tags.any_member(name, hash.short()) {
                    live += u64::from(state.is_live(place, now));
                    state.remove(place, garbage);
                }
            }
            live
        })
    }

    /// Removes every entry whose key starts with `prefix`, or all; fences what is under way there.
    pub fn clear(&self, prefix: Option<&[u8]>) {
        self.with(|state, garbage| {
            let is_cleared = |key: &[u8]| prefix.is_none_or(|prefix| key.starts_with(prefix));
            state.fills.fence_keys(is_cleared);
            for place in state.matching(is_cleared) {
                state.remove(place, garbage);
            }
        });
    }

    /// How many entries there are whose key starts with `prefix`, expired ones not yet freed
    /// included; without a prefix this is constant time.
    pub fn len(&self, prefix: Option<&[u8]>) -> usize {
        let state = self.lock();
        prefix.map_or_else(
            || state.len(),
            |prefix| state.matching(|key| key.starts_with(prefix)).len(),
        )
    }

    /// How many entries have this tag.
    pub fn members(&self, name: &str) -> usize {
        let hash = self.hash(name.as_bytes());
        self.lock().tags.count(name, hash.short())
    }

    /// The weight of all entries; 0 in a store without `max_weight`.
    pub fn weight(&self) -> u64 {
        self.lock().weight()
    }

    /// Shows every value and anchor to `view`, for the host's garbage collector.
    ///
    /// False, and nothing shown, when the lock is taken: a host that keeps the rules of this
    /// store never sees that (invariant 1).
    pub fn try_each(&self, view: impl FnMut(&H::Value)) -> bool {
        self.state.try_lock().map(|state| state.each(view)).is_some()
    }

    /// Forgets every computation under way: after a fork, the threads that would end them do not
    /// exist in the child. Leases and waits of before settle into nothing.
    pub fn forget_flights(&self) {
        let forgotten = self.lock().fills.forget();
        graph::forget();
        // Their wakers belong to threads that are gone; dropping them here is under no lock.
        drop(forgotten);
    }

    /// Stands in line for a lock: whoever is first holds it.
    pub fn turn(self: &Arc<Self>, name: &[u8]) -> Turn<H> {
        Turn::new(self, name)
    }

    /// Forgets who holds and awaits the locks: after a fork they do not exist in the child. Turns of
    /// before hold nothing.
    pub fn forget_locks(&self) {
        let forgotten = self.locks.lock().forget();
        drop(forgotten); // Invariant 1, as above.
    }

    /// The time now, as this store sees it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }
}
