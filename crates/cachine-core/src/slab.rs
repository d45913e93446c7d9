//! A growing array whose places keep their number, so that lists can be indices instead of pointers.
//!
//! # Cost
//!
//! One contiguous block: chunks were measured slower on every operation. A freed place is the
//! first to be used again.

use std::ops::{Index, IndexMut};

/// The index that names no place.
pub(crate) const NIL: u32 = u32::MAX;

/// Items by number.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    /// How many places are taken.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many places there are, taken or free.
    pub(crate) fn places(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(NIL)
    }

    /// Makes room for `count` items in all, as far as the allocator is willing.
    pub(crate) fn reserve(&mut self, count: usize) {
        let missing = count.saturating_sub(self.places.len());
        // A failure here is no error: the array then grows when it must.
        let _ = self.places.try_reserve(missing);
    }

    /// Puts `item` into a free place and returns its number.
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(item);
            return place;
        }
        let place = self.places();
        assert!(place < NIL, "a store holds at most 2^32 - 1 entries");
        self.places.push(Some(item));
        place
    }

    /// Takes the item out of a place, which becomes free.
    pub(crate) fn remove(&mut self, place: u32) -> T {
        let item = self.places[place as usize].take().expect("a linked place is taken");
        self.free.push(place);
        item
    }

    #[inline]
    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        self.places.get(place as usize).and_then(Option::as_ref)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.places.get_mut(place as usize).and_then(Option::as_mut)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.places).filter_map(|(place, item)| Some((place, item.as_ref()?)))
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: u32) -> &T {
        self.places[place as usize].as_ref().expect("a linked place is taken")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut T {
        self.places[place as usize].as_mut().expect("a linked place is taken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_place_is_used_again_and_the_others_keep_their_number() {
        let mut slab = Slab::new();
        let (a, b) = (slab.insert("a"), slab.insert("b"));
        assert_eq!(slab.remove(a), "a");
        assert_eq!(slab.insert("c"), a);
        assert_eq!((slab[a], slab[b], slab.len(), slab.places()), ("c", "b", 2, 2));
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(a, &"c"), (b, &"b")]);
        assert!(slab.get(9).is_none());
    }
}
