//! Which bytes are the answer to a call, and when a connection may be used again.

use std::io::Write;
use std::sync::mpsc::channel;
use std::time::Duration;

use cachine_redis::link::{Batch, Cause, Class, Replies, Sent};
use redis::Value;

use crate::calls::{call, get, incr, link_to};
use crate::fake::{Fake, greet, hold, reply_with, take};
use crate::server::Server;

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

#[test]
fn push_messages_are_skipped() {
    let server = Fake::serving(|stream| {
        reply_with(stream, |command| {
            let key = &command[1];
            let push = ">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n";
            format!("{push}{push}${}\r\n{key}\r\n", key.len()).into_bytes()
        });
    });
    let link = link_to(&server);
    for key in ["one", "two", "three"] {
        assert_eq!(call(&link, &get(key)).unwrap().one(), text(key));
    }
    assert_eq!(server.accepted(), 1);
}

#[test]
fn whatever_follows_a_reply_ends_its_connection() {
    for surplus in ["$5\r\nwrong\r\n", "$5\r\nwr", "$5\r", "$", ">2\r\n+a\r\n", "\r\n"] {
        let server = Fake::serving(move |stream| {
            reply_with(stream, |command| {
                let key = &command[1];
                format!("${}\r\n{key}\r\n{surplus}", key.len()).into_bytes()
            });
        });
        let link = link_to(&server);
        for key in ["one", "two", "three"] {
            assert_eq!(call(&link, &get(key)).unwrap().one(), text(key), "{surplus:?}");
        }
        assert_eq!(server.accepted(), 3, "{surplus:?}");
    }
}

#[test]
fn a_counter_is_not_sent_over_a_connection_that_the_server_closed() {
    let (closed, closings) = channel();
    let server = Fake::counting(move |number, mut stream| {
        greet(&mut stream);
        take(&mut stream, 1);
        stream.write_all(b":1\r\n").unwrap();
        if number == 0 {
            drop(stream);
            closed.send(()).unwrap();
        } else {
            hold(&mut stream);
        }
    });
    let link = link_to(&server);
    call(&link, &get("key")).unwrap();
    closings.recv().unwrap();
    assert_eq!(call(&link, &incr("hits")).unwrap().one(), Value::Int(1));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_counter_is_not_sent_over_a_connection_where_something_was_left() {
    let (sent, surplus) = channel();
    let server = Fake::counting(move |number, mut stream| {
        greet(&mut stream);
        take(&mut stream, 1);
        stream.write_all(b":1\r\n").unwrap();
        if number == 0 {
            // Long after the reply, so that nobody could see it at its end.
            crate::fake::drip(&mut stream, b":");
            sent.send(()).unwrap();
        }
        hold(&mut stream);
    });
    let link = link_to(&server);
    call(&link, &incr("hits")).unwrap();
    surplus.recv().unwrap();
    assert_eq!(call(&link, &incr("hits")).unwrap().one(), Value::Int(1));
    assert_eq!(server.accepted(), 2);
}

#[test]
fn a_dead_connection_takes_the_idle_ones_with_it() {
    let (arrived, arrivals) = channel();
    let (answer, answers) = channel::<()>();
    let answers = std::sync::Mutex::new(answers);
    let (ended, endings) = channel();
    let server = Fake::serving(move |mut stream| {
        greet(&mut stream);
        while let [command] = &*take(&mut stream, 1) {
            if command[1] == "die" {
                return;
            }
            arrived.send(()).unwrap();
            answers.lock().unwrap().recv().unwrap();
            stream.write_all(b"+OK\r\n").unwrap();
        }
        ended.send(()).unwrap();
    });
    let link = link_to(&server);
    // Three at once, so that three connections are idle afterwards.
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3).map(|_| scope.spawn(|| call(&link, &get("key")))).collect();
        (0..3).for_each(|_| arrivals.recv().unwrap());
        (0..3).for_each(|_| answer.send(()).unwrap());
        for caller in callers {
            caller.join().unwrap().unwrap();
        }
    });
    assert_eq!(call(&link, &get("die")).unwrap_err().cause, Cause::Connection);
    (0..2).for_each(|_| endings.recv_timeout(Duration::from_secs(10)).unwrap());
    assert_eq!(server.accepted(), 3);
}

#[test]
fn a_batch_gets_a_reply_for_each_command_in_order() {
    let server = Server::start(&[]);
    let link = server.link();
    let number = Batch::one(Class::Idempotent, redis::cmd("CLIENT").arg("ID"));
    let first = call(&link, &number).unwrap().one();
    let mut batch = Batch::new(Class::Idempotent);
    batch.push(redis::cmd("SET").arg("a").arg("1"));
    batch.push(redis::cmd("LPUSH").arg("a").arg("x"));
    batch.push(redis::cmd("GET").arg("a"));
    let replies = call(&link, &batch).unwrap();
    assert!(matches!(replies, Replies::Many(_)));
    let replies = replies.into_vec();
    assert_eq!((&replies[0], &replies[2]), (&Value::Okay, &text("1")));
    let Value::ServerError(error) = &replies[1] else { panic!("{:?}", replies[1]) };
    assert_eq!(error.code(), "WRONGTYPE");
    // An error of a command is a reply like any other: the connection goes on.
    assert_eq!(call(&link, &number).unwrap().one(), first);
}

#[test]
fn large_values_go_both_ways() {
    let server = Server::start(&[]);
    let link = server.link();
    let large = "0123456789".repeat(700_000);
    let set = Batch::one(Class::Idempotent, redis::cmd("SET").arg("large").arg(&large));
    assert_eq!(call(&link, &set).unwrap().one(), Value::Okay);
    assert_eq!(call(&link, &get("large")).unwrap().one(), text(&large));
}

#[test]
fn an_empty_batch_needs_no_server() {
    let (server, batch) = (Fake::serving(|_| {}), Batch::new(Class::Once));
    assert!(call(&link_to(&server), &batch).unwrap().into_vec().is_empty());
    assert_eq!(server.accepted(), 0);
}

#[test]
fn a_deadline_in_the_past_sends_nothing() {
    let (sender, commands) = channel();
    let server = Fake::serving(move |stream| {
        let sender = sender.clone();
        reply_with(stream, move |command| {
            sender.send(command.to_vec()).unwrap();
            b"+OK\r\n".to_vec()
        });
    });
    let link = link_to(&server);
    call(&link, &get("first")).unwrap();
    let fault = crate::calls::timed(&link, &incr("hits"), Duration::ZERO).outcome.unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Deadline, Sent::No), "{}", fault.text);
    call(&link, &get("last")).unwrap();
    let keys: Vec<String> = commands.try_iter().map(|command| command[1].clone()).collect();
    assert_eq!(keys, ["first", "last"]);
}
