//! `expire`, `persist`, `touch`: with tags, with a stale window, and while others write.

use std::time::Duration;

use cachine_codec::stored;
use cachine_core::store::Remaining;
use cachine_redis::client::{Lifetime, Look, Want};

use crate::scene::{Scene, done, list, want};

const HOUR: Duration = Duration::from_secs(3600);
/// An entry that is stale at once.
const STALE: Lifetime = Lifetime { ttl: Some(HOUR), stale: Some(HOUR) };

fn is_fresh(scene: &Scene) -> bool {
    match done(scene.client.look(&scene.names, "k", &[])).unwrap() {
        Look::Fresh(_) => true,
        Look::Stale(_) => false,
        Look::Missing => panic!("it is there"),
    }
}

fn expire(scene: &Scene, ttl: Duration) -> bool {
    done(scene.client.expire(&scene.names, "k", ttl)).unwrap()
}

fn persist(scene: &Scene) -> bool {
    done(scene.client.persist(&scene.names, "k")).unwrap()
}

#[test]
fn a_new_life_ends_a_stale_window() {
    let scene = Scene::new();
    for tags in [list(&[]), list(&["t", "u"])] {
        for value in ["[1]", "42", "\u{C1}", ""] {
            assert!(scene.store("k", value, STALE, &tags));
            assert!(!is_fresh(&scene));
            assert!(expire(&scene, HOUR / 2));
            assert!(is_fresh(&scene));
            assert!((1_700_000..=1_800_000).contains(&scene.pttl(b"ns:k")));
            let found = done(scene.client.get(&scene.names, "k")).unwrap().unwrap();
            assert_eq!(stored::meta(&found).unwrap().stale_window, None);
            assert_eq!(stored::meta(&found).unwrap().stamps.len(), tags.len());
            assert_eq!(found.first() == Some(&0xC1), !tags.is_empty());
            assert_eq!(scene.get("k").as_deref(), Some(value));

            assert!(scene.store("k", value, STALE, &tags));
            assert!(done(scene.client.touch(&scene.names, "k", None)).unwrap());
            assert!(!is_fresh(&scene), "a use alone is no new life");
            assert!(done(scene.client.touch(&scene.names, "k", Some(HOUR))).unwrap());
            assert!(is_fresh(&scene));

            assert!(scene.store("k", value, STALE, &tags));
            assert!(persist(&scene));
            assert!(is_fresh(&scene));
            assert_eq!(scene.pttl(b"ns:k"), -1);
            assert!(!persist(&scene), "it has no end");
            assert_eq!(scene.get("k").as_deref(), Some(value));
        }
    }
}

#[test]
fn a_compressed_or_encrypted_entry_keeps_its_body_under_a_new_life() {
    let scene = Scene::new();
    let coded = b"\xC1\x01\x04\x10\xC1body".to_vec();
    let life = STALE;
    for tags in [list(&[]), list(&["t"])] {
        let fill = scene.compute("k", Want { tags: &tags, is_forced: true, ..want() });
        assert!(
            done(scene.client.fill(&scene.names, "k", fill, coded.clone(), life, &[])).unwrap()
        );
        assert!(expire(&scene, HOUR));
        let found = done(scene.client.get(&scene.names, "k")).unwrap().unwrap();
        let bare = stored::with_meta(&found, &stored::Meta::default()).unwrap();
        assert_eq!(bare, coded);
        assert_eq!(stored::meta(&found).unwrap().stale_window, None);
    }
}

#[test]
fn what_is_missing_or_invalid_has_no_life_to_change() {
    let scene = Scene::new();
    let names = &scene.names;
    for is_dead in [false, true] {
        if is_dead {
            scene.set("k", "1", Some(HOUR), &list(&["t"]));
            scene.server.ask(&[b"DEL", &names.stamp("t")[..]]);
            scene.server.ask(&[b"DEL", &names.index("t")[..]]);
        }
        assert!(!expire(&scene, HOUR));
        assert!(!expire(&scene, Duration::ZERO));
        if is_dead {
            scene.set("k", "1", Some(HOUR), &list(&["t"]));
            scene.server.ask(&[b"DEL", &names.stamp("t")[..]]);
            scene.server.ask(&[b"DEL", &names.index("t")[..]]);
        }
        assert!(!persist(&scene));
        assert!(!done(scene.client.touch(names, "k", None)).unwrap());
        assert!(!done(scene.client.touch(names, "k", Some(HOUR))).unwrap());
        assert!(!done(scene.exists(names, "k")).unwrap());
        assert!(!done(scene.client.add_tags(names, "k", &list(&["u"]))).unwrap());
        assert_eq!(done(scene.remaining(names, "k")).unwrap(), Remaining::Missing);
        assert!(!scene.server.keys().iter().any(|key| key.contains(":~cachine~")));
    }
}

#[test]
fn the_records_of_a_tag_live_as_long_as_its_longest_entry() {
    let scene = Scene::new();
    let (stamp, index) = (scene.names.stamp("t"), scene.names.index("t"));
    let lives = || [scene.pttl(&stamp), scene.pttl(&index)];
    let is_about = |ttl: Duration| {
        let least = i64::try_from(ttl.as_millis()).unwrap();
        lives().iter().all(|&life| life >= least && life <= least + 20_000)
    };
    scene.set("k", "1", Some(HOUR), &list(&["t"]));
    assert!(is_about(HOUR), "{:?}", lives());
    scene.set("short", "1", Some(HOUR / 60), &list(&["t"]));
    assert!(is_about(HOUR), "{:?}", lives());
    assert!(expire(&scene, HOUR * 5));
    assert!(is_about(HOUR * 5), "{:?}", lives());
    assert!(expire(&scene, HOUR));
    assert!(is_about(HOUR * 5), "{:?}", lives());
    assert!(persist(&scene));
    assert_eq!(lives(), [-1, -1]);
    scene.set("k", "1", Some(HOUR), &list(&["t"]));
    assert_eq!(lives(), [-1, -1]);
    assert_eq!(done(scene.client.invalidate_tags(&scene.names, &list(&["t"]))).unwrap(), 2);
    assert!(scene.server.keys().is_empty());
}

#[test]
fn an_entry_that_changes_under_way_gets_the_new_life_as_it_is_then() {
    let scene = Scene::new();
    // The server knows the scripts, so the trips are: the head, the indexes, the change.
    assert!(scene.store("k", "old", STALE, &list(&["t"])));
    assert!(expire(&scene, HOUR));
    for trip in [2, 3] {
        for tags in [list(&[]), list(&["u"])] {
            assert!(scene.store("k", "old", STALE, &list(&["t"])));
            let (other, names) = (scene.other(), scene.names.clone());
            let copy = tags.clone();
            scene.client.link().before(move |now| {
                if now == trip {
                    let (value, minute) = (b"a new value".to_vec(), Some(HOUR / 60));
                    done(other.set(&names, "k", value, minute, &copy)).unwrap();
                }
            });
            assert!(expire(&scene, HOUR / 2));
            scene.client.link().undisturbed();
            assert_eq!(scene.get("k").as_deref(), Some("a new value"));
            assert!((1_700_000..=1_800_000).contains(&scene.pttl(b"ns:k")));
            for tag in &tags {
                assert!(scene.pttl(&scene.names.stamp(tag)) > 1_700_000);
                assert!(scene.pttl(&scene.names.index(tag)) > 1_700_000);
            }
        }
    }
}

#[test]
fn an_entry_that_is_invalidated_under_way_gets_no_new_life() {
    let scene = Scene::new();
    for trip in [2, 3] {
        scene.set("k", "old", Some(HOUR), &list(&["t"]));
        let (other, names) = (scene.other(), scene.names.clone());
        scene.client.link().before(move |now| {
            if now == trip {
                done(other.invalidate_tags(&names, &["t".to_owned()])).unwrap();
            }
        });
        assert!(!expire(&scene, HOUR / 2));
        scene.client.link().undisturbed();
        assert_eq!(scene.get("k"), None);
    }
}
