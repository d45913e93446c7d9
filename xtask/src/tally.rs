//! How many tests passed and failed, read from what the test runners say.

use std::ops::AddAssign;

/// A count of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// One thing that passed.
    pub(crate) const PASS: Self = Self { passed: 1, failed: 0 };
    /// One thing that failed.
    pub(crate) const FAIL: Self = Self { passed: 0, failed: 1 };

    /// The count of one test binary, if `line` is its last: `test result: ok. 3 passed; …`. An
    /// ignored test counts as failed, because it proves nothing and nobody looks at it again.
    pub(crate) fn of_cargo(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?;
        let count = |noun: &str| -> Option<u64> {
            let before = counts.split(noun).next()?.trim_end();
            before.rsplit([' ', ';']).next()?.parse().ok()
        };
        Some(Self { passed: count(" passed")?, failed: count(" failed")? + count(" ignored")? })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_a_test_binary_is_read() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out";
        assert_eq!(Tally::of_cargo(line), Some(Tally { passed: 12, failed: 4 }));
        let line = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Tally::of_cargo(line), Some(Tally::default()));
    }

    #[test]
    fn other_lines_are_no_count() {
        assert_eq!(Tally::of_cargo("test store::a_failed_fill ... ok"), None);
        assert_eq!(Tally::of_cargo("12 passed; 3 failed; 1 ignored"), None);
    }
}
