//! The promises about threads, under thousands of random schedules of a model checker.
//!
//! Run with `RUSTFLAGS='--cfg shuttle' cargo test -p cachine-core --test model`; without that flag
//! there is nothing in here. A schedule in which nobody can go on is a failure, so a lost wake-up
//! or a circle of waiters needs no assertion of its own.

#![cfg(shuttle)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cachine_core::clock::{Clock, FakeClock};
use cachine_core::stats::{Counters, Tally};
use cachine_core::store::{Ask, Bounds, Ended, Host, Lease, New, Step, Store, Wait};
use cachine_core::{Life, Tag};
use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::{check_random, thread};

const SCHEDULES: usize = 20_000;

/// A door whose values and outcomes are numbers and whose waiters wait for a bell.
struct Test;

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Host for Test {
    type Value = u64;
    type Outcome = u64;
    type Waker = Arc<Bell>;
    type Lock<T> = Mutex<T>;

    fn wake(bell: Arc<Bell>) {
        *bell.rung.lock().unwrap() = true;
        bell.ring.notify_one();
    }
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.ring.wait(rung).unwrap();
        }
    }
}

/// A store, its counters, and the truth that its values are computed from.
#[derive(Clone)]
struct House {
    store: Arc<Store<Test>>,
    counters: Arc<Counters>,
    truth: Arc<AtomicU64>,
}

/// The value before and after the truth changes.
const OLD: u64 = 0;
const NEW: u64 = 1;

fn house() -> House {
    house_with(Clock::Fake(FakeClock::new()))
}

fn house_with(clock: Clock) -> House {
    let store = Store::new(Bounds::default(), clock);
    House { store, counters: Arc::default(), truth: Arc::default() }
}

fn new(value: u64, tags: &[&str]) -> New<u64> {
    let tags = tags.iter().map(|&name| Tag { name: name.into(), anchor: None }).collect();
    New { value, life: Life::FOREVER, weight: 0, tags }
}

fn names(tags: &[&str]) -> Vec<Box<str>> {
    tags.iter().map(|&name| name.into()).collect()
}

/// Waits as a door does: look, leave a bell, sleep, look again.
fn wait_for(wait: &Wait<Test>) -> Ended<u64> {
    loop {
        match wait.ended(|&outcome| outcome) {
            Ended::Pending => {}
            ended => return ended,
        }
        let bell = Arc::new(Bell::default());
        if wait.register(Arc::clone(&bell)).is_ok() {
            bell.wait();
        }
    }
}

impl House {
    fn tally(&self) -> Tally<'_> {
        Tally::of(&self.counters)
    }

    fn get(&self, key: &str) -> Option<u64> {
        self.store.get(key.as_bytes(), self.tally(), |&value| value)
    }

    fn fill(&self, lease: Lease<Test>, value: u64, tags: &[&str], late: &[&str]) -> bool {
        lease.fill(new(value, tags), &names(late), value, self.tally())
    }

    /// Reads a key as a door does; who gets the lease calls `compute`, which settles it.
    fn read(&self, key: &str, held: &[u64], compute: impl Fn(Lease<Test>) -> Option<u64>) -> u64 {
        let mut counted = false;
        loop {
            let ask = Ask { key: key.as_bytes(), share: true, held, counted };
            counted = true;
            match self.store.begin(ask, self.tally(), |&value| value) {
                Step::Hit(value) | Step::Stale(value, _) => return value,
                Step::Lease(lease) => {
                    if let Some(value) = compute(lease) {
                        return value;
                    }
                }
                Step::Wait(wait) => {
                    if let Ended::Outcome(value) = wait_for(&wait) {
                        return value;
                    }
                }
            }
        }
    }

    fn spawn<R: Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        let house = self.clone();
        thread::spawn(move || act(&house))
    }
}

#[test]
fn an_abandoned_lease_goes_to_one_waiter_and_nobody_sleeps_for_ever() {
    check_random(
        || {
            let house = house();
            let computing = Arc::new(AtomicUsize::new(0));
            let tries = Arc::new(AtomicUsize::new(0));
            let reader = |computing: Arc<AtomicUsize>, tries: Arc<AtomicUsize>| {
                move |house: &House| {
                    house.read("key", &[], |lease| {
                        assert_eq!(computing.fetch_add(1, SeqCst), 0, "a second lease");
                        thread::yield_now();
                        let is_first = tries.fetch_add(1, SeqCst) == 0;
                        computing.fetch_sub(1, SeqCst);
                        if is_first {
                            return None; // The lease is dropped: an error.
                        }
                        assert!(house.fill(lease, 7, &[], &[]));
                        Some(7)
                    })
                }
            };
            let readers: Vec<_> = (0..3)
                .map(|_| house.spawn(reader(Arc::clone(&computing), Arc::clone(&tries))))
                .collect();
            for reader in readers {
                assert_eq!(reader.join().unwrap(), 7);
            }
            house.store.check();
            assert_eq!(tries.load(SeqCst), 2, "one failure, one success");
            let stats = house.counters.read();
            assert_eq!(stats.hits + stats.misses, 3, "a call counts once");
        },
        SCHEDULES,
    );
}

/// How the truth is made known to the store after it has changed.
#[derive(Clone, Copy, Debug)]
enum Change {
    Delete,
    Set,
    Add,
    Replace,
    Clear,
    /// Of a tag that was declared before the computation, or is only known by its result.
    Invalidate {
        declared: bool,
    },
}

impl Change {
    fn apply(self, house: &House) {
        let (store, tally) = (&house.store, house.tally());
        match self {
            Self::Delete => drop(store.delete(b"key", tally)),
            Self::Set => store.set(b"key", new(NEW, &[]), tally),
            Self::Add => {
                // What is there already is a fill that came first: it has to go.
                if store.add(b"key", new(NEW, &[]), tally).is_err() {
                    store.delete(b"key", tally);
                }
            }
            Self::Replace => {
                let _ = store.replace(b"key", NEW, None, tally, |_| true);
            }
            Self::Clear => store.clear(Some(b"k")),
            Self::Invalidate { .. } => drop(store.invalidate_tags(&names(&["tag"]))),
        }
    }

    /// Computes the value from the truth, and fills the lease with it.
    fn compute(self, house: &House, lease: Lease<Test>) -> u64 {
        let declared: &[&str] = match self {
            Self::Invalidate { declared: true } => &["tag"],
            _ => &[],
        };
        lease.declare(names(declared), declared.is_empty());
        let value = house.truth.load(SeqCst);
        thread::yield_now();
        let late: &[&str] = if declared.is_empty() { &["tag"] } else { &[] };
        house.fill(lease, value, &["tag"], late);
        value
    }
}

fn nothing_older_than_its_change_is_read(change: Change, is_stored: bool) {
    check_random(
        move || {
            let house = house();
            if is_stored {
                house.store.set(b"key", new(OLD, &["tag"]), house.tally());
            }
            let recompute = house.spawn(move |house| {
                change.compute(house, house.store.recompute(b"key", true));
            });
            let reader = house.spawn(move |house| {
                house.read("key", &[], |lease| Some(change.compute(house, lease)));
            });
            house.truth.store(NEW, SeqCst);
            change.apply(&house);
            assert_ne!(house.get("key"), Some(OLD), "readable after its {change:?}");
            let value = house.read("key", &[], |lease| Some(change.compute(&house, lease)));
            assert_eq!(value, NEW, "shared after its {change:?}");
            recompute.join().unwrap();
            reader.join().unwrap();
            assert_ne!(house.get("key"), Some(OLD), "stored after its {change:?}");
            house.store.check();
        },
        SCHEDULES / 5,
    );
}

#[test]
fn a_value_whose_computation_began_before_a_change_is_never_read_after_it() {
    let invalidate = |declared| Change::Invalidate { declared };
    for change in [Change::Delete, Change::Set, Change::Clear, invalidate(true), invalidate(false)]
    {
        nothing_older_than_its_change_is_read(change, false);
        nothing_older_than_its_change_is_read(change, true);
    }
    nothing_older_than_its_change_is_read(Change::Add, false);
    nothing_older_than_its_change_is_read(Change::Replace, true);
}

/// Computes `keys[0]`, which needs `keys[1]`, and so on.
fn compute_chain(house: &House, keys: &[usize], held: &[u64]) -> u64 {
    let Some((key, needs)) = keys.split_first() else { return 0 };
    house.read(&format!("key{key}"), held, |lease| {
        let held = [held, &[lease.id()]].concat();
        let value = compute_chain(house, needs, &held);
        house.fill(lease, value, &[], &[]);
        Some(value)
    })
}

fn a_circle_does_not_stand_still(threads: usize) {
    check_random(
        move || {
            let house = house();
            let chain = |first| (first..first + threads).map(|key| key % threads).collect();
            let chains = (0..threads)
                .map(chain)
                .map(|keys: Vec<_>| house.spawn(move |house| compute_chain(house, &keys, &[])));
            let chains: Vec<_> = chains.collect();
            for chain in chains {
                assert_eq!(chain.join().unwrap(), 0);
            }
            house.store.check();
        },
        SCHEDULES / 2,
    );
}

#[test]
fn computations_that_wait_for_each_other_in_a_circle_all_end() {
    a_circle_does_not_stand_still(2);
    a_circle_does_not_stand_still(3);
}

#[test]
fn tags_and_entries_agree_whatever_two_threads_do_to_them() {
    check_random(
        || {
            let house = house();
            let tags = |names: &[&str]| new(0, names).tags;
            let first = house.spawn(move |house| {
                house.store.set(b"1", new(1, &["a", "b"]), house.tally());
                house.store.check();
                house.store.add_tags(b"2", tags(&["a"]));
                house.store.check();
                house.store.set(b"1", new(1, &["b"]), house.tally());
                house.store.check();
            });
            let second = house.spawn(move |house| {
                house.store.set(b"2", new(2, &[]), house.tally());
                house.store.add_tags(b"1", tags(&["c", "a"]));
                house.store.check();
                house.store.invalidate_tags(&names(&["a"]));
                assert!(house.store.members("a") <= 2);
                house.store.check();
                house.store.delete(b"1", house.tally());
                house.store.check();
            });
            first.join().unwrap();
            second.join().unwrap();
            house.store.invalidate_tags(&names(&["a", "b", "c"]));
            house.store.check();
            assert_eq!(["a", "b", "c"].map(|tag| house.store.members(tag)), [0; 3]);
        },
        SCHEDULES,
    );
}

fn lease_and_waits(house: &House) -> (Lease<Test>, [Wait<Test>; 2]) {
    let ask = Ask { key: b"key", share: true, held: &[], counted: false };
    let begin = || house.store.begin(ask, house.tally(), |_| ());
    let Step::Lease(lease) = begin() else { panic!("the first one computes") };
    let waits = [(); 2].map(|()| {
        let Step::Wait(wait) = begin() else { panic!("the others wait") };
        wait
    });
    (lease, waits)
}

#[test]
fn a_waiter_that_registers_while_the_lease_is_dropped_is_woken_or_told() {
    check_random(
        || {
            let house = house();
            let (lease, [stays, leaves]) = lease_and_waits(&house);
            let computing = thread::spawn(move || drop(lease));
            let leaving = thread::spawn(move || {
                let bell = Arc::new(Bell::default());
                let registered = leaves.register(Arc::clone(&bell)).is_ok();
                let others = leaves.leave();
                assert!(registered || others.is_none(), "what has ended stays so");
                assert!(others.is_none_or(|others| others <= 1));
            });
            let bell = Arc::new(Bell::default());
            match stays.register(Arc::clone(&bell)) {
                Ok(()) => bell.wait(),
                Err(back) => assert!(Arc::ptr_eq(&bell, &back)),
            }
            assert_eq!(stays.ended(|_| ()), Ended::Abandoned, "who is woken finds the end");
            computing.join().unwrap();
            leaving.join().unwrap();
            house.store.check();
        },
        SCHEDULES,
    );
}

#[test]
fn a_stale_value_is_refreshed_by_exactly_one_of_its_readers() {
    check_random(
        || {
            let clock = FakeClock::new();
            let house = house_with(Clock::Fake(clock.clone()));
            let life = Life::with_stale(1_000, 1_000_000);
            let stale = New { life, ..new(OLD, &[]) };
            house.store.set(b"key", stale, house.tally());
            clock.advance(Duration::from_micros(1));
            let refreshes = Arc::new(AtomicUsize::new(0));
            let reader = |refreshes: Arc<AtomicUsize>| {
                move |house: &House| {
                    let ask = Ask { key: b"key", share: false, held: &[], counted: false };
                    match house.store.begin(ask, house.tally(), |&value| value) {
                        Step::Stale(OLD, Some(lease)) => {
                            refreshes.fetch_add(1, SeqCst);
                            assert!(house.fill(lease, NEW, &[], &[]));
                        }
                        Step::Stale(OLD, None) | Step::Hit(NEW) => {}
                        _ => panic!("a stale value hides nothing else"),
                    }
                }
            };
            let readers: Vec<_> =
                (0..3).map(|_| house.spawn(reader(Arc::clone(&refreshes)))).collect();
            for reader in readers {
                reader.join().unwrap();
            }
            assert_eq!(refreshes.load(SeqCst), 1);
            assert_eq!(house.get("key"), Some(NEW));
        },
        SCHEDULES,
    );
}
