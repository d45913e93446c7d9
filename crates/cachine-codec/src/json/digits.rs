//! Integers of more than 64 bits as decimal digits, in both directions.

use num_bigint::{BigInt, Sign};

use crate::content::shortest_little_endian;
use crate::sink::Refused;

/// No integer of more decimal digits is written or read: the work grows with their square.
pub const MOST_DIGITS: usize = 100_000;

/// No integer of more bytes has at most [`MOST_DIGITS`] digits: 100,000 / log10(256), rounded up.
const MOST_BYTES: usize = 41_525;

/// Digits that always fit 128 bits.
const FEW_DIGITS: usize = 38;

/// Appends the digits of an integer in two's complement, little-endian.
pub(super) fn write(text: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Refused> {
    let bytes = shortest_little_endian(bytes);
    if bytes.len() > MOST_BYTES {
        return Err(Refused::TooManyDigits);
    }
    let digits = match small(bytes) {
        Some(number) => number.to_string(),
        None => BigInt::from_signed_bytes_le(bytes).to_string(),
    };
    if digits.trim_start_matches('-').len() > MOST_DIGITS {
        return Err(Refused::TooManyDigits);
    }
    text.extend_from_slice(digits.as_bytes());
    Ok(())
}

/// The integer that these ASCII digits are, in two's complement, little-endian, as short as possible.
pub(super) fn read(digits: &[u8], is_negative: bool) -> Option<Vec<u8>> {
    if digits.len() <= FEW_DIGITS {
        let magnitude: i128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let number = if is_negative { -magnitude } else { magnitude };
        return Some(shortest_little_endian(&number.to_le_bytes()).to_vec());
    }
    let magnitude = BigInt::parse_bytes(digits, 10)?;
    let number =
        if is_negative && magnitude.sign() != Sign::NoSign { -magnitude } else { magnitude };
    Some(number.to_signed_bytes_le())
}

/// The same number in 128 bits, where it fits.
fn small(bytes: &[u8]) -> Option<i128> {
    let mut wide = [if bytes.last()? & 0x80 == 0 { 0 } else { 0xff }; 16];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i128::from_le_bytes(wide))
}
