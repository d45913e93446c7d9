//! Contents that are text: paths, decimal numbers, and text with unpaired surrogates.

use std::borrow::Cow;

use super::{Rest, malformed};
use crate::build::Malformed;

/// Which class of Python's `pathlib` a path is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Flavour {
    /// `PurePosixPath`.
    PurePosix = 0,
    /// `PureWindowsPath`.
    PureWindows = 1,
    /// `PosixPath`.
    Posix = 2,
    /// `WindowsPath`.
    Windows = 3,
}

/// A path: flavour (1 byte), then the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path<'a> {
    /// Its class.
    pub flavour: Flavour,
    /// Its text, in the notation of its flavour.
    pub text: Cow<'a, str>,
}

impl<'a> Path<'a> {
    /// The content of the extension.
    pub fn pack(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(1 + self.text.len());
        content.push(self.flavour as u8);
        content.extend_from_slice(self.text.as_bytes());
        content
    }

    /// The same without a borrow.
    pub fn into_owned(self) -> Path<'static> {
        Path { flavour: self.flavour, text: Cow::Owned(self.text.into_owned()) }
    }

    /// The path of a content.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for an unknown flavour, or text that is no UTF-8.
    pub fn unpack(content: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Rest { content, what: "a path of an unknown form" };
        let flavour = match rest.byte()? {
            0 => Flavour::PurePosix,
            1 => Flavour::PureWindows,
            2 => Flavour::Posix,
            3 => Flavour::Windows,
            _ => return Err(malformed(rest.what)),
        };
        Ok(Self { flavour, text: Cow::Borrowed(rest.text()?) })
    }
}

/// The text of a decimal number, as `str` of Python's `Decimal` and the specification of decimal
/// arithmetic (General Decimal Arithmetic, "to-scientific-string") write it.
///
/// # Errors
///
/// [`Malformed`] for any other text.
pub fn decimal(content: &[u8]) -> Result<&str, Malformed> {
    let unsigned = content.strip_prefix(b"-").unwrap_or(content);
    if !(is_finite(unsigned) || unsigned == b"Infinity" || is_nan(unsigned)) {
        return Err(malformed("a decimal number of an unknown form"));
    }
    std::str::from_utf8(content).map_err(|_| malformed("a decimal number of an unknown form"))
}

/// Digits with at most one point among them, then perhaps `E`, a sign and digits.
fn is_finite(text: &[u8]) -> bool {
    let (coefficient, exponent) = match text.iter().position(|&byte| byte == b'E') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let has_at_most_one_point = |text: &[u8]| {
        let mut parts = text.split(|&byte| byte == b'.');
        parts.next().is_some() && parts.nth(1).is_none()
    };
    let is_number = has_at_most_one_point(coefficient)
        && coefficient.iter().any(u8::is_ascii_digit)
        && coefficient.iter().all(|&byte| byte == b'.' || byte.is_ascii_digit());
    is_number
        && exponent.is_none_or(|exponent| match exponent {
            [b'+' | b'-', digits @ ..] => {
                !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        })
}

/// `NaN` or `sNaN`, perhaps with digits behind it.
fn is_nan(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"s").unwrap_or(text);
    text.strip_prefix(b"NaN").is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
}

/// Checks text with unpaired surrogates: UTF-8 in which each of them is encoded as if it were a
/// character, in three bytes. That is what Python's `surrogatepass` writes and reads.
///
/// # Errors
///
/// [`Malformed`] for anything else, and for text without a surrogate, which is plain text.
pub fn surrogate_text(content: &[u8]) -> Result<&[u8], Malformed> {
    let mut rest = content;
    while let Err(error) = std::str::from_utf8(rest) {
        match rest[error.valid_up_to()..] {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => rest = &rest[error.valid_up_to() + 3..],
            _ => return Err(malformed("text that is no UTF-8, surrogates aside")),
        }
    }
    if rest.len() == content.len() {
        return Err(malformed("plain text where text with surrogates was announced"));
    }
    Ok(content)
}
