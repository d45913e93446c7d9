//! The frame: what precedes a payload that can't stand alone.
//!
//! A frame begins with 0xC1, which neither JSON text nor MessagePack nor a pickle begins with. All
//! integers are big-endian, all sections but the first are optional and in this order:
//!
//! | section | bytes |
//! | --- | --- |
//! | head | 0xC1, version (1), flags |
//! | `STALE` | u64: the last so many milliseconds of the entry's life are stale |
//! | `TAGS` | u16: how many; each u16 length, name (UTF-8), u64 stamp; names ascend strictly |
//! | `CODED` | u8: low nibble compression, high nibble format; if compressed u64: length before |
//! | `SEALED` | u8 length, key id (UTF-8), 24 bytes nonce |
//! | body | the payload; compressed; then encrypted, with 16 bytes of tag behind it |
//!
//! Invariants, which a reader checks and a writer keeps:
//!
//! 1. A frame has a flag; one without is no frame. `SEALED` comes with `CODED`.
//! 2. Without `CODED` the body is read as an unframed payload: a canonical decimal is an integer, and
//!    0xC1 never begins it. So a payload that would be mistaken has a frame with `CODED`.
//! 3. The bytes from `CODED` on are all that concerns the payload. What precedes them can be rewritten
//!    without a key, which `add_tags` and `expire` do.
//! 4. An integer is never compressed.

pub(crate) mod decimal;
pub(crate) mod read;
pub(crate) mod write;

use crate::compression::Algorithm;
use crate::format::Format;
use crate::stored::Meta;

/// The first byte of every frame.
pub(crate) const MAGIC: u8 = 0xC1;
/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;
/// Magic, version, flags.
const HEAD: usize = 3;
/// Bytes of a nonce of XChaCha20-Poly1305.
pub(crate) const NONCE: usize = 24;
/// Bytes of a tag of Poly1305.
pub(crate) const TAG: usize = 16;

const STALE: u8 = 1;
const TAGS: u8 = 1 << 1;
const CODED: u8 = 1 << 2;
const SEALED: u8 = 1 << 3;

/// How the body was made from a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coding {
    /// The format of the payload.
    pub(crate) format: Format,
    /// With what it was compressed.
    pub(crate) packed: Option<Packed>,
}

/// A payload that was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// With what.
    pub(crate) algorithm: Algorithm,
    /// Bytes before compression, as the writer says.
    pub(crate) length: u64,
}

/// With what a body was encrypted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal<'a> {
    /// The name of the key.
    pub(crate) key_id: &'a str,
    /// The number used once.
    pub(crate) nonce: &'a [u8; NONCE],
}

/// A frame, taken apart.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// What can be rewritten without a key.
    pub(crate) meta: Meta,
    /// How the body was made; `None`: it is the payload.
    pub(crate) coding: Option<Coding>,
    /// With what the body was encrypted.
    pub(crate) seal: Option<Seal<'a>>,
    /// Everything behind `TAGS`: what stays when the metadata is rewritten.
    pub(crate) kept: &'a [u8],
    /// What stands behind the last section.
    pub(crate) body: &'a [u8],
}

/// Whether these bytes, alone in a store, would be read as something else than a payload of bytes.
pub(crate) fn is_mistaken(payload: &[u8]) -> bool {
    payload.first() == Some(&MAGIC) || decimal::read(payload).is_some()
}
