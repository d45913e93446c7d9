//! One operation on a store, drawn at random.
//!
//! Which lease or wait an operation means is a number that the run takes modulo what there is, so
//! that a list stays meaningful while it is made shorter.

use proptest::prelude::*;

use crate::naive::Key;

/// How many keys there are; the first half is in the group `a:`, the rest in `b:`. Operations
/// choose among the first of each group, except for those that set many at once.
pub(crate) const KEYS: Key = 48;

/// The names of all tags.
pub(crate) const TAGS: [&str; 4] = ["tag0", "tag1", "tag2", "tag3"];

/// A value to be stored: its life, weight, and tags and anchors as bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) life: u8,
    pub(crate) weight: u8,
    pub(crate) tags: u8,
    pub(crate) anchors: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Expire(u8),
    Persist,
    Touch(Option<u8>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// So many nanoseconds.
    By(u64),
    /// To the end of some entry's life or freshness, or one nanosecond before it.
    ToEnd { row: usize, fresh: bool, early: bool },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Get(Key),
    GetFresh(Key),
    Peek(Key),
    Set(Key, Value),
    /// So many keys, from this one on.
    SetMany(Key, usize, Value),
    /// A value that is stale at once.
    SetStale(Key, Value),
    /// The same, and its refresh fails.
    FailRefresh(Key, Value),
    Add(Key, Value),
    Replace(Key, bool),
    Delete(Key),
    Remaining(Key),
    ChangeLife(Key, Change),
    AddTags(Key, u8, u8),
    Invalidate(u8),
    Clear(Option<bool>),
    Advance(Step),
    /// A caller for the key of a lease, itself part of the computations of the leases `held`.
    Join {
        lease: usize,
        held: u8,
    },
    /// The computation of a lease waits for itself.
    Follow(usize),
    Begin {
        key: Key,
        share: bool,
        counted: bool,
        held: u8,
    },
    Recompute {
        key: Key,
        share: bool,
    },
    Declare {
        lease: usize,
        tags: u8,
        result_tags: bool,
    },
    Fill {
        lease: usize,
        value: Value,
        late: u8,
        stale: bool,
    },
    Settle(usize),
    Abandon(usize),
    Register(usize),
    Leave(usize),
    StopWaiting(usize),
}

fn key() -> impl Strategy<Value = Key> {
    // Some keys are more popular, as everywhere.
    prop_oneof![0..6_usize, KEYS / 2..KEYS / 2 + 6, 0..3_usize]
}

fn value() -> impl Strategy<Value = Value> {
    (any::<u8>(), 0..6_u8, few_bits(), any::<u8>())
        .prop_map(|(life, weight, tags, anchors)| Value { life, weight, tags, anchors })
}

fn few_bits() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0), 2 => (0..4_u8).prop_map(|bit| 1 << bit), 1 => 0..16_u8]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<u8>().prop_map(Change::Expire),
        Just(Change::Persist),
        prop::option::of(any::<u8>()).prop_map(Change::Touch),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    const SECOND: u64 = 1_000_000_000;
    prop_oneof![
        (1..40_000_000_u64).prop_map(Step::By),
        prop::sample::select(vec![SECOND / 2, SECOND, 30 * SECOND, 86_400 * 30 * SECOND])
            .prop_map(Step::By),
        (any::<usize>(), any::<bool>(), any::<bool>())
            .prop_map(|(row, fresh, early)| Step::ToEnd { row, fresh, early }),
    ]
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let place = || 0..8_usize;
    prop_oneof![
        4 => key().prop_map(Operation::Get),
        2 => key().prop_map(Operation::GetFresh),
        8 => (key(), value()).prop_map(|(key, value)| Operation::Set(key, value)),
        2 => (key(), value()).prop_map(|(key, value)| Operation::Add(key, value)),
        1 => key().prop_map(Operation::Peek),
        1 => (0..KEYS, 1..KEYS, value())
            .prop_map(|(key, count, value)| Operation::SetMany(key, count, value)),
        3 => (key(), value()).prop_map(|(key, value)| Operation::SetStale(key, value)),
        2 => (key(), value()).prop_map(|(key, value)| Operation::FailRefresh(key, value)),
        2 => (key(), any::<bool>()).prop_map(|(key, same)| Operation::Replace(key, same)),
        2 => key().prop_map(Operation::Delete),
        2 => key().prop_map(Operation::Remaining),
        3 => (key(), change()).prop_map(|(key, change)| Operation::ChangeLife(key, change)),
        2 => (key(), few_bits(), any::<u8>())
            .prop_map(|(key, tags, anchors)| Operation::AddTags(key, tags, anchors)),
        2 => few_bits().prop_map(Operation::Invalidate),
        1 => prop::option::of(any::<bool>()).prop_map(Operation::Clear),
        5 => step().prop_map(Operation::Advance),
        8 => (key(), any::<bool>(), any::<bool>(), any::<u8>()).prop_map(
            |(key, share, counted, held)| Operation::Begin { key, share, counted, held }),
        4 => (place(), any::<u8>()).prop_map(|(lease, held)| Operation::Join { lease, held }),
        1 => place().prop_map(Operation::Follow),
        1 => (key(), any::<bool>())
            .prop_map(|(key, share)| Operation::Recompute { key, share }),
        3 => (place(), few_bits(), any::<bool>()).prop_map(
            |(lease, tags, result_tags)| Operation::Declare { lease, tags, result_tags }),
        4 => (place(), value(), few_bits(), any::<bool>()).prop_map(
            |(lease, value, late, stale)| Operation::Fill { lease, value, late, stale }),
        1 => place().prop_map(Operation::Settle),
        2 => place().prop_map(Operation::Abandon),
        3 => place().prop_map(Operation::Register),
        1 => place().prop_map(Operation::Leave),
        1 => place().prop_map(Operation::StopWaiting),
    ]
}
