//! The canonical decimal: how an integer of 64 bits stands in a store.
//!
//! It is what `INCR` of Redis reads and writes: ASCII digits, a minus if it is negative, no zero in
//! front, no plus. Every other text of digits is a payload like any other.

/// A sign and 19 digits.
pub(crate) const LONGEST: usize = 20;

/// The integer that these bytes are the canonical decimal of.
pub(crate) fn read(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > LONGEST {
        return None;
    }
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let is_canonical = match digits {
        [b'0'] => digits.len() == bytes.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // What is left to go wrong is the range.
    if is_canonical { str::from_utf8(bytes).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn every_integer_is_read_from_what_it_prints_as() {
        for value in [0, 1, -1, 9, 10, -10, 1234, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1] {
            assert_eq!(read(value.to_string().as_bytes()), Some(value));
        }
    }

    #[test]
    fn what_no_integer_prints_as_is_no_decimal() {
        let texts = [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "1_000",
            "--1",
            "\u{0661}",
            "9223372036854775808",
            "-9223372036854775809",
            "92233720368547758070",
            "000000000000000000001",
        ];
        for text in texts {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
    }
}
