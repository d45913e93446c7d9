//! Operations that break the protocol, each in one way: to know that the observer sees it.

use std::time::Duration;

use cachine_codec::stored::{self, Meta, Stamp};
use cachine_core::error::Error;
use cachine_redis::client::{Claim, Fill};
use cachine_redis::link::{Batch, Class, Link, Node};
use redis::{Cmd, Value, cmd};

use crate::calls::Wish;
use crate::programs::{Actor, LIFE, Outcome, listed, payload};
use crate::scenario::{KEYS, Operation, TAGS};
use crate::snapshot::number;

#[path = "damage/endings.rs"]
mod endings;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// `set` leaves the token.
    SetKeepsToken,
    /// `set` takes the token away, then writes, in two steps.
    SetInTwoSteps,
    /// `set` writes, then takes the token away.
    SetThenToken,
    /// `set` files the entry in the index of its tag after it has written it.
    IndexAfterEntry,
    /// `incr` leaves the token.
    IncrKeepsToken,
    /// `delete` leaves the token.
    DeleteKeepsToken,
    /// `delete` removes the entry first.
    DeleteSwapped,
    /// `clear` removes the entries first.
    ClearSwapped,
    /// `clear` removes a stamp, but not its index with it.
    ClearSplitsTag,
    /// An invalidation frees by the index, then takes the stamps away.
    FreesBeforeStamps,
    /// An invalidation counts every entry that its index names.
    CountsTheIndex,
    /// A fill is a plain write.
    FillUnchecked,
    /// The stamps are read when the value is there already.
    StampsAfterCompute,
    /// A right is given back without looking whose it is.
    ReleaseUnchecked,
    /// A call computes whatever it finds with its claim.
    ClaimsWithoutLook,
    /// A call takes an entry without looking at its stamps.
    HitUnvalidated,
    /// Who joined takes what comes, fenced or not.
    JoinTrustsFlight,
    /// Callers do not wait for each other.
    NobodyWaits,
    /// Who adds tags puts back what it has read.
    TagOverwrites,
    /// Who never waited for a computation uses its ending.
    EndingOfAnybody,
    /// Who has waited does not say for whom.
    ForgetsWhomItAwaited,
    /// Who takes an ending over hides it from those who waited.
    HeirForgets,
    /// An ending is left whatever has become of the token.
    EndsUnchecked,
    /// An ending has the stamps of its own time, not those of its claim.
    DigestOfTheEnd,
    /// A deletion takes a token away, but not an ending.
    EndingSurvivesDelete,
    /// Who adopted a token takes it away.
    AdopterReleases,
    /// Late joiners are given nothing without a look.
    NothingSharedUnseen,
    /// They are given it after a look before nobody can join any more.
    NothingSharedBeforeSeal,
}

impl Actor {
    /// The broken operation, if it is this one that is broken.
    pub(crate) async fn perform_damaged(
        &self,
        operation: &Operation,
        id: u64,
    ) -> Option<Result<Outcome, Error>> {
        let damage = self.habits.damage?;
        let outcome = match (operation, damage) {
            (Operation::Set { key, is_bare }, _) => {
                let tags = if *is_bare { Vec::new() } else { self.scenario.tags(*key) };
                if !self.set_damaged(*key, id, &tags, damage).await {
                    return None;
                }
                Outcome::Done
            }
            (Operation::Incr(key), Damage::IncrKeepsToken) => {
                let sum = self.raw(&[words(&[b"INCRBY", &self.entry(*key), &payload(id)])]).await;
                let Value::Int(sum) = sum[0] else { panic!("{sum:?}") };
                Outcome::Value(u64::try_from(sum).unwrap())
            }
            (Operation::Delete(key), Damage::DeleteKeepsToken) => {
                self.unlink(&[&self.entry(*key)]).await;
                Outcome::Done
            }
            (Operation::Delete(key), Damage::DeleteSwapped) => {
                self.unlink(&[&self.entry(*key)]).await;
                self.unlink(&[&self.token(*key)]).await;
                Outcome::Done
            }
            (Operation::Clear, Damage::ClearSwapped) => {
                for key in 0..2 {
                    self.unlink(&[&self.entry(key)]).await;
                }
                for key in 0..2 {
                    self.unlink(&[&self.token(key)]).await;
                }
                self.unlink(&[&self.layout.names.epoch()]).await;
                Outcome::Done
            }
            (Operation::Clear, Damage::ClearSplitsTag) => {
                let names = &self.layout.names;
                self.unlink(&[&self.token(0), &self.entry(0), &names.epoch()]).await;
                self.unlink(&[&names.stamp(TAGS[0])]).await;
                self.unlink(&[&names.index(TAGS[0])]).await;
                Outcome::Done
            }
            (Operation::Invalidate(tags), _) => self.invalidate_damaged(tags, damage).await?,
            (Operation::Call(key, _), Damage::HitUnvalidated) => {
                let found = self.raw(&[words(&[b"GET", &self.entry(*key)])]).await.remove(0);
                let Value::BulkString(stored) = found else { return None };
                Outcome::Value(number(&stored))
            }
            _ => Box::pin(self.perform_damaged_ending(operation, id, damage)).await?,
        };
        Some(Ok(outcome))
    }

    /// Whether this damage is one of `set`.
    async fn set_damaged(&self, key: usize, id: u64, tags: &[usize], damage: Damage) -> bool {
        let token = words(&[b"UNLINK", &self.token(key)]);
        let is_known = matches!(
            damage,
            Damage::SetKeepsToken
                | Damage::SetInTwoSteps
                | Damage::SetThenToken
                | Damage::IndexAfterEntry
        );
        if !is_known {
            return false;
        }
        let names = &self.layout.names;
        let mut stamps = Vec::new();
        for &tag in tags {
            let new = (1000 + id).to_be_bytes();
            let take = words(&[b"SET", &names.stamp(TAGS[tag]), &new, b"NX", b"GET"]);
            let stamp = match self.raw(&[take]).await.remove(0) {
                Value::BulkString(found) => found.try_into().unwrap(),
                _ => new,
            };
            stamps.push(Stamp { tag: TAGS[tag].into(), stamp: u64::from_be_bytes(stamp) });
        }
        let meta = Meta { stale_window: None, stamps: stamps.clone() };
        let write = self.write(key, &stored::with_meta(&payload(id), &meta).unwrap());
        match damage {
            Damage::SetKeepsToken => drop(self.raw(&[write]).await),
            Damage::SetInTwoSteps => {
                self.raw(&[token]).await;
                self.raw(&[write]).await;
            }
            Damage::SetThenToken => {
                self.raw(&[write]).await;
                self.raw(&[token]).await;
            }
            _ => drop(self.raw(&[cmd("MULTI"), token, write, cmd("EXEC")]).await),
        }
        for stamp in stamps {
            let member = [&stamp.stamp.to_be_bytes(), KEYS[key].as_bytes()].concat();
            let file = words(&[b"ZADD", &names.index(&stamp.tag), b"inf", &member]);
            self.raw(&[file]).await;
        }
        true
    }

    async fn invalidate_damaged(&self, tags: &[usize], damage: Damage) -> Option<Outcome> {
        let names = &self.layout.names;
        let is_first = damage == Damage::FreesBeforeStamps;
        if !is_first && damage != Damage::CountsTheIndex {
            return None;
        }
        let stamps: Vec<Vec<u8>> = tags.iter().map(|&tag| names.stamp(TAGS[tag])).collect();
        let stamps: Vec<&[u8]> = stamps.iter().map(Vec::as_slice).collect();
        self.unlink(&[&names.epoch()]).await;
        if !is_first {
            self.unlink(&stamps).await;
        }
        let mut count = 0;
        for &tag in tags {
            let index = names.index(TAGS[tag]);
            let members = self.raw(&[words(&[b"ZRANGE", &index, b"0", b"-1"])]).await.remove(0);
            let Value::Array(members) = members else { panic!("{members:?}") };
            for member in members {
                let Value::BulkString(member) = member else { panic!("{member:?}") };
                let entry = names.entry(str::from_utf8(&member[8..]).unwrap());
                count += self.unlink(&[&entry]).await;
                self.raw(&[words(&[b"ZREM", &index, &member])]).await;
            }
        }
        if is_first {
            self.unlink(&stamps).await;
        }
        Some(Outcome::Count(count))
    }

    /// The broken end of a computation, if it is that which is broken.
    pub(crate) async fn settle_damaged(
        &self,
        wish: Wish,
        fill: &Fill,
    ) -> Option<Result<bool, Error>> {
        let Wish { key, id, .. } = wish;
        match self.habits.damage? {
            Damage::FillUnchecked => {
                self.raw(&[self.write(key, &payload(id))]).await;
                Some(Ok(true))
            }
            Damage::ReleaseUnchecked if self.refuses => {
                self.unlink(&[&self.token(key)]).await;
                Some(Ok(false))
            }
            Damage::StampsAfterCompute if fill.is_own() => {
                let claim = self.claim(wish, false, None).await;
                let Ok(Claim::Compute(later)) = claim else { return Some(claim.map(|_| false)) };
                let (names, late) = (&self.layout.names, listed(&self.scenario.shape.late[key]));
                let fill =
                    self.client.fill(names, KEYS[key], later, payload(id), self.life(), &late);
                Some(fill.await)
            }
            damage => Box::pin(self.end_damaged(wish, fill, damage)).await.map(Ok),
        }
    }

    /// Sends commands in one trip.
    async fn raw(&self, commands: &[Cmd]) -> Vec<Value> {
        let mut batch = Batch::new(Class::Once);
        for command in commands {
            batch.push(command);
        }
        self.client
            .link()
            .call(Node(0), &batch, 0)
            .await
            .expect("this link has no faults")
            .into_vec()
    }

    /// Removes keys; how many there were.
    async fn unlink(&self, keys: &[&[u8]]) -> u64 {
        let command = words(&[&[&b"UNLINK"[..]], keys].concat());
        match self.raw(&[command]).await[..] {
            [Value::Int(count)] => u64::try_from(count).unwrap(),
            ref other => panic!("{other:?}"),
        }
    }

    fn write(&self, key: usize, stored: &[u8]) -> Cmd {
        let life = Duration::as_millis(&LIFE).to_string();
        words(&[b"SET", &self.entry(key), stored, b"PX", life.as_bytes()])
    }

    fn entry(&self, key: usize) -> Vec<u8> {
        self.layout.entries[key].clone()
    }

    fn token(&self, key: usize) -> Vec<u8> {
        self.layout.tokens[key].clone()
    }
}

fn words(words: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(*word);
    }
    command
}
