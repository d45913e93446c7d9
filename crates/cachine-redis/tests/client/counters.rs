//! Counters: exact to the last of 64 bits, whatever form they are stored in.

use std::thread;
use std::time::Duration;

use cachine_codec::stored::{self, Meta};
use cachine_core::error::{Error, ErrorKind};
use cachine_redis::client::Lifetime;

use crate::scene::{Scene, done, fresh, list, until};

const HOUR: Duration = Duration::from_secs(3600);

fn add(scene: &Scene, key: &str, delta: i128) -> Result<i64, Error> {
    done(scene.client.incr(&scene.names, key, delta, None, "incr"))
}

/// A way to put an integer under the key `k`.
type Put = fn(&Scene, i64);

/// Plain, with tags, with a stale window, and with both.
const FORMS: [Put; 4] = [
    |scene, value| scene.set("k", &value.to_string(), Some(HOUR), &[]),
    |scene, value| scene.set("k", &value.to_string(), Some(HOUR), &list(&["t", "u"])),
    |scene, value| assert!(scene.store("k", &value.to_string(), stale(), &[])),
    |scene, value| assert!(scene.store("k", &value.to_string(), stale(), &list(&["t"]))),
];

fn stale() -> Lifetime {
    Lifetime { ttl: Some(HOUR), stale: Some(HOUR / 2) }
}

#[test]
fn sums_are_exact_at_both_edges_of_64_bits_in_every_form() {
    let scene = Scene::new();
    let edge = 1_i128 << 63;
    let values =
        [0, 1, -1, 5, -5, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1, 1 << 53, (1 << 53) + 1];
    let deltas = [0, 1, -1, 7, edge - 1, edge, -edge, 1 - edge, (1 << 53) + 1, -(1 << 53) - 1];
    for (form, put) in FORMS.into_iter().enumerate() {
        for value in values {
            for delta in deltas {
                put(&scene, value);
                let before = scene.get("k");
                let sum = i64::try_from(i128::from(value) + delta);
                match (add(&scene, "k", delta), sum) {
                    (Ok(found), Ok(sum)) => {
                        assert_eq!(found, sum, "{value} + {delta}, form {form}");
                        assert_eq!(scene.get("k"), Some(sum.to_string()));
                    }
                    (Err(error), Err(_)) => {
                        assert_eq!(error.kind(), ErrorKind::Overflow, "{value} + {delta}");
                        assert_eq!(scene.get("k"), before, "{value} + {delta}");
                    }
                    (found, sum) => panic!("{value} + {delta}: {found:?}, not {sum:?}"),
                }
                assert!(scene.pttl(b"ns:k") > 3_000_000, "its life stays");
            }
        }
    }
}

#[test]
fn a_counter_begins_with_the_delta() {
    let scene = Scene::new();
    let edge = 1_i128 << 63;
    for delta in [0, 1, -1, edge - 1, -edge] {
        assert_eq!(i128::from(add(&scene, "k", delta).unwrap()), delta);
        assert!(done(scene.delete(&scene.names, "k")).unwrap());
    }
    for delta in [edge, edge + 1, -edge - 1, i128::MAX, i128::MIN] {
        assert_eq!(add(&scene, "k", delta).unwrap_err().kind(), ErrorKind::Overflow);
    }
    assert!(scene.server.keys().is_empty());
}

#[test]
fn only_the_call_that_creates_gives_a_life() {
    let scene = Scene::new();
    let incr = |ttl| done(scene.client.incr(&scene.names, "k", 1, ttl, "incr")).unwrap();
    assert_eq!(incr(Some(HOUR)), 1);
    let first = scene.pttl(b"ns:k");
    assert!((3_500_000..=3_600_000).contains(&first));
    assert_eq!(incr(Some(HOUR * 9)), 2);
    assert!((3_500_000..=first).contains(&scene.pttl(b"ns:k")));
    assert!(done(scene.client.persist(&scene.names, "k")).unwrap());
    assert_eq!(incr(Some(HOUR)), 3);
    assert_eq!(scene.pttl(b"ns:k"), -1);
    // One that has ended begins anew.
    scene.server.ask(&["PEXPIRE", "ns:k", "1"]);
    until(|| scene.get("k").is_none());
    assert_eq!(incr(None), 1);
    assert_eq!(scene.pttl(b"ns:k"), -1);
}

#[test]
fn what_is_no_integer_is_refused_and_stays() {
    let scene = Scene::new();
    for text in ["", "1.5", "[1]", "01", "+1", " 1", "-0", "9223372036854775808", "x"] {
        for tags in [list(&[]), list(&["t"])] {
            scene.set("k", text, None, &tags);
            let error = add(&scene, "k", 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Serialization, "{text:?}: {error}");
            assert_eq!(error.operation(), "incr");
            assert_eq!(scene.get("k").as_deref(), Some(text));
        }
    }
}

#[test]
fn a_framed_counter_keeps_its_frame() {
    let scene = Scene::new();
    let names = &scene.names;
    assert!(scene.store("k", "41", stale(), &list(&["t"])));
    let before = stored::meta(&done(scene.client.get(names, "k")).unwrap().unwrap()).unwrap();
    assert_eq!(add(&scene, "k", 1).unwrap(), 42);
    let after = done(scene.client.get(names, "k")).unwrap().unwrap();
    assert_eq!(stored::meta(&after).unwrap(), before);
    assert_eq!(done(scene.client.invalidate_tags(names, &list(&["t"]))).unwrap(), 1);
}

#[test]
fn a_counter_that_a_tag_made_invalid_begins_anew() {
    let scene = Scene::new();
    let incr = |ttl| done(scene.client.incr(&scene.names, "k", 5, ttl, "incr")).unwrap();
    for ttl in [None, Some(HOUR), Some(Duration::ZERO)] {
        scene.set("k", "41", None, &list(&["t"]));
        // Still there, but dead.
        scene.server.ask(&[b"DEL", &scene.names.stamp("t")[..]]);
        assert_eq!(incr(ttl), 5);
        let stored = done(scene.client.get(&scene.names, "k")).unwrap();
        assert_eq!(stored.is_some(), ttl != Some(Duration::ZERO));
        assert!(stored.is_none_or(|stored| stored::meta(&stored).unwrap() == Meta::default()));
        assert_eq!(scene.pttl(b"ns:k") > 0, ttl == Some(HOUR));
        done(scene.client.clear(&scene.names)).unwrap();
    }
    scene.set("k", "-1", None, &list(&["t"]));
    scene.server.ask(&[b"DEL", &scene.names.stamp("t")[..]]);
    assert_eq!(add(&scene, "k", 1 << 63).unwrap_err().kind(), ErrorKind::Overflow);
}

#[test]
fn no_addition_is_lost_in_any_form() {
    const THREADS: i64 = 4;
    const ADDITIONS: i64 = 200;
    let scene = Scene::new();
    for put in FORMS {
        put(&scene, 0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let (other, names) = (scene.other(), &scene.names);
                scope.spawn(move || {
                    for _ in 0..ADDITIONS {
                        done(other.incr(names, "k", 1, None, "incr")).unwrap();
                    }
                });
            }
        });
        assert_eq!(scene.get("k"), Some((THREADS * ADDITIONS).to_string()));
    }
}

#[test]
fn a_framed_counter_that_changes_under_way_is_counted_as_it_is_then() {
    let scene = Scene::new();
    scene.set("k", "10", Some(HOUR), &list(&["t"]));
    let (other, names) = (scene.other(), scene.names.clone());
    // Before the third trip, which is to replace what the first one found.
    scene.client.link().before(move |trip| {
        if trip == 3 {
            done(other.set(&names, "k", b"100".to_vec(), Some(HOUR), &[])).unwrap();
        }
    });
    assert_eq!(add(&scene, "k", 1).unwrap(), 101);
    assert!(fresh(HOUR).ttl.is_some());
}
