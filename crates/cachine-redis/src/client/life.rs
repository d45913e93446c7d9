//! A new life for an entry: `expire`, `persist`, `touch`.
//!
//! One trip where there are no tags. An entry with tags has records that must live as long as it
//! does: they are prolonged first, then the entry if it still has these tags and stamps (A8).

use std::time::Duration;

use cachine_codec::stored::{Head, Meta};
use cachine_core::error::Error;
use redis::Value;

use super::Client;
use super::call::Call;
use super::commands::life;
use super::read::returned_head;
use super::scripts::{AMEND, LIVE};
use crate::link::{Batch, Class, Link};
use crate::names::Names;

/// What [`AMEND`] is to do with the life of an entry.
pub(super) enum Life {
    /// Leave it, if it is not longer than so many milliseconds.
    Keep(Option<i64>),
    /// A new one; `None` for ever.
    New(Option<Duration>),
}

/// What became of an entry that was to be amended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Amended {
    /// It is not what it was: start again.
    Changed,
    /// It had an end before.
    Ending,
    /// It had none.
    Endless,
}

impl<L: Link> Client<L> {
    /// A new life, fresh to its end; zero deletes. Whether there was a live entry.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn expire(&self, names: &Names, key: &str, ttl: Duration) -> Result<bool, Error> {
        self.call("expire").expire(names, key, ttl).await
    }

    /// Fresh for ever; whether there was an end.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn persist(&self, names: &Names, key: &str) -> Result<bool, Error> {
        self.call("persist").live(names, key, None).await
    }

    /// Counts as a use, with a new life if one is given; whether there was a live entry.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn touch(
        &self,
        names: &Names,
        key: &str,
        ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        let call = self.call("touch");
        match ttl {
            None => call.is_there(names, key, "TOUCH").await,
            Some(ttl) => call.expire(names, key, ttl).await,
        }
    }
}

impl<L: Link> Call<'_, L> {
    async fn expire(&self, names: &Names, key: &str, ttl: Duration) -> Result<bool, Error> {
        if ttl.is_zero() {
            return Ok(self.delete(names, &[key]).await? > 0);
        }
        self.live(names, key, Some(ttl)).await
    }

    /// A new life; whether that changed something.
    async fn live(&self, names: &Names, key: &str, ttl: Option<Duration>) -> Result<bool, Error> {
        let entry = names.entry(key);
        loop {
            let mut batch = Batch::new(Class::Idempotent);
            batch.script(&LIVE, &[&entry], &[life(ttl)]);
            let head = match self.run(&batch).await?.value()? {
                Value::Int(done) => return Ok(done == 1),
                head => returned_head(head, self.operation)?,
            };
            if let Some(is_changed) = Box::pin(self.live_tagged(names, key, &head, ttl)).await? {
                return Ok(is_changed);
            }
            self.check_time()?;
        }
    }

    /// A new life for an entry with tags; `None` if it is not what it was.
    async fn live_tagged(
        &self,
        names: &Names,
        key: &str,
        head: &Head,
        ttl: Option<Duration>,
    ) -> Result<Option<bool>, Error> {
        let stamps = &head.meta().stamps;
        let mut batch = Batch::new(Class::Idempotent);
        for stamp in stamps {
            self.index(&mut batch, names, key, stamp, ttl, true);
        }
        let mut answers = self.run(&batch).await?;
        for _ in stamps {
            if answers.integer()? == 0 {
                return Ok(Some(false));
            }
        }
        let meta = Meta { stale_window: None, stamps: stamps.clone() };
        let mut batch = Batch::new(Class::Idempotent);
        self.amend(&mut batch, &names.entry(key), head, &meta, &Life::New(ttl))?;
        Ok(match amended(self.run(&batch).await?.integer()?) {
            Amended::Changed => None,
            Amended::Ending => Some(true),
            // `persist` had nothing to do.
            Amended::Endless => Some(ttl.is_some()),
        })
    }

    /// Adds the script that puts other metadata in the place of what is there.
    pub(super) fn amend(
        &self,
        batch: &mut Batch,
        entry: &[u8],
        head: &Head,
        meta: &Meta,
        life: &Life,
    ) -> Result<(), Error> {
        let named = |error: Error| Error::new(error.kind(), self.operation, error.to_string());
        let old = head.with_meta(head.meta()).map_err(named)?;
        let new = head.with_meta(meta).map_err(named)?;
        let (life, most) = match life {
            Life::Keep(most) => {
                ("keep".to_owned(), most.map(|most| most.to_string()).unwrap_or_default())
            }
            Life::New(ttl) => (self::life(*ttl), String::new()),
        };
        batch.script(&AMEND, &[entry], &[&old, &new, life.as_bytes(), most.as_bytes()]);
        Ok(())
    }
}

/// What the script answered.
pub(super) fn amended(answer: i64) -> Amended {
    match answer {
        0 => Amended::Changed,
        1 => Amended::Ending,
        _ => Amended::Endless,
    }
}
