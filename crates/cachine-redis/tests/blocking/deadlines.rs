//! Whatever a server does, a call ends at its deadline, and its fault says what may have happened.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_redis::blocking::Blocking;
use cachine_redis::link::{Batch, Cause, Class, Fault, Sent};
use cachine_redis::settings::{Address, Settings};

use crate::calls::{Timed, call, get, incr, link_to, settings, timed};
use crate::fake::{Fake, drip, greet, hold, take};

const SHORT: Duration = Duration::from_millis(500);
/// A busy machine may take a while to notice; what is tested would take longer than this by far.
const LATE: Duration = Duration::from_millis(2500);

/// The fault of a call that has to end at a short deadline.
fn ends_in_time(link: &Blocking, batch: &Batch) -> Fault {
    let Timed { outcome, took } = timed(link, batch, SHORT);
    let fault = outcome.expect_err("the server never answers");
    assert_eq!(fault.cause, Cause::Deadline, "{}", fault.text);
    assert!(took >= SHORT && took < LATE, "it took {took:?}");
    fault
}

/// The fault of a call that has to fail without waiting for its deadline.
fn fails(link: &Blocking, batch: &Batch) -> (Cause, Sent) {
    let fault = call(link, batch).expect_err("the server gives no answer");
    assert!(fault.text.contains("127.0.0.1:"), "{}", fault.text);
    (fault.cause, fault.sent)
}

#[test]
fn a_reply_that_drips_ends_at_the_deadline() {
    let server = Fake::serving(|mut stream| {
        greet(&mut stream);
        take(&mut stream, 1);
        drip(&mut stream, b"$40\r\n0123456789012345678901234567890123456789\r\n");
    });
    let Timed { outcome, took } = timed(&link_to(&server), &get("key"), Duration::from_secs(1));
    let fault = outcome.expect_err("the reply takes over four seconds");
    assert_eq!((fault.cause, fault.sent), (Cause::Deadline, Sent::Maybe), "{}", fault.text);
    assert!((0.95..1.2).contains(&took.as_secs_f64()), "it took {took:?}");
}

#[test]
fn replies_that_drip_end_at_the_deadline_of_the_batch() {
    let server = Fake::serving(|mut stream| {
        greet(&mut stream);
        take(&mut stream, 20);
        drip(&mut stream, b"+OK\r\n".repeat(20).as_slice());
    });
    let mut batch = Batch::new(Class::Idempotent);
    (0..20).for_each(|_| batch.push(redis::cmd("GET").arg("key")));
    assert_eq!(ends_in_time(&link_to(&server), &batch).sent, Sent::Maybe);
}

#[test]
fn a_silent_server_is_left_at_the_deadline() {
    let server = Fake::serving(|mut stream| hold(&mut stream));
    assert_eq!(ends_in_time(&link_to(&server), &get("key")).sent, Sent::No);
}

#[test]
fn a_greeting_that_drips_ends_at_the_deadline() {
    let server = Fake::serving(|mut stream| drip(&mut stream, b"+PONG\r\n"));
    assert_eq!(ends_in_time(&link_to(&server), &incr("key")).sent, Sent::No);
}

#[test]
fn a_server_that_falls_silent_after_the_greeting_may_have_done_it() {
    let server = Fake::serving(|mut stream| {
        greet(&mut stream);
        hold(&mut stream);
    });
    let link = link_to(&server);
    let fault = ends_in_time(&link, &incr("key"));
    assert_eq!(fault.sent, Sent::Maybe);
    let address = format!("127.0.0.1:{}: ", server.address.port());
    assert!(fault.text.starts_with(&address), "{}", fault.text);
}

#[test]
fn a_connection_whose_reply_was_too_late_is_not_used_again() {
    let server = Fake::counting(|number, mut stream| {
        greet(&mut stream);
        take(&mut stream, 1);
        if number == 0 {
            drip(&mut stream, b"$3\r\nold\r\n");
        } else {
            stream.write_all(b"$3\r\nnew\r\n").unwrap();
            hold(&mut stream);
        }
    });
    let link = link_to(&server);
    ends_in_time(&link, &get("key"));
    let value = call(&link, &get("key")).unwrap().one();
    assert_eq!(value, redis::Value::BulkString(b"new".to_vec()));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn half_a_reply_is_no_reply() {
    fn half(stream: &mut TcpStream) {
        greet(stream);
        take(stream, 1);
        stream.write_all(b"$10\r\n01234").unwrap();
    }
    let stalls = Fake::serving(|mut stream| {
        half(&mut stream);
        hold(&mut stream);
    });
    assert_eq!(ends_in_time(&link_to(&stalls), &get("key")).sent, Sent::Maybe);
    let closes = Fake::serving(|mut stream| half(&mut stream));
    assert_eq!(fails(&link_to(&closes), &get("key")), (Cause::Connection, Sent::Maybe));
}

#[test]
fn what_is_not_redis_is_refused_and_gets_no_command() {
    let web = Fake::serving(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").unwrap();
    });
    assert_eq!(fails(&link_to(&web), &incr("key")), (Cause::Connection, Sent::No));
    let echo = Fake::serving(|mut stream| {
        let mut copy = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut stream, &mut copy);
    });
    assert_eq!(fails(&link_to(&echo), &incr("key")), (Cause::Connection, Sent::No));
}

#[test]
fn garbage_instead_of_a_reply_is_a_broken_connection() {
    for garbage in [&b"what?\r\n"[..], b"$many\r\n", b"\0\0\0\0\0\0"] {
        let server = Fake::serving(move |mut stream| {
            greet(&mut stream);
            take(&mut stream, 1);
            stream.write_all(garbage).unwrap();
            hold(&mut stream);
        });
        assert_eq!(fails(&link_to(&server), &get("key")), (Cause::Connection, Sent::Maybe));
    }
}

#[test]
fn a_line_that_never_ends_does_not_fill_the_memory() {
    let server = Fake::serving(|mut stream| {
        greet(&mut stream);
        take(&mut stream, 1);
        let _ = stream.write_all(b"+");
        while stream.write_all(&[b'a'; 4096]).is_ok() {}
    });
    assert_eq!(fails(&link_to(&server), &get("key")), (Cause::Connection, Sent::Maybe));
}

#[test]
fn a_server_that_does_not_read_is_left_at_the_deadline() {
    let server = Fake::serving(|mut stream| {
        greet(&mut stream);
        // One byte in a while, so that every write gets a little further.
        while stream.read(&mut [0]).is_ok_and(|count| count > 0) {
            drip(&mut std::io::sink(), b"-");
        }
    });
    let large = "v".repeat(32 << 20);
    let batch = Batch::one(Class::Idempotent, redis::cmd("SET").arg("key").arg(&large));
    assert_eq!(ends_in_time(&link_to(&server), &batch).sent, Sent::Maybe);
}

#[cfg(unix)]
#[test]
fn a_server_behind_a_unix_socket_that_reads_slowly_is_left_at_the_deadline() {
    let folder = crate::server::Folder::new();
    let path = folder.path().join("slow.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        take(&mut stream, 1);
        stream.write_all(b"+PONG\r\n").unwrap();
        // 64 KiB in a while: each makes room for one more buffer of the sender.
        let mut bytes = vec![0; 64 << 10];
        while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
            drip(&mut std::io::sink(), b"-");
        }
    };
    std::thread::Builder::new().spawn(serve).unwrap();
    let settings = Settings { address: Address::Unix(path), ..settings(0) };
    let large = "v".repeat(32 << 20);
    let batch = Batch::one(Class::Idempotent, redis::cmd("SET").arg("key").arg(&large));
    let fault = ends_in_time(&Blocking::new(settings, Clock::System), &batch);
    assert_eq!(fault.sent, Sent::Maybe);
}

#[test]
fn a_counter_whose_reply_is_lost_is_counted_once() {
    let (counted, counts) = std::sync::mpsc::channel();
    let server = Fake::serving(move |mut stream| {
        greet(&mut stream);
        for command in take(&mut stream, 1) {
            counted.send(command).unwrap();
        }
    });
    assert_eq!(fails(&link_to(&server), &incr("hits")), (Cause::Connection, Sent::Maybe));
    assert_eq!(counts.recv().unwrap(), ["INCR", "hits"]);
    assert_eq!(server.accepted(), 1);
    assert!(counts.try_recv().is_err());
}
