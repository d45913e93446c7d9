//! Random operations of two clients on one server, against a model that knows nothing of Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cachine_core::error::ErrorKind;
use cachine_core::store::Remaining;
use cachine_redis::client::{Claim, Client, Lifetime, Look, Want};
use cachine_redis::names::Names;

use crate::link::Socket;
use crate::scene::{LEASE, Scene, done, names, payload};

const KEYS: [&str; 4] = ["a", "b{", "ab", "{}c"];
const TAGS: [&str; 3] = ["t", "u", "v"];
const HOUR: Duration = Duration::from_secs(3600);
const OPERATIONS: usize = 6000;

/// What an entry is, as its users see it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    value: String,
    tags: BTreeSet<String>,
    has_end: bool,
    is_stale: bool,
}

/// Numbers that look random and are the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// Half of the time none; otherwise some, perhaps one of them twice.
    fn tags(&mut self) -> Vec<String> {
        let count = self.below(6).saturating_sub(2);
        (0..count).map(|_| self.one(&TAGS).to_owned()).collect()
    }

    fn ttl(&mut self) -> Option<Duration> {
        [None, Some(HOUR), Some(HOUR), Some(Duration::ZERO)][self.below(4)]
    }

    fn value(&mut self) -> String {
        ["[1]", "0", "41", "-5", "text", "", "9223372036854775807"][self.below(7)].to_owned()
    }
}

struct Run<'a> {
    client: &'a Client<Socket>,
    names: &'a Names,
    entries: BTreeMap<String, Entry>,
    dice: Dice,
}

impl Run<'_> {
    fn step(&mut self) {
        let key = self.dice.one(&KEYS);
        match self.dice.below(14) {
            0 | 1 => self.set(key),
            2 => self.delete(key),
            3 | 4 => self.incr(key),
            5 => self.expire(key),
            6 => self.persist(key),
            7 => self.touch(key),
            8 => self.add_tags(key),
            9 => self.invalidate(),
            10 | 11 => self.fill(key),
            12 => self.many(),
            _ => self.clear(),
        }
        self.check();
    }

    fn set(&mut self, key: &str) {
        let (value, ttl, tags) = (self.dice.value(), self.dice.ttl(), self.dice.tags());
        let stored = value.clone().into_bytes();
        done(self.client.set(self.names, key, stored, ttl, &tags)).unwrap();
        self.put(key, value, ttl, tags);
    }

    fn put(&mut self, key: &str, value: String, ttl: Option<Duration>, tags: Vec<String>) {
        self.entries.remove(key);
        if ttl != Some(Duration::ZERO) {
            let tags = tags.into_iter().collect();
            let entry = Entry { value, tags, has_end: ttl.is_some(), is_stale: false };
            self.entries.insert(key.to_owned(), entry);
        }
    }

    fn delete(&mut self, key: &str) {
        let was_there = self.entries.remove(key).is_some();
        assert_eq!(done(self.client.delete(self.names, key)).unwrap(), was_there);
    }

    fn incr(&mut self, key: &str) {
        let edge = 1_i128 << 63;
        let delta = [1, -1, 7, edge - 1, edge, -edge][self.dice.below(6)];
        let ttl = self.dice.ttl();
        let found = done(self.client.incr(self.names, key, delta, ttl, "incr"));
        let before = self.entries.get_mut(key);
        let number = before.as_ref().map_or(Some(0), |entry| {
            entry.value.parse::<i64>().ok().filter(|number| number.to_string() == entry.value)
        });
        let Some(number) = number else {
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Serialization);
            return;
        };
        let Ok(sum) = i64::try_from(i128::from(number) + delta) else {
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Overflow);
            return;
        };
        assert_eq!(found.unwrap(), sum);
        match before {
            Some(entry) => entry.value = sum.to_string(),
            None => self.put(key, sum.to_string(), ttl, Vec::new()),
        }
    }

    fn expire(&mut self, key: &str) {
        let ttl = self.dice.ttl().unwrap_or(HOUR);
        let changed = done(self.client.expire(self.names, key, ttl)).unwrap();
        assert_eq!(changed, self.entries.contains_key(key));
        self.live(key, ttl);
    }

    fn live(&mut self, key: &str, ttl: Duration) {
        if ttl.is_zero() {
            self.entries.remove(key);
        } else if let Some(entry) = self.entries.get_mut(key) {
            (entry.has_end, entry.is_stale) = (true, false);
        }
    }

    fn persist(&mut self, key: &str) {
        let changed = done(self.client.persist(self.names, key)).unwrap();
        assert_eq!(changed, self.entries.get(key).is_some_and(|entry| entry.has_end));
        if let Some(entry) = self.entries.get_mut(key) {
            (entry.has_end, entry.is_stale) = (false, false);
        }
    }

    fn touch(&mut self, key: &str) {
        let ttl = self.dice.ttl();
        let touched = done(self.client.touch(self.names, key, ttl)).unwrap();
        assert_eq!(touched, self.entries.contains_key(key));
        if let Some(ttl) = ttl {
            self.live(key, ttl);
        }
    }

    fn add_tags(&mut self, key: &str) {
        let tags = self.dice.tags();
        let added = done(self.client.add_tags(self.names, key, &tags)).unwrap();
        assert_eq!(added, self.entries.contains_key(key));
        if let Some(entry) = self.entries.get_mut(key) {
            entry.tags.extend(tags);
        }
    }

    fn invalidate(&mut self) {
        let tags = self.dice.tags();
        let before = self.entries.len();
        self.entries.retain(|_, entry| tags.iter().all(|tag| !entry.tags.contains(tag)));
        let removed = done(self.client.invalidate_tags(self.names, &tags)).unwrap();
        assert_eq!(removed, (before - self.entries.len()) as u64);
    }

    /// A read-through that computes, whatever is there; with something in between, or not.
    fn fill(&mut self, key: &str) {
        let (tags, late, value) = (self.dice.tags(), self.dice.tags(), self.dice.value());
        let want = Want {
            tags: &tags,
            has_late_tags: true,
            is_shared: true,
            is_forced: true,
            lease: LEASE,
            awaited: None,
        };
        let claim = done(self.client.claim(self.names, key, want)).unwrap();
        let Claim::Compute(right) = claim else { panic!("{claim:?}") };
        if self.dice.below(6) == 0 {
            assert!(done(self.client.release(self.names, key, right)).unwrap());
            return;
        }
        let is_disturbed = self.dice.below(3) == 0;
        if is_disturbed {
            self.set(key);
        }
        let stale = [None, Some(HOUR), Some(HOUR * 2)][self.dice.below(3)];
        let life = Lifetime { ttl: Some(HOUR), stale };
        let stored = value.clone().into_bytes();
        let stands = done(self.client.fill(self.names, key, right, stored, life, &late)).unwrap();
        assert_eq!(stands, !is_disturbed);
        if stands {
            self.put(key, value, life.ttl, [tags, late].concat());
            self.entries.get_mut(key).unwrap().is_stale = stale.is_some();
        }
    }

    fn many(&mut self) {
        let keys: Vec<String> = KEYS[..self.dice.below(4)].iter().map(|&key| key.into()).collect();
        if self.dice.below(2) == 0 {
            let (value, ttl) = (self.dice.value(), self.dice.ttl());
            let stored = |key: &String| (key.clone(), value.clone().into_bytes());
            let entries = keys.iter().map(stored).collect();
            done(self.client.set_many(self.names, entries, ttl)).unwrap();
            for key in &keys {
                self.put(key, value.clone(), ttl, Vec::new());
            }
        } else {
            let before = self.entries.len();
            self.entries.retain(|key, _| !keys.contains(key));
            let deleted = done(self.client.delete_many(self.names, &keys)).unwrap();
            assert_eq!(deleted, (before - self.entries.len()) as u64);
        }
    }

    fn clear(&mut self) {
        match self.dice.below(8) {
            0 => {
                done(self.client.clear(self.names)).unwrap();
                self.entries.clear();
            }
            1..=3 => {
                let prefix = self.dice.one(&["a", "b{", "{", ""]);
                done(self.client.clear_prefix(self.names, prefix)).unwrap();
                self.entries.retain(|key, _| !key.starts_with(prefix));
            }
            _ => {}
        }
    }

    /// Everything that can be read about every key.
    fn check(&self) {
        let keys: Vec<String> = KEYS.iter().map(|&key| key.into()).collect();
        let all = done(self.client.get_many(self.names, &keys)).unwrap();
        for (key, found) in keys.iter().zip(all) {
            let entry = self.entries.get(key);
            let text = |stored: &[u8]| String::from_utf8(payload(stored).to_vec()).unwrap();
            assert_eq!(found.as_deref().map(text), entry.map(|entry| entry.value.clone()), "{key}");
            assert_eq!(done(self.client.get(self.names, key)).unwrap(), found);
            assert_eq!(done(self.client.exists(self.names, key)).unwrap(), entry.is_some());
            let remaining = done(self.client.remaining(self.names, key)).unwrap();
            match (remaining, entry) {
                (Remaining::Missing, None) => {}
                (Remaining::Forever, Some(entry)) => assert!(!entry.has_end),
                (Remaining::Nanoseconds(_), Some(entry)) => assert!(entry.has_end),
                other => panic!("{other:?}"),
            }
            let known = [TAGS[0].to_owned()];
            match (done(self.client.look(self.names, key, &known)).unwrap(), entry) {
                (Look::Missing, None) => {}
                (Look::Fresh(_), Some(entry)) => assert!(!entry.is_stale),
                (Look::Stale(_), Some(entry)) => assert!(entry.is_stale),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn random_operations_do_what_the_model_does() {
    let scene = Scene::new();
    for (seed, namespace) in ["ns", "{odd", ""].into_iter().enumerate() {
        let names = names(namespace);
        let mut run = Run {
            client: &scene.client,
            names: &names,
            entries: BTreeMap::new(),
            dice: Dice(seed as u64),
        };
        for _ in 0..OPERATIONS / 3 {
            run.step();
        }
        done(scene.client.clear(&names)).unwrap();
        assert!(scene.server.keys().is_empty());
    }
}
