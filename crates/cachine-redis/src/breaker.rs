//! Remembers that a server does not answer, so that not every call has to wait for it.
//!
//! A cached function whose server is gone would wait a whole deadline for each of its calls. So a
//! fault *opens* the breaker for a pause, and whoever can do without the server asks it first. When
//! the pause is over one caller goes ahead as a *probe*; the others still do without. Any answer of
//! the server, to whatever operation, closes it.
//!
//! # Cost
//!
//! While the server answers, one relaxed load each time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cachine_core::clock::{Instant, nanoseconds};

/// The first pause.
const FIRST: Duration = Duration::from_millis(500);
/// The longest; each is twice the one before.
const LONGEST: Duration = Duration::from_secs(10);

/// Shared by all links to one server.
///
/// It has no lock, which a thread that a fork left behind could hold for ever. Callers that come at
/// the same instant may open a pause twice, or send two probes.
#[derive(Debug, Default)]
pub struct Breaker {
    /// The pause in nanoseconds; zero while the server answers.
    pause: AtomicU64,
    /// Nobody goes before this.
    until: AtomicU64,
    /// Whether a probe went and has not reported back.
    is_probing: AtomicBool,
    /// Whether it was opened because time was up, and not for want of a connection.
    is_timeout: AtomicBool,
}

impl Breaker {
    /// Whether a caller may ask the server; otherwise how long it is not to be asked. A probe that
    /// has not reported back after `patience` counts as lost, and another one may go.
    ///
    /// # Errors
    ///
    /// How long it will be until somebody may ask.
    pub fn ready(&self, now: Instant, patience: Duration) -> Result<(), Duration> {
        let pause = self.pause.load(Ordering::Relaxed);
        if pause == 0 {
            return Ok(());
        }
        let until = self.until.load(Ordering::Acquire);
        if now < until {
            return Err(Duration::from_nanos(until - now));
        }
        let next = now.saturating_add(pause.max(nanoseconds(patience)));
        match self.until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                self.is_probing.store(true, Ordering::Release);
                Ok(())
            }
            // Another caller went ahead.
            Err(until) => Err(Duration::from_nanos(until.saturating_sub(now).max(1))),
        }
    }

    /// Whether the server was last too slow, and not out of reach.
    pub fn is_timeout(&self) -> bool {
        self.is_timeout.load(Ordering::Relaxed)
    }

    /// The server answered.
    pub fn succeeded(&self) {
        if self.pause.load(Ordering::Relaxed) != 0 {
            self.is_probing.store(false, Ordering::Release);
            self.pause.store(0, Ordering::Release);
        }
    }

    /// The server did not answer. Many calls fail together when a server goes; they open one pause.
    pub fn failed(&self, now: Instant, is_timeout: bool) {
        let pause = self.pause.load(Ordering::Acquire);
        let next = if pause == 0 {
            self.is_timeout.store(is_timeout, Ordering::Relaxed);
            nanoseconds(FIRST)
        } else if self.is_probing.swap(false, Ordering::AcqRel)
            || now >= self.until.load(Ordering::Acquire)
        {
            (pause * 2).min(nanoseconds(LONGEST))
        } else {
            return;
        };
        self.until.store(now.saturating_add(next), Ordering::Release);
        self.pause.store(next, Ordering::Release);
    }

    /// An operation ended and nobody knows how the server is: if it was the probe, the next may go.
    pub fn left(&self, now: Instant) {
        if self.is_probing.swap(false, Ordering::AcqRel) {
            self.until.store(now, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);
    const START: Instant = 1_000_000_000_000;

    fn at(milliseconds: u64) -> Instant {
        START + milliseconds * 1_000_000
    }

    #[test]
    fn a_fault_opens_it_for_half_a_second_and_then_one_caller_goes() {
        let breaker = Breaker::default();
        assert_eq!(breaker.ready(at(0), PATIENCE), Ok(()));
        breaker.failed(at(0), true);
        assert_eq!(breaker.ready(at(0), PATIENCE), Err(FIRST));
        assert_eq!(breaker.ready(at(499), PATIENCE), Err(Duration::from_millis(1)));
        assert_eq!(breaker.ready(at(500), PATIENCE), Ok(()));
        assert!(breaker.ready(at(500), PATIENCE).is_err());
        assert!(breaker.ready(at(1500), PATIENCE).is_err());
    }

    #[test]
    fn a_probe_that_fails_doubles_the_pause_up_to_ten_seconds() {
        let breaker = Breaker::default();
        breaker.failed(at(0), true);
        let mut now = at(0);
        for pause in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
            let pause = Duration::from_millis(pause);
            assert_eq!(breaker.ready(now, PATIENCE), Err(pause));
            now += nanoseconds(pause);
            assert_eq!(breaker.ready(now, PATIENCE), Ok(()));
            breaker.failed(now, true);
        }
    }

    #[test]
    fn it_remembers_what_opened_it() {
        let breaker = Breaker::default();
        breaker.failed(at(0), false);
        breaker.failed(at(1), true);
        assert!(!breaker.is_timeout());
        breaker.succeeded();
        breaker.failed(at(2), true);
        assert!(breaker.is_timeout());
    }

    #[test]
    fn calls_that_fail_together_open_one_pause() {
        let breaker = Breaker::default();
        for millisecond in 0..100 {
            breaker.failed(at(millisecond), true);
        }
        assert_eq!(breaker.ready(at(100), PATIENCE), Err(Duration::from_millis(400)));
    }

    #[test]
    fn any_answer_closes_it_and_the_next_pause_is_the_first_again() {
        let breaker = Breaker::default();
        breaker.failed(at(0), true);
        breaker.failed(at(600), true);
        breaker.succeeded();
        assert_eq!(breaker.ready(at(601), PATIENCE), Ok(()));
        assert_eq!(breaker.ready(at(601), PATIENCE), Ok(()));
        breaker.failed(at(700), true);
        assert_eq!(breaker.ready(at(700), PATIENCE), Err(FIRST));
    }

    #[test]
    fn a_probe_that_never_reports_back_is_replaced() {
        let breaker = Breaker::default();
        breaker.failed(at(0), true);
        assert_eq!(breaker.ready(at(500), PATIENCE), Ok(()));
        assert_eq!(breaker.ready(at(2499), PATIENCE), Err(Duration::from_millis(1)));
        assert_eq!(breaker.ready(at(2500), PATIENCE), Ok(()));
        assert!(breaker.ready(at(2500), PATIENCE).is_err());
    }

    #[test]
    fn a_probe_that_was_interrupted_makes_room_for_the_next() {
        let breaker = Breaker::default();
        breaker.failed(at(0), true);
        breaker.left(at(100));
        assert!(breaker.ready(at(100), PATIENCE).is_err());
        assert_eq!(breaker.ready(at(500), PATIENCE), Ok(()));
        breaker.left(at(600));
        assert_eq!(breaker.ready(at(600), PATIENCE), Ok(()));
    }
}
