//! Reading entries: the bytes of one or many, whether there is one, how long it will live.
//!
//! An entry that names tags is alive while all of them have the stamps that it carries. The stamps are
//! read after the entry, so what a finished invalidation has made invalid is never returned.

use std::collections::{HashMap, HashSet};

use cachine_codec::stored::{self, Head, Stamp};
use cachine_core::error::Error;
use cachine_core::store::Remaining;
use redis::Value;

use super::Client;
use super::call::Call;
use super::commands::{BATCH, HEAD, beginning, on};
use super::replies;
use crate::link::{Batch, Class, Link};
use crate::names::Names;

/// The stamps that tags have now; none where there is no record.
pub(super) type Current = HashMap<Box<str>, Option<u64>>;

impl<L: Link> Client<L> {
    /// The stored bytes of a live entry.
    ///
    /// # Errors
    ///
    /// As every operation: [`ErrorKind`](cachine_core::error::ErrorKind) `Timeout`, `Connection`, and
    /// `Response` for what the server refuses.
    pub async fn get(&self, names: &Names, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let call = self.call("get");
        let batch = Batch::one(Class::Idempotent, &on("GET", &names.entry(key)));
        let Some(found) = call.run(&batch).await?.bytes()? else { return Ok(None) };
        let stamps = stamps_of(&found);
        if stamps.is_empty() {
            return Ok(Some(found));
        }
        let is_valid = Box::pin(call.are_current(names, &stamps)).await?;
        Ok(is_valid.then_some(found))
    }

    /// The stored bytes of live entries, in the order of the keys.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; the deadline is for each 500 keys.
    pub async fn get_many(
        &self,
        names: &Names,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut call = self.call("get_many");
        let mut all = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            call.renew();
            let mut command = redis::cmd("MGET");
            for key in keys {
                command.arg(names.entry(key));
            }
            let batch = Batch::one(Class::Idempotent, &command);
            let values = call.run(&batch).await?.list()?;
            if values.len() != keys.len() {
                return Err(replies::unexpected(
                    "fewer or more values than were asked for",
                    "get_many",
                ));
            }
            let found: Result<Vec<_>, Error> =
                values.into_iter().map(|value| replies::bytes(value, "get_many")).collect();
            let mut found = found?;
            let stamps: Vec<Vec<Stamp>> =
                found.iter().map(|found| found.as_deref().map_or(Vec::new(), stamps_of)).collect();
            let current = Box::pin(call.current(names, stamps.iter().flatten())).await?;
            for (found, stamps) in found.iter_mut().zip(&stamps) {
                if !is_valid(stamps, &current) {
                    *found = None;
                }
            }
            all.append(&mut found);
        }
        Ok(all)
    }

    /// Whether there is a live entry, or a key of another kind.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn exists(&self, names: &Names, key: &str) -> Result<bool, Error> {
        let call = self.call("exists");
        call.is_there(names, key, "EXISTS").await
    }

    /// How much life a live entry has left.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn remaining(&self, names: &Names, key: &str) -> Result<Remaining, Error> {
        let call = self.call("ttl");
        let entry = names.entry(key);
        let mut batch = Batch::one(Class::Idempotent, &on("PTTL", &entry));
        batch.push(&beginning(&entry, HEAD));
        let mut answers = call.run(&batch).await?;
        let left = answers.integer()?;
        let head = call.head(&entry, answers.string()?).await?;
        if left == -2 || !call.is_live(names, &head).await? {
            return Ok(Remaining::Missing);
        }
        // Less than -1 is nothing that Redis answers.
        Ok(u64::try_from(left).map_or(Remaining::Forever, |left| {
            Remaining::Nanoseconds(left.max(1).saturating_mul(1_000_000))
        }))
    }
}

impl<L: Link> Call<'_, L> {
    /// Whether there is a live entry, as `EXISTS` or `TOUCH` counts it.
    pub(super) async fn is_there(
        &self,
        names: &Names,
        key: &str,
        command: &'static str,
    ) -> Result<bool, Error> {
        let entry = names.entry(key);
        let mut batch = Batch::one(Class::Idempotent, &on(command, &entry));
        batch.push(&beginning(&entry, HEAD));
        let mut answers = self.run(&batch).await?;
        let is_there = answers.integer()? > 0;
        let head = self.head(&entry, answers.string()?).await?;
        Ok(is_there && self.is_live(names, &head).await?)
    }

    /// The head of an entry that begins with these [`HEAD`] bytes, or is no longer. What is no frame
    /// of ours has an empty one.
    pub(super) async fn head(&self, entry: &[u8], start: Option<Vec<u8>>) -> Result<Head, Error> {
        let start = start.unwrap_or_default();
        match stored::head(&start) {
            Ok(Some(head)) => Ok(head),
            Ok(None) if start.len() == HEAD => Box::pin(self.long_head(entry)).await,
            Ok(None) | Err(_) => Ok(Head::default()),
        }
    }

    /// The head of an entry with many tags.
    async fn long_head(&self, entry: &[u8]) -> Result<Head, Error> {
        let mut length = HEAD;
        loop {
            length = length.saturating_mul(16);
            let batch = Batch::one(Class::Idempotent, &beginning(entry, length));
            let start = self.run(&batch).await?.string()?.unwrap_or_default();
            match stored::head(&start) {
                Ok(Some(head)) => return Ok(head),
                Ok(None) if start.len() == length => self.check_time()?,
                Ok(None) | Err(_) => return Ok(Head::default()),
            }
        }
    }

    /// Whether the tags of an entry leave it valid.
    pub(super) async fn is_live(&self, names: &Names, head: &Head) -> Result<bool, Error> {
        let stamps = &head.meta().stamps;
        Ok(stamps.is_empty() || Box::pin(self.are_current(names, stamps)).await?)
    }

    /// Whether tags still have these stamps.
    pub(super) async fn are_current(&self, names: &Names, stamps: &[Stamp]) -> Result<bool, Error> {
        Ok(is_valid(stamps, &self.current(names, stamps).await?))
    }

    /// The stamps that the tags in these have now.
    pub(super) async fn current<'a>(
        &self,
        names: &Names,
        stamps: impl IntoIterator<Item = &'a Stamp> + Send,
    ) -> Result<Current, Error> {
        let tags: HashSet<&str> = stamps.into_iter().map(|stamp| &*stamp.tag).collect();
        let tags: Vec<&str> = tags.into_iter().collect();
        let mut current = Current::with_capacity(tags.len());
        for tags in tags.chunks(BATCH) {
            let mut batch = Batch::new(Class::Idempotent);
            for tag in tags {
                batch.push(&on("GET", &names.stamp(tag)));
            }
            let mut answers = self.run(&batch).await?;
            for &tag in tags {
                current.insert(tag.into(), stamp(answers.bytes()?.as_deref()));
            }
        }
        Ok(current)
    }
}

/// The tags that stored bytes carry. Bytes that are no frame of ours carry none: whoever decodes them
/// will say so.
pub(super) fn stamps_of(stored: &[u8]) -> Vec<Stamp> {
    stored::meta(stored).map_or(Vec::new(), |meta| meta.stamps)
}

/// Whether all of these are what the tags have; a missing one never is.
pub(super) fn is_valid(stamps: &[Stamp], current: &Current) -> bool {
    stamps.iter().all(|stamp| current.get(&stamp.tag) == Some(&Some(stamp.stamp)))
}

/// The stamp that a record holds; what is not of 8 bytes is none.
pub(super) fn stamp(record: Option<&[u8]>) -> Option<u64> {
    record.and_then(|record| record.try_into().ok()).map(u64::from_be_bytes)
}

/// A head that a script returned.
pub(super) fn returned_head(value: Value, operation: &'static str) -> Result<Head, Error> {
    let head = replies::bytes(value, operation)?.unwrap_or_default();
    match stored::head(&head) {
        Ok(Some(head)) => Ok(head),
        Ok(None) => Err(replies::unexpected("half a head", operation)),
        // The script does not look at the names of tags, which have to be UTF-8 and in order.
        Err(error) => Err(Error::new(error.kind(), operation, error.to_string())),
    }
}
