//! The structural self-check of a store: every list against every other.

use crate::clock::NEVER;
use crate::policy::{Chosen, Policy};
use crate::store::{Host, State, Store};

impl<H: Host> Store<H> {
    /// Panics unless all inner lists agree; for tests, after each operation.
    #[doc(hidden)]
    pub fn check(&self) {
        self.lock().check();
    }

    /// The keys of all entries with their tag names, the next victim first where there is an
    /// order: for tests that compare with a model.
    #[doc(hidden)]
    pub fn dump(&self) -> Vec<(Vec<u8>, Vec<String>)> {
        let state = self.lock();
        let mut places = state.policy.in_order(&state.entries);
        if matches!(state.policy, Chosen::Unbounded) {
            places = state.matching(|_| true);
        }
        let entry = |place| {
            let entry = &state.entries[place];
            let tags = state.tags.names_of(entry.tags).into_iter().map(str::to_owned).collect();
            (entry.key.to_vec(), tags)
        };
        places.into_iter().map(entry).collect()
    }
}

impl<H: Host> State<H> {
    fn check(&mut self) {
        let count = self.entries.len();
        assert_eq!(self.index.len(), count, "invariant 1: the index knows every entry");
        for (place, entry) in self.entries.iter() {
            assert_eq!(self.index.find(entry.hash, |found| found == place), Some(place));
            assert!(entry.stale_from <= entry.deadline);
        }
        if !matches!(self.policy, Chosen::Unbounded) {
            let mut ordered = self.policy.in_order(&self.entries);
            ordered.sort_unstable();
            let all: Vec<_> = self.entries.iter().map(|(place, _)| place).collect();
            assert_eq!(ordered, all, "invariant 1: the policy knows every entry, once");
        }
        let mut timed = self.wheel.all(&mut self.entries);
        timed.sort_unstable();
        let ends = self.entries.iter().filter(|(_, entry)| entry.deadline != NEVER);
        let ends: Vec<_> = ends.map(|(place, _)| place).collect();
        assert_eq!(timed, ends, "invariant 1: the wheel knows every deadline, once");
        assert_eq!(self.deadlines, ends.len());
        let heads = |place| self.entries.get(place).expect("members are entries").tags;
        let memberships = self.tags.check(heads);
        let of_entries = self.entries.iter().map(|(_, entry)| self.tags.names_of(entry.tags).len());
        assert_eq!(of_entries.sum::<usize>(), memberships);
        self.fills.check();
        let has_entry = |key: &[u8]| self.entries.iter().any(|(_, entry)| *entry.key == *key);
        assert!(self.fills.paused().all(has_entry), "a pause leaves with its entry");
        assert!(self.bounds.max_size.is_none_or(|most| count as u64 <= most), "invariant 3");
        if let Some(most) = self.bounds.max_weight {
            let all: u64 = self.entries.iter().map(|(place, _)| self.weights[place as usize]).sum();
            assert_eq!(self.weight, all);
            assert!(all <= most, "invariant 3");
        }
    }
}
