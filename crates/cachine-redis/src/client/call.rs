//! One operation: its deadline, and the only place that sends a batch and sends it again.
//!
//! 1. A batch that certainly did not leave may go once more, whatever it does.
//! 2. One that may have arrived goes once more if that is harmless ([`Class::Idempotent`]).
//! 3. Nothing goes after the deadline, after a refusal, or after a signal.
//! 4. Scripts that the server did not know have not run: they go again, with their source.

use std::time::Duration;

use cachine_core::clock::{Instant, nanoseconds};
use cachine_core::error::{Error, ErrorKind};

use super::Client;
use super::replies::{Answers, failure};
use crate::link::{Batch, Cause, Class, Fault, Link, Node, Replies, Sent};

/// An operation under way.
pub(super) struct Call<'a, L> {
    pub(super) client: &'a Client<L>,
    pub(super) operation: &'static str,
    until: Instant,
}

impl<L: Link> Client<L> {
    /// Begins an operation; its time runs.
    pub(super) fn call(&self, operation: &'static str) -> Call<'_, L> {
        Call { client: self, operation, until: self.deadline() }
    }

    fn deadline(&self) -> Instant {
        self.link.now().saturating_add(nanoseconds(self.timeout))
    }

    /// How much longer than an entry its records live: longer than the longest write takes, because
    /// they are written first (A8).
    pub(super) fn margin(&self) -> Duration {
        (self.timeout * 2).clamp(Duration::from_millis(1), Duration::from_secs(10))
    }
}

impl<L: Link> Call<'_, L> {
    /// Gives the next batch the whole time again.
    pub(super) fn renew(&mut self) {
        self.until = self.client.deadline();
    }

    /// Sends a batch; its replies. Errors of the server stand in them.
    pub(super) async fn run(&self, batch: &Batch) -> Result<Answers, Error> {
        let outcome = self.exchange(batch).await;
        outcome.map(|(answers, _)| answers).map_err(|fault| {
            let is_uncertain = fault.sent == Sent::Maybe && batch.class() == Class::Once;
            let error = failure(fault, self.operation);
            if is_uncertain { error.uncertain() } else { error }
        })
    }

    /// The same, and whether scripts were sent again: they then ran after the rest of the batch.
    pub(super) async fn exchange(&self, batch: &Batch) -> Result<(Answers, bool), Fault> {
        let mut replies = self.send(batch).await?;
        let again = batch.unknown_scripts(&replies);
        let was_resent = again.is_some();
        if let Some((again, places)) = again {
            let late = self.send(&again).await?;
            for (place, value) in places.into_iter().zip(late.into_vec()) {
                replies.replace(place, value);
            }
        }
        Ok((Answers::new(replies, self.operation), was_resent))
    }

    async fn send(&self, batch: &Batch) -> Result<Replies, Fault> {
        let link = &self.client.link;
        let mut outcome = link.call(Node(0), batch, self.until).await;
        if let Err(fault) = &outcome
            && may_repeat(fault, batch.class())
            && !self.is_over()
        {
            outcome = link.call(Node(0), batch, self.until).await;
        }
        let breaker = &self.client.breaker;
        match &outcome {
            Ok(_) => breaker.succeeded(),
            Err(fault) => match fault.cause {
                Cause::Deadline => breaker.failed(link.now(), true),
                Cause::Connection => breaker.failed(link.now(), false),
                Cause::Busy | Cause::Refused | Cause::Interrupted => breaker.left(link.now()),
            },
        }
        outcome
    }

    pub(super) fn is_over(&self) -> bool {
        self.client.link.now() >= self.until
    }

    /// For operations that start again when somebody else was faster.
    pub(super) fn check_time(&self) -> Result<(), Error> {
        if self.is_over() {
            let message = "the entry was changed by others again and again until time was up: \
                           try again";
            return Err(Error::new(ErrorKind::Timeout, self.operation, message));
        }
        Ok(())
    }
}

/// Whether a batch of this class may be sent once more.
pub(super) fn may_repeat(fault: &Fault, class: Class) -> bool {
    match (fault.sent, fault.cause) {
        (_, Cause::Deadline | Cause::Busy | Cause::Refused | Cause::Interrupted) => false,
        (Sent::No, Cause::Connection) => true,
        (Sent::Maybe, Cause::Connection) => class == Class::Idempotent,
    }
}
