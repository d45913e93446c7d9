//! A growing array whose places keep their number, so that lists can be indices instead of pointers.
//!
//! # Cost
//!
//! One contiguous block: chunks were measured slower on every operation. A freed place is the
//! first to be used again. The free places are a list through themselves, so that a million that
//! are freed allocate nothing: a growing list beside them made the allocator tidy up all that had
//! been freed so far, 3 to 37 ms in the middle of somebody's `get`.

use std::ops::{Index, IndexMut};

/// The index that names no place.
pub(crate) const NIL: u32 = u32::MAX;

/// Items by number.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    taken: usize,
    /// The first free place.
    free: u32,
}

/// An item, or the free place after this one.
#[derive(Debug)]
enum Place<T> {
    Taken(T),
    Free(u32),
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), taken: 0, free: NIL }
    }

    /// How many places are taken.
    pub(crate) fn len(&self) -> usize {
        self.taken
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
        self.taken += 1;
        if let Some(free) = self.places.get_mut(self.free as usize) {
            let place = self.free;
            if let Place::Free(next) = std::mem::replace(free, Place::Taken(item)) {
                self.free = next;
            }
            return place;
        }
        let place = self.places();
        assert!(place < 1 << 31, "a store holds at most 2^31 entries");
        self.places.push(Place::Taken(item));
        place
    }

    /// Takes the item out of a place, which becomes free.
    pub(crate) fn remove(&mut self, place: u32) -> T {
        let left = std::mem::replace(&mut self.places[place as usize], Place::Free(self.free));
        self.free = place;
        self.taken -= 1;
        left.item().expect("a linked place is taken")
    }

    #[inline]
    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        self.places.get(place as usize).and_then(Place::as_ref)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.places.get_mut(place as usize).and_then(Place::as_mut)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.places).filter_map(|(place, item)| Some((place, item.as_ref()?)))
    }
}

impl<T> Place<T> {
    #[inline]
    fn item(self) -> Option<T> {
        if let Self::Taken(item) = self { Some(item) } else { None }
    }

    #[inline]
    fn as_ref(&self) -> Option<&T> {
        if let Self::Taken(item) = self { Some(item) } else { None }
    }

    #[inline]
    fn as_mut(&mut self) -> Option<&mut T> {
        if let Self::Taken(item) = self { Some(item) } else { None }
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
