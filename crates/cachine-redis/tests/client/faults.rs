//! What fails under way: what is sent again, what is not, and what the caller is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachine_core::clock::{Instant, nanoseconds};
use cachine_core::error::ErrorKind;
use cachine_redis::breaker::Breaker;
use cachine_redis::client::{Claim, Client, Want};
use cachine_redis::link::{Batch, Cause, Fault, Link, Node, Replies, Sent};
use redis::{Value, parse_redis_value};

use crate::scene::{Scene, done, list, names, want};

const TIMEOUT: Duration = Duration::from_secs(1);

/// A link whose answers are written down beforehand, with a clock that each call moves.
#[derive(Default)]
struct Script {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Result<Vec<&'static str>, (Sent, Cause)>>,
    sent: Vec<Vec<u8>>,
    now: Instant,
    /// How long each call takes.
    pace: Duration,
}

impl Link for Script {
    async fn call(&self, _: Node, batch: &Batch, until: Instant) -> Result<Replies, Fault> {
        let mut state = self.state.lock().unwrap();
        assert!(state.now < until, "nothing goes after the deadline");
        state.sent.push(batch.bytes().to_vec());
        state.now += nanoseconds(state.pace);
        let answer = state.answers.pop_front().expect("a call that nobody expects");
        let replies =
            answer.map_err(|(sent, cause)| Fault { sent, cause, text: "words".into() })?;
        assert_eq!(replies.len(), batch.len());
        let mut values: Vec<Value> =
            replies.iter().map(|reply| parse_redis_value(reply.as_bytes()).unwrap()).collect();
        Ok(if values.len() == 1 { Replies::One(values.remove(0)) } else { Replies::Many(values) })
    }

    async fn sleep(&self, _: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn now(&self) -> Instant {
        self.state.lock().unwrap().now
    }
}

type Answer = Result<Vec<&'static str>, (Sent, Cause)>;

fn client(answers: impl IntoIterator<Item = Answer>) -> Client<Script> {
    let link = Script::default();
    link.state.lock().unwrap().answers.extend(answers);
    Client::new(link, TIMEOUT, Arc::new(Breaker::default()))
}

fn sent(client: &Client<Script>) -> usize {
    let state = client.link().state.lock().unwrap();
    assert!(state.answers.is_empty(), "not all was asked for");
    state.sent.len()
}

const NOT_SENT: Answer = Err((Sent::No, Cause::Connection));
const LOST: Answer = Err((Sent::Maybe, Cause::Connection));
const LATE: Answer = Err((Sent::Maybe, Cause::Deadline));

#[test]
fn a_read_goes_once_more_after_a_broken_connection_and_only_once() {
    let names = names("ns");
    for fault in [NOT_SENT, LOST] {
        let once = client([fault.clone(), Ok(vec!["$1\r\n7\r\n"])]);
        assert_eq!(done(once.get(&names, "k")).unwrap(), Some(b"7".to_vec()));
        assert_eq!(sent(&once), 2);
        let twice = client([fault, LOST]);
        assert_eq!(done(twice.get(&names, "k")).unwrap_err().kind(), ErrorKind::Connection);
        assert_eq!(sent(&twice), 2);
    }
}

#[test]
fn an_addition_goes_once_more_only_if_it_certainly_did_not_leave() {
    let names = names("ns");
    let incr = |client: &Client<Script>| done(client.incr(&names, "k", 1, None, "incr"));
    let not_sent = client([NOT_SENT, Ok(vec!["$1\r\n7\r\n"])]);
    assert_eq!(incr(&not_sent).unwrap(), 7);
    let lost = client([LOST]);
    assert_eq!(incr(&lost).unwrap_err().kind(), ErrorKind::Connection);
    assert_eq!(sent(&lost), 1);
    // The script that the server did not know has not run, but then its source is lost.
    let unknown = client([Ok(vec!["-NOSCRIPT x\r\n"]), LOST]);
    assert!(incr(&unknown).is_err());
    assert_eq!(sent(&unknown), 2);
}

#[test]
fn nothing_goes_again_after_the_deadline_a_refusal_or_a_signal() {
    let names = names("ns");
    for sent_ in [Sent::No, Sent::Maybe] {
        for (cause, kind) in [
            (Cause::Deadline, ErrorKind::Timeout),
            (Cause::Refused, ErrorKind::Response),
            (Cause::Interrupted, ErrorKind::Connection),
        ] {
            let client = client([Err((sent_, cause))]);
            let error = done(client.get(&names, "k")).unwrap_err();
            assert_eq!((error.kind(), error.operation()), (kind, "get"));
            assert_eq!(error.to_string(), "words");
            assert_eq!(sent(&client), 1);
        }
    }
    let slow = client([LOST]);
    slow.link().state.lock().unwrap().pace = TIMEOUT;
    assert!(done(slow.get(&names, "k")).is_err());
    assert_eq!(sent(&slow), 1);
}

#[test]
fn every_batch_of_a_long_operation_has_the_whole_time() {
    let names = names("ns");
    let keys: Vec<String> = (0..1200).map(|number| number.to_string()).collect();
    let page = |count: usize| {
        let reply: &str = format!("*{count}\r\n{}", "$-1\r\n".repeat(count)).leak();
        Ok(vec![reply])
    };
    let slow = client([page(500), page(500), page(200)]);
    slow.link().state.lock().unwrap().pace = TIMEOUT * 9 / 10;
    assert_eq!(done(slow.get_many(&names, &keys)).unwrap().len(), 1200);
    let page = "*2\r\n$1\r\n5\r\n*0\r\n";
    let last = "*2\r\n$1\r\n0\r\n*0\r\n";
    let slow = client([page, page, last, page, page, last].map(|reply| Ok(vec![reply])));
    slow.link().state.lock().unwrap().pace = TIMEOUT * 9 / 10;
    done(slow.clear(&names)).unwrap();
    assert_eq!(sent(&slow), 6);
}

#[test]
fn a_claim_that_may_have_arrived_is_made_again_with_another_token() {
    let names = names("ns");
    let free = Ok(vec!["$-1\r\n", ":60000\r\n", "$-1\r\n", ":-2\r\n"]);
    let claimed = client([LOST, free]);
    let claim = done(claimed.claim(&names, "k", want())).unwrap();
    assert!(matches!(claim, Claim::Compute(_)), "{claim:?}");
    let state = claimed.link().state.lock().unwrap();
    assert_eq!(state.sent.len(), 2);
    assert_ne!(state.sent[0], state.sent[1], "a token is never sent twice");
}

#[test]
fn a_claim_whose_first_try_arrived_holds_what_that_took() {
    let scene = Scene::new();
    let (other, names) = (scene.other(), scene.names.clone());
    // The reply is lost, not the request.
    scene.client.link().lose_next_reply();
    let right = scene.compute("k", want());
    assert!(right.is_own());
    assert!(matches!(done(other.claim(&names, "k", want())).unwrap(), Claim::Held(_)));
    assert!(done(scene.client.renew(&names, "k", &right, TIMEOUT)).unwrap());
    assert!(done(scene.client.release(&names, "k", right)).unwrap());
}

#[test]
fn an_entry_that_never_stands_still_is_a_timeout() {
    let scene = Scene::with_timeout(Duration::from_millis(50));
    scene.set("k", "1", None, &list(&["t"]));
    let (other, their) = (scene.other(), scene.names.clone());
    let mut number = 0;
    scene.client.link().before(move |_| {
        number += 1;
        let value = format!("{number}").into_bytes();
        done(other.set(&their, "k", value, None, &["t".to_owned()])).unwrap();
    });
    let error = done(scene.client.incr(&scene.names, "k", 1, None, "incr")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn scripts_that_the_server_forgot_are_sent_again_in_the_middle_of_everything() {
    let scene = Scene::new();
    let names = &scene.names;
    let flush = || scene.server.ask(&["SCRIPT", "FLUSH"]);
    let long = Duration::from_secs(600);
    let tags = list(&["t"]);
    for tags in [&[][..], &tags] {
        flush();
        scene.set("k", "1", Some(long), tags);
        flush();
        assert_eq!(done(scene.client.incr(names, "k", 1, None, "incr")).unwrap(), 2);
        flush();
        assert!(done(scene.client.expire(names, "k", long)).unwrap());
        flush();
        assert!(done(scene.client.persist(names, "k")).unwrap());
        flush();
        assert!(done(scene.client.add_tags(names, "k", &list(&["u"]))).unwrap());
        let right = scene.compute("k", Want { tags, is_forced: true, ..want() });
        flush();
        assert!(done(scene.client.renew(names, "k", &right, long)).unwrap());
        flush();
        let life = crate::scene::fresh(long);
        assert!(done(scene.client.fill(names, "k", right, b"3".to_vec(), life, &[])).unwrap());
        assert_eq!(scene.get("k").as_deref(), Some("3"));
        let right = scene.compute("k", Want { tags, is_forced: true, ..want() });
        flush();
        assert!(done(scene.client.release(names, "k", right)).unwrap());
        flush();
        assert_eq!(done(scene.client.delete_many(names, &list(&["k", "k", "j"]))).unwrap(), 1);
        scene.set("k", "1", Some(long), &list(&["t"]));
        flush();
        assert_eq!(done(scene.client.invalidate_tags(names, &list(&["t"]))).unwrap(), 1);
    }
}

#[test]
fn the_breaker_opens_with_faults_lets_one_probe_through_and_closes_with_an_answer() {
    let names = names("ns");
    let client = client([LATE, LATE, Ok(vec!["-ERR no\r\n"]), NOT_SENT, LOST]);
    let advance = |by: u64| client.link().state.lock().unwrap().now += by * 1_000_000;
    let fails = || done(client.get(&names, "k")).unwrap_err();
    client.ready("get").unwrap();
    fails();
    let error = client.ready("get_or_set").unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "get_or_set"));
    assert!(error.to_string().contains("500 ms"), "{error}");
    advance(500);
    client.ready("get").unwrap();
    client.ready("get").unwrap_err();
    fails();
    advance(999);
    client.ready("get").unwrap_err();
    advance(1);
    client.ready("get").unwrap();
    // An error of the server is an answer.
    assert_eq!(fails().kind(), ErrorKind::Response);
    client.ready("get").unwrap();
    client.ready("get").unwrap();
    fails();
    client.ready("get").unwrap_err();
    assert_eq!(sent(&client), 5);
}

#[test]
fn a_refusal_neither_opens_nor_closes_the_breaker() {
    let names = names("ns");
    let client =
        client([Err((Sent::No, Cause::Refused)), LATE, Err((Sent::No, Cause::Interrupted))]);
    done(client.get(&names, "k")).unwrap_err();
    client.ready("get").unwrap();
    done(client.get(&names, "k")).unwrap_err();
    done(client.get(&names, "k")).unwrap_err();
    client.ready("get").unwrap_err();
}

#[test]
fn replies_that_no_server_gives_are_errors_and_no_panic() {
    let names = names("ns");
    for reply in [":1\r\n", "*0\r\n", "%1\r\n+a\r\n:1\r\n"] {
        let odd = client([Ok(vec![reply])]);
        assert_eq!(done(odd.get(&names, "k")).unwrap_err().kind(), ErrorKind::Response);
    }
    for reply in ["$1\r\nx\r\n", ":1\r\n", "$-1\r\n"] {
        let odd = client([Ok(vec![reply])]);
        let error = done(odd.incr(&names, "k", 1, None, "decr")).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Response, "decr"));
    }
    let odd = client([Ok(vec!["+OK\r\n"])]);
    assert_eq!(done(odd.clear(&names)).unwrap_err().kind(), ErrorKind::Response);
}
