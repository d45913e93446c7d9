//! Which process this is: a number that grows with every fork, and state that each process has anew.
//!
//! After a fork the child has a copy of everything but the other threads. A lock that one of them
//! held stays locked for ever, and a socket is shared with the parent. So whatever has a lock or a
//! socket is kept per generation, and a child makes its own beside what it inherited.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Says that this is a new process.
pub(super) fn advance() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// The number of this process.
#[inline]
pub(super) fn current() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// A value that each process has for itself.
///
/// It is a chain of places, one for each generation that asked. A child only writes behind the
/// place of its parent, which the parent itself never does, so it finds no half-written place.
#[derive(Debug)]
pub(super) struct PerProcess<T> {
    generation: u64,
    value: T,
    next: OnceLock<Box<PerProcess<T>>>,
}

impl<T> PerProcess<T> {
    /// The value for the process of this generation.
    pub(super) const fn new(generation: u64, value: T) -> Self {
        Self { generation, value, next: OnceLock::new() }
    }

    /// The value for a generation; made if there is none.
    #[inline]
    pub(super) fn at(&self, generation: u64, make: impl Fn() -> T) -> &T {
        let mut place = self;
        while place.generation < generation {
            place = place.next.get_or_init(|| Box::new(Self::new(generation, make())));
        }
        &place.value
    }

    /// The values that processes before this generation left.
    pub(super) fn before(&self, generation: u64) -> impl Iterator<Item = &T> {
        let all = std::iter::successors(Some(self), |place| place.next.get().map(Box::as_ref));
        all.take_while(move |place| place.generation < generation).map(|place| &place.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_has_a_value_of_its_own() {
        let values = PerProcess::new(2, "parent");
        assert_eq!(*values.at(2, || "another"), "parent");
        assert_eq!(*values.at(5, || "child"), "child");
        assert_eq!(*values.at(5, || "another"), "child");
        assert_eq!(*values.at(7, || "grandchild"), "grandchild");
        assert_eq!(values.before(7).copied().collect::<Vec<_>>(), ["parent", "child"]);
        assert_eq!(values.before(2).count(), 0);
    }
}
