//! Where replies end, seen in the bytes as they pass on their way to the parser.
//!
//! The parser reads ahead and does not say how far it got. Without that number, the beginning of a
//! reply that nobody asked for would stay in its buffer, and the next caller would get the end of it
//! as an answer. This counts complete replies and knows whether anything follows them.
//!
//! Cost: a few steps for each line; contents of strings are skipped, not looked at.

/// Status lines and numbers are short; what sends a longer one is not a Redis.
const LONGEST_LINE: usize = 64 * 1024;
/// A length of 64 bits has at most 20 characters; some room for blanks.
const LONGEST_LENGTH: usize = 32;

/// Follows a stream of replies (RESP2 and RESP3).
#[derive(Debug)]
pub(super) struct Framing {
    place: Place,
    /// Values that the current reply still lacks, itself included; zero between replies.
    missing: u64,
    complete: u64,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum Place {
    /// The first byte of a value.
    Kind,
    /// A line after its first byte, up to its `\r\n`.
    Line { kind: u8, length: usize, is_ending: bool, digits: [u8; LONGEST_LENGTH] },
    /// This many bytes of a string, the `\r\n` behind it included.
    Content(u64),
}

/// The bytes are no replies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbage;

impl Framing {
    pub(super) fn new() -> Self {
        Self { place: Place::Kind, missing: 0, complete: 0 }
    }

    /// How many replies were complete so far, if nothing follows them.
    pub(super) fn complete(&self) -> Option<u64> {
        (matches!(self.place, Place::Kind) && self.missing == 0).then_some(self.complete)
    }

    /// Follows bytes that have come.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Garbage> {
        while let Some(&byte) = bytes.first() {
            bytes = match &mut self.place {
                Place::Content(left) => {
                    let passed = usize::try_from(*left).map_or(bytes.len(), |n| n.min(bytes.len()));
                    *left -= passed as u64;
                    if *left == 0 {
                        self.end_value(0)?;
                    }
                    &bytes[passed..]
                }
                Place::Kind => {
                    if self.missing == 0 {
                        self.missing = 1;
                    }
                    let digits = [0; LONGEST_LENGTH];
                    self.place = Place::Line { kind: byte, length: 0, is_ending: false, digits };
                    &bytes[1..]
                }
                Place::Line { .. } => self.pass_line(bytes)?,
            };
        }
        Ok(())
    }

    /// Follows a line to its end or to that of the bytes, and returns what is behind it.
    fn pass_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Garbage> {
        let Place::Line { kind, length, is_ending, digits } = &mut self.place else {
            return Ok(bytes);
        };
        for (place, &byte) in bytes.iter().enumerate() {
            if byte == b'\n' && *is_ending {
                // The carriage return was counted.
                let (kind, length, digits) = (*kind, *length - 1, *digits);
                self.end_line(kind, digits.get(..length))?;
                return Ok(&bytes[place + 1..]);
            }
            *is_ending = byte == b'\r';
            if let Some(digit) = digits.get_mut(*length) {
                *digit = byte;
            }
            *length += 1;
            if *length > LONGEST_LINE {
                return Err(Garbage);
            }
        }
        Ok(&[])
    }

    /// What a line means; its text if it is short enough for a length.
    fn end_line(&mut self, kind: u8, text: Option<&[u8]>) -> Result<(), Garbage> {
        let length = || {
            let text = text.and_then(|text| std::str::from_utf8(text).ok()).ok_or(Garbage)?;
            text.trim().parse::<i64>().map_err(|_| Garbage)
        };
        let natural = || length().and_then(|length| u64::try_from(length).map_err(|_| Garbage));
        match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => self.end_value(0),
            b'$' | b'!' | b'=' => match length()? {
                0.. => {
                    self.place = Place::Content(natural()? + 2);
                    Ok(())
                }
                _ if kind == b'$' => self.end_value(0),
                _ => Err(Garbage),
            },
            b'*' | b'~' | b'>' => {
                let length = length()?;
                self.end_value(u64::try_from(length).unwrap_or(0))
            }
            b'%' => self.end_value(natural()?.checked_mul(2).ok_or(Garbage)?),
            // Attributes precede the value that they belong to.
            b'|' => {
                let count = natural()?.checked_mul(2).and_then(|count| count.checked_add(1));
                self.end_value(count.ok_or(Garbage)?)
            }
            _ => Err(Garbage),
        }
    }

    /// A value has ended or, if it has members, begun.
    fn end_value(&mut self, members: u64) -> Result<(), Garbage> {
        self.place = Place::Kind;
        self.missing = (self.missing - 1).checked_add(members).ok_or(Garbage)?;
        self.complete += u64::from(self.missing == 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(pieces: &[&[u8]]) -> Result<Option<u64>, Garbage> {
        let mut framing = Framing::new();
        pieces.iter().try_for_each(|piece| framing.pass(piece))?;
        Ok(framing.complete())
    }

    #[test]
    fn a_surplus_byte_is_seen_behind_every_kind_of_reply() {
        for reply in [
            "+OK\r\n",
            "-ERR a\rb\r\n",
            ":12\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "$4\r\n\r\n\r\n\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
            "_\r\n",
            ",1.5\r\n",
            "#t\r\n",
            "(123456789012345678901234567890\r\n",
            "!5\r\nERR a\r\n",
            "=5\r\ntxt:a\r\n",
            "~1\r\n+a\r\n",
            ">2\r\n+message\r\n+a\r\n",
            "%1\r\n+a\r\n:1\r\n",
            "|1\r\n+a\r\n:1\r\n*1\r\n:2\r\n",
        ] {
            assert!(redis::parse_redis_value(reply.as_bytes()).is_ok(), "{reply:?}");
            assert_eq!(passed(&[reply.as_bytes()]), Ok(Some(1)), "{reply:?}");
            assert_eq!(passed(&[reply.as_bytes(), b"+"]), Ok(None), "{reply:?}");
            let less = &reply.as_bytes()[..reply.len() - 1];
            assert_eq!(passed(&[less]), Ok(None), "{reply:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_garbage() {
        for text in
            ["HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "%-1\r\n", "*99999999999999999999\r\n"]
        {
            assert_eq!(passed(&[text.as_bytes()]), Err(Garbage), "{text:?}");
        }
        assert_eq!(passed(&[b"+", &vec![b'a'; LONGEST_LINE + 1]]), Err(Garbage));
        assert_eq!(
            passed(&[b"|9223372036854775807\r\n", b"*9223372036854775807\r\n"]),
            Err(Garbage)
        );
    }

    /// A reply of any shape, as bytes.
    fn replies() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            "[a-z ]{0,9}".prop_map(|text| format!("+{text}\r\n").into_bytes()),
            any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
            Just(b"$-1\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
                let head = format!("${}\r\n", bytes.len()).into_bytes();
                [head, bytes, b"\r\n".to_vec()].concat()
            }),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop::collection::vec(inner, 0..6).prop_map(|members| {
                [format!("*{}\r\n", members.len()).into_bytes(), members.concat()].concat()
            })
        })
    }

    proptest! {
        #[test]
        fn replies_are_counted_as_the_parser_counts_them_however_they_are_cut(
            replies in prop::collection::vec(replies(), 1..5),
            cut in 1..30_usize,
        ) {
            let bytes = replies.concat();
            let mut framing = Framing::new();
            for piece in bytes.chunks(cut) {
                prop_assert_eq!(framing.pass(piece), Ok(()));
            }
            prop_assert_eq!(framing.complete(), Some(replies.len() as u64));
            let (mut parser, mut rest) = (redis::Parser::new(), &*bytes);
            for _ in &replies {
                prop_assert!(parser.parse_value(&mut rest).is_ok());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = passed(&[&bytes]);
        }
    }
}
