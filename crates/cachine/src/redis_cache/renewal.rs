//! Rights to store that are renewed while their computations run.
//!
//! The right of a computation lives for [`LEASE`], so that one whose process dies is soon another's.
//! One that takes longer renews it, but not without end: a computation that hangs must not keep
//! everybody else waiting for ever.
//!
//! Threads have one more of them that renews for all; it starts with the first computation, and
//! ends after a while without one.
//!
//! # Invariants
//!
//! 1. No renewal runs under the lock.
//! 2. While something is listed the thread runs, or there is none to be had.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cachine_core::clock::{Clock, Instant, nanoseconds};
use cachine_redis::client::Fill;
use cachine_redis::link::Link;

use crate::redis_cache::shelf::Shelf;
use crate::space::LEASE;

/// How often a right is renewed.
pub(super) const EVERY: Duration = match LEASE.checked_div(3) {
    Some(third) => third,
    None => LEASE,
};
/// After so long a computation is on its own.
const LONGEST: Duration = Duration::from_secs(300);
/// The thread ends after so long without work.
const IDLE: Duration = Duration::from_secs(10);

/// A right that is to be renewed.
pub(super) struct Renewal<L> {
    shelf: Arc<Shelf<L>>,
    key: Box<str>,
    fill: Fill,
    until: Instant,
}

impl<L: Link> Renewal<L> {
    pub(super) fn new(shelf: &Arc<Shelf<L>>, key: &str, fill: &Fill) -> Self {
        let until = shelf.client.link().now().saturating_add(nanoseconds(LONGEST));
        Self { shelf: Arc::clone(shelf), key: key.into(), fill: fill.clone(), until }
    }

    /// Renews once; whether to go on.
    pub(super) async fn once(&self) -> bool {
        let Self { shelf, key, fill, until } = self;
        if shelf.client.link().now() >= *until {
            return false;
        }
        // A server that is known not to answer may be back before the next time.
        if shelf.client.ready("renew").is_err() {
            return true;
        }
        shelf.space.renew(&shelf.client, key, fill).await.unwrap_or(true)
    }
}

type Job = Arc<dyn Fn() -> bool + Send + Sync>;

/// What the thread of renewals has to do.
struct List {
    state: Mutex<State>,
    changed: Condvar,
    every: Duration,
}

struct State {
    jobs: Vec<(u64, Instant, Job)>,
    next: u64,
    is_running: bool,
}

/// A job on the list, for as long as this lives.
pub(super) struct Listed {
    list: &'static List,
    number: u64,
}

/// Does this every [`EVERY`] until it says that it is enough, or what is returned is dropped.
pub(super) fn enlist(job: impl Fn() -> bool + Send + Sync + 'static) -> Listed {
    static LIST: List = List::new(EVERY);
    LIST.add(Arc::new(job))
}

impl List {
    const fn new(every: Duration) -> Self {
        let state = State { jobs: Vec::new(), next: 0, is_running: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), every }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self) -> Instant {
        Clock::System.now().saturating_add(nanoseconds(self.every))
    }

    fn add(&'static self, job: Job) -> Listed {
        let due = self.due();
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        // What comes later is due later: the list is in the order of time.
        state.jobs.push((number, due, job));
        if state.is_running {
            if state.jobs.len() == 1 {
                self.changed.notify_one();
            }
        } else {
            let thread = thread::Builder::new().name("cachine-renewal".to_owned());
            state.is_running = thread.spawn(|| self.work()).is_ok();
        }
        Listed { list: self, number }
    }

    fn work(&self) {
        while let Some((number, job)) = self.next() {
            let goes_on = job();
            let due = self.due();
            let mut state = self.lock();
            // It may have been taken off meanwhile.
            let place = state.jobs.iter().position(|&(other, ..)| other == number);
            if let Some(place) = place {
                let (.., job) = state.jobs.remove(place);
                if goes_on {
                    state.jobs.push((number, due, job));
                } else {
                    drop(state);
                    drop(job);
                }
            }
        }
    }

    /// Waits for the next job that is due; `None` when this thread has been idle for long enough.
    fn next(&self) -> Option<(u64, Job)> {
        let mut state = self.lock();
        loop {
            let first = state.jobs.first().map(|(number, due, job)| (*number, *due, job));
            let now = Clock::System.now();
            let pause = match first {
                Some((number, due, job)) if due <= now => return Some((number, Arc::clone(job))),
                Some((_, due, _)) => Duration::from_nanos(due - now),
                None => IDLE,
            };
            let is_idle = first.is_none();
            let waited = self.changed.wait_timeout(state, pause);
            let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = back;
            if is_idle && timeout.timed_out() && state.jobs.is_empty() {
                state.is_running = false;
                return None;
            }
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut state = self.list.lock();
        let place = state.jobs.iter().position(|&(number, ..)| number == self.number);
        let job = place.map(|place| state.jobs.remove(place));
        drop(state);
        drop(job); // Invariant 1: the last handle to a cache may go with it.
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn list() -> &'static List {
        Box::leak(Box::new(List::new(Duration::from_millis(1))))
    }

    #[test]
    fn a_job_comes_again_until_it_is_enough_or_taken_off() {
        let list = list();
        let (done, times) = channel();
        let counted = Mutex::new(0);
        let first = list.add(Arc::new(move || {
            let mut count = counted.lock().unwrap();
            *count += 1;
            done.send(*count).unwrap();
            *count < 3
        }));
        assert_eq!(times.iter().collect::<Vec<_>>(), [1, 2, 3], "then it is dropped");
        drop(first);
        let (done, times) = channel();
        let second = list.add(Arc::new(move || done.send(()).is_ok()));
        times.recv().unwrap();
        drop(second);
        assert!(times.iter().count() < 1_000_000, "it ends with what was returned");
        assert!(list.lock().jobs.is_empty());
    }

    #[test]
    fn one_thread_does_all_jobs() {
        let list = list();
        let (done, names) = channel();
        let listed: Vec<_> = (0..5)
            .map(|_| {
                let done = done.clone();
                list.add(Arc::new(move || done.send(thread::current().id()).is_ok()))
            })
            .collect();
        let seen: Vec<_> = names.iter().take(20).collect();
        assert!(seen.iter().all(|id| *id == seen[0]));
        drop((names, listed));
    }
}
