//! One connection: bytes out, replies in, and whether it may be used again.

use std::io::{self, Read};

use cachine_core::clock::Instant;
use redis::{Parser, Value};

use super::framing::Framing;
use super::stream::Stream;
use super::waiting::Trouble;
use crate::greeting::Greeting;
use crate::link::{Batch, Cause, Fault, Replies, Sent};

/// A connection that its server has greeted.
pub(super) struct Connection {
    stream: Stream,
    parser: Parser,
    framing: Framing,
    /// How many replies were parsed, push messages included.
    parsed: u64,
}

/// A stream that is watched while the parser reads it.
struct Watched<'a> {
    stream: &'a mut Stream,
    framing: &'a mut Framing,
}

impl Connection {
    /// Greets the server. Until that has gone well, nothing can have been carried out.
    pub(super) fn greet(stream: Stream, greeting: &Greeting) -> Result<Self, Fault> {
        let (parser, framing) = (Parser::new(), Framing::new());
        let mut new = Self { stream, parser, framing, parsed: 0 };
        let sent = new.stream.send(greeting.bytes()).map_err(|error| new.trouble(&error));
        let mut replies = Vec::with_capacity(greeting.replies());
        let mut failure = sent.err();
        while replies.len() < greeting.replies() {
            match new.reply() {
                Ok(reply) => replies.push(reply),
                // A server that is full says so and closes without having read: the first failure
                // is then that of sending.
                Err(trouble) => {
                    failure.get_or_insert(trouble);
                    break;
                }
            }
            greeting.verdict(&replies)?;
        }
        match failure {
            None => Ok(new),
            Some(trouble) => Err(trouble.fault(Sent::No)),
        }
    }

    /// Sends a batch and waits for its replies; `now` if the clock was just read.
    pub(super) fn exchange(
        &mut self,
        batch: &Batch,
        until: Instant,
        now: Option<Instant>,
    ) -> Result<Replies, Fault> {
        self.stream.wire_mut().begin(until, now);
        let replies = self.send(batch).and_then(|()| self.replies(batch.len()));
        replies.map_err(|trouble| {
            let has_sent = self.stream.wire().has_sent();
            trouble.fault(if has_sent { Sent::Maybe } else { Sent::No })
        })
    }

    fn send(&mut self, batch: &Batch) -> Result<(), Trouble> {
        self.stream.send(batch.bytes()).map_err(|error| self.trouble(&error))
    }

    fn replies(&mut self, count: usize) -> Result<Replies, Trouble> {
        if count == 1 {
            return self.reply().map(Replies::One);
        }
        (0..count).map(|_| self.reply()).collect::<Result<_, _>>().map(Replies::Many)
    }

    /// The next reply. Push messages are nobody's.
    fn reply(&mut self) -> Result<Value, Trouble> {
        loop {
            let Self { stream, framing, .. } = self;
            match self.parser.parse_value(Watched { stream, framing }) {
                Ok(value) => {
                    self.parsed += 1;
                    if !matches!(value, Value::Push { .. }) {
                        return Ok(value);
                    }
                }
                // What the parser says may repeat what was stored.
                Err(_) => return Err(self.trouble(&io::ErrorKind::InvalidData.into())),
            }
        }
    }

    /// What went wrong on the wire; if nothing did, the server does not speak its protocol.
    fn trouble(&mut self, error: &io::Error) -> Trouble {
        let trouble = self.stream.wire_mut().take_trouble();
        trouble.unwrap_or_else(|| match error.kind() {
            io::ErrorKind::InvalidData => garbage(),
            _ => Trouble::connection(error),
        })
    }

    /// Whether every byte that came belonged to a reply that was taken.
    pub(super) fn is_clean(&mut self) -> bool {
        self.framing.complete() == Some(self.parsed) && !self.stream.has_rest()
    }

    /// When it was last used, or a moment before.
    pub(super) fn used(&self) -> Instant {
        self.stream.wire().seen()
    }

    /// Whether the peer still says nothing, as it should while it is not asked.
    pub(super) fn is_quiet(&self) -> bool {
        !self.stream.wire().socket().is_readable()
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(bytes)?;
        if self.framing.pass(&bytes[..count]).is_err() {
            return Err(self.stream.wire_mut().fail(garbage()));
        }
        Ok(count)
    }
}

fn garbage() -> Trouble {
    Trouble::new(Cause::Connection, "what it says is not the protocol of Redis")
}
