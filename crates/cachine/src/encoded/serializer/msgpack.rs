//! Values as MessagePack.

use cachine_codec::build::DEEPEST;
use cachine_codec::format::Format;
use cachine_core::error::Error;
use rmp_serde::decode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoded::misfit::Misfit;
use crate::encoded::serializer::unwritable;
use crate::encoded::strict::Rules;

pub(super) fn write<T: Serialize + ?Sized>(
    operation: &'static str,
    value: &T,
) -> Result<Vec<u8>, Error> {
    let rules = Rules::new(false, DEEPEST);
    let mut bytes = Vec::with_capacity(128);
    // With the names of fields, as other languages expect it and as a struct may grow.
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    match rules.write(value, &mut serializer) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(unwritable::<T>(operation, Format::MessagePack, &rules, error)),
    }
}

pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Misfit> {
    let mut deserializer = rmp_serde::Deserializer::new(bytes);
    let value = T::deserialize(&mut deserializer).map_err(|error| match error {
        decode::Error::Syntax(message) => Misfit::of_serde(&message),
        decode::Error::InvalidMarkerRead(_) | decode::Error::InvalidDataRead(_) => {
            Misfit::known("it ends too early")
        }
        decode::Error::TypeMismatch(_) => Misfit::known("there is something of another type in it"),
        decode::Error::OutOfRange => Misfit::known("there is a number out of range in it"),
        decode::Error::LengthMismatch(_) => {
            Misfit::known("there is something of another length in it")
        }
        decode::Error::Utf8Error(_) => Misfit::known("there is a text that is no UTF-8 in it"),
        decode::Error::DepthLimitExceeded => Misfit::known("it is nested too deep"),
        decode::Error::Uncategorized(_) => Misfit::known("it is no MessagePack"),
    })?;
    if deserializer.into_inner().is_empty() {
        Ok(value)
    } else {
        Err(Misfit::known("there is more behind its end"))
    }
}

/// The number, where the one value in these bytes is an integer of 64 bits.
pub(super) fn integer(bytes: &[u8]) -> Option<i64> {
    // The markers of integers; those of floats are 0xca and 0xcb.
    matches!(bytes.first()?, 0x00..=0x7f | 0xcc..=0xd3 | 0xe0..=0xff)
        .then(|| rmp_serde::from_slice(bytes).ok())
        .flatten()
}

/// An integer, in the one form that has room for all of them.
pub(super) fn of_integer(integer: i64) -> Vec<u8> {
    [&[0xd3], &integer.to_be_bytes()[..]].concat()
}
