//! How a thread waits: never past its deadline, and never long without asking whether to go on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachine_core::clock::{Clock, Instant};

use super::generation;
use crate::link::{Cause, Fault, Sent};

/// Says whether a caller is to stop waiting, because a signal has come. It is asked after an
/// interrupted system call, and every 200 ms; never under a lock.
pub type Hook = Arc<dyn Fn() -> bool + Send + Sync>;

/// The longest wait without asking.
pub(super) const SLICE: Duration = Duration::from_millis(200);

/// Why something can't go on, before somebody adds the address.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) cause: Cause,
    pub(super) what: String,
}

/// What every wait of one process needs.
pub(super) struct Waiting {
    pub(super) clock: Clock,
    pub(super) hook: Option<Hook>,
    pub(super) generation: u64,
}

impl Waiting {
    /// How long to wait next: to the deadline, but not longer than a slice.
    pub(super) fn slice(&self, until: Instant) -> Result<Duration, Trouble> {
        match until.saturating_sub(self.clock.now()) {
            0 => Err(Trouble::deadline()),
            left => Ok(SLICE.min(Duration::from_nanos(left))),
        }
    }

    /// Asks whether to go on. The hook may run anything, a fork included.
    pub(super) fn ask(&self) -> Result<(), Trouble> {
        if self.hook.as_ref().is_some_and(|hook| hook()) {
            return Err(Trouble::new(Cause::Interrupted, "the wait was interrupted by a signal"));
        }
        if generation::current() != self.generation {
            return Err(Trouble::new(Cause::Connection, "the process forked during the call"));
        }
        Ok(())
    }
}

impl Trouble {
    pub(super) fn new(cause: Cause, what: impl Into<String>) -> Self {
        Self { cause, what: what.into() }
    }

    pub(super) fn deadline() -> Self {
        Self::new(Cause::Deadline, "no answer within the deadline")
    }

    /// As a fault, still without the address.
    pub(super) fn fault(self, sent: Sent) -> Fault {
        Fault { sent, cause: self.cause, text: self.what }
    }

    pub(super) fn connection(error: impl fmt::Display) -> Self {
        Self::new(Cause::Connection, error.to_string())
    }
}
