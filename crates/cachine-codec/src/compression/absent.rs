//! What stands for the algorithms where the feature `compress` is off: errors that say so.

use cachine_core::error::Error;

use super::{Algorithm, config, damaged};

pub(super) fn pack(algorithm: Algorithm, _level: i32, _payload: &[u8]) -> Result<Vec<u8>, Error> {
    Err(config(format!(
        "{algorithm} is not in this build of cachine-codec: switch its feature `compress` on"
    )))
}

pub(super) fn unpack(
    algorithm: Algorithm,
    _packed: &[u8],
    _length: usize,
) -> Result<Vec<u8>, Error> {
    Err(damaged(format!(
        "it was compressed with {algorithm}, and this build of cachine-codec lacks the feature `compress`"
    )))
}
