//! Fences: what was computed before a write or an invalidation is neither stored nor handed to
//! anyone who came after it.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use cachine::{ReadThrough, RedisCache, SetOptions};

use crate::proxy::Proxy;
use crate::server::Server;
use crate::{PATIENT, SECOND, blocking, elsewhere};

fn shared() -> ReadThrough<String> {
    ReadThrough::new().ttl(100 * SECOND).singleflight(true).tags(["t"])
}

fn text(value: &str) -> String {
    value.to_owned()
}

fn cache(server: &Server) -> RedisCache {
    blocking(server).namespace("n").build().unwrap()
}

/// What is done by this process or by another while a value is being computed.
type Act = fn(&RedisCache);

const ACTS: [(&str, Act, Option<&str>); 6] = [
    ("set", |cache| cache.set("k", "new").unwrap(), Some("new")),
    ("set_many", |cache| cache.set_many([("k", "new")]).unwrap(), Some("new")),
    ("delete", |cache| assert!(!cache.delete("k").unwrap()), None),
    ("invalidate_tags", |cache| assert_eq!(cache.invalidate_tags(["t"]).unwrap(), 0), None),
    ("clear", |cache| cache.clear().unwrap(), None),
    ("expire", |cache| assert!(!cache.expire("k", Duration::ZERO).unwrap()), None),
];

#[test]
fn what_was_computed_before_a_write_is_answered_and_not_stored() {
    let server = Server::start();
    for actor in [cache(&server), elsewhere(&server)] {
        for (name, act, left) in ACTS {
            let reader = cache(&server);
            reader.clear().unwrap();
            let compute = || {
                act(&actor);
                text("old")
            };
            assert_eq!(reader.get_or_compute("k", &shared(), compute).unwrap(), "old", "{name}");
            assert_eq!(reader.get::<String>("k").unwrap().as_deref(), left, "{name}");
        }
    }
}

#[test]
fn tags_that_only_the_result_names_fence_it_too() {
    let server = Server::start();
    let options =
        ReadThrough::new().ttl(100 * SECOND).tags_from_result(|value: &String| [value.clone()]);
    for actor in [cache(&server), elsewhere(&server)] {
        let reader = cache(&server);
        let compute = || {
            actor.invalidate_tags(["old"]).unwrap();
            text("old")
        };
        assert_eq!(reader.get_or_compute("k", &options, compute).unwrap(), "old");
        assert_eq!(reader.get::<String>("k").unwrap(), None);
        assert_eq!(reader.get_or_compute("k", &options, || text("new")).unwrap(), "new");
        assert_eq!(reader.invalidate_tags(["new"]).unwrap(), 1);
        assert_eq!(reader.get::<String>("k").unwrap(), None);
    }
}

/// One thread computes `old`; meanwhile `act` is done, and another thread reads. With `waits` the
/// old computation ends only when that has its answer, which is returned.
fn late_comer(cache: &RedisCache, act: Act, waits: bool) -> String {
    let options = &shared();
    let ((began, has_begun), (go, gate)) = (channel(), channel::<()>());
    thread::scope(|scope| {
        let old = scope.spawn(move || {
            cache.get_or_compute("k", options, || {
                began.send(()).unwrap();
                gate.recv().unwrap();
                text("old")
            })
        });
        has_begun.recv().unwrap();
        act(cache);
        let misses = cache.stats().misses;
        let new = scope.spawn(|| cache.get_or_compute("k", options, || text("computed")));
        if waits {
            let new = new.join().unwrap().unwrap();
            go.send(()).unwrap();
            assert_eq!(old.join().unwrap().unwrap(), "old");
            return new;
        }
        while cache.stats().misses == misses {
            thread::yield_now();
        }
        go.send(()).unwrap();
        assert_eq!(old.join().unwrap().unwrap(), "old");
        new.join().unwrap().unwrap()
    })
}

#[test]
fn who_comes_after_a_write_of_this_process_does_not_join_what_began_before() {
    let server = Server::start();
    for (name, act, left) in ACTS {
        let cache = cache(&server);
        cache.clear().unwrap();
        // An invalidation does not know who computes, so one who comes after it waits for that one
        // to end, and then computes. A write knows the key, and takes the right away.
        let waits = name != "invalidate_tags";
        let expected = left.unwrap_or("computed");
        assert_eq!(late_comer(&cache, act, waits), expected, "{name}");
        assert_eq!(cache.get::<String>("k").unwrap().as_deref(), Some(expected), "{name}");
        assert_eq!(cache.stats().coalesced, 0, "{name}");
    }
}

#[test]
fn who_waits_for_what_another_process_has_fenced_looks_again() {
    let server = Server::start();
    let (cache, other, options) = (cache(&server), elsewhere(&server), shared());
    thread::scope(|scope| {
        let (began, has_begun) = channel();
        let leader = scope.spawn({
            let (cache, other, options) = (&cache, &other, &options);
            move || {
                cache.get_or_compute("k", options, || {
                    began.send(()).unwrap();
                    while cache.stats().coalesced < 5 {
                        thread::yield_now();
                    }
                    other.set_with("k", "new", SetOptions::new()).unwrap();
                    text("old")
                })
            }
        });
        has_begun.recv().unwrap();
        let waiters: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| cache.get_or_compute("k", &options, || text("computed"))))
            .collect();
        assert_eq!(leader.join().unwrap().unwrap(), "old");
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap(), "new");
        }
    });
}

#[test]
fn who_comes_while_a_value_is_being_stored_does_not_get_what_was_invalidated_since() {
    let server = Server::start();
    let proxy = Proxy::before(&server);
    let builder = RedisCache::builder().host("127.0.0.1").port(proxy.port).timeout(PATIENT);
    let cache = builder.namespace("n").build().unwrap();
    let other = elsewhere(&server);
    // Without tags, and of a script that the server knows, storing is one question.
    let options = ReadThrough::new().singleflight(true);
    cache.get_or_compute("other", &options, || text("other")).unwrap();
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            cache.get_or_compute("k", &options, || {
                proxy.hold_next();
                text("old")
            })
        });
        // It is stored, and valid, but whoever stored it has not heard of that yet.
        while other.get::<String>("k").unwrap().is_none() {
            thread::yield_now();
        }
        assert!(other.delete("k").unwrap());
        let late = scope.spawn(|| cache.get_or_compute("k", &options, || text("computed")));
        while !late.is_finished() && cache.stats().coalesced == 0 {
            thread::yield_now();
        }
        proxy.release();
        assert_eq!(late.join().unwrap().unwrap(), "computed");
        assert_eq!(leader.join().unwrap().unwrap(), "old");
    });
}

#[test]
fn who_joins_while_a_value_of_another_process_is_read_does_not_get_it_if_it_was_invalidated() {
    let server = Server::start();
    let proxy = Proxy::before(&server);
    let builder = RedisCache::builder().host("127.0.0.1").port(proxy.port).timeout(PATIENT);
    let cache = builder.namespace("n").build().unwrap();
    let (other, options) = (elsewhere(&server), shared());
    let ((began, has_begun), (go, gate)) = (channel(), channel::<()>());
    thread::scope(|scope| {
        let (writer, options) = (&other, &options);
        let compute = move || {
            began.send(()).unwrap();
            gate.recv().unwrap();
            text("oldest")
        };
        let first = scope.spawn(move || writer.get_or_compute("k", options, compute));
        has_begun.recv().unwrap();
        let leader = scope.spawn(|| cache.get_or_compute("k", options, || text("none")));
        while cache.stats().misses == 0 {
            thread::yield_now();
        }
        proxy.hold_reply_with(b"oldest");
        go.send(()).unwrap();
        first.join().unwrap().unwrap();
        while !proxy.is_holding() {
            thread::yield_now(); // Until the leader has asked, and its answer is on the way.
        }
        assert!(other.delete("k").unwrap());
        let late = scope.spawn(|| cache.get_or_compute("k", options, || text("computed")));
        while cache.stats().coalesced == 0 {
            thread::yield_now();
        }
        proxy.release();
        assert_eq!(leader.join().unwrap().unwrap(), "oldest", "it asked before");
        assert_eq!(late.join().unwrap().unwrap(), "computed");
    });
}

#[test]
fn who_waits_for_a_result_that_is_not_stored_shares_it_only_if_nothing_happened() {
    let server = Server::start();
    let (cache, other) = (cache(&server), elsewhere(&server));
    let options = shared().condition(|value: &String| value != "old");
    thread::scope(|scope| {
        let (began, has_begun) = channel();
        let leader = scope.spawn({
            let (cache, other, options) = (&cache, &other, &options);
            move || {
                cache.get_or_compute("k", options, || {
                    began.send(()).unwrap();
                    while cache.stats().coalesced < 1 {
                        thread::yield_now();
                    }
                    other.invalidate_tags(["t"]).unwrap();
                    text("old")
                })
            }
        });
        has_begun.recv().unwrap();
        let waiter = scope.spawn(|| cache.get_or_compute("k", &options, || text("computed")));
        assert_eq!(leader.join().unwrap().unwrap(), "old");
        assert_eq!(waiter.join().unwrap().unwrap(), "computed");
    });
}

#[test]
fn races_of_reads_and_invalidations_never_answer_what_was_invalidated_before() {
    let server = Server::start();
    let caches = [cache(&server), elsewhere(&server)];
    // The source changes, then it is invalidated, then that is told.
    let (source, told) = (AtomicU64::new(0), AtomicU64::new(0));
    let writers = AtomicU32::new(2);
    thread::scope(|scope| {
        for cache in &caches {
            for _ in 0..3 {
                scope.spawn(|| {
                    let options = ReadThrough::new().singleflight(true).tags(["t"]);
                    while writers.load(SeqCst) > 0 {
                        let known = told.load(SeqCst);
                        let read = cache.get_or_compute("k", &options, || source.load(SeqCst));
                        let seen = read.unwrap();
                        assert!(seen >= known, "{seen} was read, {known} had been told");
                    }
                });
            }
            scope.spawn(|| {
                for turn in 0..300 {
                    let new = source.fetch_add(1, SeqCst) + 1;
                    match turn % 3 {
                        0 => drop(cache.invalidate_tags(["t"]).unwrap()),
                        1 => drop(cache.delete("k").unwrap()),
                        _ => cache.clear().unwrap(),
                    }
                    told.fetch_max(new, SeqCst);
                }
                writers.fetch_sub(1, SeqCst);
            });
        }
    });
}
