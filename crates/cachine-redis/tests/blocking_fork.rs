//! What becomes of a blocking link in the child of a fork. A process of its own, because the number
//! of the process is the same for all links in it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_redis::blocking::{Blocking, new_generation};
use cachine_redis::link::{Batch, Cause, Class, Fault, Link, Node, Replies, Sent, finish};
use cachine_redis::settings::{Address, Settings};

/// One test at a time: there is only one number.
static TURN: Mutex<()> = Mutex::new(());

/// What happens to the connections of a server, by their number.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Asked(usize),
    Closed(usize),
}

/// A server that answers everything but a command with the key `silence`.
fn server() -> (Settings, Receiver<Event>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, events) = channel();
    let accept = move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (stream, sender) = (stream.unwrap(), sender.clone());
            Builder::new().spawn(move || serve(number, stream, &sender)).unwrap();
        }
    };
    Builder::new().spawn(accept).unwrap();
    let address = Address::Tcp("127.0.0.1".to_owned(), port);
    (Settings { address, ..Settings::default() }, events)
}

fn serve(number: usize, mut stream: TcpStream, events: &Sender<Event>) {
    let mut bytes = [0; 4096];
    let mut greeted = 0;
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        // Each command begins with the number of its words.
        let commands = text.matches('*').count();
        if greeted >= 1 {
            events.send(Event::Asked(number)).unwrap();
        }
        greeted += commands;
        if !text.contains("silence") {
            let reply = if greeted == commands { "+PONG\r\n" } else { "+OK\r\n" };
            stream.write_all(reply.repeat(commands).as_bytes()).unwrap();
        }
    }
    let _ = events.send(Event::Closed(number));
}

/// What happens next, soon.
fn next(events: &Receiver<Event>) -> Event {
    events.recv_timeout(Duration::from_secs(10)).unwrap()
}

fn get(link: &Blocking, key: &str) -> Result<Replies, Fault> {
    let batch = Batch::one(Class::Idempotent, redis::cmd("GET").arg(key));
    finish(link.call(Node(0), &batch, link.now() + 60_000_000_000)).unwrap()
}

#[test]
fn a_child_never_uses_what_it_inherited_and_closes_it() {
    let _turn = TURN.lock();
    let (settings, events) = server();
    let link = Blocking::new(settings, Clock::System);
    for _ in 0..2 {
        get(&link, "key").unwrap();
        assert_eq!(next(&events), Event::Asked(0));
    }
    new_generation();
    link.forked();
    assert_eq!(next(&events), Event::Closed(0));
    get(&link, "key").unwrap();
    assert_eq!(next(&events), Event::Asked(1));
}

#[test]
fn a_child_that_was_not_told_about_its_links_is_as_safe() {
    let _turn = TURN.lock();
    let (settings, events) = server();
    let link = Blocking::new(settings, Clock::System);
    get(&link, "key").unwrap();
    assert_eq!(next(&events), Event::Asked(0));
    new_generation();
    new_generation();
    get(&link, "key").unwrap();
    assert_eq!(next(&events), Event::Asked(1));
    drop(link);
    let mut closed = [next(&events), next(&events)];
    closed.sort_by_key(|event| *event != Event::Closed(0));
    assert_eq!(closed, [Event::Closed(0), Event::Closed(1)]);
}

#[test]
fn a_fork_inside_of_a_call_ends_that_call_in_the_child() {
    let _turn = TURN.lock();
    let (settings, events) = server();
    let is_to_fork = Arc::new(AtomicBool::new(true));
    let hook = Arc::new(move || {
        if is_to_fork.swap(false, Ordering::SeqCst) {
            new_generation();
        }
        false
    });
    let link = Blocking::new(settings, Clock::System).on_wait(hook);
    let fault = get(&link, "silence").unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::Maybe), "{}", fault.text);
    assert!(fault.text.contains("fork"), "{}", fault.text);
    assert_eq!(next(&events), Event::Asked(0));
    get(&link, "key").unwrap();
    while next(&events) != Event::Asked(1) {}
}

#[test]
fn a_link_of_a_child_can_be_closed() {
    let _turn = TURN.lock();
    let (settings, events) = server();
    let link = Blocking::new(settings, Clock::System);
    get(&link, "key").unwrap();
    new_generation();
    link.forked();
    get(&link, "key").unwrap();
    link.close();
    assert!(get(&link, "key").is_err());
    let mut open = vec![0, 1];
    while !open.is_empty() {
        let event = next(&events);
        open.retain(|number| event != Event::Closed(*number));
    }
}
