//! The contents of the extensions that are plain bytes: packed, unpacked and checked in one place.
//!
//! Whoever makes a value of a language out of such bytes unpacks them here first. So what is out of
//! range is refused by every reader alike, and bytes have one meaning. Numbers are big-endian; the
//! layouts are part of the stored form and never change.

mod clock;
mod date;
mod integer;
mod text;
mod timestamp;
mod zone;

pub use self::clock::{DateTime, Time, TimeDelta};
pub use self::date::Date;
pub use self::integer::{shortest_little_endian, to_big_endian, to_little_endian};
pub use self::text::{Flavour, Path, decimal, surrogate_text};
pub use self::timestamp::Timestamp;
pub use self::zone::Zone;

use crate::build::Malformed;

/// Packs real and imaginary part of a complex number.
pub fn pack_complex(real: f64, imaginary: f64) -> [u8; 16] {
    let mut content = [0; 16];
    content[..8].copy_from_slice(&real.to_be_bytes());
    content[8..].copy_from_slice(&imaginary.to_be_bytes());
    content
}

/// Real and imaginary part of a complex number.
///
/// # Errors
///
/// [`Malformed`] if these are not 16 bytes.
pub fn unpack_complex(content: &[u8]) -> Result<(f64, f64), Malformed> {
    let mut rest = Rest { content, what: "a complex number that is not 16 bytes" };
    let real = f64::from_be_bytes(rest.take()?);
    let imaginary = f64::from_be_bytes(rest.take()?);
    rest.end()?;
    Ok((real, imaginary))
}

/// The 16 bytes of a UUID (RFC 9562).
///
/// # Errors
///
/// [`Malformed`] if these are not 16 bytes.
pub fn unpack_uuid(content: &[u8]) -> Result<[u8; 16], Malformed> {
    content.try_into().map_err(|_| malformed("a UUID that is not 16 bytes"))
}

/// In a content nothing is counted from the beginning of the payload.
const fn malformed(what: &'static str) -> Malformed {
    Malformed { what, at: 0 }
}

/// What is left of a content, and what to call it when it is not as expected.
struct Rest<'a> {
    content: &'a [u8],
    what: &'static str,
}

impl<'a> Rest<'a> {
    fn take<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Malformed> {
        let (taken, rest) = self.content.split_first_chunk().ok_or(malformed(self.what))?;
        self.content = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.take()?))
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let text = std::str::from_utf8(self.content).map_err(|_| malformed(self.what))?;
        self.content = &[];
        Ok(text)
    }

    fn check(&self, holds: bool) -> Result<(), Malformed> {
        if holds { Ok(()) } else { Err(malformed(self.what)) }
    }

    fn end(&self) -> Result<(), Malformed> {
        self.check(self.content.is_empty())
    }
}
