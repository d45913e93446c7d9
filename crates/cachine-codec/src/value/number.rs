//! Numbers of a [`Value`] that can be compared and hashed.

use super::Value;
use crate::content::shortest_little_endian;

/// A double that is compared bit by bit.
#[derive(Clone, Copy, Debug)]
pub struct Double(f64);

impl Double {
    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl From<f64> for Double {
    fn from(number: f64) -> Self {
        Self(number)
    }
}

impl PartialEq for Double {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Double {}

impl std::hash::Hash for Double {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// An integer beyond `i64`; [`Value::integer`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(Vec<u8>);

impl BigInt {
    /// Two's complement, little-endian, as short as possible.
    pub fn as_little_endian(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is less than 0.
    pub fn is_negative(&self) -> bool {
        self.0.last().is_some_and(|byte| byte & 0x80 != 0)
    }
}

impl Value {
    pub(super) const fn is_integer(&self) -> bool {
        matches!(self, Self::Int(_) | Self::BigInt(_))
    }

    /// The integer with these bytes in two's complement, little-endian: an [`Value::Int`] if it fits.
    pub fn integer(little_endian: &[u8]) -> Self {
        let shortest = shortest_little_endian(little_endian);
        let is_negative = shortest.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if is_negative { 0xff } else { 0 }; 8];
        match wide.get_mut(..shortest.len()) {
            Some(place) => {
                place.copy_from_slice(shortest);
                Self::Int(i64::from_le_bytes(wide))
            }
            None => Self::BigInt(BigInt(shortest.to_vec())),
        }
    }
}
