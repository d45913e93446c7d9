//! A connection as bytes out and replies in, encrypted or not, greeted before anything else.

use std::future::poll_fn;
use std::io::{self, Read};
use std::task::{Context, Poll};

use redis::{Parser, Value};

use crate::greeting::Greeting;
use crate::link::{Cause, Fault};
use crate::tokio_link::socket::{Polled, Socket};
use crate::tokio_link::wire::{Plan, Wire};

/// What was larger than this once is given back when it is empty.
const KEPT: usize = 1 << 20;

/// A connection to a server.
pub(super) struct Line {
    socket: Socket,
    wire: Wire,
    parser: Parser,
    /// What is to be written, and how much of it was.
    out: Vec<u8>,
    written: usize,
}

/// Reads for a parser, and keeps what went wrong: the parser would only tell it in its own words.
struct Source<'w, 'a, 'c> {
    wire: &'w mut Wire,
    socket: Polled<'a, 'c>,
    error: Option<io::Error>,
}

impl Line {
    /// Connects and greets.
    pub(super) async fn open(plan: &Plan) -> Result<Self, Fault> {
        let broken = |error: io::Error| plan.fault(Cause::Connection, &error);
        let wire = Wire::new(plan)?;
        let socket = Socket::connect(&plan.settings.address).await.map_err(broken)?;
        let mut line = Self { socket, wire, parser: Parser::new(), out: Vec::new(), written: 0 };
        line.greet(&Greeting::new(&plan.settings), broken).await?;
        Ok(line)
    }

    async fn greet(
        &mut self,
        greeting: &Greeting,
        fault: impl Fn(io::Error) -> Fault,
    ) -> Result<(), Fault> {
        self.push(greeting.bytes());
        let mut replies = Vec::with_capacity(greeting.replies());
        while replies.len() < greeting.replies() {
            replies.push(poll_fn(|context| self.poll_reply(context)).await.map_err(&fault)?);
            greeting.verdict(&replies)?;
        }
        Ok(())
    }

    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Value>> {
        match self.write(context).and_then(|()| self.read(context)) {
            Ok(Some(value)) => Poll::Ready(Ok(value)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Adds to what is to be written.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Writes as much as the socket takes.
    pub(super) fn write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut socket = Polled { socket: &mut self.socket, context };
        while self.written < self.out.len() {
            match self.wire.write(&mut socket, &self.out[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.written = 0;
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.wire.flush(&mut socket)
    }

    /// The next reply; `None` where it has not arrived as a whole.
    pub(super) fn read(&mut self, context: &mut Context<'_>) -> io::Result<Option<Value>> {
        let socket = Polled { socket: &mut self.socket, context };
        let mut source = Source { wire: &mut self.wire, socket, error: None };
        loop {
            match self.parser.parse_value(&mut source) {
                Ok(Value::Push { .. }) => {}
                Ok(value) => return Ok(Some(value)),
                Err(_) => break,
            }
        }
        match source.error {
            Some(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Some(error) => Err(error),
            // Its own message would quote what came, which may be a value.
            None => Err(io::Error::other("what came is not what a Redis says")),
        }
    }
}

impl Read for Source<'_, '_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match self.wire.read(&mut self.socket, into) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it")),
            read => read,
        };
        read.map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            kind.into()
        })
    }
}
