//! Compression: which algorithm, how hard, from which size on, and how large a value may become again.
//!
//! A result that is not smaller is thrown away. Reading needs no settings but the limit: a frame says
//! what it was compressed with, so a cache whose compression was changed or switched off reads on.
//!
//! What stops a bomb, in this order: the length that the frame declares is over the limit; it is more
//! than this many bytes of this algorithm can become; the output grows past it while it is made.

use std::fmt;
use std::str::FromStr;

use cachine_core::error::{Error, ErrorKind};

#[cfg_attr(feature = "compress", path = "compression/codecs.rs")]
#[cfg_attr(not(feature = "compress"), path = "compression/absent.rs")]
mod codecs;

use crate::frame::Packed;

/// A way to compress. The numbers are part of the stored form and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Algorithm {
    /// DEFLATE in a gzip member (RFC 1952), with a checksum.
    Gzip = 1,
    /// DEFLATE in a zlib stream (RFC 1950), with a checksum.
    Zlib = 2,
    /// Zstandard (RFC 8878), one frame with a content checksum.
    Zstd = 3,
    /// A block of LZ4, then the xxHash32 of its content, little-endian.
    Lz4 = 4,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Gzip, Self::Zlib, Self::Zstd, Self::Lz4];

    /// Its name: `gzip`, `zlib`, `zstd` or `lz4`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.number() == number)
    }

    /// The levels that it has, and the one that is taken; `None`: it has no levels.
    const fn levels(self) -> Option<(i32, i32, i32)> {
        match self {
            Self::Gzip | Self::Zlib => Some((0, 9, 6)),
            Self::Zstd => Some((1, 22, 3)),
            Self::Lz4 => None,
        }
    }

    /// At most so many bytes come out of one.
    const fn expansion(self) -> u64 {
        match self {
            // 258 bytes from two codes of one bit each.
            Self::Gzip | Self::Zlib => 1032,
            // A block of 128 KiB from three bytes of header and one to repeat.
            Self::Zstd => 32 * 1024,
            // 255 bytes from one more byte of length.
            Self::Lz4 => 255,
        }
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join("`, `");
            config(format!("there is no algorithm {name:?}: use one of `{names}`"))
        })
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How values are compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    algorithm: Algorithm,
    level: i32,
    min_size: usize,
    max_decompressed_size: usize,
}

impl Compression {
    /// Payloads below so many bytes stay as they are, unless [`Compression::min_size`] says otherwise.
    pub const MIN_SIZE: usize = 1024;
    /// The largest payload, in bytes, unless [`Compression::max_decompressed_size`] says otherwise.
    pub const MAX_DECOMPRESSED_SIZE: usize = 64 << 20;

    /// Compression with this algorithm, at its usual level: 6 for gzip and zlib, 3 for zstd.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            level: algorithm.levels().map_or(0, |(_, _, usual)| usual),
            min_size: Self::MIN_SIZE,
            max_decompressed_size: Self::MAX_DECOMPRESSED_SIZE,
        }
    }

    /// The same at this level: 0 to 9 for gzip and zlib, 1 to 22 for zstd.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the algorithm does not have this level; lz4 has none.
    pub fn level(mut self, level: i32) -> Result<Self, Error> {
        let algorithm = self.algorithm;
        match algorithm.levels() {
            None => Err(config(format!("{algorithm} has no levels: leave `level` out"))),
            Some((least, most, _)) if !(least..=most).contains(&level) => {
                Err(config(format!("{algorithm} has no level {level}: it has {least} to {most}")))
            }
            Some(_) => {
                self.level = level;
                Ok(self)
            }
        }
    }

    /// The same, but payloads of fewer bytes than this stay as they are.
    #[must_use]
    pub fn min_size(mut self, bytes: usize) -> Self {
        self.min_size = bytes;
        self
    }

    /// The same, but payloads of more bytes than this are neither written nor read.
    #[must_use]
    pub fn max_decompressed_size(mut self, bytes: usize) -> Self {
        self.max_decompressed_size = bytes;
        self
    }

    /// What it is compressed with.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The limit for reading.
    pub(crate) const fn limit(&self) -> usize {
        self.max_decompressed_size
    }

    /// The payload, compressed, if that saves more than the `spent` bytes that it takes to say so.
    pub(crate) fn pack(&self, payload: &[u8], spent: usize) -> Result<Option<Vec<u8>>, Error> {
        if payload.len() > self.max_decompressed_size {
            let message = format!(
                "the value has {} bytes serialized and `max_decompressed_size` is {}, so it could not be read \
                 back: raise it, or store less",
                payload.len(),
                self.max_decompressed_size
            );
            return Err(Error::new(ErrorKind::Serialization, "serialize", message));
        }
        if payload.len() < self.min_size {
            return Ok(None);
        }
        let packed = codecs::pack(self.algorithm, self.level, payload)?;
        Ok(Some(packed).filter(|packed| packed.len() + spent < payload.len()))
    }
}

/// The payload that these bytes were before they were compressed, of at most `limit` bytes.
pub(crate) fn unpack(packed: Packed, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let Packed { algorithm, length } = packed;
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= limit) else {
        return Err(damaged(format!(
            "it was compressed with {algorithm} and would have {length} bytes, more than the \
             `max_decompressed_size` of {limit}: raise that if you trust who wrote it"
        )));
    };
    if length as u64 > (bytes.len() as u64).saturating_mul(algorithm.expansion()) {
        return Err(damaged(format!(
            "{} bytes of {algorithm} can't become the {length} bytes that are declared",
            bytes.len()
        )));
    }
    let payload = codecs::unpack(algorithm, bytes, length)?;
    if payload.len() == length {
        return Ok(payload);
    }
    Err(damaged(format!("{algorithm} gave {} bytes where {length} are declared", payload.len())))
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, "compression", message)
}

/// An error about compressed bytes; `why` is a clause.
fn damaged(why: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::Deserialization,
        "deserialize",
        format!("the stored value can't be decompressed: {why}"),
    )
}

#[cfg(all(test, feature = "compress"))]
mod tests;
