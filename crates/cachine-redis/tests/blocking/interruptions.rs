//! A thread that waits asks now and then whether to go on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_redis::blocking::Blocking;
use cachine_redis::link::{Cause, Link, Sent, finish};
use cachine_redis::settings::{Address, Settings};

use crate::calls::{Timed, call, get, link_to, settings, timed};
use crate::fake::{Fake, greet, hold, reply_with, take};

/// A link that is told to stop the second time that it asks, and how often it has asked.
fn stopping(settings: Settings) -> (Blocking, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let hook = Arc::new(move || count.fetch_add(1, Ordering::SeqCst) >= 1);
    (Blocking::new(settings, Clock::System).on_wait(hook), asked)
}

fn stops(link: &Blocking) -> Sent {
    let Timed { outcome, took } = timed(link, &get("key"), Duration::from_secs(60));
    let fault = outcome.expect_err("it was told to stop");
    assert_eq!(fault.cause, Cause::Interrupted, "{}", fault.text);
    assert!((0.4..10.0).contains(&took.as_secs_f64()), "it took {took:?}");
    fault.sent
}

#[test]
fn a_wait_for_a_reply_is_left_when_the_hook_says_so_and_its_connection_dropped() {
    let server = Fake::counting(|number, mut stream| {
        if number > 0 {
            return reply_with(stream, |_| b"+OK\r\n".to_vec());
        }
        greet(&mut stream);
        hold(&mut stream);
    });
    let (link, asked) = stopping(settings(server.address.port()));
    assert_eq!(stops(&link), Sent::Maybe);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(call(&link, &get("key")).is_ok());
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_wait_for_a_greeting_is_left_when_the_hook_says_so() {
    let server = Fake::serving(|mut stream| hold(&mut stream));
    assert_eq!(stops(&stopping(settings(server.address.port())).0), Sent::No);
}

#[test]
fn a_wait_for_a_look_up_is_left_when_the_hook_says_so() {
    let address = Address::Tcp("cache.example".to_owned(), 6);
    let (link, _) = stopping(Settings { address, ..settings(6) });
    let (_end, ends) = channel::<()>();
    let ends = std::sync::Mutex::new(ends);
    let link = link.with_lookup(Arc::new(move |_| {
        let _ = ends.lock().unwrap().recv();
        Err(io::ErrorKind::NotFound.into())
    }));
    assert_eq!(stops(&link), Sent::No);
}

#[test]
fn a_wait_for_a_connection_is_left_when_the_hook_says_so() {
    let (begun, beginnings) = channel();
    let server = Fake::serving(move |mut stream| {
        greet(&mut stream);
        take(&mut stream, 1);
        begun.send(()).unwrap();
        hold(&mut stream);
    });
    let settings = Settings { max_connections: 1, ..settings(server.address.port()) };
    let (waits, is_told) = channel::<()>();
    let is_told = std::sync::Mutex::new(is_told);
    let holder_name = "holder";
    // Only the one who waits for a connection is told to stop; the holder goes on.
    let hook = Arc::new(move || {
        let is_holder = thread::current().name() == Some(holder_name);
        !is_holder && is_told.lock().unwrap().try_recv().is_ok()
    });
    let link = Blocking::new(settings, Clock::System).on_wait(hook);
    thread::scope(|scope| {
        let hold = || timed(&link, &get("key"), Duration::from_secs(2));
        let holder = thread::Builder::new().name(holder_name.to_owned());
        let holder = holder.spawn_scoped(scope, hold).unwrap();
        beginnings.recv().unwrap();
        waits.send(()).unwrap();
        let Timed { outcome, took } = timed(&link, &get("key"), Duration::from_secs(60));
        let fault = outcome.unwrap_err();
        assert_eq!((fault.cause, fault.sent), (Cause::Interrupted, Sent::No));
        assert!(took < Duration::from_secs(2), "it took {took:?}");
        assert_eq!(holder.join().unwrap().outcome.unwrap_err().cause, Cause::Deadline);
    });
}

#[test]
fn a_pause_is_as_long_as_asked_and_left_when_the_hook_says_so() {
    let server = Fake::serving(|mut stream| hold(&mut stream));
    let link = link_to(&server);
    let begin = link.now();
    finish(link.sleep(Duration::from_millis(250))).unwrap().unwrap();
    let took = Duration::from_nanos(link.now() - begin);
    assert!(took >= Duration::from_millis(250) && took < Duration::from_secs(2), "{took:?}");
    let (link, _) = stopping(settings(server.address.port()));
    let fault = finish(link.sleep(Duration::from_secs(60))).unwrap().unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Interrupted, Sent::No));
}

#[test]
fn nobody_is_asked_during_a_quick_call() {
    let server = Fake::serving(|stream| reply_with(stream, |_| b"+OK\r\n".to_vec()));
    let hook = Arc::new(|| panic!("there is nothing to ask"));
    let link = Blocking::new(settings(server.address.port()), Clock::System).on_wait(hook);
    (0..10).for_each(|_| drop(call(&link, &get("key")).unwrap()));
}

#[test]
fn a_hook_that_panics_leaves_the_pool_usable() {
    let server = Fake::counting(|number, mut stream| {
        if number > 0 {
            return reply_with(stream, |_| b"+OK\r\n".to_vec());
        }
        greet(&mut stream);
        hold(&mut stream);
    });
    let settings = Settings { max_connections: 1, ..settings(server.address.port()) };
    let hook = Arc::new(|| panic!("a hook panics, as this test wants"));
    let link = Blocking::new(settings, Clock::System).on_wait(hook);
    thread::scope(|scope| assert!(scope.spawn(|| call(&link, &get("key"))).join().is_err()));
    assert!(call(&link, &get("key")).is_ok());
}
