//! Which entries are due, without ever looking at those that are not.
//!
//! Hashed hierarchical timing wheels (Varghese and Lauck, SOSP 1987): six wheels of 64 slots, each
//! wheel 64 times coarser than the one before. An entry is filed in the slot of its deadline and
//! moves to a finer wheel when its slot comes up. All work is done one entry at a time, on the
//! caller's budget, so a million entries that fall due together are a million small steps of the
//! traffic that follows, and not one long pause.
//!
//! # Invariants
//!
//! 1. An entry is never filed later than its deadline. It may be filed earlier: a deadline that
//!    moves away is not filed again until the old slot comes up.
//! 2. A bit of `occupied` is set exactly when its slot holds an entry.
//! 3. All slots before `reached` are empty.
//!
//! # Cost
//!
//! Two links an entry; an entry is touched at most six times in its life.

use crate::clock::{Instant, NEVER};
use crate::slab::NIL;

const LEVELS: u32 = 6;
const SLOT_BITS: u32 = 6;
const SLOTS: u32 = 1 << SLOT_BITS;

/// The finest slot is 2^24 ns, about 17 ms, wide.
const FINEST: u32 = 24;

/// Entries that are not due yet which one search of the slot at hand looks at, at most: the next
/// call would look at them again.
const SCANNED: u32 = 64;

/// A link that names a slot's head instead of an entry has this bit.
const HEAD: u32 = 1 << 31;

/// The links of an entry in its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filed {
    previous: u32,
    next: u32,
}

/// Access to the deadline and links of an entry.
pub(crate) trait Timed {
    fn deadline(&self, place: u32) -> Instant;
    fn filed(&mut self, place: u32) -> &mut Filed;
}

/// Entries by deadline.
#[derive(Debug)]
pub(crate) struct Wheel {
    heads: Box<[u32; (LEVELS * SLOTS) as usize]>,
    occupied: [u64; LEVELS as usize],
    /// In units of the finest slot.
    reached: u64,
}

/// The slot that comes up next.
#[derive(Clone, Copy)]
struct Next {
    level: u32,
    slot: u32,
    /// When the slot begins, in units of the finest slot.
    start: u64,
}

impl Filed {
    pub(crate) const NOWHERE: Self = Self { previous: NIL, next: NIL };
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        let heads = Box::new([NIL; (LEVELS * SLOTS) as usize]);
        Self { heads, occupied: [0; LEVELS as usize], reached: now >> FINEST }
    }

    /// Files the entry at `place` under its deadline.
    pub(crate) fn insert(&mut self, entries: &mut impl Timed, place: u32) {
        let deadline = entries.deadline(place);
        if deadline == NEVER {
            return;
        }
        // Rounded down, as invariant 1 asks; what is due already goes into the slot at hand.
        let tick = (deadline >> FINEST).max(self.reached);
        let differing = (tick ^ self.reached) | (u64::from(SLOTS) - 1);
        let level = (differing.ilog2() / SLOT_BITS).min(LEVELS - 1);
        let shift = level * SLOT_BITS;
        // Beyond the last wheel: as far ahead as it goes, to be filed again from there.
        let far = (self.reached >> shift) + u64::from(SLOTS) - 1;
        let slot = (tick >> shift).min(far) % u64::from(SLOTS);
        self.link(entries, place, level, u32::try_from(slot).unwrap_or(0));
    }

    fn link(&mut self, entries: &mut impl Timed, place: u32, level: u32, slot: u32) {
        let head = level * SLOTS + slot;
        let first = std::mem::replace(&mut self.heads[head as usize], place);
        *entries.filed(place) = Filed { previous: HEAD | head, next: first };
        if first != NIL {
            entries.filed(first).previous = place;
        }
        self.occupied[level as usize] |= 1 << slot;
    }

    /// Takes an entry out, if it is filed.
    pub(crate) fn remove(&mut self, entries: &mut impl Timed, place: u32) {
        let Filed { previous, next } = std::mem::replace(entries.filed(place), Filed::NOWHERE);
        if previous == NIL {
            return;
        }
        if next != NIL {
            entries.filed(next).previous = previous;
        }
        if previous & HEAD == 0 {
            entries.filed(previous).next = next;
            return;
        }
        let head = previous & !HEAD;
        self.heads[head as usize] = next;
        if next == NIL {
            self.occupied[(head / SLOTS) as usize] &= !(1 << (head % SLOTS));
        }
    }

    /// Follows a deadline that has changed.
    pub(crate) fn moved(&mut self, entries: &mut impl Timed, place: u32, before: Instant) {
        let deadline = entries.deadline(place);
        let is_filed = entries.filed(place).previous != NIL;
        // Invariant 1 allows an early slot: overwriting with a later deadline costs nothing here.
        if is_filed && deadline >= before && deadline != NEVER {
            return;
        }
        self.remove(entries, place);
        self.insert(entries, place);
    }

    /// The slot that comes up next on any wheel; at equal times the coarser one, since what it
    /// holds belongs before or into the finer one.
    fn next(&self) -> Option<Next> {
        let mut best: Option<Next> = None;
        for level in 0..LEVELS {
            let shift = level * SLOT_BITS;
            let at = self.reached >> shift;
            let turned = self.occupied[level as usize].rotate_right((at % 64) as u32);
            if turned == 0 {
                continue;
            }
            let start = (at + u64::from(turned.trailing_zeros())) << shift;
            let slot = u32::try_from((start >> shift) % u64::from(SLOTS)).unwrap_or(0);
            if best.is_none_or(|best| start <= best.start) {
                best = Some(Next { level, slot, start });
            }
        }
        best
    }

    /// Takes out the next entry that is due at `now`, moving at most `budget` others on the way.
    pub(crate) fn pop(
        &mut self,
        entries: &mut impl Timed,
        now: Instant,
        budget: &mut u32,
    ) -> Option<u32> {
        let current = now >> FINEST;
        while *budget > 0 {
            let next = self.next().filter(|next| next.start <= current)?;
            self.reached = self.reached.max(next.start);
            let place = self.heads[(next.level * SLOTS + next.slot) as usize];
            *budget -= 1;
            if entries.deadline(place) <= now {
                self.remove(entries, place);
                return Some(place);
            }
            if next.level == 0 && next.start == current {
                return self.scan(entries, now, place, budget);
            }
            self.remove(entries, place);
            self.insert(entries, place);
        }
        None
    }

    /// Looks for a due entry in the slot at hand, some of whose entries are not due yet.
    fn scan(
        &mut self,
        entries: &mut impl Timed,
        now: Instant,
        from: u32,
        budget: &mut u32,
    ) -> Option<u32> {
        let mut place = entries.filed(from).next;
        for _ in 0..SCANNED {
            if place == NIL || *budget == 0 {
                break;
            }
            *budget -= 1;
            if entries.deadline(place) <= now {
                self.remove(entries, place);
                return Some(place);
            }
            place = entries.filed(place).next;
        }
        None
    }

    /// All filed places, slot by slot: for the self-check of tests.
    pub(crate) fn all(&self, entries: &mut impl Timed) -> Vec<u32> {
        let mut all = Vec::new();
        for (head, &first) in (0..).zip(self.heads.iter()) {
            let is_occupied = self.occupied[(head / SLOTS) as usize] >> (head % SLOTS) & 1 == 1;
            assert_eq!(is_occupied, first != NIL, "invariant 2");
            let (mut previous, mut place) = (HEAD | head, first);
            while place != NIL {
                let filed = *entries.filed(place);
                assert_eq!(filed.previous, previous);
                all.push(place);
                (previous, place) = (place, filed.next);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bare(Vec<(Instant, Filed)>);

    impl Timed for Bare {
        fn deadline(&self, place: u32) -> Instant {
            self.0[place as usize].0
        }

        fn filed(&mut self, place: u32) -> &mut Filed {
            &mut self.0[place as usize].1
        }
    }

    const MS: u64 = 1_000_000;
    const HOUR: u64 = 3_600_000 * MS;

    fn drain(wheel: &mut Wheel, entries: &mut Bare, now: Instant) -> Vec<u32> {
        let mut all = Vec::new();
        while let Some(place) = wheel.pop(entries, now, &mut u32::MAX.clone()) {
            all.push(place);
        }
        all
    }

    #[test]
    fn entries_come_out_when_due_and_never_before_on_every_scale() {
        let deadlines = [
            HOUR,
            HOUR + 1,
            HOUR + MS,
            HOUR + 20 * MS,
            HOUR + 999 * MS,
            2 * HOUR,
            24 * HOUR,
            24 * 365 * HOUR,
            24 * 365 * 40 * HOUR,
            24 * 365 * 500 * HOUR,
        ];
        let mut entries = Bare(deadlines.iter().map(|&due| (due, Filed::NOWHERE)).collect());
        let mut wheel = Wheel::new(HOUR);
        for place in 0..10 {
            wheel.insert(&mut entries, place);
        }
        for (place, due) in (0..).zip(deadlines) {
            assert_eq!(drain(&mut wheel, &mut entries, due - 1), [] as [u32; 0], "{place}");
            assert_eq!(drain(&mut wheel, &mut entries, due), [place]);
        }
        assert!(wheel.all(&mut entries).is_empty());
    }

    #[test]
    fn random_deadlines_come_out_in_every_order_of_filing_moving_and_time() {
        let mut seed = 42_u64;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut entries = Bare(vec![(NEVER, Filed::NOWHERE); 500]);
        let mut wheel = Wheel::new(0);
        let mut now = 0;
        for _ in 0..20_000 {
            let place = u32::try_from(random(500)).unwrap();
            let before = entries.deadline(place);
            let scale = [MS, 50 * MS, 5_000 * MS, HOUR][usize::try_from(random(4)).unwrap()];
            entries.0[place as usize].0 = now + 1 + random(100) * scale;
            wheel.moved(&mut entries, place, before);
            if random(4) == 0 {
                now += random(3) * scale;
                for place in drain(&mut wheel, &mut entries, now) {
                    assert!(entries.deadline(place) <= now);
                    entries.0[place as usize].0 = NEVER;
                }
                assert!(entries.0.iter().all(|&(due, _)| due == NEVER || due > now));
            }
        }
        let filed = wheel.all(&mut entries).len();
        assert_eq!(filed, entries.0.iter().filter(|(due, _)| *due != NEVER).count());
    }

    #[test]
    fn a_budget_bounds_the_work_of_one_call() {
        let mut entries = Bare(vec![(HOUR, Filed::NOWHERE); 10_000]);
        let mut wheel = Wheel::new(0);
        for place in 0..10_000 {
            wheel.insert(&mut entries, place);
        }
        let mut budget = 16;
        let mut popped = 0;
        while wheel.pop(&mut entries, HOUR, &mut budget).is_some() {
            popped += 1;
        }
        assert!(popped <= 16);
        assert_eq!(drain(&mut wheel, &mut entries, HOUR).len(), 10_000 - popped);
    }
}
