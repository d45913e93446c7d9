//! Integers of any size as two's complement: the shortest form, and the two orders of bytes.

use super::malformed;
use crate::build::Malformed;

/// The shortest form of a two's complement integer, little-endian: without bytes at the end that only
/// repeat the sign. Of no bytes at all, which is 0, one byte is made.
pub fn shortest_little_endian(bytes: &[u8]) -> &[u8] {
    let mut shortest = bytes;
    while let [.., before, last] = shortest {
        let fill = if before & 0x80 == 0 { 0x00 } else { 0xff };
        if *last != fill {
            break;
        }
        shortest = &shortest[..shortest.len() - 1];
    }
    if shortest.is_empty() { &[0] } else { shortest }
}

/// The content of a `BigInt`: the shortest form, big-endian.
pub fn to_big_endian(little_endian: &[u8]) -> Vec<u8> {
    shortest_little_endian(little_endian).iter().rev().copied().collect()
}

/// The integer of a `BigInt`, little-endian.
///
/// # Errors
///
/// [`Malformed`] for a content that could be shorter, or that is an integer of 64 bits, with or without
/// a sign: it has a form of its own.
pub fn to_little_endian(content: &[u8]) -> Result<Vec<u8>, Malformed> {
    let little_endian: Vec<u8> = content.iter().rev().copied().collect();
    let is_wide = match content {
        // 2^64 - 1 takes nine bytes, the first of which is 0.
        [first, rest @ ..] => rest.len() > 8 || (rest.len() == 8 && *first != 0),
        [] => false,
    };
    if !is_wide || shortest_little_endian(&little_endian).len() != content.len() {
        return Err(malformed("a big integer that is not written as short as possible"));
    }
    Ok(little_endian)
}
