//! What stands for the cipher where the feature `encrypt` is off: no key can be made.

use std::convert::Infallible;

use cachine_core::error::{Error, ErrorKind};

use crate::frame::{NONCE, TAG};

/// No value of it exists.
#[derive(Clone)]
pub(super) struct Cipher(Infallible);

impl Cipher {
    pub(super) fn derive(_text: &str) -> Result<Self, Error> {
        Err(absent())
    }

    pub(super) fn seal(
        &self,
        _nonce: &[u8; NONCE],
        _associated: &[u8],
        _buffer: &mut [u8],
    ) -> Result<[u8; TAG], Error> {
        match self.0 {}
    }

    pub(super) fn open(
        &self,
        _nonce: &[u8; NONCE],
        _associated: &[u8],
        _sealed: &[u8],
        _tag: &[u8; TAG],
    ) -> Option<Vec<u8>> {
        match self.0 {}
    }
}

pub(super) fn random(_bytes: &mut [u8]) -> Result<(), Error> {
    Err(absent())
}

pub(super) fn generate() -> Result<String, Error> {
    Err(absent())
}

fn absent() -> Error {
    let message =
        "encryption is not in this build of cachine-codec: switch its feature `encrypt` on";
    Error::new(ErrorKind::Config, "encryption", message)
}
