//! MessagePack's own extension type, the timestamp, in its three lengths.

use super::{Date, DateTime, Rest, Time, Zone};
use crate::build::Malformed;

pub(super) const SECONDS_A_DAY: i64 = 86_400;

/// A point in time, as MessagePack's own extension type counts it; in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    /// Since 1970, rounded down.
    pub seconds: i64,
    /// Less than a billion.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// The content of the extension: nanoseconds, seconds. A sink shortens it.
    pub fn pack(&self) -> [u8; 12] {
        let mut content = [0; 12];
        content[..4].copy_from_slice(&self.nanoseconds.to_be_bytes());
        content[4..].copy_from_slice(&self.seconds.to_be_bytes());
        content
    }

    /// The timestamp of a content, in any of the three lengths that MessagePack has.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for any other length, and for a billion nanoseconds or more.
    pub fn unpack(content: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Rest { content, what: "a timestamp of an unknown form" };
        let (seconds, nanoseconds) = match content.len() {
            4 => (i64::from(u32::from_be_bytes(rest.take()?)), 0),
            8 => {
                let both = u64::from_be_bytes(rest.take()?);
                let [.., a, b, c, d] = (both >> 34).to_be_bytes();
                let seconds = both & ((1 << 34) - 1);
                (seconds.cast_signed(), u32::from_be_bytes([a, b, c, d]))
            }
            _ => {
                let nanoseconds = u32::from_be_bytes(rest.take()?);
                (i64::from_be_bytes(rest.take()?), nanoseconds)
            }
        };
        rest.end()?;
        rest.check(nanoseconds < 1_000_000_000)?;
        Ok(Self { seconds, nanoseconds })
    }

    /// The shortest of MessagePack's three forms, and its length in bytes.
    pub fn shortest(&self) -> ([u8; 12], usize) {
        let mut content = [0; 12];
        let length = match u64::try_from(self.seconds) {
            Ok(seconds) if seconds >> 34 == 0 => {
                let both = u64::from(self.nanoseconds) << 34 | seconds;
                if let Ok(short) = u32::try_from(both) {
                    content[..4].copy_from_slice(&short.to_be_bytes());
                    4
                } else {
                    content[..8].copy_from_slice(&both.to_be_bytes());
                    8
                }
            }
            _ => {
                content = self.pack();
                12
            }
        };
        (content, length)
    }

    /// Its date and time of day in UTC, rounded down to microseconds.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if its year is not 1 to 9999.
    pub fn to_date_time(&self) -> Result<DateTime<'static>, Malformed> {
        let date = Date::of_day(self.seconds.div_euclid(SECONDS_A_DAY))?;
        // Less than a day.
        let second = u32::try_from(self.seconds.rem_euclid(SECONDS_A_DAY)).unwrap_or(0);
        let part = |number: u32| u8::try_from(number).unwrap_or(0);
        let time = Time {
            hour: part(second / 3600),
            minute: part(second / 60 % 60),
            second: part(second % 60),
            microsecond: self.nanoseconds / 1000,
            fold: false,
            zone: Zone::Utc,
        };
        Ok(DateTime { date, time })
    }
}
