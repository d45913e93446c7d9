//! The few threads on which stale values are computed anew.
//!
//! They start with the first refresh, are never more than [`THREADS`], and end after a while
//! without work. Nothing waits for them: a program that ends takes them with it.
//!
//! # Invariants
//!
//! 1. A job is run or dropped under no lock, and a job that panics ends nothing but itself.
//! 2. Where jobs wait, a thread is awake or on its way, or there are as many as there may be.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// At most so many refreshes run at once.
const THREADS: usize = 8;
/// At most so many more wait for a thread.
const WAITING: usize = 256;
/// A thread without work ends after so long.
const IDLE: Duration = Duration::from_secs(10);

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Threads, and the jobs that wait for them.
struct Pool {
    state: Mutex<State>,
    work: Condvar,
    most: usize,
    waiting: usize,
}

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

/// Runs a job on a refresh thread; where too many wait it is dropped, which gives its lease up.
pub(super) fn submit(job: Job) {
    static POOL: Pool = Pool::new(THREADS, WAITING);
    drop(POOL.submit(job));
}

impl Pool {
    const fn new(most: usize, waiting: usize) -> Self {
        let state = State { jobs: VecDeque::new(), threads: 0, idle: 0 };
        Self { state: Mutex::new(state), work: Condvar::new(), most, waiting }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job in; gives back those that nobody will run.
    fn submit(&'static self, job: Job) -> VecDeque<Job> {
        let mut state = self.lock();
        if state.jobs.len() >= self.waiting {
            return VecDeque::from([job]);
        }
        state.jobs.push_back(job);
        if state.jobs.len() <= state.idle {
            self.work.notify_one();
        } else if state.threads < self.most {
            state.threads += 1;
            drop(state);
            return self.spawn();
        }
        VecDeque::new()
    }

    fn spawn(&'static self) -> VecDeque<Job> {
        let thread = thread::Builder::new().name("cachine-refresh".to_owned());
        if thread.spawn(|| self.work()).is_ok() {
            return VecDeque::new();
        }
        let mut state = self.lock();
        state.threads -= 1;
        // The system has no thread to give: others may come to the jobs, or nobody will.
        if state.threads > 0 { VecDeque::new() } else { std::mem::take(&mut state.jobs) }
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The panic was reported by the panic hook; its lease was given up on the way.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job; `None` when this thread has been idle for long enough.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        if state.jobs.is_empty() {
            state.idle += 1;
            let has_none = |state: &mut State| state.jobs.is_empty();
            let waited = self.work.wait_timeout_while(state, IDLE, has_none);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        let job = state.jobs.pop_front();
        state.threads -= usize::from(job.is_none());
        job
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    fn pool(most: usize, waiting: usize) -> &'static Pool {
        Box::leak(Box::new(Pool::new(most, waiting)))
    }

    #[test]
    fn no_more_jobs_run_or_wait_than_there_may_be() {
        let pool = pool(2, 3);
        let (gate, entered): (&'static Barrier, _) =
            (Box::leak(Box::new(Barrier::new(3))), channel());
        let (done, finished) = channel();
        let job = || -> Job {
            let (enter, done) = (entered.0.clone(), done.clone());
            Box::new(move || {
                enter.send(thread::current().name().map(str::to_owned)).unwrap();
                gate.wait();
                done.send(()).unwrap();
            })
        };
        for _ in 0..2 {
            assert!(pool.submit(job()).is_empty());
            assert_eq!(entered.1.recv().unwrap().as_deref(), Some("cachine-refresh"));
        }
        assert!((0..3).all(|_| pool.submit(Box::new(|| ())).is_empty()));
        assert_eq!(pool.submit(Box::new(|| ())).len(), 1, "a sixth has no place");
        assert_eq!(pool.lock().threads, 2);
        gate.wait();
        (0..2).for_each(|_| finished.recv().unwrap());
    }

    #[test]
    fn a_job_that_panics_ends_nothing_but_itself() {
        let pool = pool(1, 8);
        let (done, finished) = channel();
        pool.submit(Box::new(|| std::panic::resume_unwind(Box::new("on purpose"))));
        pool.submit(Box::new(move || done.send(()).unwrap()));
        finished.recv().unwrap();
        assert_eq!(pool.lock().threads, 1);
    }
}
