//! What a read through the cache does: tools of the tests, and what they have in common.

mod fences;
mod freshness;
mod sharing;
mod tasks;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use cachine_core::clock::{Clock, FakeClock};
use cachine_core::error::ErrorKind;

use super::*;
use crate::memory::InMemoryCache;

const SECOND: Duration = Duration::from_secs(1);

fn cache<V: Clone + Send + Sync + 'static>() -> (InMemoryCache<V>, FakeClock) {
    let fake = FakeClock::new();
    let cache = InMemoryCache::builder().clock(Clock::Fake(fake.clone())).build();
    (cache.unwrap(), fake)
}

fn shared<V>() -> ReadThrough<V> {
    ReadThrough::new().singleflight(true)
}

/// Waits for what another thread is about to do; no time passes by the cache's clock.
fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        thread::yield_now();
    }
}

/// A panic that the hook does not report.
fn fall_over() -> ! {
    std::panic::resume_unwind(Box::new("on purpose"))
}

#[test]
fn what_can_not_be_cached_is_refused_before_anything_is_computed() {
    let (cache, _) = cache::<u8>();
    let forever = ReadThrough::new().stale_ttl(SECOND);
    let kind = |key: &str| {
        let read = cache.get_or_compute(key, &forever, || unreachable!("nothing is computed"));
        read.unwrap_err().kind()
    };
    assert_eq!(kind("k"), ErrorKind::Config);
    let read = cache.get_or_compute("", &shared(), || unreachable!("nothing is computed"));
    let error = read.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidKey, "get_or_compute"));
}

#[test]
fn a_result_that_is_not_wanted_is_answered_and_not_stored() {
    let (cache, _) = cache();
    let small = ReadThrough::new().condition(|number: &u32| *number < 10);
    assert_eq!(cache.get_or_compute("k", &small, || 10).unwrap(), 10);
    assert_eq!(cache.get_or_compute("k", &small, || 9).unwrap(), 9);
    assert_eq!(cache.get_or_compute("k", &small, || 8).unwrap(), 9);
    assert_eq!(cache.get_or_compute("z", &small.clone().ttl(Duration::ZERO), || 1).unwrap(), 1);
    assert!(!cache.exists("z").unwrap());
}

#[test]
fn an_error_is_not_stored() {
    let (cache, _) = cache();
    let read = |result| cache.try_get_or_compute("k", &shared(), || result).unwrap();
    assert_eq!(read(Err("no")), Err("no"));
    assert_eq!(read(Ok(1)), Ok(1));
    assert_eq!(read(Err("no")), Ok(1));
}

#[test]
fn a_read_counts_once_and_a_hit_computes_nothing() {
    let (cache, _) = cache();
    let computed = AtomicUsize::new(0);
    for _ in 0..3 {
        let value =
            cache.get_or_compute("k", &shared(), || computed.fetch_add(1, Ordering::Relaxed));
        assert_eq!(value.unwrap(), 0);
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.sets), (2, 1, 1));
}

#[test]
fn a_stored_value_is_weighed_and_has_its_tags() {
    let heavy = InMemoryCache::builder().max_weight(10).weigher(|key, text: &String| {
        assert_eq!(key, "k");
        text.len() as u64
    });
    let cache = heavy.namespace("n").build().unwrap();
    let options = ReadThrough::new().tags(["all"]).tags_from_result(|text: &String| [text.clone()]);
    cache.get_or_compute("k", &options, || "much too heavy".to_owned()).unwrap();
    assert!(!cache.exists("k").unwrap());
    for tag in ["all", "light"] {
        cache.get_or_compute("k", &options, || "light".to_owned()).unwrap();
        assert_eq!(cache.invalidate_tags([tag]).unwrap(), 1);
    }
}
