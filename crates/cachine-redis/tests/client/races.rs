//! Fills against invalidations and writes, forced to overlap and left to chance: never a stale value.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use cachine_redis::client::{Claim, Client, Lifetime, Look, Want};
use cachine_redis::names::Names;

use crate::link::Socket;
use crate::scene::{Scene, done, list, payload, want};

const ROUNDS: u64 = 3000;
const LIFE: Lifetime = Lifetime { ttl: Some(Duration::from_secs(600)), stale: None };

/// The tags that are known before a computation, and those that its result names.
fn tags(is_late: bool) -> (Vec<String>, Vec<String>) {
    if is_late { (list(&[]), list(&["t"])) } else { (list(&["t"]), list(&[])) }
}

/// A cached call: a look, else a claim, a computation, a fill. What it returns.
fn call(client: &Client<Socket>, names: &Names, source: &AtomicU64, is_late: bool) -> u64 {
    let known = tags(is_late).0;
    if let Look::Fresh(stored) = done(client.look(names, "k", &known)).unwrap() {
        return number(&stored);
    }
    compute(client, names, is_late, || source.load(Ordering::SeqCst)).0
}

/// A claim, whatever is there, then a computation and a fill: what it computed, and whether that stands.
fn compute(
    client: &Client<Socket>,
    names: &Names,
    is_late: bool,
    source: impl Fn() -> u64,
) -> (u64, bool) {
    let (known, late) = tags(is_late);
    let want =
        Want { tags: &known, has_late_tags: is_late, is_shared: false, is_forced: true, ..want() };
    let claim = done(client.claim(names, "k", want)).unwrap();
    let Claim::Compute(fill) = claim else { panic!("{claim:?}") };
    let value = source();
    let stored = value.to_string().into_bytes();
    (value, done(client.fill(names, "k", fill, stored, LIFE, &late)).unwrap())
}

fn number(stored: &[u8]) -> u64 {
    str::from_utf8(payload(stored)).unwrap().parse().unwrap()
}

/// Changes the source and says so.
type Change = fn(&Client<Socket>, &Names);

/// Races a change against a fill whose value was computed before it, again and again: how many calls
/// that began after the change had returned saw what was there before; and how many fills were refused.
fn race(change: Change, is_late: bool, rounds: u64) -> (u64, u64) {
    let scene = Scene::new();
    let (filler, changer) = (scene.other(), scene.other());
    let (names, source) = (&scene.names, AtomicU64::new(0));
    let (computed, end) = (Barrier::new(2), Barrier::new(2));
    let (mut stale, refused) = (0, AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=rounds {
                let (_, stands) = compute(&filler, names, is_late, || {
                    let value = source.load(Ordering::SeqCst);
                    computed.wait();
                    // Sooner or later, so that each step of one meets each of the other.
                    (0..round % 7).for_each(|_| thread::yield_now());
                    value
                });
                refused.fetch_add(u64::from(!stands), Ordering::Relaxed);
                end.wait();
            }
        });
        for round in 1..=rounds {
            computed.wait();
            (0..round % 11).for_each(|_| thread::yield_now());
            source.store(round, Ordering::SeqCst);
            change(&changer, names);
            if round % 2 == 0 {
                // While the fill is perhaps under way still.
                stale += u64::from(call(&scene.client, names, &source, is_late) != round);
            }
            end.wait();
            stale += u64::from(call(&scene.client, names, &source, is_late) != round);
        }
    });
    (stale, refused.into_inner())
}

#[test]
fn no_fill_survives_an_invalidation_that_it_overlaps() {
    for is_late in [false, true] {
        let change: Change = |client, names| {
            done(client.invalidate_tags(names, &["t".to_owned()])).unwrap();
        };
        let (stale, refused) = race(change, is_late, ROUNDS);
        assert_eq!(stale, 0, "late tags: {is_late}");
        assert!(refused > 0, "they never met");
    }
}

#[test]
fn no_fill_survives_a_delete_that_it_overlaps() {
    let change: Change = |client, names| {
        done(client.delete(names, "k")).unwrap();
    };
    assert_eq!(race(change, false, 1000).0, 0);
}

#[test]
fn no_fill_survives_a_clear_that_it_overlaps() {
    for change in
        [(|client, names| done(client.clear(names)).unwrap()) as Change, |client, names| {
            done(client.clear_prefix(names, "k")).unwrap();
        }]
    {
        assert_eq!(race(change, true, 500).0, 0);
    }
}

/// Disturbs a fill before each of its steps in turn, and returns what is readable afterwards.
fn disturbed(scene: &Scene, step: usize, is_late: bool, change: Change) -> Option<String> {
    let tags = list(&["t"]);
    let known = if is_late { &[][..] } else { &tags };
    let late = if is_late { &tags[..] } else { &[] };
    let (other, names) = (scene.other(), scene.names.clone());
    let right = scene.compute("k", Want { tags: known, has_late_tags: is_late, ..want() });
    scene.client.link().before(move |trip| {
        if trip == step {
            change(&other, &names);
        }
    });
    let stored = b"old".to_vec();
    let stands = done(scene.client.fill(&scene.names, "k", right, stored, LIFE, late)).unwrap();
    scene.client.link().undisturbed();
    assert!(!stands);
    scene.get("k")
}

#[test]
fn a_fill_that_is_disturbed_before_any_of_its_steps_never_stands() {
    let scene = Scene::new();
    let changes: [(Change, Option<&str>); 6] = [
        (
            |c, n| {
                done(c.invalidate_tags(n, &["t".to_owned()])).unwrap();
            },
            None,
        ),
        (
            |c, n| {
                done(c.delete(n, "k")).unwrap();
            },
            None,
        ),
        (|c, n| done(c.set(n, "k", b"new".to_vec(), None, &[])).unwrap(), Some("new")),
        (
            |c, n| {
                done(c.incr(n, "k", 5, None, "incr")).unwrap();
            },
            Some("5"),
        ),
        (|c, n| done(c.clear(n)).unwrap(), None),
        (|c, n| done(c.clear_prefix(n, "")).unwrap(), None),
    ];
    for (place, (change, expected)) in changes.into_iter().enumerate() {
        for (is_late, steps) in [(false, 1), (true, 2)] {
            for step in 1..=steps {
                // As a server that has just started, and as one that knows the scripts.
                for is_flushed in [true, false] {
                    if is_flushed {
                        scene.server.ask(&["SCRIPT", "FLUSH"]);
                    }
                    let found = disturbed(&scene, step, is_late, change);
                    // The last step of late tags: the stamp is older than the invalidation.
                    assert_eq!(found.as_deref(), expected, "change {place} at {step}");
                    done(scene.client.clear(&scene.names)).unwrap();
                }
            }
        }
    }
}

#[test]
fn an_invalidation_between_a_store_and_its_last_look_is_seen_when_scripts_were_unknown() {
    let scene = Scene::new();
    let tags = list(&["t"]);
    let right = scene.compute("k", Want { tags: &tags, ..want() });
    scene.server.ask(&["SCRIPT", "FLUSH"]);
    let (other, names) = (scene.other(), scene.names.clone());
    // First the batch with digests, which looks; then the sources, which store; then a last look.
    scene.client.link().before(move |trip| {
        if trip == 2 {
            done(other.invalidate_tags(&names, &["t".to_owned()])).unwrap();
        }
    });
    let outcome = done(scene.client.fill(&scene.names, "k", right, b"1".to_vec(), LIFE, &[]));
    assert!(!outcome.unwrap());
    assert_eq!(scene.client.link().trips(), 3);
}
