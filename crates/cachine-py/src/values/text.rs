//! Text of Python as UTF-8 and back, without a call where CPython already has it so.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The text of a str as Python has it.
pub(super) enum Utf8<'a> {
    Own(&'a str),
    /// Of so long a text Python would keep a second form for ever: to be encoded by itself.
    Long,
    /// It has an unpaired surrogate.
    None,
}

/// Of a text with fewer characters Python may keep the encoded form, which is at hand the next
/// time.
const LONG: isize = 1024;

/// The text of a str.
#[inline]
pub(super) fn utf8<'a>(text: &'a Bound<'_, PyString>) -> Utf8<'a> {
    if let Some(ascii) = ascii(text) {
        return Utf8::Own(ascii);
    }
    // SAFETY: a live str, which lives as long as what is borrowed from it; on error there is null.
    unsafe {
        if ffi::PyUnicode_GetLength(text.as_ptr()) > LONG {
            return Utf8::Long;
        }
        let mut length = 0;
        let start = ffi::PyUnicode_AsUTF8AndSize(text.as_ptr(), &raw mut length);
        if start.is_null() {
            ffi::PyErr_Clear();
            return Utf8::None;
        }
        let bytes = std::slice::from_raw_parts(start.cast::<u8>(), length.unsigned_abs());
        Utf8::Own(std::str::from_utf8_unchecked(bytes))
    }
}

/// The text of a str that is ASCII: its own memory.
#[cfg(not(Py_3_14))]
#[inline]
fn ascii<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    let object = text.as_ptr();
    // SAFETY: a live str, which lives as long as what is borrowed from it. If it is compact and
    // ASCII, there are so many bytes of ASCII behind its head.
    unsafe {
        if ffi::PyUnicode_IS_COMPACT_ASCII(object) == 0 {
            return None;
        }
        let length = ffi::PyUnicode_GET_LENGTH(object).unsigned_abs();
        let start = ffi::PyUnicode_DATA(object).cast::<u8>();
        Some(std::str::from_utf8_unchecked(std::slice::from_raw_parts(start, length)))
    }
}

/// From 3.14 on a str does not show whether it is ASCII.
#[cfg(Py_3_14)]
#[inline]
fn ascii<'a>(_text: &'a Bound<'_, PyString>) -> Option<&'a str> {
    None
}

/// A str of this text.
#[inline]
pub(super) fn make<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    // Of these CPython has one object each.
    if text.len() < 2 {
        return Ok(PyString::new(py, text));
    }
    let bytes = text.as_bytes();
    if !bytes.is_ascii() {
        return make_wide(py, text);
    }
    // SAFETY: a new str of so many ASCII characters, which nobody else has seen, or an error.
    unsafe {
        let made = ffi::PyUnicode_New(bytes.len().cast_signed(), 0x7f);
        let made = Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked::<PyString>();
        let start = ffi::PyUnicode_DATA(made.as_ptr()).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        Ok(made)
    }
}

/// A str with characters beyond ASCII. CPython takes one, two or four bytes for each of them, as
/// the widest needs; the first byte of a character in UTF-8 tells how wide it is.
fn make_wide<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    let is_first = |byte: u8| u8::from(byte & 0xc0 != 0x80);
    let length: usize = text.bytes().map(|byte| usize::from(is_first(byte))).sum();
    let widest = match text.bytes().fold(0, u8::max) {
        0..0xc4 => 0xff,
        0xc4..0xf0 => 0xffff,
        _ => 0x0010_ffff,
    };
    // SAFETY: a new str of so many characters, each at most as wide as the widest, which nobody
    // else has seen, or an error.
    unsafe {
        let made = ffi::PyUnicode_New(length.cast_signed(), widest);
        let made = Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked::<PyString>();
        let start = ffi::PyUnicode_DATA(made.as_ptr());
        match widest {
            0xff => fill::<u8>(text, start.cast()),
            0xffff => fill::<u16>(text, start.cast()),
            _ => fill::<u32>(text, start.cast()),
        }
        Ok(made)
    }
}

/// Writes the characters of a text.
///
/// # Safety
///
/// There has to be room for all of them.
#[inline]
unsafe fn fill<Unit: TryFrom<u32> + Default>(text: &str, start: *mut Unit) {
    for (at, character) in text.chars().enumerate() {
        // Each fits, as the caller measured.
        let unit = Unit::try_from(u32::from(character)).unwrap_or_default();
        // SAFETY: as above.
        unsafe { start.add(at).write(unit) };
    }
}
