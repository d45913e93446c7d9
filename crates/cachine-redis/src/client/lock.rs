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
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// Takes a lock for `ttl`, if nobody has it. A try whose answer was lost gives back what it may have
    /// taken.
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
        batch.script(&LOCK, &keys, &[&holder[..], lives[0].as_bytes(), lives[1].as_bytes()]);
        let answer = match call.exchange(&batch).await {
            Ok((mut answers, _)) => answers.value()?,
            Err(fault) => {
                // If it did arrive, everybody would wait for its end.
                if fault.sent == Sent::Maybe && !call.is_over() {
                    Box::pin(call.give_lock_back(&keys[0], &holder)).await;
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
    async fn give_lock_back(&self, lock: &[u8], holder: &[u8]) {
        let mut batch = Batch::new(Class::Idempotent);
        batch.script(&RELEASE, &[lock], &[holder]);
        drop(self.run(&batch).await);
    }
}

fn token_of(answer: Value, operation: &'static str) -> Result<u64, Error> {
    let text = replies::bytes(answer, operation)?.unwrap_or_default();
    str::from_utf8(&text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| replies::unexpected("not the token that was asked for", operation))
}
