//! The operations of one driver that are under way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pyo3::prelude::*;

use super::waking::Ready;

/// Makes the result of an operation, attached to the interpreter. What it calls of users' code it
/// calls through `host::stay`.
pub(crate) type Finish = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// An operation on a client. It holds no object of Python that leads back to a loop: the collector
/// does not see inside.
pub(crate) type Work = Pin<Box<dyn Future<Output = Finish> + Send>>;

/// An operation whose outcome may be a right that has to be given back.
pub(crate) type CarefulWork = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What comes out of an operation.
pub(crate) struct Outcome {
    /// Makes the result for the one who waits.
    pub(crate) finish: Finish,
    /// What is done instead when nobody waits any more, such as giving a right back.
    pub(crate) orphaned: Option<Work>,
}

/// Either kind of operation; most need no second box for what happens when nobody waits.
pub(super) enum Task {
    Plain(Work),
    Careful(CarefulWork),
}

/// A table that is shorter than this is not worth shrinking.
const SMALL: usize = 64;

/// Operations by number.
#[derive(Default)]
pub(super) struct Operations {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    /// Made once for each number.
    waker: Waker,
    is_taken: bool,
    /// Away while it is polled.
    task: Option<Task>,
    /// The future of Python's that gets the result; nobody waits for what has none.
    future: Option<Py<PyAny>>,
}

/// What the collector found in a driver that is garbage, to be dropped under no lock.
pub(super) struct Remains(#[expect(dead_code, reason = "only to be dropped")] Vec<Slot>);

impl Task {
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<Outcome> {
        let mut context = Context::from_waker(waker);
        match self {
            Self::Plain(work) => {
                work.as_mut().poll(&mut context).map(|finish| Outcome { finish, orphaned: None })
            }
            Self::Careful(work) => work.as_mut().poll(&mut context),
        }
    }
}

impl Operations {
    /// Keeps an operation; its number.
    pub(super) fn add(&mut self, ready: &Arc<Ready>, task: Task, future: Option<Py<PyAny>>) -> u32 {
        if let Some(number) = self.free.pop() {
            let slot = &mut self.slots[number as usize];
            slot.is_taken = true;
            slot.task = Some(task);
            slot.future = future;
            return number;
        }
        let number = u32::try_from(self.slots.len()).expect("fewer than 2^32 operations at once");
        let waker = ready.waker(number);
        self.slots.push(Slot { waker, is_taken: true, task: Some(task), future });
        number
    }

    /// Takes an operation out to be polled; nothing for a wake-up that came late.
    pub(super) fn borrow(&mut self, number: u32) -> Option<(Task, Waker)> {
        let slot = self.slots.get_mut(number as usize)?;
        Some((slot.task.take()?, slot.waker.clone()))
    }

    /// Puts an operation back that goes on waiting; returned when there is no place for it any more.
    pub(super) fn put_back(&mut self, number: u32, task: Task) -> Option<Task> {
        match self.slots.get_mut(number as usize) {
            Some(slot) if slot.is_taken => slot.task.replace(task),
            _ => Some(task),
        }
    }

    /// Forgets an operation; the future that gets its result.
    pub(super) fn remove(&mut self, number: u32) -> Option<Py<PyAny>> {
        let slot = self.slots.get_mut(number as usize)?;
        if !std::mem::take(&mut slot.is_taken) {
            return None;
        }
        let future = slot.future.take();
        self.free.push(number);
        future
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn futures(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.slots.iter().filter_map(|slot| slot.future.as_ref())
    }

    pub(super) fn clear(&mut self) -> Remains {
        self.free = Vec::new();
        Remains(std::mem::take(&mut self.slots))
    }

    /// Lets go of what a burst left behind. What it drops are empty slots, with nothing of Python.
    pub(super) fn shrink(&mut self) {
        if self.slots.len() <= SMALL || self.len() > self.slots.len() / 4 {
            return;
        }
        while self.slots.last().is_some_and(|slot| !slot.is_taken) {
            self.slots.pop();
        }
        let length = self.slots.len();
        self.free.retain(|&number| (number as usize) < length);
        // The last is used next: low numbers first, so that the end of the table empties.
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        self.free.shrink_to(SMALL);
        self.slots.shrink_to(SMALL);
    }
}
