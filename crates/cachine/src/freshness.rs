//! How long a value is fresh, how long it may still be served stale, and the jitter on both.
//!
//! ```text
//! write          ttl + jitter            stale_ttl + jitter
//!   |--- fresh ------|------- stale ------------|--- gone
//!                     answered at once,
//!                     one refresh starts
//! ```
//!
//! `stale_ttl` is the whole age of a value, counted from its write, as the stale-while-revalidate
//! window of RFC 5861 would be if it were counted from there. Where it is no longer than `ttl`
//! there is no stale window.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachine_core::Life;
use cachine_core::clock::nanoseconds;
use cachine_core::error::{Error, ErrorKind};

/// The times of a cached value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Freshness {
    ttl: Option<Duration>,
    stale_ttl: Option<Duration>,
    jitter: Duration,
}

impl Freshness {
    /// Fresh for ever.
    pub const FOREVER: Self = Self { ttl: None, stale_ttl: None, jitter: Duration::ZERO };

    /// Checks the three times against each other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a `stale_ttl` without a `ttl`.
    pub fn new(
        ttl: Option<Duration>,
        stale_ttl: Option<Duration>,
        jitter: Option<Duration>,
    ) -> Result<Self, Error> {
        if let (None, Some(stale)) = (ttl, stale_ttl) {
            let message = format!(
                "stale_ttl={} without ttl: a value that never stops being fresh is never stale, \
                 give a ttl shorter than stale_ttl",
                stale.as_secs_f64()
            );
            return Err(Error::new(ErrorKind::Config, "cached", message));
        }
        Ok(Self { ttl, stale_ttl, jitter: jitter.unwrap_or_default() })
    }

    /// Whether there is a time at which a value is kept but no longer fresh.
    pub fn has_stale_window(&self) -> bool {
        self.stale_ttl > self.ttl && self.ttl.is_some()
    }

    /// Whether a value of this freshness would be gone at once.
    pub fn is_nothing(&self) -> bool {
        self.ttl == Some(Duration::ZERO) && !self.has_stale_window()
    }

    /// How long a value that is written now is fresh, jitter included; `None` for ever.
    pub fn next_ttl(&self) -> Option<Duration> {
        self.ttl.map(|ttl| ttl.saturating_add(self.jitter.mul_f64(fraction())))
    }

    /// How long a value that is written now is fresh, and how long it lives in all, `None` for
    /// ever; nothing when there is nothing to keep.
    pub fn spans(&self) -> Option<(Option<Duration>, Option<Duration>)> {
        let Some(ttl) = self.ttl else { return Some((None, None)) };
        if self.is_nothing() {
            return None;
        }
        let late = self.jitter.mul_f64(fraction());
        let fresh = ttl.saturating_add(late);
        let whole = self.stale_ttl.map_or(fresh, |stale| fresh.max(stale.saturating_add(late)));
        Some((Some(fresh), Some(whole)))
    }

    /// The life of a value that is written now; `None` when there is nothing to keep.
    pub fn life(&self) -> Option<Life> {
        Some(match self.spans()? {
            (Some(fresh), Some(whole)) if whole > fresh => {
                Life::with_stale(nanoseconds(fresh), nanoseconds(whole))
            }
            (Some(fresh), _) => Life::fresh_for(nanoseconds(fresh)),
            (None, _) => Life::FOREVER,
        })
    }
}

/// A number from 0 to 1, uniform enough to spread expiry: SplitMix64 (Steele, Lea and Flood,
/// OOPSLA 2014) over a counter, from a seed that differs between processes.
pub(crate) fn fraction() -> f64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let seed = *SEED.get_or_init(|| RandomState::new().build_hasher().finish());
    let count = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    let mut mixed = seed.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a fraction has")]
    let fraction = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn stale_ttl_is_the_whole_age_and_shorter_ones_leave_no_window() {
        let life = |ttl, stale| Freshness::new(Some(ttl), Some(stale), None).unwrap().life();
        let ns = 1_000_000_000;
        assert_eq!(life(seconds(60), seconds(120)), Some(Life::with_stale(60 * ns, 120 * ns)));
        assert_eq!(life(seconds(60), seconds(60)), Some(Life::fresh_for(60 * ns)));
        assert_eq!(life(seconds(60), seconds(30)), Some(Life::fresh_for(60 * ns)));
        assert_eq!(life(seconds(0), seconds(0)), None);
        assert!(Freshness::new(None, Some(seconds(1)), None).is_err());
        assert_eq!(Freshness::FOREVER.life(), Some(Life::FOREVER));
    }

    #[test]
    fn jitter_spreads_over_its_whole_range_and_shifts_both_ends_alike() {
        let spread: Vec<f64> = (0..10_000).map(|_| fraction()).collect();
        assert!(spread.iter().all(|x| (0.0..1.0).contains(x)));
        for tenth in 0..10 {
            let low = f64::from(tenth) / 10.0;
            let inside = spread.iter().filter(|&&x| x >= low && x < low + 0.1).count();
            assert!((800..1200).contains(&inside), "{inside} of 10,000 in tenth {tenth}");
        }
        let freshness =
            Freshness::new(Some(seconds(60)), Some(seconds(120)), Some(seconds(30))).unwrap();
        let text = format!("{:?}", freshness.life().unwrap());
        assert_ne!(text, format!("{:?}", freshness.life().unwrap()));
    }
}
