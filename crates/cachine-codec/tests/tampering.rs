//! Encrypted entries that somebody changed, moved, cut or took apart: none of them returns a value.

use std::collections::HashSet;

use cachine_codec::compression::{Algorithm, Compression};
use cachine_codec::encryption::Encryption;
use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_codec::stored::{self, Meta, Stamp};
use cachine_core::error::ErrorKind;

const KEY: &[u8] = b"users:1";
const JSON: &[u8] =
    b"{\"id\":1,\"admin\":false,\"note\":\"a note, a note, a note, a note, a note\"}";

fn steps(algorithm: Option<Algorithm>) -> Steps {
    let compression = algorithm.map(|algorithm| Compression::new(algorithm).min_size(0));
    Steps { compression, encryption: Some(Encryption::new("the key").unwrap()) }
}

fn every_steps() -> Vec<Steps> {
    let algorithms = [
        None,
        Some(Algorithm::Gzip),
        Some(Algorithm::Zlib),
        Some(Algorithm::Zstd),
        Some(Algorithm::Lz4),
    ];
    algorithms.map(steps).into()
}

fn payloads() -> [Payload<'static>; 3] {
    let bytes =
        |format, bytes: &'static [u8]| Payload::Bytes { format: Some(format), bytes: bytes.into() };
    [bytes(Format::Json, JSON), Payload::Integer(1234), bytes(Format::Pickle, b"")]
}

fn tagged() -> Meta {
    let stamp = |tag: &str, stamp| Stamp { tag: tag.into(), stamp };
    Meta { stale_window: Some(5000), stamps: vec![stamp("a", 1), stamp("b", 2)] }
}

#[track_caller]
fn refused(steps: &Steps, key: &[u8], stored: &[u8]) {
    match steps.read(key, stored) {
        Ok(read) => panic!("{read:?} from {stored:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Integrity, "{error}"),
    }
}

#[test]
fn a_flipped_bit_never_returns_a_value() {
    for steps in every_steps() {
        for payload in payloads() {
            let stored = steps.write(KEY, &Meta::default(), &payload).unwrap().bytes;
            for bit in 0..8 * stored.len() {
                let mut flipped = stored.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                refused(&steps, KEY, &flipped);
            }
        }
    }
}

/// Tags and freshness are not authenticated, because they are rewritten without a key.
#[test]
fn a_flipped_bit_in_the_metadata_changes_nothing_else() {
    let steps = steps(None);
    for payload in payloads() {
        let bare = steps.write(KEY, &Meta::default(), &payload).unwrap().bytes;
        let stored = stored::with_meta(&bare, &tagged()).unwrap();
        let metadata = 3..stored.len() - bare.len() + 3;
        let mut changed = 0;
        for bit in 0..8 * stored.len() {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok((meta, read)) = steps.read(KEY, &flipped) {
                assert!(metadata.contains(&(bit / 8)), "byte {}", bit / 8);
                assert_eq!(read, payload);
                assert_ne!(meta, tagged());
                changed += 1;
            }
        }
        assert!(changed > 100, "{changed} flips change the metadata");
    }
}

#[test]
fn every_byte_replaced_by_every_other_returns_no_value() {
    let steps = steps(None);
    let stored = steps.write(KEY, &Meta::default(), &Payload::Integer(7)).unwrap().bytes;
    for at in 0..stored.len() {
        for byte in 0..=255 {
            let mut changed = stored.clone();
            changed[at] = byte;
            if changed != stored {
                refused(&steps, KEY, &changed);
            }
        }
    }
}

#[test]
fn an_entry_opens_under_no_other_key_and_in_no_other_namespace() {
    for steps in every_steps() {
        let stored = steps.write(KEY, &tagged(), &payloads()[0]).unwrap().bytes;
        for other in [
            &b""[..],
            b"users:2",
            b"users:11",
            b"user:s:1",
            b"admin:1",
            b"1",
            b"users:1\0",
            b"Users:1",
        ] {
            refused(&steps, other, &stored);
        }
        assert!(steps.read(KEY, &stored).is_ok());
    }
}

#[test]
fn an_entry_that_is_cut_off_or_longer_returns_no_value() {
    for steps in every_steps() {
        for meta in [Meta::default(), tagged()] {
            let stored = steps.write(KEY, &meta, &payloads()[0]).unwrap().bytes;
            for end in 0..stored.len() {
                refused(&steps, KEY, &stored[..end]);
            }
            refused(&steps, KEY, &[&stored[..], &[0]].concat());
            refused(&steps, KEY, &[&stored[..], &stored].concat());
        }
    }
}

#[test]
fn parts_of_two_entries_of_one_key_do_not_make_a_third() {
    let steps = steps(None);
    let a = steps.write(KEY, &Meta::default(), &Payload::Integer(1)).unwrap().bytes;
    let b = steps.write(KEY, &Meta::default(), &Payload::Integer(2)).unwrap().bytes;
    for at in 8..a.len() {
        let mixed = [&a[..at], &b[at..]].concat();
        if mixed != a && mixed != b {
            refused(&steps, KEY, &mixed);
        }
    }
}

/// Head of three bytes, one of coding (nine if compressed), then 1 + 2 of key id, 24 of nonce.
#[test]
fn an_entry_that_is_downgraded_returns_no_value() {
    for steps in every_steps() {
        let stored = steps.write(KEY, &Meta::default(), &payloads()[0]).unwrap().bytes;
        let is_packed = stored[3] % 16 != 0;
        let sections = if is_packed { 3 + 9 } else { 3 + 1 };
        // Another format, another compression, none.
        for coding in 0..=255 {
            let mut changed = stored.clone();
            changed[3] = coding;
            if changed != stored {
                refused(&steps, KEY, &changed);
                // With the length put in or taken out, as the new coding needs it.
                let tail = &stored[sections..];
                let length: &[u8] = if coding % 16 == 0 { &[] } else { &[0, 0, 0, 0, 0, 0, 0, 70] };
                refused(&steps, KEY, &[&stored[..3], &[coding], length, tail].concat());
            }
        }
        // Another length.
        if is_packed {
            for length in [0, 1, JSON.len() as u64 - 1, 1 << 63, u64::MAX] {
                refused(
                    &steps,
                    KEY,
                    &[&stored[..4], &length.to_be_bytes()[..], &stored[12..]].concat(),
                );
            }
        }
        // Said not to be encrypted.
        for flags in [0, 1, 2, 3, 4, 5, 6, 7] {
            let mut changed = stored.clone();
            changed[2] = flags;
            refused(&steps, KEY, &changed);
            refused(&steps, KEY, &[&changed[..sections], &stored[sections + 27..]].concat());
        }
        // Without its frame.
        refused(&steps, KEY, &stored[sections + 27..]);
        refused(&steps, KEY, JSON);
    }
}

/// The id is authenticated: two ids of one key do not open each other's entries.
#[test]
fn a_key_id_that_is_swapped_returns_no_value() {
    let stored = steps(None).write(KEY, &Meta::default(), &payloads()[0]).unwrap().bytes;
    let both = Encryption::new("the key").unwrap().old_key("v2", "the key").unwrap();
    let both = Steps { compression: None, encryption: Some(both) };
    assert!(both.read(KEY, &stored).is_ok());
    let at = stored.windows(2).position(|window| window == b"v1").unwrap();
    let mut swapped = stored;
    swapped[at + 1] = b'2';
    refused(&both, KEY, &swapped);
}

#[test]
fn no_two_writes_share_a_nonce() {
    let steps = steps(None);
    let nonces: HashSet<Vec<u8>> = (0..5000)
        .map(|_| {
            steps.write(KEY, &Meta::default(), &Payload::Integer(7)).unwrap().bytes[7..31].to_vec()
        })
        .collect();
    assert_eq!(nonces.len(), 5000);
}
