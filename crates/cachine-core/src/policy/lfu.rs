//! Least frequently used, in constant time: a row of groups, one for each count of uses.
//!
//! Shah, Mitra and Matani, "An O(1) algorithm for implementing the LFU cache eviction scheme",
//! 2010. Inside a group the entries stand in the order of their last use, so ties go to recency.
//!
//! # Invariants
//!
//! 1. Groups stand in ascending order of their count, and none is empty.
//! 2. The `mark` of an entry is the number of its group.

use super::list::List;
use super::{Places, Policy};
use crate::slab::{NIL, Slab};

/// Exact frequency, then recency.
#[derive(Debug)]
pub(crate) struct Lfu {
    groups: Slab<Group>,
    rarest: u32,
}

#[derive(Debug)]
struct Group {
    uses: u64,
    list: List,
    rarer: u32,
    more_used: u32,
}

impl Lfu {
    pub(super) const fn new() -> Self {
        Self { groups: Slab::new(), rarest: NIL }
    }

    /// The group of `uses` that follows the group `after` (or leads the row), made when missing.
    fn group(&mut self, uses: u64, after: u32) -> u32 {
        let next = if after == NIL { self.rarest } else { self.groups[after].more_used };
        if next != NIL && self.groups[next].uses == uses {
            return next;
        }
        let group = Group { uses, list: List::new(), rarer: after, more_used: next };
        let number = self.groups.insert(group);
        if after == NIL {
            self.rarest = number;
        } else {
            self.groups[after].more_used = number;
        }
        if next != NIL {
            self.groups[next].rarer = number;
        }
        number
    }

    fn drop_if_empty(&mut self, number: u32) {
        if !self.groups[number].list.is_empty() {
            return;
        }
        let Group { rarer, more_used, .. } = self.groups.remove(number);
        if rarer == NIL {
            self.rarest = more_used;
        } else {
            self.groups[rarer].more_used = more_used;
        }
        if more_used != NIL {
            self.groups[more_used].rarer = rarer;
        }
    }

    fn join(&mut self, places: &mut impl Places, place: u32, number: u32) {
        places.order_mut(place).mark = number;
        self.groups[number].list.push_front(places, place);
    }
}

impl Policy for Lfu {
    fn insert(&mut self, places: &mut impl Places, place: u32) {
        let first = self.group(1, NIL);
        self.join(places, place, first);
    }

    fn touch(&mut self, places: &mut impl Places, place: u32) {
        let old = places.order(place).mark;
        let new = self.group(self.groups[old].uses + 1, old);
        self.groups[old].list.unlink(places, place);
        self.join(places, place, new);
        self.drop_if_empty(old);
    }

    fn remove(&mut self, places: &mut impl Places, place: u32) {
        let number = places.order(place).mark;
        self.groups[number].list.unlink(places, place);
        self.drop_if_empty(number);
    }

    fn victim(&self, places: &impl Places, keep: u32) -> Option<u32> {
        let rarest = self.groups.get(self.rarest)?;
        // Where the group holds nobody but `keep`, the next one begins with somebody else.
        let next = || self.groups.get(rarest.more_used)?.list.last_but(places, keep);
        rarest.list.last_but(places, keep).or_else(next)
    }

    fn in_order(&self, places: &impl Places) -> Vec<u32> {
        let mut all = Vec::new();
        let mut number = self.rarest;
        while let Some(group) = self.groups.get(number) {
            let members = group.list.back_to_front(places);
            assert!(members.iter().all(|&place| places.order(place).mark == number));
            all.extend(members);
            number = group.more_used;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Order;

    struct Bare(Vec<Order>);

    impl Places for Bare {
        fn order(&self, place: u32) -> &Order {
            &self.0[place as usize]
        }

        fn order_mut(&mut self, place: u32) -> &mut Order {
            &mut self.0[place as usize]
        }
    }

    #[test]
    fn the_rarest_leaves_first_and_ties_go_to_the_least_recent() {
        let mut places = Bare(vec![Order::UNLINKED; 4]);
        let mut lfu = Lfu::new();
        for place in 0..4 {
            lfu.insert(&mut places, place);
        }
        for place in [2, 0, 2, 1] {
            lfu.touch(&mut places, place);
        }
        assert_eq!(lfu.in_order(&places), [3, 0, 1, 2]);
        lfu.remove(&mut places, 3);
        assert_eq!(lfu.victim(&places, NIL), Some(0));
        assert_eq!(lfu.victim(&places, 0), Some(1), "in the same group");
        lfu.touch(&mut places, 0);
        assert_eq!(lfu.victim(&places, 1), Some(2), "alone in its group");
        for place in 0..3 {
            lfu.remove(&mut places, place);
        }
        assert_eq!((lfu.victim(&places, NIL), lfu.groups.len()), (None, 0));
    }
}
