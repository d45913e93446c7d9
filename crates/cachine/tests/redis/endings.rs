//! What those in other processes get who wait for a computation whose result is not stored.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use cachine::ReadThrough;

use crate::server::Server;
use crate::{SECOND, asynchronous, blocking, elsewhere, runtime};

fn some<V: 'static>() -> ReadThrough<Option<V>> {
    ReadThrough::new().ttl(100 * SECOND).singleflight(true).condition(Option::is_some)
}

/// Lets a computation run until another process waits for it: until that has asked some more times.
fn until_awaited(server: &Server) {
    let asked = || -> u64 {
        let told: String = server.say(&["INFO", "commandstats"]);
        let line = told.lines().find(|line| line.starts_with("cmdstat_set:calls=")).unwrap();
        line["cmdstat_set:calls=".len()..].split(',').next().unwrap().parse().unwrap()
    };
    let before = asked();
    while asked() < before + 3 {
        thread::yield_now();
    }
}

/// Computes here what another process waits for; what each of the two gets.
fn two<V>(compute: impl Fn() -> V + Send + Sync, there: impl Fn() -> V) -> (V, V)
where
    V: Send,
{
    thread::scope(|scope| {
        let here = scope.spawn(&compute);
        let there = there();
        (here.join().unwrap(), there)
    })
}

#[test]
fn a_none_that_is_not_stored_is_shared_with_those_who_wait_elsewhere() {
    let (server, runs) = (Server::start(), AtomicU32::new(0));
    let there = |key: &str| {
        while server.rights() == 0 {
            thread::yield_now();
        }
        elsewhere(&server).get_or_compute(key, &some(), || Some(7)).unwrap()
    };
    let compute = || {
        runs.fetch_add(1, Ordering::Relaxed);
        until_awaited(&server);
        None::<u8>
    };
    let cache = blocking(&server).namespace("n").build().unwrap();
    let here = || cache.get_or_compute("k", &some(), compute).unwrap();
    assert_eq!(two(here, || there("k")), (None, None));
    let (tokio, cache) = (runtime(), asynchronous(&server).namespace("n").build().unwrap());
    let here = || {
        let options = some();
        let read = cache.get_or_compute("l", &options, || async { compute() });
        tokio.block_on(read).unwrap()
    };
    assert_eq!(two(here, || there("l")), (None, None));
    assert_eq!(runs.into_inner(), 2);
    let later = elsewhere(&server).get_or_compute("k", &some(), || Some(7)).unwrap();
    assert_eq!(later, Some(7), "who comes later computes");
}

#[test]
fn who_waits_elsewhere_for_an_error_or_for_a_none_that_it_can_not_have_computes() {
    let server = Server::start();
    let cache = blocking(&server).namespace("n").build().unwrap();
    let options = ReadThrough::new().ttl(100 * SECOND).singleflight(true);
    let there = |key: &'static str| {
        while server.rights() == 0 {
            thread::yield_now();
        }
        elsewhere(&server).get_or_compute(key, &options, || 7_u8).unwrap()
    };
    let fails = || {
        until_awaited(&server);
        "seven".parse::<u8>()
    };
    let nothing = || {
        until_awaited(&server);
        None::<u8>
    };
    thread::scope(|scope| {
        let here = scope.spawn(|| cache.try_get_or_compute("k", &options, fails).unwrap());
        assert_eq!(there("k"), 7);
        assert!(here.join().unwrap().is_err());
    });
    thread::scope(|scope| {
        let here = scope.spawn(|| cache.get_or_compute("l", &some(), nothing).unwrap());
        assert_eq!((there("l"), here.join().unwrap()), (7, None));
    });
    assert_eq!(cache.get::<u8>("k").unwrap(), Some(7), "it stored what it computed");
}
