//! The steps between a payload and what a store keeps: compression, encryption, frame, in this order.
//!
//! However a user nests the wrappers of a cache, they end up as this one list, so the order is always
//! the safe one (encrypted bytes do not compress) and the stored form has no layers.

use std::borrow::Cow;

use cachine_core::error::{Error, ErrorKind};

use crate::compression::{self, Compression};
use crate::encryption::{self, Encryption};
use crate::format::Format;
use crate::frame::{self, Coding, Frame, Packed, Seal, decimal};
use crate::payload::Payload;
use crate::stored::Meta;

/// What happens to payloads. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    /// Payloads are compressed.
    pub compression: Option<Compression>,
    /// Payloads are encrypted, and nothing else but counters is read.
    pub encryption: Option<Encryption>,
}

/// What a payload became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What to store.
    pub bytes: Vec<u8>,
    /// Bytes of the payload.
    pub raw: usize,
    /// Bytes of the payload after compression; `raw` if it stayed as it was.
    pub packed: usize,
}

impl Steps {
    /// The bytes to store for a payload.
    ///
    /// `key` is the physical one, with the namespace: an encrypted payload opens under no other. A payload
    /// of [`Format::Integer`] is an integer; one without a format that has to name one gets
    /// [`Format::Other`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`] if the metadata can't be written ([`crate::stored::with_meta`]), the
    /// payload is larger than could be read back, says it is an integer and is none, or the system has no
    /// randomness; [`ErrorKind::Config`] if a feature that a step needs is off.
    pub fn write(&self, key: &[u8], meta: &Meta, payload: &Payload<'_>) -> Result<Written, Error> {
        let (format, payload) = plain(payload)?;
        let raw = payload.len();
        let is_mistaken = format != Format::Integer && frame::is_mistaken(&payload);
        let has_coding = is_mistaken || self.encryption.is_some();
        let compression = self.compression.as_ref().filter(|_| format != Format::Integer);
        let packed = match compression {
            None => None,
            Some(compression) => compression.pack(&payload, frame::write::PRICE_OF_PACKING)?,
        };
        let algorithm = compression.map(Compression::algorithm);
        let length = raw as u64;
        let coding = Coding {
            format,
            packed: algorithm
                .filter(|_| packed.is_some())
                .map(|algorithm| Packed { algorithm, length }),
        };
        let body = packed.as_deref().unwrap_or(&payload);
        let bytes = match &self.encryption {
            None => {
                let coding = (has_coding || coding.packed.is_some()).then_some(coding);
                let mut bytes = frame::write::frame(meta, coding, None, body.len())?;
                bytes.extend_from_slice(body);
                bytes
            }
            Some(encryption) => sealed(encryption, key, meta, coding, body)?,
        };
        Ok(Written { bytes, raw, packed: body.len() })
    }

    /// The metadata and the payload that stored bytes hold. `key` is the physical one, with the namespace.
    ///
    /// Compressed bytes are read whether or not compression is on, up to its limit or the usual one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Deserialization`] if the bytes are damaged, or larger than the limit once they are
    /// decompressed. [`ErrorKind::Integrity`] if they are encrypted and encryption is off; and, with
    /// encryption on, if they were changed, moved from another key, encrypted with an unknown key, or
    /// are neither encrypted nor a counter.
    pub fn read<'a>(&self, key: &[u8], stored: &'a [u8]) -> Result<(Meta, Payload<'a>), Error> {
        self.read_any(key, stored).map_err(|error| {
            let message = format!("the entry {:?}: {error}", String::from_utf8_lossy(key));
            // Who encrypts has to take whatever can't be read for an attempt.
            let is_attempt =
                self.encryption.is_some() && error.kind() == ErrorKind::Deserialization;
            let kind = if is_attempt { ErrorKind::Integrity } else { error.kind() };
            Error::new(kind, error.operation(), message)
        })
    }

    fn read_any<'a>(&self, key: &[u8], stored: &'a [u8]) -> Result<(Meta, Payload<'a>), Error> {
        let Some(frame) = frame::read::frame(stored)? else {
            return Ok((Meta::default(), self.read_bare(stored)?));
        };
        let Frame { meta, coding, seal, body, .. } = frame;
        let Some(coding) = coding else {
            return Ok((meta, self.read_bare(body)?));
        };
        let opened = match (seal, &self.encryption) {
            (None, None) => Cow::Borrowed(body),
            (Some(seal), Some(encryption)) => Cow::Owned(encryption.open(key, coding, seal, body)?),
            (Some(_), None) if cfg!(feature = "encrypt") => {
                return Err(encryption::refused(
                    "it is encrypted: read it through a cache that has the key",
                ));
            }
            (Some(_), None) => {
                let why =
                    "it is encrypted, and this build of cachine-codec lacks the feature `encrypt`";
                return Err(encryption::refused(why));
            }
            (None, Some(_)) => return Err(unsealed()),
        };
        let bytes = match coding.packed {
            None => opened,
            Some(packed) => Cow::Owned(compression::unpack(packed, &opened, self.limit())?),
        };
        if coding.format != Format::Integer {
            return Ok((meta, Payload::Bytes { format: Some(coding.format), bytes }));
        }
        let integer = decimal::read(&bytes).ok_or_else(|| {
            let message =
                "it says that it is an integer, and is none: it was damaged; delete the key";
            Error::new(ErrorKind::Deserialization, "deserialize", message)
        })?;
        Ok((meta, Payload::Integer(integer)))
    }

    /// A payload that stands alone, or behind metadata only.
    fn read_bare<'a>(&self, body: &'a [u8]) -> Result<Payload<'a>, Error> {
        match (decimal::read(body), &self.encryption) {
            (Some(_), Some(encryption)) if encryption.refuses_counters() => {
                Err(encryption::refused(
                    "it is an integer in the clear, and counters are refused: delete the key, or allow counters",
                ))
            }
            (Some(integer), _) => Ok(Payload::Integer(integer)),
            (None, Some(_)) => Err(unsealed()),
            (None, None) => Ok(Payload::Bytes { format: None, bytes: Cow::Borrowed(body) }),
        }
    }

    fn limit(&self) -> usize {
        self.compression.as_ref().map_or(Compression::MAX_DECOMPRESSED_SIZE, Compression::limit)
    }
}

/// The format and the bytes of a payload before any step.
fn plain<'a>(payload: &'a Payload<'_>) -> Result<(Format, Cow<'a, [u8]>), Error> {
    match payload {
        Payload::Integer(integer) => {
            Ok((Format::Integer, Cow::Owned(integer.to_string().into_bytes())))
        }
        Payload::Bytes { format: Some(Format::Integer), bytes }
            if decimal::read(bytes).is_none() =>
        {
            let message =
                "a payload says that it is an integer, and is not the canonical decimal of one";
            Err(Error::new(ErrorKind::Serialization, "serialize", message))
        }
        Payload::Bytes { format, bytes } => {
            Ok((format.unwrap_or(Format::Other), Cow::Borrowed(bytes.as_ref())))
        }
    }
}

fn sealed(
    encryption: &Encryption,
    key: &[u8],
    meta: &Meta,
    coding: Coding,
    body: &[u8],
) -> Result<Vec<u8>, Error> {
    let nonce = Encryption::nonce()?;
    let seal = Seal { key_id: encryption.current(), nonce: &nonce };
    let mut bytes = frame::write::frame(meta, Some(coding), Some(seal), body.len() + frame::TAG)?;
    let start = bytes.len();
    bytes.extend_from_slice(body);
    encryption.seal(key, coding, &nonce, &mut bytes, start)?;
    Ok(bytes)
}

fn unsealed() -> Error {
    encryption::refused(
        "it is not encrypted, and nothing but a counter may be: it was put there by something else",
    )
}

#[cfg(all(test, feature = "compress", feature = "encrypt"))]
mod tests;
