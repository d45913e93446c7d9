//! From the hash of a key to its place, growing without a pause.
//!
//! A hash table that doubles moves all it holds at once: 20 ms at a million entries, in the middle
//! of somebody's `set`. Here the table is cut into segments of bounded size, and a full segment is
//! split in two by one more bit of the hash (extendible hashing: Fagin, Nievergelt, Pippenger and
//! Strong, ACM TODS 1979). A small cache has one segment.
//!
//! # Invariants
//!
//! 1. `directory` has `2^depth` slots; the top `depth` bits of a hash choose one.
//! 2. A segment of depth `d` stands in `2^(depth - d)` neighbouring slots, and all it holds agrees
//!    in the top `d` bits.
//!
//! # Cost
//!
//! 8 bytes and one control byte an entry at a load of at most 7/8. The longest insert moves
//! [`SEGMENT`] pairs.

use hashbrown::HashTable;

/// A segment is split when it holds this many: a table of 16,384 buckets, full.
const SEGMENT: usize = 14_336;

/// Deeper than this the hash has no bits left worth splitting by.
const DEEPEST: u32 = 16;

/// Places by 32-bit hash.
#[derive(Debug)]
pub(crate) struct Index {
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    depth: u32,
    table: HashTable<Pair>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    hash: u32,
    place: u32,
}

/// Spreads a hash over 64 bits: the table takes its bucket from the low end and its control byte
/// from the high end, and inside a segment the top bits of `hash` are all the same.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26)
}

impl Index {
    pub(crate) fn new() -> Self {
        let first = Segment { depth: 0, table: HashTable::new() };
        Self { directory: vec![0], depth: 0, segments: vec![first] }
    }

    #[inline]
    fn segment(&self, hash: u32) -> u32 {
        // Two shifts: one by 32 would be an overflow while there is one slot.
        self.directory[(hash >> 1 >> (31 - self.depth)) as usize]
    }

    /// The place with this hash for which `is_it` holds.
    #[expect(clippy::inline_always, reason = "the heart of every hit, in which a call shows")]
    #[inline(always)]
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let table = &self.segments[self.segment(hash) as usize].table;
        let found = table.find(spread(hash), |pair| pair.hash == hash && is_it(pair.place));
        found.map(|pair| pair.place)
    }

    /// Adds a place that is not there yet.
    pub(crate) fn insert(&mut self, hash: u32, place: u32) {
        let mut number = self.segment(hash);
        while self.segments[number as usize].table.len() >= SEGMENT
            && self.segments[number as usize].depth < DEEPEST
        {
            self.split(number, hash);
            number = self.segment(hash);
        }
        let table = &mut self.segments[number as usize].table;
        table.insert_unique(spread(hash), Pair { hash, place }, |pair| spread(pair.hash));
    }

    /// Takes a place out.
    pub(crate) fn remove(&mut self, hash: u32, place: u32) {
        let number = self.segment(hash);
        let table = &mut self.segments[number as usize].table;
        if let Ok(entry) = table.find_entry(spread(hash), |pair| pair.place == place) {
            entry.remove();
        }
    }

    /// Splits the segment that `hash` falls into by its next bit.
    fn split(&mut self, number: u32, hash: u32) {
        let depth = self.segments[number as usize].depth + 1;
        if depth > self.depth {
            self.directory = self.directory.iter().flat_map(|&slot| [slot, slot]).collect();
            self.depth += 1;
        }
        let bit = 1 << (32 - depth);
        let old = &mut self.segments[number as usize];
        old.depth = depth;
        let mut table = HashTable::with_capacity(old.table.len() / 2 + 64);
        for pair in old.table.extract_if(|pair| pair.hash & bit != 0) {
            table.insert_unique(spread(pair.hash), pair, |pair| spread(pair.hash));
        }
        let fresh = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
        self.segments.push(Segment { depth, table });
        // Invariant 2: the upper half of the slots of the old segment now belongs to the new one.
        let first = ((hash | bit) & !(bit - 1)) >> 1 >> (31 - self.depth);
        let count = 1 << (self.depth - depth);
        for slot in &mut self.directory[first as usize..first as usize + count] {
            *slot = fresh;
        }
    }

    /// How many places are known.
    pub(crate) fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.table.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash with the quality of a real one: a bijection, so that keys stay distinct.
    fn mix(number: u32) -> u32 {
        let mut x = number.wrapping_mul(0x9E37_79B1);
        x ^= x >> 15;
        x = x.wrapping_mul(0x85EB_CA77);
        x ^ (x >> 13)
    }

    fn check(index: &Index) {
        assert_eq!(index.directory.len(), 1 << index.depth);
        for (slot, &number) in index.directory.iter().enumerate() {
            let segment = &index.segments[number as usize];
            assert!(segment.depth <= index.depth);
            let top = |hash: u32| hash >> 1 >> (31 - segment.depth);
            let own = u32::try_from(slot).unwrap() >> (index.depth - segment.depth);
            assert!(segment.table.iter().all(|pair| top(pair.hash) == own));
        }
    }

    #[test]
    fn every_place_is_found_after_many_splits_and_none_after_its_removal() {
        let mut index = Index::new();
        let count = 200_000;
        for place in 0..count {
            index.insert(mix(place), place);
        }
        check(&index);
        assert_eq!(index.len(), 200_000);
        assert!(index.segments.len() >= 16);
        assert!(index.segments.iter().all(|segment| segment.table.len() <= SEGMENT));
        for place in 0..count {
            assert_eq!(index.find(mix(place), |found| found == place), Some(place));
        }
        for place in (0..count).step_by(2) {
            index.remove(mix(place), place);
        }
        check(&index);
        for place in 0..count {
            let found = index.find(mix(place), |found| found == place).is_some();
            assert_eq!(found, place % 2 == 1);
        }
    }

    #[test]
    fn keys_that_all_hash_alike_do_not_split_for_ever() {
        let mut index = Index::new();
        for place in 0..20_000 {
            index.insert(7, place);
        }
        check(&index);
        assert_eq!(index.find(7, |place| place == 19_999), Some(19_999));
    }
}
