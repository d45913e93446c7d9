//! The one source of time, so that tests can move it.
//!
//! Deadlines are nanoseconds of *boot time*: it never jumps when somebody sets the wall clock, and
//! unlike a monotonic clock it runs on while the machine sleeps, so that an entry of one hour is
//! gone after a night in a closed laptop. Everything else in the engine takes time from here.
//!
//! # Cost
//!
//! An exact reading is a call of 20 to 25 ns, as much as the rest of a hit. `Glance` answers the
//! one question of a hit, "is this deadline still far away?", from the coarse wall clock in 5 ns
//! and falls back to an exact reading when it can't be sure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point in boot time, in nanoseconds.
pub type Instant = u64;

/// The deadline of an entry that does not expire.
pub const NEVER: Instant = u64::MAX;

/// A coarse reading is trusted for this long after an exact one.
const TRUSTED: u64 = 20_000_000;

/// Where the engine reads the time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The boot time of this machine.
    #[default]
    System,
    /// A clock that moves only when a test moves it.
    Fake(FakeClock),
}

/// A clock that stands still until [`FakeClock::advance`] is called; clones share their time.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<AtomicU64>);

/// The last exact reading, and the wall clock's coarse reading beside it.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    exact: Instant,
    wall: u64,
}

impl Clock {
    /// The time now.
    #[inline]
    pub fn now(&self) -> Instant {
        match self {
            Self::System => system::boot_time(),
            Self::Fake(fake) => fake.0.load(Ordering::Relaxed),
        }
    }

    /// The wall clock: microseconds since 1970. It may be set back at any time.
    pub fn wall(&self) -> u64 {
        match self {
            Self::System => system::wall_time(),
            Self::Fake(_) => self.now() / 1000,
        }
    }
}

impl FakeClock {
    /// A fake clock that shows one hour after boot.
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(3_600_000_000_000)))
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(nanoseconds(by), Ordering::Relaxed);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

/// A coarse reading that was taken ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coarse(u64);

impl Coarse {
    /// Takes a reading. Nothing waits for it, so a processor does it beside other work.
    #[inline]
    pub(crate) fn read(clock: &Clock) -> Self {
        match clock {
            Clock::System => Self(system::coarse_wall_time()),
            Clock::Fake(_) => Self(0),
        }
    }
}

impl Glance {
    /// Whether `deadline` is in the future.
    ///
    /// The wall clock may be set at any moment, so its coarse reading only counts when it lies in
    /// the short window after an exact one, and only for deadlines beyond that window. A jump or a
    /// night's sleep puts it outside the window, and then the exact clock decides.
    #[inline]
    pub(crate) fn is_before(&mut self, clock: &Clock, coarse: Coarse, deadline: Instant) -> bool {
        if let Clock::System = clock {
            let Coarse(wall) = coarse;
            let since = wall.wrapping_sub(self.wall);
            // Twice the window: the pair of readings is itself a clock tick apart at worst.
            if since < TRUSTED && deadline > self.exact + 2 * TRUSTED {
                return true;
            }
            self.wall = wall;
        }
        self.exact = clock.now();
        self.exact < deadline
    }
}

/// `duration` in nanoseconds; what does not fit becomes the largest finite time.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER - 1)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use rustix::time::{ClockId, clock_gettime};

    #[inline]
    fn read(id: ClockId) -> u64 {
        let time = clock_gettime(id);
        // Both fields are never negative for these clocks, and 64 bits of nanoseconds last until
        // the year 2554.
        time.tv_sec.unsigned_abs().wrapping_mul(1_000_000_000) + time.tv_nsec.unsigned_abs()
    }

    #[inline]
    pub(super) fn boot_time() -> u64 {
        read(ClockId::Boottime)
    }

    #[inline]
    pub(super) fn coarse_wall_time() -> u64 {
        read(ClockId::RealtimeCoarse)
    }

    pub(super) fn wall_time() -> u64 {
        read(ClockId::Realtime) / 1000
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::sync::OnceLock;
    use std::time::Instant;

    #[inline]
    #[expect(clippy::disallowed_methods, reason = "this is the door to the system's clock")]
    pub(super) fn boot_time() -> u64 {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        super::nanoseconds(ORIGIN.get_or_init(Instant::now).elapsed())
    }

    /// There is no cheaper clock here: a new exact reading is due at every glance.
    #[inline]
    pub(super) fn coarse_wall_time() -> u64 {
        u64::MAX
    }

    pub(super) fn wall_time() -> u64 {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        super::nanoseconds(since) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_moves_forward() {
        let clock = Clock::System;
        let first = clock.now();
        assert!(first > 0);
        while clock.now() == first {}
        assert!(clock.now() > first);
    }

    #[test]
    fn a_glance_agrees_with_the_exact_clock_about_near_and_far_deadlines() {
        let clock = Clock::System;
        let mut glance = Glance::default();
        for _ in 0..10_000 {
            let now = clock.now();
            let mut is_before = |deadline| glance.is_before(&clock, Coarse::read(&clock), deadline);
            assert!(!is_before(now));
            assert!(is_before(now + 3_600_000_000_000));
            assert!(is_before(NEVER));
        }
    }

    #[test]
    fn a_fake_clock_stands_still_until_it_is_moved() {
        let fake = FakeClock::new();
        let clock = Clock::Fake(fake.clone());
        let before = clock.now();
        fake.advance(Duration::from_millis(1500));
        assert_eq!(clock.now() - before, 1_500_000_000);
        let mut glance = Glance::default();
        let coarse = Coarse::read(&clock);
        assert!(!glance.is_before(&clock, coarse, clock.now()));
        assert!(glance.is_before(&clock, coarse, clock.now() + 1));
    }
}
