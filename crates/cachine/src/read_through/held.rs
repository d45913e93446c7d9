//! Which computations the code that runs here is part of.
//!
//! A computation that asks for its own key must not wait for itself. So the numbers of the
//! computations under way travel with the code: on a thread down its stack, in a task with the
//! future that computes, which brings them along each time it is polled.
//!
//! # Invariants
//!
//! 1. The thread's chain is that of the innermost computation on its stack, and is put back when
//!    that returns, panics or yields.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use cachine_core::FlightId;

thread_local! {
    static HERE: RefCell<Held> = const { RefCell::new(Held(None)) };
    static THREAD: u64 = {
        static THREADS: AtomicU64 = AtomicU64::new(1);
        THREADS.fetch_add(1, Ordering::Relaxed)
    };
}

/// A chain of computations, outermost first.
#[derive(Clone)]
pub(crate) struct Held(Option<Arc<[FlightId]>>);

/// Puts the chain of before back.
struct Before(Option<Held>);

/// A computation in a task: a future that brings its chain along.
pub(crate) struct Computing<F> {
    future: Option<Pin<Box<F>>>,
    held: Held,
    polled: Polled,
}

/// Where the computation of a task was polled last, for as long as it is under way.
struct Polled {
    flight: FlightId,
    thread: Arc<AtomicU64>,
}

impl Held {
    /// The chain of the code that calls this.
    pub(crate) fn here() -> Self {
        // While the thread ends there is no chain any more, and nobody further up.
        HERE.try_with(|here| here.borrow().clone()).unwrap_or(Self(None))
    }

    /// This chain with one more computation.
    pub(crate) fn and(&self, flight: FlightId) -> Self {
        Self(Some(self.flights().iter().copied().chain([flight]).collect()))
    }

    pub(crate) fn flights(&self) -> &[FlightId] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Runs code that is part of these computations.
    pub(crate) fn scope<T>(&self, act: impl FnOnce() -> T) -> T {
        let before = HERE.try_with(|here| here.replace(self.clone())).ok();
        let _put_back = Before(before); // Invariant 1, also when `act` panics.
        act()
    }
}

/// Computes on this thread, as the computation `flight` of the code that calls this.
pub(crate) fn run<T>(flight: FlightId, compute: impl FnOnce() -> T) -> T {
    Held::here().and(flight).scope(compute)
}

impl Drop for Before {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            let _ = HERE.try_with(|here| here.replace(before));
        }
    }
}

impl<F: Future> Computing<F> {
    /// The future that `start` makes, as the computation `flight` of the code that calls this.
    pub(crate) fn new(flight: FlightId, start: impl FnOnce() -> F) -> Self {
        let (held, polled) = (Held::here().and(flight), Polled::new(flight));
        let future = Some(Box::pin(held.scope(start)));
        Self { future, held, polled }
    }
}

impl<F: Future> Future for Computing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future: Some(future), held, polled } = &mut *self else {
            unreachable!("the future is taken only when this one is dropped");
        };
        polled.here();
        held.scope(|| future.as_mut().poll(context))
    }
}

impl<F> Drop for Computing<F> {
    fn drop(&mut self) {
        // What the future drops may ask for the key too, and the lease is still held.
        let future = self.future.take();
        self.held.scope(|| drop(future));
    }
}

fn leaders() -> MutexGuard<'static, HashMap<FlightId, Arc<AtomicU64>>> {
    static LEADERS: LazyLock<Mutex<HashMap<FlightId, Arc<AtomicU64>>>> =
        LazyLock::new(Mutex::default);
    LEADERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a computation belongs to a task that this thread polled last: a thread that blocked
/// for it might be the only one that could ever finish it.
pub(crate) fn would_stop(flight: FlightId) -> bool {
    let thread = leaders().get(&flight).map(|thread| thread.load(Ordering::Relaxed));
    thread.is_some_and(|thread| thread == this_thread())
}

fn this_thread() -> u64 {
    THREAD.try_with(|thread| *thread).unwrap_or(0)
}

impl Polled {
    fn new(flight: FlightId) -> Self {
        let thread = Arc::new(AtomicU64::new(this_thread()));
        leaders().insert(flight, Arc::clone(&thread));
        Self { flight, thread }
    }

    fn here(&self) {
        self.thread.store(this_thread(), Ordering::Relaxed);
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        leaders().remove(&self.flight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_chain_is_put_back_when_its_computation_returns_or_panics() {
        let outer = Held::here().and(1);
        outer.scope(|| {
            let inner = Held::here().and(2);
            let seen = inner.scope(|| Held::here().flights().to_vec());
            assert_eq!(seen, [1, 2]);
            let _ = catch_unwind(AssertUnwindSafe(|| inner.scope(|| panic!("on purpose"))));
            assert_eq!(Held::here().flights(), [1]);
        });
        assert!(Held::here().flights().is_empty());
    }

    #[test]
    fn a_future_brings_its_chain_along_and_leaves_none_behind() {
        let mut first = true;
        let flight = u64::MAX;
        let mut computing = Computing::new(flight, || {
            std::future::poll_fn(|_| {
                assert_eq!(Held::here().flights(), [flight]);
                if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
            })
        });
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut computing).poll(&mut context).is_pending());
        assert!(Held::here().flights().is_empty());
        assert!(would_stop(flight));
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| would_stop(flight)).join());
        assert!(!elsewhere.unwrap(), "another thread may wait for it");
        assert!(Pin::new(&mut computing).poll(&mut context).is_ready());
        drop(computing);
        assert!(!would_stop(flight));
    }
}
