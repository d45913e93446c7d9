//! All that a scenario can leave in the server, read in one step, and what a read would make of it.
//!
//! The read is the client's own `get`, over a link that answers from the snapshot: it is disturbed by
//! nobody and creates nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachine_codec::stored;
use cachine_core::clock::Instant;
use cachine_core::key::Namespace;
use cachine_redis::breaker::Breaker;
use cachine_redis::client::Client;
use cachine_redis::link::{Batch, Fault, Link, Node, Replies, finish};
use cachine_redis::names::Names;
use redis::Value;

use crate::scenario::{KEYS, TAGS};
use crate::wire::{commands, packed};

/// What the records of the keys and tags are called, and the commands that read them.
pub(crate) struct Layout {
    pub(crate) names: Names,
    pub(crate) entries: [Vec<u8>; 2],
    pub(crate) tokens: [Vec<u8>; 2],
    /// All names that hold strings: entries, tokens, stamps, the epoch.
    strings: Vec<Vec<u8>>,
    /// Reads a snapshot.
    probe: Vec<u8>,
}

/// The number of replies to a probe.
pub(crate) const PROBE: usize = 1 + KEYS.len();

/// What is in the server at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    strings: Vec<Option<Vec<u8>>>,
    /// How long each entry will live, in milliseconds.
    pub(crate) left: [i64; 2],
    /// The values that a read would return.
    pub(crate) readable: [Option<u64>; 2],
    /// The values in the entries, readable or not.
    pub(crate) stored: [Option<u64>; 2],
}

/// Reads snapshots as a client would.
pub(crate) struct Reader {
    layout: Arc<Layout>,
    client: Client<Answering>,
}

/// A link that answers from a snapshot.
#[derive(Default)]
struct Answering(Mutex<HashMap<Vec<u8>, Vec<u8>>>);

impl Layout {
    pub(crate) fn new() -> Arc<Self> {
        let names = Names::new(&Namespace::new("ns").unwrap());
        let entries = KEYS.map(|key| names.entry(key));
        let tokens = KEYS.map(|key| names.token(key));
        let stamps = TAGS.map(|tag| names.stamp(tag));
        let strings: Vec<Vec<u8>> =
            entries.iter().chain(&tokens).chain(&stamps).cloned().chain([names.epoch()]).collect();
        let mut words = vec![b"MGET".to_vec()];
        words.extend(strings.iter().cloned());
        let mut probe = packed(&words);
        for entry in &entries {
            probe.extend(packed(&[b"PTTL", &entry[..]]));
        }
        Arc::new(Self { names, entries, tokens, strings, probe })
    }

    /// The commands of a probe.
    pub(crate) fn probe(&self) -> &[u8] {
        &self.probe
    }
}

impl Snapshot {
    /// The token of a key.
    pub(crate) fn token(&self, key: usize) -> Option<&[u8]> {
        self.strings.get(KEYS.len() + key)?.as_deref()
    }

    /// The stamp of a tag.
    pub(crate) fn stamp(&self, tag: usize) -> Option<&[u8]> {
        self.strings.get(2 * KEYS.len() + tag)?.as_deref()
    }

    pub(crate) fn epoch(&self) -> Option<&[u8]> {
        self.strings.last()?.as_deref()
    }

    /// The bytes of an entry.
    pub(crate) fn entry(&self, key: usize) -> Option<&[u8]> {
        self.strings.get(key)?.as_deref()
    }

    /// The tags that an entry names.
    pub(crate) fn tags(&self, key: usize) -> Vec<usize> {
        let meta = self.entry(key).map(|stored| stored::meta(stored).unwrap()).unwrap_or_default();
        let place = |tag: &str| TAGS.iter().position(|name| *name == tag).unwrap();
        meta.stamps.iter().map(|stamp| place(&stamp.tag)).collect()
    }

    /// Whether an entry has a stale window.
    pub(crate) fn window(&self, key: usize) -> Option<i64> {
        let meta = self.entry(key).map(|stored| stored::meta(stored).unwrap()).unwrap_or_default();
        meta.stale_window.map(|window| i64::try_from(window).unwrap())
    }

    /// Whether a valid entry is there, and not in its stale window.
    pub(crate) fn is_fresh(&self, key: usize) -> bool {
        self.readable[key].is_some()
            && self.window(key).is_none_or(|window| self.left[key] > window)
    }

    /// Whether there is anything of the strings.
    pub(crate) fn is_empty(&self) -> bool {
        self.strings.iter().all(Option::is_none)
    }
}

impl Reader {
    pub(crate) fn new(layout: &Arc<Layout>) -> Self {
        let breaker = Arc::new(Breaker::default());
        let client = Client::new(Answering::default(), Duration::from_secs(10), breaker);
        Self { layout: Arc::clone(layout), client }
    }

    /// The snapshot of these replies to a probe. `last` saves the reading if nothing has changed.
    pub(crate) fn read(&self, replies: Vec<Value>, last: &Snapshot) -> Snapshot {
        let mut replies = replies.into_iter();
        let Some(Value::Array(strings)) = replies.next() else { panic!("MGET") };
        let strings: Vec<Option<Vec<u8>>> = strings
            .into_iter()
            .map(|string| match string {
                Value::Nil => None,
                Value::BulkString(bytes) => Some(bytes),
                other => panic!("{other:?}"),
            })
            .collect();
        let left = [(); 2].map(|()| match replies.next() {
            Some(Value::Int(left)) => left,
            other => panic!("{other:?}"),
        });
        if strings == last.strings {
            return Snapshot { left, ..last.clone() };
        }
        let mut snapshot = Snapshot { strings, left, readable: [None; 2], stored: [None; 2] };
        let pairs = self.layout.strings.iter().zip(&snapshot.strings);
        let there = pairs.filter_map(|(name, string)| Some((name.clone(), string.clone()?)));
        *self.client.link().0.lock().unwrap() = there.collect();
        for (place, key) in KEYS.iter().enumerate() {
            let get = finish(self.client.get(&self.layout.names, key));
            let found = get.expect("this link answers at once").expect("it answers what is asked");
            snapshot.readable[place] = found.as_deref().map(number);
            snapshot.stored[place] = snapshot.entry(place).map(number);
        }
        snapshot
    }
}

impl Link for Answering {
    async fn call(&self, _node: Node, batch: &Batch, _until: Instant) -> Result<Replies, Fault> {
        let strings = self.0.lock().unwrap();
        let replies = commands(batch.bytes()).into_iter().map(|(_, words)| {
            assert_eq!(words[0], b"GET", "an undisturbed read only reads");
            strings.get(words[1]).map_or(Value::Nil, |found| Value::BulkString(found.clone()))
        });
        Ok(Replies::Many(replies.collect()))
    }

    async fn sleep(&self, _pause: Duration) -> Result<(), Fault> {
        panic!("a read does not sleep");
    }

    fn now(&self) -> Instant {
        1
    }
}

/// The number that stored bytes hold.
pub(crate) fn number(stored: &[u8]) -> u64 {
    let head = stored::head(stored).unwrap().unwrap();
    str::from_utf8(&stored[head.length()..]).unwrap().parse().unwrap()
}
