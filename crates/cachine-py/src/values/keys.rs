//! The short keys of the dicts of one payload, each made once.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::text::{self, Utf8};

/// So many keys are remembered at once; a new one takes the place of another.
const PLACES: usize = 64;

/// Longer keys are made anew.
const LONGEST: usize = 32;

/// Remembers keys by their text.
pub(super) struct Keys<'py>([Option<Bound<'py, PyString>>; PLACES]);

impl<'py> Keys<'py> {
    #[inline]
    pub(super) fn new() -> Self {
        Self([const { None }; PLACES])
    }

    /// The object of a key.
    #[inline]
    pub(super) fn get(&mut self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
        if text.len() > LONGEST {
            return text::make(py, text);
        }
        let place = &mut self.0[place(text.as_bytes())];
        if let Some(known) = place
            && matches!(text::utf8(known), Utf8::Own(known) if known == text)
        {
            return Ok(known.clone());
        }
        Ok(place.insert(text::make(py, text)?).clone())
    }
}

/// Where a key is kept: by its length, its first bytes and its last ones, which tell most keys of a
/// dict apart. Two keys for one place cost time, no more.
#[inline]
fn place(text: &[u8]) -> usize {
    let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
    let (first, last) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (word(text), text.len() as u64),
    };
    let mixed = (first ^ last.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The top bits are the mixed ones.
    usize::try_from(mixed >> (u64::BITS - PLACES.ilog2())).unwrap_or(0)
}
