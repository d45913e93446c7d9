//! The cipher, the derivation of its keys, and randomness.

use std::sync::Arc;

use cachine_core::error::{Error, ErrorKind};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use hkdf::{Hkdf, InvalidLength};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::frame::{NONCE, TAG};

const KEY: usize = 32;
/// What HKDF extracts with, and what it expands for. Fixed for ever: a key must give the same bytes.
const SALT: &[u8] = b"cachine";
const INFO: &[u8] = b"cachine value encryption, XChaCha20-Poly1305, version 1";

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A key. Clones share it; it is overwritten when the last one goes.
#[derive(Clone)]
pub(super) struct Cipher(Arc<Zeroizing<[u8; KEY]>>);

impl Cipher {
    /// The key that this text stands for (HKDF with SHA-256, RFC 5869).
    #[expect(clippy::unnecessary_wraps, reason = "it fails where the feature is off")]
    pub(super) fn derive(text: &str) -> Result<Self, Error> {
        // Derived where it stays, so that no copy is left behind on the stack.
        let mut key = Arc::new(Zeroizing::new([0; KEY]));
        let place = Arc::get_mut(&mut key).expect("nobody else has it yet");
        expand(SALT, text.as_bytes(), INFO, place.as_mut_slice()).expect("HKDF gives 8160 bytes");
        Ok(Self(key))
    }

    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG], Error> {
        let tag =
            self.ready().encrypt_inout_detached(&XNonce::from(*nonce), associated, buffer.into());
        tag.map(Into::into).map_err(|_| {
            Error::new(
                ErrorKind::Serialization,
                "serialize",
                "the value is too long to be encrypted",
            )
        })
    }

    /// `None`: something is not what was sealed. Nothing is decrypted before the tag is known to be right.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE],
        associated: &[u8],
        sealed: &[u8],
        tag: &[u8; TAG],
    ) -> Option<Vec<u8>> {
        let mut buffer = sealed.to_vec();
        let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
        let place = buffer.as_mut_slice().into();
        self.ready().decrypt_inout_detached(&nonce, associated, place, &tag).ok()?;
        Some(buffer)
    }

    /// It overwrites its copy of the key when it is dropped.
    fn ready(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(<&Key>::from(&**self.0))
    }
}

/// Random bytes of the operating system.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| {
        let message = format!("the operating system gives no random bytes: {error}");
        Error::new(ErrorKind::Serialization, "encrypt", message)
    })
}

pub(super) fn generate() -> Result<String, Error> {
    let mut key = Zeroizing::new([0; KEY]);
    random(key.as_mut_slice())?;
    Ok(base64url(key.as_slice()))
}

/// HKDF-SHA256. It fails if `out` is longer than 255 * 32 bytes.
fn expand(salt: &[u8], secret: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), InvalidLength> {
    let (mut extracted, derivation) = Hkdf::<Sha256>::extract(Some(salt), secret);
    extracted.as_mut_slice().zeroize();
    derivation.expand(info, out)
}

/// Base64 with the alphabet for URLs and without padding (RFC 4648).
fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=chunk.len() {
            let six = (bits >> (18 - 6 * at)) & 0x3F;
            text.push(char::from(BASE64URL[six as usize]));
        }
    }
    text
}

#[cfg(test)]
#[path = "cipher/vectors.rs"]
mod vectors;
