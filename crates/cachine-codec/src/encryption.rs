//! Encryption: XChaCha20-Poly1305 under keys derived by HKDF-SHA256, bound to the key of the entry.
//!
//! Every write draws 24 random bytes as its nonce. With 192 bits the chance that two of 2^64 writes
//! under one key share one is 2^-65, so no counter has to be kept, shared or restored.
//!
//! Associated data, in which every part has a length that is fixed or written before it:
//!
//! | part | bytes |
//! | --- | --- |
//! | label | `cachine stored value, version 1`, a zero byte |
//! | physical key (`namespace:key`) | u64 length, bytes |
//! | key id | u8 length, bytes |
//! | the frame's section `CODED` | format and compression, length before compression |
//!
//! Tags and freshness are not part of it, because `add_tags` and `expire` rewrite them without a key:
//! who can write to the store can change them. Stored bytes also do not prove to be the newest: an
//! older entry of the same key opens.

use std::fmt;

use cachine_core::error::{Error, ErrorKind};

#[cfg_attr(not(feature = "encrypt"), path = "encryption/absent.rs")]
mod cipher;

use crate::frame::{Coding, NONCE, Seal, TAG, write};
use cipher::Cipher;

/// What the associated data begins with.
const LABEL: &[u8] = b"cachine stored value, version 1\0";

/// The keys of a cache: one to write with, and old ones to read with.
#[derive(Clone)]
pub struct Encryption {
    key_id: Box<str>,
    cipher: Cipher,
    old: Vec<(Box<str>, Cipher)>,
    refuses_counters: bool,
}

impl Encryption {
    /// The name of the key, unless [`Encryption::key_id`] says otherwise.
    pub const KEY_ID: &'static str = "v1";

    /// Encryption under a key derived from this text, which should be one of [`generate_key`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the text is empty, or the feature `encrypt` is off.
    pub fn new(key: &str) -> Result<Self, Error> {
        let cipher = derive(key)?;
        Ok(Self { key_id: Self::KEY_ID.into(), cipher, old: Vec::new(), refuses_counters: false })
    }

    /// The same with another name for the key. The name is stored beside every value, in the clear.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it does not have 1 to 255 bytes, or an old key has it.
    pub fn key_id(mut self, id: &str) -> Result<Self, Error> {
        self.key_id = checked(id)?;
        self.distinct()
    }

    /// The same, and values that were encrypted with this key under this name can be read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the key is empty, or the name does not have 1 to 255 bytes or is given
    /// to another key.
    pub fn old_key(mut self, id: &str, key: &str) -> Result<Self, Error> {
        self.old.push((checked(id)?, derive(key)?));
        self.distinct()
    }

    /// The same, but an integer in the clear is not taken for a counter: it is refused.
    #[must_use]
    pub fn refuse_counters(mut self) -> Self {
        self.refuses_counters = true;
        self
    }

    /// Whether integers in the clear are refused.
    pub const fn refuses_counters(&self) -> bool {
        self.refuses_counters
    }

    /// The name that is written, for the size of a frame.
    pub(crate) fn current(&self) -> &str {
        &self.key_id
    }

    /// A nonce that no other value has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`] if the system has no randomness.
    pub(crate) fn nonce() -> Result<[u8; NONCE], Error> {
        let mut nonce = [0; NONCE];
        cipher::random(&mut nonce)?;
        Ok(nonce)
    }

    /// Encrypts what stands in `out` from `start` on, and puts the tag behind it.
    pub(crate) fn seal(
        &self,
        key: &[u8],
        coding: Coding,
        nonce: &[u8; NONCE],
        out: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), Error> {
        let associated = associated(key, &self.key_id, coding);
        let tag = self.cipher.seal(nonce, &associated, &mut out[start..])?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// What was encrypted.
    pub(crate) fn open(
        &self,
        key: &[u8],
        coding: Coding,
        seal: Seal<'_>,
        body: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let id = seal.key_id;
        let is_current = *self.key_id == *id;
        let of_old = || self.old.iter().find(|(old, _)| **old == *id).map(|(_, cipher)| cipher);
        let Some(cipher) = (if is_current { Some(&self.cipher) } else { of_old() }) else {
            return Err(refused(format!(
                "it is encrypted with the key {id:?}, which is unknown: add it to `old_keys`"
            )));
        };
        let associated = associated(key, id, coding);
        let opened = body
            .split_last_chunk::<TAG>()
            .and_then(|(sealed, tag)| cipher.open(seal.nonce, &associated, sealed, tag));
        opened.ok_or_else(|| {
            refused(format!(
                "it does not open with the key {id:?}: it was changed, or written under another key or \
                 namespace, or encrypted with another key of that id"
            ))
        })
    }

    fn distinct(self) -> Result<Self, Error> {
        let mut ids: Vec<&str> =
            self.old.iter().map(|(id, _)| &**id).chain([&*self.key_id]).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                Err(config(format!("two keys have the id {:?}: give each its own", pair[0])))
            }
            None => Ok(self),
        }
    }
}

/// The names of the keys, never a key.
impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let old: Vec<&str> = self.old.iter().map(|(id, _)| &**id).collect();
        f.debug_struct("Encryption")
            .field("key_id", &self.key_id)
            .field("old_keys", &old)
            .field("refuses_counters", &self.refuses_counters)
            .finish_non_exhaustive()
    }
}

/// A new key: 32 random bytes as 43 characters of base64url (RFC 4648, without padding).
///
/// # Panics
///
/// If the operating system has no randomness, or the feature `encrypt` is off: there is no key to fall
/// back to.
pub fn generate_key() -> String {
    match cipher::generate() {
        Ok(key) => key,
        Err(error) => panic!("no key can be generated: {error}"),
    }
}

fn associated(key: &[u8], key_id: &str, coding: Coding) -> Vec<u8> {
    let room = LABEL.len() + 8 + key.len() + 1 + key_id.len() + write::CODING;
    let mut out = Vec::with_capacity(room);
    out.extend_from_slice(LABEL);
    out.extend_from_slice(&(key.len() as u64).to_be_bytes());
    out.extend_from_slice(key);
    // `checked` and the reader of frames both hold ids to 255 bytes.
    out.extend_from_slice(&key_id.len().to_be_bytes()[size_of::<usize>() - 1..]);
    out.extend_from_slice(key_id.as_bytes());
    write::coding(coding, &mut out);
    out
}

fn derive(key: &str) -> Result<Cipher, Error> {
    if key.is_empty() {
        return Err(config("a key is empty: `generate_key()` makes a good one".to_owned()));
    }
    Cipher::derive(key)
}

fn checked(id: &str) -> Result<Box<str>, Error> {
    if (1..=255).contains(&id.len()) {
        return Ok(id.into());
    }
    Err(config(format!("key_id has {} bytes: it can have 1 to 255", id.len())))
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, "encryption", message)
}

/// An error about encrypted bytes; `why` goes on from the entry.
pub(crate) fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Integrity, "deserialize", why)
}

#[cfg(all(test, feature = "encrypt"))]
mod tests;
