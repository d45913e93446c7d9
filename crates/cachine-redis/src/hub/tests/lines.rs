//! Places, replies and connections.

use super::*;

#[test]
fn commands_wait_until_the_greeting_is_answered() {
    let mut table = Table::new();
    let mut call = table.call(b"a", SECOND);
    table.connect();
    let greeting = table.written();
    assert!(greeting.windows(4).any(|window| window == b"PING"));
    assert!(!greeting.windows(3).any(|window| window == b"GET"));
    table.receive(b"+PON");
    assert!(table.written().is_empty());
    table.receive(b"G\r\n");
    assert_eq!(table.written(), packed(b"a"));
    table.receive(b"$1\r\nx\r\n");
    assert_eq!(call.value(), text("x"));
}

#[test]
fn a_refused_greeting_has_sent_nothing() {
    let settings = Settings { password: Some("secret".to_owned()), ..Settings::default() };
    let mut table = Table::with(&settings);
    let (mut one, mut other) = (table.call(b"a", SECOND), table.call(b"b", SECOND));
    table.connect();
    table.written();
    table.receive(b"-WRONGPASS no\r\n");
    for call in [&mut one, &mut other] {
        let fault = call.fault();
        assert_eq!((fault.sent, fault.cause), (Sent::No, Cause::Refused));
        assert!(!fault.text.contains("secret"));
    }
    assert!(table.is_aborted());
}

#[test]
fn what_is_not_resp_in_place_of_a_greeting_is_refused() {
    let mut table = Table::new();
    let mut call = table.call(b"a", SECOND);
    table.connect();
    table.written();
    table.receive(b"HTTP/1.1 400 Bad Request\r\n");
    let fault = call.fault();
    assert_eq!((fault.sent, fault.cause), (Sent::No, Cause::Connection));
}

#[test]
fn a_batch_goes_at_once_when_nothing_is_in_flight_and_else_once_a_turn() {
    let mut table = Table::open();
    let _one = table.call(b"a", SECOND);
    let write = Act::Write { node: 0, epoch: table.epoch };
    assert!(table.acts.contains(&write));
    table.acts.retain(|act| *act != write);
    table.hub.write(0, table.epoch, |_| ()).unwrap();
    let _two = table.call(b"b", SECOND);
    let _three = table.call(b"c", SECOND);
    assert!(!table.acts.contains(&write));
    assert_eq!(table.acts.iter().filter(|act| **act == Act::Soon).count(), 1);
    assert_eq!(table.written(), [packed(b"b"), packed(b"c")].concat());
}

#[test]
fn the_reply_to_a_call_that_was_dropped_is_nobody_elses() {
    let mut table = Table::open();
    let mut calls: Vec<_> = (0..10).map(|number| table.call(&[b'a' + number], SECOND)).collect();
    table.written();
    drop(calls.remove(3));
    drop(calls.remove(0));
    for number in 0..10 {
        table.receive(format!("$1\r\n{number}\r\n").as_bytes());
    }
    let values: Vec<_> = calls.iter_mut().map(Guest::value).collect();
    let expected = [1, 2, 4, 5, 6, 7, 8, 9].map(|number: u8| text(&number.to_string()));
    assert_eq!(values, expected);
    assert_eq!(table.hub.counts().places, 0);
}

#[test]
fn a_batch_whose_caller_is_gone_is_not_written() {
    let mut table = Table::open();
    let mut one = table.call(b"a", SECOND);
    let two = table.call(b"b", SECOND);
    let mut three = table.call(b"c", SECOND);
    drop(two);
    assert_eq!(table.written(), [packed(b"a"), packed(b"c")].concat());
    table.receive(b"$1\r\nx\r\n$1\r\ny\r\n");
    assert_eq!((one.value(), three.value()), (text("x"), text("y")));
}

#[test]
fn batches_of_several_commands_keep_their_replies_together() {
    let mut table = Table::open();
    let mut batch = Batch::new(Class::Idempotent);
    (0..3).for_each(|number| batch.push(redis::cmd("GET").arg(number)));
    let mut many = table.send(batch, SECOND);
    let mut one = table.call(b"a", SECOND);
    table.written();
    table.receive(b":1\r\n:2");
    assert!(many.outcome().is_none());
    table.receive(b"\r\n-ERR three\r\n$-1\r\n");
    let replies = many.outcome().unwrap().unwrap().into_vec();
    assert_eq!(replies[..2], [Value::Int(1), Value::Int(2)]);
    assert!(matches!(replies[2], Value::ServerError(_)));
    assert_eq!(one.value(), Value::Nil);
}

#[test]
fn replies_may_come_in_any_pieces() {
    let mut table = Table::open();
    let mut calls: Vec<_> = (0..4).map(|_| table.call(b"a", SECOND)).collect();
    table.written();
    for byte in b"$3\r\na\r\n\r\n*2\r\n:1\r\n$-1\r\n+OK\r\n$0\r\n\r\n" {
        table.receive(&[*byte]);
    }
    let values: Vec<_> = calls.iter_mut().map(Guest::value).collect();
    let array = Value::Array(vec![Value::Int(1), Value::Nil]);
    assert_eq!(values, [text("a\r\n"), array, Value::Okay, text("")]);
}

#[test]
fn a_surplus_reply_ends_the_connection() {
    let mut table = Table::open();
    let mut call = table.call(b"a", SECOND);
    table.written();
    table.receive(b"$1\r\nx\r\n$1\r\ny\r\n");
    assert_eq!(call.value(), text("x"));
    assert!(table.is_aborted());
    let mut next = table.call(b"b", SECOND);
    table.connect();
    table.greet();
    assert_eq!(table.written(), packed(b"b"));
    table.receive(b"$1\r\nz\r\n");
    assert_eq!(next.value(), text("z"));
}

#[test]
fn a_malformed_reply_ends_the_connection_for_all_who_wait() {
    let mut table = Table::open();
    let (mut one, mut two) = (table.call(b"a", SECOND), table.call(b"b", SECOND));
    table.written();
    table.receive(b"?what\r\n");
    for call in [&mut one, &mut two] {
        let fault = call.fault();
        assert_eq!((fault.sent, fault.cause), (Sent::Maybe, Cause::Connection));
    }
    assert!(table.is_aborted());
}

#[test]
fn a_push_is_nobodys_reply() {
    let mut table = Table::open();
    let mut call = table.call(b"a", SECOND);
    table.written();
    table.receive(b">2\r\n$10\r\ninvalidate\r\n*0\r\n");
    assert!(call.outcome().is_none());
    table.receive(b"$1\r\nx\r\n");
    assert_eq!(call.value(), text("x"));
}

#[test]
fn a_lost_connection_tells_what_may_have_been_sent() {
    let mut table = Table::open();
    let mut sent = table.call(b"a", SECOND);
    table.written();
    let mut waiting = table.call(b"b", SECOND);
    table.hub.lost(0, table.epoch, "reset");
    let fault = sent.fault();
    assert_eq!(fault.sent, Sent::Maybe);
    assert_eq!(fault.text, "the connection to localhost:6379 broke: reset");
    assert_eq!(waiting.fault().sent, Sent::No);
    let mut next = table.call(b"c", SECOND);
    let Some(Act::Connect { epoch, .. }) = table.took(|act| matches!(act, Act::Connect { .. }))
    else {
        panic!("no connection was asked for");
    };
    table.hub.lost(0, epoch, "refused");
    assert_eq!(next.fault().text, "there is no connection to localhost:6379: refused");
    assert_eq!(table.hub.counts().places, 0);
}

#[test]
fn an_earlier_connection_is_not_listened_to() {
    let mut table = Table::open();
    let old = table.epoch;
    table.hub.lost(0, old, "reset");
    let mut call = table.call(b"a", SECOND);
    table.connect();
    table.greet();
    table.written();
    table.hub.feed(0, old, b"$1\r\nx\r\n", &mut Vec::new());
    table.hub.lost(0, old, "again");
    table.hub.pause(0, old);
    assert!(call.outcome().is_none());
    assert!(!table.hub.connected(0, old));
    table.receive(b"$1\r\ny\r\n");
    assert_eq!(call.value(), text("y"));
}

#[test]
fn a_closed_hub_ends_calls_and_refuses_new_ones() {
    let mut table = Table::open();
    let mut call = table.call(b"a", SECOND);
    table.written();
    table.hub.close();
    assert_eq!(call.fault().cause, Cause::Connection);
    assert!(table.is_aborted());
    let link = Looped::new(Arc::clone(&table.hub));
    let batch = Batch::one(Class::Once, &redis::cmd("PING"));
    let refused = crate::link::finish(link.call(Node(0), &batch, u64::MAX)).unwrap();
    assert_eq!(refused.unwrap_err().sent, Sent::No);
}

#[test]
fn an_unknown_node_is_a_fault() {
    let table = Table::new();
    let link = Looped::new(Arc::clone(&table.hub));
    let batch = Batch::one(Class::Once, &redis::cmd("PING"));
    let refused = crate::link::finish(link.call(Node(7), &batch, u64::MAX)).unwrap();
    assert_eq!(refused.unwrap_err().sent, Sent::No);
}
