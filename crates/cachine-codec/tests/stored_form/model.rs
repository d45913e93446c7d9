//! One key of a store, and what it has to hold after each operation.

use cachine_codec::compression::{Algorithm, Compression};
use cachine_codec::encryption::Encryption;
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_codec::stored::{self, Meta, Stamp};
use cachine_core::error::ErrorKind;
use proptest::prelude::*;

use crate::payloads::{Owned, integer, payload};
use crate::rules;

pub(crate) const KEY: &[u8] = b"users:1";

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Set { steps: usize, payload: Owned, meta: Meta },
    AddTags(Vec<Stamp>),
    Expire(Option<u64>),
    Incr(i64),
}

/// Every combination of steps; those at odd places encrypt.
pub(crate) fn every_steps() -> Vec<Steps> {
    let compressions = [
        None,
        Some(Algorithm::Gzip),
        Some(Algorithm::Zlib),
        Some(Algorithm::Zstd),
        Some(Algorithm::Lz4),
    ];
    let mut all = Vec::new();
    for algorithm in compressions {
        let compression = algorithm.map(|algorithm| Compression::new(algorithm).min_size(100));
        all.push(Steps { compression: compression.clone(), encryption: None });
        let encryption = Some(Encryption::new("the key").unwrap());
        all.push(Steps { compression, encryption });
    }
    all
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let window = || prop::option::of(prop_oneof![0..4_u64, any::<u64>()]);
    let set = (0..10_usize, payload(), window(), stamps()).prop_map(
        |(steps, payload, stale_window, stamps)| Operation::Set {
            steps,
            payload,
            meta: Meta { stale_window, stamps },
        },
    );
    prop_oneof![
        3 => set,
        1 => stamps().prop_map(Operation::AddTags),
        1 => window().prop_map(Operation::Expire),
        1 => integer().prop_map(Operation::Incr),
    ]
}

fn stamps() -> impl Strategy<Value = Vec<Stamp>> {
    let stamp = ("[a-cé\u{1F600}]{1,4}", any::<u64>());
    prop_oneof![
        Just(Vec::new()),
        prop::collection::hash_map(stamp.0, stamp.1, 0..5).prop_map(|tags| tags
            .into_iter()
            .map(|(tag, stamp)| Stamp { tag: tag.into(), stamp })
            .collect()),
    ]
}

/// What was stored last.
#[derive(Debug)]
struct Entry {
    payload: Owned,
    meta: Meta,
    is_sealed: bool,
    is_packed: bool,
    stored: Vec<u8>,
}

#[derive(Default)]
pub(crate) struct Model {
    entry: Option<Entry>,
}

impl Model {
    pub(crate) fn run(&mut self, operation: Operation) {
        match (operation, &mut self.entry) {
            (Operation::Set { steps, payload, meta }, _) => self.set(steps, payload, meta),
            (_, None) => return,
            (Operation::AddTags(stamps), Some(entry)) => {
                // What `add_tags` does: the new stamps win.
                let mut meta = stored::meta(&entry.stored).unwrap();
                meta.stamps.retain(|old| stamps.iter().all(|new| new.tag != old.tag));
                meta.stamps.extend(stamps);
                entry.meta_becomes(meta);
            }
            (Operation::Expire(stale_window), Some(entry)) => {
                let meta = Meta { stale_window, ..stored::meta(&entry.stored).unwrap() };
                entry.meta_becomes(meta);
            }
            (Operation::Incr(delta), Some(entry)) => entry.incr(delta),
        }
        self.entry.as_ref().unwrap().check();
    }

    fn set(&mut self, steps: usize, payload: Owned, meta: Meta) {
        let steps = &every_steps()[steps];
        let written = steps.write(KEY, &meta, &payload).unwrap();
        let plain = Steps { compression: None, encryption: steps.encryption.clone() };
        let uncompressed = plain.write(KEY, &meta, &payload).unwrap();
        assert!(written.bytes.len() <= uncompressed.bytes.len(), "compression made it larger");
        assert_eq!(written.raw, uncompressed.packed);
        let is_packed = written.packed != written.raw;
        let is_sealed = steps.encryption.is_some();
        let payload = rules::normal(payload);
        self.entry = Some(Entry {
            payload,
            meta: rules::sorted(meta),
            is_sealed,
            is_packed,
            stored: written.bytes,
        });
    }
}

impl Entry {
    /// The whole and the head alone are amended alike.
    fn meta_becomes(&mut self, meta: Meta) {
        let head = stored::head(&self.stored).unwrap().unwrap();
        assert_eq!(*head.meta(), self.meta);
        let body = &self.stored[head.length()..];
        let amended = [head.with_meta(&meta).unwrap(), body.to_vec()].concat();
        self.stored = stored::with_meta(&self.stored, &meta).unwrap();
        assert_eq!(amended, self.stored);
        self.meta = rules::sorted(meta);
    }

    fn incr(&mut self, delta: i64) {
        match (stored::count(&self.stored, delta), &self.payload) {
            (Err(error), _) if self.is_sealed => {
                assert_eq!(error.kind(), ErrorKind::Serialization);
                assert!(error.to_string().contains("is encrypted"));
            }
            (Err(error), Payload::Bytes { .. }) => {
                assert_eq!(error.kind(), ErrorKind::Serialization);
                assert!(error.to_string().contains("is not an integer"));
            }
            (Err(error), Payload::Integer(value)) => {
                assert_eq!(error.kind(), ErrorKind::Overflow);
                assert_eq!(value.checked_add(delta), None);
            }
            (Ok((sum, stored)), Payload::Integer(value)) => {
                assert!(!self.is_sealed);
                assert_eq!(Some(sum), value.checked_add(delta));
                self.payload = Payload::Integer(sum);
                self.stored = stored;
            }
            (Ok(_), Payload::Bytes { .. }) => panic!("a payload was counted: {self:?}"),
        }
    }

    /// What a get answers with every combination of steps, and how the bytes have to look.
    fn check(&self) {
        assert_eq!(stored::meta(&self.stored).unwrap(), self.meta);
        assert_eq!(
            stored::with_meta(&self.stored, &self.meta).unwrap(),
            self.stored,
            "not canonical"
        );
        let is_counter = matches!(self.payload, Payload::Integer(_)) && !self.is_sealed;
        let expected = rules::as_read(&self.payload, self.is_sealed, self.is_packed);
        for steps in every_steps() {
            match (
                steps.read(KEY, &self.stored),
                steps.encryption.is_some() == self.is_sealed || is_counter,
            ) {
                (Ok(read), true) => assert_eq!(read, (self.meta.clone(), expected.clone())),
                (Err(error), false) => assert_eq!(error.kind(), ErrorKind::Integrity, "{error}"),
                (outcome, is_readable) => {
                    panic!("readable: {is_readable}, but {outcome:?} from {self:?}")
                }
            }
        }
        if !self.is_sealed {
            rules::check_bytes(&self.stored, &self.payload, &self.meta, self.is_packed);
        }
    }
}
