//! Dates of the proleptic Gregorian calendar, as Python's `datetime` has them.
//!
//! Days are counted as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".

use super::{Rest, malformed};
use crate::build::Malformed;

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;
const DAYS_IN_400_YEARS: i64 = 146_097;

/// A date: year (u16), month, day (a byte each).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Date {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// The content of the extension.
    pub fn pack(&self) -> [u8; 4] {
        let [high, low] = self.year.to_be_bytes();
        [high, low, self.month, self.day]
    }

    /// The date of a content.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for a date that is in no calendar.
    pub fn unpack(content: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Rest { content, what: "a date of an unknown form or out of range" };
        let date = Self::take(&mut rest)?;
        rest.end()?;
        Ok(date)
    }

    pub(super) fn take(rest: &mut Rest<'_>) -> Result<Self, Malformed> {
        let date =
            Self { year: u16::from_be_bytes(rest.take()?), month: rest.byte()?, day: rest.byte()? };
        rest.check(date.is_right())?;
        Ok(date)
    }

    fn is_right(self) -> bool {
        let is_leap_year = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if is_leap_year => 29,
            2 => 28,
            _ => 0,
        };
        (1..=9999).contains(&self.year) && (1..=days).contains(&self.day)
    }

    /// Days since 1970. Years begin in March here, so that the leap day is the last one of a year;
    /// then a month begins (153 * months + 2) / 5 days after its year.
    pub(super) fn day_number(self) -> i64 {
        let months = (i64::from(self.month) + 9) % 12;
        let year = i64::from(self.year) - i64::from(months >= 10);
        let leap_days = year / 4 - year / 100 + year / 400;
        let days = (153 * months + 2) / 5 + i64::from(self.day) - 1;
        year * 365 + leap_days + days - DAYS_TO_1970
    }

    /// The date so many days after 1970-01-01: `day_number` the other way round.
    pub(super) fn of_day(day: i64) -> Result<Self, Malformed> {
        let since = day + DAYS_TO_1970;
        let in_era = since.rem_euclid(DAYS_IN_400_YEARS);
        let year_in_era =
            (in_era - in_era / 1460 + in_era / 36_524 - in_era / (DAYS_IN_400_YEARS - 1)) / 365;
        let in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
        let months = (5 * in_year + 2) / 153;
        let year =
            since.div_euclid(DAYS_IN_400_YEARS) * 400 + year_in_era + i64::from(months >= 10);
        // What does not fit becomes a 0, which is in no calendar.
        let date = Self {
            year: u16::try_from(year).unwrap_or(0),
            month: u8::try_from((months + 2) % 12 + 1).unwrap_or(0),
            day: u8::try_from(in_year - (153 * months + 2) / 5 + 1).unwrap_or(0),
        };
        if date.is_right() {
            Ok(date)
        } else {
            Err(malformed("a timestamp whose year is not 1 to 9999"))
        }
    }
}
