//! Replies out of the bytes of a connection, in whatever pieces they come.

use std::io::{Error, ErrorKind, Read, Result as Outcome};

use redis::{Parser, Value};

/// A parser that has seen more than this, in bytes, is made anew at the next occasion: it keeps as
/// much room as its longest reply took.
const MUCH: usize = 256 << 10;

/// A reply that tells whether something stood before it.
const MARK: i64 = 0x1357_9BDF;

/// Parses what one connection sends.
#[derive(Default)]
pub(super) struct Stream {
    parser: Parser,
    /// How many bytes it has seen.
    seen: usize,
}

/// The bytes of one event. The parser keeps its state when its reader "would block", which makes a
/// parser of whole streams one of pieces.
struct Piece<'a> {
    left: &'a [u8],
    is_dry: bool,
}

/// Why parsing ended early.
pub(super) enum Stop<E> {
    /// What came is no reply.
    Malformed,
    /// The one who was told of a reply said so.
    Told(E),
}

impl Read for Piece<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Outcome<usize> {
        if self.left.is_empty() {
            self.is_dry = true;
            return Err(Error::from(ErrorKind::WouldBlock));
        }
        self.left.read(buffer)
    }
}

impl Stream {
    /// Tells each reply that is complete with these bytes; after an error there is nothing more to
    /// be had from this stream.
    pub(super) fn feed<E>(
        &mut self,
        bytes: &[u8],
        mut tell: impl FnMut(Value) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        self.seen = self.seen.saturating_add(bytes.len());
        let mut piece = Piece { left: bytes, is_dry: false };
        loop {
            match self.parser.parse_value(&mut piece) {
                Ok(reply) => tell(reply).map_err(Stop::Told)?,
                Err(_) if piece.is_dry => return Ok(()),
                Err(_) => return Err(Stop::Malformed),
            }
        }
    }

    /// Lets go of the room of a long reply; for when no reply is due. False if a part of one has come
    /// all the same.
    ///
    /// What the parser holds can't be seen, so it is given a whole reply: if that is what comes out,
    /// nothing stood before it.
    pub(super) fn renew(&mut self) -> bool {
        if self.seen <= MUCH {
            return true;
        }
        let mark = format!(":{MARK}\r\n");
        let found = self.parser.parse_value(mark.as_bytes());
        *self = Self::default();
        matches!(found, Ok(Value::Int(MARK)))
    }
}
