//! Times of day, datetimes and durations, in the ranges of Python's `datetime`.

use super::timestamp::SECONDS_A_DAY;
use super::{Date, Rest, Timestamp, Zone};
use crate::build::Malformed;

/// A time of day: hour, minute, second (a byte each), microsecond (3 bytes, the first bit of which is
/// `fold`), zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Time<'a> {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Less than a million.
    pub microsecond: u32,
    /// Whether it is the second of two equal local times, when clocks go back (PEP 495).
    pub fold: bool,
    /// Its zone.
    pub zone: Zone<'a>,
}

/// Date and time: the contents of both, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DateTime<'a> {
    /// The date.
    pub date: Date,
    /// The time of day, and the zone.
    pub time: Time<'a>,
}

/// A duration: days (i32), seconds (u32), microseconds (u32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeDelta {
    /// At most 999,999,999 either way.
    pub days: i32,
    /// Less than 86,400.
    pub seconds: u32,
    /// Less than a million.
    pub microseconds: u32,
}

impl<'a> Time<'a> {
    /// The content of the extension.
    pub fn pack(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(16);
        self.put(&mut content);
        content
    }

    /// The same without a borrow.
    pub fn into_owned(self) -> Time<'static> {
        let Self { hour, minute, second, microsecond, fold, zone } = self;
        Time { hour, minute, second, microsecond, fold, zone: zone.into_owned() }
    }

    /// The time of a content.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for a number or a zone that is out of range.
    pub fn unpack(content: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Rest { content, what: "a time of an unknown form or out of range" };
        let time = Self::take(&mut rest)?;
        rest.end()?;
        Ok(time)
    }

    fn put(&self, content: &mut Vec<u8>) {
        let [_, high, middle, low] = self.microsecond.to_be_bytes();
        let fold = if self.fold { 0x80 } else { 0 };
        content.extend([self.hour, self.minute, self.second, high | fold, middle, low]);
        self.zone.pack(content);
    }

    fn take(rest: &mut Rest<'a>) -> Result<Self, Malformed> {
        let [hour, minute, second, high, middle, low] = rest.take()?;
        let fold = high & 0x80 != 0;
        let microsecond = u32::from_be_bytes([0, high & 0x7f, middle, low]);
        rest.check(hour < 24 && minute < 60 && second < 60 && microsecond < 1_000_000)?;
        let zone = Zone::unpack(rest)?;
        Ok(Self { hour, minute, second, microsecond, fold, zone })
    }
}

impl<'a> DateTime<'a> {
    /// The content of the extension.
    pub fn pack(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(16);
        content.extend(self.date.pack());
        self.time.put(&mut content);
        content
    }

    /// The same without a borrow.
    pub fn into_owned(self) -> DateTime<'static> {
        DateTime { date: self.date, time: self.time.into_owned() }
    }

    /// The datetime of a content.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for a date, a time or a zone that is out of range.
    pub fn unpack(content: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Rest { content, what: "a datetime of an unknown form or out of range" };
        let date = Date::take(&mut rest)?;
        let time = Time::take(&mut rest)?;
        rest.end()?;
        Ok(Self { date, time })
    }

    /// The timestamp that says the same: there is one if the zone is [`Zone::Utc`] and `fold` is not
    /// set. Then it is the timestamp that is written.
    pub fn to_timestamp(&self) -> Option<Timestamp> {
        if self.time.zone != Zone::Utc || self.time.fold {
            return None;
        }
        let Time { hour, minute, second, microsecond, .. } = self.time;
        let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        let seconds = self.date.day_number() * SECONDS_A_DAY + of_day;
        Some(Timestamp { seconds, nanoseconds: microsecond * 1000 })
    }
}

impl TimeDelta {
    /// The content of the extension.
    pub fn pack(&self) -> [u8; 12] {
        let mut content = [0; 12];
        content[..4].copy_from_slice(&self.days.to_be_bytes());
        content[4..8].copy_from_slice(&self.seconds.to_be_bytes());
        content[8..].copy_from_slice(&self.microseconds.to_be_bytes());
        content
    }

    /// The duration of a content.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for a number that is out of range.
    pub fn unpack(content: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Rest { content, what: "a duration of an unknown form or out of range" };
        let duration = Self {
            days: i32::from_be_bytes(rest.take()?),
            seconds: u32::from_be_bytes(rest.take()?),
            microseconds: u32::from_be_bytes(rest.take()?),
        };
        rest.end()?;
        let TimeDelta { days, seconds, microseconds } = duration;
        rest.check((-999_999_999..=999_999_999).contains(&days))?;
        rest.check(seconds < 86_400 && microseconds < 1_000_000)?;
        Ok(duration)
    }
}
