//! Storing, reading and deleting, one key and many.

use std::time::Duration;

use cachine_core::error::ErrorKind;
use cachine_core::store::Remaining;
use cachine_redis::client::Want;
use redis::Value;

use crate::scene::{Scene, done, fresh, list, until, want};

const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

#[test]
fn what_is_stored_stands_under_the_physical_key_as_it_is() {
    let scene = Scene::new();
    scene.set("k", "[1]", None, &[]);
    assert_eq!(scene.server.ask(&["GET", "ns:k"]), Value::BulkString(b"[1]".to_vec()));
    assert_eq!(scene.server.keys(), ["ns:k"]);
    assert_eq!(scene.get("k").as_deref(), Some("[1]"));
    assert_eq!(done(scene.remaining(&scene.names, "k")).unwrap(), Remaining::Forever);
    assert!(done(scene.exists(&scene.names, "k")).unwrap());
    assert!(done(scene.delete(&scene.names, "k")).unwrap());
    assert!(!done(scene.delete(&scene.names, "k")).unwrap());
    assert!(!done(scene.exists(&scene.names, "k")).unwrap());
    assert_eq!(scene.get("k"), None);
    assert_eq!(done(scene.remaining(&scene.names, "k")).unwrap(), Remaining::Missing);
    assert!(scene.server.keys().is_empty());
}

#[test]
fn bytes_come_back_as_they_were_whatever_they_are() {
    let scene = Scene::new();
    let long = vec![b'x'; 3 << 20];
    for bytes in [&b""[..], b"\r\n", b"\xC1\x01\x04\x60\xC1", b"\xC1", b"\xC1\x02?", &long] {
        done(scene.client.set(&scene.names, "k{}", bytes.to_vec(), HOUR, &[])).unwrap();
        assert_eq!(done(scene.client.get(&scene.names, "k{}")).unwrap().as_deref(), Some(bytes));
        assert!(done(scene.exists(&scene.names, "k{}")).unwrap());
        assert!(done(scene.client.expire(&scene.names, "k{}", Duration::from_secs(5))).unwrap());
        assert!(done(scene.client.persist(&scene.names, "k{}")).unwrap());
        assert_eq!(done(scene.client.get(&scene.names, "k{}")).unwrap().as_deref(), Some(bytes));
        assert!(done(scene.delete(&scene.names, "k{}")).unwrap());
    }
}

#[test]
fn a_life_is_kept_in_milliseconds_and_a_huge_one_is_500_years() {
    let scene = Scene::new();
    let names = &scene.names;
    scene.set("k", "1", Some(Duration::from_micros(90_000_400)), &[]);
    assert!((60_000..=90_000).contains(&scene.pttl(b"ns:k")));
    for huge in [Duration::MAX, Duration::from_secs(1 << 60), Duration::from_millis(1 << 62)] {
        scene.set("k", "1", Some(huge), &[]);
        let longest = 500 * 365 * 24 * 3600 * 1000;
        assert!((longest - 60_000..=longest).contains(&scene.pttl(b"ns:k")));
        assert!(done(scene.client.expire(names, "k", huge)).unwrap());
        let Remaining::Nanoseconds(left) = done(scene.remaining(names, "k")).unwrap() else {
            panic!("it has an end")
        };
        assert!(left > 499 * 365 * 24 * 3600 * 1_000_000_000);
        scene.set("tagged", "1", Some(huge), &list(&["t"]));
        assert!(scene.get("tagged").is_some());
        assert_eq!(done(scene.client.incr(names, "new", 1, Some(huge), "incr")).unwrap(), 1);
        assert!(done(scene.delete(names, "new")).unwrap());
        assert!(scene.store("filled", "1", fresh(huge), &list(&["t"])));
    }
    scene.set("short", "1", Some(Duration::from_nanos(1)), &[]);
    until(|| scene.get("short").is_none());
}

#[test]
fn a_life_of_nothing_deletes() {
    let scene = Scene::new();
    let (names, none) = (&scene.names, Some(Duration::ZERO));
    scene.set("k", "1", None, &[]);
    let fill = scene.compute("k", Want { is_forced: true, ..want() });
    scene.set("k", "2", none, &list(&["t"]));
    assert_eq!(scene.server.keys(), [""; 0]);
    let life = fresh(Duration::from_secs(9));
    assert!(!done(scene.client.fill(names, "k", fill, b"0".to_vec(), life, &[])).unwrap());
    scene.set("k", "1", None, &[]);
    assert!(done(scene.client.expire(names, "k", Duration::ZERO)).unwrap());
    assert!(!done(scene.client.expire(names, "k", Duration::ZERO)).unwrap());
    scene.set("k", "1", None, &[]);
    assert!(done(scene.client.touch(names, "k", none)).unwrap());
    scene.set("k", "1", None, &[]);
    done(scene.client.set_many(names, vec![("k".into(), vec![1])], none)).unwrap();
    assert_eq!(done(scene.client.incr(names, "k", 5, none, "incr")).unwrap(), 5);
    assert_eq!(scene.server.keys(), [""; 0]);
}

#[test]
fn many_are_stored_read_and_deleted_in_batches() {
    let scene = Scene::new();
    let names = &scene.names;
    let keys: Vec<String> = (0..1234).map(|number| format!("k{number}")).collect();
    let entries = keys.iter().map(|key| (key.clone(), key.clone().into_bytes())).collect();
    done(scene.client.set_many(names, entries, HOUR)).unwrap();
    assert_eq!(scene.client.link().trips(), 3);
    assert!(scene.pttl(b"ns:k7") > 3_000_000);
    let mut asked = keys.clone();
    asked.insert(3, "none".to_owned());
    let found = done(scene.client.get_many(names, &asked)).unwrap();
    assert_eq!(scene.client.link().trips(), 3);
    for (key, found) in asked.iter().zip(found) {
        assert_eq!(found, (key != "none").then(|| key.clone().into_bytes()));
    }
    assert_eq!(done(scene.client.delete_many(names, &asked)).unwrap(), 1234);
    assert_eq!(done(scene.client.delete_many(names, &asked)).unwrap(), 0);
    assert!(scene.server.keys().is_empty());
    assert!(done(scene.client.get_many(names, &[])).unwrap().is_empty());
    done(scene.client.set_many(names, Vec::new(), None)).unwrap();
}

#[test]
fn many_large_values_do_not_go_in_one_transaction() {
    let scene = Scene::new();
    let entries = (0..10).map(|number| (format!("k{number}"), vec![b'x'; 600_000])).collect();
    done(scene.client.set_many(&scene.names, entries, None)).unwrap();
    assert_eq!(scene.client.link().trips(), 5);
    assert_eq!(scene.server.keys().len(), 10);
}

#[test]
fn many_with_tags_are_read_and_counted_by_their_stamps() {
    let scene = Scene::new();
    let names = &scene.names;
    for number in 0..600 {
        let tag = if number % 2 == 0 { "even" } else { "odd" };
        scene.set(&format!("k{number}"), "1", HOUR, &list(&[tag, "all"]));
    }
    // Still there, but dead.
    scene.server.ask(&[b"DEL", &names.stamp("even")[..]]);
    let keys: Vec<String> = (0..600).map(|number| format!("k{number}")).collect();
    let found = done(scene.client.get_many(names, &keys)).unwrap();
    assert!(found.iter().enumerate().all(|(number, found)| found.is_some() == (number % 2 == 1)));
    assert_eq!(done(scene.client.delete_many(names, &keys)).unwrap(), 300);
}

#[test]
fn what_another_program_keeps_there_is_an_error_and_can_be_deleted() {
    let scene = Scene::new();
    let names = &scene.names;
    scene.server.ask(&["RPUSH", "ns:k", "1"]);
    let long = Duration::from_secs(99);
    let errors = [
        done(scene.client.get(names, "k")).unwrap_err(),
        done(scene.client.look(names, "k", &[])).unwrap_err(),
        done(scene.client.claim(names, "k", want())).unwrap_err(),
        done(scene.client.incr(names, "k", 1, None, "incr")).unwrap_err(),
        done(scene.client.add_tags(names, "k", &list(&["t"]))).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Response, "{error}");
        assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    }
    // One of many: the server gives nothing for it.
    assert_eq!(done(scene.client.get_many(names, &list(&["k"]))).unwrap(), [None]);
    assert!(done(scene.exists(names, "k")).unwrap());
    assert_eq!(done(scene.remaining(names, "k")).unwrap(), Remaining::Forever);
    assert!(done(scene.client.expire(names, "k", long)).unwrap());
    assert!(done(scene.client.persist(names, "k")).unwrap());
    assert!(done(scene.client.touch(names, "k", None)).unwrap());
    assert!(done(scene.client.touch(names, "k", Some(long))).unwrap());
    // The claim gave its token back.
    assert!(!scene.server.keys().iter().any(|key| key.contains("~t:")));
    assert!(done(scene.delete(names, "k")).unwrap());
    scene.server.ask(&["RPUSH", "ns:k", "1"]);
    scene.set("k", "mine", None, &[]);
    assert_eq!(scene.get("k").as_deref(), Some("mine"));
}

#[test]
fn a_server_without_memory_refuses_and_the_right_is_given_back() {
    let scene = Scene::new();
    let names = &scene.names;
    scene.set("k", "1", None, &[]);
    let fill = scene.compute("f", want());
    scene.server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let stored = b"1".to_vec();
    let error = done(scene.client.set(names, "n", stored.clone(), None, &[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
    assert!(error.to_string().contains("maxmemory"), "{error}");
    let life = fresh(Duration::from_secs(9));
    let error = done(scene.client.fill(names, "f", fill, stored, life, &[])).unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    assert_eq!(scene.server.keys(), ["ns:k"]);
    assert!(done(scene.delete(names, "k")).unwrap());
}
