//! JSON text (RFC 8259): compact, UTF-8, integers of any size.
//!
//! Escapes and the shortest decimals of floats are `serde_json`'s, reading is `jiter`'s. What they
//! have no answer for is here: integers of more than 64 bits, and the bound on their digits.

mod digits;
mod read;
mod sink;

pub use self::digits::MOST_DIGITS;
pub use self::read::read;
pub use self::sink::JsonSink;
