//! A blocking link over one socket, which counts its trips and lets a test do something before one.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cachine_core::clock::{Clock, Instant};
use cachine_redis::link::{Batch, Cause, Fault, Link, Node, Replies, Sent};
use redis::{Parser, Value};

/// What a test does before the trip of this number, counted from where it was set.
type Before = Box<dyn FnMut(usize) + Send>;

/// One connection at a time.
pub(crate) struct Socket {
    address: SocketAddr,
    /// What each new connection sends first.
    greeting: Vec<Vec<&'static str>>,
    connection: Mutex<Option<(TcpStream, Parser)>>,
    trips: AtomicUsize,
    before: Mutex<Option<Before>>,
    loses_reply: AtomicBool,
    largest: AtomicUsize,
}

impl Socket {
    pub(crate) fn new(address: SocketAddr, greeting: Vec<Vec<&'static str>>) -> Self {
        Self {
            address,
            greeting,
            connection: Mutex::default(),
            trips: AtomicUsize::new(0),
            before: Mutex::default(),
            loses_reply: AtomicBool::new(false),
            largest: AtomicUsize::new(0),
        }
    }

    /// How many batches were sent since the last time it was asked.
    pub(crate) fn trips(&self) -> usize {
        self.trips.swap(0, Ordering::Relaxed)
    }

    /// The most commands that one batch had.
    pub(crate) fn largest(&self) -> usize {
        self.largest.load(Ordering::Relaxed)
    }

    /// Calls this before each trip from now on, with 1 before the next one.
    pub(crate) fn before(&self, before: impl FnMut(usize) + Send + 'static) {
        self.trips();
        *self.before.lock().unwrap() = Some(Box::new(before));
    }

    /// Does nothing before trips any more.
    pub(crate) fn undisturbed(&self) {
        *self.before.lock().unwrap() = None;
    }

    /// Breaks the connection once, after the server has carried out what was sent.
    pub(crate) fn lose_next_reply(&self) {
        self.loses_reply.store(true, Ordering::Relaxed);
    }

    fn exchange(&self, batch: &Batch) -> io::Result<Vec<Value>> {
        let mut guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut stream, mut parser) = match guard.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        stream.write_all(batch.bytes())?;
        let values: Result<Vec<Value>, _> =
            (0..batch.len()).map(|_| parser.parse_value(&stream)).collect();
        let values = values.map_err(io::Error::other)?;
        if self.loses_reply.swap(false, Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        *guard = Some((stream, parser));
        Ok(values)
    }

    fn connect(&self) -> io::Result<(TcpStream, Parser)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut parser = Parser::new();
        for words in &self.greeting {
            let mut command = redis::Cmd::new();
            command.arg(words);
            stream.write_all(&command.get_packed_command())?;
            let reply = parser.parse_value(&stream).map_err(io::Error::other)?;
            assert!(!matches!(reply, Value::ServerError(_)), "{reply:?}");
        }
        Ok((stream, parser))
    }
}

impl Link for Socket {
    async fn call(&self, node: Node, batch: &Batch, _until: Instant) -> Result<Replies, Fault> {
        assert_eq!(node, Node(0));
        assert!(!batch.is_empty(), "a trip for nothing");
        self.largest.fetch_max(batch.len(), Ordering::Relaxed);
        let trip = self.trips.fetch_add(1, Ordering::Relaxed) + 1;
        // Taken out meanwhile: it may use this client itself.
        let before = self.before.lock().unwrap().take();
        if let Some(mut before) = before {
            before(trip);
            self.before.lock().unwrap().get_or_insert(before);
        }
        let mut values = self.exchange(batch).map_err(|error| Fault {
            sent: Sent::Maybe,
            cause: Cause::Connection,
            text: error.to_string(),
        })?;
        Ok(if values.len() == 1 { Replies::One(values.remove(0)) } else { Replies::Many(values) })
    }

    #[expect(clippy::disallowed_methods, reason = "a blocking link pauses its thread")]
    async fn sleep(&self, pause: Duration) -> Result<(), Fault> {
        std::thread::sleep(pause);
        Ok(())
    }

    fn now(&self) -> Instant {
        Clock::System.now()
    }
}
