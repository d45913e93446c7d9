//! Locks that programs on any number of hosts take from each other.
//!
//! A lock is a key with an end, so that one whose holder dies is soon free; a holder that lives renews it. What
//! stands in it is a random number of the holder's own, which renewal and release compare: who comes too
//! late touches nobody else's. A holder that was frozen past the end does not know at once that the
//! lock is another's, so each has a *fencing token* that is larger than all before it (Kleppmann, "How to do
//! distributed locking", 2016).
//!
//! This is one lock in one server, not Redlock: a failover to a replica that had not heard of it yet may
//! give it away twice. The tokens tell.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cachine_core::error::Error;
use redis::Value;

use super::Client;
use super::call::{Call, may_repeat};
use super::commands::milliseconds;
use super::replies::{self, failure};
use super::scripts::{LOCK, RELEASE, RENEW};
use crate::link::{Batch, Class, Link, Sent};
use crate::names::Names;
use crate::random;

/// How long the last fencing token of a lock is remembered behind its end: longer than a clock is ever
/// set back by.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// What asking for a lock came to.
#[derive(Debug)]
pub enum Locked {
    /// It is held: renew it, and give it back.
    Held(Hold),
    /// Somebody else holds it; it ends after this time unless it is renewed. Zero if it ends just now.
    Taken(Duration),
}

/// A lock that is held.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Whose it is: random, new for each try.
    holder: Box<[u8]>,
    token: u64,
}

impl Hold {
    /// The fencing token: larger than that of every hold of this lock before it.
    pub const fn token(&self) -> u64 {
        self.token
    }
}

impl<L: Link> Client<L> {
    /// Takes a lock for `ttl`, if nobody has it. What a try may have taken whose
    /// answer was lost is given back, by the next try if the server did not answer at all.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn lock(&self, names: &Names, name: &str, ttl: Duration) -> Result<Locked, Error> {
        let call = self.call("lock");
        let holder = random::token(call.operation)?;
        let keys = names.lock(name);
        let lives =
            [ttl, ttl.saturating_add(REMEMBERED)].map(milliseconds).map(|it| it.to_string());
        let mut batch = Batch::new(Class::Once);
        let lost = self.lost_locks.take();
        for Lost { lock, holder } in &lost {
            batch.script(&RELEASE, &[lock], &[holder]);
        }
        batch.script(&LOCK, &keys, &[&holder[..], lives[0].as_bytes(), lives[1].as_bytes()]);
        let outcome = call.exchange(&batch).await;
        let answer = match outcome {
            Ok((mut answers, _)) => {
                // Each was there, or it was not; one that the server could not look after comes again.
                let refused = lost.into_iter().filter(|_| answers.value().is_err());
                self.lost_locks.add(refused.collect());
                answers.value()?
            }
            Err(fault) => {
                let sent = fault.sent;
                self.lost_locks.add(lost);
                if sent == Sent::Maybe {
                    let [lock, _] = keys;
                    Box::pin(call.give_lock_back(Lost { lock, holder })).await;
                }
                return Err(failure(fault, call.operation));
            }
        };
        Ok(match answer {
            Value::Int(left) => {
                Locked::Taken(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
            }
            text => Locked::Held(Hold { holder, token: token_of(text, call.operation)? }),
        })
    }

    /// Lets a lock live for another `ttl`; whether it was still held.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn renew_lock(
        &self,
        names: &Names,
        name: &str,
        hold: &Hold,
        ttl: Duration,
    ) -> Result<bool, Error> {
        let [lock, _] = names.lock(name);
        let ttl = milliseconds(ttl).to_string();
        let mut batch = Batch::new(Class::Idempotent);
        batch.script(&RENEW, &[&lock], &[&hold.holder[..], ttl.as_bytes()]);
        Ok(self.call("lock").run(&batch).await?.integer()? == 1)
    }

    /// Gives a lock back; whether it was still held.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn unlock(&self, names: &Names, name: &str, hold: &Hold) -> Result<bool, Error> {
        let call = self.call("lock");
        let [lock, _] = names.lock(name);
        let mut batch = Batch::new(Class::Once);
        batch.script(&RELEASE, &[&lock], &[&hold.holder]);
        match call.exchange(&batch).await {
            Ok((mut answers, _)) => Ok(answers.integer()? == 1),
            Err(fault) if may_repeat(&fault, Class::Idempotent) && !call.is_over() => {
                // The first one may have done it, so the answer to the second says nothing.
                Box::pin(call.run(&batch)).await?.integer().map(|_| true)
            }
            Err(fault) => Err(failure(fault, call.operation)),
        }
    }
}

impl<L: Link> Call<'_, L> {
    /// Gives back what a try may have taken whose answer was lost: now if there is time, else with the next
    /// try of anybody here. Everybody would wait for its end.
    async fn give_lock_back(&self, lost: Lost) {
        let mut is_back = false;
        if !self.is_over() {
            let mut batch = Batch::new(Class::Idempotent);
            batch.script(&RELEASE, &[&lost.lock], &[&lost.holder]);
            is_back = self.run(&batch).await.is_ok();
        }
        if !is_back {
            self.client.lost_locks.add(vec![lost]);
        }
    }
}

/// A lock that was perhaps taken by a try whose answer was lost.
#[derive(Debug)]
pub(super) struct Lost {
    lock: Vec<u8>,
    holder: Box<[u8]>,
}

/// Those that are still to be given back.
#[derive(Debug, Default)]
pub(super) struct LostLocks(Mutex<Vec<Lost>>);

impl LostLocks {
    /// More are not remembered: they end by themselves.
    const MOST: usize = 100;

    fn lock(&self) -> MutexGuard<'_, Vec<Lost>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Lost> {
        std::mem::take(&mut *self.lock())
    }

    fn add(&self, mut more: Vec<Lost>) {
        let mut lost = self.lock();
        lost.append(&mut more);
        lost.truncate(Self::MOST);
    }
}

fn token_of(answer: Value, operation: &'static str) -> Result<u64, Error> {
    let text = replies::bytes(answer, operation)?.unwrap_or_default();
    str::from_utf8(&text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| replies::unexpected("not the token that was asked for", operation))
}
