//! What a value can be beside what JSON knows: the extension types of the MessagePack payloads.
//!
//! The numbers are part of the stored form and never change. The content of an extension is either
//! plain bytes, which [`crate::content`] packs, unpacks and checks, or MessagePack values one after the
//! other ([`Kind::is_nested`]).

/// An extension type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
#[non_exhaustive]
pub enum Kind {
    /// MessagePack's own timestamp: an aware datetime in UTC. Its content is that of the
    /// specification (32, 64 or 96 bits); here it is handed on as 12 bytes: nanoseconds (u32), then
    /// seconds since 1970 (i64), big-endian.
    Timestamp = -1,
    /// Values in order: the items.
    Tuple = 1,
    /// The items, in no order.
    Set = 2,
    /// The items, in no order.
    FrozenSet = 3,
    /// Mutable bytes.
    ByteArray = 4,
    /// An integer of more than 64 bits: two's complement, big-endian, as short as possible.
    BigInt = 5,
    /// Text with unpaired surrogates: UTF-8 in which they are encoded as if they were characters.
    SurrogateText = 6,
    /// Real and imaginary part, two doubles, big-endian.
    Complex = 7,
    /// Three values: start, stop, step.
    Range = 8,
    /// A decimal number: its text.
    Decimal = 9,
    /// Two values: numerator, denominator.
    Fraction = 10,
    /// 16 bytes (RFC 9562).
    Uuid = 11,
    /// A datetime that is no `Timestamp`: the contents of a date and a time.
    DateTime = 12,
    /// Year (u16, big-endian), month, day (a byte each).
    Date = 13,
    /// Hour, minute, second (a byte each), microsecond (3 bytes, the first bit of which is the fold), then
    /// the zone ([`crate::content::Zone`]).
    Time = 14,
    /// Days (i32), seconds (u32), microseconds (u32), big-endian.
    TimeDelta = 15,
    /// One byte for the flavour, then the text.
    Path = 16,
    /// Two values: registered name, member name.
    Enum = 17,
    /// Values: registered name, then the items.
    NamedTuple = 18,
    /// Values: registered name, then field name and value in turns.
    Dataclass = 19,
}

impl Kind {
    /// Whether its content is values, not plain bytes.
    pub const fn is_nested(self) -> bool {
        matches!(
            self,
            Self::Tuple
                | Self::Set
                | Self::FrozenSet
                | Self::Range
                | Self::Fraction
                | Self::Enum
                | Self::NamedTuple
                | Self::Dataclass
        )
    }

    /// The kind of an extension type's number.
    pub const fn from_number(number: i8) -> Option<Self> {
        Some(match number {
            -1 => Self::Timestamp,
            1 => Self::Tuple,
            2 => Self::Set,
            3 => Self::FrozenSet,
            4 => Self::ByteArray,
            5 => Self::BigInt,
            6 => Self::SurrogateText,
            7 => Self::Complex,
            8 => Self::Range,
            9 => Self::Decimal,
            10 => Self::Fraction,
            11 => Self::Uuid,
            12 => Self::DateTime,
            13 => Self::Date,
            14 => Self::Time,
            15 => Self::TimeDelta,
            16 => Self::Path,
            17 => Self::Enum,
            18 => Self::NamedTuple,
            19 => Self::Dataclass,
            _ => return None,
        })
    }
}
