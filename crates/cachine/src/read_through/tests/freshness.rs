//! Fresh, stale, gone; and who computes a stale value anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use super::*;

const TTL: Duration = Duration::from_secs(60);
const STALE: Duration = Duration::from_secs(120);

type Spawned = Arc<Mutex<VecDeque<RefreshTask>>>;

/// Options whose refreshes are run by the test, one after the other.
fn by_hand<V>() -> (ReadThrough<V, Tasks>, Spawned) {
    let spawned = Spawned::default();
    let queue = Arc::clone(&spawned);
    let options = ReadThrough::new().ttl(TTL).stale_ttl(STALE);
    (options.refresh_with(move |task| queue.lock().unwrap().push_back(task)), spawned)
}

/// Runs the refreshes that were started; how many there were.
fn run(spawned: &Spawned) -> usize {
    let tasks = std::mem::take(&mut *spawned.lock().unwrap());
    let ready = |mut task: RefreshTask| {
        task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    tasks.into_iter().filter_map(|task| ready(task).then_some(())).count()
}

fn just_before(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_nanos(1))
}

fn read(cache: &InMemoryCache<u32>, options: &ReadThrough<u32, Tasks>, new: u32) -> u32 {
    let read = cache.get_or_compute_async("k", options, move || async move { new });
    pollster::block_on(read).unwrap()
}

#[test]
fn a_value_is_fresh_then_stale_with_one_refresh_then_gone() {
    let (cache, fake) = cache();
    let (options, spawned) = by_hand();
    assert_eq!(read(&cache, &options, 1), 1);
    fake.advance(just_before(TTL));
    assert_eq!((read(&cache, &options, 2), run(&spawned)), (1, 0));
    fake.advance(Duration::from_nanos(1));
    assert_eq!([3, 4, 5].map(|new| read(&cache, &options, new)), [1; 3]);
    assert_eq!(run(&spawned), 1, "three stale hits, one refresh");
    assert_eq!((read(&cache, &options, 6), cache.ttl("k").unwrap()), (3, Some(STALE)));
    fake.advance(just_before(STALE));
    assert_eq!(read(&cache, &options, 7), 3);
    fake.advance(Duration::from_nanos(1));
    assert_eq!(read(&cache, &options, 8), 8, "a refresh that is late does not keep it alive");
    assert_eq!(cache.stats().stale, 4);
}

#[test]
fn a_refresh_is_fenced_as_any_computation() {
    let (cache, fake) = cache();
    let (options, spawned) = by_hand();
    read(&cache, &options, 1);
    fake.advance(TTL);
    read(&cache, &options, 2);
    cache.delete("k").unwrap();
    assert_eq!((run(&spawned), cache.get("k").unwrap()), (1, None));
}

#[test]
fn a_refresh_that_fails_waits_longer_each_time_and_leaves_the_value_to_its_end() {
    let (cache, fake) = cache();
    let (options, spawned) = by_hand();
    read(&cache, &options, 1);
    fake.advance(TTL);
    let fails = || {
        let read = cache.try_get_or_compute_async("k", &options, || async { Err("no") });
        assert_eq!(pollster::block_on(read).unwrap(), Ok(1));
        run(&spawned)
    };
    let mut pause = SECOND / 2;
    for _ in 0..5 {
        assert_eq!((fails(), fails()), (1, 0), "one attempt, then a pause of {pause:?}");
        fake.advance(just_before(pause));
        assert_eq!(fails(), 0);
        fake.advance(Duration::from_nanos(1));
        pause *= 2;
    }
    assert_eq!((read(&cache, &options, 2), run(&spawned), read(&cache, &options, 3)), (1, 1, 2));
}

#[test]
fn a_refresh_that_is_dropped_or_not_wanted_counts_as_failed() {
    let (cache, fake) = cache();
    let (options, spawned) = by_hand();
    let options = options.condition(|number| *number < 10);
    read(&cache, &options, 1);
    fake.advance(TTL);
    read(&cache, &options, 2);
    spawned.lock().unwrap().clear();
    read(&cache, &options, 3);
    assert_eq!(run(&spawned), 0, "dropped: it pauses");
    fake.advance(SECOND / 2);
    read(&cache, &options, 99);
    assert_eq!((run(&spawned), cache.get("k").unwrap()), (1, Some(1)));
    read(&cache, &options, 4);
    assert_eq!(run(&spawned), 0, "not wanted: it pauses");
}

#[test]
fn a_stale_hit_of_a_thread_is_refreshed_by_a_thread_of_ours() {
    let (cache, fake) = cache();
    let options = ReadThrough::new().ttl(TTL).stale_ttl(STALE);
    let name = || thread::current().name().unwrap_or_default().to_owned();
    let mine = cache.get_or_compute("k", &options, name).unwrap();
    fake.advance(TTL);
    assert_eq!(cache.get_or_compute("k", &options, name).unwrap(), mine);
    until(|| cache.get("k").unwrap().as_deref() == Some("cachine-refresh"));
    assert_eq!(cache.ttl("k").unwrap(), Some(STALE));
}

#[test]
fn a_refresh_that_panics_on_its_thread_leaves_the_stale_value() {
    let (cache, fake) = cache();
    let options = ReadThrough::new().ttl(TTL).stale_ttl(STALE);
    cache.get_or_compute("k", &options, || 1).unwrap();
    fake.advance(TTL);
    assert_eq!(cache.get_or_compute("k", &options, || fall_over()).unwrap(), 1);
    // Its lease is given up on the way down, and the pause that follows is over at some point.
    until(|| {
        fake.advance(SECOND / 100);
        cache.get_or_compute("k", &options, || 2).unwrap() == 2
    });
}

#[test]
fn options_without_a_stale_window_compute_what_others_left_stale() {
    let (cache, fake) = cache();
    let (options, spawned) = by_hand();
    read(&cache, &options, 1);
    fake.advance(TTL);
    assert_eq!(cache.get_or_set("k", None, || 2).unwrap(), 2);
    assert_eq!((read(&cache, &options, 3), run(&spawned)), (2, 0));
}

#[test]
fn jitter_lengthens_fresh_and_stale_time_alike() {
    let (cache, fake) = cache();
    let options = ReadThrough::new().ttl(TTL).stale_ttl(STALE).jitter(10 * SECOND);
    let lives: Vec<_> = (0..50)
        .map(|number| {
            let key = number.to_string();
            cache.get_or_compute(&key, &options, move || number).unwrap();
            cache.ttl(&key).unwrap().unwrap()
        })
        .collect();
    assert!(lives.iter().all(|life| (STALE..STALE + 10 * SECOND).contains(life)));
    assert!(lives.iter().any(|life| *life != lives[0]));
    fake.advance(TTL);
    let unused = || unreachable!("fresh until its own ttl");
    assert_eq!(cache.get_or_compute("0", &options, unused).unwrap(), 0);
}
