//! The right to compute and store: claimed before the computation, lost to whatever is written meanwhile.
//!
//! A claim takes the *token* of the entry and reads the stamps of its tags; the value is stored only
//! while the token stands, and is valid only while the tags have these stamps. Tags that only the result
//! names get their stamps too late for that, so an *epoch*, which each invalidation takes away, tells
//! whether there was one in between.
//!
//! An error on the way gives the token back (A2), unless the server can't be reached.

use std::time::Duration;

use cachine_codec::stored::{self, Meta, Stamp};
use cachine_core::error::{Error, ErrorKind};

use super::call::{Call, may_repeat};
use super::commands::{create, life, milliseconds, on, prolong, set};
use super::ending::{self, Ended, Ending, Place};
use super::look::{Found, ask, take};
use super::read::{Current, is_valid};
use super::replies::{Answers, failure};
use super::scripts::{RELEASE, RENEW, STORE};
use super::tags::{created_stamps, distinct};
use super::{Claim, Client, Fill, Held, Lifetime, Nothing, Want};
use crate::link::{Batch, Class, Link};
use crate::names::Names;
use crate::random;

/// What the commands of a claim found.
struct Claimed {
    fill: Fill,
    /// How long a token that somebody else has will stand.
    left: i64,
    found: Option<Found>,
}

/// What the commands of a claim create where there is nothing.
struct Created {
    stamps: Vec<u64>,
    epoch: Option<Box<[u8]>>,
}

/// How a fill ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    Stands,
    /// The token was gone, or a stamp has changed since.
    Fenced,
    /// An invalidation came before the late tags had their stamps: nothing was stored.
    Refused,
}

impl<L: Link> Client<L> {
    /// Asks for the right to compute and store. A stale entry is no reason not to.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn claim(&self, names: &Names, key: &str, want: Want<'_>) -> Result<Claim, Error> {
        let call = self.call("claim");
        let Claimed { fill, left, found } = call.take_token(names, key, &want).await?;
        let found = found.filter(|found| !want.is_forced && found.is_readable());
        if let Some(found) = found.filter(Found::is_fresh) {
            let current =
                fill.stamps.iter().map(|stamp| (stamp.tag.clone(), Some(stamp.stamp))).collect();
            let outcome = Box::pin(call.is_found_valid(names, &found, current)).await;
            if !matches!(outcome, Ok(false)) {
                Box::pin(call.give_back(names, key, &fill, None)).await;
            }
            if outcome? {
                return Ok(Claim::Found(found.into_stored()));
            }
        }
        let place = Place::of(&fill.token);
        let ended = place.ended.filter(|ended| want.awaited.is_some_and(|it| it.is(ended.token)));
        if ended.is_some_and(|it| is_nothing(&it, &fill)) {
            let Fill { token, stamps, epoch, .. } = fill;
            return Ok(Claim::Nothing(Nothing { place: token, stamps, epoch }));
        }
        // Who waited for one that failed computes beside whoever does so now (A11).
        let is_alone = ended.is_some_and(|ended| ended.how == Ending::Alone);
        if want.is_shared && !fill.is_own && !is_alone {
            if left == -1 {
                // Restored or persisted by somebody: nobody would ever end it.
                let mut end = on("PEXPIRE", &names.token(key));
                end.arg(milliseconds(want.lease));
                call.run(&Batch::one(Class::Idempotent, &end)).await?;
            }
            // It may have ended in the meantime: then there is no need to wait.
            let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
            let token = place.holder.unwrap_or_default().into();
            return Ok(Claim::Held(Held { token, left }));
        }
        Ok(Claim::Compute(fill))
    }

    /// Whether others, who came while this caller waited, have nothing too: whether nothing was written or
    /// invalidated since the computation that had nothing began.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn is_nothing(
        &self,
        names: &Names,
        key: &str,
        nothing: &Nothing,
    ) -> Result<bool, Error> {
        let mut batch = Batch::new(Class::Idempotent);
        batch.push(&on("GET", &names.token(key)));
        for stamp in &nothing.stamps {
            batch.push(&on("GET", &names.stamp(&stamp.tag)));
        }
        if nothing.epoch.is_some() {
            batch.push(&on("GET", &names.epoch()));
        }
        let mut answers = self.call("claim").run(&batch).await?;
        let place = answers.bytes()?.unwrap_or_default();
        let same = Place::of(&place).ended == Place::of(&nothing.place).ended;
        let is_current = has_current(&nothing.stamps, &mut answers)?;
        let epoch = if nothing.epoch.is_some() { answers.bytes()? } else { None };
        Ok(same && is_current && epoch.as_deref() == nothing.epoch.as_deref())
    }

    /// Takes the right to store away from whoever computes the entry.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn fence(&self, names: &Names, key: &str) -> Result<(), Error> {
        let batch = Batch::one(Class::Idempotent, &on("UNLINK", &names.token(key)));
        self.call("get_or_set").run(&batch).await?.skip(1)
    }

    /// Lets a right live for another `lease`; whether it still stood. One that was found, not taken,
    /// lives as long as its owner lets it.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn renew(
        &self,
        names: &Names,
        key: &str,
        fill: &Fill,
        lease: Duration,
    ) -> Result<bool, Error> {
        let call = self.call("renew");
        let mut batch = Batch::new(Class::Idempotent);
        let token = names.token(key);
        if fill.is_own {
            let lease = life(Some(lease));
            batch.script(&RENEW, &[&token], &[&fill.token, lease.as_bytes()]);
        } else {
            batch.push(&on("GET", &token));
        }
        let longer = Some(lease.saturating_add(self.margin()));
        for stamp in &fill.stamps {
            prolong(&mut batch, &names.stamp(&stamp.tag), longer);
        }
        if fill.epoch.is_some() {
            prolong(&mut batch, &names.epoch(), longer);
        }
        let mut answers = call.run(&batch).await?;
        fill.stands(&mut answers)
    }

    /// Stores, unless something was written or invalidated since the claim; whether the entry stands
    /// and is valid, seen after it was stored. `stored` comes without metadata; the stamps and the stale
    /// window are put into it.
    ///
    /// # Errors
    ///
    /// As [`Client::get`]; [`ErrorKind::Serialization`] for tags that a frame can't hold.
    pub async fn fill(
        &self,
        names: &Names,
        key: &str,
        mut fill: Fill,
        stored: Vec<u8>,
        life: Lifetime,
        late_tags: &[String],
    ) -> Result<bool, Error> {
        let call = self.call("fill");
        let outcome = async {
            if !late_tags.is_empty()
                && !Box::pin(call.stamp_late(names, &mut fill, life.ttl, late_tags)).await?
            {
                return Ok(Filled::Refused);
            }
            call.store(names, key, &fill, stored, life).await
        }
        .await;
        let is_left = match &outcome {
            Ok(filled) => *filled == Filled::Refused,
            Err(error) => !matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Connection),
        };
        if is_left {
            // Nobody else could store it either.
            let ending = outcome.as_ref().err().map(|_| Ending::Alone);
            Box::pin(call.give_back(names, key, &fill, ending)).await;
        }
        outcome.map(|filled| filled == Filled::Stands)
    }

    /// Gives the right back without storing; whether nothing was written or invalidated since.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn release(&self, names: &Names, key: &str, fill: Fill) -> Result<bool, Error> {
        self.give_up(names, key, fill, None).await
    }

    /// Gives the right back without storing, as [`Client::release`], and tells those in other processes who
    /// wait how the computation ended.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn end(
        &self,
        names: &Names,
        key: &str,
        fill: Fill,
        ending: Ending,
    ) -> Result<bool, Error> {
        self.give_up(names, key, fill, Some(ending)).await
    }

    async fn give_up(
        &self,
        names: &Names,
        key: &str,
        fill: Fill,
        ending: Option<Ending>,
    ) -> Result<bool, Error> {
        let call = self.call("release");
        let mut batch = Batch::new(Class::Idempotent);
        let token = names.token(key);
        if fill.is_own {
            fill.give_back(&mut batch, &token, ending);
        } else {
            batch.push(&on("GET", &token));
        }
        for stamp in &fill.stamps {
            batch.push(&on("GET", &names.stamp(&stamp.tag)));
        }
        if fill.epoch.is_some() {
            batch.push(&on("GET", &names.epoch()));
        }
        let mut answers = call.run(&batch).await?;
        let stood = fill.stands(&mut answers)?;
        let is_current = has_current(&fill.stamps, &mut answers)?;
        let epoch = if fill.epoch.is_some() { answers.bytes()? } else { None };
        Ok(stood && is_current && epoch.as_deref() == fill.epoch.as_deref())
    }
}

impl<L: Link> Call<'_, L> {
    /// Takes the token, or finds who has it; then reads the entry and the stamps, in this order. Every
    /// try has a token of its own: one that was sent twice could come back after it was fenced (A10).
    async fn take_token(
        &self,
        names: &Names,
        key: &str,
        want: &Want<'_>,
    ) -> Result<Claimed, Error> {
        let tags = distinct(want.tags);
        let failed = |fault| failure(fault, self.operation);
        let mut tries = Vec::with_capacity(1);
        // An ending whose place is to be taken.
        let mut over: Option<Box<[u8]>> = None;
        loop {
            let mut batch = Batch::new(Class::Once);
            let fresh =
                self.ask_token(&mut batch, names, key, want, &tags, &mut tries, over.as_deref())?;
            match self.exchange(&batch).await {
                Err(fault) if tries.len() == 1 && may_repeat(&fault, Class::Idempotent) => {
                    if self.is_over() {
                        return Err(failed(fault));
                    }
                }
                Err(fault) => return Err(failed(fault)),
                Ok((mut answers, _)) => {
                    answers.skip(usize::from(over.take().is_some()))?;
                    let mut fill = token_of(&mut answers, &mut tries)?;
                    let outcome = read_claim(&mut answers, &mut fill, want, &tags, &fresh);
                    if outcome.is_err() {
                        Box::pin(self.give_back(names, key, &fill, None)).await;
                    }
                    let (left, found) = outcome?;
                    if fill.is_final(want) {
                        return Ok(Claimed { fill, left, found });
                    }
                    over = Some(fill.token);
                    self.check_time()?;
                }
            }
        }
    }

    /// Adds the commands of a claim, with a token of their own (A10); what they create. With `over` the
    /// token first takes the place of this ending, and leaves it visible behind itself.
    #[expect(clippy::too_many_arguments, reason = "all that a claim is made of")]
    fn ask_token(
        &self,
        batch: &mut Batch,
        names: &Names,
        key: &str,
        want: &Want<'_>,
        tags: &[&str],
        tries: &mut Vec<Box<[u8]>>,
        over: Option<&[u8]>,
    ) -> Result<Created, Error> {
        let name = names.token(key);
        let lease = want.lease.max(Duration::from_millis(1));
        if let Some(ending) = over {
            let token = [&random::token(self.operation)?, ending].concat();
            let life = life(Some(lease));
            batch.script(&RELEASE, &[&name], &[ending, &token, life.as_bytes()]);
            tries.push(token.into());
        }
        let token = random::token(self.operation)?;
        let mut take = set(&name, &token, Some(lease));
        take.arg("NX").arg("GET");
        batch.push(&take);
        tries.push(token);
        batch.push(&on("PTTL", &name));
        ask(batch, &names.entry(key));
        let stamps = self.create_stamps(batch, names, tags, Some(want.lease))?;
        let epoch = if want.has_late_tags { Some(random::token(self.operation)?) } else { None };
        if let Some(epoch) = &epoch {
            let ttl = want.lease.saturating_add(self.client.margin());
            create(batch, &names.epoch(), epoch, Some(ttl));
        }
        Ok(Created { stamps, epoch })
    }

    /// Gives a token back where there is nothing to learn from it: it would end by itself.
    async fn give_back(&self, names: &Names, key: &str, fill: &Fill, ending: Option<Ending>) {
        if fill.is_own {
            let mut batch = Batch::new(Class::Idempotent);
            fill.give_back(&mut batch, &names.token(key), ending);
            drop(self.run(&batch).await);
        }
    }

    /// Gives stamps to tags that the result has named, then looks whether there was an invalidation
    /// since the claim; whether there was none.
    async fn stamp_late(
        &self,
        names: &Names,
        fill: &mut Fill,
        ttl: Option<Duration>,
        tags: &[String],
    ) -> Result<bool, Error> {
        let is_late = |tag: &&String| fill.stamps.iter().all(|stamp| *stamp.tag != **tag);
        let tags = distinct(tags.iter().filter(is_late));
        if tags.is_empty() {
            return Ok(true);
        }
        let mut batch = Batch::new(Class::Idempotent);
        let fresh = self.create_stamps(&mut batch, names, &tags, ttl)?;
        batch.push(&on("GET", &names.epoch()));
        let mut answers = self.run(&batch).await?;
        fill.stamps.append(&mut created_stamps(&mut answers, &tags, &fresh)?);
        let epoch = answers.bytes()?;
        Ok(epoch.is_some() && epoch.as_deref() == fill.epoch.as_deref())
    }

    /// Index, entry, then a last look at the stamps: in one trip.
    async fn store(
        &self,
        names: &Names,
        key: &str,
        fill: &Fill,
        stored: Vec<u8>,
        life: Lifetime,
    ) -> Result<Filled, Error> {
        let stale = life.stale.map(super::commands::milliseconds);
        let meta = Meta { stale_window: stale, stamps: fill.stamps.clone() };
        let stored = if meta == Meta::default() {
            stored
        } else {
            let named = |error: Error| Error::new(error.kind(), "fill", error.to_string());
            stored::with_meta(&stored, &meta).map_err(named)?
        };
        let mut batch = Batch::new(Class::Idempotent);
        for stamp in &fill.stamps {
            self.index(&mut batch, names, key, stamp, life.ttl, false);
        }
        let ttl = super::commands::life(life.ttl);
        let keys = [names.token(key), names.entry(key)];
        batch.script(&STORE, &keys, &[&fill.token, &stored[..], ttl.as_bytes()]);
        for stamp in &fill.stamps {
            batch.push(&on("GET", &names.stamp(&stamp.tag)));
        }
        let exchanged = self.exchange(&batch).await;
        let (mut answers, was_resent) =
            exchanged.map_err(|fault| failure(fault, self.operation))?;
        answers.skip(fill.stamps.len())?;
        let is_stored = answers.integer()? == 1;
        let mut is_valid = has_current(&fill.stamps, &mut answers)?;
        if is_stored && is_valid && was_resent && !fill.stamps.is_empty() {
            // The scripts ran after the last look.
            is_valid = Box::pin(self.are_current(names, &fill.stamps)).await?;
        }
        Ok(if is_stored && is_valid { Filled::Stands } else { Filled::Fenced })
    }
}

impl Fill {
    /// Whether it was taken by this claim, so that it is ours to renew and to give back.
    pub fn is_own(&self) -> bool {
        self.is_own
    }

    /// Whether the token stands: from what a script, or a look at a token that was found, replied.
    fn stands(&self, answers: &mut Answers) -> Result<bool, Error> {
        if self.is_own {
            return Ok(answers.integer()? == 1);
        }
        let now = answers.bytes()?.unwrap_or_default();
        // Its owner may have ended meanwhile, as long as nothing was written.
        let ended = Place::of(&now).ended.map(|ended| ended.token);
        Ok(*now == *self.token || ended.is_some() && ended == Place::of(&self.token).holder)
    }

    /// Whether this can be gone on with: it is a token, or an ending that says that there is nothing. Any
    /// other ending has to make room.
    fn is_final(&self, want: &Want<'_>) -> bool {
        let place = Place::of(&self.token);
        let Some(ended) = place.ended.filter(|_| place.holder.is_none()) else { return true };
        want.awaited.is_some_and(|it| it.is(ended.token)) && is_nothing(&ended, self)
    }

    /// Adds the command that gives the token back, if it stands. One reply: whether it did.
    fn give_back(&self, batch: &mut Batch, key: &[u8], ending: Option<Ending>) {
        let left = ending.and_then(|how| {
            let left = ending::ending(how, &self.token, &self.stamps, self.epoch.as_deref())?;
            Some((left, life(Some(how.life()))))
        });
        match left {
            None => batch.script(&RELEASE, &[key], &[&self.token]),
            Some((left, life)) => {
                batch.script(&RELEASE, &[key], &[&self.token[..], &left, life.as_bytes()]);
            }
        }
    }
}

impl Held {
    fn is(&self, token: &[u8]) -> bool {
        *self.token == *token
    }
}

/// Whether a computation that began as this one did had nothing to store (A11).
fn is_nothing(ended: &Ended<'_>, fill: &Fill) -> bool {
    ended.how == Ending::Nothing && ended.began_with(&fill.stamps, fill.epoch.as_deref())
}

/// Whether the next replies are these stamps.
fn has_current(stamps: &[Stamp], answers: &mut Answers) -> Result<bool, Error> {
    let mut current = Current::with_capacity(stamps.len());
    for Stamp { tag, .. } in stamps {
        current.insert(tag.clone(), super::read::stamp(answers.bytes()?.as_deref()));
    }
    Ok(is_valid(stamps, &current))
}

/// Whose token stands now. If the first try did arrive, it is ours all the same: what follows was read
/// after it.
fn token_of(answers: &mut Answers, tries: &mut Vec<Box<[u8]>>) -> Result<Fill, Error> {
    let held = answers.bytes()?.map(Vec::into_boxed_slice);
    let is_own = held.as_ref().is_none_or(|held| tries.contains(held));
    let token = held.or_else(|| tries.pop()).unwrap_or_default();
    Ok(Fill { token, is_own, stamps: Vec::new(), epoch: None })
}

/// The other replies to a claim: how long the token stands, and the entry.
fn read_claim(
    answers: &mut Answers,
    fill: &mut Fill,
    want: &Want<'_>,
    tags: &[&str],
    created: &Created,
) -> Result<(i64, Option<Found>), Error> {
    let left = answers.integer()?;
    let found = take(answers)?;
    fill.stamps = created_stamps(answers, tags, &created.stamps)?;
    if want.has_late_tags {
        let found = answers.bytes()?.map(Vec::into_boxed_slice);
        fill.epoch = found.or_else(|| created.epoch.clone());
    }
    Ok((left, found))
}
