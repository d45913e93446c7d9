//! What compression keeps, refuses and limits.

use super::*;

const LIMIT: usize = Compression::MAX_DECOMPRESSED_SIZE;

fn payloads() -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    };
    let rows: Vec<String> =
        (0..400).map(|n| format!("{{\"id\":{n},\"name\":\"user {}\"}}", n % 7)).collect();
    let json = rows.join(",");
    vec![
        Vec::new(),
        vec![0],
        vec![b'a'; 5000],
        json.into_bytes(),
        noise(300),
        noise(70_000),
        vec![0; 200_000],
    ]
}

fn every_level() -> Vec<Compression> {
    let mut all = Vec::new();
    for algorithm in Algorithm::ALL {
        let usual = Compression::new(algorithm).min_size(0);
        if let Some((least, most, _)) = algorithm.levels() {
            all.extend((least..=most).map(|level| usual.clone().level(level).unwrap()));
        }
        all.push(usual);
    }
    all
}

fn deserialization_error(outcome: Result<Vec<u8>, Error>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deserialization, "{error}");
    error.to_string()
}

#[test]
fn what_is_packed_is_smaller_and_unpacks_to_the_same_at_every_level() {
    for compression in every_level() {
        let mut smaller = 0;
        for payload in payloads() {
            let Some(bytes) = compression.pack(&payload, 12).unwrap() else { continue };
            smaller += 1;
            assert!(bytes.len() + 12 < payload.len(), "{compression:?}");
            let packed = Packed { algorithm: compression.algorithm, length: payload.len() as u64 };
            assert_eq!(unpack(packed, &bytes, LIMIT).unwrap(), payload, "{compression:?}");
            assert_eq!(unpack(packed, &bytes, payload.len()).unwrap(), payload, "{compression:?}");
            deserialization_error(unpack(packed, &bytes, payload.len() - 1));
        }
        let stores_only = compression.levels_of_deflate_are_off();
        assert_eq!(smaller, if stores_only { 0 } else { 3 }, "{compression:?}");
    }
}

impl Compression {
    /// Level 0 of DEFLATE copies.
    fn levels_of_deflate_are_off(&self) -> bool {
        matches!(self.algorithm, Algorithm::Gzip | Algorithm::Zlib) && self.level == 0
    }
}

#[test]
fn a_level_that_an_algorithm_does_not_have_is_refused() {
    for (algorithm, levels) in [
        (Algorithm::Gzip, [-1, 10]),
        (Algorithm::Zlib, [i32::MIN, 10]),
        (Algorithm::Zstd, [0, 23]),
        (Algorithm::Lz4, [0, 1]),
    ] {
        for level in levels {
            let error = Compression::new(algorithm).level(level).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(algorithm.name()), "{error}");
        }
    }
}

#[test]
fn an_algorithm_is_found_by_its_name_and_an_error_lists_the_names() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.name().parse::<Algorithm>().unwrap(), algorithm);
        assert_eq!(Algorithm::from_number(algorithm.number()), Some(algorithm));
    }
    let error = "brotli".parse::<Algorithm>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for part in ["brotli", "gzip", "zlib", "zstd", "lz4"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!("GZIP".parse::<Algorithm>().is_err());
}

#[test]
fn a_payload_below_the_smallest_size_is_left_alone() {
    let compression = Compression::new(Algorithm::Zstd);
    assert_eq!(compression.pack(&[0; Compression::MIN_SIZE - 1], 12).unwrap(), None);
    assert!(compression.pack(&[0; Compression::MIN_SIZE], 12).unwrap().is_some());
}

#[test]
fn a_payload_that_could_not_be_read_back_is_not_written() {
    let compression = Compression::new(Algorithm::Lz4).max_decompressed_size(2000);
    assert!(compression.pack(&[0; 2000], 12).unwrap().is_some());
    let error = compression.pack(&[0; 2001], 12).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Serialization);
    assert!(error.to_string().contains("max_decompressed_size"), "{error}");
}

#[test]
fn a_length_that_is_not_the_true_one_is_refused() {
    let payload = vec![b'x'; 3000];
    for algorithm in Algorithm::ALL {
        let bytes = Compression::new(algorithm).pack(&payload, 12).unwrap().unwrap();
        for length in [0, 1, 2999, 3001, 6000, 1 << 26, (1 << 26) + 1, 1 << 32, 1 << 63, u64::MAX] {
            deserialization_error(unpack(Packed { algorithm, length }, &bytes, LIMIT));
            deserialization_error(unpack(Packed { algorithm, length }, &bytes, usize::MAX));
        }
    }
}

#[test]
fn nothing_may_stand_behind_the_end() {
    let payload = vec![b'x'; 3000];
    for algorithm in Algorithm::ALL {
        let packed = Packed { algorithm, length: 3000 };
        let bytes = Compression::new(algorithm).pack(&payload, 12).unwrap().unwrap();
        let empty = codecs::pack(algorithm, 3, b"").unwrap();
        let skipped = [0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 7];
        for tail in [&[0][..], &bytes, &empty, &skipped] {
            deserialization_error(unpack(packed, &[&bytes, tail].concat(), LIMIT));
        }
        // A frame of zstd that is to be skipped is no payload, not even an empty one.
        deserialization_error(unpack(Packed { algorithm, length: 0 }, &skipped, LIMIT));
        let before = [&skipped, &bytes[..]].concat();
        deserialization_error(unpack(packed, &before, LIMIT));
    }
}

#[test]
fn what_is_cut_off_is_refused_at_every_length() {
    let payload: Vec<u8> = payloads().swap_remove(3);
    for algorithm in Algorithm::ALL {
        let packed = Packed { algorithm, length: payload.len() as u64 };
        let bytes = Compression::new(algorithm).pack(&payload, 12).unwrap().unwrap();
        for end in (0..bytes.len()).step_by(7).chain(bytes.len() - 20..bytes.len()) {
            deserialization_error(unpack(packed, &bytes[..end], LIMIT));
        }
    }
}

/// The head of a gzip member has none, but its flips say nothing about the payload.
#[test]
fn a_checksum_finds_every_flipped_bit() {
    let payload: Vec<u8> = payloads().swap_remove(3)[..1500].to_vec();
    for algorithm in Algorithm::ALL {
        let packed = Packed { algorithm, length: payload.len() as u64 };
        let bytes = Compression::new(algorithm).pack(&payload, 12).unwrap().unwrap();
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(unpacked) = unpack(packed, &flipped, LIMIT) {
                assert_eq!(unpacked, payload, "{algorithm}, bit {bit}");
            }
        }
    }
}

/// The bounds of [`Algorithm::expansion`], measured on the most that each algorithm can do.
#[test]
fn zeros_stay_below_what_an_algorithm_can_become_at_most() {
    let zeros = vec![0; 8 << 20];
    for algorithm in Algorithm::ALL {
        let bytes = Compression::new(algorithm).pack(&zeros, 12).unwrap().unwrap();
        assert!(zeros.len() as u64 <= bytes.len() as u64 * algorithm.expansion(), "{algorithm}");
        assert_eq!(unpack(Packed { algorithm, length: 8 << 20 }, &bytes, LIMIT).unwrap(), zeros);
    }
}
