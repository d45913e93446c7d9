//! Any value, in Rust: what can be stored by an exact serializer, whatever language wrote it.
//!
//! It is the reference for the tests of the formats, and lets a program read an entry whose type it
//! does not know.

mod build;
mod number;
mod walk;

pub use self::build::ValueBuilder;
pub use self::number::{BigInt, Double};

use crate::content::{Date, DateTime, Path, Time, TimeDelta};

/// A value. Two are equal if they have the same kind at every depth, the same content and the same
/// order; floats are compared bit by bit, so NaN equals itself and 0.0 does not equal -0.0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer beyond that.
    BigInt(BigInt),
    /// A number with a point.
    Float(Double),
    /// Text.
    Text(String),
    /// Text with unpaired surrogates; see [`crate::content::surrogate_text`].
    SurrogateText(Vec<u8>),
    /// Bytes that do not change.
    Bytes(Vec<u8>),
    /// Mutable bytes.
    ByteArray(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A set, in the order in which it was written.
    Set(Vec<Value>),
    /// A set that does not change, in the order in which it was written.
    FrozenSet(Vec<Value>),
    /// A map, in its order.
    Map(Vec<(Value, Value)>),
    /// Real and imaginary part.
    Complex(Double, Double),
    /// Start, stop, step; integers.
    Range(Box<[Value; 3]>),
    /// The text of a decimal number; see [`crate::content::decimal`].
    Decimal(String),
    /// Numerator, denominator; integers.
    Fraction(Box<[Value; 2]>),
    /// A UUID (RFC 9562).
    Uuid([u8; 16]),
    /// A date and a time of day.
    DateTime(DateTime<'static>),
    /// A date.
    Date(Date),
    /// A time of day.
    Time(Time<'static>),
    /// A duration.
    TimeDelta(TimeDelta),
    /// A path.
    Path(Path<'static>),
    /// A member of an enumeration.
    Enum {
        /// The registered name of the enumeration.
        name: String,
        /// The name of the member.
        member: String,
    },
    /// A tuple of a type of its own.
    NamedTuple {
        /// The registered name of the type.
        name: String,
        /// Its items.
        items: Vec<Value>,
    },
    /// An instance of a dataclass.
    Dataclass {
        /// The registered name of the class.
        name: String,
        /// Its fields, with their names.
        fields: Vec<(String, Value)>,
    },
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(Double::from(value))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
