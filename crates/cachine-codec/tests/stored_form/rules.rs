//! The rules for stored bytes, written down a second time, without looking at the code that keeps them.

use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use cachine_codec::stored::Meta;

use crate::payloads::Owned;

/// Whether a payload of bytes, alone in a store, would be taken for something else.
fn is_mistaken(bytes: &[u8]) -> bool {
    let is_decimal = str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse::<i64>().ok().filter(|integer| integer.to_string() == text))
        .is_some();
    is_decimal || bytes.first() == Some(&0xC1)
}

/// An integer is an integer, however it was handed over.
pub(crate) fn normal(payload: Owned) -> Owned {
    match payload {
        Payload::Bytes { format: Some(Format::Integer), bytes } => {
            Payload::Integer(str::from_utf8(&bytes).unwrap().parse().unwrap())
        }
        payload => payload,
    }
}

/// Tags in order; a window of nothing is none.
pub(crate) fn sorted(mut meta: Meta) -> Meta {
    meta.stamps.sort_by(|a, b| a.tag.as_bytes().cmp(b.tag.as_bytes()));
    meta.stale_window = meta.stale_window.filter(|window| *window != 0);
    meta
}

/// What comes back: the same, but a format is only known where a frame had to name it.
pub(crate) fn as_read(payload: &Owned, is_sealed: bool, is_packed: bool) -> Owned {
    match payload {
        Payload::Integer(integer) => Payload::Integer(*integer),
        Payload::Bytes { format, bytes } => {
            let is_named = is_sealed || is_packed || is_mistaken(bytes);
            let format = is_named.then(|| format.unwrap_or(Format::Other));
            Payload::Bytes { format, bytes: bytes.clone() }
        }
    }
}

/// What stands in the store, as redis-cli and programs in other languages see it.
pub(crate) fn check_bytes(stored: &[u8], payload: &Owned, meta: &Meta, is_packed: bool) {
    let has_meta = *meta != Meta::default();
    match payload {
        Payload::Integer(integer) => {
            let decimal = integer.to_string();
            assert!(stored.ends_with(decimal.as_bytes()));
            assert_eq!(
                stored.len() == decimal.len(),
                !has_meta,
                "an integer without metadata stands alone"
            );
        }
        Payload::Bytes { bytes, .. } => {
            let is_framed = has_meta || is_packed || is_mistaken(bytes);
            assert_eq!(stored == &bytes[..], !is_framed);
            assert_eq!(stored.first() == Some(&0xC1), is_framed);
            assert!(
                is_packed || stored.ends_with(bytes),
                "a payload that no step changed is there as it is"
            );
        }
    }
}
