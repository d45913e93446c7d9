//! The steps in their order, and what a reader makes of what they wrote.

use super::*;
use crate::compression::Algorithm;
use crate::stored::Stamp;

fn tagged() -> Meta {
    Meta { stale_window: Some(5000), stamps: vec![Stamp { tag: "a".into(), stamp: 1 }] }
}

fn json(bytes: &[u8]) -> Payload<'_> {
    Payload::Bytes { format: Some(Format::Json), bytes: bytes.into() }
}

fn compressing(algorithm: Algorithm) -> Steps {
    Steps { compression: Some(Compression::new(algorithm)), encryption: None }
}

fn encrypting(encryption: Encryption) -> Steps {
    Steps { compression: None, encryption: Some(encryption) }
}

fn key(text: &str) -> Encryption {
    Encryption::new(text).unwrap()
}

fn integrity_error(outcome: Result<(Meta, Payload<'_>), Error>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    error.to_string()
}

#[test]
fn what_was_compressed_is_read_without_compression() {
    let zeros = vec![b'0'; 5000];
    for algorithm in ["gzip", "zlib", "zstd", "lz4"] {
        let written =
            compressing(algorithm.parse().unwrap()).write(b"k", &tagged(), &json(&zeros)).unwrap();
        assert_eq!(written.raw, 5000);
        assert!(written.packed < 100 && written.bytes.len() < 150);
        assert_eq!(Steps::default().read(b"k", &written.bytes).unwrap(), (tagged(), json(&zeros)));
    }
}

#[test]
fn compression_of_what_does_not_get_smaller_leaves_no_trace() {
    let distinct: Vec<u8> = (0..=255).collect();
    for algorithm in ["gzip", "zlib", "zstd", "lz4"] {
        let compression = Compression::new(algorithm.parse().unwrap()).min_size(0);
        let steps = Steps { compression: Some(compression), encryption: None };
        let written = steps.write(b"k", &Meta::default(), &json(&distinct)).unwrap();
        assert_eq!(
            (written.bytes, written.raw, written.packed),
            (distinct.clone(), distinct.len(), distinct.len())
        );
    }
}

#[test]
fn a_declared_length_above_the_limit_is_refused_whoever_wrote_it() {
    let zeros = vec![b'0'; 5000];
    let written =
        compressing(Algorithm::Zstd).write(b"k", &Meta::default(), &json(&zeros)).unwrap();
    let strict = Compression::new(Algorithm::Lz4).max_decompressed_size(4999);
    let error = Steps { compression: Some(strict), encryption: None }
        .read(b"k", &written.bytes)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deserialization);
    assert!(error.to_string().contains("max_decompressed_size"), "{error}");
}

#[test]
fn with_encryption_every_value_is_sealed_and_no_byte_of_it_shows() {
    let steps = encrypting(key("secret"));
    for payload in
        [json(b"{\"password\":\"hunter2\"}"), Payload::Integer(1_234_567_890_123), json(b"")]
    {
        let stored = steps.write(b"k", &tagged(), &payload).unwrap().bytes;
        assert!(!stored.windows(7).any(|window| window == b"hunter2" || window == b"1234567"));
        assert_eq!(steps.read(b"k", &stored).unwrap(), (tagged(), payload.clone()));
        assert_ne!(steps.write(b"k", &tagged(), &payload).unwrap().bytes, stored);
    }
}

#[test]
fn what_is_encrypted_is_not_read_without_encryption() {
    let stored =
        encrypting(key("a")).write(b"users:1", &Meta::default(), &json(b"{}")).unwrap().bytes;
    let message = integrity_error(Steps::default().read(b"users:1", &stored));
    assert!(
        message.contains("is encrypted: read it through a cache that has the key"),
        "{message}"
    );
    assert!(message.contains("\"users:1\""), "{message}");
}

#[test]
fn with_encryption_nothing_in_the_clear_is_read_but_counters() {
    let steps = encrypting(key("a"));
    let plain = Steps::default();
    let zeros = vec![b'0'; 5000];
    let clear = [
        plain.write(b"k", &Meta::default(), &json(b"{}")).unwrap().bytes,
        plain.write(b"k", &tagged(), &json(b"{}")).unwrap().bytes,
        plain.write(b"k", &Meta::default(), &json(b"7")).unwrap().bytes,
        compressing(Algorithm::Zstd).write(b"k", &Meta::default(), &json(&zeros)).unwrap().bytes,
        b"\xC1\x01\x04\x507".to_vec(),
        b"".to_vec(),
    ];
    for stored in clear {
        integrity_error(steps.read(b"k", &stored));
    }
    for meta in [Meta::default(), tagged()] {
        let counter = plain.write(b"k", &meta, &Payload::Integer(7)).unwrap().bytes;
        assert_eq!(steps.read(b"k", &counter).unwrap(), (meta, Payload::Integer(7)));
        let message = integrity_error(encrypting(key("a").refuse_counters()).read(b"k", &counter));
        assert!(message.contains("counters are refused"), "{message}");
    }
}

#[test]
fn an_old_key_reads_what_it_wrote_and_an_unknown_one_is_named() {
    let old = encrypting(key("first"));
    let stored = old.write(b"k", &Meta::default(), &json(b"{}")).unwrap().bytes;
    let new = key("second").key_id("v2").unwrap();
    let message = integrity_error(encrypting(new.clone()).read(b"k", &stored));
    assert!(message.contains("\"v1\"") && message.contains("`old_keys`"), "{message}");
    let rotated = encrypting(new.old_key("v1", "first").unwrap());
    assert_eq!(rotated.read(b"k", &stored).unwrap().1, json(b"{}"));
    let rewritten = rotated.write(b"k", &Meta::default(), &json(b"{}")).unwrap().bytes;
    assert!(rewritten.windows(2).any(|window| window == b"v2"));
    // The right id with another key is no way in.
    integrity_error(encrypting(key("second")).read(b"k", &stored));
}

#[test]
fn a_payload_that_lies_about_being_an_integer_is_refused() {
    let lie = Payload::Bytes { format: Some(Format::Integer), bytes: b"007".into() };
    let error = Steps::default().write(b"k", &Meta::default(), &lie).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization);
    let truth = Payload::Bytes { format: Some(Format::Integer), bytes: b"7".into() };
    assert_eq!(Steps::default().write(b"k", &Meta::default(), &truth).unwrap().bytes, b"7");
}

#[test]
fn debug_output_of_the_steps_has_no_secret() {
    let shown = format!("{:?}", encrypting(key("hunter2")));
    assert!(shown.contains("v1") && !shown.contains("hunter2"), "{shown}");
}
