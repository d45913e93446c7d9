//! Named locks: who holds each, and who is next, first come first served.
//!
//! A place in the queue of a lock is a [`Turn`]; the first one holds the lock. Whoever is next is woken
//! when the one before it leaves, and nobody else: a thousand who wait cost one wake-up a hand-over.
//!
//! The holder of a lock may be frozen, and come back to what it was about to write when another one
//! holds it. So a hold has a *fencing token* (Kleppmann, "How to do distributed locking", 2016): a number
//! larger than that of every hold before it. Who writes sends it along, and who stores refuses a
//! smaller one than it has seen.
//!
//! # Invariants
//!
//! 1. No waker is dropped or woken under the lock of the table.
//! 2. A name is in the table while there is a turn of it, and no longer.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use crate::store::{Exclusive, Host, Store};
use crate::sync::Arc;

/// One in the queue: its number, and what wakes it when it is first.
type Place<W> = (u64, Option<W>);

/// All queues of a store.
pub(crate) struct Locks<W> {
    queues: HashMap<Box<[u8]>, VecDeque<Place<W>>>,
    last_number: u64,
    last_token: u64,
}

impl<W> Locks<W> {
    pub(crate) fn new() -> Self {
        Self { queues: HashMap::new(), last_number: 0, last_token: 0 }
    }

    /// Stands in line.
    fn join(&mut self, name: &[u8]) -> u64 {
        self.last_number += 1;
        let place = (self.last_number, None);
        match self.queues.get_mut(name) {
            Some(queue) => queue.push_back(place),
            None => {
                self.queues.insert(name.into(), VecDeque::from([place]));
            }
        }
        self.last_number
    }

    fn is_first(&self, name: &[u8], number: u64) -> bool {
        let first = self.queues.get(name).and_then(VecDeque::front);
        first.is_some_and(|(first, _)| *first == number)
    }

    /// Leaves a waker with one who is not first yet; what is not needed comes back.
    fn register(&mut self, name: &[u8], number: u64, waker: W) -> Result<Option<W>, W> {
        let place = self.queues.get_mut(name).and_then(|queue| {
            let at = queue.iter().position(|(other, _)| *other == number)?;
            (at > 0).then(|| &mut queue[at])
        });
        match place {
            Some((_, known)) => Ok(known.replace(waker)),
            None => Err(waker),
        }
    }

    /// Leaves the queue: the waker of the one who leaves, and that of who is first from now on.
    fn leave(&mut self, name: &[u8], number: u64) -> [Option<W>; 2] {
        let Some(queue) = self.queues.get_mut(name) else { return [None, None] };
        let Some(at) = queue.iter().position(|(other, _)| *other == number) else {
            return [None, None];
        };
        let mine = queue.remove(at).and_then(|(_, waker)| waker);
        let next = if at == 0 { queue.front_mut() } else { None };
        let next = next.and_then(|(_, waker)| waker.take());
        if queue.is_empty() {
            self.queues.remove(name);
        }
        [mine, next]
    }

    fn token(&mut self, time: u64) -> u64 {
        self.last_token = time.max(self.last_token + 1);
        self.last_token
    }

    /// Forgets all turns: those who have them are gone.
    pub(crate) fn forget(&mut self) -> Self {
        let mut empty = Self::new();
        // What numbered a turn or a hold before says nothing of those to come.
        (empty.last_number, empty.last_token) = (self.last_number, self.last_token);
        std::mem::replace(self, empty)
    }
}

/// A place in the queue of a lock. The first one holds it; dropped, it is given up.
pub struct Turn<H: Host> {
    store: Arc<Store<H>>,
    name: Box<[u8]>,
    number: u64,
}

impl<H: Host> Turn<H> {
    pub(crate) fn new(store: &Arc<Store<H>>, name: &[u8]) -> Self {
        let number = store.locks.lock().join(name);
        Self { store: Arc::clone(store), name: name.into(), number }
    }

    /// Whether this turn holds the lock.
    pub fn is_first(&self) -> bool {
        self.store.locks.lock().is_first(&self.name, self.number)
    }

    /// Leaves a waker that is woken once, when this turn holds the lock, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// The waker, when there is nothing to wait for: this turn holds the lock, or was forgotten.
    pub fn register(&self, waker: H::Waker) -> Result<(), H::Waker> {
        let registered = self.store.locks.lock().register(&self.name, self.number, waker);
        registered.map(drop) // The lock was released on the line above.
    }

    /// Gives the turn up; the waker of whoever is first from now on, for a host that wakes by itself.
    /// What is dropped later finds nothing to do.
    pub fn leave(&self) -> Option<H::Waker> {
        let [mine, next] = self.store.locks.lock().leave(&self.name, self.number);
        drop(mine); // The lock was released on the line above.
        next
    }

    /// The next fencing token: larger than all before, also than those of a process that ran here
    /// before this one, unless the wall clock was set back meanwhile.
    pub fn next_token(&self) -> u64 {
        let time = self.store.clock().wall();
        self.store.locks.lock().token(time)
    }
}

impl<H: Host> Drop for Turn<H> {
    fn drop(&mut self) {
        if let Some(waker) = self.leave() {
            H::wake(waker);
        }
    }
}

impl<H: Host> fmt::Debug for Turn<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;
    use crate::clock::{Clock, FakeClock};
    use crate::store::Bounds;

    /// Whose turn it became, in order.
    type Woken = Arc<Mutex<Vec<u8>>>;

    struct Names;

    impl Host for Names {
        type Value = ();
        type Outcome = ();
        type Waker = (u8, Woken);
        type Lock<T> = std::sync::Mutex<T>;

        fn wake((name, woken): Self::Waker) {
            woken.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        }
    }

    fn store() -> Arc<Store<Names>> {
        Store::new(Bounds::default(), Clock::Fake(FakeClock::new()))
    }

    #[test]
    fn turns_come_in_the_order_in_which_they_were_taken() {
        let (store, woken) = (store(), Woken::default());
        let mut turns: Vec<_> = (0..4).map(|_| Turn::new(&store, b"a")).collect();
        let other = Turn::new(&store, b"b");
        assert!(turns[0].is_first() && other.is_first() && !turns[1].is_first());
        assert!(turns[0].register((0, Arc::clone(&woken))).is_err(), "it is its turn already");
        for (name, turn) in (1..).zip(&turns[1..]) {
            assert!(turn.register((name, Arc::clone(&woken))).is_ok());
        }
        drop(turns.remove(2)); // One gives up while it waits: nobody is woken.
        assert!(woken.lock().unwrap().is_empty());
        while !turns.is_empty() {
            assert!(turns[0].is_first());
            drop(turns.remove(0));
        }
        assert_eq!(*woken.lock().unwrap(), [1, 3]);
        drop(other);
        assert!(store.locks.lock().unwrap().queues.is_empty(), "invariant 2");
    }

    #[test]
    fn who_was_woken_and_left_wakes_the_next() {
        let (store, woken) = (store(), Woken::default());
        let [first, second, third] = [(); 3].map(|()| Turn::new(&store, b"a"));
        second.register((2, Arc::clone(&woken))).unwrap();
        third.register((3, Arc::clone(&woken))).unwrap();
        drop(first);
        drop(second); // It was cancelled before it could look.
        assert_eq!(*woken.lock().unwrap(), [2, 3]);
        assert!(third.is_first());
    }

    #[test]
    fn tokens_grow_whatever_the_clock_does() {
        let clock = FakeClock::new();
        let store: Arc<Store<Names>> = Store::new(Bounds::default(), Clock::Fake(clock.clone()));
        let turn = Turn::new(&store, b"a");
        let (one, two) = (turn.next_token(), turn.next_token());
        assert!(two > one, "the clock stands still");
        clock.advance(std::time::Duration::from_secs(1));
        assert!(turn.next_token() >= one + 1_000_000);
    }

    #[test]
    fn a_child_of_a_fork_forgets_turns_but_not_tokens() {
        let (store, woken) = (store(), Woken::default());
        let [holder, waiter] = [(); 2].map(|()| Turn::new(&store, b"a"));
        waiter.register((1, Arc::clone(&woken))).unwrap();
        let token = holder.next_token();
        store.forget_locks();
        assert!(!holder.is_first() && !waiter.is_first());
        let mine = Turn::new(&store, b"a");
        assert!(mine.is_first() && mine.next_token() > token);
        assert!(holder.leave().is_none());
        drop((holder, waiter));
        assert!(mine.is_first() && woken.lock().unwrap().is_empty());
    }
}
