//! The time zone of a datetime or a time.

use std::borrow::Cow;

use super::{Rest, malformed};
use crate::build::Malformed;

/// A day has so many seconds; an offset is less.
const DAY: i32 = 86_400;

/// What tells a local time from a point in time.
///
/// Packed as a tag (1 byte), then for an offset its seconds (i32) and microseconds (3 bytes), then
/// the name where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Zone<'a> {
    /// None: a local time.
    Naive,
    /// `datetime.timezone.utc`.
    Utc,
    /// A fixed distance from UTC, positive to the east: the sum of both numbers, less than a day.
    Offset {
        /// Seconds; rounded down where there are microseconds.
        seconds: i32,
        /// Microseconds, less than a million.
        microseconds: u32,
    },
    /// The same with a name for it.
    NamedOffset {
        /// Seconds; rounded down where there are microseconds.
        seconds: i32,
        /// Microseconds, less than a million.
        microseconds: u32,
        /// The name.
        name: Cow<'a, str>,
    },
    /// A zone of the time zone database (IANA), such as `Europe/Berlin`.
    Name(Cow<'a, str>),
}

impl<'a> Zone<'a> {
    /// The same without a borrow.
    pub fn into_owned(self) -> Zone<'static> {
        match self {
            Self::Naive => Zone::Naive,
            Self::Utc => Zone::Utc,
            Self::Offset { seconds, microseconds } => Zone::Offset { seconds, microseconds },
            Self::NamedOffset { seconds, microseconds, name } => {
                Zone::NamedOffset { seconds, microseconds, name: Cow::Owned(name.into_owned()) }
            }
            Self::Name(key) => Zone::Name(Cow::Owned(key.into_owned())),
        }
    }

    pub(super) fn pack(&self, content: &mut Vec<u8>) {
        match self {
            Self::Naive => content.push(0),
            Self::Utc => content.push(1),
            Self::Offset { seconds, microseconds } => {
                content.push(2);
                pack_offset(*seconds, *microseconds, content);
            }
            Self::NamedOffset { seconds, microseconds, name } => {
                content.push(3);
                pack_offset(*seconds, *microseconds, content);
                content.extend_from_slice(name.as_bytes());
            }
            Self::Name(key) => {
                content.push(4);
                content.extend_from_slice(key.as_bytes());
            }
        }
    }

    pub(super) fn unpack(rest: &mut Rest<'a>) -> Result<Self, Malformed> {
        let zone = match rest.byte()? {
            0 => Self::Naive,
            1 => Self::Utc,
            2 => {
                let (seconds, microseconds) = unpack_offset(rest)?;
                Self::Offset { seconds, microseconds }
            }
            3 => {
                let (seconds, microseconds) = unpack_offset(rest)?;
                Self::NamedOffset { seconds, microseconds, name: Cow::Borrowed(rest.text()?) }
            }
            4 => Self::Name(Cow::Borrowed(rest.text()?)),
            _ => return Err(malformed("a time zone of an unknown form")),
        };
        zone.check()?;
        Ok(zone)
    }

    pub(super) fn check(&self) -> Result<(), Malformed> {
        let is_right = match self {
            Self::Naive | Self::Utc => true,
            Self::Offset { seconds, microseconds }
            | Self::NamedOffset { seconds, microseconds, .. } => {
                let is_less_than_a_day =
                    (1 - DAY..DAY).contains(seconds) || (*seconds == -DAY && *microseconds > 0);
                *microseconds < 1_000_000 && is_less_than_a_day
            }
            Self::Name(key) => !key.is_empty(),
        };
        if is_right { Ok(()) } else { Err(malformed("a time zone that is out of range")) }
    }
}

fn pack_offset(seconds: i32, microseconds: u32, content: &mut Vec<u8>) {
    content.extend_from_slice(&seconds.to_be_bytes());
    content.extend_from_slice(&microseconds.to_be_bytes()[1..]);
}

fn unpack_offset(rest: &mut Rest<'_>) -> Result<(i32, u32), Malformed> {
    let seconds = i32::from_be_bytes(rest.take()?);
    let [high, middle, low] = rest.take()?;
    Ok((seconds, u32::from_be_bytes([0, high, middle, low])))
}
