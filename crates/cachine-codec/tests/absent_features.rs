//! Without the features `compress` and `encrypt` the stored form is the same, and what can't be read is
//! refused with the name of the feature.
#![cfg(not(any(feature = "compress", feature = "encrypt")))]

use cachine_codec::compression::{Algorithm, Compression};
use cachine_codec::encryption::Encryption;
use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_codec::stored::{self, Meta};
use cachine_core::error::ErrorKind;

const KEY: &[u8] = b"users:1";

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/testdata/v1/{name}.bin", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn what_no_feature_is_needed_for_works() {
    let payload = Payload::Bytes { format: Some(Format::Json), bytes: (&b"42"[..]).into() };
    let written = Steps::default().write(KEY, &Meta::default(), &payload).unwrap();
    assert_eq!(written.bytes, golden("escaped_decimal"));
    assert_eq!(Steps::default().read(KEY, &written.bytes).unwrap(), (Meta::default(), payload));
    assert_eq!(stored::meta(&golden("stale_tagged_sealed_zstd")).unwrap().stamps.len(), 3);
}

#[test]
fn what_can_not_be_read_names_the_feature() {
    for (name, kind, feature) in [
        ("gzip", ErrorKind::Deserialization, "`compress`"),
        ("lz4", ErrorKind::Deserialization, "`compress`"),
        ("sealed", ErrorKind::Integrity, "`encrypt`"),
    ] {
        let stored = golden(name);
        let error = Steps::default().read(KEY, &stored).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(feature), "{error}");
    }
}

#[test]
fn what_can_not_be_written_names_the_feature() {
    let compression = Some(Compression::new(Algorithm::Zstd).min_size(0));
    let payload = Payload::Bytes { format: None, bytes: vec![0; 5000].into() };
    let steps = Steps { compression, encryption: None };
    let error = steps.write(KEY, &Meta::default(), &payload).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`compress`"), "{error}");
    let error = Encryption::new("secret").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`encrypt`"), "{error}");
}
