//! Reading through a cache in byte form: as any other, and never broken by what is stored.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread;

use super::*;
use crate::read_through::{RefreshTask, Tasks};

fn shared<T>() -> ReadThrough<T> {
    ReadThrough::new().singleflight(true)
}

type Spawned = Arc<Mutex<VecDeque<RefreshTask>>>;

/// Options whose refreshes are run by the test: fresh for one second, stale for another one.
fn by_hand<T>() -> (ReadThrough<T, Tasks>, Spawned) {
    let spawned = Spawned::default();
    let queue = Arc::clone(&spawned);
    let options = ReadThrough::new().ttl(SECOND).stale_ttl(2 * SECOND);
    (options.refresh_with(move |task| queue.lock().unwrap().push_back(task)), spawned)
}

fn run(spawned: &Spawned) -> usize {
    let tasks = std::mem::take(&mut *spawned.lock().unwrap());
    let ready = |mut task: RefreshTask| {
        task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    tasks.into_iter().filter_map(|task| ready(task).then_some(())).count()
}

fn read(cache: &EncodedCache, options: &ReadThrough<f64, Tasks>, new: f64) -> f64 {
    let read = cache.get_or_compute_async("k", options, move || async move { new });
    pollster::block_on(read).unwrap()
}

/// The caches that a read through has to work on: plain, and with everything there is.
fn both() -> [(EncodedCache, FakeClock); 2] {
    let (full, fake) = cache();
    let compression = Compression::new(Algorithm::Zstd).min_size(0);
    [cache(), (full.compressed(compression).encrypted(encryption()).measured(), fake)]
}

#[test]
fn a_value_is_computed_once_and_counted_once() {
    for (cache, _) in both() {
        for _ in 0..3 {
            let read = cache.try_get_or_compute("k", &shared(), || Ok::<_, String>(ada()));
            assert_eq!(read.unwrap(), Ok(ada()));
        }
        let failed = cache.try_get_or_compute("e", &shared::<u8>(), || Err("no"));
        assert_eq!((failed.unwrap(), cache.exists("e").unwrap()), (Err("no"), false));
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.sets, stats.errors), (2, 2, 1, 0));
        assert_eq!(stats.raw_bytes, 23);
    }
}

#[test]
fn a_stale_value_is_answered_and_refreshed_through_all_steps() {
    for (cache, fake) in both() {
        let (options, spawned) = by_hand();
        let is = |read: f64, number: f64| assert!((read - number).abs() < f64::EPSILON, "{read}");
        is(read(&cache, &options, 1.5), 1.5);
        fake.advance(SECOND);
        is(read(&cache, &options, 2.5), 1.5);
        is(read(&cache, &options, 3.5), 1.5);
        assert_eq!(run(&spawned), 1, "two stale hits, one refresh");
        is(read(&cache, &options, 4.5), 2.5);
        assert_eq!(cache.ttl("k").unwrap(), Some(2 * SECOND));
        fake.advance(2 * SECOND);
        is(read(&cache, &options, 5.5), 5.5);
        assert_eq!((cache.stats().stale, cache.stats().sets), (2, 3));
    }
}

#[test]
fn a_refresh_that_can_not_be_stored_leaves_the_stale_value_and_pauses() {
    let (cache, fake) = cache();
    let (options, spawned) = by_hand();
    read(&cache, &options, 1.0);
    fake.advance(SECOND);
    assert!((read(&cache, &options, f64::NAN) - 1.0).abs() < f64::EPSILON);
    assert_eq!((run(&spawned), cache.stats().errors), (1, 1));
    read(&cache, &options, 2.0);
    assert_eq!(run(&spawned), 0, "it pauses");
}

#[test]
fn a_flipped_bit_in_the_store_is_a_miss_and_the_next_value_replaces_it() {
    let cache = cache().0.encrypted(encryption());
    cache.set("k", &ada()).unwrap();
    tamper(&cache, "k", |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(cache.get::<User>("k").unwrap_err().kind(), ErrorKind::Integrity);
    cache.reset_stats();
    let other = User { name: "Bob".to_owned(), age: 1 };
    assert_eq!(cache.get_or_compute("k", &shared(), || other.clone()).unwrap(), other);
    assert_eq!(cache.get::<User>("k").unwrap(), Some(other));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.errors, stats.sets), (1, 1, 1, 1));
}

#[test]
fn a_stale_value_that_can_not_be_read_is_a_miss_for_all_who_ask() {
    let (cache, fake) = cache();
    let (options, spawned) = by_hand();
    let texts = ReadThrough::new().ttl(SECOND).stale_ttl(2 * SECOND);
    cache.get_or_compute("k", &texts, || "no number".to_owned()).unwrap();
    fake.advance(SECOND);
    cache.reset_stats();
    assert!((read(&cache, &options, 3.0) - 3.0).abs() < f64::EPSILON, "not behind its back");
    assert_eq!(run(&spawned), 0);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.errors), (0, 1, 1));
    assert!((read(&cache, &options, 4.0) - 3.0).abs() < f64::EPSILON);
}

#[test]
fn what_can_not_be_read_is_only_taken_away_if_it_is_still_there() {
    let (cache, _) = cache();
    cache.set("k", "text").unwrap();
    let old = cache.view().peek("k", Stored::clone).unwrap();
    cache.set("k", &5).unwrap();
    let discard = |same: &Stored| {
        cache.view().store().discard(b"k", |there| there.is_same(same));
    };
    discard(&old);
    cache.set("other", "text").unwrap();
    cache.view().store().discard(b"other", |there| there.is_same(&old));
    assert!(cache.exists("other").unwrap());
    assert_eq!(cache.get("k").unwrap(), Some(5));
    discard(&Stored::Integer(6));
    assert!(cache.exists("k").unwrap());
    discard(&Stored::Integer(5));
    assert!(!cache.exists("k").unwrap());
}

#[test]
fn a_value_that_can_not_be_written_reaches_all_who_wait_for_it() {
    let (cache, _) = cache();
    let computed = AtomicUsize::new(0);
    let compute = || {
        computed.fetch_add(1, Ordering::Relaxed);
        while cache.stats().coalesced < 7 {
            thread::yield_now();
        }
        f64::INFINITY
    };
    thread::scope(|scope| {
        let read = || cache.get_or_compute("k", &shared(), compute).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap().is_infinite()));
    });
    let stats = cache.stats();
    assert_eq!((computed.into_inner(), stats.errors, stats.sets), (1, 1, 0));
    assert!(!cache.exists("k").unwrap());
}

#[test]
fn who_waits_for_a_value_of_another_type_computes_its_own() {
    let (cache, _) = cache();
    thread::scope(|scope| {
        let (entered, wait) = std::sync::mpsc::channel();
        let cache = &cache;
        let leader = scope.spawn(move || {
            let compute = || {
                entered.send(()).unwrap();
                while cache.stats().coalesced < 1 {
                    thread::yield_now();
                }
                "text".to_owned()
            };
            cache.get_or_compute("k", &shared(), compute).unwrap()
        });
        wait.recv().unwrap();
        assert_eq!(cache.get_or_compute("k", &shared(), || 5).unwrap(), 5);
        assert_eq!(leader.join().unwrap(), "text");
    });
    assert_eq!(cache.get("k").unwrap(), Some(5));
    // Its second look found the text, which was no hit that could be taken back.
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.coalesced, stats.errors), (1, 2, 1, 1));
}

/// Reads `k`, with `meanwhile` in the middle of its computation; what is stored afterwards.
fn stored_after(
    options: &ReadThrough<String>,
    meanwhile: impl Fn(&EncodedCache),
) -> Option<String> {
    let cache = cache().0.encrypted(encryption()).with_namespace("n").unwrap();
    let compute = || {
        meanwhile(&cache);
        "new".to_owned()
    };
    assert_eq!(cache.get_or_compute("k", options, compute).unwrap(), "new", "its caller gets it");
    assert_eq!(
        cache.stats().raw_bytes > 0,
        cache.exists("k").unwrap(),
        "what is fenced is not written"
    );
    cache.get("k").unwrap()
}

#[test]
fn a_write_a_delete_or_an_invalidation_meanwhile_keeps_the_result_out() {
    let options = &shared().tags(["t"]).tags_from_result(|text: &String| [text.clone()]);
    assert_eq!(stored_after(options, |_| ()).as_deref(), Some("new"));
    assert_eq!(stored_after(options, |cache| cache.set("k", "x").unwrap()).as_deref(), Some("x"));
    assert_eq!(stored_after(options, |cache| drop(cache.delete("k"))), None);
    assert_eq!(stored_after(options, |cache| drop(cache.invalidate_tags(["t"]))), None);
    assert_eq!(stored_after(options, |cache| drop(cache.invalidate_tags(["new"]))), None);
    assert_eq!(stored_after(options, |cache| cache.clear().unwrap()), None);
    let wanted = &shared().condition(|text: &String| text.len() > 3);
    assert_eq!(stored_after(wanted, |_| ()), None);
}

#[test]
fn a_fill_has_its_tags_and_its_life() {
    for (cache, fake) in both() {
        let options = shared()
            .ttl(SECOND)
            .tags(["all"])
            .tags_from_result(|user: &User| [user.age.to_string()]);
        for tag in ["all", "36"] {
            cache.get_or_compute("k", &options, ada).unwrap();
            assert_eq!(cache.invalidate_tags([tag]).unwrap(), 1);
        }
        cache.get_or_compute("k", &options, ada).unwrap();
        fake.advance(SECOND);
        assert!(!cache.exists("k").unwrap());
    }
}

#[test]
fn the_futures_of_owned_computations_can_be_spawned() {
    fn spawnable<T: Send>(_: T) {}
    let (cache, _) = cache();
    let options = shared();
    spawnable(cache.get_or_compute_async("k", &options, || async { 1 }));
    spawnable(cache.try_get_or_compute_async("k", &options, || async { Ok::<_, String>(1) }));
}
