//! Reading through: who may compute, and whose value is stored.

use std::time::Duration;

use cachine_redis::client::{Claim, Lifetime, Look, Want};

use crate::scene::{LEASE, Scene, done, fresh, list, payload, until, want};

const LIFE: Lifetime = Lifetime { ttl: Some(Duration::from_secs(3600)), stale: None };

/// Writes the key `k`, or deletes it.
type Write = fn(&Scene);

fn fill(scene: &Scene, fill: cachine_redis::client::Fill, value: &str, late: &[&str]) -> bool {
    let (names, late) = (&scene.names, list(late));
    done(scene.client.fill(names, "k", fill, value.into(), LIFE, &late)).unwrap()
}

fn look(scene: &Scene, tags: &[&str]) -> (&'static str, String) {
    let found = done(scene.client.look(&scene.names, "k", &list(tags))).unwrap();
    let text = |stored: &[u8]| String::from_utf8_lossy(payload(stored)).into_owned();
    match found {
        Look::Missing => ("missing", String::new()),
        Look::Fresh(stored) => ("fresh", text(&stored)),
        Look::Stale(stored) => ("stale", text(&stored)),
    }
}

#[test]
fn one_claims_computes_and_fills_and_all_find_it() {
    let scene = Scene::new();
    assert_eq!(look(&scene, &[]).0, "missing");
    let right = scene.compute("k", want());
    assert!(right.is_own());
    assert!(fill(&scene, right, "1", &[]));
    assert_eq!(look(&scene, &[]), ("fresh", "1".into()));
    let found = done(scene.client.claim(&scene.names, "k", want())).unwrap();
    assert!(matches!(found, Claim::Found(stored) if stored == b"1"));
    assert_eq!(scene.server.keys(), ["ns:k"]);
}

#[test]
fn who_shares_waits_for_the_holder_and_who_does_not_computes_beside() {
    let scene = Scene::new();
    let first = scene.compute("k", want());
    let other = scene.other();
    match done(other.claim(&scene.names, "k", want())).unwrap() {
        Claim::Held(held) => assert!(held.left > LEASE / 2 && held.left <= LEASE),
        other => panic!("{other:?}"),
    }
    let alone = Want { is_shared: false, ..want() };
    let beside = crate::scene::compute(&other, &scene.names, "k", alone);
    assert!(!beside.is_own());
    assert!(done(other.renew(&scene.names, "k", &beside, LEASE)).unwrap());
    assert!(done(other.release(&scene.names, "k", beside.clone())).unwrap());
    // It was not taken away.
    assert!(done(scene.client.renew(&scene.names, "k", &first, LEASE)).unwrap());
    assert!(fill(&scene, beside.clone(), "2", &[]));
    assert!(!fill(&scene, first.clone(), "1", &[]), "the token is used up");
    assert_eq!(scene.get("k").as_deref(), Some("2"));
    assert!(!done(other.renew(&scene.names, "k", &beside, LEASE)).unwrap());
    assert!(!done(other.release(&scene.names, "k", beside)).unwrap());
    assert!(!done(scene.client.release(&scene.names, "k", first)).unwrap());
}

#[test]
fn a_right_that_is_given_back_is_free_at_once() {
    let scene = Scene::new();
    let right = scene.compute("k", Want { tags: &list(&["t"]), has_late_tags: true, ..want() });
    assert!(done(scene.client.release(&scene.names, "k", right)).unwrap());
    let right = scene.compute("k", want());
    assert!(done(scene.client.release(&scene.names, "k", right.clone())).unwrap());
    let next = scene.compute("k", want());
    assert!(!done(scene.client.renew(&scene.names, "k", &right, LEASE * 60)).unwrap());
    assert!(scene.pttl(&scene.names.token("k")) <= 60_000, "only one's own right can be renewed");
    assert!(!done(scene.client.release(&scene.names, "k", right)).unwrap());
    assert!(fill(&scene, next, "1", &[]), "only one's own right can be given back");
}

#[test]
fn a_right_ends_with_its_lease_unless_it_is_renewed() {
    let scene = Scene::new();
    let short = Duration::from_millis(30);
    let right = scene.compute("k", Want { tags: &list(&["t"]), ..want() });
    assert!(done(scene.client.renew(&scene.names, "k", &right, LEASE * 60)).unwrap());
    assert!(scene.pttl(&scene.names.token("k")) > 3_000_000);
    assert!(scene.pttl(&scene.names.stamp("t")) > 3_000_000);
    assert!(fill(&scene, right, "1", &[]));
    let forced = Want { lease: short, is_forced: true, ..want() };
    let right = scene.compute("k", forced);
    until(|| scene.pttl(&scene.names.token("k")) == -2);
    assert!(!done(scene.client.renew(&scene.names, "k", &right, LEASE)).unwrap());
    assert!(!fill(&scene, right, "2", &[]));
    assert_eq!(scene.get("k").as_deref(), Some("1"));
}

#[test]
fn whatever_is_written_in_between_wins() {
    let scene = Scene::new();
    let names = &scene.names;
    let tags = list(&["t"]);
    let writes: [(Write, Option<&str>); 9] = [
        (|s| s.set("k", "7", None, &[]), Some("7")),
        (|s| s.set("k", "7", None, &list(&["u"])), Some("7")),
        (
            |s| drop(done(s.client.set_many(&s.names, vec![("k".into(), b"7".into())], None))),
            Some("7"),
        ),
        (
            |s| {
                done(s.client.incr(&s.names, "k", 7, None, "incr")).unwrap();
            },
            Some("7"),
        ),
        (
            |s| {
                done(s.client.delete(&s.names, "k")).unwrap();
            },
            None,
        ),
        (
            |s| {
                done(s.client.delete_many(&s.names, &list(&["k"]))).unwrap();
            },
            None,
        ),
        (
            |s| {
                done(s.client.expire(&s.names, "k", Duration::ZERO)).unwrap();
            },
            None,
        ),
        (|s| done(s.client.clear(&s.names)).unwrap(), None),
        (|s| done(s.client.clear_prefix(&s.names, "k")).unwrap(), None),
    ];
    for (place, (write, expected)) in writes.into_iter().enumerate() {
        for tags in [&[][..], &tags] {
            let right = scene.compute("k", Want { tags, ..want() });
            write(&scene);
            assert!(!fill(&scene, right, "old", &[]), "{place}");
            assert_eq!(scene.get("k").as_deref(), expected, "{place}");
            done(scene.client.clear(names)).unwrap();
        }
    }
}

#[test]
fn counting_up_what_is_there_fences_too() {
    let scene = Scene::new();
    for tags in [list(&[]), list(&["t"])] {
        scene.set("k", "41", None, &tags);
        let right = scene.compute("k", Want { is_forced: true, ..want() });
        assert_eq!(done(scene.client.incr(&scene.names, "k", 1, None, "incr")).unwrap(), 42);
        assert!(!fill(&scene, right, "old", &[]));
        assert_eq!(scene.get("k").as_deref(), Some("42"));
    }
}

#[test]
fn a_new_life_for_the_old_value_fences_nothing() {
    let scene = Scene::new();
    scene.set("k", "old", None, &[]);
    let right = scene.compute("k", Want { is_forced: true, ..want() });
    assert!(done(scene.client.expire(&scene.names, "k", LEASE)).unwrap());
    assert!(fill(&scene, right, "new", &[]));
    assert_eq!(scene.get("k").as_deref(), Some("new"));
}

#[test]
fn a_stale_entry_is_found_but_does_not_keep_from_computing() {
    let scene = Scene::new();
    let (names, tags) = (&scene.names, list(&["t"]));
    let hour = Duration::from_secs(3600);
    for tags in [&[][..], &tags] {
        let life = Lifetime { ttl: Some(hour), stale: Some(hour) };
        assert!(scene.store("k", "1", life, tags));
        assert_eq!(look(&scene, &["t"]), ("stale", "1".into()));
        let right = scene.compute("k", Want { tags, ..want() });
        // Whoever comes now is not the one.
        let claim = done(scene.client.claim(names, "k", want())).unwrap();
        assert!(matches!(claim, Claim::Held(_)));
        let life = Lifetime { ttl: Some(hour), stale: Some(hour / 2) };
        let filled = done(scene.client.fill(names, "k", right, b"2".to_vec(), life, &[]));
        assert!(filled.unwrap());
        assert_eq!(look(&scene, &["t"]), ("fresh", "2".into()));
    }
}

#[test]
fn an_entry_turns_stale_and_then_ends_by_the_clock_of_the_server() {
    let scene = Scene::new();
    let life =
        Lifetime { ttl: Some(Duration::from_millis(60)), stale: Some(Duration::from_millis(30)) };
    assert!(scene.store("k", "1", life, &list(&["t"])));
    let mut seen = vec![look(&scene, &["t"]).0];
    while seen[seen.len() - 1] != "missing" {
        let now = look(&scene, &["t"]).0;
        if seen[seen.len() - 1] != now {
            seen.push(now);
        }
    }
    assert!(["fresh", "stale", "missing"].ends_with(&seen), "{seen:?}");
}

#[test]
fn a_fresh_entry_is_found_by_a_claim_and_the_right_is_given_back() {
    let scene = Scene::new();
    let names = &scene.names;
    scene.set("k", "1", None, &list(&["t", "u"]));
    // Of the tags of the entry it knows one, both, none, and another.
    for tags in [list(&["t"]), list(&["t", "u"]), list(&[]), list(&["v"])] {
        let want = Want { tags: &tags, ..want() };
        let claim = done(scene.client.claim(names, "k", want)).unwrap();
        assert!(matches!(claim, Claim::Found(_)), "{claim:?}");
        assert!(!scene.server.keys().iter().any(|key| key.contains("~t:")));
        assert!(scene.compute("k", Want { is_forced: true, ..want }).is_own());
        let claim = done(scene.client.claim(names, "k", want)).unwrap();
        assert!(matches!(claim, Claim::Found(_)), "held by another, but fresh: {claim:?}");
        scene.server.ask(&[b"DEL", &names.token("k")[..]]);
    }
    done(scene.client.invalidate_tags(names, &list(&["u"]))).unwrap();
    assert!(scene.compute("k", want()).is_own());
}

#[test]
fn an_entry_that_no_frame_begins_like_is_computed_anew() {
    let scene = Scene::new();
    scene.server.ask(&[&b"SET"[..], b"ns:k", b"\xC1\x09damaged"]);
    let found = done(scene.client.look(&scene.names, "k", &[])).unwrap();
    assert!(matches!(found, Look::Fresh(_)), "for the caller to find out what it is");
    let right = scene.compute("k", want());
    assert!(fill(&scene, right, "1", &[]));
    assert_eq!(look(&scene, &[]), ("fresh", "1".into()));
}

#[test]
fn an_invalidation_after_the_claim_refuses_the_fill_and_one_before_it_does_not() {
    let scene = Scene::new();
    let names = &scene.names;
    let tags = list(&["t", "u"]);
    for invalidated in [&["t"][..], &["u"], &["u", "t"]] {
        let claimed = Want { tags: &tags, ..want() };
        let right = scene.compute("k", claimed);
        done(scene.client.invalidate_tags(names, &list(invalidated))).unwrap();
        assert!(!done(scene.client.release(names, "k", right)).unwrap());
        let right = scene.compute("k", claimed);
        done(scene.client.invalidate_tags(names, &list(invalidated))).unwrap();
        assert!(!fill(&scene, right, "1", &[]));
        assert_eq!(look(&scene, &["t", "u"]).0, "missing");
        let right = scene.compute("k", claimed);
        assert!(fill(&scene, right, "2", &[]));
        assert_eq!(look(&scene, &["t", "u"]), ("fresh", "2".into()));
        assert_eq!(look(&scene, &[]), ("fresh", "2".into()));
        done(scene.client.invalidate_tags(names, &list(invalidated))).unwrap();
        assert_eq!(look(&scene, &[]).0, "missing");
    }
}

#[test]
fn tags_that_the_result_names_are_guarded_by_the_epoch() {
    let scene = Scene::new();
    let names = &scene.names;
    let late = Want { has_late_tags: true, ..want() };
    let right = scene.compute("k", late);
    assert!(fill(&scene, right, "1", &["t", "u"]));
    assert_eq!(look(&scene, &[]), ("fresh", "1".into()));
    assert_eq!(done(scene.client.invalidate_tags(names, &list(&["u"]))).unwrap(), 1);
    // Any invalidation in between, of a tag that nobody knew.
    let right = scene.compute("k", late);
    done(scene.client.invalidate_tags(names, &list(&["t"]))).unwrap();
    assert!(!fill(&scene, right, "old", &["t"]));
    assert_eq!(look(&scene, &[]).0, "missing");
    // The right was given back.
    let right = scene.compute("k", late);
    // Somebody else made a new epoch meanwhile.
    done(scene.client.invalidate_tags(names, &list(&["t"]))).unwrap();
    drop(scene.compute("other", late));
    assert!(!fill(&scene, right, "old", &["t"]));
    // A result without tags is guarded by the token alone.
    let right = scene.compute("k", late);
    done(scene.client.invalidate_tags(names, &list(&["t"]))).unwrap();
    assert!(fill(&scene, right, "2", &[]));
    // Without an epoch there is no late tag.
    let right = scene.compute("k", Want { is_forced: true, ..want() });
    assert!(!fill(&scene, right, "3", &["t"]));
}

#[test]
fn tags_that_were_known_before_keep_the_stamps_from_before() {
    let scene = Scene::new();
    let tags = list(&["t"]);
    let right = scene.compute("k", Want { tags: &tags, has_late_tags: true, ..want() });
    scene.server.ask(&[b"DEL", &scene.names.stamp("t")[..]]);
    assert!(!fill(&scene, right, "old", &["t", "u"]));
    assert_eq!(look(&scene, &[]).0, "missing");
}

#[test]
fn records_that_vanish_cost_a_miss_and_never_a_stale_value() {
    let scene = Scene::new();
    let names = &scene.names;
    let tags = list(&["t"]);
    let want = Want { tags: &tags, has_late_tags: true, ..want() };
    for lost in [names.token("k"), names.stamp("t"), names.epoch()] {
        let right = scene.compute("k", want);
        scene.server.ask(&[b"DEL", &lost[..]]);
        assert!(!fill(&scene, right, "1", &["u"]));
        assert_eq!(look(&scene, &["t"]).0, "missing");
        done(scene.client.clear(names)).unwrap();
    }
    let right = scene.compute("k", want);
    assert!(fill(&scene, right, "1", &["u"]));
    scene.server.ask(&[b"DEL", &names.stamp("u")[..]]);
    assert_eq!(look(&scene, &["t"]).0, "missing");
    scene.set("other", "1", None, &list(&["u"]));
    assert_eq!(look(&scene, &["t"]).0, "missing");
}

#[test]
fn tags_that_a_frame_can_not_hold_are_an_error_and_the_right_is_given_back() {
    let scene = Scene::new();
    let (names, long) = (&scene.names, "x".repeat(1 << 16));
    let error = done(scene.client.set(names, "k", b"1".to_vec(), None, &list(&[&long])));
    assert_eq!(error.unwrap_err().operation(), "set");
    let right = scene.compute("k", Want { has_late_tags: true, ..want() });
    let outcome = done(scene.client.fill(names, "k", right, b"1".to_vec(), LIFE, &list(&[""])));
    assert_eq!(outcome.unwrap_err().operation(), "fill");
    assert!(scene.compute("k", want()).is_own());
    assert!(fresh(LEASE).stale.is_none());
}
