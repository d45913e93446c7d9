//! What opens, and what does not.

use std::collections::HashSet;

use super::*;
use crate::format::Format;

const CODING: Coding = Coding { format: Format::Json, packed: None };

fn config_error<T: fmt::Debug>(outcome: Result<T, Error>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

#[test]
fn a_key_that_is_empty_is_refused() {
    config_error(Encryption::new(""));
    config_error(Encryption::new("a").unwrap().old_key("old", ""));
}

#[test]
fn a_key_id_has_1_to_255_bytes() {
    let encryption = Encryption::new("a").unwrap();
    config_error(encryption.clone().key_id(""));
    config_error(encryption.clone().key_id(&"é".repeat(128)));
    config_error(encryption.clone().old_key("", "b"));
    assert_eq!(encryption.key_id(&"x".repeat(255)).unwrap().current().len(), 255);
}

#[test]
fn two_keys_of_one_id_are_refused_in_any_order() {
    let encryption = Encryption::new("a").unwrap();
    config_error(encryption.clone().old_key("v1", "b"));
    config_error(encryption.clone().old_key("v0", "b").unwrap().old_key("v0", "c"));
    config_error(encryption.clone().old_key("v0", "b").unwrap().key_id("v0"));
    encryption.key_id("v2").unwrap().old_key("v1", "b").unwrap();
}

#[test]
fn a_secret_is_in_no_debug_output_and_in_no_error() {
    let secret = "correct horse battery staple";
    let encryption =
        Encryption::new(secret).unwrap().old_key("v0", &secret.to_uppercase()).unwrap();
    let shown = format!("{encryption:?} {encryption:#?}");
    assert!(shown.contains("v1") && shown.contains("v0"));
    let clash = config_error(encryption.clone().old_key("v0", secret));
    let nonce = [7; NONCE];
    let unopened =
        encryption.open(b"k", CODING, Seal { key_id: "v1", nonce: &nonce }, &[0; 20]).unwrap_err();
    let unknown =
        encryption.open(b"k", CODING, Seal { key_id: "v9", nonce: &nonce }, &[0; 20]).unwrap_err();
    for text in [shown, clash, unopened.to_string(), unknown.to_string()] {
        assert!(!text.to_lowercase().contains("horse"), "{text}");
    }
    assert!(unknown.to_string().contains("\"v9\"") && unknown.to_string().contains("`old_keys`"));
}

#[test]
fn no_nonce_comes_twice() {
    let nonces: HashSet<[u8; NONCE]> = (0..10_000).map(|_| Encryption::nonce().unwrap()).collect();
    assert_eq!(nonces.len(), 10_000);
}

#[test]
fn a_generated_key_is_43_characters_of_base64url_and_new_each_time() {
    let keys: HashSet<String> = (0..1000).map(|_| generate_key()).collect();
    assert_eq!(keys.len(), 1000);
    for key in keys {
        assert_eq!(key.len(), 43);
        assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        Encryption::new(&key).unwrap();
    }
}

/// A part that moves into its neighbour must not give the same associated data.
#[test]
fn no_two_entries_have_the_same_associated_data() {
    let packed = |length| {
        Some(crate::frame::Packed { algorithm: crate::compression::Algorithm::Zstd, length })
    };
    let mut seen = HashSet::new();
    for key in ["", "a", "ab", "ab\u{1}v", "a:b", "a\0b", "a\u{3}\u{1}"] {
        for id in ["v", "1v", "v1", "\u{1}v", "\u{1}\u{1}v", "bv"] {
            for format in [Format::Other, Format::Json, Format::Integer] {
                for packed in [None, packed(0), packed(1), packed(1 << 63)] {
                    assert!(seen.insert(associated(key.as_bytes(), id, Coding { format, packed })));
                }
            }
        }
    }
}
