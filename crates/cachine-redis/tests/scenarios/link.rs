//! A link that sends nothing by itself: the scheduler decides whose next commands go.
//!
//! In the *whole* mode a batch is one step. In the *split* mode each command is one, and commands of
//! others come in between: a pipeline is not atomic. A transaction stays whole, as a script does; and
//! `SCAN` returns a key or a few at a time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use cachine_core::clock::Instant;
use cachine_redis::link::{Batch, Fault, Link, Node, Replies};
use redis::Value;

use crate::wire::{commands, packed};

/// How much goes in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A batch.
    Whole,
    /// A command, a transaction, or a script.
    Split,
}

/// What a client needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// That its next commands are sent.
    Send,
    /// To compute, with a token of its own or without: the version of the source.
    Compute { key: usize, is_own: bool },
    /// To have computed: until then others may join.
    Computed,
    /// That the token that it found is gone.
    Wait { key: usize },
    /// To be told whether a computation is under way in its process.
    Fly { key: usize },
    /// That this computation has ended.
    Land,
    /// Nothing but its turn.
    Pause,
}

/// What a client is told that waited in vain.
pub(crate) const GIVE_UP: u64 = 1;

/// Between one client and the scheduler.
pub(crate) struct Port {
    mode: Mode,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    need: Option<Need>,
    answer: Option<u64>,
    /// What is not sent yet of a batch, and the replies to what was.
    units: VecDeque<Unit>,
    replies: Vec<Value>,
    /// What its last claim found.
    found: Found,
    /// Stale values that were given to callers whose refresh goes on.
    answered: Vec<u64>,
}

/// What stands in the place of a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) place: Vec<u8>,
    /// The call whose ending it is.
    pub(crate) maker: Option<u64>,
}

/// Commands that go in one step.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: usize,
}

impl Port {
    pub(crate) fn new(mode: Mode) -> Arc<Self> {
        Arc::new(Self { mode, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits until the scheduler answers.
    pub(crate) async fn ask(&self, need: Need) -> u64 {
        self.state().need = Some(need);
        poll_fn(|_| match self.state().answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    /// Tells what a claim has found: more than the client itself is told.
    pub(crate) fn tell(&self, found: Found) {
        self.state().found = found;
    }

    pub(crate) fn found(&self) -> Found {
        self.state().found.clone()
    }

    /// Notes a stale value that a caller has got.
    pub(crate) fn answered(&self, value: u64) {
        self.state().answered.push(value);
    }

    pub(crate) fn take_answered(&self) -> Vec<u64> {
        std::mem::take(&mut self.state().answered)
    }

    /// What the client waits for.
    pub(crate) fn need(&self) -> Option<Need> {
        self.state().need
    }

    /// Gives it, whatever it was but commands.
    pub(crate) fn give(&self, answer: u64) {
        let mut state = self.state();
        (state.need, state.answer) = (None, Some(answer));
    }

    /// The scripts that the next step calls.
    pub(crate) fn scripts(&self) -> Vec<Vec<u8>> {
        let state = self.state();
        let Some(next) = state.units.front() else { return Vec::new() };
        let commands = commands(&next.bytes).into_iter();
        let called = commands.filter(|(_, words)| words[0] == b"EVALSHA");
        called.map(|(_, words)| words[1].to_vec()).collect()
    }

    /// What is to be sent next.
    pub(crate) fn next_unit(&self) -> Unit {
        self.state().units.pop_front().expect("a client that sends has something to send")
    }

    /// The replies to it; whether that were all of the batch.
    pub(crate) fn deliver(&self, values: Vec<Value>) -> bool {
        let mut state = self.state();
        state.replies.extend(values);
        let is_done = state.units.is_empty();
        if is_done {
            (state.need, state.answer) = (None, Some(0));
        }
        is_done
    }
}

/// The link of one client.
pub(crate) struct Stepping(pub(crate) Arc<Port>);

impl Link for Stepping {
    async fn call(&self, _node: Node, batch: &Batch, _until: Instant) -> Result<Replies, Fault> {
        assert!(!batch.is_empty(), "a trip for nothing");
        self.0.state().units = units(batch, self.0.mode);
        self.0.ask(Need::Send).await;
        let mut values = std::mem::take(&mut self.0.state().replies);
        Ok(if values.len() == 1 { Replies::One(values.remove(0)) } else { Replies::Many(values) })
    }

    async fn sleep(&self, _pause: Duration) -> Result<(), Fault> {
        panic!("no operation on entries sleeps");
    }

    /// Time stands still, so nothing depends on how fast a machine is.
    fn now(&self) -> Instant {
        1
    }
}

fn units(batch: &Batch, mode: Mode) -> VecDeque<Unit> {
    if mode == Mode::Whole {
        return [Unit { bytes: batch.bytes().to_vec(), count: batch.len() }].into();
    }
    let mut units: VecDeque<Unit> = VecDeque::new();
    let mut is_open = false;
    for (place, mut words) in commands(batch.bytes()) {
        let bytes = if words[0] == b"SCAN" {
            let count = words.last_mut().expect("a count");
            *count = b"1";
            packed(&words)
        } else {
            batch.bytes()[place].to_vec()
        };
        match units.back_mut() {
            Some(unit) if is_open => {
                unit.bytes.extend(bytes);
                unit.count += 1;
            }
            _ => units.push_back(Unit { bytes, count: 1 }),
        }
        is_open = words[0] == b"MULTI" || (is_open && words[0] != b"EXEC");
    }
    units
}
