//! Locks in Redis: who holds one, who is next, and what a holder is told that lost it.

#[path = "locks/dropping.rs"]
mod dropping;
#[path = "locks/losing.rs"]
mod losing;

use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use cachine::{Clock, ErrorKind, LockOptions};

use crate::server::{Server, free_port};
use crate::{PATIENT, SECOND, asynchronous, blocking, elsewhere, on_both, runtime};

const ONCE: LockOptions = LockOptions::new().timeout(Duration::ZERO);
const SOON: LockOptions = LockOptions::new().timeout(Duration::from_millis(30));

impl Server {
    /// The keys of the locks that are held.
    fn locks(&self) -> Vec<String> {
        self.say(&["KEYS", "*~cachine~l:*"])
    }

    /// How often this command was carried out, in scripts too.
    fn calls(&self, command: &str) -> u64 {
        let stats: String = self.say(&["INFO", "commandstats"]);
        let name = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }
}

/// Waits for what is about to happen; not for ever.
fn until(mut is_so: impl FnMut() -> bool) {
    let began = Clock::System.now();
    while !is_so() {
        let waited = Duration::from_nanos(Clock::System.now() - began);
        assert!(waited < PATIENT, "it never came to be");
        thread::yield_now();
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

macro_rules! tests {
    () => {
        #[test]
        fn one_holds_a_lock_whoever_asks() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                let other = elsewhere(&server);
                let lock = wait!(cache.lock("a")).unwrap();
                assert!(!lock.is_lost());
                for options in [ONCE, SOON] {
                    let error = wait!(cache.lock_with("a", options)).unwrap_err();
                    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "lock"));
                    assert!(error.is_retryable());
                    let error = other.lock_with("a", options).unwrap_err();
                    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "lock"));
                    assert!(error.to_string().contains("'a' was not free"), "{error}");
                }
                wait!(lock.release()).unwrap();
                let theirs = other.lock_with("a", ONCE).unwrap();
                let error = wait!(cache.lock_with("a", SOON)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Timeout);
                drop(theirs);
                drop(wait!(cache.lock_with("a", ONCE)).unwrap());
                // Of tasks it is given back in the background; whoever waits gets it.
                drop(other.lock("a").unwrap());
                assert_eq!(cache.stats().errors, 0);
            });
        }

        #[test]
        fn it_is_the_namespace_that_a_lock_belongs_to() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                let view = cache.with_namespace("v").unwrap();
                let lock = wait!(cache.lock("v:a")).unwrap();
                let text = format!("{lock:?}");
                assert!(text.contains("v:a") && text.contains("is_lost: false"), "{text}");
                wait!(wait!(view.lock_with("a", ONCE)).unwrap().release()).expect("another one");
                assert!(wait!(cache.measured().lock_with("v:a", ONCE)).is_err());
                wait!(wait!(view.lock_with("v:a", ONCE)).unwrap().release()).unwrap();
                wait!(cache.clear()).unwrap();
                wait!(lock.release()).expect("clearing ends no lock");
                assert!(!wait!(cache.exists("v:a")).unwrap());
            });
        }

        #[test]
        fn tokens_grow_from_each_holder_to_the_next() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                let other = elsewhere(&server);
                let mut last = 1_700_000_000_000_000; // It begins with the time.
                for _ in 0..10 {
                    let mine = wait!(cache.lock("a")).unwrap();
                    assert!(mine.token() > last);
                    last = mine.token();
                    wait!(mine.release()).unwrap();
                    let theirs = other.lock("a").unwrap();
                    assert!(theirs.token() > last);
                    last = theirs.token();
                    theirs.release().unwrap();
                }
            });
        }

        #[test]
        fn what_can_not_be_a_lock_is_refused() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                let none = LockOptions::new().ttl(Duration::ZERO);
                let error = wait!(cache.lock_with("a", none)).unwrap_err();
                assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "lock"));
                let error = wait!(cache.lock("")).unwrap_err();
                assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidKey, "lock"));
                cache.close();
                assert_eq!(wait!(cache.lock("a")).unwrap_err().kind(), ErrorKind::Closed);
            });
        }

        #[test]
        fn an_error_of_the_server_comes_at_once_and_leaves_the_line() {
            let server = Server::start();
            let (gone, there) = (free_port(), server.port());
            enter!({
                // Both are one place to stand in line; that there is no server is found out by it.
                let cache = builder(&server).port(gone).namespace("n").build().unwrap();
                for _ in 0..3 {
                    let error = wait!(cache.lock("a")).unwrap_err();
                    assert_eq!((error.kind(), error.operation()), (ErrorKind::Connection, "lock"));
                }
                assert_eq!(cache.stats().errors, 3);
                let cache = builder(&server).port(there).namespace("n").build().unwrap();
                drop(wait!(cache.lock_with("a", ONCE)).unwrap());
            });
        }

        #[test]
        fn a_lock_is_renewed_for_as_long_as_it_is_held() {
            let server = Server::start();
            enter!({
                let cache = builder(&server).namespace("n").build().unwrap();
                let options = LockOptions::new().ttl(3 * SECOND / 2);
                let lock = wait!(cache.lock_with("a", options)).unwrap();
                let before = server.calls("pexpire");
                until(|| server.calls("pexpire") >= before + 5);
                assert!(!lock.is_lost());
                assert!(elsewhere(&server).lock_with("a", ONCE).is_err());
                wait!(lock.release()).unwrap();
                drop(elsewhere(&server).lock_with("a", ONCE).unwrap());
            });
        }
    };
}
on_both!(tests);

#[test]
fn threads_and_tasks_of_a_process_get_it_in_the_order_in_which_they_came() {
    let server = Server::start();
    let cache = asynchronous(&server).namespace("n").build().unwrap();
    let tokio = runtime();
    let order: &'static Mutex<Vec<usize>> = Box::leak(Box::default());
    // Of another handle, for threads: it stands in the same line.
    let held = blocking(&server).namespace("n").build().unwrap().lock("a").unwrap();
    let context = tokio.enter();
    let waiting: Vec<_> = (0..20)
        .map(|number| {
            let cache = cache.clone();
            let mut turn = Box::pin(async move {
                let lock = cache.lock("a").await.unwrap();
                order.lock().unwrap().push(number);
                lock.release().await.unwrap();
            });
            assert!(poll(turn.as_mut()).is_pending());
            turn
        })
        .collect();
    // Last come, last served, so it is started in the reverse order.
    let tasks: Vec<_> = waiting.into_iter().rev().map(|turn| tokio.spawn(turn)).collect();
    drop(context);
    drop(held);
    for task in tasks {
        tokio.block_on(task).unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[test]
fn however_many_wait_one_of_a_process_asks_the_server() {
    let server = Server::start();
    let cache = asynchronous(&server).namespace("n").build().unwrap();
    let tokio = runtime();
    let held = elsewhere(&server).lock("a").unwrap();
    let (began, before) = (Clock::System.now(), server.calls("evalsha"));
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let cache = cache.clone();
            tokio.spawn(async move { cache.lock("a").await.unwrap().release().await.unwrap() })
        })
        .collect();
    until(|| server.calls("evalsha") >= before + 12);
    // The pauses between them: at least 0.5, 1, 2, 4, 8, 16, and then 25 ms each.
    let took = Duration::from_nanos(Clock::System.now() - began);
    assert!(took > Duration::from_millis(150), "{took:?}");
    drop(held);
    for task in waiting {
        tokio.block_on(task).unwrap();
    }
}

#[test]
fn threads_tasks_and_processes_at_once_lose_no_turn() {
    let server = Server::start();
    let (sum, token) = (AtomicU64::new(0), AtomicU64::new(0));
    let add = |seen: u64| {
        assert!(token.swap(seen, Ordering::Relaxed) < seen, "tokens grow");
        let before = sum.load(Ordering::Relaxed);
        thread::yield_now();
        sum.store(before + 1, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        let caches = [blocking(&server).namespace("n").build().unwrap(), elsewhere(&server)];
        for cache in caches.iter().cycle().take(8) {
            let (cache, add) = (cache.clone(), &add);
            scope.spawn(move || {
                for _ in 0..25 {
                    let lock = cache.lock("a").unwrap();
                    add(lock.token());
                    lock.release().unwrap();
                }
            });
        }
        let (add, server) = (&add, &server);
        for _ in 0..4 {
            scope.spawn(move || {
                runtime().block_on(async {
                    let cache = asynchronous(server).namespace("n").build().unwrap();
                    for _ in 0..25 {
                        let lock = cache.lock("a").await.unwrap();
                        add(lock.token());
                        lock.release().await.unwrap();
                    }
                });
            });
        }
    });
    assert_eq!(sum.into_inner(), 12 * 25);
    assert!(server.locks().is_empty());
}

#[test]
fn the_futures_of_locks_can_be_spawned() {
    const fn is_send<T: Send>(_: &T) {}
    const fn is_shared<T: Send + Sync>(_: &T) {}
    let server = Server::start();
    is_shared(&blocking(&server).namespace("n").build().unwrap().lock("b").unwrap());
    runtime().block_on(async {
        let cache = asynchronous(&server).namespace("n").build().unwrap();
        is_send(&cache.lock("a"));
        is_send(&cache.lock_with("a", ONCE));
        let lock = cache.lock("a").await.unwrap();
        is_shared(&lock);
        let release = pin!(lock.release());
        is_send(&*release);
        release.await.unwrap();
    });
}
