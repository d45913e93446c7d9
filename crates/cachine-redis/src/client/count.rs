//! Counters: exact to 64 bits, created and given their life in one step.
//!
//! A plain decimal is counted inside the server. A counter in a frame (it has tags, or a stale window)
//! is counted here and put back if nobody changed it meanwhile, with the life it has. All of it is
//! [`Class::Once`]: an addition whose reply is lost is an error, never a second addition.

use std::time::Duration;

use cachine_codec::stored;
use cachine_core::error::{Error, ErrorKind};
use redis::Value;

use super::Client;
use super::call::Call;
use super::commands::life;
use super::read::stamps_of;
use super::replies;
use super::scripts::{COUNT, REPLACE};
use crate::link::{Batch, Class, Link};
use crate::names::Names;

/// An addition that fits one step, and what is left for a second.
struct Delta {
    first: i64,
    more: Option<i64>,
}

impl Delta {
    /// 2^63, which `decr` of the smallest integer adds, takes two steps: where the sum fits 64 bits,
    /// what lies between does too.
    fn new(delta: i128, operation: &'static str) -> Result<Self, Error> {
        if let Ok(first) = i64::try_from(delta) {
            return Ok(Self { first, more: None });
        }
        match delta.checked_sub(i128::from(i64::MAX)).map(i64::try_from) {
            Some(Ok(more)) if delta > 0 => Ok(Self { first: i64::MAX, more: Some(more) }),
            _ => Err(overflow(operation)),
        }
    }

    /// What a counter begins with.
    fn alone(&self) -> Option<i64> {
        self.more.is_none().then_some(self.first)
    }
}

/// An operation on one counter.
struct Counter<'a> {
    names: &'a Names,
    key: &'a str,
    delta: Delta,
    ttl: Option<Duration>,
}

impl<L: Link> Client<L> {
    /// Adds to a counter (fences fills of the key); the sum. `delta` is any i64 or its negation.
    /// `ttl_on_create` is the life of a counter that this call creates; zero stores nothing.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; [`ErrorKind::Serialization`] if the entry is no integer,
    /// [`ErrorKind::Overflow`] if the sum would leave 64 bits: then nothing has changed.
    pub async fn incr(
        &self,
        names: &Names,
        key: &str,
        delta: i128,
        ttl_on_create: Option<Duration>,
        operation: &'static str,
    ) -> Result<i64, Error> {
        let call = self.call(operation);
        let delta = Delta::new(delta, operation)?;
        let counter = Counter { names, key, delta, ttl: ttl_on_create };
        loop {
            let framed = match call.add(&counter).await? {
                Value::Array(framed) => framed.into_iter().next().unwrap_or_default(),
                sum => return number(sum, operation),
            };
            let framed = replies::bytes(framed, operation)?.unwrap_or_default();
            if let Some(sum) = Box::pin(call.add_framed(&counter, &framed)).await? {
                return Ok(sum);
            }
            call.check_time()?;
        }
    }
}

impl<L: Link> Call<'_, L> {
    /// Adds to a plain decimal, or creates it. A list of the stored bytes if it is in a frame.
    async fn add(&self, counter: &Counter<'_>) -> Result<Value, Error> {
        let Counter { names, key, delta, ttl } = counter;
        let text =
            |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let arguments =
            [text(Some(delta.first)), text(delta.more), text(delta.alone()), life(*ttl)];
        let mut batch = Batch::new(Class::Once);
        batch.script(&COUNT, &[names.token(key), names.entry(key)], &arguments);
        self.run(&batch).await?.value()
    }

    /// Adds to a counter in a frame; `None` if it is not what it was. One that a tag made invalid
    /// begins anew, without frame and tags.
    async fn add_framed(&self, counter: &Counter<'_>, old: &[u8]) -> Result<Option<i64>, Error> {
        let Counter { names, key, delta, ttl } = counter;
        let stamps = stamps_of(old);
        let (sum, new, life) = if stamps.is_empty() || self.are_current(names, &stamps).await? {
            let (sum, new) = self.sum(old, delta)?;
            (sum, new, "keep".to_owned())
        } else {
            let sum = delta.alone().ok_or_else(|| overflow(self.operation))?;
            (sum, sum.to_string().into_bytes(), life(*ttl))
        };
        let mut batch = Batch::new(Class::Once);
        let keys = [names.token(key), names.entry(key)];
        batch.script(&REPLACE, &keys, &[old, &new, life.as_bytes()]);
        let is_done = self.run(&batch).await?.integer()? == 1;
        Ok(is_done.then_some(sum))
    }

    fn sum(&self, old: &[u8], delta: &Delta) -> Result<(i64, Vec<u8>), Error> {
        let named = |error: Error| Error::new(error.kind(), self.operation, error.to_string());
        let (sum, new) = stored::count(old, delta.first).map_err(named)?;
        match delta.more {
            None => Ok((sum, new)),
            Some(more) => stored::count(&new, more).map_err(named),
        }
    }
}

fn number(sum: Value, operation: &'static str) -> Result<i64, Error> {
    let text = replies::bytes(sum, operation)?.unwrap_or_default();
    str::from_utf8(&text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| replies::unexpected("not the sum that was asked for", operation))
}

fn overflow(operation: &'static str) -> Error {
    let message =
        "the sum would leave the range of 64 bits, the counter stays as it is: set it anew";
    Error::new(ErrorKind::Overflow, operation, message)
}
