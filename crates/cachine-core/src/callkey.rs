//! The canonical encoding of a call: which function, called with which arguments.
//!
//! Two calls have the same key exactly when they have the same function, version and arguments.
//! Every part starts with a letter for its type, and everything of variable length carries its
//! length, so no text can forge a boundary: `("a,b", "c")` and `("a", "b,c")` differ, and so do
//! `1`, `1.0`, `True`, `"1"` and `b"1"`. The encoding is the same in every process, version and
//! language; it is a stored form and never changes.
//!
//! ```text
//! shop.price(i42,s2"eu)                      short: can be read
//! shop.report(#9f2c…)                        long: 128 bits of SHA-256 over the arguments
//! ```
//!
//! | part | is | | part | is |
//! | --- | --- | --- | --- | --- |
//! | `n` | None | | `t(…)` | tuple |
//! | `T` `F` | true, false | | `l(…)` | list |
//! | `i-12` | an integer of 64 bits | | `S(…)` `Z(…)` | set, frozen set; sorted |
//! | `x-1f…;` | a larger one, hexadecimal | | `d(…)` | map: key, value, sorted by key |
//! | `f` + 16 digits | the bits of a float | | `o`name`(…)` | anything with a name and parts |
//! | `s5"hello` | text, with its bytes counted | | `@7` | an object known by number |
//! | `u4"…` `b4"…` | unpaired surrogates, bytes; hexadecimal | | | |

use sha2::{Digest, Sha256};

use crate::key::MARKER;

/// Arguments whose encoding is longer than this are replaced by a digest.
const READABLE: usize = 128;

/// Keys up to this length are built without an allocation.
const INLINE: usize = 160;

/// A key under construction.
#[derive(Clone)]
pub struct CallKey {
    inline: [u8; INLINE],
    length: usize,
    /// Takes everything once `inline` is full.
    heap: Vec<u8>,
}

impl Default for CallKey {
    fn default() -> Self {
        Self::new()
    }
}

impl CallKey {
    /// An empty key.
    #[inline]
    pub const fn new() -> Self {
        Self { inline: [0; INLINE], length: 0, heap: Vec::new() }
    }

    /// A key that begins like this one, which must be short: a copy of one block, where writing
    /// the same bytes again would cost more.
    #[inline]
    #[must_use]
    pub fn resume(&self) -> Self {
        if self.heap.is_empty() {
            Self { inline: self.inline, length: self.length, heap: Vec::new() }
        } else {
            self.clone()
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        if self.heap.is_empty() && self.length < INLINE {
            self.inline[self.length] = byte;
            self.length += 1;
        } else {
            self.spill(&[byte]);
        }
    }

    /// What was written so far.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        if self.heap.is_empty() { &self.inline[..self.length] } else { &self.heap }
    }

    /// Writes bytes as they are: only for what has been encoded already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if self.heap.is_empty() && end <= INLINE {
            copy(&mut self.inline[self.length..end], bytes);
            self.length = end;
        } else {
            self.spill(bytes);
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.heap.is_empty() {
            self.heap.extend_from_slice(&self.inline[..self.length]);
        }
        self.heap.extend_from_slice(bytes);
    }

    /// None.
    #[inline]
    pub fn none(&mut self) {
        self.byte(b'n');
    }

    /// A truth value.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.byte(if value { b'T' } else { b'F' });
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.byte(b'i');
        self.decimal(value.unsigned_abs(), value < 0);
    }

    /// An integer outside 64 bits: `digits` is its magnitude, lower-case hexadecimal without
    /// leading zeros.
    pub fn large_integer(&mut self, negative: bool, digits: &str) {
        self.raw(if negative { b"x-" } else { b"x" });
        self.raw(digits.as_bytes());
        self.raw(b";");
    }

    #[inline]
    fn decimal(&mut self, mut value: u64, negative: bool) {
        if value < 10 && !negative {
            return self.byte(b'0' + (value % 10) as u8);
        }
        let mut digits = [0; 21];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        if negative {
            at -= 1;
            digits[at] = b'-';
        }
        self.raw(&digits[at..]);
    }

    /// A float by its bits; every NaN is the same.
    pub fn float(&mut self, value: f64) {
        let bits = if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() };
        self.raw(b"f");
        self.hexadecimal(&bits.to_be_bytes());
    }

    /// Text.
    #[inline]
    pub fn text(&mut self, text: &str) {
        if text.as_bytes().contains(&b'~') && text.contains(MARKER) {
            // As it stands it could make the key look like a record of the library.
            return self.surrogates(text.as_bytes());
        }
        self.counted(b's', text.len());
        self.raw(text.as_bytes());
    }

    /// Text with unpaired surrogates, as the bytes of a UTF-8 that allows them.
    pub fn surrogates(&mut self, bytes: &[u8]) {
        self.counted(b'u', bytes.len());
        self.hexadecimal(bytes);
    }

    /// Bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.counted(b'b', bytes.len());
        self.hexadecimal(bytes);
    }

    #[inline]
    fn counted(&mut self, kind: u8, length: usize) {
        self.byte(kind);
        self.decimal(length as u64, false);
        self.byte(b'"');
    }

    fn hexadecimal(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in bytes {
            self.raw(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }

    /// An object that this process knows by number.
    pub fn number(&mut self, number: u64) {
        self.byte(b'@');
        self.decimal(number, false);
    }

    /// Opens something with parts: `t`uple, `l`ist, `S`et, fro`Z`en set, `d`ictionary.
    #[inline]
    pub fn open(&mut self, kind: u8) {
        self.raw(&[kind, b'(']);
    }

    /// Opens something with a name and parts.
    pub fn open_named(&mut self, name: &str) {
        self.counted(b'o', name.len());
        self.raw(name.as_bytes());
        self.raw(b"(");
    }

    /// Separates two parts.
    #[inline]
    pub fn separate(&mut self) {
        self.byte(b',');
    }

    /// Closes what was opened.
    #[inline]
    pub fn close(&mut self) {
        self.byte(b')');
    }

    /// Ends the key; the arguments began at `from`. Long ones are replaced by their digest.
    #[inline]
    pub fn finish(&mut self, from: usize) {
        if self.as_bytes().len() - from > READABLE {
            self.digest(from);
        }
        self.byte(b')');
    }

    #[cold]
    fn digest(&mut self, from: usize) {
        let digest = Sha256::digest(&self.as_bytes()[from..]);
        if self.heap.is_empty() {
            self.length = from;
        } else {
            self.heap.truncate(from);
        }
        self.raw(b"#");
        self.hexadecimal(&digest[..16]);
    }
}

/// Copies bytes to a place of the same length, short ones without a call: two moves that may
/// overlap.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    let length = from.len();
    match length {
        8..=16 => {
            to[..8].copy_from_slice(&from[..8]);
            to[length - 8..].copy_from_slice(&from[length - 8..]);
        }
        4..=7 => {
            to[..4].copy_from_slice(&from[..4]);
            to[length - 4..].copy_from_slice(&from[length - 4..]);
        }
        1..=3 => {
            to[0] = from[0];
            to[length / 2] = from[length / 2];
            to[length - 1] = from[length - 1];
        }
        _ => to.copy_from_slice(from),
    }
}

/// What stands before the arguments of every call of one function: `name(`, with the version
/// and the number of a second function of the same name between them.
///
/// Letters, digits and what Python's own names contain stay as they are. Everything else would
/// blur where the name ends, so such a name is counted.
pub fn prefix(name: &str, version: Option<&str>, twin: u64) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '<' | '>');
    let text = |text: &str| {
        let mut encoded = CallKey::new();
        encoded.text(text);
        String::from_utf8_lossy(encoded.as_bytes()).into_owned()
    };
    let mut prefix =
        if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { text(name) };
    if twin > 0 {
        prefix.push('@');
        prefix.push_str(&twin.to_string());
    }
    if let Some(version) = version {
        prefix.push('=');
        prefix.push_str(&text(version));
    }
    prefix.push('(');
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(write: impl FnOnce(&mut CallKey)) -> String {
        let mut key = CallKey::new();
        key.raw(b"f(");
        write(&mut key);
        key.finish(2);
        String::from_utf8(key.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_stored_form_of_every_part_is_pinned() {
        assert_eq!(key(CallKey::none), "f(n)");
        assert_eq!(key(|k| k.boolean(true)), "f(T)");
        assert_eq!(key(|k| k.integer(0)), "f(i0)");
        assert_eq!(key(|k| k.integer(i64::MIN)), "f(i-9223372036854775808)");
        assert_eq!(key(|k| k.integer(i64::MAX)), "f(i9223372036854775807)");
        assert_eq!(key(|k| k.large_integer(true, "1f")), "f(x-1f;)");
        assert_eq!(key(|k| k.float(1.0)), "f(f3ff0000000000000)");
        assert_eq!(key(|k| k.float(-f64::NAN)), key(|k| k.float(f64::NAN)));
        assert_eq!(key(|k| k.text("hé\"")), "f(s4\"hé\")");
        assert_eq!(key(|k| k.text("~cachine~")), "f(u9\"7e63616368696e657e)");
        assert_eq!(key(|k| k.bytes(&[0, 255])), "f(b2\"00ff)");
        assert_eq!(key(|k| k.number(7)), "f(@7)");
        let nested = key(|k| {
            k.open(b't');
            k.integer(1);
            k.separate();
            k.open_named("m.C");
            k.close();
            k.close();
        });
        assert_eq!(nested, "f(t(i1,o3\"m.C()))");
    }

    #[test]
    fn long_arguments_become_a_digest_that_depends_on_every_byte() {
        let long = |last: &str| key(|k| k.text(&("x".repeat(1000) + last)));
        assert_eq!(long("a").len(), "f(#".len() + 32 + 1);
        assert_ne!(long("a"), long("b"));
        assert_eq!(long("a"), "f(#3fb9e33c59f40bdc2baf12ea8911763c)");
        assert_eq!(key(|k| k.text(&"y".repeat(120))).len(), 2 + 5 + 120 + 1);
    }

    #[test]
    fn no_name_version_or_twin_reads_like_another() {
        let all = [
            prefix("m.f", None, 0),
            prefix("m.f", None, 1),
            prefix("m.f", Some(""), 0),
            prefix("m.f", Some("1"), 0),
            prefix("m.f", Some("1("), 0),
            prefix("m.f@1", None, 0),
            prefix("m.f=s1\"1", None, 0),
            prefix("m.f(", None, 0),
            prefix("m.<locals>.f", None, 0),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| !other.starts_with(one.as_str())), "{one}");
        }
        assert_eq!(all[0], "m.f(");
        assert_eq!(all[3], "m.f=s1\"1(");
    }
}
