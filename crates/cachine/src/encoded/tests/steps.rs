//! Compression and encryption: what is small, what is secret, and what does not open.

use super::*;

/// A text that nobody writes by accident.
const SECRET: &str = "the cat sat on the mat, the cat sat on the mat, the cat sat on the mat";

fn secret() -> (EncodedCache, FakeClock) {
    let (cache, fake) = cache();
    let compression = Compression::new(Algorithm::Zlib).min_size(0);
    (cache.compressed(compression).encrypted(encryption()), fake)
}

#[test]
fn what_is_encrypted_is_not_readable_and_comes_back() {
    let (cache, _) = secret();
    cache.set("text", SECRET).unwrap();
    cache.set("user", &ada()).unwrap();
    cache.set("number", &17).unwrap();
    for (key, part) in [("text", "cat"), ("user", "Ada"), ("number", "17")] {
        let stored = cache.stored(key).unwrap().unwrap();
        assert!(!String::from_utf8_lossy(&stored).contains(part), "{key}");
    }
    assert_eq!(text(&cache, "text"), Ok(Some(SECRET.to_owned())));
    assert_eq!(cache.get("user").unwrap(), Some(ada()));
    assert_eq!(cache.get("number").unwrap(), Some(17));
    assert_eq!((cache.stats().hits, cache.stats().errors), (3, 0));
}

#[test]
fn compression_comes_before_encryption() {
    let (cache, _) = secret();
    let long = "a".repeat(10_000);
    cache.set("k", &long).unwrap();
    assert!(cache.stored("k").unwrap().unwrap().len() < 300);
    let stats = cache.stats();
    assert!(stats.raw_bytes == 10_002 && stats.compressed_bytes < 100);
}

#[test]
fn a_flipped_bit_anywhere_in_the_store_is_an_integrity_error() {
    let (cache, _) = secret();
    cache.set("k", SECRET).unwrap();
    let whole = cache.stored("k").unwrap().unwrap().to_vec();
    for bit in 0..whole.len() * 8 {
        cache.view().set("k", Value::new(Stored::Bytes(whole.clone().into()))).unwrap();
        tamper(&cache, "k", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        assert_eq!(text(&cache, "k"), Err(ErrorKind::Integrity), "bit {bit}");
    }
}

#[test]
fn a_value_does_not_open_under_another_key_or_namespace() {
    let (cache, _) = secret();
    cache.set("a", "mine").unwrap();
    let stolen = cache.stored("a").unwrap().unwrap();
    let inside = cache.with_namespace("n").unwrap();
    for other in [&cache, &inside] {
        other.view().set("b", Value::new(Stored::Bytes(Arc::clone(&stolen)))).unwrap();
        assert_eq!(text(other, "b"), Err(ErrorKind::Integrity));
    }
    inside.view().set("a", Value::new(Stored::Bytes(stolen))).unwrap();
    assert_eq!(text(&inside, "a"), Err(ErrorKind::Integrity));
}

#[test]
fn a_parent_reads_what_its_child_encrypted_under_the_same_physical_key() {
    let (cache, _) = secret();
    cache.with_namespace("n").unwrap().set("k", "inside").unwrap();
    assert_eq!(text(&cache, "n:k"), Ok(Some("inside".to_owned())));
}

#[test]
fn what_is_not_encrypted_is_not_read_and_what_is_needs_its_key() {
    let (plain, _) = cache();
    let (one, other) = (plain.encrypted(encryption()), plain.encrypted(encryption()));
    plain.set("plain", "forged").unwrap();
    assert_eq!(text(&one, "plain"), Err(ErrorKind::Integrity));
    one.set("secret", "mine").unwrap();
    assert_eq!(text(&plain, "secret"), Err(ErrorKind::Integrity));
    assert_eq!(text(&other, "secret"), Err(ErrorKind::Integrity));
    let error = one.get::<String>("plain").unwrap_err();
    assert_eq!(error.operation(), "get");
    assert!(!error.to_string().contains("forged"), "{error}");
}

#[test]
fn an_old_key_reads_on_and_the_new_one_writes() {
    let (cache, _) = cache();
    let (old, new) = (generate_key(), generate_key());
    let with_id = |key: &str, id| Encryption::new(key).unwrap().key_id(id).unwrap();
    cache.encrypted(with_id(&old, "2024")).set("a", "old").unwrap();
    let rotated = cache.encrypted(with_id(&new, "2025").old_key("2024", &old).unwrap());
    rotated.set("b", "new").unwrap();
    assert_eq!(text(&rotated, "a"), Ok(Some("old".to_owned())));
    let after = cache.encrypted(with_id(&new, "2025"));
    assert_eq!(text(&after, "b"), Ok(Some("new".to_owned())));
    assert_eq!(text(&after, "a"), Err(ErrorKind::Integrity));
}

#[test]
fn a_bomb_is_refused_both_ways() {
    let (cache, _) = cache();
    let large = "a".repeat(10_000);
    for algorithm in [Algorithm::Gzip, Algorithm::Zlib, Algorithm::Zstd, Algorithm::Lz4] {
        let compression = Compression::new(algorithm).min_size(0);
        cache.compressed(compression.clone()).set("bomb", &large).unwrap();
        let careful = cache.compressed(compression.max_decompressed_size(9_999));
        assert_eq!(text(&careful, "bomb"), Err(ErrorKind::Deserialization));
        assert_eq!(careful.set("k", &large).unwrap_err().kind(), ErrorKind::Serialization);
        let read = careful.get_or_set("bomb", None, || "small".to_owned());
        assert_eq!(read.unwrap(), "small");
    }
}

#[test]
fn compression_is_read_by_a_handle_without_it() {
    let (cache, _) = cache();
    cache.compressed(Compression::new(Algorithm::Lz4).min_size(0)).set("k", SECRET).unwrap();
    assert_eq!(text(&cache, "k"), Ok(Some(SECRET.to_owned())));
}

#[test]
fn nothing_shows_a_key() {
    let encryption = Encryption::new("hunter2, which is no good key").unwrap();
    let builder = EncodedCache::builder().encryption(encryption);
    assert!(!format!("{builder:?}").contains("hunter2"));
    assert!(!format!("{:?}", builder.build().unwrap()).contains("hunter2"));
}
