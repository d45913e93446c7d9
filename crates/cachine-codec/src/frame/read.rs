//! Reading a frame: every byte is checked, nothing is allocated that the bytes do not pay for.

use cachine_core::error::{Error, ErrorKind};

use super::{CODED, Coding, Frame, MAGIC, NONCE, Packed, SEALED, STALE, Seal, TAG, TAGS, VERSION};
use crate::compression::Algorithm;
use crate::format::Format;
use crate::stored::{Head, Meta, Stamp};

/// The least that a tag takes: two bytes of length, one of name, eight of stamp.
const SMALLEST_TAG: usize = 11;

/// The frame that these bytes are, or `None` if they are a payload that stands alone.
pub(crate) fn frame(stored: &[u8]) -> Result<Option<Frame<'_>>, Error> {
    if stored.first() != Some(&MAGIC) {
        return Ok(None);
    }
    let mut rest = Rest::new(&stored[1..]);
    let (flags, meta) = opening(&mut rest)?;
    let kept = rest.bytes;
    let coding = if flags & CODED == 0 { None } else { Some(coding(&mut rest)?) };
    let seal = if flags & SEALED == 0 { None } else { Some(seal(&mut rest)?) };
    let body = rest.bytes;
    if coding.is_none() && body.first() == Some(&MAGIC) {
        return Err(malformed("another one begins inside of it"));
    }
    if seal.is_some() && body.len() < TAG {
        return Err(malformed("it ends too early"));
    }
    Ok(Some(Frame { meta, coding, seal, kept, body }))
}

/// The head of the frame that these bytes begin, or `None` if they end inside of it.
pub(crate) fn head(beginning: &[u8]) -> Result<Option<Head>, Error> {
    if beginning.first().is_some_and(|first| *first != MAGIC) || beginning.is_empty() {
        return Ok(Some(Head::default()));
    }
    let mut rest = Rest::new(&beginning[1..]);
    match opening(&mut rest) {
        Ok((flags, meta)) => Ok(Some(Head {
            meta,
            length: beginning.len() - rest.bytes.len(),
            is_coded: flags & CODED != 0,
            is_sealed: flags & SEALED != 0,
        })),
        Err(_) if rest.is_short => Ok(None),
        Err(error) => Err(error),
    }
}

/// The sections up to `TAGS`, behind the first byte: the flags, and what can be rewritten.
fn opening(rest: &mut Rest<'_>) -> Result<(u8, Meta), Error> {
    let version = rest.u8()?;
    if version != VERSION {
        return Err(Error::new(
            ErrorKind::Deserialization,
            "deserialize",
            format!(
                "a stored frame has version {version}, and this release reads version {VERSION}: \
                 it was damaged, or written by a newer release"
            ),
        ));
    }
    let flags = rest.u8()?;
    if flags == 0 || flags & !(STALE | TAGS | CODED | SEALED) != 0 {
        return Err(malformed(format!("it has the flags {flags:#04x}")));
    }
    if flags & SEALED != 0 && flags & CODED == 0 {
        return Err(malformed("it is encrypted, but names no format"));
    }
    let stale_window = if flags & STALE == 0 { None } else { Some(window(rest)?) };
    let stamps = if flags & TAGS == 0 { Vec::new() } else { stamps(rest)? };
    Ok((flags, Meta { stale_window, stamps }))
}

fn window(rest: &mut Rest<'_>) -> Result<u64, Error> {
    match rest.u64()? {
        0 => Err(malformed("it has a stale window of nothing")),
        window => Ok(window),
    }
}

fn stamps(rest: &mut Rest<'_>) -> Result<Vec<Stamp>, Error> {
    let count = usize::from(rest.u16()?);
    if count == 0 {
        return Err(malformed("it has a list of no tags"));
    }
    let mut stamps = Vec::<Stamp>::with_capacity(count.min(rest.bytes.len() / SMALLEST_TAG));
    for _ in 0..count {
        let length = usize::from(rest.u16()?);
        let tag = text(rest.take(length)?)?;
        let is_behind = stamps.last().is_none_or(|last| *last.tag < *tag);
        if tag.is_empty() || !is_behind {
            return Err(malformed("its tags are not in order, twice there, or empty"));
        }
        stamps.push(Stamp { tag: tag.into(), stamp: rest.u64()? });
    }
    Ok(stamps)
}

fn coding(rest: &mut Rest<'_>) -> Result<Coding, Error> {
    let byte = rest.u8()?;
    let format = Format::from_number(byte >> 4)
        .ok_or_else(|| malformed(format!("it names the unknown format {}", byte >> 4)))?;
    let packed = match byte & 0x0F {
        0 => None,
        number => {
            let algorithm = Algorithm::from_number(number)
                .ok_or_else(|| malformed(format!("it names the unknown compression {number}")))?;
            Some(Packed { algorithm, length: rest.u64()? })
        }
    };
    if format == Format::Integer && packed.is_some() {
        return Err(malformed("it holds an integer that is compressed"));
    }
    Ok(Coding { format, packed })
}

fn seal<'a>(rest: &mut Rest<'a>) -> Result<Seal<'a>, Error> {
    let length = usize::from(rest.u8()?);
    let key_id = text(rest.take(length)?)?;
    if key_id.is_empty() {
        return Err(malformed("its key id is empty"));
    }
    Ok(Seal { key_id, nonce: rest.array::<NONCE>()? })
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    str::from_utf8(bytes).map_err(|_| malformed("a name in it is not UTF-8"))
}

/// An error about the frame; `why` goes on from "it".
fn malformed(why: impl AsRef<str>) -> Error {
    let message = format!(
        "a stored frame can't be read, {}: it was damaged, or not written by Cachine; delete the key",
        why.as_ref()
    );
    Error::new(ErrorKind::Deserialization, "deserialize", message)
}

/// What is not read yet.
struct Rest<'a> {
    bytes: &'a [u8],
    /// Whether more was asked for than there is.
    is_short: bool,
}

impl<'a> Rest<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, is_short: false }
    }

    fn ended(&mut self) -> Error {
        self.is_short = true;
        malformed("it ends too early")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(|| self.ended())?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(|| self.ended())?;
        self.bytes = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }
}
