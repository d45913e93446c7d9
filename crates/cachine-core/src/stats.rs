//! Counters of what a cache did.
//!
//! Every counter is moved under the lock of its store, so a plain load and store is exact and
//! costs no more than adding to a variable. Reading needs no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    /// How many reads were timed, and how long they took in nanoseconds.
    timed: AtomicU64,
    time: AtomicU64,
}

/// One read in so many is timed: a clock costs as much as the rest of a hit.
const SAMPLED: u64 = 64;

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
    /// How many reads were timed, one in 64.
    pub timed: u64,
    /// How long those took in all.
    pub time: Duration,
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
            timed: of(&self.timed),
            time: Duration::from_nanos(of(&self.time)),
        }
    }

    /// Starts again from zero.
    pub fn reset(&self) {
        let Self { hits, misses, stale, coalesced, sets, deletes, evictions, .. } = self;
        for counter in [hits, misses, stale, coalesced, sets, deletes, evictions] {
            counter.store(0, Ordering::Relaxed);
        }
        for counter in [&self.errors, &self.timed, &self.time] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the next read is one of those that are timed.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        let reads = self.hits.load(Ordering::Relaxed) + self.misses.load(Ordering::Relaxed);
        reads.is_multiple_of(SAMPLED)
    }

    /// Adds the time of a read, in nanoseconds.
    pub fn sample(&self, nanoseconds: u64) {
        self.timed.fetch_add(1, Ordering::Relaxed);
        self.time.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Stats {
    /// The share of reads that found a value, 0 when nothing was read.
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 53 bits")]
    pub fn hit_rate(&self) -> f64 {
        let reads = self.hits + self.misses;
        if reads == 0 { 0.0 } else { self.hits as f64 / reads as f64 }
    }

    /// How long a read takes, by those that were timed; zero when none was.
    pub fn mean_latency(&self) -> Duration {
        let timed = u32::try_from(self.timed).unwrap_or(u32::MAX);
        self.time.checked_div(timed).unwrap_or_default()
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
