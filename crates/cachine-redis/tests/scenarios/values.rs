//! Where each value comes from, and what is out of date.

use std::collections::HashMap;

use crate::observer::Violation;
use crate::scenario::Operation;

/// Counters have what was added to them in bits from here on; below is the number of a value.
const BITS: u32 = 20;

/// From which version of the source on a key or tag has had its last invalidation that returned.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Floors {
    keys: [u64; 2],
    tags: [u64; 2],
    /// The same of the keys, but for counting: what was there before is in what is there after.
    uncounted: [u64; 2],
}

/// All values that were made.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    values: HashMap<u64, Origin>,
    /// The source as an operation returned that has added tags.
    tagged: HashMap<u64, u64>,
}

/// Where a value comes from.
#[derive(Clone, Debug)]
struct Origin {
    key: usize,
    tags: Vec<usize>,
    /// The tags that it was given later, and by which operation.
    added: Vec<(usize, u64)>,
    /// The source as it was computed; for an explicit one as it returned, if it has.
    version: Option<u64>,
}

impl Floors {
    /// What was there before an operation that has returned is out of date.
    pub(crate) fn raise(&mut self, operation: &Operation, version: u64) {
        let up = |floor: &mut u64| *floor = version.max(*floor);
        match operation {
            Operation::Set { key, .. } | Operation::Delete(key) => {
                up(&mut self.keys[*key]);
                up(&mut self.uncounted[*key]);
            }
            Operation::Incr(key) => up(&mut self.keys[*key]),
            Operation::Invalidate(tags) => tags.iter().for_each(|&tag| up(&mut self.tags[tag])),
            Operation::Clear => {
                let Self { keys, tags, uncounted } = self;
                keys.iter_mut().chain(tags).chain(uncounted).for_each(up);
            }
            Operation::Call(..)
            | Operation::Join(_)
            | Operation::Refresh(_)
            | Operation::Expire(_)
            | Operation::Tag { .. } => {}
        }
    }
}

impl Origins {
    /// A value is made; an explicit one has no version before its write returns.
    pub(crate) fn add(&mut self, id: u64, key: usize, tags: Vec<usize>, version: Option<u64>) {
        self.values.insert(id, Origin { key, tags, added: Vec::new(), version });
    }

    /// An operation has given a value a tag, if not for good: it may still have to file it.
    pub(crate) fn tag(&mut self, value: u64, tag: usize, by: u64) {
        for part in parts(value) {
            self.values.entry(part).and_modify(|origin| origin.added.push((tag, by)));
        }
    }

    /// An operation that adds tags has returned.
    pub(crate) fn tagged(&mut self, by: u64, source: u64) {
        self.tagged.insert(by, source);
    }

    /// An explicit write has returned.
    pub(crate) fn returned(&mut self, id: u64, source: u64) {
        self.values.get_mut(&id).expect("it was made").version = Some(source);
    }

    /// Whether a value was made before the start of an invalidation that had returned when the floors
    /// were these.
    pub(crate) fn is_stale(&self, value: u64, floors: &Floors) -> Result<bool, Violation> {
        let parts = parts(value);
        if parts.iter().any(|part| !self.values.contains_key(part)) {
            return Err(Violation { invariant: 0, text: format!("{value} was never made") });
        }
        let made = |part: &u64| self.values[part].version.unwrap_or(u64::MAX);
        let is_addition = |part: &u64| part >> BITS > 0;
        // The addition that came last speaks for the others.
        let newest = parts.iter().filter(|part| is_addition(part)).map(made).max();
        Ok(parts.iter().any(|part| {
            let origin = &self.values[part];
            let (made, floor) = match newest {
                Some(newest) if is_addition(part) => (newest, floors.keys[origin.key]),
                Some(_) => (made(part), floors.uncounted[origin.key]),
                None => (made(part), floors.keys[origin.key]),
            };
            let tags = origin.tags.iter().map(|&tag| floors.tags[tag]);
            let is_early = |(tag, by): &(usize, u64)| {
                self.tagged.get(by).is_some_and(|&added| added < floors.tags[*tag])
            };
            tags.chain([floor]).any(|floor| made < floor) || origin.added.iter().any(is_early)
        }))
    }
}

/// The number of a value, and the additions to it.
pub(crate) fn parts(value: u64) -> Vec<u64> {
    let base = value & ((1 << BITS) - 1);
    let bits = (BITS..64).map(|bit| 1 << bit).filter(|bit| value & bit != 0);
    Some(base).filter(|base| *base > 0).into_iter().chain(bits).collect()
}

/// What the `n`-th addition adds.
pub(crate) fn addition(n: usize) -> u64 {
    1 << (BITS as usize + n)
}
