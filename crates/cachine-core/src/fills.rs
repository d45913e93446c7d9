//! The computations under way: who may join them, and whether their result may still be stored.
//!
//! A value is older than it looks: it was true when its computation began. So every computation
//! registers here first, and whatever is written, deleted or invalidated meanwhile *fences* it:
//! its result is given to those who asked before, but neither stored nor shared with anyone who
//! comes later (the lease of Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013).
//!
//! # Invariants
//!
//! 1. A key has at most one joinable fill.
//! 2. A fenced fill is not joinable and never becomes so.
//! 3. A fill leaves this table exactly when its landing is written.

use std::collections::HashMap;

use crate::clock::Instant;
use crate::graph::FlightId;
use crate::slab::Slab;
use crate::sync::{Arc, OnceLock};

/// A fenced fill remembers at most so many invalidated tags before it gives up being exact.
const REMEMBERED: usize = 256;

/// The first pause after a failed refresh, and the longest, in nanoseconds.
const PAUSE: (u64, u64) = (500_000_000, 30_000_000_000);

/// What a computation came to.
#[derive(Debug)]
pub(crate) enum Landed<O> {
    /// Its outcome, for everyone who waited.
    Outcome(O),
    /// It ended without one: a waiter takes over.
    Abandoned,
}

/// Where a computation's end is written for those who wait.
pub(crate) type Landing<O> = OnceLock<Landed<O>>;

/// A fill that has landed; or, where it was forgotten before, what it would have landed with.
pub(crate) type End<O, W> = Result<Fill<O, W>, Landed<O>>;

/// A computation under way.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are looked at one by one")]
pub(crate) struct Fill<O, W> {
    pub(crate) id: FlightId,
    pub(crate) key: Box<[u8]>,
    pub(crate) joinable: bool,
    pub(crate) fenced: bool,
    pub(crate) refresh: bool,
    /// The tags that were known before the computation.
    tags: Vec<Box<str>>,
    /// Whether more tags come with the result.
    result_tags: bool,
    /// Tags that were invalidated since it began; only kept for `result_tags`.
    invalidated: Vec<Box<str>>,
    pub(crate) landing: Arc<Landing<O>>,
    pub(crate) wakers: Vec<(u64, W)>,
    /// How many wait for it.
    pub(crate) parties: usize,
}

/// All computations under way in a store.
#[derive(Debug)]
pub(crate) struct Fills<O, W> {
    open: Slab<Fill<O, W>>,
    by_key: HashMap<Box<[u8]>, Vec<u32>>,
    /// Keys whose refresh failed: not before this time, and the pause after the next failure. They
    /// all have an entry and leave with it, so there are never more than those.
    paused: HashMap<Box<[u8]>, (Instant, u64)>,
}

impl<O, W> Fills<O, W> {
    pub(crate) fn new() -> Self {
        Self { open: Slab::new(), by_key: HashMap::new(), paused: HashMap::new() }
    }

    /// The fill of `key` that a new caller may join.
    pub(crate) fn joinable(&self, key: &[u8]) -> Option<u32> {
        self.by_key.get(key)?.iter().copied().find(|&place| self.open[place].joinable)
    }

    /// Whether a refresh of this key is under way whose result may still be stored.
    pub(crate) fn is_refreshing(&self, key: &[u8]) -> bool {
        let is_refresh = |&place: &u32| self.open[place].refresh && !self.open[place].fenced;
        self.by_key.get(key).is_some_and(|places| places.iter().any(is_refresh))
    }

    /// Whether a refresh of this key failed so lately that the next one has to wait.
    pub(crate) fn is_paused(&self, key: &[u8], now: Instant) -> bool {
        self.paused.get(key).is_some_and(|&(until, _)| now < until)
    }

    pub(crate) fn start(&mut self, id: FlightId, key: &[u8], joinable: bool, refresh: bool) -> u32 {
        let place = self.open.insert(Fill {
            id,
            key: key.into(),
            joinable,
            fenced: false,
            refresh,
            tags: Vec::new(),
            result_tags: false,
            invalidated: Vec::new(),
            landing: Arc::new(Landing::new()),
            wakers: Vec::new(),
            parties: 0,
        });
        self.by_key.entry(key.into()).or_default().push(place);
        place
    }

    /// The fill at `place`, if it is still the one with this number.
    pub(crate) fn get_mut(&mut self, place: u32, id: FlightId) -> Option<&mut Fill<O, W>> {
        self.open.get_mut(place).filter(|fill| fill.id == id)
    }

    /// Names the tags of a fill before its computation begins.
    pub(crate) fn declare(
        &mut self,
        place: u32,
        id: FlightId,
        tags: Vec<Box<str>>,
        result_tags: bool,
    ) {
        if let Some(fill) = self.get_mut(place, id) {
            fill.tags = tags;
            fill.result_tags = result_tags;
        }
    }

    /// The fill at `place`.
    pub(crate) fn at(&mut self, place: u32) -> &mut Fill<O, W> {
        &mut self.open[place]
    }

    /// Ends a fill: its landing is written and it leaves the table.
    ///
    /// # Errors
    ///
    /// The end itself, where the fill was forgotten: it is the caller's to drop, under no lock.
    pub(crate) fn land(&mut self, place: u32, id: FlightId, how: Landed<O>) -> End<O, W> {
        if self.get_mut(place, id).is_none() {
            return Err(how);
        }
        let fill = self.open.remove(place);
        // Nobody else lands this fill, so the place for its end is empty.
        let _ = fill.landing.set(how);
        if let Some(places) = self.by_key.get_mut(&fill.key) {
            places.retain(|&other| other != place);
            if places.is_empty() {
                self.by_key.remove(&fill.key);
            }
        }
        Ok(fill)
    }

    /// A refresh of this key came to nothing: the next one has to wait, twice as long each time.
    pub(crate) fn pause(&mut self, key: &[u8], now: Instant) {
        let (first, longest) = PAUSE;
        let pause = self.paused.get(key).map_or(first, |&(_, pause)| pause);
        self.paused.insert(key.into(), (now.saturating_add(pause), (2 * pause).min(longest)));
    }

    pub(crate) fn unpause(&mut self, key: &[u8]) {
        if !self.paused.is_empty() {
            self.paused.remove(key);
        }
    }

    /// `key` was written or deleted.
    #[inline]
    pub(crate) fn fence_key(&mut self, key: &[u8]) {
        self.unpause(key);
        if self.by_key.is_empty() {
            return;
        }
        for &place in self.by_key.get(key).into_iter().flatten() {
            self.open[place].fence();
        }
    }

    /// These tags were invalidated.
    pub(crate) fn fence_tags(&mut self, names: &[Box<str>]) {
        self.each(|fill| {
            if fill.tags.iter().any(|tag| names.contains(tag)) {
                fill.fence();
            } else if fill.result_tags {
                // Its tags are not known yet, so nobody may join it any more; whether it may be
                // stored is decided when they are.
                fill.joinable = false;
                fill.invalidated.extend(names.iter().cloned());
                if fill.invalidated.len() > REMEMBERED {
                    fill.fence();
                }
            }
        });
    }

    /// Every key for which `is_cleared` holds was removed.
    pub(crate) fn fence_keys(&mut self, is_cleared: impl Fn(&[u8]) -> bool) {
        self.each(|fill| {
            if is_cleared(&fill.key) {
                fill.fence();
            }
        });
    }

    fn each(&mut self, mut act: impl FnMut(&mut Fill<O, W>)) {
        for &place in self.by_key.values().flatten() {
            act(&mut self.open[place]);
        }
    }

    /// Forgets every fill: after a fork, the threads that would end them do not exist. Whoever
    /// waits and does exist finds them abandoned.
    pub(crate) fn forget(&mut self) -> Self {
        for (_, fill) in self.open.iter() {
            let _ = fill.landing.set(Landed::Abandoned);
        }
        std::mem::replace(self, Self::new())
    }

    pub(crate) fn paused(&self) -> impl Iterator<Item = &[u8]> {
        self.paused.keys().map(|key| &**key)
    }

    pub(crate) fn check(&self) {
        assert_eq!(self.by_key.values().map(Vec::len).sum::<usize>(), self.open.len());
        for (key, places) in &self.by_key {
            let fills: Vec<_> = places.iter().map(|&place| &self.open[place]).collect();
            assert!(fills.iter().all(|fill| fill.key == *key && !(fill.fenced && fill.joinable)));
            assert!(fills.iter().filter(|fill| fill.joinable).count() <= 1, "invariant 1");
        }
    }
}

impl<O, W> Fill<O, W> {
    fn fence(&mut self) {
        self.fenced = true;
        self.joinable = false;
    }

    /// Whether its result may be stored under these further tags.
    pub(crate) fn may_store(&self, result_tags: &[Box<str>]) -> bool {
        !self.fenced && !result_tags.iter().any(|tag| self.invalidated.contains(tag))
    }
}
