//! Stored bytes without their payload: the metadata of an entry, and counting.
//!
//! Nothing here needs a key of encryption or looks into a payload: `add_tags`, `expire`, `persist` and
//! `incr` work on what a store holds, whatever steps wrote it.

use cachine_core::error::{Error, ErrorKind};

use crate::format::Format;
use crate::frame::{self, decimal};

/// A tag as an entry carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The name of the tag, 1 to 65,535 bytes.
    pub tag: Box<str>,
    /// The stamp that the tag had when the entry was made. The entry is valid while the tag has it.
    pub stamp: u64,
}

/// What travels with a payload. It is not encrypted and not authenticated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The last so many milliseconds of the entry's life are stale. 0 is written as `None`.
    pub stale_window: Option<u64>,
    /// The tags, at most 65,535, each once. They come back in ascending order of their bytes.
    pub stamps: Vec<Stamp>,
}

/// What precedes everything that concerns the payload: the part of stored bytes that is rewritten when
/// their metadata changes. Whoever amends a large entry moves only this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub(crate) meta: Meta,
    pub(crate) length: usize,
    pub(crate) is_coded: bool,
    pub(crate) is_sealed: bool,
}

impl Head {
    /// The metadata.
    pub const fn meta(&self) -> &Meta {
        &self.meta
    }

    /// How many bytes it takes; 0 where a payload stands alone.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The head that stands in its place when the metadata is `meta`: followed by what followed this
    /// one, it is what [`with_meta`] makes of the whole.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`] as [`with_meta`].
    pub fn with_meta(&self, meta: &Meta) -> Result<Vec<u8>, Error> {
        frame::write::head(meta, self.is_coded, self.is_sealed, 0)
    }
}

/// The head of stored bytes of which this is the beginning, or all; `None` if it is too short to
/// know. What follows the head is not looked at.
///
/// # Errors
///
/// [`ErrorKind::Deserialization`] if no frame begins like this.
pub fn head(beginning: &[u8]) -> Result<Option<Head>, Error> {
    frame::read::head(beginning)
}

/// The metadata of stored bytes. Its cost does not depend on the payload.
///
/// # Errors
///
/// [`ErrorKind::Deserialization`] if the frame is not one that [`crate::steps::Steps::write`] writes.
pub fn meta(stored: &[u8]) -> Result<Meta, Error> {
    Ok(frame::read::frame(stored)?.map_or_else(Meta::default, |frame| frame.meta))
}

/// The same stored bytes with this metadata instead of theirs. Format, compression, encryption and the
/// payload stay as they are, byte for byte; a frame that nothing needs any more goes.
///
/// # Errors
///
/// [`ErrorKind::Deserialization`] as [`meta`]; [`ErrorKind::Serialization`] if the metadata can't be
/// written: too many tags, one too long, one twice, or one empty.
pub fn with_meta(stored: &[u8], meta: &Meta) -> Result<Vec<u8>, Error> {
    let (kept, is_coded, is_sealed) = match frame::read::frame(stored)? {
        None => (stored, false, false),
        Some(frame) => (frame.kept, frame.coding.is_some(), frame.seal.is_some()),
    };
    let mut out = frame::write::head(meta, is_coded, is_sealed, kept.len())?;
    out.extend_from_slice(kept);
    Ok(out)
}

/// Adds to a stored integer: the new integer, and the bytes to store. The metadata stays.
///
/// # Errors
///
/// [`ErrorKind::Serialization`] if it is encrypted, or not an integer; [`ErrorKind::Overflow`] if the sum
/// does not fit 64 bits; [`ErrorKind::Deserialization`] as [`meta`].
pub fn count(stored: &[u8], delta: i64) -> Result<(i64, Vec<u8>), Error> {
    let (meta, payload) = match frame::read::frame(stored)? {
        None => (Meta::default(), Some(stored)),
        Some(frame) if frame.seal.is_some() => {
            return Err(uncountable("is encrypted", "counters that `incr` makes are not"));
        }
        Some(frame) => {
            let is_integer = frame.coding.is_none_or(|coding| coding.format == Format::Integer);
            (frame.meta, is_integer.then_some(frame.body))
        }
    };
    let Some(value) = payload.and_then(decimal::read) else {
        return Err(uncountable("is not an integer", "only integers of 64 bits are counted"));
    };
    let Some(sum) = value.checked_add(delta) else {
        let message =
            format!("adding {delta} to the counter would leave the range of 64 bits: set it anew");
        return Err(Error::new(ErrorKind::Overflow, "incr", message));
    };
    let mut out = frame::write::head(&meta, false, false, decimal::LONGEST)?;
    out.extend_from_slice(sum.to_string().as_bytes());
    Ok((sum, out))
}

fn uncountable(what: &str, but: &str) -> Error {
    let message = format!("the stored value {what}: {but}; delete the key, or count under another");
    Error::new(ErrorKind::Serialization, "incr", message)
}

#[cfg(all(test, feature = "compress", feature = "encrypt"))]
mod tests;
