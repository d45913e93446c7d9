//! Why bytes are no value of a type, without a word of what is in them.
//!
//! The messages of serde quote the value: `invalid type: string "…", expected u32`. An error ends
//! in logs, and what is cached does not belong there, least of all where it was encrypted. So a
//! message is taken apart, and what is put together again is what the program itself said: the type
//! it expected, the names of its fields.

use std::error::Error;
use std::fmt;

/// The cause of an error of [`ErrorKind::Deserialization`](crate::ErrorKind::Deserialization).
#[derive(Debug)]
pub(super) struct Misfit(String);

/// What serde calls what it found.
const FOUND: [&str; 16] = [
    "boolean",
    "integer",
    "floating point",
    "character",
    "string",
    "byte array",
    "unit value",
    "null",
    "Option value",
    "newtype struct",
    "sequence",
    "map",
    "unit variant",
    "newtype variant",
    "tuple variant",
    "struct variant",
];

impl Misfit {
    /// What is wrong, in words that are known to hold nothing of the value.
    pub(super) fn known(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// What is wrong, in the words of serde's `Error` trait.
    pub(super) fn of_serde(message: &str) -> Self {
        // The last one: what is quoted stands before it, and may hold the same words.
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
        let or_else = |expected: Option<&str>| match expected {
            Some(expected) => format!(", expected {expected}"),
            None => String::new(),
        };
        if message.starts_with("missing field `") || message.starts_with("duplicate field `") {
            return Self::known(message);
        }
        for start in ["unknown field", "unknown variant"] {
            if message.starts_with(start) {
                return Self::known([start, &or_else(expected)].concat());
            }
        }
        for start in ["invalid type: ", "invalid value: ", "invalid length "] {
            if let Some(found) = message.strip_prefix(start) {
                let found = FOUND.into_iter().find(|known| found.starts_with(known));
                let found = found.unwrap_or("something else");
                let found = if start == "invalid length " { "" } else { found };
                return Self::known([start.trim_end(), " ", found, &or_else(expected)].concat());
            }
        }
        Self::known("its `Deserialize` refuses the content")
    }

    /// The same, with where it is.
    #[cfg(feature = "json")]
    pub(super) fn at(self, line: usize, column: usize) -> Self {
        Self(format!("{}, at line {line}, column {column}", self.0))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Misfit {}

#[cfg(test)]
mod tests {
    use serde::de::{Error as _, Unexpected, value::Error};

    use super::*;

    fn told(error: &Error) -> String {
        Misfit::of_serde(&error.to_string()).to_string()
    }

    #[test]
    fn what_the_program_said_is_told_and_what_was_found_is_not() {
        let secret = "s3cret, expected `x`";
        let found = Unexpected::Str(secret);
        assert_eq!(told(&Error::invalid_type(found, &"u32")), "invalid type: string, expected u32");
        let found = Unexpected::Signed(4711);
        assert_eq!(
            told(&Error::invalid_value(found, &"u8")),
            "invalid value: integer, expected u8"
        );
        let found = Unexpected::Other(secret);
        let expected = "invalid type: something else, expected u8";
        assert_eq!(told(&Error::invalid_type(found, &"u8")), expected);
        let error = Error::unknown_variant(secret, &["A", "B"]);
        assert_eq!(told(&error), "unknown variant, expected `A` or `B`");
        assert_eq!(told(&Error::unknown_field(secret, &["a"])), "unknown field, expected `a`");
        assert_eq!(told(&Error::missing_field("cents")), "missing field `cents`");
        assert!(!told(&Error::unknown_field("s3cret", &[])).contains("s3cret"));
        assert!(!told(&Error::custom(secret)).contains("s3cret"));
    }
}
