//! Finding and reaching a server, or not, inside of the deadline.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_redis::blocking::{Blocking, Lookup};
use cachine_redis::link::{Cause, Fault, Sent};
use cachine_redis::settings::{Address, Settings};
use redis::Value;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::calls::{Timed, call, get, incr, link_to, settings, timed};
use crate::fake::{Fake, hold, reply_with};
use crate::server::{Folder, Server};

const SHORT: Duration = Duration::from_millis(500);
/// A busy machine may take a while to notice; what is tested would take longer than this by far.
const LATE: Duration = Duration::from_millis(2500);

fn ends_in_time(link: &Blocking) -> Fault {
    let Timed { outcome, took } = timed(link, &incr("key"), SHORT);
    let fault = outcome.expect_err("nobody answers");
    assert_eq!((fault.cause, fault.sent), (Cause::Deadline, Sent::No), "{}", fault.text);
    assert!(took >= SHORT && took < LATE, "it took {took:?}");
    fault
}

/// A port that nobody listens on, kept by a socket that is bound to it.
fn dead_port() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&SockAddr::from(any)).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

/// A listener with a full queue: no further connection to it is ever established.
fn full(listener: Socket) -> Vec<Socket> {
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let socket = Socket::new(address.domain(), Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address);
        sockets.push(socket);
    }
    sockets
}

/// A look-up that leads to the loopback, counts its uses and lets nobody through a closed gate.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    used: AtomicUsize,
}

impl Gate {
    fn lookup(self: &Arc<Self>) -> Lookup {
        let gate = Arc::clone(self);
        Arc::new(move |host| {
            assert_eq!(host, "cache.example");
            gate.used.fetch_add(1, Ordering::SeqCst);
            let is_closed = |is_open: &mut bool| !*is_open;
            drop(gate.opened.wait_while(gate.is_open.lock().unwrap(), is_closed).unwrap());
            Ok(vec!["127.0.0.1:0".parse().unwrap()])
        })
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

fn named(port: u16, lookup: Lookup) -> Blocking {
    let address = Address::Tcp("cache.example".to_owned(), port);
    let settings = Settings { address, ..settings(port) };
    Blocking::new(settings, Clock::System).with_lookup(lookup)
}

#[test]
fn a_port_that_nobody_listens_on_fails_at_once() {
    let (_socket, port) = dead_port();
    let fault = call(&Blocking::new(settings(port), Clock::System), &incr("key")).unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::No), "{}", fault.text);
    assert!(fault.text.starts_with(&format!("127.0.0.1:{port}: ")), "{}", fault.text);
}

#[test]
fn a_server_that_accepts_nobody_is_left_at_the_deadline() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&SockAddr::from(any)).unwrap();
    let port = listener.local_addr().unwrap().as_socket().unwrap().port();
    let _sockets = full(listener);
    ends_in_time(&Blocking::new(settings(port), Clock::System));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_that_accepts_nobody_is_left_at_the_deadline() {
    let folder = Folder::new();
    let path = folder.path().join("full.sock");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    let _sockets = full(listener);
    let settings = Settings { address: Address::Unix(path), ..settings(0) };
    ends_in_time(&Blocking::new(settings, Clock::System));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_serves_like_a_port_and_its_absence_is_named() {
    let server = Server::start(&[]);
    let link = Blocking::new(server.unix_settings(), Clock::System);
    assert_eq!(call(&link, &incr("hits")).unwrap().one(), Value::Int(1));
    assert_eq!(call(&link, &incr("hits")).unwrap().one(), Value::Int(2));
    let folder = Folder::new();
    let path = folder.path().join("absent.sock");
    let settings = Settings { address: Address::Unix(path.clone()), ..settings(0) };
    let fault = call(&Blocking::new(settings, Clock::System), &get("key")).unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::No));
    assert!(fault.text.starts_with(path.to_str().unwrap()), "{}", fault.text);
}

#[test]
fn connecting_has_a_limit_of_its_own() {
    let server = Fake::serving(|mut stream| hold(&mut stream));
    let settings = Settings { connect_timeout: SHORT, ..settings(server.address.port()) };
    let link = Blocking::new(settings, Clock::System);
    let Timed { outcome, took } = timed(&link, &get("key"), Duration::from_secs(60));
    let fault = outcome.unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Deadline, Sent::No));
    assert!(fault.text.contains("connecting took longer than 500ms"), "{}", fault.text);
    assert!(took >= SHORT && took < LATE, "it took {took:?}");
}

#[test]
fn a_slow_look_up_ends_at_the_deadline_and_is_shared() {
    let server = Fake::serving(|stream| reply_with(stream, |_| b"+OK\r\n".to_vec()));
    let gate = Arc::new(Gate::default());
    let link = named(server.address.port(), gate.lookup());
    assert!(ends_in_time(&link).text.contains("look-up"));
    thread::scope(|scope| {
        let callers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| timed(&link, &get("key"), SHORT))).collect();
        for caller in callers {
            assert_eq!(caller.join().unwrap().outcome.unwrap_err().cause, Cause::Deadline);
        }
        assert_eq!(gate.used.load(Ordering::SeqCst), 1);
        let caller = scope.spawn(|| call(&link, &get("key")));
        gate.open();
        assert!(caller.join().unwrap().is_ok());
    });
    assert!(gate.used.load(Ordering::SeqCst) <= 2);
}

#[test]
fn a_look_up_that_fails_or_panics_is_a_connection_fault() {
    let failing: [Lookup; 3] = [
        Arc::new(|_| Err(io::Error::other("no such host"))),
        Arc::new(|_| Ok(Vec::new())),
        Arc::new(|_| panic!("a look-up panics, as this test wants")),
    ];
    for lookup in failing {
        let fault = call(&named(6, lookup), &incr("key")).unwrap_err();
        assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::No), "{}", fault.text);
        assert!(fault.text.starts_with("cache.example:6: the look-up of"), "{}", fault.text);
    }
}

#[test]
fn the_system_finds_localhost() {
    let server = Server::start(&[]);
    let address = Address::Tcp("localhost".to_owned(), server.port);
    let settings = Settings { address, ..settings(server.port) };
    let link = Blocking::new(settings, Clock::System);
    assert_eq!(call(&link, &incr("hits")).unwrap().one(), Value::Int(1));
}

#[test]
fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    // Both addresses have the same port: one is full, at the other a server answers.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let full_address: SocketAddr = format!("127.0.0.2:{port}").parse().unwrap();
    listener.bind(&SockAddr::from(full_address)).unwrap();
    let _sockets = full(listener);
    let serve = move || {
        let (stream, _) = server.accept().unwrap();
        reply_with(stream, |_| b"+OK\r\n".to_vec());
    };
    thread::Builder::new().spawn(serve).unwrap();
    let both = ["127.0.0.2:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let link = named(port, Arc::new(move |_| Ok(both.to_vec())));
    assert!(timed(&link, &get("key"), Duration::from_secs(2)).outcome.is_ok());
}

#[test]
fn there_is_only_one_node() {
    use cachine_redis::link::{Link, Node, finish};

    let server = Fake::serving(|mut stream| hold(&mut stream));
    let link = link_to(&server);
    let fault = finish(link.call(Node(1), &get("key"), u64::MAX)).unwrap().unwrap_err();
    assert_eq!((fault.cause, fault.sent), (Cause::Connection, Sent::No));
    assert_eq!(server.accepted(), 0);
}
