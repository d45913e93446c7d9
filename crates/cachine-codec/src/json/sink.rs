//! Writes values as JSON text.

use serde_json::ser::{CompactFormatter, Formatter};

use super::digits;
use crate::build::DEEPEST;
use crate::kind::Kind;
use crate::sink::{Refused, Sink, Taken};

/// Writes one value as JSON text. After a refusal what it holds is of no use.
#[derive(Debug, Default)]
pub struct JsonSink {
    text: Vec<u8>,
    depth: usize,
    is_exact: bool,
}

/// Room for a small value, so that it is written without growing.
const FIRST_CAPACITY: usize = 128;

impl JsonSink {
    /// An empty one.
    pub fn new() -> Self {
        Self { text: Vec::with_capacity(FIRST_CAPACITY), ..Self::default() }
    }

    /// One that also refuses -0.0, which many readers of JSON take for 0.
    pub fn exact() -> Self {
        Self { is_exact: true, ..Self::new() }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.text
    }

    fn begin(&mut self, bracket: u8) -> Taken {
        if self.depth == DEEPEST {
            return Err(Refused::TooDeep);
        }
        self.depth += 1;
        self.text.push(bracket);
        Ok(())
    }

    fn end(&mut self, bracket: u8) {
        self.depth -= 1;
        self.text.push(bracket);
    }
}

/// Whether a text is the same inside quotes. Looks at all of it without a branch, which the compiler
/// turns into vector instructions; an early exit would cost more than it saves.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch for each byte")]
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, &byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'))
}

/// Writing to a vector can't fail.
fn written(result: &std::io::Result<()>) {
    debug_assert!(result.is_ok(), "a vector takes every byte");
}

impl Sink for JsonSink {
    #[inline]
    fn null(&mut self) -> Taken {
        self.text.extend_from_slice(b"null");
        Ok(())
    }

    #[inline]
    fn bool(&mut self, value: bool) -> Taken {
        self.text.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    #[inline]
    fn int(&mut self, value: i64) -> Taken {
        written(&CompactFormatter.write_i64(&mut self.text, value));
        Ok(())
    }

    fn big_int(&mut self, bytes: &[u8]) -> Taken {
        digits::write(&mut self.text, bytes)
    }

    #[inline]
    fn float(&mut self, value: f64) -> Taken {
        if !value.is_finite() {
            return Err(Refused::NotFinite);
        }
        if self.is_exact && value == 0.0 && value.is_sign_negative() {
            return Err(Refused::Kind);
        }
        written(&CompactFormatter.write_f64(&mut self.text, value));
        Ok(())
    }

    #[inline]
    fn str(&mut self, value: &str) -> Taken {
        if is_plain(value.as_bytes()) {
            self.text.reserve(value.len() + 2);
            self.text.push(b'"');
            self.text.extend_from_slice(value.as_bytes());
            self.text.push(b'"');
        } else {
            let result = serde_json::to_writer(&mut self.text, value);
            debug_assert!(result.is_ok(), "every text can be escaped");
        }
        Ok(())
    }

    fn bytes(&mut self, _value: &[u8]) -> Taken {
        Err(Refused::Kind)
    }

    #[inline]
    fn begin_list(&mut self, _length: usize) -> Taken {
        self.begin(b'[')
    }

    #[inline]
    fn next_item(&mut self, is_first: bool) {
        if !is_first {
            self.text.push(b',');
        }
    }

    #[inline]
    fn end_list(&mut self) {
        self.end(b']');
    }

    #[inline]
    fn begin_map(&mut self, _length: usize, has_text_keys: bool) -> Taken {
        if !has_text_keys {
            return Err(Refused::Kind);
        }
        self.begin(b'{')
    }

    #[inline]
    fn next_key(&mut self, is_first: bool) {
        if !is_first {
            self.text.push(b',');
        }
    }

    #[inline]
    fn next_value(&mut self) {
        self.text.push(b':');
    }

    #[inline]
    fn end_map(&mut self) {
        self.end(b'}');
    }

    fn extension(&mut self, _kind: Kind, _content: &[u8]) -> Taken {
        Err(Refused::Kind)
    }

    fn begin_extension(&mut self, _kind: Kind) -> Result<usize, Refused> {
        Err(Refused::Kind)
    }

    fn end_extension(&mut self, _mark: usize) -> Taken {
        Err(Refused::Kind)
    }
}
