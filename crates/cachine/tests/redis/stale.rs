//! Stale values: answered at once, computed anew once.
//!
//! Time is moved by telling the server that less of it is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use cachine::{ReadThrough, RedisCache};

use crate::server::Server;
use crate::{SECOND, asynchronous, blocking, elsewhere, runtime};

/// Fresh for a minute, stale for another.
fn minute() -> ReadThrough<u32> {
    ReadThrough::new().ttl(60 * SECOND).singleflight(true)
}

/// Stores 1, and lets it become stale.
fn stale(server: &Server) -> RedisCache {
    let cache = blocking(server).namespace("n").build().unwrap();
    let options = minute().stale_ttl(120 * SECOND);
    assert_eq!(cache.get_or_compute("k", &options, || 1).unwrap(), 1);
    let left: i64 = server.say(&["PTTL", "n:k"]);
    assert!(left > 100_000 && left <= 120_000, "{left}");
    age(server);
    cache
}

fn age(server: &Server) {
    assert!(server.say::<bool>(&["PEXPIRE", "n:k", "30000"]));
}

/// Reads until there is a new value.
fn until_new(cache: &RedisCache, new: u32) {
    while cache.get::<u32>("k").unwrap() != Some(new) {
        thread::yield_now();
    }
}

#[test]
fn a_stale_value_is_answered_at_once_while_one_computes_it_anew() {
    let server = Server::start();
    let (cache, options) = (stale(&server), minute().stale_ttl(120 * SECOND));
    let (runs, (go, gate)) = (Arc::new(AtomicU32::new(0)), channel::<()>());
    let gate = Arc::new(std::sync::Mutex::new(gate));
    thread::scope(|scope| {
        for _ in 0..20 {
            let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
            let (cache, options) = (&cache, &options);
            scope.spawn(move || {
                let compute = move || {
                    runs.fetch_add(1, Ordering::Relaxed);
                    gate.lock().unwrap().recv().unwrap();
                    2
                };
                assert_eq!(cache.get_or_compute("k", options, compute).unwrap(), 1);
            });
        }
    });
    go.send(()).unwrap();
    until_new(&cache, 2);
    assert_eq!((runs.load(Ordering::Relaxed), cache.stats().stale), (1, 20));
    assert!(server.say::<i64>(&["PTTL", "n:k"]) > 60_000, "it is fresh again");
    let fresh = cache.get_or_compute("k", &options, || unreachable!("it is fresh"));
    assert_eq!(fresh.unwrap(), 2);
}

#[test]
fn tasks_refresh_with_their_runtime() {
    let server = Server::start();
    let threads = stale(&server);
    let cache = asynchronous(&server).namespace("n").build().unwrap();
    let options = minute().stale_ttl(120 * SECOND).refresh_with(|task| drop(tokio::spawn(task)));
    let tokio = runtime();
    for _ in 0..3 {
        let read = cache.get_or_compute("k", &options, || async { 2 });
        assert!(tokio.block_on(read).unwrap() <= 2);
    }
    until_new(&threads, 2);
}

#[test]
fn another_process_refreshes_nothing_that_is_being_refreshed() {
    let server = Server::start();
    let (cache, options) = (stale(&server), minute().stale_ttl(120 * SECOND));
    let ((began, has_begun), (go, gate)) = (channel(), channel::<()>());
    let compute = move || {
        began.send(()).unwrap();
        gate.recv().unwrap();
        2
    };
    assert_eq!(cache.get_or_compute("k", &options, compute).unwrap(), 1);
    has_begun.recv().unwrap();
    let there = elsewhere(&server);
    let beside = Arc::new(AtomicU32::new(0));
    for _ in 0..10 {
        let beside = Arc::clone(&beside);
        let compute = move || beside.fetch_add(1, Ordering::Relaxed) + 100;
        assert_eq!(there.get_or_compute("k", &options, compute).unwrap(), 1);
    }
    go.send(()).unwrap();
    until_new(&cache, 2);
    assert_eq!(beside.load(Ordering::Relaxed), 0);
}

#[test]
fn a_refresh_that_fails_leaves_the_stale_value_and_is_not_tried_again_at_once() {
    let server = Server::start();
    let (cache, options) = (stale(&server), minute().stale_ttl(120 * SECOND));
    let (done, is_done) = channel();
    let failing = move || -> Result<u32, &str> {
        done.send(()).unwrap();
        Err("no source")
    };
    assert_eq!(cache.try_get_or_compute("k", &options, failing).unwrap(), Ok(1));
    is_done.recv().unwrap();
    while server.rights() > 0 {
        thread::yield_now(); // It is given back when the refresh has ended.
    }
    let too_early = Arc::new(AtomicU32::new(0));
    for _ in 0..10 {
        let too_early = Arc::clone(&too_early);
        let compute = move || too_early.fetch_add(1, Ordering::Relaxed) + 100;
        assert_eq!(cache.get_or_compute("k", &options, compute).unwrap(), 1);
    }
    // A write says that the source is back.
    let put = minute().stale_ttl(120 * SECOND);
    cache.delete("k").unwrap();
    assert_eq!(cache.get_or_compute("k", &put, || 3).unwrap(), 3);
    age(&server);
    assert_eq!(cache.get_or_compute("k", &put, || 4).unwrap(), 3);
    until_new(&cache, 4);
    assert_eq!(too_early.load(Ordering::Relaxed), 0);
}

#[test]
fn without_a_stale_window_of_its_own_a_caller_computes_what_others_would_get_stale() {
    let server = Server::start();
    let cache = stale(&server);
    assert_eq!(cache.get_or_compute("k", &minute(), || 2).unwrap(), 2);
    assert_eq!(cache.get::<u32>("k").unwrap(), Some(2));
}
