//! Futures that are polled by hand: shared, cancelled, recursive, and beside threads.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A gate that computations wait at until it is opened.
#[derive(Default)]
struct Gate {
    open: std::sync::atomic::AtomicBool,
    passed: AtomicUsize,
}

impl Gate {
    fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    async fn pass<T>(&self, value: T) -> T {
        std::future::poll_fn(|context| {
            if self.open.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.passed.fetch_add(1, Ordering::Relaxed);
        value
    }
}

#[test]
fn tasks_that_ask_at_once_share_one_computation() {
    let (cache, _) = cache();
    let (gate, options) = (Gate::default(), shared());
    let read = || cache.get_or_compute_async("k", &options, || gate.pass(7));
    let mut tasks: Vec<_> = (0..1_000).map(|_| Box::pin(read())).collect();
    assert!(tasks.iter_mut().all(|task| poll(task.as_mut()).is_pending()));
    assert!(tasks.iter_mut().all(|task| poll(task.as_mut()).is_pending()));
    gate.open();
    let all = tasks.iter_mut().map(|task| poll(task.as_mut()));
    assert!(all.into_iter().all(|end| matches!(end, Poll::Ready(Ok(7)))));
    assert_eq!((gate.passed.load(Ordering::Relaxed), cache.stats().coalesced), (1, 999));
}

#[test]
fn a_leader_that_is_dropped_is_taken_over_by_one_who_waits() {
    let (cache, _) = cache();
    let (gate, options) = (Gate::default(), shared());
    let read = |number| cache.get_or_compute_async("k", &options, move || async move { number });
    let mut leader = Box::pin(cache.get_or_compute_async("k", &options, || gate.pass(0)));
    let (mut second, mut third) = (pin!(read(2)), pin!(read(3)));
    assert!(poll(leader.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
    drop(leader);
    assert!(matches!(poll(third), Poll::Ready(Ok(3))));
    assert!(matches!(poll(second), Poll::Ready(Ok(3))));
    assert_eq!(gate.passed.load(Ordering::Relaxed), 0);
    assert_eq!(cache.stats().misses, 3, "who takes over is no second miss");
}

#[test]
fn a_waiter_that_is_dropped_leaves_the_computation_to_the_others() {
    let (cache, _) = cache();
    let (gate, options) = (Gate::default(), shared());
    let read = || cache.get_or_compute_async("k", &options, || gate.pass(7));
    let (mut leader, mut waiter) = (pin!(read()), Box::pin(read()));
    assert!(poll(leader.as_mut()).is_pending() && poll(waiter.as_mut()).is_pending());
    drop(waiter);
    gate.open();
    assert!(matches!(poll(leader), Poll::Ready(Ok(7))));
}

#[test]
fn a_future_that_asks_for_its_own_key_computes_it_directly() {
    let (cache, _) = cache();
    let options = shared();
    let outer = cache.get_or_compute_async("k", &options, || async {
        let inner = cache.get_or_compute_async("k", &options, || async { 1 }).await.unwrap();
        // Also in the blocking form, which could never come back.
        inner + cache.get_or_compute("other", &options, || 1).unwrap()
    });
    assert!(matches!(poll(pin!(outer)), Poll::Ready(Ok(2))));
}

#[test]
fn two_futures_that_ask_for_each_other_both_end() {
    let (cache, _) = cache();
    let (gate, options) = (Gate::default(), shared());
    let read = |mine: &'static str, others: &'static str| {
        let (cache, gate, options) = (&cache, &gate, &options);
        cache.get_or_compute_async(mine, options, move || async move {
            gate.pass(()).await;
            1 + cache.get_or_compute_async(others, options, || async { 1 }).await.unwrap()
        })
    };
    let (mut a, mut b) = (pin!(read("a", "b")), pin!(read("b", "a")));
    assert!(poll(a.as_mut()).is_pending() && poll(b.as_mut()).is_pending());
    gate.open();
    assert!(poll(a.as_mut()).is_pending(), "a waits for b");
    assert!(matches!(poll(b), Poll::Ready(Ok(2))), "b can't wait for a");
    assert!(matches!(poll(a), Poll::Ready(Ok(3))));
}

#[test]
fn a_thread_joins_the_computation_of_a_task_and_the_other_way_round() {
    let (cache, _) = cache();
    let (gate, options) = (Gate::default(), shared());
    let entered = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        let mut leader = pin!(cache.get_or_compute_async("k", &options, || gate.pass(7)));
        assert!(poll(leader.as_mut()).is_pending());
        let waiter = scope.spawn(|| cache.get_or_compute("k", &options, || 0).unwrap());
        until(|| cache.stats().coalesced == 1);
        gate.open();
        assert!(matches!(poll(leader), Poll::Ready(Ok(7))));
        assert_eq!(waiter.join().unwrap(), 7);

        let leader = scope.spawn(|| {
            let compute = || {
                entered.wait();
                until(|| cache.stats().coalesced == 2);
                8
            };
            cache.get_or_compute("l", &options, compute).unwrap()
        });
        entered.wait();
        let waiter = cache.get_or_compute_async("l", &options, || async { 0 });
        assert_eq!((pollster::block_on(waiter).unwrap(), leader.join().unwrap()), (8, 8));
    });
}

#[test]
fn a_thread_does_not_block_for_a_task_that_only_it_could_finish() {
    let (cache, _) = cache();
    let (gate, options) = (Gate::default(), shared());
    let mut leader = pin!(cache.get_or_compute_async("k", &options, || gate.pass(7)));
    assert!(poll(leader.as_mut()).is_pending());
    assert_eq!(cache.get_or_compute("k", &options, || 1).unwrap(), 1);
    gate.open();
    assert!(matches!(poll(leader), Poll::Ready(Ok(7))));
}

#[test]
fn a_task_that_panics_is_taken_over() {
    let (cache, _) = cache::<u32>();
    let (gate, options) = (Gate::default(), shared());
    let mut leader = Box::pin(cache.get_or_compute_async("k", &options, || async {
        gate.pass(()).await;
        fall_over()
    }));
    let mut waiter = pin!(cache.get_or_compute_async("k", &options, || async { 2 }));
    assert!(poll(leader.as_mut()).is_pending() && poll(waiter.as_mut()).is_pending());
    gate.open();
    let fall = std::panic::AssertUnwindSafe(|| poll(leader.as_mut()));
    assert!(std::panic::catch_unwind(fall).is_err());
    assert!(matches!(poll(waiter), Poll::Ready(Ok(2))));
}

#[test]
fn what_a_cancelled_computation_drops_may_ask_for_its_key() {
    struct Asks<'a>(&'a InMemoryCache<u32>);
    impl Drop for Asks<'_> {
        fn drop(&mut self) {
            self.0.get_or_compute("k", &shared(), || 1).unwrap();
        }
    }
    let (cache, _) = cache();
    let (gate, options) = (Gate::default(), shared());
    thread::scope(|scope| {
        let mut leader = Box::pin(cache.get_or_compute_async("k", &options, || async {
            let _asks = Asks(&cache);
            gate.pass(7).await
        }));
        assert!(poll(leader.as_mut()).is_pending());
        // On another thread than that of the last poll.
        scope.spawn(move || drop(leader)).join().unwrap();
    });
    assert_eq!(cache.get("k").unwrap(), Some(1));
}

#[test]
fn the_futures_of_owned_computations_can_be_spawned() {
    fn spawnable<T: Send>(_: T) {}
    let (cache, _) = cache();
    let options = shared();
    spawnable(cache.get_or_compute_async("k", &options, || async { 1 }));
    spawnable(cache.try_get_or_compute_async("k", &options, || async { Ok::<_, String>(1) }));
}
