//! Counters: integers that `incr` and `get` agree on, and what encryption makes of them.

use std::thread;

use super::*;

#[test]
fn threads_that_count_at_once_lose_nothing() {
    for cache in [cache().0, cache().0.encrypted(encryption())] {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1_000).for_each(|_| drop(cache.incr("n", 1, None))));
            }
        });
        assert_eq!(cache.get("n").unwrap(), Some(8_000));
    }
}

#[test]
fn a_counter_and_an_integer_are_one_thing() {
    let (cache, fake) = cache();
    cache.set_with("n", &41_u8, SetOptions::from(2 * SECOND).tags(["t"])).unwrap();
    assert_eq!(cache.incr("n", 1, Some(60 * SECOND)).unwrap(), 42);
    assert_eq!(cache.ttl("n").unwrap(), Some(2 * SECOND), "its life is its own");
    assert_eq!(cache.get::<Option<u32>>("n").unwrap(), Some(Some(42)));
    fake.advance(2 * SECOND);
    assert_eq!(cache.decr("n", 1, None).unwrap(), -1, "an expired counter starts anew");
    assert_eq!(cache.invalidate_tags(["t"]).unwrap(), 0);
    assert_eq!(cache.incr("gone", 3, Some(Duration::ZERO)).unwrap(), 3);
    assert!(!cache.exists("gone").unwrap());
}

#[test]
fn what_is_no_integer_or_would_be_too_large_stays_as_it_is() {
    let (cache, _) = cache();
    cache.set("text", "17").unwrap();
    cache.set("float", &17.0).unwrap();
    cache.set("large", &i64::MAX).unwrap();
    cache.set("larger", &u64::MAX).unwrap();
    let kind = |key| cache.incr(key, 1, None).unwrap_err().kind();
    assert_eq!((kind("text"), kind("float")), (ErrorKind::Serialization, ErrorKind::Serialization));
    assert_eq!((kind("large"), kind("")), (ErrorKind::Overflow, ErrorKind::InvalidKey));
    assert_eq!(kind("larger"), ErrorKind::Serialization);
    assert_eq!(cache.get("large").unwrap(), Some(i64::MAX));
    assert_eq!(text(&cache, "text"), Ok(Some("17".to_owned())));
    assert_eq!(cache.get("larger").unwrap(), Some(u64::MAX));
}

#[test]
fn an_integer_that_was_encrypted_is_no_counter_and_says_so() {
    let cache = cache().0.encrypted(encryption());
    cache.set("n", &1).unwrap();
    let error = cache.incr("n", 1, None).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Serialization, "incr"));
    assert!(error.to_string().contains("is encrypted"), "{error}");
    assert_eq!(cache.get("n").unwrap(), Some(1));
    cache.delete("n").unwrap();
    assert_eq!((cache.incr("n", 5, None).unwrap(), cache.get("n").unwrap()), (5, Some(5)));
}

#[test]
fn counters_that_are_refused_are_neither_made_nor_read() {
    let (plain, _) = cache();
    let strict = plain.encrypted(encryption().refuse_counters());
    let error = strict.incr("n", 1, None).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Serialization, "incr"));
    assert!(!strict.exists("n").unwrap());
    plain.incr("n", 1, None).unwrap();
    assert_eq!(strict.get::<i64>("n").unwrap_err().kind(), ErrorKind::Integrity);
    assert!(strict.decr("n", 1, None).is_err());
    assert_eq!(strict.get_or_set("n", None, || 7).unwrap(), 7);
    assert_eq!(plain.get::<i64>("n").unwrap_err().kind(), ErrorKind::Integrity, "now encrypted");
}
