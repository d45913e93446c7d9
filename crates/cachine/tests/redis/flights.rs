//! Reading through: what is missing is computed once, however many ask.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use cachine::{Clock, ErrorKind, ReadThrough};

use crate::server::Server;
use crate::{SECOND, User, ada, asynchronous, blocking, elsewhere, runtime};

/// A computation that ends when so many wait for it, and how often it ran.
struct Slow {
    runs: AtomicU32,
}

impl Slow {
    fn new() -> Self {
        Self { runs: AtomicU32::new(0) }
    }

    fn run(&self, is_over: impl Fn() -> bool) -> User {
        self.runs.fetch_add(1, Ordering::Relaxed);
        while !is_over() {
            thread::yield_now();
        }
        ada()
    }
}

fn shared<V>() -> ReadThrough<V> {
    ReadThrough::new().ttl(100 * SECOND).singleflight(true)
}

#[test]
fn what_is_missing_is_computed_stored_and_read_by_everybody() {
    let server = Server::start();
    let (cache, options) = (blocking(&server).namespace("n").build().unwrap(), shared());
    for _ in 0..2 {
        let user = cache.get_or_compute("k", &options, ada).unwrap();
        assert_eq!(user, ada());
    }
    let stored: String = server.say(&["GET", "n:k"]);
    assert_eq!(stored, r#"{"name":"Ada","age":36}"#);
    let there = elsewhere(&server).get_or_set::<User>("k", None, || unreachable!("it is there"));
    assert_eq!(there.unwrap(), ada());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.sets, stats.errors), (1, 1, 1, 0));
    let tokio = runtime();
    tokio.block_on(async {
        let cache = asynchronous(&server).namespace("n").build().unwrap();
        let there = cache.get_or_compute("k", &options, || async { unreachable!("it is there") });
        assert_eq!(there.await.unwrap(), ada());
        let new = cache.get_or_set("new", Some(100 * SECOND), || async { 7 }).await.unwrap();
        assert_eq!((new, cache.get::<u8>("new").await.unwrap()), (7, Some(7)));
    });
    let left: i64 = server.say(&["PTTL", "n:new"]);
    assert!(left > 50_000 && left <= 100_000, "{left}");
    let keys: Vec<String> = server.say(&["KEYS", "*"]);
    assert_eq!(keys.len(), 2, "nothing else stays: {keys:?}");
}

#[test]
fn fifty_threads_compute_once() {
    let server = Server::start();
    let cache = blocking(&server).namespace("n").build().unwrap();
    let (slow, options, start) = (Slow::new(), shared(), Barrier::new(50));
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                start.wait();
                let all_wait = || cache.stats().coalesced == 49;
                let user = cache.get_or_compute("k", &options, || slow.run(all_wait)).unwrap();
                assert_eq!(user, ada());
            });
        }
    });
    let stats = cache.stats();
    assert_eq!((slow.runs.into_inner(), stats.misses, stats.coalesced), (1, 50, 49));
}

#[test]
fn two_hundred_tasks_and_ten_threads_compute_once() {
    let server = Server::start();
    let threads = blocking(&server).namespace("n").build().unwrap();
    let tasks = asynchronous(&server).namespace("n").build().unwrap();
    let (slow, options) = (Arc::new(Slow::new()), shared());
    let all_wait = {
        let (threads, tasks) = (threads.clone(), tasks.clone());
        move || threads.stats().coalesced + tasks.stats().coalesced == 209
    };
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| threads.get_or_compute("k", &options, || slow.run(&all_wait)).unwrap());
        }
        let tokio = runtime();
        let spawned: Vec<_> = (0..200)
            .map(|_| {
                let (cache, options) = (tasks.clone(), options.clone());
                let (slow, all_wait) = (Arc::clone(&slow), all_wait.clone());
                tokio.spawn(async move {
                    cache.get_or_compute("k", &options, || async move { slow.run(all_wait) }).await
                })
            })
            .collect();
        for task in spawned {
            assert_eq!(tokio.block_on(task).unwrap().unwrap(), ada());
        }
    });
    assert_eq!(slow.runs.load(Ordering::Relaxed), 1);
}

#[test]
fn two_processes_compute_once_and_the_waiters_of_the_other_share_what_it_reads() {
    let server = Server::start();
    let (here, there) = (blocking(&server).namespace("n").build().unwrap(), elsewhere(&server));
    let (slow, options) = (Slow::new(), shared());
    let all_wait = || there.stats().misses == 20;
    thread::scope(|scope| {
        scope.spawn(|| here.get_or_compute("k", &options, || slow.run(all_wait)).unwrap());
        while slow.runs.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        for _ in 0..20 {
            scope.spawn(|| {
                let user = there.get_or_compute("k", &options, || unreachable!("it is computed"));
                assert_eq!(user.unwrap(), ada());
            });
        }
    });
    assert_eq!((there.stats().coalesced, there.stats().hits), (19, 0));
}

#[test]
fn an_error_is_shared_and_not_stored_and_gives_the_right_back() {
    let server = Server::start();
    let cache = blocking(&server).namespace("n").build().unwrap();
    let options = shared::<u8>().condition(|&value| value > 1);
    let runs = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let read = cache.try_get_or_compute("k", &options, || {
                    runs.fetch_add(1, Ordering::Relaxed);
                    while cache.stats().coalesced < 9 {
                        thread::yield_now();
                    }
                    "seventeen".parse::<u8>()
                });
                assert!(read.unwrap().is_err());
            });
        }
    });
    assert_eq!(runs.into_inner(), 1);
    assert_eq!((server.rights(), server.keys().len()), (0, 0), "no right is left behind");
    assert_eq!(cache.get_or_compute("k", &options, || 1).unwrap(), 1);
    assert_eq!(cache.get::<u8>("k").unwrap(), None, "the condition keeps it out");
    assert_eq!(cache.get_or_compute("k", &options, || 2).unwrap(), 2);
    assert_eq!(cache.get::<u8>("k").unwrap(), Some(2));
}

#[test]
fn a_computation_that_asks_for_its_own_key_computes_directly() {
    let server = Server::start();
    let (cache, options) = (blocking(&server).namespace("n").build().unwrap(), shared());
    let inner = || cache.get_or_compute("k", &options, || 1).unwrap();
    assert_eq!(cache.get_or_compute("k", &options, || inner() + 1).unwrap(), 2);
    runtime().block_on(async {
        let cache = asynchronous(&server).namespace("n").build().unwrap();
        let inner = async || cache.get_or_compute("l", &options, || async { 1 }).await.unwrap();
        let outer = cache.get_or_compute("l", &options, || async { inner().await + 1 });
        assert_eq!(outer.await.unwrap(), 2);
    });
}

#[test]
fn a_panic_or_a_dropped_task_gives_the_right_back_and_another_takes_over() {
    let server = Server::start();
    let (cache, options) = (blocking(&server).namespace("n").build().unwrap(), shared());
    let panicking = || cache.get_or_compute("k", &options, || -> u8 { panic!("on purpose") });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).is_err());
    let keys: Vec<String> = server.say(&["KEYS", "*"]);
    assert!(keys.is_empty(), "{keys:?}");

    let tokio = runtime();
    let cache = asynchronous(&server).namespace("n").build().unwrap();
    let (began, has_begun) = std::sync::mpsc::channel();
    let task = tokio.spawn({
        let (cache, options) = (cache.clone(), options.clone());
        async move {
            let forever = || async move {
                began.send(()).unwrap();
                std::future::pending::<u8>().await
            };
            cache.get_or_compute("k", &options, forever).await
        }
    });
    has_begun.recv().unwrap();
    let waiter = tokio.spawn({
        let (cache, options) = (cache.clone(), options.clone());
        async move { cache.get_or_compute("k", &options, || async { 7 }).await }
    });
    while cache.stats().coalesced == 0 {
        thread::yield_now();
    }
    task.abort();
    assert_eq!(tokio.block_on(waiter).unwrap().unwrap(), 7);
    // Had the right not been given back, this would have had to wait for the end of its lease.
    assert_eq!(elsewhere(&server).get::<u8>("k").unwrap(), Some(7));
}

#[test]
fn a_task_that_is_dropped_at_any_moment_leaves_no_right_behind() {
    let server = Server::start();
    let cache = asynchronous(&server).namespace("n").build().unwrap();
    let tokio = runtime();
    let tasks: Vec<_> = (0..500_u64)
        .map(|number| {
            let (cache, options) = (cache.clone(), shared::<u8>());
            tokio.spawn(async move {
                let key = format!("k{number}");
                let read = cache.get_or_compute(&key, &options, std::future::pending);
                let time = Duration::from_micros(number * 131 % 20_000);
                assert!(tokio::time::timeout(time, read).await.is_err());
            })
        })
        .collect();
    for task in tasks {
        tokio.block_on(task).unwrap();
    }
    let began = Clock::System.now();
    while !server.say::<Vec<String>>(&["KEYS", "*"]).is_empty() {
        thread::yield_now();
    }
    // They are given back; nobody has to wait until they end on their own, which takes 5 s.
    let took = Duration::from_nanos(Clock::System.now() - began);
    assert!(took < 3 * SECOND, "{took:?}");
}

#[test]
fn a_right_is_renewed_while_its_computation_runs() {
    let server = Server::start();
    let options = shared::<u8>();
    let token = || {
        let keys: Vec<String> = server.say(&["KEYS", "*~cachine~*"]);
        keys.into_iter().find(|key| key.contains(":k")).expect("a right was claimed")
    };
    let renewed = |token: &str| server.say::<i64>(&["PTTL", token]) > 4_000;
    let lower = |token: &str| server.say::<bool>(&["PEXPIRE", token, "3900"]);
    let cache = blocking(&server).namespace("n").build().unwrap();
    let compute = || {
        let token = token();
        assert!(lower(&token));
        while !renewed(&token) {
            thread::yield_now();
        }
        1
    };
    assert_eq!(cache.get_or_compute("k1", &options, compute).unwrap(), 1);
    runtime().block_on(async {
        let cache = asynchronous(&server).namespace("n").build().unwrap();
        let compute = || async {
            let token = token();
            assert!(lower(&token));
            while !renewed(&token) {
                tokio::task::yield_now().await;
            }
            1
        };
        assert_eq!(cache.get_or_compute("k2", &options, compute).await.unwrap(), 1);
    });
}

#[test]
fn what_can_not_be_read_is_computed_anew_and_replaced() {
    let server = Server::start();
    let (cache, options) = (blocking(&server).namespace("n").build().unwrap(), shared());
    let _: () = server.say(&["SET", "n:k", "neither JSON nor anything"]);
    assert_eq!(cache.get::<User>("k").unwrap_err().kind(), ErrorKind::Deserialization);
    assert_eq!(cache.get_or_compute("k", &options, ada).unwrap(), ada());
    assert_eq!(cache.get::<User>("k").unwrap(), Some(ada()));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.errors, stats.sets), (1, 1, 2, 1));
    let number = ReadThrough::new().singleflight(true);
    assert_eq!(cache.get_or_compute("k", &number, || 17_u8).unwrap(), 17, "of another type");
    assert!(cache.get_or_compute("f", &shared(), || f64::NAN).unwrap().is_nan());
    assert!(!cache.exists("f").unwrap(), "what can't be written is answered, not stored");
}

#[test]
fn the_futures_of_a_cache_can_be_spawned() {
    const fn is_send<T: Send>(_: &T) {}
    let server = Server::start();
    let cache = asynchronous(&server).build().unwrap();
    let options = ReadThrough::new()
        .ttl(SECOND)
        .singleflight(true)
        .stale_ttl(2 * SECOND)
        .refresh_with(|task| drop(tokio::spawn(task)));
    is_send(&cache.get::<User>("k"));
    is_send(&cache.set("k", &ada()));
    is_send(&cache.set_many([("k", 1)]));
    is_send(&cache.get_many::<u8, _>(["k"]));
    is_send(&cache.invalidate_tags(["t"]));
    is_send(&cache.clear_all());
    is_send(&cache.get_or_compute("k", &options, || async { ada() }));
    is_send(&cache.try_get_or_compute("k", &shared::<u8>(), || async { "1".parse::<u8>() }));
}

#[test]
fn a_cache_is_built_without_a_runtime_and_used_from_several() {
    let server = Server::start();
    let cache = asynchronous(&server).namespace("n").build().unwrap();
    for count in 1..4 {
        let tokio = runtime();
        assert_eq!(tokio.block_on(cache.incr("runtimes", 1, None)).unwrap(), count);
        let inner = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        inner.block_on(cache.set("k", &count)).unwrap();
        assert_eq!(tokio.block_on(cache.get::<i64>("k")).unwrap(), Some(count));
    }
    let error = pollster::block_on(cache.get::<u8>("k")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.to_string().contains("no tokio runtime"), "{error}");
}
