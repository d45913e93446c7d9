//! Whether a lock is still held, as far as its holder can know without asking.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cachine_core::clock::{Instant, nanoseconds};

use crate::lock::Lost;

/// What the holder of a lock and its renewal have in common. Once lost it stays lost: somebody may
/// have been told so.
#[derive(Debug)]
pub(crate) struct Standing {
    ttl: Duration,
    /// When the server may have given it to somebody else, counted from before it was asked.
    until: AtomicU64,
    /// Whether that time has come.
    is_late: AtomicBool,
    /// Whether the server said that it is not held.
    is_gone: AtomicBool,
    /// The child of a fork has a copy of what its parent holds.
    process: u32,
}

impl Standing {
    /// Of a lock that was asked for then.
    pub(super) fn new(ttl: Duration, began: Instant) -> Self {
        let until = AtomicU64::new(began.saturating_add(nanoseconds(ttl)));
        let (is_late, is_gone) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { ttl, until, is_late, is_gone, process: std::process::id() }
    }

    pub(crate) const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The server renewed it when it was asked to then.
    pub(crate) fn renewed(&self, began: Instant) {
        self.until.fetch_max(began.saturating_add(nanoseconds(self.ttl)), Ordering::AcqRel);
    }

    /// The server says that it is not held.
    pub(crate) fn lose(&self) {
        self.is_gone.store(true, Ordering::Release);
    }

    pub(crate) fn is_lost(&self, now: Instant) -> bool {
        self.how_lost(now).is_some()
    }

    /// How it was lost, if it was.
    pub(super) fn how_lost(&self, now: Instant) -> Option<Lost> {
        if self.is_of_a_parent() {
            return Some(Lost::Fork);
        }
        if now > self.until.load(Ordering::Acquire) {
            self.is_late.store(true, Ordering::Release);
        }
        // What was told first is told again, whatever the server says later.
        if self.is_late.load(Ordering::Acquire) {
            return Some(Lost::Late(self.ttl));
        }
        self.is_gone.load(Ordering::Acquire).then_some(Lost::Gone)
    }

    /// Whether this process is a copy of the one that holds it.
    pub(super) fn is_of_a_parent(&self) -> bool {
        self.process != std::process::id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_nanos(100);

    #[test]
    fn it_lasts_for_its_ttl_from_when_it_was_asked_for_or_renewed() {
        let standing = Standing::new(TTL, 1_000);
        assert!(!standing.is_lost(1_100));
        standing.renewed(1_050);
        assert!(!standing.is_lost(1_150));
        // An answer that comes late says what was so when it was asked for.
        standing.renewed(1_040);
        assert!(!standing.is_lost(1_150));
        assert!(matches!(standing.how_lost(1_151), Some(Lost::Late(TTL))));
    }

    #[test]
    fn what_was_lost_stays_lost() {
        let (gone, late) = (Standing::new(TTL, 1_000), Standing::new(TTL, 1_000));
        gone.lose();
        assert!(late.is_lost(1_101));
        for standing in [&gone, &late] {
            standing.renewed(1_090);
        }
        assert!(matches!(gone.how_lost(1_100), Some(Lost::Gone)));
        assert!(matches!(late.how_lost(1_100), Some(Lost::Late(TTL))), "as it was told before");
    }

    #[test]
    fn a_child_of_a_fork_holds_nothing() {
        let process = std::process::id().wrapping_add(1);
        let standing = Standing { process, ..Standing::new(TTL, 1_000) };
        assert!(matches!(standing.how_lost(1_000), Some(Lost::Fork)));
    }

    #[test]
    fn a_lock_for_ever_is_one() {
        let standing = Standing::new(Duration::MAX, u64::MAX / 2);
        assert!(!standing.is_lost(u64::MAX));
    }
}
