//! Locks in memory: who holds one, who is next, and what a holder is told.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use cachine_core::clock::{Clock, nanoseconds};
use cachine_core::error::ErrorKind;

use super::*;
use crate::memory::InMemoryCache;

const SECOND: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_millis(20);
const ONCE: LockOptions = LockOptions::new().timeout(Duration::ZERO);

fn cache() -> InMemoryCache<u64> {
    InMemoryCache::builder().namespace("n").build().unwrap()
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>, bell: &Arc<Bell>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(bell))))
}

#[test]
fn one_holds_a_lock_until_it_is_dropped_or_released() {
    let cache = cache();
    for release in [drop::<Lock>, |lock: Lock| lock.release().unwrap()] {
        let lock = cache.lock("a").unwrap();
        assert!(!lock.is_lost());
        let error = cache.lock_with("a", ONCE).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "lock"));
        assert!(error.is_retryable() && error.to_string().contains("'a' was not free"), "{error}");
        drop(cache.lock_with("b", ONCE).unwrap());
        release(lock);
        drop(cache.lock_with("a", ONCE).unwrap());
    }
}

#[test]
fn views_have_locks_of_their_own_and_wrapped_caches_those_of_what_they_wrap() {
    let cache = cache();
    let view = cache.with_namespace("v").unwrap();
    let lock = cache.lock("v:a").unwrap();
    drop(view.lock_with("a", ONCE).unwrap());
    let same = cache.with_namespace("v").unwrap();
    let inner = view.lock("a").unwrap();
    assert_eq!(kind(same.lock_with("a", ONCE)), Some(ErrorKind::Timeout));
    drop(inner);
    assert_eq!(kind(cache.measured().lock_with("v:a", ONCE)), Some(ErrorKind::Timeout));
    assert_eq!(kind(cache.clone().lock_with("v:a", ONCE)), Some(ErrorKind::Timeout));
    drop(self::cache().lock_with("v:a", ONCE).unwrap());
    let text = format!("{lock:?}");
    assert!(text.contains("v:a") && text.contains("\"n\"") && text.contains("is_lost: false"));
}

#[test]
fn a_lock_is_no_entry_and_clearing_ends_none() {
    let cache = cache();
    let lock = cache.lock("a").unwrap();
    assert_eq!((cache.get("a").unwrap(), cache.len()), (None, 0));
    cache.clear().unwrap();
    assert!(!lock.is_lost());
    assert_eq!(kind(cache.lock_with("a", ONCE)), Some(ErrorKind::Timeout));
}

#[test]
fn what_can_not_be_a_lock_is_refused_also_after_the_wait() {
    let cache = cache();
    assert_eq!(kind(cache.lock("")), Some(ErrorKind::InvalidKey));
    let error = cache.lock_with("a", LockOptions::new().ttl(Duration::ZERO)).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "lock"));
    let lock = cache.lock("a").unwrap();
    let (bell, mut waiting) = (Arc::default(), pin!(cache.lock_async("a")));
    assert!(poll(waiting.as_mut(), &bell).is_pending());
    cache.close();
    assert_eq!(kind(cache.lock("b")), Some(ErrorKind::Closed));
    lock.release().unwrap();
    let Poll::Ready(refused) = poll(waiting.as_mut(), &bell) else { panic!("it is its turn") };
    assert_eq!(kind(refused), Some(ErrorKind::Closed));
}

#[test]
fn tokens_grow_from_each_holder_to_the_next_whatever_the_lock() {
    let cache = cache();
    let tokens: Vec<u64> =
        ["a", "b", "a", "a", "b"].iter().map(|name| cache.lock(name).unwrap().token()).collect();
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert!(tokens[0] > 1_700_000_000_000_000, "it begins with the time");
}

#[test]
fn threads_get_it_in_the_order_in_which_they_stood_in_line() {
    let cache = cache();
    let (order, held) = (Mutex::new(Vec::new()), cache.lock("a").unwrap());
    thread::scope(|scope| {
        for number in 0..20 {
            let turn = cache.view().turn("a").unwrap();
            let order = &order;
            scope.spawn(move || {
                assert!(block(&turn, None));
                order.lock().unwrap().push(number);
            });
        }
        drop(held);
    });
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[test]
fn threads_and_tasks_stand_in_one_line() {
    let cache = cache();
    let held = cache.lock("a").unwrap();
    let (bell, mut task) = (Arc::<Bell>::default(), pin!(cache.lock_async("a")));
    assert!(poll(task.as_mut(), &bell).is_pending());
    let turn = cache.view().turn("a").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(move || block(&turn, None));
        assert_eq!(bell.0.load(Ordering::SeqCst), 0);
        drop(held);
        assert_eq!(bell.0.load(Ordering::SeqCst), 1, "woken once, when it is its turn");
        let Poll::Ready(lock) = poll(task.as_mut(), &bell) else { panic!("it is its turn") };
        assert!(!waiting.is_finished());
        drop(lock.unwrap());
        assert!(waiting.join().unwrap());
    });
}

#[test]
fn who_waits_gives_up_when_its_time_is_over_and_leaves_the_line() {
    let cache = cache();
    let held = cache.lock("a").unwrap();
    let began = Clock::System.now();
    let short = LockOptions::new().timeout(SHORT);
    assert_eq!(kind(cache.lock_with("a", short)), Some(ErrorKind::Timeout));
    assert!(Clock::System.now() - began >= nanoseconds(SHORT));
    // A task is woken, though its runtime has no timer.
    let refused = pollster::block_on(cache.lock_with_async("a", short));
    assert_eq!(kind(refused), Some(ErrorKind::Timeout));
    assert!(Clock::System.now() - began >= 2 * nanoseconds(SHORT));
    drop(held);
    drop(cache.lock_with("a", ONCE).unwrap());
    drop(pollster::block_on(cache.lock_with_async("a", ONCE)).unwrap());
}

#[test]
fn a_future_that_is_dropped_leaves_the_line_and_passes_its_turn_on() {
    let cache = cache();
    let held = cache.lock("a").unwrap();
    let bells: [Arc<Bell>; 3] = Default::default();
    let mut futures: Vec<_> =
        bells.iter().map(|_| Box::pin(cache.lock_with_async("a", LockOptions::new()))).collect();
    for (future, bell) in futures.iter_mut().zip(&bells) {
        assert!(poll(future.as_mut(), bell).is_pending());
    }
    drop(futures.remove(0)); // While it waits.
    drop(held);
    let rung = || bells.each_ref().map(|bell| bell.0.load(Ordering::SeqCst));
    assert_eq!(rung(), [0, 1, 0]);
    drop(futures.remove(0)); // When it was woken and had not looked.
    assert_eq!(rung(), [0, 1, 1]);
    assert!(matches!(poll(futures[0].as_mut(), &bells[2]), Poll::Ready(Ok(_))));
}

#[test]
fn a_holder_that_panics_gives_it_up() {
    let cache = cache();
    let body = || {
        let _lock = cache.lock("a").unwrap();
        std::panic::resume_unwind(Box::new("on purpose"));
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err());
    drop(cache.lock_with("a", ONCE).unwrap());
}

#[test]
fn what_the_child_of_a_fork_has_is_lost() {
    let cache = cache();
    let lock = cache.lock("a").unwrap();
    // What a child does; the threads that stood in line do not exist there.
    cache.view().store().forget_locks();
    assert!(lock.is_lost());
    let error = lock.release().unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "lock"));
    assert!(!error.is_retryable() && error.to_string().contains("'a' was lost"), "{error}");
    let copy = Lock { process: 0, ..cache.lock("a").unwrap() };
    assert!(copy.is_lost());
}

#[test]
fn sixty_four_threads_lose_no_turn() {
    let (cache, sum) = (cache(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let _lock = cache.lock("a").unwrap();
                    // Not one step: somebody else here would be lost.
                    let seen = sum.load(Ordering::Relaxed);
                    std::hint::black_box(());
                    sum.store(seen + 1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 64 * 200);
}

#[test]
fn tasks_and_threads_that_give_up_now_and_then_lose_no_turn() {
    let (cache, sum, got) = (cache(), AtomicUsize::new(0), AtomicUsize::new(0));
    let add = |lock: Result<Lock, Error>| match lock {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout),
        Ok(_lock) => {
            let seen = sum.load(Ordering::Relaxed);
            thread::yield_now();
            sum.store(seen + 1, Ordering::Relaxed);
            got.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for number in 0..32_u64 {
            let (cache, add) = (&cache, &add);
            scope.spawn(move || {
                for turn in 0..50 {
                    let timeout = Duration::from_micros((number * 50 + turn) * 37 % 3_000);
                    let options = LockOptions::new().timeout(timeout);
                    if number % 2 == 0 {
                        add(cache.lock_with("a", options));
                    } else {
                        add(pollster::block_on(cache.lock_with_async("a", options)));
                    }
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), got.into_inner());
    drop(cache.lock_with("a", ONCE).unwrap());
}

#[test]
fn futures_of_locks_can_be_spawned_and_locks_move_between_threads() {
    const fn is_send<T: Send>(_: &T) {}
    const fn is_shared<T: Send + Sync>(_: &T) {}
    let cache = cache();
    is_send(&cache.lock_async("a"));
    is_send(&cache.lock_with_async("a", ONCE));
    let lock = cache.lock("a").unwrap();
    is_shared(&lock);
    let (give, take) = channel();
    give.send(lock).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || take.recv().unwrap().release().unwrap());
    });
    drop(cache.lock_with("a", LockOptions::new().timeout(20 * SECOND)).unwrap());
}
