//! Tags: who has them, what an invalidation removes and counts, and what is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use cachine_redis::client::Want;
use redis::Value;

use crate::scene::{Scene, done, fresh, list, until, want};

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

fn invalidate(scene: &Scene, tags: &[&str]) -> u64 {
    done(scene.client.invalidate_tags(&scene.names, &list(tags))).unwrap()
}

fn add(scene: &Scene, key: &str, tags: &[&str]) -> bool {
    done(scene.client.add_tags(&scene.names, key, &list(tags))).unwrap()
}

#[test]
fn an_invalidation_removes_what_has_one_of_the_tags_and_counts_each_once() {
    let scene = Scene::new();
    for (key, tags) in
        [("a", &["t"][..]), ("b", &["t", "u"]), ("c", &["u"]), ("d", &["v"]), ("e", &[])]
    {
        scene.set(key, "1", HOUR, &list(tags));
    }
    assert_eq!(invalidate(&scene, &["t", "u", "t", "none"]), 3);
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(|key| scene.get(key).is_some()),
        [false, false, false, true, true]
    );
    assert_eq!(invalidate(&scene, &["t", "u"]), 0);
    assert_eq!(invalidate(&scene, &["v"]), 1);
    assert_eq!(invalidate(&scene, &[]), 0);
    assert_eq!(scene.server.keys(), ["ns:e"]);
}

#[test]
fn what_was_dead_already_is_freed_and_not_counted() {
    let scene = Scene::new();
    scene.set("other", "1", HOUR, &list(&["t", "u"]));
    scene.set("same", "1", HOUR, &list(&["t"]));
    scene.set("deleted", "1", HOUR, &list(&["t"]));
    scene.set("untagged", "1", HOUR, &list(&["t"]));
    scene.server.ask(&[b"DEL", &scene.names.stamp("u")[..]]);
    scene.set("new", "1", HOUR, &list(&["u"]));
    assert!(done(scene.delete(&scene.names, "deleted")).unwrap());
    scene.set("untagged", "2", HOUR, &[]);
    assert_eq!(invalidate(&scene, &["t"]), 1);
    assert_eq!(scene.get("untagged").as_deref(), Some("2"));
    assert!(!scene.server.keys().contains(&"ns:other".to_owned()));
    assert_eq!(invalidate(&scene, &["u"]), 1);
    assert_eq!(scene.server.keys(), ["ns:untagged"]);
}

#[test]
fn every_value_that_set_stores_has_its_tags_and_no_others() {
    let scene = Scene::new();
    scene.set("k", "1", HOUR, &list(&["t"]));
    scene.set("k", "2", HOUR, &list(&["u", "u"]));
    assert_eq!(invalidate(&scene, &["t"]), 0);
    assert_eq!(scene.get("k").as_deref(), Some("2"));
    assert_eq!(invalidate(&scene, &["u"]), 1);
    assert_eq!(scene.get("k"), None);
}

#[test]
fn tags_are_added_to_what_is_there_and_keep_its_life() {
    let scene = Scene::new();
    assert!(!add(&scene, "k", &["t"]));
    assert!(scene.server.keys().is_empty(), "nothing is made for what is missing");
    for value in ["[1]", "42", ""] {
        scene.set("k", value, HOUR, &[]);
        assert!(add(&scene, "k", &["t", "t"]));
        assert!(add(&scene, "k", &["u", "t"]));
        assert!(add(&scene, "k", &[]));
        assert_eq!(scene.get("k").as_deref(), Some(value));
        assert!((3_500_000..=3_600_000).contains(&scene.pttl(b"ns:k")));
        assert_eq!(invalidate(&scene, &["u"]), 1);
        assert_eq!(scene.get("k"), None);
        assert_eq!(invalidate(&scene, &["t"]), 0);
        assert!(scene.server.keys().is_empty());
    }
    scene.set("k", "1", None, &[]);
    assert!(add(&scene, "k", &["t"]));
    assert_eq!(scene.pttl(&scene.names.stamp("t")), -1);
    assert_eq!(scene.pttl(&scene.names.index("t")), -1);
}

#[test]
fn an_entry_that_lives_longer_by_then_is_filed_for_its_new_life() {
    let scene = Scene::new();
    scene.set("k", "1", HOUR, &[]);
    let (other, names) = (scene.other(), scene.names.clone());
    let day = Duration::from_secs(86_400);
    scene.client.link().before(move |trip| {
        if trip == 3 {
            assert!(done(other.expire(&names, "k", day)).unwrap());
        }
    });
    assert!(add(&scene, "k", &["t"]));
    scene.client.link().undisturbed();
    assert!(scene.pttl(b"ns:k") > 86_000_000);
    assert!(scene.pttl(&scene.names.index("t")) > 86_400_000);
    assert!(scene.pttl(&scene.names.stamp("t")) > 86_400_000);
}

#[test]
fn an_entry_may_have_more_tags_than_a_look_at_it_shows() {
    let scene = Scene::new();
    let names = &scene.names;
    let many: Vec<String> = (0..1100).map(|number| format!("tag number {number}")).collect();
    scene.set("k", "1", HOUR, &many);
    assert!(scene.get("k").is_some());
    assert!(done(scene.exists(names, "k")).unwrap());
    assert!(done(scene.client.expire(names, "k", Duration::from_secs(60))).unwrap());
    assert!(add(&scene, "k", &["one more"]));
    assert_eq!(done(scene.client.incr(names, "k", 1, None, "incr")).unwrap(), 2);
    assert_eq!(invalidate(&scene, &["tag number 999"]), 1);
    scene.set("k", "1", HOUR, &many);
    assert!(done(scene.delete(names, "k")).unwrap());
    scene.set("k", "1", HOUR, &many);
    let all = done(scene.client.invalidate_tags(names, &many)).unwrap();
    assert_eq!(all, 1);
    // Only the tag that was added on the way has a record.
    assert!(scene.server.keys().iter().all(|key| key.ends_with("}:one more")));
}

#[test]
fn tags_and_keys_may_be_any_text() {
    let scene = Scene::new();
    let odd = ["", "{", "}", "{}", "a:~cachine~b", "\0", "*", "тег", "x\r\n"];
    for tag in &odd[1..] {
        for key in &odd[1..] {
            scene.set(key, "1", HOUR, &list(&[tag]));
        }
        assert_eq!(invalidate(&scene, &[tag]), 8, "{tag:?}");
        assert!(scene.server.keys().is_empty());
    }
}

#[test]
fn the_tags_of_two_namespaces_are_two() {
    let scene = Scene::new();
    let inner = crate::scene::names("ns:inner");
    scene.set("inner:k", "1", HOUR, &list(&["t"]));
    assert_eq!(done(scene.client.get(&inner, "k")).unwrap(), None, "a miss, as it is documented");
    done(scene.client.set(&inner, "j", b"1".to_vec(), HOUR, &list(&["t"]))).unwrap();
    assert_eq!(invalidate(&scene, &["t"]), 1);
    assert!(done(scene.client.get(&inner, "j")).unwrap().is_some());
}

#[test]
fn an_invalidation_of_many_entries_takes_small_steps_and_is_exact() {
    const COUNT: usize = 20_000;
    let scene = Scene::new();
    for number in 0..COUNT / 100 {
        let other = format!("u{}", number % 7);
        for key in 0..100 {
            scene.set(&format!("k{number}:{key}"), "1", HOUR, &list(&["t", &other]));
        }
    }
    scene.client.link().trips();
    assert_eq!(invalidate(&scene, &["t"]), COUNT as u64);
    // Of 500 each: a page, the entries, and their other tags; before and after them one more.
    assert!((3 * COUNT / 500..=3 * COUNT / 500 + 3).contains(&scene.client.link().trips()));
    assert!(scene.client.link().largest() <= 500, "{}", scene.client.link().largest());
    for number in 0..7 {
        assert_eq!(invalidate(&scene, &[&format!("u{number}")]), 0);
    }
    assert!(scene.server.keys().is_empty());
}

#[test]
fn what_is_stored_while_an_invalidation_counts_is_left_alone() {
    let scene = Scene::new();
    for number in 0..700 {
        scene.set(&format!("k{number}"), "old", HOUR, &list(&["t"]));
    }
    let (other, names) = (scene.other(), scene.names.clone());
    let stored = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&stored);
    // They end earlier, so they stand before the old ones in the index.
    let sooner = HOUR.map(|hour| hour / 2);
    scene.client.link().before(move |trip| {
        if trip > 1 {
            for _ in 0..100 {
                let key = format!("k{}", count.fetch_add(1, Ordering::Relaxed));
                let value = b"new".to_vec();
                done(other.set(&names, &key, value, sooner, &["t".to_owned()])).unwrap();
            }
        }
    });
    let counted = invalidate(&scene, &["t"]);
    scene.client.link().undisturbed();
    let left: Vec<Option<String>> =
        (0..700).map(|number| scene.get(&format!("k{number}"))).collect();
    let new = left.iter().filter(|found| found.as_deref() == Some("new")).count() as u64;
    assert_eq!(new, left.iter().flatten().count() as u64, "nothing old is left");
    assert!(new >= 300);
    assert_eq!(new, stored.load(Ordering::Relaxed), "and nothing new is missing");
    assert!(counted <= 700);
    assert_eq!(invalidate(&scene, &["t"]), new, "and all of it is in the index");
    assert!(scene.server.keys().is_empty());
}

#[test]
fn two_invalidations_at_once_never_count_an_entry_twice() {
    let scene = Scene::new();
    let (one, other) = (scene.other(), scene.other());
    for _ in 0..20 {
        for number in 0..100 {
            scene.set(&format!("k{number}"), "1", HOUR, &list(&["t", "u"]));
        }
        let names = &scene.names;
        let counted: u64 = thread::scope(|scope| {
            let first = scope.spawn(|| done(one.invalidate_tags(names, &list(&["t"]))).unwrap());
            let second = scope.spawn(|| done(other.invalidate_tags(names, &list(&["u"]))).unwrap());
            first.join().unwrap() + second.join().unwrap()
        });
        assert!(counted <= 100, "{counted}");
        assert!((0..100).all(|number| scene.get(&format!("k{number}")).is_none()));
        invalidate(&scene, &["t", "u"]);
        assert!(scene.server.keys().is_empty());
    }
}

#[test]
fn nothing_is_left_when_what_had_tags_has_ended() {
    // The margin is twice the timeout.
    let scene = Scene::with_timeout(Duration::from_millis(25));
    let (names, short) = (&scene.names, Duration::from_millis(30));
    scene.set("set", "1", Some(short), &list(&["a", "b"]));
    // What a claim makes lives as long as its lease at least.
    let tags = list(&["b", "c"]);
    let want = Want { tags: &tags, lease: short, ..want() };
    let right = scene.compute("filled", want);
    let life = fresh(short);
    done(scene.client.fill(names, "filled", right, b"1".to_vec(), life, &[])).unwrap();
    scene.set("added", "1", Some(short), &[]);
    add(&scene, "added", &["d"]);
    scene.set("longer", "1", Some(short), &list(&["e"]));
    let _ = done(scene.client.expire(names, "longer", short * 2)).unwrap();
    // An abandoned claim.
    let tags = list(&["f"]);
    let want = Want { tags: &tags, has_late_tags: true, ..want };
    drop(scene.compute("k", want));
    scene.set("k", "1", Some(short), &list(&["g"]));
    invalidate(&scene, &["g"]);
    until(|| scene.server.number(&["DBSIZE"]) == 0);
}

#[test]
fn an_index_forgets_what_has_ended_a_few_at_a_time() {
    let scene = Scene::with_timeout(Duration::from_millis(5));
    let index = scene.names.index("t");
    let card = || scene.server.number(&[b"ZCARD", &index[..]]);
    scene.set("long", "1", None, &list(&["t"]));
    for number in 0..100 {
        scene.set(&format!("k{number}"), "1", Some(Duration::from_millis(1)), &list(&["t"]));
    }
    // Each call takes up to 16 away and adds one that stays.
    let mut live = 1;
    while card() > live {
        let before = card();
        scene.set(&format!("live{live}"), "1", None, &list(&["t"]));
        live += 1;
        assert!(card() > before - 16, "a bounded number at a time");
        assert!(live < 1000, "it shrinks");
    }
    assert_eq!(invalidate(&scene, &["t"]), u64::try_from(live).unwrap());
}

#[test]
fn a_missing_index_costs_a_count_and_nothing_else() {
    let scene = Scene::new();
    scene.set("k", "1", HOUR, &list(&["t"]));
    scene.server.ask(&[b"DEL", &scene.names.index("t")[..]]);
    assert_eq!(invalidate(&scene, &["t"]), 0);
    assert_eq!(scene.get("k"), None);
    assert_eq!(scene.server.ask(&["EXISTS", "ns:k"]), Value::Int(1));
}
