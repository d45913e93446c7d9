//! What a user of the server has to be allowed, and that every operation may move between threads.

use std::time::Duration;

use cachine_core::error::ErrorKind;
use cachine_redis::client::{COMMANDS, Client, Fill, Lifetime, Want};
use cachine_redis::names::Names;

use crate::link::Socket;
use crate::scene::{Scene, compute, done, list, names, want};

const HOUR: Duration = Duration::from_secs(3600);
const STALE: Lifetime = Lifetime { ttl: Some(HOUR), stale: Some(HOUR) };

/// Every operation, in every form that has a way of its own.
fn everything(client: &Client<Socket>, names: &Names) {
    done(client.ping()).unwrap();
    for tags in [list(&[]), list(&["t", "u"])] {
        let want = Want { tags: &tags, has_late_tags: true, is_forced: true, ..want() };
        for (ttl, value) in [(None, "1"), (Some(HOUR), "-7")] {
            done(client.set(names, "k", value.into(), ttl, &tags)).unwrap();
            done(client.get(names, "k")).unwrap().unwrap();
            done(client.get_many(names, &list(&["k", "j"]))).unwrap();
            assert!(done(client.exists(names, "k")).unwrap());
            done(client.remaining(names, "k")).unwrap();
            let sum = done(client.incr(names, "k", 1 << 63, None, "incr"));
            let is_overflow = sum.is_err_and(|error| error.kind() == ErrorKind::Overflow);
            assert_eq!(is_overflow, value == "1");
            done(client.incr(names, "counter", 1, ttl, "incr")).unwrap();
            done(client.look(names, "k", &tags)).unwrap();
            let right = compute(client, names, "k", want);
            assert!(done(client.renew(names, "k", &right, HOUR)).unwrap());
            assert!(
                done(client.fill(names, "k", right, value.into(), STALE, &list(&["w"]))).unwrap()
            );
            let right = compute(client, names, "k", want);
            assert!(done(client.release(names, "k", right)).unwrap());
            assert!(done(client.expire(names, "k", HOUR)).unwrap());
            assert!(done(client.touch(names, "k", None)).unwrap());
            assert!(done(client.touch(names, "k", Some(HOUR))).unwrap());
            assert!(done(client.persist(names, "k")).unwrap());
            assert!(done(client.add_tags(names, "k", &list(&["v"]))).unwrap());
            assert_eq!(done(client.invalidate_tags(names, &list(&["v"]))).unwrap(), 1);
            done(client.set(names, "k", value.into(), ttl, &tags)).unwrap();
            assert!(done(client.delete(names, "k")).unwrap());
            done(client.delete_many(names, &list(&["k", "counter"]))).unwrap();
            done(client.set_many(names, vec![("k".into(), vec![1])], ttl)).unwrap();
            done(client.clear_prefix(names, "k")).unwrap();
        }
    }
    done(client.clear(names)).unwrap();
}

/// What says which user to be.
fn greeting() -> Vec<Vec<&'static str>> {
    vec![vec!["AUTH", "cache", "secret"]]
}

#[test]
fn a_user_with_the_keys_of_the_namespace_and_these_commands_can_do_everything() {
    let scene = Scene::new();
    let mut user = vec!["ACL", "SETUSER", "cache", "on", ">secret", "~ns:*", "-@all"];
    let commands: Vec<String> = COMMANDS.iter().map(|command| format!("+{command}")).collect();
    user.extend(commands.iter().map(String::as_str));
    scene.server.ask(&user);
    let client = scene.greeting(greeting());
    everything(&client, &scene.names);
    let error = done(client.get(&names("other"), "k")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
    assert!(error.to_string().contains("NOPERM"), "{error}");
}

#[test]
fn none_of_these_commands_can_be_left_out() {
    let scene = Scene::new();
    for left_out in COMMANDS {
        scene.server.ask(&["ACL", "DELUSER", "cache"]);
        let mut user = vec!["ACL", "SETUSER", "cache", "on", ">secret", "~ns:*", "-@all"];
        let rest = COMMANDS.iter().filter(|command| *command != left_out);
        let commands: Vec<String> = rest.map(|command| format!("+{command}")).collect();
        user.extend(commands.iter().map(String::as_str));
        scene.server.ask(&user);
        let (client, names) = (scene.greeting(greeting()), scene.names.clone());
        // A server that knows no script asks for their sources.
        scene.server.ask(&["SCRIPT", "FLUSH"]);
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| everything(&client, &names)));
        assert!(outcome.is_err(), "{left_out} is not needed");
        scene.server.ask(&["FLUSHALL"]);
    }
}

#[test]
fn a_server_that_wants_a_password_says_so() {
    let scene = Scene::new();
    scene.server.ask(&["CONFIG", "SET", "requirepass", "secret"]);
    let error = done(scene.other().get(&scene.names, "k")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
    assert!(error.to_string().contains("password"), "{error}");
}

/// The size of a future, which may be sent to another thread.
fn size<F: Future + Send>(future: F) -> usize {
    let size = size_of_val(&future);
    drop(future);
    size
}

#[test]
fn every_operation_may_move_between_threads_and_is_small() {
    let scene = Scene::new();
    let (client, names) = (&*scene.client, &scene.names);
    let tags = list(&["t"]);
    let right = || -> Fill { compute(client, names, "k", Want { is_forced: true, ..want() }) };
    let (fill, again) = (right(), right);
    scene.server.ask(&["FLUSHALL"]);
    let sizes = [
        ("ping", size(client.ping())),
        ("get", size(client.get(names, "k"))),
        ("get_many", size(client.get_many(names, &tags))),
        ("look", size(client.look(names, "k", &tags))),
        ("exists", size(client.exists(names, "k"))),
        ("remaining", size(client.remaining(names, "k"))),
        ("set", size(client.set(names, "k", Vec::new(), None, &tags))),
        ("set_many", size(client.set_many(names, Vec::new(), None))),
        ("delete", size(client.delete(names, "k"))),
        ("delete_many", size(client.delete_many(names, &tags))),
        ("incr", size(client.incr(names, "k", 1, None, "incr"))),
        ("expire", size(client.expire(names, "k", HOUR))),
        ("persist", size(client.persist(names, "k"))),
        ("touch", size(client.touch(names, "k", None))),
        ("add_tags", size(client.add_tags(names, "k", &tags))),
        ("invalidate_tags", size(client.invalidate_tags(names, &tags))),
        ("clear", size(client.clear(names))),
        ("clear_prefix", size(client.clear_prefix(names, "k"))),
        ("claim", size(client.claim(names, "k", want()))),
        ("renew", size(client.renew(names, "k", &fill, HOUR))),
        ("fill", size(client.fill(names, "k", again(), Vec::new(), STALE, &tags))),
        ("release", size(client.release(names, "k", fill.clone()))),
    ];
    for (name, size) in sizes {
        assert!(size <= 2500, "{name} takes {size} bytes: {sizes:?}");
    }
}
