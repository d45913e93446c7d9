//! Tags of an entry: their stamps, and the index from which an invalidation frees.
//!
//! A stamp is a random number that the tag has until it is invalidated. It is read before a value is
//! computed or stored, and an entry is valid while its tags have the stamps that it carries. The index
//! (members: stamp, then key) is written before the entry (A3), and only counts and frees.

use std::collections::HashSet;
use std::time::Duration;

use cachine_codec::stored::{Head, Meta, Stamp};
use cachine_core::error::Error;

use super::Client;
use super::call::Call;
use super::commands::{BATCH, HEAD, beginning, create, life, on};
use super::life::{Amended, Life, amended};
use super::read::stamp;
use super::replies::Answers;
use super::scripts::INDEX;
use crate::link::{Batch, Class, Link};
use crate::names::Names;
use crate::random;

impl<L: Link> Client<L> {
    /// Adds tags to a live entry; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; [`ErrorKind::Serialization`](cachine_core::error::ErrorKind) for tags that
    /// a frame can't hold.
    pub async fn add_tags(&self, names: &Names, key: &str, tags: &[String]) -> Result<bool, Error> {
        let call = self.call("add_tags");
        let entry = names.entry(key);
        loop {
            let mut batch = Batch::one(Class::Idempotent, &on("PTTL", &entry));
            batch.push(&beginning(&entry, HEAD));
            let mut answers = call.run(&batch).await?;
            let left = answers.integer()?;
            let head = call.head(&entry, answers.bytes()?).await?;
            if left == -2 || !call.is_live(names, &head).await? {
                return Ok(false);
            }
            if let Some(done) = Box::pin(call.add_new(names, key, &head, left, tags)).await? {
                return Ok(done);
            }
            call.check_time()?;
        }
    }
}

impl<L: Link> Call<'_, L> {
    /// Adds those tags that a live entry does not have; `None` if it is not what it was.
    async fn add_new(
        &self,
        names: &Names,
        key: &str,
        head: &Head,
        left: i64,
        tags: &[String],
    ) -> Result<Option<bool>, Error> {
        let has = |tag: &&String| head.meta().stamps.iter().any(|stamp| *stamp.tag == **tag);
        let new: Vec<&String> = tags.iter().filter(|tag| !has(tag)).collect();
        if new.is_empty() {
            return Ok(Some(true));
        }
        let most = u64::try_from(left).ok();
        let ttl = most.map(Duration::from_millis);
        let stamps = self.stamps(names, new, ttl).await?;
        let mut batch = Batch::new(Class::Idempotent);
        for stamp in &stamps {
            self.index(&mut batch, names, key, stamp, ttl, false);
        }
        let filed = stamps.len();
        let mut meta = Meta::clone(head.meta());
        meta.stamps.extend(stamps);
        let life = Life::Keep(most.map(|_| left));
        self.amend(&mut batch, &names.entry(key), head, &meta, &life)?;
        let mut answers = self.run(&batch).await?;
        answers.skip(filed)?;
        Ok((amended(answers.integer()?) != Amended::Changed).then_some(true))
    }

    /// The stamps of tags for an entry of this life, each tag once; missing ones are created.
    pub(super) async fn stamps(
        &self,
        names: &Names,
        tags: impl IntoIterator<Item = &String> + Send,
        ttl: Option<Duration>,
    ) -> Result<Vec<Stamp>, Error> {
        let tags = distinct(tags);
        let mut stamps = Vec::with_capacity(tags.len());
        for tags in tags.chunks(BATCH) {
            let mut batch = Batch::new(Class::Idempotent);
            let fresh = self.create_stamps(&mut batch, names, tags, ttl)?;
            let mut answers = self.run(&batch).await?;
            stamps.append(&mut created_stamps(&mut answers, tags, &fresh)?);
        }
        Ok(stamps)
    }

    /// Adds the commands that get or create the stamps of tags; what they create.
    pub(super) fn create_stamps(
        &self,
        batch: &mut Batch,
        names: &Names,
        tags: &[&str],
        ttl: Option<Duration>,
    ) -> Result<Vec<u64>, Error> {
        let ttl = ttl.map(|ttl| ttl.saturating_add(self.client.margin()));
        let mut fresh = Vec::with_capacity(tags.len());
        for tag in tags {
            let stamp = random::stamp(self.operation)?;
            create(batch, &names.stamp(tag), &stamp.to_be_bytes(), ttl);
            fresh.push(stamp);
        }
        Ok(fresh)
    }

    /// Adds the script that files an entry under a tag. With `is_strict` not if the tag has another
    /// stamp by now.
    pub(super) fn index(
        &self,
        batch: &mut Batch,
        names: &Names,
        key: &str,
        stamp: &Stamp,
        ttl: Option<Duration>,
        is_strict: bool,
    ) {
        let member = [&stamp.stamp.to_be_bytes(), key.as_bytes()].concat();
        let margin = life(Some(self.client.margin()));
        let only = if is_strict { "1" } else { "" };
        let keys = [names.index(&stamp.tag), names.stamp(&stamp.tag)];
        let life = life(ttl);
        let arguments = [&member, life.as_bytes(), margin.as_bytes(), only.as_bytes()];
        batch.script(&INDEX, &keys, &arguments);
    }
}

/// The stamps that the commands of `create_stamps` found or created.
pub(super) fn created_stamps(
    answers: &mut Answers,
    tags: &[&str],
    fresh: &[u64],
) -> Result<Vec<Stamp>, Error> {
    let mut stamps = Vec::with_capacity(tags.len());
    for (&tag, &fresh) in tags.iter().zip(fresh) {
        let found = answers.bytes()?;
        answers.skip(1)?;
        // What is no stamp is never equal to one: the entry will not be valid.
        let stamp = stamp(found.as_deref()).unwrap_or(fresh);
        stamps.push(Stamp { tag: tag.into(), stamp });
    }
    Ok(stamps)
}

/// Each once, in their order.
pub(super) fn distinct<'a>(tags: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    tags.into_iter().map(String::as_str).filter(|tag| seen.insert(*tag)).collect()
}
