//! Invalidating tags: in effect after one trip, then counting and freeing, a batch at a time.
//!
//! 1. The epoch goes, then the stamps. A fill that compares with what is missing finds a difference, as
//!    with a new random number; and nothing is left behind.
//! 2. A page of each index, then the stamps once more: a member that has *that* stamp was stored after
//!    the invalidation and stays (A5).
//! 3. Each other one's entry is deleted if it still has the tag with the old stamp, and counted if all
//!    of its stamps were current until now (A6).
//! 4. Exactly these members leave the index (A4).

use std::collections::HashMap;

use cachine_codec::stored::{Head, Stamp};
use cachine_core::error::Error;
use redis::Value;

use super::Client;
use super::call::Call;
use super::commands::{BATCH, on};
use super::read::{returned_head, stamp};
use super::replies;
use super::scripts::FREE;
use super::tags::distinct;
use crate::link::{Batch, Class, Link};
use crate::names::Names;

/// At most so many indexes are read in one batch.
const INDEXES: usize = 50;

/// A tag whose index is not worked off.
struct Index<'a> {
    tag: &'a str,
    /// Members that stay, at the front.
    kept: usize,
    /// Members that may still have to go: no more than there were at the beginning.
    left: usize,
}

/// A member of an index whose entry is dead, if it is there.
struct Dead<'a> {
    tag: &'a str,
    /// Stamp, then key.
    member: Vec<u8>,
}

/// The stamps that the invalidated tags had.
type Before<'a> = HashMap<&'a str, Option<u64>>;

impl<L: Link> Client<L> {
    /// Invalidates; how many live entries that removed. In effect as soon as the first batch is done,
    /// whatever becomes of the others.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; the deadline is for each batch. The tags may be invalid all the same.
    pub async fn invalidate_tags(&self, names: &Names, tags: &[String]) -> Result<u64, Error> {
        let tags = distinct(tags);
        let mut call = self.call("invalidate_tags");
        let (mut before, mut indexes) = (Before::new(), Vec::new());
        for (place, tags) in tags.chunks(BATCH).enumerate() {
            call.renew();
            let mut batch = Batch::new(Class::Idempotent);
            if place == 0 {
                batch.push(&on("UNLINK", &names.epoch()));
            }
            for tag in tags {
                batch.push(&on("GETDEL", &names.stamp(tag)));
                batch.push(&on("ZCARD", &names.index(tag)));
            }
            let mut answers = call.run(&batch).await?;
            answers.skip(usize::from(place == 0))?;
            for &tag in tags {
                before.insert(tag, stamp(answers.bytes()?.as_deref()));
                let left = usize::try_from(answers.integer()?).unwrap_or(0);
                if left > 0 {
                    indexes.push(Index { tag, kept: 0, left });
                }
            }
        }
        Box::pin(call.work_off(names, &before, indexes)).await
    }
}

impl<L: Link> Call<'_, L> {
    async fn work_off<'t>(
        &mut self,
        names: &Names,
        before: &Before<'t>,
        mut indexes: Vec<Index<'t>>,
    ) -> Result<u64, Error> {
        let mut counted = 0;
        let mut done = Vec::new();
        while !indexes.is_empty() {
            self.renew();
            let dead = self.page(names, &mut indexes, std::mem::take(&mut done)).await?;
            self.renew();
            let heads = self.free(names, &dead).await?;
            counted += self.count_live(names, before, &heads).await?;
            done = dead;
            indexes.retain(|index| index.left > 0);
        }
        self.renew();
        let mut batch = Batch::new(Class::Idempotent);
        strike(&mut batch, names, &done);
        if !batch.is_empty() {
            self.run(&batch).await?.skip(batch.len())?;
        }
        Ok(counted)
    }

    /// Strikes out the members that are done, and reads on.
    async fn page<'t>(
        &self,
        names: &Names,
        indexes: &mut [Index<'t>],
        done: Vec<Dead<'t>>,
    ) -> Result<Vec<Dead<'t>>, Error> {
        let mut batch = Batch::new(Class::Idempotent);
        strike(&mut batch, names, &done);
        let struck = batch.len();
        let count = indexes.len().min(INDEXES);
        let length = BATCH / count;
        for index in &indexes[..count] {
            let mut range = on("ZRANGE", &names.index(index.tag));
            range.arg(index.kept).arg(index.kept + length.min(index.left) - 1);
            batch.push(&range);
            batch.push(&on("GET", &names.stamp(index.tag)));
        }
        let mut answers = self.run(&batch).await?;
        answers.skip(struck)?;
        let mut dead = Vec::new();
        for index in &mut indexes[..count] {
            let members = answers.list()?;
            let now = stamp(answers.bytes()?.as_deref());
            index.left =
                if members.is_empty() { 0 } else { index.left.saturating_sub(members.len()) };
            for member in members {
                let member = replies::bytes(member, self.operation)?.unwrap_or_default();
                if member_stamp(&member).is_some_and(|stamp| Some(stamp) == now) {
                    index.kept += 1;
                } else {
                    dead.push(Dead { tag: index.tag, member });
                }
            }
        }
        Ok(dead)
    }

    /// Deletes the entries of dead members; the heads of those that were there.
    async fn free(&self, names: &Names, dead: &[Dead<'_>]) -> Result<Vec<Head>, Error> {
        let mut batch = Batch::new(Class::Idempotent);
        for Dead { tag, member } in dead {
            let (stamp, key) = member.split_at(member.len().min(8));
            // Keys are text; what is not was not filed by us, and has no entry of ours.
            let entry = names.entry(&String::from_utf8_lossy(key));
            batch.script(&FREE, &[entry], &[[tag.as_bytes(), stamp].concat()]);
        }
        if dead.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = self.run(&batch).await?;
        let mut heads = Vec::new();
        for _ in dead {
            match answers.value()? {
                Value::Nil => {}
                head => heads.push(returned_head(head, self.operation).unwrap_or_default()),
            }
        }
        Ok(heads)
    }

    /// How many of these entries were live until the invalidation: their other tags still have the
    /// stamps that they carried.
    async fn count_live(
        &self,
        names: &Names,
        before: &Before<'_>,
        heads: &[Head],
    ) -> Result<u64, Error> {
        let stamps = || heads.iter().flat_map(|head| &head.meta().stamps);
        let others: Vec<&Stamp> =
            stamps().filter(|stamp| !before.contains_key(&*stamp.tag)).collect();
        let current = self.current(names, others).await?;
        let was_current = |stamp: &Stamp| {
            let now = before.get(&*stamp.tag).or_else(|| current.get(&stamp.tag));
            now == Some(&Some(stamp.stamp))
        };
        let is_live = |head: &&Head| {
            let stamps = &head.meta().stamps;
            !stamps.is_empty() && stamps.iter().all(was_current)
        };
        Ok(heads.iter().filter(is_live).count() as u64)
    }
}

/// Adds the commands that take members from their indexes, one for each index.
fn strike(batch: &mut Batch, names: &Names, done: &[Dead<'_>]) {
    for members in done.chunk_by(|one, next| one.tag == next.tag) {
        let mut command = on("ZREM", &names.index(members[0].tag));
        for Dead { member, .. } in members {
            command.arg(member);
        }
        batch.push(&command);
    }
}

/// The stamp that a member begins with.
fn member_stamp(member: &[u8]) -> Option<u64> {
    member.first_chunk().copied().map(u64::from_be_bytes)
}
