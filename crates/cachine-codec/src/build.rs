//! How a value is made from bytes: a reader tells a builder what it meets.
//!
//! A builder is a stack: a scalar is pushed, and a container takes its content, the last so many
//! values, off the stack and is pushed itself. So a builder needs no type for "a list that is not
//! ready yet", and a length that lies costs nothing: only values that are there are ever counted.

use std::fmt;

use crate::kind::Kind;

/// Puts a value together.
///
/// Whatever is told may be refused; then reading stops with that error.
#[expect(clippy::missing_errors_doc, reason = "all of them fail alike, as the trait says")]
pub trait Build {
    /// Why it can't; also made of what is wrong with the bytes.
    type Error: From<Malformed>;

    /// Nothing.
    fn null(&mut self) -> Result<(), Self::Error>;
    /// A truth value.
    fn bool(&mut self, value: bool) -> Result<(), Self::Error>;
    /// An integer.
    fn int(&mut self, value: i64) -> Result<(), Self::Error>;
    /// An integer beyond `i64`: two's complement, little-endian, as short as possible.
    fn big_int(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// A number with a point.
    fn float(&mut self, value: f64) -> Result<(), Self::Error>;
    /// Text.
    fn str(&mut self, value: &str) -> Result<(), Self::Error>;
    /// Text that is a key of a map: the same few come again and again.
    fn key(&mut self, value: &str) -> Result<(), Self::Error> {
        self.str(value)
    }
    /// Bytes that do not change.
    fn bytes(&mut self, value: &[u8]) -> Result<(), Self::Error>;
    /// The last `length` values become a list.
    fn list(&mut self, length: usize) -> Result<(), Self::Error>;
    /// The last `2 * length` values, keys and values in turns, become a map; of equal keys the last
    /// one counts.
    fn map(&mut self, length: usize) -> Result<(), Self::Error>;
    /// The last `length` values become what this kind is.
    fn nested(&mut self, kind: Kind, length: usize) -> Result<(), Self::Error>;
    /// These bytes are the content of an extension; `content.rs` unpacks and checks them. Never a
    /// [`Kind::BigInt`], which arrives as `big_int`.
    fn extension(&mut self, kind: Kind, content: &[u8]) -> Result<(), Self::Error>;
}

/// What is wrong with bytes that should be a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What was expected, or what there should not be.
    pub what: &'static str,
    /// How many bytes before it were read. In what `content.rs` finds wrong with the content of an
    /// extension: 0.
    pub at: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for Malformed {}

/// No value has more containers inside each other than this; one that has can be neither written nor
/// read. Sinks and readers both count, so what a sink took is never too deep for a reader.
pub const DEEPEST: usize = 512;
