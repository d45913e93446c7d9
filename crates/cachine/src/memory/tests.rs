//! What the operations do, by the fake clock.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use super::*;
use cachine_core::clock::{Clock, FakeClock};
use cachine_core::error::ErrorKind;
use cachine_core::stats::Stats;

const SECOND: Duration = Duration::from_secs(1);

fn cache<V: Clone + Send + Sync + 'static>() -> (InMemoryCache<V>, FakeClock) {
    let fake = FakeClock::new();
    let cache = InMemoryCache::builder().clock(Clock::Fake(fake.clone())).build();
    (cache.unwrap(), fake)
}

#[test]
fn an_entry_is_there_until_its_life_ends_and_never_after() {
    let (cache, fake) = cache();
    cache.set_with("k", 1, 2 * SECOND).unwrap();
    fake.advance(Duration::from_nanos(1_999_999_999));
    assert_eq!(cache.get("k").unwrap(), Some(1));
    assert_eq!(cache.ttl("k").unwrap(), Some(Duration::from_nanos(1)));
    fake.advance(Duration::from_nanos(1));
    assert_eq!((cache.get("k").unwrap(), cache.exists("k").unwrap()), (None, false));
    cache.set("k", 2).unwrap();
    cache.set_with("k", 3, Duration::ZERO).unwrap();
    assert_eq!(cache.get("k").unwrap(), None, "a ttl of zero deletes");
}

#[test]
fn a_life_can_be_changed_while_it_lasts() {
    let (cache, fake) = cache();
    assert!(!cache.expire("k", SECOND).unwrap() && !cache.touch("k", None).unwrap());
    cache.set_with("k", 1, SECOND).unwrap();
    assert!(cache.expire("k", 3 * SECOND).unwrap());
    fake.advance(2 * SECOND);
    assert!(cache.touch("k", Some(5 * SECOND)).unwrap());
    assert_eq!(cache.ttl("k").unwrap(), Some(5 * SECOND));
    assert!(cache.persist("k").unwrap() && !cache.persist("k").unwrap());
    assert_eq!(cache.ttl("k").unwrap(), None);
    assert!(cache.expire("k", Duration::ZERO).unwrap());
    assert!(!cache.exists("k").unwrap());
}

#[test]
fn a_time_of_the_wall_clock_ends_an_entry_and_a_past_one_deletes_it() {
    let (cache, _) = cache();
    cache.set("k", 1).unwrap();
    let ahead = SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().unwrap() + 60 * SECOND;
    assert!(cache.expire_at("k", ahead).unwrap());
    let left = cache.ttl("k").unwrap().unwrap();
    assert!(left <= 60 * SECOND && left > 30 * SECOND, "{left:?}");
    assert!(cache.expire_at("k", SystemTime::UNIX_EPOCH - SECOND).unwrap());
    assert!(!cache.exists("k").unwrap());
}

#[test]
fn a_tag_takes_all_its_entries_with_it_and_counts_each_once() {
    let (cache, _) = cache();
    cache.set_with("a", 1, SetOptions::new().tags(["x", "y"])).unwrap();
    cache.set_with("b", 2, SetOptions::new().tags(["y"])).unwrap();
    cache.set("c", 3).unwrap();
    assert!(cache.add_tags("c", ["x"]).unwrap() && !cache.add_tags("d", ["x"]).unwrap());
    assert_eq!(cache.invalidate_tags(["x", "y"]).unwrap(), 3);
    assert!(cache.is_empty());
}

#[test]
fn a_namespace_has_its_own_keys_tags_numbers_and_clear() {
    let (store, _) = cache();
    let (shop, blog) =
        (store.with_namespace("shop").unwrap(), store.with_namespace("blog").unwrap());
    let child = shop.with_namespace("eu").unwrap();
    for (number, cache) in [&store, &shop, &blog, &child].into_iter().enumerate() {
        cache.set_with("k", number, SetOptions::new().tags(["t"])).unwrap();
    }
    assert_eq!((child.namespace(), store.get("shop:eu:k").unwrap()), (Some("shop:eu"), Some(3)));
    assert_eq!(blog.invalidate_tags(["t"]).unwrap(), 1);
    assert_eq!((store.len(), shop.len(), child.len()), (3, 2, 1));
    shop.clear().unwrap();
    assert_eq!((store.len(), store.get("k").unwrap()), (1, Some(0)));
    assert_eq!(store.clear().unwrap_err().kind(), ErrorKind::Config);
    store.clear_all().unwrap();
    assert!(store.is_empty());
    assert_eq!((shop.stats().sets, store.stats().sets), (1, 1));
}

#[test]
fn many_keys_at_once_keep_their_order_and_store_all_or_nothing() {
    let (cache, _) = cache();
    cache.set_many_with([("a", 1), ("b", 2), ("c", 3)], SECOND).unwrap();
    assert_eq!(cache.get_many(["c", "x", "a"]).unwrap(), [("c", 3), ("a", 1)]);
    assert_eq!(cache.ttl("b").unwrap(), Some(SECOND));
    assert_eq!(cache.set_many([("d", 4), ("", 5)]).unwrap_err().kind(), ErrorKind::InvalidKey);
    assert!(!cache.exists("d").unwrap());
    assert_eq!(cache.delete_many(["a", "x", "c"]).unwrap(), 2);
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_closed_cache_fails_with_the_name_of_what_was_tried() {
    let (cache, _) = cache();
    let view = cache.with_namespace("v").unwrap();
    let other = cache.with_namespace("w").unwrap();
    view.set("k", 1).unwrap();
    view.close();
    view.close();
    assert_eq!(view.get("k").unwrap_err().kind(), ErrorKind::Closed);
    assert!(cache.get("v:k").unwrap().is_some() && !other.is_closed());
    cache.clone().close();
    for error in [
        cache.set("k", 1).unwrap_err(),
        other.get("k").map(drop).unwrap_err(),
        cache.ping().map(drop).unwrap_err(),
        cache.get_many(["k"]).map(drop).unwrap_err(),
        cache.with_namespace("x").map(drop).unwrap_err(),
        cache.get_or_set("k", None, || unreachable!("nothing is computed")).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(error.to_string().contains(error.operation()), "{error}");
    }
    assert!(!cache.ping_ok());
}

#[test]
fn what_was_done_is_counted_and_a_healthy_store_says_so() {
    let (cache, _) = cache();
    cache.set("k", 1).unwrap();
    cache.get("k").unwrap();
    cache.get("x").unwrap();
    cache.delete("k").unwrap();
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.sets, stats.deletes), (1, 1, 1, 1));
    cache.reset_stats();
    assert_eq!(cache.stats(), Stats::default());
    let health = cache.ping().unwrap();
    assert!(health.healthy && health.error.is_none() && cache.ping_ok());
    assert_eq!((health.backend, cache.stats()), ("inmemory", Stats::default()));
}

/// A value whose `Clone` and `Drop` use the cache that it is in.
struct Curious(&'static OnceLock<InMemoryCache<Curious>>);

impl Curious {
    fn look(&self) {
        let cache = self.0.get().expect("it is in a cache");
        cache.exists("k").unwrap();
        cache.delete("other").unwrap();
    }
}

impl Clone for Curious {
    fn clone(&self) -> Self {
        self.look();
        Self(self.0)
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        self.look();
    }
}

#[test]
fn values_that_call_back_into_their_cache_find_it_open() {
    static CACHE: OnceLock<InMemoryCache<Curious>> = OnceLock::new();
    let cache = CACHE.get_or_init(|| InMemoryCache::builder().max_size(2).build().unwrap());
    for key in ["k", "k", "l", "m"] {
        cache.set(key, Curious(&CACHE)).unwrap();
        cache.get(key).unwrap();
    }
    cache.get_or_set("n", None, || Curious(&CACHE)).unwrap();
    cache.delete("n").unwrap();
    cache.clear_all().unwrap();
    assert!(cache.is_empty());
}
