//! Endings, and tags of entries, that are broken on purpose.

use cachine_codec::stored::{self, Meta, Stamp};
use cachine_redis::client::Fill;
use redis::Value;

use super::{Damage, words};
use crate::calls::Wish;
use crate::endings::{digest, holder, is_bare};
use crate::programs::{Actor, Outcome, payload};
use crate::scenario::{Comes, Operation, TAGS};
use crate::snapshot::number;

impl Actor {
    /// An operation that forgets endings, or overwrites.
    pub(super) async fn perform_damaged_ending(
        &self,
        operation: &Operation,
        id: u64,
        damage: Damage,
    ) -> Option<Outcome> {
        match (operation, damage) {
            (Operation::Delete(key), Damage::EndingSurvivesDelete) => {
                let place = self.read(self.token(*key)).await;
                if !place.is_some_and(|place| is_bare(&place)) {
                    return None;
                }
                self.unlink(&[&self.entry(*key)]).await;
                Some(Outcome::Done)
            }
            (Operation::Tag { key, tags }, Damage::TagOverwrites) => {
                let entry = self.read(self.entry(*key)).await?;
                let mut meta = stored::meta(&entry).unwrap();
                for &tag in tags {
                    let (name, new) = (self.layout.names.stamp(TAGS[tag]), id.to_be_bytes());
                    self.raw(&[words(&[b"SET", &name, &new, b"NX"])]).await;
                    let stamp = u64::from_be_bytes(self.read(name).await?.try_into().unwrap());
                    meta.stamps.push(Stamp { tag: TAGS[tag].into(), stamp });
                }
                let meta = Meta { stamps: meta.stamps, ..meta };
                let entry = stored::with_meta(&payload(number(&entry)), &meta).unwrap();
                self.raw(&[self.write(*key, &entry)]).await;
                Some(Outcome::Changed(true))
            }
            _ => None,
        }
    }

    /// What comes before a claim that is broken.
    pub(crate) async fn before_damaged_claim(&self, key: usize) {
        if self.habits.damage == Some(Damage::HeirForgets)
            && self.read(self.token(key)).await.is_some_and(|place| is_bare(&place))
        {
            self.unlink(&[&self.token(key)]).await;
        }
    }

    /// The broken ending of a computation, if it is that which is broken.
    pub(super) async fn end_damaged(
        &self,
        wish: Wish,
        fill: &Fill,
        damage: Damage,
    ) -> Option<bool> {
        let (is_own, name) = (fill.is_own(), self.token(wish.key));
        let letter = match wish.comes {
            Comes::Value => b'v',
            Comes::Error => b'a',
            Comes::Nothing => b'n',
        };
        let token = holder(&self.port.found().place)?.to_vec();
        match damage {
            Damage::AdopterReleases if !is_own => {
                self.unlink(&[&name]).await;
            }
            Damage::EndsUnchecked if is_own && letter == b'a' => {
                let ending = [&[b'!', letter], &[b'0'; 16][..], &token].concat();
                self.raw(&[words(&[b"SET", &name, &ending, b"PX", b"5000"])]).await;
            }
            Damage::DigestOfTheEnd if is_own && letter == b'n' => {
                let mut stamps = Vec::new();
                for tag in TAGS {
                    stamps.push(self.read(self.layout.names.stamp(tag)).await);
                }
                let shape = &self.scenario.shape;
                let digest = digest(shape, wish.key, |tag| stamps[tag].as_deref(), None)?;
                let ending = [&[b'!', letter], digest.as_bytes(), &token].concat();
                let script = b"if redis.call('GET', KEYS[1]) == ARGV[1] then \
                               redis.call('SET', KEYS[1], ARGV[2], 'PX', 1000) end";
                let place = self.port.found().place;
                self.raw(&[words(&[b"EVAL", script, b"1", &name, &place, &ending])]).await;
            }
            _ => return None,
        }
        Some(false)
    }

    async fn read(&self, name: Vec<u8>) -> Option<Vec<u8>> {
        match self.raw(&[words(&[b"GET", &name])]).await.remove(0) {
            Value::BulkString(found) => Some(found),
            _ => None,
        }
    }
}
