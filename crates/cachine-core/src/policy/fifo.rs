//! First in, first out: the order of insertion, which neither reads nor overwrites change.

use super::list::List;
use super::{Places, Policy};

/// Exact order of insertion.
#[derive(Debug)]
pub(crate) struct Fifo {
    list: List,
}

impl Fifo {
    pub(super) const fn new() -> Self {
        Self { list: List::new() }
    }
}

impl Policy for Fifo {
    fn insert(&mut self, places: &mut impl Places, place: u32) {
        self.list.push_front(places, place);
    }

    #[inline]
    fn touch(&mut self, _places: &mut impl Places, _place: u32) {}

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
