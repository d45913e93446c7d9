//! Replies find their callers, whatever becomes of the other callers.

use std::sync::Arc;
use std::time::Duration;

use cachine_redis::link::{Batch, Class, Replies};
use redis::Value;

use crate::server::{Server, listen};
use crate::{PATIENT, command, link, runtime, say, within};

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

#[test]
fn batches_of_one_and_of_many_get_their_replies_in_order() {
    let server = Server::start();
    let link = link(server.port);
    runtime().block_on(async {
        assert_eq!(say(&link, &["SET", "k", "v"]).await.unwrap(), Value::Okay);
        let mut batch = Batch::new(Class::Idempotent);
        for words in [&["GET", "k"][..], &["INCR", "n"], &["LPUSH", "k", "x"], &["GET", "none"]] {
            batch.push(&command(words));
        }
        let replies = within(&link, PATIENT, &batch).await.unwrap().into_vec();
        assert_eq!((&replies[0], &replies[1]), (&bulk("v"), &Value::Int(1)));
        assert!(matches!(replies[2], Value::ServerError(_)), "{replies:?}");
        assert_eq!(replies[3], Value::Nil);
        let empty = within(&link, PATIENT, &Batch::new(Class::Once)).await.unwrap();
        assert!(matches!(empty, Replies::Many(values) if values.is_empty()));
    });
}

#[test]
fn values_that_are_larger_than_any_buffer_come_and_go_whole() {
    let server = Server::start();
    let link = Arc::new(link(server.port));
    let tokio = runtime();
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let link = Arc::clone(&link);
            tokio.spawn(async move {
                let (key, value) = (format!("k{number}"), number.to_string().repeat(3_000_000));
                say(&link, &["SET", &key, &value]).await.unwrap();
                assert!(say(&link, &["GET", &key]).await.unwrap() == bulk(&value), "{key}");
            })
        })
        .collect();
    for task in tasks {
        tokio.block_on(task).unwrap();
    }
}

#[test]
fn calls_that_are_dropped_or_run_out_of_time_never_shift_the_replies_of_others() {
    let server = Server::start();
    let link = Arc::new(link(server.port));
    let tokio = runtime();
    tokio.block_on(async {
        for number in 0..100 {
            let (key, value) = (format!("k{number}"), format!("value {number}"));
            say(&link, &["SET", &key, &value]).await.unwrap();
        }
    });
    let tasks: Vec<_> = (0..100_u64)
        .map(|number| {
            let link = Arc::clone(&link);
            tokio.spawn(async move {
                let (key, value) = (format!("k{number}"), bulk(&format!("value {number}")));
                let batch = Batch::one(Class::Idempotent, &command(&["GET", &key]));
                let mut answered = 0;
                for turn in 0..60 {
                    // From hopeless to comfortable; every third is dropped half-way instead.
                    let time = Duration::from_micros((number * 37 + turn * 101) % 4_000);
                    let call = within(&link, if turn % 3 == 0 { PATIENT } else { time }, &batch);
                    let outcome = if turn % 3 == 0 {
                        tokio::time::timeout(time, call).await.ok()
                    } else {
                        Some(call.await)
                    };
                    if let Some(Ok(replies)) = outcome {
                        assert_eq!(replies.one(), value);
                        answered += 1;
                    }
                }
                answered
            })
        })
        .collect();
    let answered: u32 = tasks.into_iter().map(|task| tokio.block_on(task).unwrap()).sum();
    assert!(answered > 0, "some had time enough");
    assert_eq!(tokio.block_on(say(&link, &["GET", "k7"])).unwrap(), bulk("value 7"));
}

#[test]
fn a_reply_in_pieces_and_pushed_messages_in_between_are_no_trouble() {
    let port = listen(|commands| {
        let mut commands = commands.greeted();
        let (wait, pace) = std::sync::mpsc::channel::<()>();
        while commands.next().is_some() {
            for byte in b">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n*2\r\n$3\r\na\r\n\r\n:17\r\n" {
                commands.write(&[*byte]);
                let _ = pace.recv_timeout(Duration::from_millis(1)); // Nobody sends: this paces.
            }
        }
        drop(wait);
    });
    let link = link(port);
    let reply = runtime().block_on(say(&link, &["LRANGE", "k", "0", "-1"])).unwrap();
    assert_eq!(reply, Value::Array(vec![bulk("a\r\n"), Value::Int(17)]));
}
