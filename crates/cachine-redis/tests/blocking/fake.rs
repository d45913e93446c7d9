//! A server of a few lines: what it does with a connection is a closure.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::Duration;

/// Listens on a free port of the loopback for as long as the process lives.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Fake {
    /// A server that does this with every connection, each in a thread of its own.
    pub(crate) fn serving(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::counting(move |_, stream| serve(stream))
    }

    /// The same, for one that wants to know which connection it is, from zero on.
    pub(crate) fn counting(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (serve, count) = (Arc::new(serve), Arc::clone(&accepted));
        let accept = move || {
            for stream in listener.incoming() {
                let (stream, serve) = (stream.unwrap(), Arc::clone(&serve));
                let number = count.fetch_add(1, Ordering::SeqCst);
                Builder::new().spawn(move || serve(number, stream)).unwrap();
            }
        };
        Builder::new().spawn(accept).unwrap();
        Self { address, accepted }
    }

    /// How many connections came.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Answers the greeting: a link without password sends one command.
pub(crate) fn greet(stream: &mut TcpStream) {
    take(stream, 1);
    stream.write_all(b"+PONG\r\n").unwrap();
}

/// Reads commands and returns them; fewer if the peer has gone.
pub(crate) fn take(stream: &mut impl Read, count: usize) -> Vec<Vec<String>> {
    (0..count).map_while(|_| command(stream)).collect()
}

fn command(stream: &mut impl Read) -> Option<Vec<String>> {
    let count: usize = line(stream)?[1..].parse().unwrap();
    (0..count).map(|_| argument(stream)).collect()
}

fn argument(stream: &mut impl Read) -> Option<String> {
    let length: usize = line(stream)?[1..].parse().unwrap();
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes).ok()?;
    bytes.truncate(length);
    Some(String::from_utf8(bytes).unwrap())
}

fn line(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Some(String::from_utf8(line).unwrap())
}

/// Sends a byte every 100 ms until all are sent or the peer has gone.
pub(crate) fn drip(stream: &mut impl Write, bytes: &[u8]) {
    for byte in bytes {
        pause(Duration::from_millis(100));
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
    }
}

/// Keeps the connection open until the peer closes it, and says nothing.
pub(crate) fn hold(stream: &mut impl Read) {
    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
}

/// Part of what a misbehaving server does; no test waits for time to pass.
#[expect(clippy::disallowed_methods, reason = "a slow server is slow in real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Greets, then answers every command.
pub(crate) fn reply_with(mut stream: TcpStream, reply: impl Fn(&[String]) -> Vec<u8>) {
    greet(&mut stream);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let [command] = &*take(&mut reader, 1) {
        if stream.write_all(&reply(command)).is_err() {
            return;
        }
    }
}
