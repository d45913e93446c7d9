//! Locks: who has one, how its token grows, and what becomes of it when an answer is lost.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_core::error::ErrorKind;
use cachine_core::key::Namespace;
use cachine_redis::breaker::Breaker;
use cachine_redis::client::{COMMANDS, Client, Hold, Locked};
use cachine_redis::names::Names;
use cachine_testkit::{Redis, Reply};
use redis::Value;

use crate::link::Socket;
use crate::scene::{Scene, done, list, names, until};

const TTL: Duration = Duration::from_secs(60);
const HOUR: i64 = 60 * 60 * 1000;

fn lock(client: &Client<Socket>, names: &Names, name: &str) -> Locked {
    done(client.lock(names, name, TTL)).unwrap()
}

fn held(client: &Client<Socket>, names: &Names, name: &str) -> Hold {
    match lock(client, names, name) {
        Locked::Held(hold) => hold,
        Locked::Taken(left) => panic!("it is taken for {left:?}"),
    }
}

fn is_taken(client: &Client<Socket>, names: &Names, name: &str) -> bool {
    matches!(lock(client, names, name), Locked::Taken(_))
}

fn client_of(redis: &Redis) -> Client<Socket> {
    let link = Socket::new((Ipv4Addr::LOCALHOST, redis.port()).into(), Vec::new());
    Client::new(link, TTL, Arc::new(Breaker::default()))
}

/// The keys of a lock of this name.
fn keys(scene: &Scene, name: &str) -> [String; 2] {
    scene.names.lock(name).map(|key| String::from_utf8(key).unwrap())
}

fn text(value: Value) -> String {
    match value {
        Value::BulkString(text) => String::from_utf8(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_holds_a_lock_and_all_others_are_told_how_long_it_lasts() {
    let scene = Scene::new();
    let (client, other, names) = (&scene.client, scene.other(), &scene.names);
    let hold = held(client, names, "a");
    for asker in [client, &other] {
        match lock(asker, names, "a") {
            Locked::Taken(left) => assert!(left > TTL / 2 && left <= TTL, "{left:?}"),
            Locked::Held(hold) => panic!("{hold:?}"),
        }
    }
    drop(held(&other, names, "b"));
    let elsewhere = Names::new(&Namespace::new("other").unwrap());
    drop(held(&other, &elsewhere, "a"));
    assert!(done(other.unlock(names, "a", &hold)).unwrap(), "whoever knows the holder");
    let next = held(&other, names, "a");
    assert!(next.token() > hold.token());
}

#[test]
fn a_lock_is_no_entry_and_an_entry_no_lock() {
    let scene = Scene::new();
    let hold = held(&scene, &scene.names, "k");
    assert_eq!(scene.get("k"), None);
    scene.set("k", "1", None, &list(&["k"]));
    assert!(done(scene.client.delete(&scene.names, "k")).unwrap());
    assert!(done(scene.client.renew_lock(&scene.names, "k", &hold, TTL)).unwrap());
}

#[test]
fn a_lock_lives_for_its_ttl_and_a_renewal_for_another() {
    let scene = Scene::new();
    let (names, [key, fence]) = (&scene.names, keys(&scene, "a"));
    let hold = held(&scene, names, "a");
    let left = |key: &str| scene.pttl(key.as_bytes());
    assert!(left(&key) > 30_000 && left(&key) <= 60_000);
    let remembered = left(&fence);
    assert!(remembered > HOUR && remembered <= HOUR + 60_000, "{remembered}");
    assert!(done(scene.client.renew_lock(names, "a", &hold, 10 * TTL)).unwrap());
    assert!(left(&key) > 300_000);
    assert!(done(scene.client.renew_lock(names, "a", &hold, Duration::from_millis(1))).unwrap());
    until(|| scene.server.number(&["EXISTS", &key]) == 0);
    assert!(!done(scene.client.renew_lock(names, "a", &hold, TTL)).unwrap());
    assert!(!done(scene.client.unlock(names, "a", &hold)).unwrap());
    assert!(held(&scene, names, "a").token() > hold.token());
}

#[test]
fn who_comes_too_late_touches_nothing_of_the_next_holder() {
    let scene = Scene::new();
    let (client, other, names) = (&scene.client, scene.other(), &scene.names);
    let [key, _] = keys(&scene, "a");
    let former = held(client, names, "a");
    scene.server.ask(&["DEL", &key]);
    let hold = held(&other, names, "a");
    scene.server.ask(&["PEXPIRE", &key, "50000"]);
    assert!(!done(client.renew_lock(names, "a", &former, 100 * TTL)).unwrap());
    assert!(!done(client.unlock(names, "a", &former)).unwrap());
    let left = scene.pttl(key.as_bytes());
    assert!(left > 0 && left <= 50_000, "{left}");
    assert!(done(other.renew_lock(names, "a", &hold, TTL)).unwrap());
    assert!(done(other.unlock(names, "a", &hold)).unwrap());
    assert_eq!(scene.server.number(&["EXISTS", &key]), 0);
}

#[test]
fn tokens_grow_by_the_time_of_the_server_also_over_a_restart_with_an_empty_memory() {
    let (mut redis, names) = (Redis::start(), names("ns"));
    let mut last = 0;
    for _ in 0..3 {
        let client = client_of(&redis);
        assert_eq!(redis.command(&["DBSIZE"]), Reply::Int(0), "it remembers nothing");
        for _ in 0..50 {
            let Reply::List(time) = redis.command(&["TIME"]) else { panic!("TIME") };
            let parts = time.into_iter().map(|part| match part {
                Reply::Bytes(text) => String::from_utf8(text).unwrap().parse::<u64>().unwrap(),
                other => panic!("{other:?}"),
            });
            let now = parts.fold(0, |sum, part| sum * 1_000_000 + part);
            let hold = held(&client, &names, "a");
            assert!(hold.token() > last && hold.token() >= now, "{} at {now}", hold.token());
            last = hold.token();
            assert!(done(client.unlock(&names, "a", &hold)).unwrap());
        }
        redis.restart();
    }
}

#[test]
fn tokens_grow_when_the_clock_of_the_server_is_set_back() {
    let scene = Scene::new();
    let [_, fence] = keys(&scene, "a");
    let first = held(&scene, &scene.names, "a");
    assert_eq!(text(scene.server.ask(&["GET", &fence])), first.token().to_string());
    assert!(done(scene.client.unlock(&scene.names, "a", &first)).unwrap());
    // As if the last holder had come an hour from now.
    let ahead = first.token() + 3_600_000_000;
    scene.server.ask(&["SET", &fence, &ahead.to_string()]);
    for step in 1..=3 {
        let hold = held(&scene, &scene.names, "a");
        assert_eq!(hold.token(), ahead + step);
        assert_eq!(text(scene.server.ask(&["GET", &fence])), (ahead + step).to_string());
        assert!(done(scene.client.unlock(&scene.names, "a", &hold)).unwrap());
    }
}

#[test]
fn a_lock_without_an_end_gets_one() {
    let scene = Scene::new();
    let [key, _] = keys(&scene, "a");
    let hold = held(&scene, &scene.names, "a");
    scene.server.ask(&["PERSIST", &key]);
    match lock(&scene.other(), &scene.names, "a") {
        Locked::Taken(left) => assert!(left > TTL / 2 && left <= TTL, "{left:?}"),
        Locked::Held(hold) => panic!("{hold:?}"),
    }
    assert!(done(scene.client.renew_lock(&scene.names, "a", &hold, TTL)).unwrap());
    // What somebody else wrote there is not theirs to hold for ever either.
    scene.server.ask(&["SET", &key, "by hand"]);
    assert!(is_taken(&scene, &scene.names, "a"));
    assert!(scene.pttl(key.as_bytes()) > 0);
}

#[test]
fn clearing_ends_no_lock_and_forgets_no_token() {
    let scene = Scene::new();
    let hold = held(&scene, &scene.names, "a");
    scene.set("k", "1", None, &list(&["t"]));
    done(scene.client.clear(&scene.names)).unwrap();
    let mut mine = keys(&scene, "a");
    mine.sort();
    let mut left = scene.server.keys();
    left.retain(|key| !key.ends_with("~cachine~x"));
    assert_eq!(left, mine);
    done(scene.client.clear_prefix(&scene.names, "a")).unwrap();
    assert!(done(scene.client.renew_lock(&scene.names, "a", &hold, TTL)).unwrap());
    assert!(is_taken(&scene.other(), &scene.names, "a"));
}

#[test]
fn a_try_whose_answer_is_lost_gives_back_what_it_took() {
    let scene = Scene::new();
    let [key, fence] = keys(&scene, "a");
    scene.client.link().lose_next_reply();
    let unknown = done(scene.client.lock(&scene.names, "a", TTL));
    // That was the answer to a script that the server did not know: nothing was taken.
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::Connection);
    drop(held(&scene, &scene.names, "warm"));
    scene.client.link().trips();
    scene.client.link().lose_next_reply();
    let error = done(scene.client.lock(&scene.names, "a", TTL)).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Connection, "lock"));
    assert!(error.is_retryable(), "nothing is left of it");
    let trips = scene.client.link().trips();
    assert!(trips >= 2, "it was given back in a trip of its own: {trips}");
    assert_eq!(scene.server.number(&["EXISTS", &key]), 0);
    assert_eq!(scene.server.number(&["EXISTS", &fence]), 1, "it had been taken");
    drop(held(&scene.other(), &scene.names, "a"));
    // A try that took nothing gives nothing back that is another's.
    scene.client.link().lose_next_reply();
    assert!(done(scene.client.lock(&scene.names, "a", TTL)).is_err());
    assert!(is_taken(&scene.other(), &scene.names, "a"));
}

#[test]
fn an_unlock_whose_answer_is_lost_is_sent_again() {
    let scene = Scene::new();
    let [key, _] = keys(&scene, "a");
    let unlock = |hold: &Hold| done(scene.client.unlock(&scene.names, "a", hold)).unwrap();
    assert!(unlock(&held(&scene, &scene.names, "a")), "from now on the server knows the script");
    let hold = held(&scene, &scene.names, "a");
    scene.client.link().trips();
    scene.client.link().lose_next_reply();
    assert!(unlock(&hold), "it was held as far as anyone knows");
    assert_eq!(scene.client.link().trips(), 2);
    assert_eq!(scene.server.number(&["EXISTS", &key]), 0);
    // The second one does not take away what was taken in between.
    let hold = held(&scene, &scene.names, "a");
    let (other, names) = (scene.other(), scene.names.clone());
    let (next, taken) = std::sync::mpsc::channel();
    scene.client.link().before(move |trip| {
        if trip == 2 {
            next.send(held(&other, &names, "a")).unwrap();
        }
    });
    scene.client.link().lose_next_reply();
    unlock(&hold);
    scene.client.link().undisturbed();
    let next = taken.recv().unwrap();
    assert!(done(scene.client.renew_lock(&scene.names, "a", &next, TTL)).unwrap());
}

#[test]
fn a_cluster_finds_what_belongs_to_a_lock_in_one_slot_that_of_its_name() {
    let redis = Redis::setup().with_option(&["cluster-enabled", "yes"]).start();
    redis.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until(|| {
        let Reply::Bytes(info) = redis.command(&["CLUSTER", "INFO"]) else { panic!("INFO") };
        String::from_utf8_lossy(&info).contains("cluster_state:ok")
    });
    let client = client_of(&redis);
    let slot = |key: &[u8]| redis.command(&[&b"CLUSTER"[..], b"KEYSLOT", key]);
    for namespace in ["ns", "a{b}c", "a{b", "a}b", "{}x"] {
        let names = Names::new(&Namespace::new(namespace).unwrap());
        for name in ["a", "a{b}", "{", "}{", "ä", "a b"] {
            let [lock, fence] = names.lock(name);
            assert_eq!(slot(&lock), slot(&fence), "{namespace} {name}");
            assert_eq!(slot(&lock), slot(&names.entry(name)), "{namespace} {name}");
            // The server refuses a script whose keys are in two.
            let hold = held(&client, &names, name);
            assert!(done(client.renew_lock(&names, name, &hold, TTL)).unwrap());
            assert!(is_taken(&client, &names, name));
            assert!(done(client.unlock(&names, name, &hold)).unwrap());
        }
    }
}

#[test]
fn each_operation_takes_one_trip() {
    let scene = Scene::new();
    let (client, names) = (&scene.client, &scene.names);
    let hold = held(client, names, "a");
    assert_eq!(scene.trips(|| is_taken(client, names, "a")), 1);
    assert_eq!(scene.trips(|| done(client.renew_lock(names, "a", &hold, TTL)).unwrap()), 1);
    assert_eq!(scene.trips(|| done(client.unlock(names, "a", &hold)).unwrap()), 1);
    client.link().trips();
    drop(held(client, names, "a"));
    assert_eq!(client.link().trips(), 1);
}

#[test]
fn a_user_of_the_commands_that_are_listed_may_lock() {
    let scene = Scene::new();
    let mut user = vec!["ACL", "SETUSER", "cache", "on", ">secret", "~ns:*", "-@all"];
    let commands: Vec<String> = COMMANDS.iter().map(|command| format!("+{command}")).collect();
    user.extend(commands.iter().map(String::as_str));
    scene.server.ask(&user);
    let client = scene.greeting(vec![vec!["AUTH", "cache", "secret"]]);
    let (names, [key, _]) = (&scene.names, keys(&scene, "a"));
    let hold = held(&client, names, "a");
    scene.server.ask(&["PERSIST", &key]);
    assert!(is_taken(&client, names, "a"));
    assert!(done(client.renew_lock(names, "a", &hold, TTL)).unwrap());
    assert!(done(client.unlock(names, "a", &hold)).unwrap());
    let elsewhere = Names::new(&Namespace::new("other").unwrap());
    let error = done(client.lock(&elsewhere, "a", TTL)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
}

#[test]
fn many_who_ask_at_once_hold_it_one_at_a_time_with_growing_tokens() {
    let scene = Scene::new();
    let (names, last) = (&scene.names, Mutex::new(0));
    let end = Clock::System.now() + 20_000_000_000;
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let (client, last) = (scene.other(), &last);
            scope.spawn(move || {
                for _ in 0..30 {
                    let hold = loop {
                        assert!(Clock::System.now() < end, "nobody lets go");
                        if let Locked::Held(hold) = lock(&client, names, "a") {
                            break hold;
                        }
                        std::thread::yield_now();
                    };
                    // It is never waited for, because nobody else is here.
                    let mut last = last.try_lock().unwrap();
                    assert!(hold.token() > *last);
                    *last = hold.token();
                    drop(last);
                    assert!(done(client.unlock(names, "a", &hold)).unwrap());
                }
            });
        }
    });
}

#[test]
fn the_futures_of_locks_may_move_between_threads_and_are_small() {
    fn size<F: Future + Send>(future: F) -> usize {
        let size = size_of_val(&future);
        drop(future);
        size
    }
    let scene = Scene::new();
    let hold = held(&scene, &scene.names, "a");
    for size in [
        size(scene.client.lock(&scene.names, "a", TTL)),
        size(scene.client.renew_lock(&scene.names, "a", &hold, TTL)),
        size(scene.client.unlock(&scene.names, "a", &hold)),
    ] {
        assert!(size <= 2500, "{size} bytes");
    }
}
