//! Clearing: this namespace and those inside it, and nothing beside it.

use std::time::Duration;

use cachine_redis::client::{Claim, Fill, Want};

use crate::scene::{Scene, done, fresh, list, names, want};

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

#[test]
fn a_namespace_is_cleared_with_its_children_and_its_neighbours_are_not() {
    let scene = Scene::new();
    for odd in ["a*b[c]?\\", "*", "a", "a:b", "{a", "{}", "a[b-d]", "\\", "^x$"] {
        let (own, child) = (names(odd), names(&format!("{odd}:child")));
        let neighbours =
            ["a*b[c]?", "axb[c]?\\", "aXXbcx\\", "ab", "aa", "b", "", "{a}", "a[c]", "xa", "\\\\"];
        let neighbours: Vec<_> = neighbours.iter().filter(|name| **name != odd).collect();
        for names in [&own, &child] {
            done(scene.client.set(names, "k:*", b"1".to_vec(), HOUR, &list(&["t*", "u"]))).unwrap();
            done(scene.client.set(names, "[x]", b"1".to_vec(), HOUR, &[])).unwrap();
            let tags = list(&["v"]);
            let want = Want { tags: &tags, has_late_tags: true, ..want() };
            drop(done(scene.client.claim(names, "c", want)).unwrap());
        }
        let before = scene.server.keys().len();
        for name in &neighbours {
            let names = names(name);
            done(scene.client.set(&names, "k", b"1".to_vec(), HOUR, &list(&["t"]))).unwrap();
            drop(done(scene.client.claim(&names, "c", want())).unwrap());
        }
        assert!(before >= 14);
        done(scene.client.clear(&own)).unwrap();
        for name in neighbours {
            let names = names(name);
            assert!(done(scene.client.get(&names, "k")).unwrap().is_some(), "{odd} took {name}");
            assert!(
                done(scene.client.claim(&names, "c", want()))
                    .is_ok_and(|claim| { matches!(claim, Claim::Held(_)) })
            );
        }
        let left = scene.server.keys();
        assert!(left.iter().all(|key| !key.starts_with(&format!("{odd}:"))), "{left:?}");
        scene.server.ask(&["FLUSHALL"]);
    }
}

#[test]
fn without_a_namespace_everything_goes() {
    let scene = Scene::new();
    scene.set("k", "1", None, &list(&["t"]));
    scene.server.ask(&["RPUSH", "foreign", "1"]);
    scene.server.ask(&["SET", "a~cachine~b", "1"]);
    scene.server.ask(&["SET", "~cachine~s:", "1"]);
    done(scene.client.clear(&names(""))).unwrap();
    assert!(scene.server.keys().is_empty());
}

#[test]
fn many_keys_are_cleared_in_batches() {
    let scene = Scene::new();
    let entries = (0..12_345).map(|number| (format!("k{number}"), vec![b'x'])).collect();
    done(scene.client.set_many(&scene.names, entries, None)).unwrap();
    done(scene.client.set(&names("other"), "k", vec![1], None, &[])).unwrap();
    done(scene.client.clear(&scene.names)).unwrap();
    assert_eq!(scene.server.keys(), ["other:k"]);
}

#[test]
fn a_prefix_takes_its_entries_and_their_tokens_and_nothing_else() {
    let scene = Scene::new();
    for namespace in ["ns", "", "{a", "{}", "x{y}"] {
        let names = names(namespace);
        for key in ["f*(1)", "f*(2)", "fx(1)", "f", "~", "g"] {
            done(scene.client.set(&names, key, b"1".to_vec(), HOUR, &list(&["t"]))).unwrap();
        }
        let right = scene.client.claim(&names, "f*(3)", want());
        let other = scene.client.claim(&names, "fx(3)", want());
        let (right, other) = (done(right).unwrap(), done(other).unwrap());
        done(scene.client.clear_prefix(&names, "f*")).unwrap();
        let is_there = |key| done(scene.client.get(&names, key)).unwrap().is_some();
        assert_eq!(
            ["f*(1)", "f*(2)", "fx(1)", "f", "~", "g"].map(is_there),
            [false, false, true, true, true, true]
        );
        let life = fresh(Duration::from_secs(60));
        for (claim, key, expected) in [(right, "f*(3)", false), (other, "fx(3)", true)] {
            let Claim::Compute(fill) = claim else { panic!("{claim:?}") };
            let fill = scene.client.fill(&names, key, fill, b"1".to_vec(), life, &[]);
            assert_eq!(done(fill).unwrap(), expected, "{namespace:?} {key}");
        }
        // The tag is as it was, and "~" is no way to the records.
        done(scene.client.clear_prefix(&names, "~")).unwrap();
        assert!(!is_there("~"));
        assert_eq!(done(scene.client.invalidate_tags(&names, &list(&["t"]))).unwrap(), 3);
        scene.server.ask(&["FLUSHALL"]);
    }
}

#[test]
fn an_entry_that_is_stored_during_a_clear_is_counted_afterwards_if_it_stands() {
    let scene = Scene::new();
    for step in 1..=4 {
        for number in 0..10 {
            scene.set(&format!("k{number}"), "1", HOUR, &list(&["t"]));
        }
        let (other, names) = (scene.other(), scene.names.clone());
        scene.client.link().before(move |trip| {
            if trip == step {
                done(other.set(&names, "k", b"1".to_vec(), HOUR, &["t".to_owned()])).unwrap();
            }
        });
        done(scene.client.clear(&scene.names)).unwrap();
        scene.client.link().undisturbed();
        let stands = u64::from(scene.get("k").is_some());
        let counted = done(scene.client.invalidate_tags(&scene.names, &list(&["t"]))).unwrap();
        assert_eq!(counted, stands, "step {step}");
        done(scene.client.clear(&scene.names)).unwrap();
        assert!(scene.server.keys().is_empty());
    }
}

/// A namespace whose scan takes several pages, with 40 rights to store and an entry for each of 40 tags.
fn crowd(scene: &Scene) -> Vec<(String, Fill)> {
    let entries = (0..5000).map(|number| (format!("x{number}"), vec![b'x'])).collect();
    done(scene.client.set_many(&scene.names, entries, None)).unwrap();
    (0..40)
        .map(|number| {
            scene.set(&format!("tagged{number}"), "1", HOUR, &list(&[&format!("t{number}")]));
            let key = format!("filled{number}");
            let right = scene.compute(&key, want());
            (key, right)
        })
        .collect()
}

#[test]
fn no_fill_that_began_before_a_clear_stands_after_it() {
    let scene = Scene::new();
    for step in 1..=12 {
        let rights = crowd(&scene);
        let keys: Vec<String> = rights.iter().map(|(key, _)| key.clone()).collect();
        let (other, names) = (scene.other(), scene.names.clone());
        scene.client.link().before(move |trip| {
            if trip == step {
                for (key, right) in &rights {
                    let (right, life) = (right.clone(), fresh(Duration::from_secs(600)));
                    done(other.fill(&names, key, right, b"old".to_vec(), life, &[])).unwrap();
                }
            }
        });
        done(scene.client.clear(&scene.names)).unwrap();
        scene.client.link().undisturbed();
        let found = done(scene.client.get_many(&scene.names, &keys)).unwrap();
        assert!(found.iter().all(Option::is_none), "step {step}");
    }
}

#[test]
fn what_is_stored_between_two_pages_of_a_clear_is_in_its_index_or_gone() {
    let scene = Scene::new();
    for step in 1..=16 {
        drop(crowd(&scene));
        let (other, names) = (scene.other(), scene.names.clone());
        scene.client.link().before(move |trip| {
            if trip == step {
                for number in 0..40 {
                    let (key, tag) = (format!("new{number}"), format!("t{number}"));
                    done(other.set(&names, &key, b"1".to_vec(), HOUR, &[tag])).unwrap();
                }
            }
        });
        done(scene.client.clear(&scene.names)).unwrap();
        scene.client.link().undisturbed();
        for number in 0..40 {
            let stands = u64::from(scene.get(&format!("new{number}")).is_some());
            let tag = list(&[&format!("t{number}")]);
            let counted = done(scene.client.invalidate_tags(&scene.names, &tag)).unwrap();
            assert_eq!(counted, stands, "step {step}, tag {number}");
        }
        scene.server.ask(&["FLUSHALL"]);
    }
}
