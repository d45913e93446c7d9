//! A value is as old as the beginning of its computation: what happens meanwhile wins.

use super::*;
use crate::memory::SetOptions;

/// Reads `k`, with `meanwhile` in the middle of its computation; what is stored afterwards.
fn stored_after(
    options: &ReadThrough<u32>,
    meanwhile: impl Fn(&InMemoryCache<u32>),
) -> Option<u32> {
    let store = InMemoryCache::new();
    let cache = store.with_namespace("n").unwrap();
    let compute = || {
        meanwhile(&cache);
        1
    };
    assert_eq!(cache.get_or_compute("k", options, compute).unwrap(), 1, "its caller gets it");
    cache.get("k").unwrap()
}

#[test]
fn a_write_a_delete_or_an_invalidation_meanwhile_keeps_the_result_out() {
    let options = &shared().tags(["t"]);
    let gone = None;
    assert_eq!(stored_after(options, |_| ()), Some(1));
    assert_eq!(stored_after(options, |cache| cache.set("k", 2).unwrap()), Some(2));
    assert_eq!(stored_after(options, |cache| drop(cache.delete("k"))), gone);
    assert_eq!(stored_after(options, |cache| drop(cache.invalidate_tags(["t"]))), gone);
    assert_eq!(stored_after(options, |cache| cache.clear().unwrap()), gone);
    assert_eq!(stored_after(options, |cache| cache.clear_all().unwrap()), gone);
    assert_eq!(stored_after(options, |cache| drop(cache.delete_many(["k"]))), gone);
    assert_eq!(stored_after(options, |cache| cache.set_many([("k", 3)]).unwrap()), Some(3));
    let zero = SetOptions::from(Duration::ZERO);
    assert_eq!(stored_after(options, |cache| cache.set_with("k", 2, zero.clone()).unwrap()), gone);
    // Without `singleflight` the same holds.
    assert_eq!(stored_after(&ReadThrough::new(), |cache| drop(cache.delete("k"))), gone);
}

#[test]
fn what_concerns_other_keys_and_tags_keeps_nothing_out() {
    let options = &shared().tags(["t"]);
    assert_eq!(stored_after(options, |cache| cache.set("other", 2).unwrap()), Some(1));
    assert_eq!(stored_after(options, |cache| drop(cache.invalidate_tags(["other"]))), Some(1));
    let child = |cache: &InMemoryCache<u32>| cache.with_namespace("child").unwrap();
    assert_eq!(stored_after(options, |cache| child(cache).clear().unwrap()), Some(1));
    assert_eq!(stored_after(options, |cache| drop(child(cache).invalidate_tags(["t"]))), Some(1));
}

#[test]
fn a_tag_that_only_the_result_names_fences_it_too() {
    let options = &shared().tags_from_result(|number: &u32| [format!("n{number}")]);
    assert_eq!(stored_after(options, |cache| drop(cache.invalidate_tags(["n1"]))), None);
    assert_eq!(stored_after(options, |cache| drop(cache.invalidate_tags(["n2"]))), Some(1));
}

#[test]
fn a_counter_that_moved_meanwhile_keeps_the_result_out() {
    let cache = InMemoryCache::<i64>::new();
    let compute = || {
        cache.incr("k", 5, None).unwrap();
        1
    };
    assert_eq!(cache.get_or_compute("k", &shared(), compute).unwrap(), 1);
    assert_eq!(cache.get("k").unwrap(), Some(5));
}

#[test]
fn who_asks_after_an_invalidation_starts_a_new_computation() {
    let (cache, _) = cache();
    let (entered, leave) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    thread::scope(|scope| {
        let old = scope.spawn(|| {
            cache.get_or_compute("k", &shared(), || {
                entered.wait();
                leave.wait();
                "old"
            })
        });
        entered.wait();
        cache.delete("k").unwrap();
        assert_eq!(cache.get_or_compute("k", &shared(), || "new").unwrap(), "new");
        leave.wait();
        assert_eq!(old.join().unwrap().unwrap(), "old");
    });
    assert_eq!(cache.get("k").unwrap(), Some("new"));
}
