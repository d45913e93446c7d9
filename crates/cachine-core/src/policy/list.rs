//! A doubly linked list of places: the thread on which every policy strings its entries.

use super::Places;
use crate::slab::NIL;

/// The two ends of a list whose links live in the entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) front: u32,
    pub(super) back: u32,
}

impl List {
    pub(super) const fn new() -> Self {
        Self { front: NIL, back: NIL }
    }

    pub(super) fn is_empty(self) -> bool {
        self.front == NIL
    }

    #[inline]
    pub(super) fn push_front(&mut self, places: &mut impl Places, place: u32) {
        let order = places.order_mut(place);
        order.previous = NIL;
        order.next = self.front;
        if self.front == NIL {
            self.back = place;
        } else {
            places.order_mut(self.front).previous = place;
        }
        self.front = place;
    }

    #[inline]
    pub(super) fn unlink(&mut self, places: &mut impl Places, place: u32) {
        let order = *places.order(place);
        if order.previous == NIL {
            self.front = order.next;
        } else {
            places.order_mut(order.previous).next = order.next;
        }
        if order.next == NIL {
            self.back = order.previous;
        } else {
            places.order_mut(order.next).previous = order.previous;
        }
    }

    /// The place at the back, or the one before it where that is `keep`.
    #[inline]
    pub(super) fn last_but(self, places: &impl Places, keep: u32) -> Option<u32> {
        let back = Some(self.back).filter(|&place| place != NIL)?;
        let last = if back == keep { places.order(back).previous } else { back };
        Some(last).filter(|&place| place != NIL)
    }

    pub(super) fn back_to_front(self, places: &impl Places) -> Vec<u32> {
        let step = |&place: &u32| Some(places.order(place).previous).filter(|&next| next != NIL);
        std::iter::successors(Some(self.back).filter(|&place| place != NIL), step).collect()
    }
}
