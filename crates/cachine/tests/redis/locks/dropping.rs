//! Locks, and those who wait for them, that are dropped: at any moment, and in a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use cachine::{AsyncRedisCache, LockOptions};

use super::{ONCE, poll, until};
use crate::proxy::Proxy;
use crate::server::Server;
use crate::{PATIENT, SECOND, asynchronous, blocking, elsewhere, runtime};

/// Waits until no lock is held on the server, for less than one would live on its own.
fn until_none(server: &Server) {
    until(|| server.locks().is_empty());
}

#[test]
fn a_panic_gives_the_lock_back() {
    let server = Server::start();
    let cache = blocking(&server).namespace("n").build().unwrap();
    let body = || {
        let _lock = cache.lock("a").unwrap();
        panic!("on purpose");
    };
    assert!(catch_unwind(AssertUnwindSafe(body)).is_err());
    assert!(server.locks().is_empty(), "at once, without a word of its holder");
    let tokio = runtime();
    let cache = asynchronous(&server).namespace("n").build().unwrap();
    let task = tokio.spawn({
        let cache = cache.clone();
        async move {
            let _lock = cache.lock("a").await.unwrap();
            panic!("on purpose");
        }
    });
    assert!(tokio.block_on(task).unwrap_err().is_panic());
    until_none(&server);
    drop(elsewhere(&server).lock_with("a", ONCE).unwrap());
}

#[test]
fn a_task_that_is_cancelled_gives_the_lock_back() {
    let server = Server::start();
    let (tokio, cache) = (runtime(), asynchronous(&server).namespace("n").build().unwrap());
    let (taken, is_taken) = std::sync::mpsc::channel();
    let task = tokio.spawn({
        let cache = cache.clone();
        async move {
            let _lock = cache.lock("a").await.unwrap();
            taken.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    });
    is_taken.recv().unwrap();
    assert_eq!(server.locks().len(), 1);
    task.abort();
    // This one is dropped outside of its runtime, which lives.
    drop(tokio.block_on(cache.lock("a")).unwrap());
    until_none(&server);
}

#[test]
fn a_future_that_is_dropped_in_line_makes_room_for_the_next() {
    let server = Server::start();
    let (tokio, cache) = (runtime(), asynchronous(&server).namespace("n").build().unwrap());
    let held = elsewhere(&server).lock("a").unwrap();
    tokio.block_on(async {
        let mut first = Box::pin(cache.lock("a"));
        let mut second = Box::pin(cache.lock("a"));
        let mut third = Box::pin(cache.lock("a"));
        for waiting in [&mut first, &mut second, &mut third] {
            assert!(poll(waiting.as_mut()).is_pending());
        }
        drop(second); // In line.
        drop(first); // Asking the server again and again.
        drop(held);
        third.await.unwrap().release().await.unwrap();
    });
    until_none(&server);
}

/// A cache whose replies can be held up, that has locked before.
fn behind(proxy: &Proxy) -> AsyncRedisCache {
    let builder = AsyncRedisCache::builder().host("127.0.0.1").port(proxy.port).timeout(PATIENT);
    builder.namespace("n").build().unwrap()
}

#[test]
fn a_future_that_is_dropped_while_it_is_answered_gives_back_what_it_gets() {
    let server = Server::start();
    let proxy = Proxy::before(&server);
    let (tokio, cache) = (runtime(), behind(&proxy));
    tokio.block_on(async {
        cache.lock("a").await.unwrap().release().await.unwrap();
        proxy.hold_next();
        let mut asking = Box::pin(cache.lock("a"));
        while server.locks().is_empty() {
            assert!(poll(asking.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        drop(asking);
        assert_eq!(server.locks().len(), 1, "it has it, and nobody knows");
        proxy.release();
    });
    until_none(&server);
    drop(elsewhere(&server).lock_with("a", ONCE).unwrap());
}

#[test]
fn a_release_that_is_dropped_half_way_is_carried_out() {
    let server = Server::start();
    let (tokio, cache) = (runtime(), asynchronous(&server).namespace("n").build().unwrap());
    for polls in 0..2 {
        tokio.block_on(async {
            let lock = cache.lock("a").await.unwrap();
            let mut release = Box::pin(lock.release());
            for _ in 0..polls {
                let _ = poll(release.as_mut()); // It may be done already.
            }
            drop(release);
        });
        until_none(&server);
    }
}

#[test]
fn a_lock_that_is_dropped_where_there_is_no_runtime_leaves_the_line() {
    let server = Server::start();
    let cache = asynchronous(&server).namespace("n").build().unwrap();
    let lock = runtime().block_on(cache.lock("a")).unwrap();
    drop(lock); // The runtime has ended too.
    let key = server.locks().pop().expect("nobody could give it back");
    let _: () = server.say(&["DEL", &key]);
    drop(runtime().block_on(cache.lock_with("a", ONCE)).unwrap());
}

#[test]
fn tasks_that_are_dropped_at_any_moment_leave_no_lock_behind() {
    let server = Server::start();
    let (tokio, cache) = (runtime(), asynchronous(&server).namespace("n").build().unwrap());
    let tasks: Vec<_> = (0..500_u64)
        .map(|number| {
            let cache = cache.clone();
            tokio.spawn(async move {
                let name = format!("a{}", number % 50);
                let hold = async {
                    let lock = cache.lock(&name).await.unwrap();
                    tokio::time::sleep(Duration::from_micros(number * 71 % 3_000)).await;
                    lock.release().await.unwrap();
                };
                let time = Duration::from_micros(number * 131 % 20_000);
                let _ = tokio::time::timeout(time, hold).await;
            })
        })
        .collect();
    for task in tasks {
        tokio.block_on(task).unwrap();
    }
    until_none(&server);
    tokio.block_on(async {
        for number in 0..50 {
            let options = LockOptions::new().timeout(10 * SECOND);
            drop(cache.lock_with(&format!("a{number}"), options).await.unwrap());
        }
    });
}

#[test]
fn a_thread_that_waits_in_vain_leaves_the_line() {
    let server = Server::start();
    let cache = blocking(&server).namespace("n").build().unwrap();
    let held = cache.lock("a").unwrap();
    let short = LockOptions::new().timeout(Duration::from_millis(20));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(cache.lock_with("a", short).is_err()));
        }
    });
    held.release().unwrap();
    drop(cache.lock_with("a", ONCE).unwrap());
}
