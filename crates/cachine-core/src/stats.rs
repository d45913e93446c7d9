//! Counters of what a cache did.
//!
//! Every counter of an operation is moved under the lock of its store, so a plain load and store is
//! exact and costs no more than adding to a variable; what happens outside the lock (an operation
//! that failed, a value that did not decode, the size of what was written, and whatever is done in
//! another process's store) is added atomically. Reading needs no lock.
//!
//! What is measured through one cache counts for the cache that it wraps too, so counters know the
//! next ones further in.

use std::sync::Arc;
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
    /// Hits whose value could not be read after all.
    undecoded: AtomicU64,
    /// How many reads were timed, and how long they took in nanoseconds.
    timed: AtomicU64,
    time: AtomicU64,
    /// How many computations were stored, and how long they took in nanoseconds.
    computed: AtomicU64,
    work: AtomicU64,
    /// What one of them takes, and how much of that the hits saved.
    mean_work: AtomicU64,
    saved: AtomicU64,
    /// The bytes of serialized values, before and after compression.
    raw: AtomicU64,
    packed: AtomicU64,
    /// The counters of the cache that this one wraps.
    inner: Option<Arc<Self>>,
    /// Whether every read is timed, not one in so many.
    times_all: bool,
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
    /// How many reads were timed: all of a cache that is measured, else one in 64.
    pub timed: u64,
    /// How long those took in all.
    pub time: Duration,
    /// Computing time that hits and waiters saved, each counted with what a computation of the
    /// same function takes on average.
    pub saved: Duration,
    /// The bytes of serialized values that were written, before compression.
    pub raw_bytes: u64,
    /// The same after it; equal where nothing is compressed.
    pub compressed_bytes: u64,
}

/// The counters that one call moves: those of its cache, and those of its function if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Tally<'a> {
    /// The counters of the cache.
    pub cache: &'a Counters,
    /// The counters of the cached function.
    pub function: Option<&'a Counters>,
}

/// What happened in a store that has no lock of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A read found a value.
    Hit,
    /// A read found a value in its stale window.
    Stale,
    /// A read found none.
    Miss,
    /// A miss waited for somebody else's computation.
    Coalesced,
    /// A value was written.
    Set,
    /// An entry was deleted by key.
    Delete,
}

macro_rules! counting {
    ($($name:ident => $field:ident),*) => {
        impl Tally<'_> {
            $(#[inline]
            pub(crate) fn $name(self) {
                self.cache.chain(|counters| bump(&counters.$field, 1));
                if let Some(function) = self.function {
                    bump(&function.$field, 1);
                }
            })*
        }
    };
}

counting!(hit_only => hits, miss => misses, stale => stale, coalesced_only => coalesced,
    set => sets, delete => deletes, eviction => evictions);

#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

impl Tally<'_> {
    #[inline]
    pub(crate) fn hit(self) {
        self.hit_only();
        self.save();
    }

    #[inline]
    pub(crate) fn coalesced(self) {
        self.coalesced_only();
        self.save();
    }

    /// Counts the work that a caller did not have to do.
    #[inline]
    fn save(self) {
        if let Some(function) = self.function {
            let work = function.mean_work.load(Ordering::Relaxed);
            if work != 0 {
                bump(&function.saved, work);
                self.cache.chain(|counters| bump(&counters.saved, work));
            }
        }
    }

    /// Counts a computation that took so many nanoseconds.
    pub fn computed(self, nanoseconds: u64) {
        let Some(function) = self.function else { return };
        let computed = function.computed.fetch_add(1, Ordering::Relaxed) + 1;
        let work = function.work.fetch_add(nanoseconds, Ordering::Relaxed) + nanoseconds;
        function.mean_work.store(work / computed, Ordering::Relaxed);
    }

    /// Counts what happened in a store that has no lock of ours.
    pub fn count(self, what: Counted) {
        let counter: fn(&Counters) -> &AtomicU64 = match what {
            Counted::Hit | Counted::Stale => |counters| &counters.hits,
            Counted::Miss => |counters| &counters.misses,
            Counted::Coalesced => |counters| &counters.coalesced,
            Counted::Set => |counters| &counters.sets,
            Counted::Delete => |counters| &counters.deletes,
        };
        self.outside(counter, 1);
        if what == Counted::Stale {
            self.outside(|counters| &counters.stale, 1);
        }
        let is_saved = matches!(what, Counted::Hit | Counted::Stale | Counted::Coalesced);
        if let Some(function) = self.function.filter(|_| is_saved) {
            let work = function.mean_work.load(Ordering::Relaxed);
            if work != 0 {
                self.outside(|counters| &counters.saved, work);
            }
        }
    }

    /// Counts an operation that failed; may be called outside the lock.
    pub fn error(self) {
        self.outside(|counters| &counters.errors, 1);
    }

    /// Takes a hit back whose value could not be read, and counts an error; outside the lock.
    pub fn undecoded(self) {
        self.retract();
        self.error();
    }

    /// Takes a hit back; outside the lock.
    pub fn retract(self) {
        self.outside(|counters| &counters.undecoded, 1);
    }

    /// Counts what a value was written as, in bytes before and after compression; outside the lock.
    pub fn wrote(self, raw: usize, packed: usize) {
        self.outside(|counters| &counters.raw, raw as u64);
        self.outside(|counters| &counters.packed, packed as u64);
    }

    fn outside(self, counter: impl Fn(&Counters) -> &AtomicU64, by: u64) {
        self.cache.chain(|counters| {
            counter(counters).fetch_add(by, Ordering::Relaxed);
        });
        if let Some(function) = self.function {
            counter(function).fetch_add(by, Ordering::Relaxed);
        }
    }
}

impl Counters {
    /// The counters of a cache that measures another one: what they count counts there too, and
    /// every read is timed.
    pub fn measuring(inner: &Arc<Self>) -> Self {
        Self { inner: Some(Arc::clone(inner)), times_all: true, ..Self::default() }
    }

    /// New counters for a view on the same cache: they count for themselves, and time as these do.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { times_all: self.times_all, ..Self::default() }
    }

    /// Does something to these counters and to those further in.
    #[inline]
    fn chain(&self, mut act: impl FnMut(&Self)) {
        act(self);
        let mut next = self.inner.as_deref();
        while let Some(counters) = next {
            act(counters);
            next = counters.inner.as_deref();
        }
    }

    /// What was counted since the beginning or the last [`Counters::reset`].
    pub fn read(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            hits: of(&self.hits).saturating_sub(of(&self.undecoded)),
            misses: of(&self.misses),
            stale: of(&self.stale),
            coalesced: of(&self.coalesced),
            sets: of(&self.sets),
            deletes: of(&self.deletes),
            evictions: of(&self.evictions),
            errors: of(&self.errors),
            timed: of(&self.timed),
            time: Duration::from_nanos(of(&self.time)),
            saved: Duration::from_nanos(of(&self.saved)),
            raw_bytes: of(&self.raw),
            compressed_bytes: of(&self.packed),
        }
    }

    /// Starts again from zero. What a computation takes on average stays known.
    pub fn reset(&self) {
        let Self { hits, misses, stale, coalesced, sets, deletes, evictions, .. } = self;
        for counter in [hits, misses, stale, coalesced, sets, deletes, evictions] {
            counter.store(0, Ordering::Relaxed);
        }
        let Self { errors, undecoded, timed, time, saved, raw, packed, .. } = self;
        for counter in [errors, undecoded, timed, time, saved, raw, packed] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Whether every read is timed.
    pub const fn times_all(&self) -> bool {
        self.times_all
    }

    /// Whether the next read is one of those that are timed.
    #[inline]
    pub fn is_sampled(&self) -> bool {
        if self.times_all {
            return true;
        }
        let reads = self.hits.load(Ordering::Relaxed) + self.misses.load(Ordering::Relaxed);
        reads.is_multiple_of(SAMPLED)
    }

    /// Adds the time of a read, in nanoseconds.
    pub fn sample(&self, nanoseconds: u64) {
        self.chain(|counters| {
            counters.timed.fetch_add(1, Ordering::Relaxed);
            counters.time.fetch_add(nanoseconds, Ordering::Relaxed);
        });
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

    #[test]
    fn what_a_measuring_cache_counts_is_counted_further_in_too() {
        let inner = Arc::new(Counters::default());
        let outer = Counters::measuring(&inner);
        Tally::of(&outer).hit();
        Tally::of(&outer).wrote(100, 40);
        Tally::of(&inner).miss();
        outer.sample(1_000);
        let (outer_read, inner_read) = (outer.read(), inner.read());
        assert_eq!((outer_read.hits, outer_read.misses), (1, 0));
        assert_eq!((inner_read.hits, inner_read.misses), (1, 1));
        assert_eq!((inner_read.raw_bytes, inner_read.compressed_bytes), (100, 40));
        assert_eq!(inner_read.mean_latency(), Duration::from_micros(1));
        assert!(outer.is_sampled(), "every read of a measured cache is timed");
        outer.reset();
        assert_eq!((outer.read().hits, inner.read().hits), (0, 1));
    }

    #[test]
    fn a_hit_saves_what_a_computation_of_its_function_takes_on_average() {
        let (cache, slow, fast) = (Counters::default(), Counters::default(), Counters::default());
        let of = |function| Tally { cache: &cache, function: Some(function) };
        of(&slow).hit();
        assert_eq!(cache.read().saved, Duration::ZERO, "nothing is known yet");
        of(&slow).computed(300);
        of(&slow).computed(100);
        of(&fast).computed(10);
        of(&slow).hit();
        of(&slow).coalesced();
        of(&fast).hit();
        assert_eq!(cache.read().saved, Duration::from_nanos(200 + 200 + 10));
        assert_eq!(fast.read().saved, Duration::from_nanos(10));
    }

    #[test]
    fn threads_that_count_without_a_lock_lose_nothing() {
        let (cache, function) = (Counters::default(), Counters::default());
        let tally = Tally { cache: &cache, function: Some(&function) };
        tally.computed(10);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| tally.count(Counted::Stale)));
            }
        });
        let read = cache.read();
        assert_eq!((read.hits, read.stale, read.misses), (4_000, 4_000, 0));
        assert_eq!(read.saved, Duration::from_micros(40));
        assert_eq!(function.read().hits, 4_000);
    }

    #[test]
    fn a_hit_that_did_not_decode_is_an_error_and_no_hit() {
        let cache = Counters::default();
        Tally::of(&cache).hit();
        Tally::of(&cache).undecoded();
        assert_eq!((cache.read().hits, cache.read().errors), (0, 1));
    }
}
