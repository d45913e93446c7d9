//! Threads that do small things at their times, where there is no runtime to ask for a timer.
//!
//! The first one starts with the first job. While a job runs, another thread watches the clock: a
//! server that does not answer must not keep what is due elsewhere waiting. They end after a while
//! without work.
//!
//! # Invariants
//!
//! 1. No job runs, and none is dropped, under the lock.
//! 2. While the time of a job is to come a thread waits for it, unless as many as there may be are
//!    at work, or there is none to be had.
//! 3. No thread waits for longer than until the first time in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cachine_core::clock::{Clock, Instant, nanoseconds};

/// At most so many jobs of a table run at once.
const THREADS: usize = 8;
/// How long that is, unless a test has less time.
const IDLE: Duration = Duration::from_secs(10);

/// Jobs with their times, and the threads that do them.
pub(crate) struct Timetable {
    state: Mutex<State>,
    changed: Condvar,
    /// What the threads are called.
    name: &'static str,
    /// A thread ends after so long without work.
    idle: Duration,
}

struct State {
    jobs: BTreeMap<u64, Arc<Job>>,
    /// When the jobs are due that do not run just now.
    times: BTreeSet<(Instant, u64)>,
    next: u64,
    threads: usize,
    /// How many of them watch the clock.
    waiting: usize,
}

struct Job {
    every: u64,
    act: Box<dyn Fn() -> bool + Send + Sync>,
}

/// A job in a table, for as long as this lives.
pub(crate) struct Listed {
    table: &'static Timetable,
    number: u64,
}

impl Timetable {
    /// An empty table whose threads have this name.
    pub(crate) const fn new(name: &'static str) -> Self {
        let state = State {
            jobs: BTreeMap::new(),
            times: BTreeSet::new(),
            next: 0,
            threads: 0,
            waiting: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), name, idle: IDLE }
    }

    /// Does this in `every`, and again until it says that it is enough, or what is returned is
    /// dropped. A job that panics was enough.
    pub(crate) fn add(
        &'static self,
        every: Duration,
        act: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Listed {
        let every = nanoseconds(every);
        let due = Clock::System.now().saturating_add(every);
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.jobs.insert(number, Arc::new(Job { every, act: Box::new(act) }));
        self.plan(&mut state, due, number);
        if state.waiting == 0 {
            self.spawn(&mut state);
        }
        Listed { table: self, number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self, state: &mut State, due: Instant, number: u64) {
        state.times.insert((due, number));
        if state.times.first() == Some(&(due, number)) {
            self.changed.notify_all(); // Invariant 3. They are few.
        }
    }

    fn spawn(&'static self, state: &mut State) {
        if state.threads < THREADS {
            let thread = thread::Builder::new().name(self.name.to_owned());
            state.threads += usize::from(thread.spawn(|| self.work()).is_ok());
        }
    }

    fn work(&'static self) {
        while let Some((number, job)) = self.next() {
            let began = Clock::System.now();
            // A panic was reported by the panic hook.
            let goes_on = catch_unwind(AssertUnwindSafe(|| (job.act)())).unwrap_or(false);
            let mut state = self.lock();
            // It may have been taken off meanwhile.
            let mut ended = None;
            if !goes_on {
                ended = state.jobs.remove(&number);
            } else if state.jobs.contains_key(&number) {
                self.plan(&mut state, began.saturating_add(job.every), number);
            }
            drop(state);
            drop((ended, job)); // Invariant 1: the last handle to a cache may go with it.
        }
    }

    /// Waits for the next job that is due; `None` when this thread is not needed any more.
    fn next(&'static self) -> Option<(u64, Arc<Job>)> {
        let mut state = self.lock();
        let idle = Clock::System.now().saturating_add(nanoseconds(self.idle));
        loop {
            let now = Clock::System.now();
            let first = state.times.first().copied();
            let mut until = idle;
            if let Some(time @ (due, number)) = first {
                if due <= now {
                    state.times.remove(&time);
                    let Some(job) = state.jobs.get(&number).map(Arc::clone) else { continue };
                    if !state.times.is_empty() && state.waiting == 0 {
                        self.spawn(&mut state); // Invariant 2.
                    }
                    return Some((number, job));
                }
                until = if state.waiting == 0 { due } else { due.min(idle) };
            }
            if until <= now {
                state.threads -= 1;
                return None;
            }
            state.waiting += 1;
            let pause = Duration::from_nanos(until - now);
            let waited = self.changed.wait_timeout(state, pause);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut state = self.table.lock();
        let job = state.jobs.remove(&self.number);
        if job.is_some() {
            state.times.retain(|&(_, number)| number != self.number);
        }
        drop(state);
        drop(job); // Invariant 1.
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    fn table() -> &'static Timetable {
        Box::leak(Box::new(Timetable::new("cachine-test")))
    }

    #[test]
    fn a_job_comes_again_until_it_is_enough_or_taken_off() {
        let table = table();
        let (done, times) = channel();
        let counted = Mutex::new(0);
        let first = table.add(SOON, move || {
            let mut count = counted.lock().unwrap();
            *count += 1;
            done.send(*count).unwrap();
            *count < 3
        });
        assert_eq!(times.iter().collect::<Vec<_>>(), [1, 2, 3], "then it is dropped");
        drop(first);
        let (done, times) = channel();
        let second = table.add(SOON, move || done.send(()).is_ok());
        times.recv().unwrap();
        drop(second);
        assert!(times.iter().count() < 1_000_000, "it ends with what was returned");
        let state = table.lock();
        assert!(state.jobs.is_empty() && state.times.is_empty());
    }

    #[test]
    fn jobs_come_in_the_order_of_their_times() {
        let table = table();
        let (done, order) = channel();
        let listed: Vec<_> = [3_u64, 600_000, 1, 2]
            .into_iter()
            .map(|time| {
                let done = done.clone();
                let every = Duration::from_millis(50 * time);
                table.add(every, move || done.send(time).is_err())
            })
            .collect();
        assert_eq!(order.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
        drop(listed);
    }

    #[test]
    fn a_job_that_takes_long_keeps_no_other_waiting_and_there_are_few_threads() {
        let table = table();
        let gate: &'static Barrier = Box::leak(Box::new(Barrier::new(THREADS)));
        let (enter, entered) = channel();
        let slow: Vec<_> = (1..THREADS)
            .map(|_| {
                let enter = enter.clone();
                table.add(SOON, move || {
                    enter.send(thread::current().name().map(str::to_owned)).unwrap();
                    gate.wait();
                    false
                })
            })
            .collect();
        for _ in 1..THREADS {
            assert_eq!(entered.recv().unwrap().as_deref(), Some("cachine-test"));
        }
        let (done, times) = channel();
        let quick = table.add(SOON, move || done.send(()).is_ok());
        (0..3).for_each(|_| times.recv().unwrap());
        assert_eq!(table.lock().threads, THREADS);
        gate.wait();
        drop((quick, slow));
    }

    #[test]
    fn a_thread_that_ends_leaves_no_job_to_one_that_sleeps_longer() {
        let idle = Duration::from_millis(20);
        let table: &'static Timetable =
            Box::leak(Box::new(Timetable { idle, ..Timetable::new("cachine-test") }));
        let (done, times) = channel();
        let late = table.add(Duration::from_secs(600), || false);
        // Each time another thread watches over the late one, and this one is due after the idle
        // time of the thread that did it last.
        let listed = table.add(3 * idle, move || done.send(()).is_ok());
        (0..4).for_each(|_| times.recv_timeout(Duration::from_secs(20)).unwrap());
        drop(listed);
        let (done, times) = channel();
        let sooner = table.add(2 * idle, move || done.send(()).is_err());
        times.recv_timeout(Duration::from_secs(20)).unwrap();
        drop((late, sooner));
    }

    #[test]
    fn threads_without_work_end() {
        let idle = Duration::from_millis(1);
        let table: &'static Timetable =
            Box::leak(Box::new(Timetable { idle, ..Timetable::new("cachine-test") }));
        for _ in 0..3 {
            let (done, times) = channel();
            let listed = table.add(SOON, move || done.send(()).is_ok());
            times.recv().unwrap();
            drop(listed);
            while table.lock().threads > 0 {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_job_that_panics_ends_nothing_but_itself() {
        let table = table();
        let (done, times) = channel();
        let first = table.add(SOON, || std::panic::resume_unwind(Box::new("on purpose")));
        let second = table.add(2 * SOON, move || done.send(()).is_ok());
        (0..3).for_each(|_| times.recv().unwrap());
        assert_eq!(table.lock().jobs.len(), 1);
        drop((first, second));
    }
}
