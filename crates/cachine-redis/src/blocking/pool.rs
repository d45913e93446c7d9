//! The connections of one process: lent to one caller each, never more than the limit.
//!
//! Invariants:
//!
//! 1. A new connection is only made when none is idle, so lent and idle ones together never exceed
//!    the limit.
//! 2. Who finds no place stands in line. A place that becomes free is promised to the first, and
//!    nobody else takes it: whoever waits is served in turn, however busy the others are.
//! 3. While somebody stands in line, every place is lent or promised.
//!
//! Cost of a usual call: one lock to lend, one to give back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use cachine_core::clock::Instant;

use super::generation;
use super::waiting::{Trouble, Waiting};
use crate::link::Cause;

/// Idle connections, and how many are lent.
#[derive(Debug)]
pub(super) struct Pool<T> {
    limit: usize,
    generation: u64,
    state: Mutex<State<T>>,
    is_closed: AtomicBool,
}

#[derive(Debug)]
struct State<T> {
    /// The last is the one that was used last.
    idle: Vec<T>,
    lent: usize,
    line: VecDeque<Arc<Condvar>>,
    promised: Vec<Arc<Condvar>>,
}

/// The right to one connection. It ends when it is dropped, by an error or a panic too.
#[derive(Debug)]
pub(super) struct Place<'a, T> {
    pool: &'a Pool<T>,
}

/// Somebody who stands in line or was promised a place, and is known by what wakes them.
struct Turn<'a, T> {
    pool: &'a Pool<T>,
    bell: Arc<Condvar>,
    is_over: bool,
}

impl<T> Pool<T> {
    /// An empty pool.
    pub(super) fn new(limit: usize, generation: u64) -> Self {
        let (line, promised) = (VecDeque::new(), Vec::new());
        let state = State { idle: Vec::new(), lent: 0, line, promised };
        Self {
            limit: limit.max(1),
            generation,
            state: Mutex::new(state),
            is_closed: AtomicBool::new(false),
        }
    }

    /// A place, and an idle connection if there is one. Whether it had to wait is the third.
    pub(super) fn take(
        &self,
        waiting: &Waiting,
        until: Instant,
    ) -> Result<(Place<'_, T>, Option<T>, bool), Trouble> {
        let mut state = self.lock();
        if self.is_closed() {
            return Err(closed());
        }
        if state.lent + state.promised.len() < self.limit {
            state.lent += 1;
            return Ok((Place { pool: self }, state.idle.pop(), false));
        }
        self.stand_in_line(state, waiting, until)
    }

    fn stand_in_line<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        waiting: &Waiting,
        until: Instant,
    ) -> Result<(Place<'a, T>, Option<T>, bool), Trouble> {
        let bell = Arc::new(Condvar::new());
        state.line.push_back(Arc::clone(&bell));
        // Ends on every way out, never under the lock unless it is over.
        let mut turn = Turn { pool: self, bell, is_over: false };
        loop {
            if self.is_closed() {
                drop(state);
                return Err(closed());
            }
            if state.break_promise(&turn.bell) {
                state.lent += 1;
                turn.is_over = true;
                return Ok((Place { pool: self }, state.idle.pop(), true));
            }
            let slice = match waiting.slice(until) {
                Ok(slice) => slice,
                Err(trouble) => {
                    drop(state);
                    let what = format!("none of {} connections became free", self.limit);
                    let is_late = trouble.cause == Cause::Deadline;
                    let cause = if is_late { Cause::Busy } else { trouble.cause };
                    return Err(Trouble::new(cause, what));
                }
            };
            let waited = turn.bell.wait_timeout(state, slice);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out() {
                drop(state);
                waiting.ask()?;
                state = self.lock();
            }
        }
    }

    /// Closes all idle connections, because one of them turned out to be dead.
    pub(super) fn clear(&self) {
        if generation::current() == self.generation {
            let idle = std::mem::take(&mut self.lock().idle);
            drop(idle);
        }
    }

    /// Closes what is idle; from now on nothing is lent.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.clear();
        self.lock().line.iter().for_each(|bell| bell.notify_one());
    }

    /// Closes what is idle if nobody holds the lock, and waits for nobody: in a child, who holds it
    /// no longer exists.
    pub(super) fn forget(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.idle.clear();
        }
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something under the lock.
    #[cfg(test)]
    pub(super) fn while_locked<R>(&self, work: impl FnOnce() -> R) -> R {
        let _state = self.lock();
        work()
    }

    /// Ends a loan, with or without a connection that may be used again.
    fn give_back(&self, connection: Option<T>) {
        // A fork inside of the call: the lock may be one of those that nobody opens any more.
        if generation::current() != self.generation {
            return;
        }
        let mut state = self.lock();
        state.lent -= 1;
        // Under the lock: `close` either finds the connection or is seen here.
        let mut refused = None;
        if self.is_closed() {
            refused = connection;
        } else {
            state.idle.extend(connection);
        }
        let next = state.promise();
        drop(state);
        drop(refused);
        if let Some(bell) = next {
            bell.notify_one();
        }
    }
}

impl<T> State<T> {
    /// Promises a place that has become free to the first in line, who is to be woken.
    fn promise(&mut self) -> Option<Arc<Condvar>> {
        let first = self.line.pop_front()?;
        self.promised.push(Arc::clone(&first));
        Some(first)
    }

    /// Ends the promise to somebody; whether there was one.
    fn break_promise(&mut self, bell: &Arc<Condvar>) -> bool {
        let place = self.promised.iter().position(|promised| Arc::ptr_eq(promised, bell));
        place.map(|place| self.promised.swap_remove(place)).is_some()
    }
}

impl<T> Place<'_, T> {
    /// Another idle connection.
    pub(super) fn another(&self) -> Option<T> {
        self.pool.lock().idle.pop()
    }

    /// Ends the loan; the connection is good for others.
    pub(super) fn keep(self, connection: T) {
        self.pool.give_back(Some(connection));
        std::mem::forget(self);
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        self.pool.give_back(None);
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if self.is_over || generation::current() != self.pool.generation {
            return;
        }
        let mut state = self.pool.lock();
        // What was promised to the one who leaves goes to the next.
        let next = if state.break_promise(&self.bell) {
            state.promise()
        } else {
            state.line.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            None
        };
        drop(state);
        if let Some(bell) = next {
            bell.notify_one();
        }
    }
}

pub(super) fn closed() -> Trouble {
    Trouble::new(Cause::Connection, "its connections were closed by `close`")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use cachine_core::clock::{Clock, NEVER};

    use super::*;

    fn waiting() -> Waiting {
        Waiting { clock: Clock::System, hook: None, generation: generation::current() }
    }

    fn pool(limit: usize) -> Pool<u32> {
        Pool::new(limit, generation::current())
    }

    fn await_line<T>(pool: &Pool<T>, length: usize) {
        while pool.lock().line.len() < length {
            thread::yield_now();
        }
    }

    #[test]
    fn the_connection_that_was_used_last_is_lent_first() {
        let (pool, waiting) = (pool(3), waiting());
        let places: Vec<_> = (0..3).map(|_| pool.take(&waiting, NEVER).unwrap().0).collect();
        places.into_iter().zip([1, 2, 3]).for_each(|(place, connection)| place.keep(connection));
        let (place, idle, has_waited) = pool.take(&waiting, NEVER).unwrap();
        assert_eq!((idle, place.another(), place.another()), (Some(3), Some(2), Some(1)));
        assert!(!has_waited && place.another().is_none());
    }

    #[test]
    fn who_gives_back_and_comes_again_stands_behind_who_waits() {
        let (pool, waiting) = (pool(1), waiting());
        let (sender, order) = channel();
        let (place, ..) = pool.take(&waiting, NEVER).unwrap();
        thread::scope(|scope| {
            let early = sender.clone();
            let (pool, waiting) = (&pool, &waiting);
            scope.spawn(move || {
                let (place, idle, has_waited) = pool.take(waiting, NEVER).unwrap();
                early.send(("early", idle, has_waited)).unwrap();
                place.keep(2);
            });
            await_line(pool, 1);
            place.keep(1);
            let (_place, idle, has_waited) = pool.take(waiting, NEVER).unwrap();
            sender.send(("late", idle, has_waited)).unwrap();
        });
        assert_eq!(order.recv().unwrap(), ("early", Some(1), true));
        assert_eq!(order.recv().unwrap().0, "late");
    }

    #[test]
    fn a_dropped_place_is_free_for_who_waits() {
        let (pool, waiting) = (pool(1), waiting());
        let (place, ..) = pool.take(&waiting, NEVER).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.take(&waiting, NEVER).unwrap().1);
            await_line(&pool, 1);
            drop(place);
            assert_eq!(waiter.join().unwrap(), None);
        });
        let state = pool.lock();
        assert_eq!((state.lent, state.line.len(), state.promised.len()), (0, 0, 0));
    }

    #[test]
    fn a_promise_to_one_who_leaves_goes_to_the_next_and_then_to_anybody() {
        let (pool, waiting) = (pool(1), waiting());
        let (place, ..) = pool.take(&waiting, NEVER).unwrap();
        let turns = [(); 3].map(|()| {
            let bell = Arc::new(Condvar::new());
            pool.lock().line.push_back(Arc::clone(&bell));
            Turn { pool: &pool, bell, is_over: false }
        });
        let [first, second, third] = turns;
        drop(place);
        drop(second);
        assert!(Arc::ptr_eq(&pool.lock().promised[0], &first.bell));
        drop(first);
        assert!(Arc::ptr_eq(&pool.lock().promised[0], &third.bell));
        assert_eq!(pool.lock().line.len(), 0);
        drop(third);
        assert!(pool.take(&waiting, NEVER).is_ok());
    }

    #[test]
    fn a_loan_of_another_process_ends_without_its_lock() {
        let pool: Pool<u32> = Pool::new(2, generation::current() + 1);
        let first = pool.take(&waiting(), NEVER).unwrap().0;
        let second = pool.take(&waiting(), NEVER).unwrap().0;
        let bell = Arc::new(Condvar::new());
        let turn = Turn { pool: &pool, bell, is_over: false };
        pool.while_locked(|| {
            drop(first);
            second.keep(1);
            drop(turn);
            pool.clear();
            pool.forget();
        });
    }
}
