//! How a value is written: whoever walks it tells a sink what it meets.
//!
//! A walker knows what a value is (an object of Python, a [`crate::value::Value`]); a sink knows the
//! format. Neither knows the other, so every kind of value can be written in every format, by code
//! that the compiler joins without a call between them.

use std::fmt;

use crate::kind::Kind;

/// Why a sink does not take a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The format has nothing that would come back as the same.
    Kind,
    /// The format has no such number: NaN or an infinity.
    NotFinite,
    /// An integer of so many digits is not written.
    TooManyDigits,
    /// A text of more than 2^32 - 1 bytes, or a container of as many items.
    TooLong,
    /// Nested deeper than [`DEEPEST`](crate::build::DEEPEST): it could not be read again.
    TooDeep,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "the format has nothing that would come back as the same",
            Self::NotFinite => "the format has neither NaN nor infinities",
            Self::TooManyDigits => "an integer has too many digits",
            Self::TooLong => "a text or a container is longer than 2^32 - 1",
            Self::TooDeep => "it is nested too deep",
        })
    }
}

impl std::error::Error for Refused {}

/// What a sink answers.
pub type Taken = Result<(), Refused>;

/// Takes a value apart and writes it down.
///
/// A list of `n` is `begin_list(n)`, then each item after `next_item(is_first)`, then `end_list`; a
/// map of `n` is `begin_map(n)`, then `next_key(is_first)`, a key, `next_value`, a value for each
/// pair, then `end_map`. An extension is `begin_extension`, its content, `end_extension`.
///
/// Whatever answers may refuse: the format does not have such a value, or not here. After a refusal
/// the value as a whole is refused, and the sink is of no use.
#[expect(clippy::missing_errors_doc, reason = "all of them fail alike, as the trait says")]
pub trait Sink {
    /// Nothing.
    fn null(&mut self) -> Taken;
    /// A truth value.
    fn bool(&mut self, value: bool) -> Taken;
    /// An integer.
    fn int(&mut self, value: i64) -> Taken;
    /// An integer of any size, meant for those beyond `i64`: two's complement, little-endian. It need
    /// not be as short as possible.
    fn big_int(&mut self, bytes: &[u8]) -> Taken;
    /// A number with a point.
    fn float(&mut self, value: f64) -> Taken;
    /// Text.
    fn str(&mut self, value: &str) -> Taken;
    /// Bytes that do not change.
    fn bytes(&mut self, value: &[u8]) -> Taken;
    /// A list of so many items.
    fn begin_list(&mut self, length: usize) -> Taken;
    /// What stands before an item.
    fn next_item(&mut self, is_first: bool);
    /// What stands behind the last item.
    fn end_list(&mut self);
    /// A map of so many pairs. `has_text_keys`: every key is text.
    fn begin_map(&mut self, length: usize, has_text_keys: bool) -> Taken;
    /// What stands before a key.
    fn next_key(&mut self, is_first: bool);
    /// What stands between a key and its value.
    fn next_value(&mut self);
    /// What stands behind the last value.
    fn end_map(&mut self);
    /// An extension whose content is plain bytes.
    fn extension(&mut self, kind: Kind, content: &[u8]) -> Taken;
    /// An extension whose content is values; the answer goes to `end_extension`.
    fn begin_extension(&mut self, kind: Kind) -> Result<usize, Refused>;
    /// What stands behind the content of an extension.
    fn end_extension(&mut self, mark: usize) -> Taken;
}
