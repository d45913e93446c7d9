//! The two ends of a computation: the lease of the one who computes, the wait of the others.

use std::fmt;

use crate::clock::Instant;
use crate::fills::{End, Landed, Landing};
use crate::graph::{self, FlightId};
use crate::stats::Tally;
use crate::store::state::{Open, discard};
use crate::store::{Host, New, State, Store};
use crate::sync::Arc;

/// The right, and the duty, to compute one key.
///
/// Dropped without a result (an error, a panic, a cancelled task) it wakes all who wait, and one
/// of them takes over.
pub struct Lease<H: Host> {
    store: Arc<Store<H>>,
    open: Open,
    began: Instant,
    settled: bool,
}

/// A computation that somebody else has the lease of.
pub struct Wait<H: Host> {
    store: Arc<Store<H>>,
    landing: Arc<Landing<H::Outcome>>,
    open: Open,
    ticket: u64,
    held: Box<[FlightId]>,
    left: bool,
}

/// How a computation ended, seen by one who waited for it.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<R> {
    /// Not yet.
    Pending,
    /// With this outcome.
    Outcome(R),
    /// Without one: ask again.
    Abandoned,
}

impl<H: Host> Lease<H> {
    pub(super) fn new(store: &Arc<Store<H>>, open: Open) -> Self {
        let began = store.clock().now();
        Self { store: Arc::clone(store), open, began, settled: false }
    }

    /// The number of this computation.
    pub fn id(&self) -> FlightId {
        self.open.id
    }

    /// Names the tags of the value before it is computed, so that their invalidation from now on
    /// fences it; `result_tags`: the result will name more.
    pub fn declare(&self, tags: Vec<Box<str>>, result_tags: bool) {
        self.store.lock().fills.declare(self.open.place, self.open.id, tags, result_tags);
    }

    /// Waits for this computation itself; `None` when it has ended.
    pub fn follow(&self) -> Option<Wait<H>> {
        let Open { place, id } = self.open;
        let mut state = self.store.lock();
        state.fills.get_mut(place, id)?;
        Wait::join(&self.store, &mut state, place, &[])
    }

    /// Whether callers that come now join this computation: not where it was begun beside another
    /// one, nor after it was fenced.
    pub fn is_joinable(&self) -> bool {
        let Open { place, id } = self.open;
        self.store.lock().fills.get_mut(place, id).is_some_and(|fill| fill.joinable)
    }

    /// How many wait for this computation.
    pub fn parties(&self) -> usize {
        let Open { place, id } = self.open;
        self.store.lock().fills.get_mut(place, id).map_or(0, |fill| fill.parties)
    }

    /// Whether the value may still be stored under these further tags.
    pub fn may_store(&self, late: &[Box<str>]) -> bool {
        let Open { place, id } = self.open;
        self.store.lock().fills.get_mut(place, id).is_some_and(|fill| fill.may_store(late))
    }

    /// Stores the value unless it is fenced, and gives the outcome to all who wait; whether it
    /// was stored. `late`: the names of those of its tags that were not declared.
    pub fn fill(
        mut self,
        new: New<H::Value>,
        late: &[Box<str>],
        outcome: H::Outcome,
        tally: Tally<'_>,
    ) -> bool {
        self.settled = true;
        let store = Arc::clone(&self.store);
        let work = store.now().saturating_sub(self.began);
        let (stored, fill) = store.with(|state, garbage| {
            tally.computed(work);
            let Open { place, id } = self.open;
            let fill = state.fills.land(place, id, Landed::Outcome(outcome));
            let may_store = fill.as_ref().is_ok_and(|fill| fill.may_store(late));
            if let Some(fill) = fill.as_ref().ok().filter(|_| may_store) {
                state.fills.unpause(&fill.key);
                let hash = store.hash(&fill.key);
                tally.set();
                store.put(state, &fill.key, hash, new, tally, garbage);
            } else {
                discard(new.value, new.tags, garbage);
            }
            (may_store, fill)
        });
        wake::<H>(fill);
        stored
    }

    /// Gives the outcome to all who wait, and stores nothing.
    pub fn settle(mut self, outcome: H::Outcome) {
        self.end(Landed::Outcome(outcome));
    }

    fn end(&mut self, how: Landed<H::Outcome>) {
        self.settled = true;
        let now = self.store.now();
        let fill = {
            let mut state = self.store.lock();
            let fill = state.fills.land(self.open.place, self.open.id, how);
            if let Some(fill) = fill.as_ref().ok().filter(|fill| fill.refresh && !fill.fenced) {
                state.pause_refresh(&fill.key, self.store.hash(&fill.key), now);
            }
            fill
        };
        wake::<H>(fill);
    }
}

/// Wakes everyone who waited for a fill that has landed; under no lock, where the outcome of one
/// that was forgotten is dropped too.
fn wake<H: Host>(fill: End<H::Outcome, H::Waker>) {
    for (_, waker) in fill.into_iter().flat_map(|fill| fill.wakers) {
        H::wake(waker);
    }
}

impl<H: Host> Drop for Lease<H> {
    fn drop(&mut self) {
        if !self.settled {
            self.end(Landed::Abandoned);
        }
    }
}

impl<H: Host> Wait<H> {
    /// Joins a fill; `None` where the caller would wait for itself.
    pub(super) fn join(
        store: &Arc<Store<H>>,
        state: &mut State<H>,
        place: u32,
        held: &[FlightId],
    ) -> Option<Self> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static TICKETS: AtomicU64 = AtomicU64::new(0);
        let fill = state.fills.at(place);
        if held.contains(&fill.id) || !graph::try_wait(held, fill.id) {
            return None;
        }
        fill.parties += 1;
        Some(Self {
            store: Arc::clone(store),
            landing: Arc::clone(&fill.landing),
            open: Open { place, id: fill.id },
            ticket: TICKETS.fetch_add(1, Ordering::Relaxed),
            held: held.into(),
            left: false,
        })
    }

    /// The number of the computation waited for.
    pub fn id(&self) -> FlightId {
        self.open.id
    }

    /// Leaves a waker that is woken when the computation ends, in place of an earlier one; gives
    /// it back when it has ended already.
    ///
    /// # Errors
    ///
    /// The waker, when there is nothing to wait for any more.
    pub fn register(&self, waker: H::Waker) -> Result<(), H::Waker> {
        let replaced = {
            let mut state = self.store.lock();
            // A fill leaves the table, with its landing written, under this lock: a waiter is
            // either in its list and woken, or finds the fill gone and the landing there.
            let Some(fill) = state.fills.get_mut(self.open.place, self.open.id) else {
                return Err(waker);
            };
            let mut wakers = fill.wakers.iter_mut();
            if let Some((_, known)) = wakers.find(|(ticket, _)| *ticket == self.ticket) {
                Some(std::mem::replace(known, waker))
            } else {
                fill.wakers.push((self.ticket, waker));
                None
            }
        };
        drop(replaced);
        Ok(())
    }

    /// How the computation ended, if it has.
    pub fn ended<R>(&self, view: impl FnOnce(&H::Outcome) -> R) -> Ended<R> {
        match self.landing.get() {
            None => Ended::Pending,
            Some(Landed::Outcome(outcome)) => Ended::Outcome(view(outcome)),
            Some(Landed::Abandoned) => Ended::Abandoned,
        }
    }

    /// Leaves the computation; how many still wait for it, `None` when it has ended.
    pub fn leave(mut self) -> Option<usize> {
        self.quit()
    }

    fn quit(&mut self) -> Option<usize> {
        self.left = true;
        graph::stop_waiting(&self.held, self.open.id);
        let (left, waker) = {
            let mut state = self.store.lock();
            let fill = state.fills.get_mut(self.open.place, self.open.id)?;
            let at = fill.wakers.iter().position(|(ticket, _)| *ticket == self.ticket);
            fill.parties -= 1;
            (fill.parties, at.map(|at| fill.wakers.swap_remove(at)))
        };
        drop(waker);
        Some(left)
    }
}

impl<H: Host> Drop for Wait<H> {
    fn drop(&mut self) {
        if !self.left {
            self.quit();
        }
    }
}

impl<H: Host> fmt::Debug for Lease<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("id", &self.open.id).finish_non_exhaustive()
    }
}

impl<H: Host> fmt::Debug for Wait<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("id", &self.open.id).finish_non_exhaustive()
    }
}
