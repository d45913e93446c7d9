//! Which entry leaves when a bounded store is full.
//!
//! A policy keeps the places of all entries in an order of its own and answers one question: who
//! is the next victim. The links live in the entries themselves (`Order`), so that a hit touches
//! no second cache line. A policy sees places only, never keys or values.

mod fifo;
mod lfu;
mod list;
mod lru;

use fifo::Fifo;
use lfu::Lfu;
use lru::Lru;

/// The choice of an eviction policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eviction {
    /// The least recently used entry leaves: exact, and the default.
    #[default]
    Lru,
    /// The least frequently used entry leaves: exact, among equals the least recently used. Old
    /// favourites stay long after their time, which costs hits wherever popularity moves.
    Lfu,
    /// The oldest entry leaves; use does not count.
    Fifo,
}

/// What a policy keeps in each entry: two links and a number of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) previous: u32,
    pub(crate) next: u32,
    pub(crate) mark: u32,
}

/// Access to the [`Order`] of a place.
pub(crate) trait Places {
    fn order(&self, place: u32) -> &Order;
    fn order_mut(&mut self, place: u32) -> &mut Order;
}

/// An order of eviction over places.
pub(crate) trait Policy {
    /// A new entry stands at `place`.
    fn insert(&mut self, places: &mut impl Places, place: u32);
    /// The entry at `place` was used: read, written, counted or touched.
    fn touch(&mut self, places: &mut impl Places, place: u32);
    /// The entry at `place` leaves.
    fn remove(&mut self, places: &mut impl Places, place: u32);
    /// The entry that leaves next, other than `keep` (which may be no place at all), in constant
    /// time.
    fn victim(&self, places: &impl Places, keep: u32) -> Option<u32>;
    /// All places from the next victim on: for the self-check of tests.
    fn in_order(&self, places: &impl Places) -> Vec<u32>;
}

/// The policy of a store: one of those below, or none where nothing is ever evicted.
#[derive(Debug)]
pub(crate) enum Chosen {
    Unbounded,
    Lru(Lru),
    Lfu(Lfu),
    Fifo(Fifo),
}

macro_rules! delegate {
    ($self:ident, $policy:ident => $call:expr, $unbounded:expr) => {
        match $self {
            Chosen::Unbounded => $unbounded,
            Chosen::Lru($policy) => $call,
            Chosen::Lfu($policy) => $call,
            Chosen::Fifo($policy) => $call,
        }
    };
}

impl Chosen {
    pub(crate) fn new(eviction: Eviction) -> Self {
        match eviction {
            Eviction::Lru => Self::Lru(Lru::new()),
            Eviction::Lfu => Self::Lfu(Lfu::new()),
            Eviction::Fifo => Self::Fifo(Fifo::new()),
        }
    }
}

impl Policy for Chosen {
    fn insert(&mut self, places: &mut impl Places, place: u32) {
        delegate!(self, policy => policy.insert(places, place), ());
    }

    #[inline]
    fn touch(&mut self, places: &mut impl Places, place: u32) {
        delegate!(self, policy => policy.touch(places, place), ());
    }

    fn remove(&mut self, places: &mut impl Places, place: u32) {
        delegate!(self, policy => policy.remove(places, place), ());
    }

    fn victim(&self, places: &impl Places, keep: u32) -> Option<u32> {
        delegate!(self, policy => policy.victim(places, keep), None)
    }

    fn in_order(&self, places: &impl Places) -> Vec<u32> {
        delegate!(self, policy => policy.in_order(places), Vec::new())
    }
}

impl Order {
    pub(crate) const UNLINKED: Self =
        Self { previous: crate::slab::NIL, next: crate::slab::NIL, mark: 0 };
}
