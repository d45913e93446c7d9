//! Reading for a read-through: an entry, whether it is valid, and whether it is fresh.
//!
//! Fresh is what has more life left than its stale window, by the server's clock alone: the clocks
//! of the hosts do not matter, and `expire` and `persist` need no second record.

use std::collections::HashSet;

use cachine_codec::stored::{self, Meta, Stamp};
use cachine_core::error::Error;

use super::call::Call;
use super::commands::on;
use super::read::{Current, is_valid, stamp};
use super::replies::Answers;
use super::tags::distinct;
use super::{Client, Look};
use crate::link::{Batch, Class, Link};
use crate::names::Names;

/// Bytes of an entry and how long they will live, as two commands found them.
pub(super) struct Found {
    stored: Vec<u8>,
    meta: Meta,
    left: i64,
    is_readable: bool,
}

impl<L: Link> Client<L> {
    /// Reads for a read-through: with freshness, `tags` being those that the entry probably has.
    /// Bytes that are no frame of ours count as fresh: whoever decodes them will say so.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn look(&self, names: &Names, key: &str, tags: &[String]) -> Result<Look, Error> {
        let call = self.call("get");
        let tags = distinct(tags);
        let mut batch = Batch::new(Class::Idempotent);
        ask(&mut batch, &names.entry(key));
        for tag in &tags {
            batch.push(&on("GET", &names.stamp(tag)));
        }
        let mut answers = call.run(&batch).await?;
        let Some(found) = take(&mut answers)? else { return Ok(Look::Missing) };
        if !found.meta.stamps.is_empty() {
            let mut current = Current::with_capacity(tags.len());
            for tag in tags {
                current.insert(tag.into(), stamp(answers.bytes()?.as_deref()));
            }
            if !Box::pin(call.is_found_valid(names, &found, current)).await? {
                return Ok(Look::Missing);
            }
        }
        Ok(if found.is_fresh() { Look::Fresh(found.stored) } else { Look::Stale(found.stored) })
    }
}

impl<L: Link> Call<'_, L> {
    /// Whether the tags of an entry leave it valid; `current` are the stamps that were read behind it.
    /// Those of further tags cost a trip.
    pub(super) async fn is_found_valid(
        &self,
        names: &Names,
        found: &Found,
        mut current: Current,
    ) -> Result<bool, Error> {
        let stamps = &found.meta.stamps;
        let known: HashSet<&str> = current.keys().map(|tag| &**tag).collect();
        let further: Vec<&Stamp> =
            stamps.iter().filter(|stamp| !known.contains(&*stamp.tag)).collect();
        if !further.is_empty() {
            let further = self.current(names, further).await?;
            current.extend(further);
        }
        Ok(is_valid(stamps, &current))
    }
}

impl Found {
    /// Whether it is not in its stale window.
    pub(super) fn is_fresh(&self) -> bool {
        let window = self.meta.stale_window.unwrap_or(0);
        // -1: it has no end.
        u64::try_from(self.left).map_or(true, |left| left > window || window == 0)
    }

    /// Whether its frame is one of ours, if it has one.
    pub(super) fn is_readable(&self) -> bool {
        self.is_readable
    }

    /// What is stored.
    pub(super) fn into_stored(self) -> Vec<u8> {
        self.stored
    }
}

/// Adds the two commands that read an entry.
pub(super) fn ask(batch: &mut Batch, entry: &[u8]) {
    batch.push(&on("GET", entry));
    batch.push(&on("PTTL", entry));
}

/// Their replies. What ended between them is missing.
pub(super) fn take(answers: &mut Answers) -> Result<Option<Found>, Error> {
    let (stored, left) = (answers.bytes()?, answers.integer()?);
    let Some(stored) = stored.filter(|_| left != -2) else { return Ok(None) };
    let meta = stored::meta(&stored);
    let is_readable = meta.is_ok();
    Ok(Some(Found { meta: meta.unwrap_or_default(), stored, left, is_readable }))
}
