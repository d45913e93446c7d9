//! Many threads, few connections.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_redis::blocking::Blocking;
use cachine_redis::link::{Cause, Sent};
use cachine_redis::settings::Settings;
use redis::Value;

use crate::calls::{Timed, call, get, link_to, settings, timed};
use crate::fake::{Fake, greet, hold, reply_with, take};

const SHORT: Duration = Duration::from_millis(500);
/// A busy machine may take a while to notice; what is tested would take longer than this by far.
const LATE: Duration = Duration::from_millis(2500);

fn narrow(server: &Fake, max_connections: usize) -> Blocking {
    let settings = Settings { max_connections, ..settings(server.address.port()) };
    Blocking::new(settings, Clock::System)
}

#[test]
fn sixty_four_threads_on_four_connections_all_get_their_own_replies() {
    let server = Fake::serving(|stream| {
        reply_with(stream, |command| {
            format!("${}\r\n{}\r\n", command[1].len(), command[1]).into_bytes()
        });
    });
    let link = narrow(&server, 4);
    thread::scope(|scope| {
        for thread in 0..64 {
            let link = &link;
            scope.spawn(move || {
                for number in 0..200 {
                    let key = format!("{thread}:{number}");
                    let value = call(link, &get(&key)).unwrap().one();
                    assert_eq!(value, Value::BulkString(key.into_bytes()));
                }
            });
        }
    });
    assert!((1..=4).contains(&server.accepted()), "{} connections", server.accepted());
}

#[test]
fn a_single_thread_uses_a_single_connection() {
    let server = Fake::serving(|stream| reply_with(stream, |_| b"+OK\r\n".to_vec()));
    let link = link_to(&server);
    (0..100).for_each(|_| drop(call(&link, &get("key")).unwrap()));
    assert_eq!(server.accepted(), 1);
}

#[test]
fn who_finds_no_free_connection_waits_until_the_deadline_and_has_sent_nothing() {
    let (begun, beginnings) = channel();
    let (end, ends) = channel::<()>();
    let ends = Mutex::new(ends);
    let server = Fake::serving(move |mut stream| {
        greet(&mut stream);
        take(&mut stream, 1);
        begun.send(()).unwrap();
        ends.lock().unwrap().recv().unwrap();
        stream.write_all(b"+OK\r\n").unwrap();
        hold(&mut stream);
    });
    let link = narrow(&server, 1);
    thread::scope(|scope| {
        let holder = scope.spawn(|| call(&link, &get("key")));
        beginnings.recv().unwrap();
        let Timed { outcome, took } = timed(&link, &get("key"), SHORT);
        let fault = outcome.unwrap_err();
        assert_eq!((fault.cause, fault.sent), (Cause::Busy, Sent::No), "{}", fault.text);
        assert!(took >= SHORT && took < LATE, "it took {took:?}");
        end.send(()).unwrap();
        assert!(holder.join().unwrap().is_ok());
    });
    assert_eq!(server.accepted(), 1);
}

#[test]
fn closing_ends_idle_connections_now_and_those_in_use_when_they_come_back() {
    let (ended, endings) = channel();
    let (asked, questions) = channel();
    let (answer, answers) = channel::<()>();
    let answers = Mutex::new(answers);
    let server = Fake::serving(move |mut stream| {
        greet(&mut stream);
        while let [command] = &*take(&mut stream, 1) {
            if command[1] == "slow" {
                asked.send(()).unwrap();
                answers.lock().unwrap().recv().unwrap();
            }
            stream.write_all(b"+OK\r\n").unwrap();
        }
        ended.send(stream.read(&mut [0]).unwrap_or(0)).unwrap();
    });
    let link = link_to(&server);
    thread::scope(|scope| {
        let slow = scope.spawn(|| call(&link, &get("slow")));
        questions.recv().unwrap();
        call(&link, &get("quick")).unwrap();
        link.close();
        assert_eq!(endings.recv_timeout(Duration::from_secs(10)).unwrap(), 0, "the idle one");
        assert!(!slow.is_finished());
        answer.send(()).unwrap();
        assert!(slow.join().unwrap().is_ok());
        assert_eq!(endings.recv_timeout(Duration::from_secs(10)).unwrap(), 0, "the one in use");
    });
    let fault = call(&link, &get("key")).unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::No));
    assert!(fault.text.contains("close"), "{}", fault.text);
    assert_eq!(server.accepted(), 2);
}

#[test]
fn closing_sends_away_those_who_wait_for_a_connection() {
    let (begun, beginnings) = channel();
    let server = Fake::serving(move |mut stream| {
        greet(&mut stream);
        take(&mut stream, 1);
        begun.send(()).unwrap();
        hold(&mut stream);
    });
    let link = narrow(&server, 1);
    thread::scope(|scope| {
        let holder = scope.spawn(|| timed(&link, &get("key"), SHORT));
        beginnings.recv().unwrap();
        let waiter = scope.spawn(|| call(&link, &get("key")));
        link.close();
        assert_eq!(waiter.join().unwrap().unwrap_err().cause, Cause::Connection);
        assert_eq!(holder.join().unwrap().outcome.unwrap_err().cause, Cause::Deadline);
    });
}
