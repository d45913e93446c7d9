//! Least recently used: every use moves the entry to the front, the back leaves.

use super::list::List;
use super::{Places, Policy};

/// Exact recency.
#[derive(Debug)]
pub(crate) struct Lru {
    list: List,
}

impl Lru {
    pub(super) const fn new() -> Self {
        Self { list: List::new() }
    }
}

impl Policy for Lru {
    fn insert(&mut self, places: &mut impl Places, place: u32) {
        self.list.push_front(places, place);
    }

    #[inline]
    fn touch(&mut self, places: &mut impl Places, place: u32) {
        if self.list.front != place {
            self.list.unlink(places, place);
            self.list.push_front(places, place);
        }
    }

    fn remove(&mut self, places: &mut impl Places, place: u32) {
        self.list.unlink(places, place);
    }

    fn victim(&self, places: &impl Places, keep: u32) -> Option<u32> {
        self.list.last_but(places, keep)
    }

    fn in_order(&self, places: &impl Places) -> Vec<u32> {
        self.list.back_to_front(places)
    }
}
