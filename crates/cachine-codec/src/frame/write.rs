//! Writing what stands before the body of a frame.

use cachine_core::error::{Error, ErrorKind};

use super::{CODED, Coding, HEAD, MAGIC, SEALED, STALE, Seal, TAGS, VERSION};
use crate::stored::{Meta, Stamp};

/// Most bytes that the section `CODED` takes.
pub(crate) const CODING: usize = 1 + 8;
/// Most bytes that an entry grows by to say that it is compressed. It is taken to be that much in every
/// case, so that what becomes of a payload does not depend on the metadata beside it.
pub(crate) const PRICE_OF_PACKING: usize = HEAD + CODING;

/// A frame without its body, with room for `room` more bytes. It is empty when nothing needs a frame.
pub(crate) fn frame(
    meta: &Meta,
    coding: Option<Coding>,
    seal: Option<Seal<'_>>,
    room: usize,
) -> Result<Vec<u8>, Error> {
    let more = CODING + seal.map_or(0, |seal| 1 + seal.key_id.len() + seal.nonce.len()) + room;
    let mut out = head(meta, coding.is_some(), seal.is_some(), more)?;
    if let Some(coding) = coding {
        self::coding(coding, &mut out);
    }
    if let Some(seal) = seal {
        out.push(short(seal.key_id.len(), "the key id")?);
        out.extend_from_slice(seal.key_id.as_bytes());
        out.extend_from_slice(seal.nonce);
    }
    Ok(out)
}

/// The sections up to `TAGS`, with room for `room` more bytes; empty when nothing needs a frame.
pub(crate) fn head(
    meta: &Meta,
    is_coded: bool,
    is_sealed: bool,
    room: usize,
) -> Result<Vec<u8>, Error> {
    // A window of nothing says what no window says.
    let window = meta.stale_window.filter(|window| *window > 0);
    let flags = (u8::from(window.is_some()) * STALE)
        | (u8::from(!meta.stamps.is_empty()) * TAGS)
        | (u8::from(is_coded) * CODED)
        | (u8::from(is_sealed) * SEALED);
    if flags == 0 {
        return Ok(Vec::with_capacity(room));
    }
    let names: usize = meta.stamps.iter().map(|stamp| 2 + stamp.tag.len() + 8).sum();
    let mut out = Vec::with_capacity(HEAD + 8 + 2 + names + room);
    out.extend_from_slice(&[MAGIC, VERSION, flags]);
    if let Some(window) = window {
        out.extend_from_slice(&window.to_be_bytes());
    }
    if !meta.stamps.is_empty() {
        stamps(&meta.stamps, &mut out)?;
    }
    Ok(out)
}

/// The section `CODED`.
pub(crate) fn coding(coding: Coding, out: &mut Vec<u8>) {
    let algorithm = coding.packed.map_or(0, |packed| packed.algorithm.number());
    out.push((coding.format as u8) << 4 | algorithm);
    if let Some(packed) = coding.packed {
        out.extend_from_slice(&packed.length.to_be_bytes());
    }
}

fn stamps(stamps: &[Stamp], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut sorted: Vec<&Stamp> = stamps.iter().collect();
    sorted.sort_unstable_by(|a, b| a.tag.cmp(&b.tag));
    out.extend_from_slice(&short::<u16>(sorted.len(), "the number of tags")?.to_be_bytes());
    let mut last = "";
    for stamp in sorted {
        // The empty name is refused here too: it is never above the one before it.
        if *stamp.tag <= *last {
            let message =
                format!("the tag {:?} is there twice, or empty: give each tag once", stamp.tag);
            return Err(Error::new(ErrorKind::Serialization, "serialize", message));
        }
        out.extend_from_slice(&short::<u16>(stamp.tag.len(), "the length of a tag")?.to_be_bytes());
        out.extend_from_slice(stamp.tag.as_bytes());
        out.extend_from_slice(&stamp.stamp.to_be_bytes());
        last = &stamp.tag;
    }
    Ok(())
}

/// A number in the few bytes that the frame has for it.
fn short<N: TryFrom<usize>>(number: usize, what: &str) -> Result<N, Error> {
    N::try_from(number).map_err(|_| {
        let most = (1_u64 << (8 * size_of::<N>())) - 1;
        let message = format!("{what} is {number}, and an entry can't have more than {most}");
        Error::new(ErrorKind::Serialization, "serialize", message)
    })
}
