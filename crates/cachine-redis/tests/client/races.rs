//! Fills against invalidations and writes, forced to overlap and left to chance: never a stale value.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use cachine_redis::client::{Claim, Client, Lifetime, Look, Want};
use cachine_redis::link::{Batch, Class, Link, Node, Replies};
use cachine_redis::names::Names;
use redis::Value;

use crate::link::Socket;
use crate::scene::{Scene, done, list, names, payload, want};

const ROUNDS: u64 = 3000;
/// How a cached call and a fill are done over a server.
trait Way: Sync {
    /// A cached call: a look, else a computation and a fill. What it returns.
    fn call(&self, client: &Client<Socket>, source: &dyn Fn() -> u64) -> u64;
    /// A computation and a fill, whatever is there: whether it stands.
    fn compute(&self, client: &Client<Socket>, source: &dyn Fn() -> u64) -> bool;
    /// Changes what depends on the source.
    fn change(&self, client: &Client<Socket>);
}

const LIFE: Lifetime = Lifetime { ttl: Some(Duration::from_secs(600)), stale: None };

/// The tags that are known before a computation, and those that its result names.
fn tags(is_late: bool) -> (Vec<String>, Vec<String>) {
    if is_late { (list(&[]), list(&["t"])) } else { (list(&["t"]), list(&[])) }
}

/// Our way, against one kind of change.
struct Ours {
    names: Names,
    is_late: bool,
    change: Change,
}

impl Ours {
    fn new(change: Change, is_late: bool) -> Self {
        Self { names: names("ns"), is_late, change }
    }

    /// A claim, whatever is there, then a computation and a fill: what it computed, and whether that
    /// stands.
    fn fill(&self, client: &Client<Socket>, source: &dyn Fn() -> u64) -> (u64, bool) {
        let (known, late) = tags(self.is_late);
        let has_late_tags = self.is_late;
        let want =
            Want { tags: &known, has_late_tags, is_shared: false, is_forced: true, ..want() };
        let claim = done(client.claim(&self.names, "k", want)).unwrap();
        let Claim::Compute(fill) = claim else { panic!("{claim:?}") };
        let value = source();
        let stored = value.to_string().into_bytes();
        (value, done(client.fill(&self.names, "k", fill, stored, LIFE, &late)).unwrap())
    }
}

impl Way for Ours {
    fn call(&self, client: &Client<Socket>, source: &dyn Fn() -> u64) -> u64 {
        let known = tags(self.is_late).0;
        if let Look::Fresh(stored) = done(client.look(&self.names, "k", &known)).unwrap() {
            return number(&stored);
        }
        self.fill(client, source).0
    }

    fn compute(&self, client: &Client<Socket>, source: &dyn Fn() -> u64) -> bool {
        self.fill(client, source).1
    }

    fn change(&self, client: &Client<Socket>) {
        (self.change)(client, &self.names);
    }
}

/// The usual way: a set of keys for each tag, from which an invalidation deletes.
struct SetsOfKeys;

impl SetsOfKeys {
    fn ask(client: &Client<Socket>, commands: &[&[&str]]) -> Vec<Value> {
        let mut batch = Batch::new(Class::Once);
        for words in commands {
            let mut command = redis::Cmd::new();
            command.arg(words);
            batch.push(&command);
        }
        done(client.link().call(Node(0), &batch, u64::MAX)).map(Replies::into_vec).unwrap()
    }
}

impl Way for SetsOfKeys {
    fn call(&self, client: &Client<Socket>, source: &dyn Fn() -> u64) -> u64 {
        if let Value::BulkString(stored) = &Self::ask(client, &[&["GET", "k"]])[0] {
            return str::from_utf8(stored).unwrap().parse().unwrap();
        }
        let value = source();
        Self::ask(client, &[&["SET", "k", &value.to_string()], &["SADD", "t", "k"]]);
        value
    }

    fn compute(&self, client: &Client<Socket>, source: &dyn Fn() -> u64) -> bool {
        let value = source().to_string();
        Self::ask(client, &[&["SET", "k", &value], &["SADD", "t", "k"]]);
        true
    }

    fn change(&self, client: &Client<Socket>) {
        let Value::Array(members) = Self::ask(client, &[&["SMEMBERS", "t"]]).remove(0) else {
            panic!("SMEMBERS")
        };
        let members = members.iter().map(|member| match member {
            Value::BulkString(member) => str::from_utf8(member).unwrap(),
            other => panic!("{other:?}"),
        });
        let delete: Vec<&str> = ["DEL"].into_iter().chain(members).chain(["t"]).collect();
        Self::ask(client, &[&delete]);
    }
}

fn number(stored: &[u8]) -> u64 {
    str::from_utf8(payload(stored)).unwrap().parse().unwrap()
}

/// Changes the source and says so.
type Change = fn(&Client<Socket>, &Names);

/// Races a change against a fill whose value was computed before it, again and again: how many calls
/// that began after the change had returned saw what was there before; and how many fills were refused.
fn race(way: &dyn Way, rounds: u64) -> (u64, u64) {
    let scene = Scene::new();
    let (filler, changer) = (scene.other(), scene.other());
    let source = AtomicU64::new(0);
    let (computed, end) = (Barrier::new(2), Barrier::new(2));
    let (mut stale, refused) = (0, AtomicU64::new(0));
    let call = || way.call(&scene.client, &|| source.load(Ordering::SeqCst));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=rounds {
                let stands = way.compute(&filler, &|| {
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
            way.change(&changer);
            if round % 2 == 0 {
                // While the fill is perhaps under way still.
                stale += u64::from(call() != round);
            }
            end.wait();
            stale += u64::from(call() != round);
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
        let (stale, refused) = race(&Ours::new(change, is_late), ROUNDS);
        assert_eq!(stale, 0, "late tags: {is_late}");
        assert!(refused > 0, "they never met");
    }
}

#[test]
fn the_same_races_show_stale_values_where_a_tag_is_a_set_of_keys() {
    let (stale, _) = race(&SetsOfKeys, ROUNDS);
    assert!(stale > 0, "races that such tags survive would prove nothing for ours");
}

#[test]
fn no_fill_survives_a_delete_that_it_overlaps() {
    let change: Change = |client, names| {
        done(client.delete(names, "k")).unwrap();
    };
    assert_eq!(race(&Ours::new(change, false), 1000).0, 0);
}

#[test]
fn no_fill_survives_a_clear_that_it_overlaps() {
    for change in
        [(|client, names| done(client.clear(names)).unwrap()) as Change, |client, names| {
            done(client.clear_prefix(names, "k")).unwrap();
        }]
    {
        assert_eq!(race(&Ours::new(change, true), 500).0, 0);
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
