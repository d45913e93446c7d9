//! What every decoder has to bear: any bytes at all. Run by the test `corpus` and by the crate `fuzz`.
//!
//! No input may make one panic, take more memory than the limit, or give what contradicts itself.

use cachine_codec::compression::{Algorithm, Compression};
use cachine_codec::encryption::Encryption;
use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_codec::stored::{self, Meta};
use cachine_core::error::{Error, ErrorKind};

const KEY: &[u8] = b"users:1";
/// The most that anything is decompressed to.
const LIMIT: usize = 1 << 20;
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Gzip, Algorithm::Zlib, Algorithm::Zstd, Algorithm::Lz4];

fn limited() -> Steps {
    let compression = Some(Compression::new(Algorithm::Zstd).max_decompressed_size(LIMIT));
    Steps { compression, encryption: None }
}

fn expect_kind(error: &Error, kinds: &[ErrorKind]) {
    assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
}

/// Stored bytes as `add_tags`, `expire` and `incr` see them.
pub(crate) fn frame(input: &[u8]) {
    let meta = match stored::meta(input) {
        Ok(meta) => meta,
        Err(error) => return expect_kind(&error, &[ErrorKind::Deserialization]),
    };
    assert_eq!(stored::with_meta(input, &meta).unwrap(), input, "two frames say the same");
    let bare = stored::with_meta(input, &Meta::default()).unwrap();
    assert_eq!(stored::meta(&bare).unwrap(), Meta::default());
    assert_eq!(stored::with_meta(&bare, &meta).unwrap(), input);
    match stored::count(input, 1) {
        Ok((sum, stored)) => {
            assert_eq!(stored::meta(&stored).unwrap(), meta);
            assert_eq!(Steps::default().read(KEY, &stored).unwrap(), (meta, Payload::Integer(sum)));
        }
        Err(error) => expect_kind(&error, &[ErrorKind::Serialization, ErrorKind::Overflow]),
    }
}

/// Stored bytes as a get without encryption sees them.
pub(crate) fn entry(input: &[u8]) {
    let (meta, payload) = match limited().read(KEY, input) {
        Ok(read) => read,
        Err(error) => {
            return expect_kind(&error, &[ErrorKind::Deserialization, ErrorKind::Integrity]);
        }
    };
    if let Payload::Bytes { bytes, .. } = &payload {
        assert!(bytes.len() <= LIMIT.max(input.len()));
    }
    let again = Steps::default().write(KEY, &meta, &payload).unwrap().bytes;
    let (meta_again, payload_again) = Steps::default().read(KEY, &again).unwrap();
    assert_eq!(meta_again, meta);
    match (&payload, &payload_again) {
        // The format that a payload came with is written down only where it has to be.
        (Payload::Bytes { bytes, .. }, Payload::Bytes { bytes: bytes_again, .. }) => {
            assert_eq!(bytes, bytes_again);
        }
        _ => assert_eq!(payload, payload_again),
    }
}

/// A frame whose compression, length and body are the input: one byte, four bytes, the rest.
pub(crate) fn decompress(input: &[u8]) {
    let Some((head, body)) = input.split_at_checked(5) else { return };
    let stored = [&[0xC1, 1, 4, 1 + head[0] % 4, 0, 0, 0, 0], &head[1..], body].concat();
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    match limited().read(KEY, &stored) {
        Ok((_, Payload::Bytes { bytes, .. })) => assert_eq!(bytes.len(), length as usize),
        Ok(read) => panic!("{read:?}"),
        Err(error) => expect_kind(&error, &[ErrorKind::Deserialization]),
    }
}

/// A payload to compress: one byte for the algorithm, one for the level, the rest.
pub(crate) fn compress(input: &[u8]) {
    let Some((&[algorithm, level], content)) = input.split_first_chunk() else { return };
    let algorithm = ALGORITHMS[usize::from(algorithm % 4)];
    let compression = Compression::new(algorithm).min_size(0);
    // The highest levels of zstd are too slow for a fuzzer.
    let compression = compression.clone().level(i32::from(level % 14)).unwrap_or(compression);
    let steps = Steps { compression: Some(compression), encryption: None };
    // Twice, so that there is something to find.
    let payload = Payload::Bytes { format: Some(Format::Other), bytes: content.repeat(2).into() };
    let written = steps.write(KEY, &Meta::default(), &payload).unwrap();
    assert!(written.bytes.len() <= written.raw + 4);
    let (_, read) = Steps::default().read(KEY, &written.bytes).unwrap();
    match (read, payload) {
        (Payload::Bytes { bytes: read, .. }, Payload::Bytes { bytes, .. }) => {
            assert_eq!(read, bytes);
        }
        other => panic!("{other:?}"),
    }
}

/// Stored bytes as a get with encryption sees them. Nobody who does not have the key can write what it
/// opens.
pub(crate) fn decrypt(input: &[u8]) {
    // The key depends on the input: a fuzzer looks into comparisons, finds there what was written under
    // a fixed key, and hands it in as its own.
    let keys = Encryption::new(&format!("the key of {input:?}")).unwrap();
    let strict = Steps { encryption: Some(keys.clone().refuse_counters()), ..limited() };
    let error = strict.read(KEY, input).expect_err("a forged entry was read");
    expect_kind(&error, &[ErrorKind::Integrity]);
    let lenient = Steps { encryption: Some(keys.clone()), ..limited() };
    if let Ok(read) = lenient.read(KEY, input) {
        assert!(matches!(read.1, Payload::Integer(_)), "{read:?} was in the clear");
        assert_eq!(Steps::default().read(KEY, input).unwrap(), read);
    }
    // What it writes itself opens, and no longer does when the input is laid over it.
    let payload = Payload::Bytes { format: Some(Format::Other), bytes: input.into() };
    let sealed = strict.write(KEY, &Meta::default(), &payload).unwrap().bytes;
    assert!(strict.read(KEY, &sealed).is_ok());
    let laid_over: Vec<u8> =
        sealed.iter().zip(input.iter().chain(std::iter::repeat(&0))).map(|(a, b)| a ^ b).collect();
    if laid_over != sealed {
        strict.read(KEY, &laid_over).expect_err("a changed entry was read");
    }
}
