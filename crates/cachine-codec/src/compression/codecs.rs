//! The algorithms themselves, each behind the same two functions.
//!
//! All of them are safe Rust where they read (see docs/internals/decisions.md for what was measured),
//! and none is given more room than the length that was declared and found plausible.

use std::io::{Read, Write};

use cachine_core::error::{Error, ErrorKind};
use flate2::bufread::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use twox_hash::XxHash32;
use zstd_rs::{CompressionConfig, Compressor, Decompressor};

use super::{Algorithm, damaged};

/// The first bytes of a frame of Zstandard. Its decoder also takes frames to be skipped, which nobody
/// here writes.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

pub(super) fn pack(algorithm: Algorithm, level: i32, payload: &[u8]) -> Result<Vec<u8>, Error> {
    let level_of_deflate = flate2::Compression::new(level.unsigned_abs());
    match algorithm {
        Algorithm::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), level_of_deflate);
            encoder
                .write_all(payload)
                .and_then(|()| encoder.finish())
                .map_err(|error| failed(algorithm, error))
        }
        Algorithm::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level_of_deflate);
            encoder
                .write_all(payload)
                .and_then(|()| encoder.finish())
                .map_err(|error| failed(algorithm, error))
        }
        Algorithm::Zstd => {
            let config = CompressionConfig { level, checksum: true, ..CompressionConfig::DEFAULT };
            let mut packed = Vec::new();
            Compressor::new(config)
                .and_then(|mut compressor| compressor.compress(payload, None, &mut packed))
                .map_err(|error| failed(algorithm, error))?;
            Ok(packed)
        }
        Algorithm::Lz4 => {
            let mut packed = lz4_flex::block::compress(payload);
            packed.extend_from_slice(&checksum(payload));
            Ok(packed)
        }
    }
}

/// What the bytes become. At most one byte more than `length` is ever made.
pub(super) fn unpack(algorithm: Algorithm, packed: &[u8], length: usize) -> Result<Vec<u8>, Error> {
    match algorithm {
        Algorithm::Gzip => {
            let mut decoder = GzDecoder::new(packed);
            let payload = stream(algorithm, &mut decoder, length)?;
            ended(algorithm, decoder.into_inner().len(), payload)
        }
        Algorithm::Zlib => {
            let mut decoder = ZlibDecoder::new(packed);
            let payload = stream(algorithm, &mut decoder, length)?;
            ended(algorithm, decoder.into_inner().len(), payload)
        }
        Algorithm::Zstd => {
            if !packed.starts_with(&ZSTD_MAGIC) {
                return Err(damaged("it does not begin as zstd does"));
            }
            let mut payload = Vec::new();
            let used = Decompressor::new()
                .decompress_frame(packed, None, length, &mut payload)
                .map_err(|error| refused(algorithm, error))?;
            ended(algorithm, packed.len() - used, payload)
        }
        Algorithm::Lz4 => {
            let Some((block, sum)) = packed.split_last_chunk() else {
                return Err(damaged(format!("{algorithm} ends within its checksum")));
            };
            let payload = lz4_flex::block::decompress(block, length)
                .map_err(|error| refused(algorithm, error))?;
            if checksum(&payload) != *sum {
                return Err(damaged(format!("{algorithm} has another checksum")));
            }
            Ok(payload)
        }
    }
}

/// What stands behind a block of LZ4, which has none of its own: the checksum that LZ4's frames use.
fn checksum(payload: &[u8]) -> [u8; 4] {
    XxHash32::oneshot(0, payload).to_le_bytes()
}

/// Reads to the end of the stream, where its checksum is, but never more than a byte past `length`.
fn stream(algorithm: Algorithm, decoder: &mut impl Read, length: usize) -> Result<Vec<u8>, Error> {
    let mut payload = Vec::with_capacity(length.saturating_add(1));
    decoder
        .take((length as u64).saturating_add(1))
        .read_to_end(&mut payload)
        .map_err(|error| refused(algorithm, error))?;
    Ok(payload)
}

/// The payload, if nothing stands behind the stream that it came from.
fn ended(algorithm: Algorithm, left: usize, payload: Vec<u8>) -> Result<Vec<u8>, Error> {
    if left == 0 {
        Ok(payload)
    } else {
        Err(damaged(format!("{left} bytes stand behind the end of {algorithm}")))
    }
}

fn refused(algorithm: Algorithm, error: impl std::error::Error) -> Error {
    damaged(format!("{algorithm} says: {error}"))
}

fn failed(algorithm: Algorithm, error: impl std::error::Error) -> Error {
    Error::new(
        ErrorKind::Serialization,
        "serialize",
        format!("the value can't be compressed, {algorithm} says: {error}"),
    )
}
