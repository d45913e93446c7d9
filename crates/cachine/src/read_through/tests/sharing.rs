//! One computation for all who ask at once, and what becomes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

use super::*;

/// Reads one key on many threads at once; the first computation begins to end when all the others
/// wait for it.
fn at_once<T: Send>(
    cache: &InMemoryCache<u32>,
    threads: u64,
    read: impl Fn(&dyn Fn()) -> T + Sync,
) -> Vec<T> {
    let all_wait = || until(|| cache.stats().coalesced == threads - 1);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| read(&all_wait))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn sixty_four_threads_cost_one_computation() {
    let (cache, _) = cache();
    let computed = AtomicUsize::new(0);
    let values = at_once(&cache, 64, |all_wait| {
        let compute = || {
            computed.fetch_add(1, Ordering::Relaxed);
            all_wait();
            7
        };
        cache.get_or_compute("k", &shared(), compute).unwrap()
    });
    assert_eq!((values, computed.into_inner()), (vec![7; 64], 1));
    assert_eq!((cache.stats().misses, cache.stats().sets), (64, 1));
}

#[test]
fn all_who_wait_share_an_error_and_a_result_that_is_not_stored() {
    let (cache, _) = cache();
    let failed = AtomicUsize::new(0);
    let results = at_once(&cache, 8, |all_wait| {
        let compute = || {
            all_wait();
            Err::<u32, _>(format!("failure {}", failed.fetch_add(1, Ordering::Relaxed)))
        };
        cache.try_get_or_compute("k", &shared(), compute).unwrap()
    });
    assert_eq!(results, vec![Err("failure 0".to_owned()); 8]);
    cache.reset_stats();
    let computed = AtomicUsize::new(0);
    let values = at_once(&cache, 8, |all_wait| {
        let compute = || {
            computed.fetch_add(1, Ordering::Relaxed);
            all_wait();
            3
        };
        cache.get_or_compute("k", &shared().condition(|_| false), compute).unwrap()
    });
    assert_eq!((values, computed.into_inner()), (vec![3; 8], 1));
    assert!(!cache.exists("k").unwrap());
}

#[test]
fn an_error_of_a_type_that_a_waiter_does_not_know_is_no_answer_to_it() {
    let (cache, _) = cache();
    let asked = Barrier::new(2);
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            let compute = || {
                asked.wait();
                until(|| cache.stats().coalesced == 1);
                Err::<u32, _>("a text")
            };
            cache.try_get_or_compute("k", &shared(), compute).unwrap()
        });
        asked.wait();
        assert_eq!(cache.get_or_compute("k", &shared(), || 5).unwrap(), 5);
        assert_eq!(leader.join().unwrap(), Err("a text"));
    });
}

#[test]
fn a_computation_that_panics_is_taken_over_by_one_who_waits() {
    let (cache, _) = cache();
    let computed = AtomicUsize::new(0);
    let results = at_once(&cache, 16, |all_wait| {
        let compute = || {
            if computed.fetch_add(1, Ordering::Relaxed) == 0 {
                all_wait();
                fall_over();
            }
            7
        };
        catch_unwind(AssertUnwindSafe(|| cache.get_or_compute("k", &shared(), compute).unwrap()))
    });
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    assert!(results.into_iter().flatten().all(|value| value == 7));
    assert_eq!(computed.into_inner(), 2);
}

#[test]
fn without_singleflight_every_caller_computes_its_own() {
    let (cache, _) = cache();
    let (own, together) = (ReadThrough::new(), Barrier::new(4));
    thread::scope(|scope| {
        for number in 0..4 {
            let (cache, own, together) = (&cache, &own, &together);
            scope.spawn(move || {
                let compute = || {
                    together.wait();
                    number
                };
                assert_eq!(cache.get_or_compute("k", own, compute).unwrap(), number);
            });
        }
    });
    assert!(cache.get("k").unwrap().is_some());
}

#[test]
fn a_computation_that_asks_for_its_own_key_computes_it_directly() {
    let (cache, _) = cache();
    let read = || {
        cache.get_or_compute("k", &shared(), || {
            1 + cache.get_or_compute("k", &shared(), || 1).unwrap()
        })
    };
    assert_eq!(read().unwrap(), 2);
    assert_eq!(cache.get("k").unwrap(), Some(2), "the outer one ends last");
}

#[test]
fn two_computations_that_ask_for_each_other_both_end() {
    for _ in 0..200 {
        let (cache, both) = (InMemoryCache::new(), Barrier::new(2));
        let read = |mine: &str, others: &str| {
            cache.get_or_compute(mine, &shared(), || {
                both.wait();
                1 + cache.get_or_compute(others, &shared(), || 1).unwrap()
            })
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| read("b", "a"));
            let sum = read("a", "b").unwrap() + other.join().unwrap().unwrap();
            assert!((4..=5).contains(&sum), "{sum}");
        });
    }
}

#[test]
fn a_thousand_keys_at_once_have_a_flight_each() {
    let cache = InMemoryCache::new();
    let computed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for key in 0..1_000_usize {
                    let compute = || {
                        computed.fetch_add(1, Ordering::Relaxed);
                        key
                    };
                    let name = key.to_string();
                    assert_eq!(cache.get_or_compute(&name, &shared(), compute).unwrap(), key);
                }
            });
        }
    });
    assert_eq!((computed.into_inner(), cache.len()), (1_000, 1_000));
}
