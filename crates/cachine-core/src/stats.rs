//! Counters of what a cache did.
//!
//! Every counter is moved under the lock of its store, so a plain load and store is exact and
//! costs no more than adding to a variable. Reading needs no lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one cache, or one cached function, counted so far.
#[derive(Debug, Default)]
pub struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    coalesced: AtomicU64,
    sets: AtomicU64,
    deletes: AtomicU64,
    evictions: AtomicU64,
    errors: AtomicU64,
}

/// A reading of [`Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Reads that found a value, fresh or stale.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
    /// Hits whose value was stale.
    pub stale: u64,
    /// Misses that waited for somebody else's computation instead of starting their own.
    pub coalesced: u64,
    /// Values written.
    pub sets: u64,
    /// Entries deleted by key.
    pub deletes: u64,
    /// Entries that had to make room.
    pub evictions: u64,
    /// Operations of the cache that failed.
    pub errors: u64,
}

/// The counters that one call moves: those of its cache, and those of its function if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    /// The counters of the cache.
    pub cache: &'a Counters,
    /// The counters of the cached function.
    pub function: Option<&'a Counters>,
}

macro_rules! counting {
    ($($name:ident => $field:ident),*) => {
        impl Tally<'_> {
            $(#[inline]
            pub(crate) fn $name(self) {
                bump(&self.cache.$field);
                if let Some(function) = self.function {
                    bump(&function.$field);
                }
            })*
        }
    };
}

counting!(hit => hits, miss => misses, stale => stale, coalesced => coalesced, set => sets,
    delete => deletes, eviction => evictions);

#[inline]
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

impl Counters {
    /// Counts an operation that failed; unlike the others it may be counted outside the lock.
    pub fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted since the beginning or the last [`Counters::reset`].
    pub fn read(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            hits: of(&self.hits),
            misses: of(&self.misses),
            stale: of(&self.stale),
            coalesced: of(&self.coalesced),
            sets: of(&self.sets),
            deletes: of(&self.deletes),
            evictions: of(&self.evictions),
            errors: of(&self.errors),
        }
    }

    /// Starts again from zero.
    pub fn reset(&self) {
        let Self { hits, misses, stale, coalesced, sets, deletes, evictions, errors } = self;
        for counter in [hits, misses, stale, coalesced, sets, deletes, evictions, errors] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

impl Stats {
    /// The share of reads that found a value, 0 when nothing was read.
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 53 bits")]
    pub fn hit_rate(&self) -> f64 {
        let reads = self.hits + self.misses;
        if reads == 0 { 0.0 } else { self.hits as f64 / reads as f64 }
    }
}

impl<'a> Tally<'a> {
    /// A call on the cache itself.
    pub const fn of(cache: &'a Counters) -> Self {
        Self { cache, function: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_function_counts_for_it_and_for_its_cache() {
        let (cache, function) = (Counters::default(), Counters::default());
        Tally { cache: &cache, function: Some(&function) }.hit();
        Tally::of(&cache).miss();
        assert_eq!((cache.read().hits, cache.read().misses), (1, 1));
        assert_eq!((function.read().hits, function.read().misses), (1, 0));
        assert!((cache.read().hit_rate() - 0.5).abs() < f64::EPSILON);
        cache.reset();
        assert_eq!(cache.read(), Stats::default());
        assert!(Stats::default().hit_rate().abs() < f64::EPSILON);
    }
}
