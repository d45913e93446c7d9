//! What a cache in byte form does, by the fake clock: tools, and what has nothing to do with steps.

mod counting;
mod reading;
mod steps;

use std::time::Duration;

use cachine_core::clock::{Clock, FakeClock};
use cachine_core::error::ErrorKind;
use cachine_core::policy::Eviction;
use serde::Deserialize;

use super::*;
use crate::{Algorithm, LockOptions, ReadThrough, Stats, generate_key};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct User {
    name: String,
    age: u8,
}

fn ada() -> User {
    User { name: "Ada".to_owned(), age: 36 }
}

fn cache() -> (EncodedCache, FakeClock) {
    let fake = FakeClock::new();
    let cache = EncodedCache::builder().clock(Clock::Fake(fake.clone())).build();
    (cache.unwrap(), fake)
}

fn encryption() -> Encryption {
    Encryption::new(&generate_key()).unwrap()
}

fn text(cache: &EncodedCache, key: &str) -> Result<Option<String>, ErrorKind> {
    cache.get(key).map_err(|error| error.kind())
}

/// Changes what is stored behind the back of the cache.
fn tamper(cache: &EncodedCache, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = cache.stored(key).unwrap().unwrap().to_vec();
    change(&mut bytes);
    cache.view().set(key, Value::new(Stored::Bytes(bytes.into()))).unwrap();
}

#[test]
fn a_value_comes_back_until_its_life_ends() {
    for serializer in [Serializer::Json, Serializer::MessagePack] {
        let fake = FakeClock::new();
        let builder = EncodedCache::builder().clock(Clock::Fake(fake.clone()));
        let cache = builder.serializer(serializer).build().unwrap();
        cache.set_with("k", &ada(), 2 * SECOND).unwrap();
        fake.advance(SECOND);
        assert_eq!(cache.get::<User>("k").unwrap(), Some(ada()));
        assert_eq!(cache.ttl("k").unwrap(), Some(SECOND));
        assert!(cache.expire("k", 5 * SECOND).unwrap() && cache.persist("k").unwrap());
        assert!(cache.touch("k", Some(SECOND)).unwrap() && cache.exists("k").unwrap());
        fake.advance(SECOND);
        assert_eq!(cache.get::<User>("k").unwrap(), None);
    }
}

#[test]
fn what_is_stored_is_plain_and_small() {
    let (cache, _) = cache();
    cache.set("user", &ada()).unwrap();
    cache.set("number", &-17).unwrap();
    cache.set("digits", "17").unwrap();
    let stored = |key| String::from_utf8(cache.stored(key).unwrap().unwrap().to_vec()).unwrap();
    assert_eq!(stored("user"), r#"{"name":"Ada","age":36}"#);
    assert_eq!((stored("number"), stored("digits")), ("-17".to_owned(), r#""17""#.to_owned()));
    assert!(cache.stored("none").unwrap().is_none());
    assert_eq!(cache.stats().hits, 0, "looking is no use");
}

#[test]
fn a_value_of_another_type_is_an_error_that_is_no_hit() {
    let (cache, _) = cache();
    cache.set("k", "text").unwrap();
    let error = cache.get::<User>("k").unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Deserialization, "get"));
    assert!(cache.get_many::<User, _>(["k"]).is_err());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.errors), (0, 0, 2));
    assert_eq!(text(&cache, "k"), Ok(Some("text".to_owned())), "it is still there");
}

#[test]
fn a_value_that_is_refused_leaves_what_was_there() {
    let (cache, _) = cache();
    cache.set("k", "old").unwrap();
    assert_eq!(cache.set("k", &f64::NAN).unwrap_err().kind(), ErrorKind::Serialization);
    let many = cache.set_many([("a", 1.0), ("k", f64::INFINITY)]);
    assert_eq!(many.unwrap_err().operation(), "set_many");
    assert_eq!(text(&cache, "k"), Ok(Some("old".to_owned())));
    assert!(!cache.exists("a").unwrap());
    assert_eq!((cache.stats().errors, cache.stats().sets), (2, 1));
}

#[test]
fn many_keys_at_once_keep_their_order_and_store_all_or_nothing() {
    let (cache, _) = cache();
    let users = [("a", ada()), ("b", ada())];
    cache.set_many_with(users.iter().map(|(key, user)| (key, user)), SECOND).unwrap();
    assert_eq!(cache.get_many::<User, _>(["b", "x"]).unwrap(), [("b", ada())]);
    assert_eq!(cache.set_many([("d", 4), ("", 5)]).unwrap_err().kind(), ErrorKind::InvalidKey);
    assert!(!cache.exists("d").unwrap());
    assert_eq!(cache.delete_many(["a", "x"]).unwrap(), 1);
    assert!(cache.delete("b").unwrap() && cache.is_empty());
}

#[test]
fn an_entry_weighs_the_bytes_of_its_key_and_of_what_is_stored() {
    let builder = EncodedCache::builder().max_weight(40).eviction(Eviction::Fifo);
    let cache = builder.namespace("n").build().unwrap();
    cache.set("a", "0123456789").unwrap(); // n:a and the text with its quotes: 15 bytes
    cache.set("b", &1).unwrap(); // n:b and eight bytes
    assert_eq!(cache.view().store().weight(), 15 + 11);
    cache.incr("b", 1_000_000, None).unwrap();
    assert_eq!(cache.view().store().weight(), 15 + 11);
    cache.set("c", "0123456789").unwrap();
    assert_eq!((cache.exists("a").unwrap(), cache.stats().evictions), (false, 1));
    cache.get_or_set("d", None, || "much too heavy for this cache".repeat(2)).unwrap();
    assert!(!cache.exists("d").unwrap());
    let refused = |builder: Builder| builder.build().unwrap_err().kind();
    assert_eq!(refused(EncodedCache::builder().max_size(0)), ErrorKind::Config);
    assert_eq!(refused(EncodedCache::builder().max_weight(0)), ErrorKind::Config);
    assert_eq!(refused(EncodedCache::builder().namespace("~cachine~")), ErrorKind::Config);
}

#[test]
fn a_measured_handle_counts_for_itself_too() {
    let (cache, _) = cache();
    let measured = cache.compressed(Compression::new(Algorithm::Zstd).min_size(0)).measured();
    measured.set("k", &"a".repeat(1_000)).unwrap();
    measured.get_or_set("l", None, || "b".repeat(1_000)).unwrap();
    cache.set("m", &7).unwrap();
    text(&measured, "k").unwrap();
    let (own, all) = (measured.stats(), cache.stats());
    assert_eq!((own.sets, own.hits, own.misses, own.timed), (2, 1, 1, 1));
    assert_eq!((all.sets, all.hits, all.misses), (3, 1, 1));
    assert_eq!((own.raw_bytes, all.raw_bytes), (2_004, 2_012));
    assert!(own.compressed_bytes < 200, "{}", own.compressed_bytes);
    assert_eq!(all.compressed_bytes, own.compressed_bytes + 8);
    measured.set_with("k", &1, Duration::ZERO).unwrap();
    assert_eq!(measured.stats().raw_bytes, own.raw_bytes, "nothing was written");
    measured.reset_stats();
    assert_eq!((measured.stats(), cache.stats().sets), (Stats::default(), 3));
    let encrypted = cache.encrypted(encryption());
    encrypted.set("n", &1).unwrap();
    assert_eq!(cache.stats(), encrypted.stats(), "steps alone count nothing for themselves");
    measured.close();
    assert!(cache.is_closed() && encrypted.is_closed());
}

#[test]
fn a_closed_cache_fails_with_the_name_of_what_was_tried() {
    let (cache, _) = cache();
    cache.clone().close();
    for error in [
        cache.get::<u8>("k").unwrap_err(),
        cache.set("k", &1).unwrap_err(),
        cache.get_many::<u8, _>(["k"]).unwrap_err(),
        cache.set_many([("k", 1)]).unwrap_err(),
        cache.incr("k", 1, None).unwrap_err(),
        cache.stored("k").unwrap_err(),
        cache.ping().unwrap_err(),
        cache.get_or_set("k", None, || -> u8 { unreachable!("nothing is computed") }).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(error.to_string().contains(error.operation()), "{error}");
    }
}

#[test]
fn tags_and_namespaces_work_as_with_other_values() {
    let (store, _) = cache();
    let (shop, blog) =
        (store.with_namespace("shop").unwrap(), store.with_namespace("blog").unwrap());
    for cache in [&store, &shop, &blog] {
        cache.set_with("k", &ada(), SetOptions::new().tags(["t"])).unwrap();
    }
    assert_eq!(blog.invalidate_tags(["t"]).unwrap(), 1);
    assert!(shop.add_tags("k", ["u"]).unwrap());
    assert_eq!((shop.invalidate_tags(["u"]).unwrap(), store.len()), (1, 1));
    shop.set("k", &1).unwrap();
    assert_eq!(store.get("shop:k").unwrap(), Some(1));
    shop.clear().unwrap();
    assert_eq!((store.len(), store.clear().unwrap_err().kind()), (1, ErrorKind::Config));
    store.clear_all().unwrap();
    assert!(store.is_empty() && store.ping_ok());
}

#[test]
fn handles_of_one_cache_share_its_locks() {
    let (cache, _) = cache();
    let lock = cache.lock("a").unwrap();
    let once = LockOptions::new().timeout(Duration::ZERO);
    let compressed = cache.compressed(Compression::new(Algorithm::Zlib));
    for other in [&cache.clone(), &cache.measured(), &compressed, &cache.encrypted(encryption())] {
        assert_eq!(other.lock_with("a", once).unwrap_err().kind(), ErrorKind::Timeout);
        let refused = pollster::block_on(other.lock_with_async("a", once));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Timeout);
    }
    lock.release().unwrap();
    assert!(pollster::block_on(compressed.lock_async("a")).unwrap().token() > 0);
}
