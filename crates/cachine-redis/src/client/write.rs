//! Writing and deleting: what takes effect whatever fills are under way.
//!
//! The token of a fill goes in the same step as the write, so a fill that began before it is not
//! stored after it (A1).

use std::time::Duration;

use cachine_codec::stored::{self, Meta};
use cachine_core::error::Error;
use redis::{Value, cmd};

use super::Client;
use super::call::Call;
use super::commands::{self, BATCH, on};
use super::read::{is_valid, returned_head};
use super::replies::{self, Answers};
use super::scripts::DELETE;
use crate::link::{Batch, Class, Link};
use crate::names::Names;

/// A batch of `set_many` ends when it has so many bytes.
const FULL: usize = 1 << 20;

impl<L: Link> Client<L> {
    /// Stores (fences fills of the key). A `ttl` of zero deletes. `stored` comes without metadata; the
    /// stamps of `tags` are put into it.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; [`ErrorKind::Serialization`](cachine_core::error::ErrorKind) for tags that
    /// a frame can't hold.
    pub async fn set(
        &self,
        names: &Names,
        key: &str,
        stored: Vec<u8>,
        ttl: Option<Duration>,
        tags: &[String],
    ) -> Result<(), Error> {
        let call = self.call("set");
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            return call.delete(names, &[key]).await.map(drop);
        }
        let mut batch = Batch::new(Class::Idempotent);
        if tags.is_empty() {
            begin(&mut batch);
            write(&mut batch, names, key, &stored, ttl);
        } else {
            let stamps = Box::pin(call.stamps(names, tags, ttl)).await?;
            let stored = stored::with_meta(&stored, &Meta { stale_window: None, stamps })
                .map_err(|error| Error::new(error.kind(), "set", error.to_string()))?;
            for stamp in stored::meta(&stored)?.stamps {
                call.index(&mut batch, names, key, &stamp, ttl, false);
            }
            begin(&mut batch);
            write(&mut batch, names, key, &stored, ttl);
        }
        batch.push(&cmd("EXEC"));
        commit(call.run(&batch).await?, batch.len(), "set")
    }

    /// Stores several, untagged. A `ttl` of zero deletes.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; the deadline is for each 500 keys or megabyte. What was sent before stays.
    pub async fn set_many(
        &self,
        names: &Names,
        entries: Vec<(String, Vec<u8>)>,
        ttl: Option<Duration>,
    ) -> Result<(), Error> {
        let mut call = self.call("set_many");
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            for entries in entries.chunks(BATCH) {
                call.renew();
                let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
                call.delete(names, &keys).await?;
            }
            return Ok(());
        }
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            call.renew();
            let mut batch = Batch::new(Class::Idempotent);
            begin(&mut batch);
            while batch.len() < 2 * BATCH
                && batch.bytes().len() < FULL
                && let Some((key, stored)) = entries.next()
            {
                write(&mut batch, names, &key, &stored, ttl);
            }
            batch.push(&cmd("EXEC"));
            commit(call.run(&batch).await?, batch.len(), "set_many")?;
        }
        Ok(())
    }

    /// Deletes; whether there was a live entry.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn delete(&self, names: &Names, key: &str) -> Result<bool, Error> {
        Ok(self.call("delete").delete(names, &[key]).await? > 0)
    }

    /// Deletes several; how many live entries there were.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; the deadline is for each 500 keys.
    pub async fn delete_many(&self, names: &Names, keys: &[String]) -> Result<u64, Error> {
        let mut call = self.call("delete_many");
        let mut deleted = 0;
        for keys in keys.chunks(BATCH) {
            call.renew();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            deleted += call.delete(names, &keys).await?;
        }
        Ok(deleted)
    }
}

impl<L: Link> Call<'_, L> {
    /// Deletes a batch; how many live entries there were. The stamps of those with tags are looked at
    /// afterwards.
    pub(super) async fn delete(&self, names: &Names, keys: &[&str]) -> Result<u64, Error> {
        let mut batch = Batch::new(Class::Idempotent);
        for key in keys {
            batch.script::<_, &[u8]>(&DELETE, &[names.token(key), names.entry(key)], &[]);
        }
        let mut answers = self.run(&batch).await?;
        let (mut deleted, mut tagged) = (0, Vec::new());
        for _ in keys {
            match answers.value()? {
                Value::Int(count) => deleted += u64::from(count > 0),
                head => tagged.push(returned_head(head, self.operation).unwrap_or_default()),
            }
        }
        if !tagged.is_empty() {
            let stamps = tagged.iter().flat_map(|head| &head.meta().stamps);
            let current = Box::pin(self.current(names, stamps)).await?;
            let live = tagged.iter().filter(|head| is_valid(&head.meta().stamps, &current));
            deleted += live.count() as u64;
        }
        Ok(deleted)
    }
}

fn begin(batch: &mut Batch) {
    batch.push(&cmd("MULTI"));
}

/// The two commands that write an entry, for a transaction.
fn write(batch: &mut Batch, names: &Names, key: &str, stored: &[u8], ttl: Option<Duration>) {
    batch.push(&on("UNLINK", &names.token(key)));
    batch.push(&commands::set(&names.entry(key), stored, ttl));
}

/// Checks the replies to a batch that ends in a transaction: to each command, then to all of them.
fn commit(mut answers: Answers, count: usize, operation: &'static str) -> Result<(), Error> {
    answers.skip(count - 1)?;
    let results = answers.list()?;
    results.into_iter().try_for_each(|result| replies::checked(result, operation).map(drop))
}
