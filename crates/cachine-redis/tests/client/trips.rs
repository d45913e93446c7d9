//! How many times each operation crosses the network.

use std::time::Duration;

use cachine_redis::client::{Lifetime, Want};

use crate::scene::{Scene, done, list, want};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn what_has_no_tags_takes_one_trip() {
    let scene = Scene::new();
    let (client, names) = (&scene.client, &scene.names);
    let keys = list(&["a", "b"]);
    let stale = Lifetime { ttl: Some(HOUR), stale: Some(HOUR) };
    scene.set("k", "1", None, &[]);
    scene.store("s", "1", stale, &[]);
    for key in ["k", "s", "none"] {
        for (name, trips) in [
            ("get", scene.trips(|| done(client.get(names, key)).unwrap())),
            ("look", scene.trips(|| done(client.look(names, key, &keys)).unwrap())),
            ("exists", scene.trips(|| done(client.exists(names, key)).unwrap())),
            ("remaining", scene.trips(|| done(client.remaining(names, key)).unwrap())),
            ("expire", scene.trips(|| done(client.expire(names, key, HOUR)).unwrap())),
            ("persist", scene.trips(|| done(client.persist(names, key)).unwrap())),
            ("touch", scene.trips(|| done(client.touch(names, key, None)).unwrap())),
            ("touch with ttl", scene.trips(|| done(client.touch(names, key, Some(HOUR))).unwrap())),
            ("set", scene.trips(|| scene.set("n", "1", Some(HOUR), &[]))),
            ("incr", scene.trips(|| done(client.incr(names, "n", 1, None, "incr")).unwrap())),
            ("delete", scene.trips(|| done(client.delete(names, "n")).unwrap())),
            ("get_many", scene.trips(|| done(client.get_many(names, &keys)).unwrap())),
            ("delete_many", scene.trips(|| done(client.delete_many(names, &keys)).unwrap())),
            ("ping", scene.trips(|| done(client.ping()).unwrap())),
            ("no index", scene.trips(|| done(client.invalidate_tags(names, &keys)).unwrap())),
        ] {
            assert_eq!(trips, 1, "{name} of {key}");
        }
    }
}

#[test]
fn a_read_through_takes_a_look_a_claim_and_a_fill() {
    let scene = Scene::new();
    let (client, names) = (&scene.client, &scene.names);
    let life = Lifetime { ttl: Some(HOUR), stale: Some(HOUR / 2) };
    for tags in [list(&[]), list(&["t", "u"])] {
        let want = Want { tags: &tags, is_forced: true, ..want() };
        assert_eq!(scene.trips(|| scene.store("k", "1", life, &tags)), 2, "{tags:?}");
        assert_eq!(scene.trips(|| done(client.look(names, "k", &tags)).unwrap()), 1);
        let right = scene.compute("k", want);
        assert_eq!(scene.trips(|| done(client.renew(names, "k", &right, HOUR)).unwrap()), 1);
        assert_eq!(scene.trips(|| done(client.release(names, "k", right.clone())).unwrap()), 1);
    }
}

#[test]
fn tags_cost_a_second_trip_and_no_more_where_nothing_is_changed() {
    let scene = Scene::new();
    let (client, names) = (&scene.client, &scene.names);
    let tags = list(&["t", "u", "v"]);
    assert_eq!(scene.trips(|| scene.set("k", "1", Some(HOUR), &tags)), 2);
    assert_eq!(scene.trips(|| scene.get("k")), 2);
    assert_eq!(scene.trips(|| done(client.exists(names, "k")).unwrap()), 2);
    assert_eq!(scene.trips(|| done(client.remaining(names, "k")).unwrap()), 2);
    assert_eq!(scene.trips(|| done(client.look(names, "k", &list(&["t"]))).unwrap()), 2);
    assert_eq!(scene.trips(|| done(client.expire(names, "k", HOUR)).unwrap()), 3);
    assert_eq!(scene.trips(|| done(client.persist(names, "k")).unwrap()), 3);
    assert_eq!(scene.trips(|| done(client.incr(names, "k", 1, None, "incr")).unwrap()), 3);
    assert_eq!(scene.trips(|| done(client.add_tags(names, "k", &tags)).unwrap()), 2);
    done(client.add_tags(names, "k", &list(&["w"]))).unwrap();
    client.link().trips();
    done(client.add_tags(names, "k", &list(&["x"]))).unwrap();
    assert_eq!(client.link().trips(), 4);
    done(client.delete(names, "none")).unwrap();
    client.link().trips();
    done(client.delete(names, "k")).unwrap();
    assert_eq!(client.link().trips(), 2);
}

#[test]
fn late_tags_cost_one_trip() {
    let scene = Scene::new();
    let (client, names) = (&scene.client, &scene.names);
    let late = list(&["t", "u"]);
    let life = Lifetime { ttl: Some(HOUR), stale: None };
    let fill = || {
        let want = Want { has_late_tags: true, is_forced: true, ..want() };
        let right = scene.compute("k", want);
        assert!(done(client.fill(names, "k", right, b"1".to_vec(), life, &late)).unwrap());
    };
    assert_eq!(scene.trips(fill), 3);
}

#[test]
fn amending_a_large_entry_moves_its_head_alone() {
    let scene = Scene::new();
    let (client, names) = (&scene.client, &scene.names);
    let large = "x".repeat(10 << 20);
    let stale = Lifetime { ttl: Some(HOUR), stale: Some(HOUR / 2) };
    scene.set("tagged", &large, Some(HOUR), &list(&["t"]));
    assert!(scene.store("stale", &large, stale, &[]));
    assert!(scene.store("both", &large, stale, &list(&["t"])));
    scene.set("plain", &large, Some(HOUR), &[]);
    let moved = || {
        let text = String::from_utf8(match scene.server.ask(&["INFO", "stats"]) {
            redis::Value::BulkString(text) => text,
            other => panic!("{other:?}"),
        });
        let text = text.unwrap();
        let number = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.parse().unwrap()
        };
        number("total_net_input_bytes:") + number("total_net_output_bytes:")
    };
    let before = moved();
    for key in ["tagged", "stale", "both", "plain"] {
        assert!(done(client.expire(names, key, HOUR)).unwrap());
        assert!(done(client.persist(names, key)).unwrap());
        assert!(done(client.add_tags(names, key, &list(&["u"]))).unwrap());
        assert!(done(client.exists(names, key)).unwrap());
    }
    assert_eq!(done(client.invalidate_tags(names, &list(&["u"]))).unwrap(), 4);
    assert!(moved() - before < 100_000, "{} bytes", moved() - before);
}
