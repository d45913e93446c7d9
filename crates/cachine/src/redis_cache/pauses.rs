//! The pauses of who asks a server again and again for what somebody else has.

use std::time::Duration;

use crate::freshness::fraction;

/// The shortest and the longest.
const BOUNDS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Pauses that grow, each shortened at random so that those who began together don't ask together.
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) const fn new() -> Self {
        Self(BOUNDS.0)
    }

    /// The next pause: never longer than what is `left` of the other's right, where that is known.
    pub(super) fn next(&mut self, left: Duration) -> Duration {
        let pause = self.0.mul_f64(0.5 + 0.5 * fraction());
        self.0 = (2 * self.0).min(BOUNDS.1);
        if left.is_zero() { pause } else { pause.min(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_what_is_waited_for() {
        let (mut pauses, mut last) = (Pauses::new(), Duration::ZERO);
        for _ in 0..50 {
            last = pauses.next(Duration::ZERO);
            assert!(last >= BOUNDS.0 / 2 && last <= BOUNDS.1, "{last:?}");
        }
        assert!(last >= BOUNDS.1 / 2, "{last:?}");
        let two = Duration::from_millis(2);
        assert_eq!(pauses.next(two), two);
    }
}
