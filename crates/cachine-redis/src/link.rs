//! What carries commands to a server: the trait, a batch of commands, its replies, a fault.
//!
//! The logic above is written as `async fn` over this trait. A *blocking* link does its work inside
//! the first poll and never returns `Pending`, so threads need no runtime: [`finish`] polls once.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cachine_core::clock::Instant;
use redis::{Cmd, ServerErrorKind, Value};

use crate::script::Script;

/// A server that a link knows, by its place in the link's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node(pub u16);

/// Whether a batch may be sent again when nobody knows if it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Doing it twice leaves what doing it once leaves.
    Idempotent,
    /// Counters and locks: once the bytes have left, never again.
    Once,
}

/// Commands for one node, in one write.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each command begins in `bytes`.
    starts: Vec<usize>,
    scripts: Vec<(usize, &'static Script)>,
    class: Class,
}

/// The replies to a batch, one for each command.
#[derive(Debug)]
pub enum Replies {
    /// To a batch of one.
    One(Value),
    /// To any other.
    Many(Vec<Value>),
}

/// Whether a batch that failed may have reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not: it can be sent again whatever it does.
    No,
    /// Perhaps: the server may have carried it out.
    Maybe,
}

/// Why a link has no replies.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Whether the server may have seen the batch.
    pub sent: Sent,
    /// What happened.
    pub cause: Cause,
    /// The same in words, with the address of the server, without a secret.
    pub text: String,
}

/// What kind of fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Time was up.
    Deadline,
    /// Time was up before one of the connections was free, which says nothing about the server.
    Busy,
    /// There is no connection, or it broke.
    Connection,
    /// The server refused the greeting: a wrong password, an unknown database.
    Refused,
    /// The caller is to stop waiting: a signal has come.
    Interrupted,
}

/// Carries batches to servers.
pub trait Link: Send + Sync + 'static {
    /// Sends a batch to a node; all replies, or a fault, before `until`.
    fn call(
        &self,
        node: Node,
        batch: &Batch,
        until: Instant,
    ) -> impl Future<Output = Result<Replies, Fault>> + Send;

    /// Waits.
    fn sleep(&self, pause: Duration) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The time, as deadlines count it.
    fn now(&self) -> Instant;
}

/// Runs work over a blocking link: everything happens inside this one poll.
///
/// # Errors
///
/// [`Pending`] if the work waited for something else.
pub fn finish<F: Future>(work: F) -> Result<F::Output, Pending> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(Pending),
    }
}

/// A blocking link was awaited and did not answer at once: a defect of that link.
#[derive(Clone, Copy, Debug)]
pub struct Pending;

impl Batch {
    /// An empty batch.
    pub fn new(class: Class) -> Self {
        Self { bytes: Vec::new(), starts: Vec::new(), scripts: Vec::new(), class }
    }

    /// A batch of one command.
    pub fn one(class: Class, command: &Cmd) -> Self {
        let mut batch = Self::new(class);
        batch.push(command);
        batch
    }

    /// Adds a command.
    pub fn push(&mut self, command: &Cmd) {
        self.starts.push(self.bytes.len());
        command.write_packed_command(&mut self.bytes);
    }

    /// Adds a call of a script, by its digest. Not between `MULTI` and `EXEC`, where an unknown
    /// digest would lose the rest.
    pub fn script<K: AsRef<[u8]>, A: AsRef<[u8]>>(
        &mut self,
        script: &'static Script,
        keys: &[K],
        arguments: &[A],
    ) {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.digest()).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        for argument in arguments {
            command.arg(argument.as_ref());
        }
        self.scripts.push((self.starts.len(), script));
        self.push(&command);
    }

    /// What to send.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many replies it gets.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Whether it may be sent again.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The scripts that the server did not know by their digest, with their source; and the places
    /// of their replies. They did not run, so they may go again whatever the class.
    pub fn unknown_scripts(&self, replies: &Replies) -> Option<(Self, Vec<usize>)> {
        let is_unknown = |place: usize| {
            let kind = match replies.get(place) {
                Some(Value::ServerError(error)) => error.kind(),
                _ => None,
            };
            kind == Some(ServerErrorKind::NoScript)
        };
        let mut again = Self::new(self.class);
        let mut places = Vec::new();
        for &(place, script) in self.scripts.iter().filter(|&&(place, _)| is_unknown(place)) {
            let end = self.starts.get(place + 1).copied().unwrap_or(self.bytes.len());
            let command = &self.bytes[self.starts[place]..end];
            again.starts.push(again.bytes.len());
            script.replace_digest(command, &mut again.bytes);
            places.push(place);
        }
        (!places.is_empty()).then_some((again, places))
    }
}

impl Replies {
    /// The reply at a place.
    pub fn get(&self, place: usize) -> Option<&Value> {
        match self {
            Self::One(value) => (place == 0).then_some(value),
            Self::Many(values) => values.get(place),
        }
    }

    /// The only reply; of several the first.
    pub fn one(self) -> Value {
        match self {
            Self::One(value) => value,
            Self::Many(values) => values.into_iter().next().unwrap_or(Value::Nil),
        }
    }

    /// All replies.
    pub fn into_vec(self) -> Vec<Value> {
        match self {
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        }
    }

    /// Puts another reply in a place.
    pub fn replace(&mut self, place: usize, value: Value) {
        match self {
            Self::One(one) => *one = value,
            Self::Many(values) => values[place] = value,
        }
    }
}
