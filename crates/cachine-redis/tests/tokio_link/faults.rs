//! What a link says when there is no answer, and what it may say about what was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cachine_redis::link::{Batch, Cause, Class, Fault, Sent};
use cachine_redis::settings::Settings;
use cachine_redis::tokio_link::Multiplexed;
use redis::Value;

use crate::server::{Server, free_port, listen};
use crate::{SHORT, command, link, runtime, say, settings, took, within};

fn get() -> Batch {
    Batch::one(Class::Idempotent, &command(&["GET", "k"]))
}

fn fault(link: &Multiplexed, time: Duration) -> Fault {
    runtime().block_on(within(link, time, &get())).expect_err("there is no answer")
}

fn told(fault: &Fault) -> (Cause, Sent) {
    (fault.cause, fault.sent)
}

#[test]
fn a_port_that_nobody_listens_on_was_sent_nothing() {
    let fault = fault(&link(free_port()), SHORT);
    assert_eq!(told(&fault), (Cause::Connection, Sent::No), "{}", fault.text);
    assert!(fault.text.starts_with("127.0.0.1:"), "{}", fault.text);
}

#[test]
fn a_server_that_does_not_greet_costs_a_call_no_more_than_its_time() {
    let link = link(listen(super::server::Commands::ignore));
    let (fault, time) = took(|| fault(&link, SHORT));
    assert_eq!(told(&fault), (Cause::Deadline, Sent::No), "{}", fault.text);
    assert!(time >= SHORT && time < 5 * SHORT, "{time:?}");
}

#[test]
fn connecting_has_a_limit_of_its_own() {
    let port = listen(super::server::Commands::ignore);
    let link = Multiplexed::new(Settings { connect_timeout: SHORT, ..settings(port) });
    let (fault, time) = took(|| fault(&link, 20 * SHORT));
    assert_eq!(told(&fault), (Cause::Deadline, Sent::No), "{}", fault.text);
    assert!(time < 10 * SHORT && fault.text.contains("longer than 200ms"), "{}", fault.text);
}

#[test]
fn what_was_handed_over_to_a_silent_server_may_have_been_done() {
    let link = link(listen(|commands| commands.greeted().ignore()));
    let fault = fault(&link, SHORT);
    assert_eq!(told(&fault), (Cause::Deadline, Sent::Maybe), "{}", fault.text);
}

#[test]
fn a_reply_that_drips_in_is_no_way_around_the_deadline() {
    let link = link(listen(|commands| {
        let mut commands = commands.greeted();
        let (wait, pace) = std::sync::mpsc::channel::<()>();
        commands.next();
        commands.write(b"$1000\r\n");
        for _ in 0..1_000 {
            commands.write(b"x");
            let _ = pace.recv_timeout(Duration::from_millis(10)); // Nobody sends: this paces.
        }
        drop(wait);
    }));
    let (fault, time) = took(|| fault(&link, SHORT));
    assert_eq!(told(&fault), (Cause::Deadline, Sent::Maybe), "{}", fault.text);
    assert!(time < 5 * SHORT, "{time:?}");
}

#[test]
fn one_call_in_vain_ends_the_connection_for_all_and_the_next_one_connects_anew() {
    let connections = Arc::new(AtomicU32::new(0));
    let link = Arc::new(link(listen({
        let connections = Arc::clone(&connections);
        move |commands| {
            let mut commands = commands.greeted();
            if connections.fetch_add(1, Ordering::Relaxed) == 0 {
                commands.ignore();
            } else {
                while commands.next().is_some() {
                    commands.write(b"$1\r\n7\r\n");
                }
            }
        }
    })));
    let tokio = runtime();
    let patient = tokio.spawn({
        let link = Arc::clone(&link);
        async move { within(&link, 100 * SHORT, &get()).await }
    });
    let impatient = tokio.block_on(within(&link, SHORT, &get())).unwrap_err();
    assert_eq!(told(&impatient), (Cause::Deadline, Sent::Maybe));
    let (other, time) = took(|| tokio.block_on(patient).unwrap());
    // It was on the same connection, unless it came so late that it got the second one.
    if let Err(fault) = other {
        assert_eq!((fault.cause, time < 10 * SHORT), (Cause::Connection, true), "{}", fault.text);
    }
    let reply = tokio.block_on(say(&link, &["GET", "k"])).unwrap();
    assert_eq!(reply, Value::BulkString(b"7".to_vec()));
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[test]
fn a_connection_that_ends_or_babbles_is_told_and_replaced() {
    for words in ["", "$5\r\nab", "s3cret nonsense\r\n"] {
        let link = link(listen(move |commands| {
            let mut commands = commands.greeted();
            commands.next();
            commands.write(words.as_bytes());
        }));
        let tokio = runtime();
        for _ in 0..2 {
            let fault = tokio.block_on(within(&link, 50 * SHORT, &get())).unwrap_err();
            // The second one goes to a connection of its own: nobody queues at one that ends.
            assert_eq!(told(&fault), (Cause::Connection, Sent::Maybe), "{words:?}: {}", fault.text);
            assert!(!fault.text.contains("s3cret"), "{}", fault.text);
        }
    }
}

#[test]
fn a_reply_that_nobody_asked_for_ends_the_connection() {
    let (ended, has_ended) = std::sync::mpsc::channel();
    let link = link(listen(move |commands| {
        let mut commands = commands.greeted();
        commands.next();
        commands.write(b":1\r\n:2\r\n");
        assert!(commands.next().is_none());
        ended.send(()).unwrap();
    }));
    let tokio = runtime();
    let replies = tokio.block_on(within(&link, 50 * SHORT, &get())).unwrap();
    assert_eq!(replies.one(), Value::Int(1));
    has_ended.recv().unwrap();
}

#[test]
fn closing_and_dropping_end_connections() {
    let server = Server::start();
    let (link, other) = (link(server.port), link(server.port));
    let tokio = runtime();
    let clients = || {
        let list = tokio.block_on(say(&other, &["CLIENT", "LIST"])).unwrap();
        let text: String = redis::from_redis_value(list).unwrap();
        text.lines().count()
    };
    tokio.block_on(say(&link, &["PING"])).unwrap();
    assert_eq!(clients(), 2);
    link.close();
    while clients() > 1 {
        std::thread::yield_now();
    }
    tokio.block_on(say(&link, &["PING"])).unwrap();
    assert_eq!(clients(), 2);
    drop(link);
    while clients() > 1 {
        std::thread::yield_now();
    }
}

#[test]
fn a_runtime_that_ended_takes_its_connection_along_and_no_other() {
    let server = Server::start();
    let link = link(server.port);
    for _ in 0..5 {
        let (one, other) = (runtime(), runtime());
        for tokio in [&one, &other, &one] {
            assert_eq!(tokio.block_on(say(&link, &["SET", "k", "v"])).unwrap(), Value::Okay);
        }
        drop(one);
        assert_eq!(other.block_on(say(&link, &["SET", "k", "v"])).unwrap(), Value::Okay);
    }
}

#[test]
fn a_refusal_comes_in_the_words_of_the_server_and_without_the_password() {
    let server = Server::with("--port", &["--requirepass", "right"]);
    let password = Some("s3cret".to_owned());
    let link = Multiplexed::new(Settings { password, ..settings(server.port) });
    let fault = fault(&link, 50 * SHORT);
    assert_eq!(told(&fault), (Cause::Refused, Sent::No), "{}", fault.text);
    assert!(fault.text.contains("WRONGPASS"), "{}", fault.text);
    assert!(!format!("{} {link:?}", fault.text).contains("s3cret"));
}
