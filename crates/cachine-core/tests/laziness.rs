//! What the store puts off is bounded in each call, done by any traffic, and seen by nobody.

use std::sync::Arc;
use std::time::Duration;

use cachine_core::clock::{Clock, FakeClock};
use cachine_core::stats::{Counters, Tally};
use cachine_core::store::{Ask, Bounds, Ended, Host, Mutex, New, Step, Store};
use cachine_core::{Life, Tag};

struct Test;

impl Host for Test {
    type Value = usize;
    type Outcome = usize;
    type Waker = ();
    type Lock<T> = Mutex<T>;

    fn wake((): ()) {}
}

/// Any operation.
type Call = fn(&Arc<Store<Test>>, Tally<'_>);

const SECOND: u64 = 1_000_000_000;

fn new(value: usize, life: Life) -> New<usize> {
    New { value, life, weight: 0, tags: Vec::new() }
}

fn key(number: usize) -> Vec<u8> {
    number.to_string().into_bytes()
}

#[test]
fn entries_that_expire_together_are_freed_a_few_at_a_time_by_whatever_call_comes() {
    let counters = Counters::default();
    let tally = Tally::of(&counters);
    let calls: [Call; 5] = [
        |store, tally| assert_eq!(store.get(b"none", tally, |&value| value), None),
        |store, tally| assert_eq!(store.get_fresh(b"none", tally, |&value| value), None),
        |store, tally| store.set(b"other", new(0, Life::FOREVER), tally),
        |store, tally| assert!(!store.delete(b"none", tally)),
        |store, tally| {
            let ask = Ask { key: b"none", share: false, held: &[], counted: false };
            assert!(matches!(store.begin(ask, tally, |_| ()), Step::Lease(_)));
        },
    ];
    for call in calls {
        let clock = FakeClock::new();
        let store = Store::<Test>::new(Bounds::default(), Clock::Fake(clock.clone()));
        for number in 0..1_000 {
            store.set(&key(number), new(number, Life::fresh_for(SECOND)), tally);
        }
        clock.advance(Duration::from_secs(1));
        let mut before = store.len(None);
        for _ in 0..4_000 {
            call(&store, tally);
            let now = store.len(None);
            assert!(now + 16 >= before, "one call freed {}", before - now);
            before = now;
        }
        assert!(before <= 1, "only what a call itself stored is left, not {before}");
        store.check();
    }
}

#[test]
fn an_expired_entry_makes_room_before_a_live_one_with_hundreds_filed_beside_it() {
    let (counters, clock) = (Counters::default(), FakeClock::new());
    let tally = Tally::of(&counters);
    let bounds = Bounds { max_size: Some(400), ..Bounds::default() };
    let store = Store::<Test>::new(bounds, Clock::Fake(clock.clone()));
    // All in one slot of a coarse wheel; only the one at its end is due an hour and a half later.
    store.set(&key(399), new(399, Life::fresh_for(5_400 * SECOND)), tally);
    for number in 0..399 {
        store.set(&key(number), new(number, Life::fresh_for(5_401 * SECOND)), tally);
    }
    store.get(&key(399), tally, |_| ());
    clock.advance(Duration::from_secs(5_400));
    store.set(b"new", new(0, Life::FOREVER), tally);
    assert_eq!(counters.read().evictions, 0);
    assert!((0..399).all(|number| store.peek(&key(number), |&value| value) == Some(number)));
    assert_eq!(store.peek(&key(399), |_| ()), None);
    store.check();
}

#[test]
fn computations_forgotten_in_a_forked_process_harm_nobody_who_still_holds_their_ends() {
    let counters = Counters::default();
    let tally = Tally::of(&counters);
    let store = Store::<Test>::new(Bounds::default(), Clock::Fake(FakeClock::new()));
    let begin = |held: &[u64]| {
        let ask = Ask { key: b"key", share: true, held, counted: false };
        store.begin(ask, tally, |&value| value)
    };
    let Step::Lease(old) = begin(&[]) else { panic!("nobody computes yet") };
    let Step::Wait(wait) = begin(&[u64::MAX]) else { panic!("somebody computes") };
    assert_eq!(wait.register(()), Ok(()));
    store.forget_flights();
    store.check();
    assert_eq!(wait.ended(|_| ()), Ended::Abandoned, "who waits goes on by itself");
    assert_eq!(wait.register(()), Err(()));
    let Step::Lease(fresh) = begin(&[]) else { panic!("the old computation is forgotten") };
    let tags = vec![Tag { name: "tag".into(), anchor: Some(1) }];
    assert!(!old.fill(New { tags, ..new(1, Life::FOREVER) }, &[], 1, tally));
    assert_eq!(wait.leave(), None);
    assert!(fresh.fill(new(2, Life::FOREVER), &[], 2, tally));
    assert_eq!(store.peek(b"key", |&value| value), Some(2));
    store.check();
}

#[test]
fn a_store_of_many_tags_finds_each_of_them_after_many_have_left() {
    let counters = Counters::default();
    let tally = Tally::of(&counters);
    let store = Store::<Test>::new(Bounds::default(), Clock::Fake(FakeClock::new()));
    let name = |number: usize| -> Box<str> { format!("tag{number}").into() };
    for number in 0..40_000 {
        let tags = vec![Tag { name: name(number / 2), anchor: None }];
        store.set(&key(number), New { tags, ..new(number, Life::FOREVER) }, tally);
    }
    for number in (0..20_000).step_by(2) {
        assert_eq!(store.invalidate_tags(&[name(number)]), 2);
    }
    for number in 0..20_000 {
        assert_eq!(store.members(&name(number)), number % 2 * 2);
    }
}
