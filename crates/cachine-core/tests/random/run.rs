//! Runs a list of operations on a store and on the model, and compares them after each.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cachine_core::Tag;
use cachine_core::clock::{Clock, FakeClock};
use cachine_core::stats::{Counters, Tally};
use cachine_core::store::Step as Answer;
use cachine_core::store::{Ask, Bounds, Ended, Lease, Lifetime, New, Store, Wait};

use crate::ledger::{Kind, Ledger, Test, Token};
use crate::naive::{Fresh, Key, Naive, Names, Row, Told, life};
use crate::operations::{Change, KEYS, Operation, Step, TAGS, Value};

/// Lives with a stale window that ends before a pause after a failed refresh, or long after it;
/// and the nanoseconds to its beginning.
const STALE: [(u8, u64); 2] = [(4, 20_000_000), (5, 2_000_000_000)];

/// How a flight ended: with this outcome, or abandoned.
type Landing = Option<u64>;

struct Waiting {
    wait: Wait<Test>,
    held: Vec<u64>,
    waker: Option<u64>,
}

struct Run {
    store: Arc<Store<Test>>,
    clock: FakeClock,
    counters: Counters,
    ledger: Rc<Ledger>,
    naive: Naive,
    leases: Vec<(Lease<Test>, Key)>,
    waits: Vec<Waiting>,
    landed: BTreeMap<u64, Landing>,
    /// Who must have been woken by the last operation.
    woken: Vec<u64>,
}

pub(crate) fn run(bounds: Bounds, operations: &[Operation]) {
    let clock = FakeClock::new();
    let store = Store::new(bounds, Clock::Fake(clock.clone()));
    let ledger = Ledger::open(&store);
    let naive = Naive::new(bounds, store.now());
    let mut run = Run {
        store,
        clock,
        counters: Counters::default(),
        ledger,
        naive,
        leases: Vec::new(),
        waits: Vec::new(),
        landed: BTreeMap::new(),
        woken: Vec::new(),
    };
    for &operation in operations {
        run.apply(operation);
        run.compare();
    }
    run.finish();
}

/// The value with a life that turns stale, and the nanoseconds until it does.
fn stale(value: Value) -> (Value, u64) {
    let (life, fresh) = STALE[usize::from(value.life) % 2];
    (Value { life, ..value }, fresh)
}

fn name(key: Key) -> &'static [u8] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let group = |key| if is_in_a(key) { 'a' } else { 'b' };
        (0..KEYS).map(|key| format!("{}:{key}", group(key))).collect()
    });
    NAMES[key].as_bytes()
}

fn is_in_a(key: Key) -> bool {
    key < KEYS / 2
}

fn bits(bits: u8) -> Names {
    (0..TAGS.len()).filter(|bit| bits >> bit & 1 == 1).collect()
}

fn tag_names<'a>(names: impl IntoIterator<Item = &'a usize>) -> Vec<Box<str>> {
    names.into_iter().map(|&tag| TAGS[tag].into()).collect()
}

impl Run {
    fn tally(&self) -> Tally<'_> {
        Tally::of(&self.counters)
    }

    fn tags(&self, names: &Names, anchors: u8) -> Vec<Tag<Token>> {
        let anchor =
            |&name: &usize| (anchors >> name & 1 == 1).then(|| self.ledger.token(Kind::Value));
        names.iter().map(|tag| Tag { name: TAGS[*tag].into(), anchor: anchor(tag) }).collect()
    }

    /// The same new value for the store and for the model.
    fn new_value(&self, of: Value, tags: Names) -> (New<Token>, Fresh) {
        let value = self.ledger.token(Kind::Value);
        let (id, (life, spans)) = (value.id, life(of.life));
        let weight = u64::from(of.weight);
        let engine = New { value, life, weight, tags: self.tags(&tags, of.anchors) };
        (engine, Fresh { value: id, life: spans, weight, tags })
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Get(_)
            | Operation::GetFresh(_)
            | Operation::Peek(_)
            | Operation::Set(..)
            | Operation::SetMany(..)
            | Operation::SetStale(..)
            | Operation::FailRefresh(..)
            | Operation::Add(..)
            | Operation::Replace(..)
            | Operation::Delete(_) => self.read_or_write(operation),
            Operation::Remaining(_)
            | Operation::ChangeLife(..)
            | Operation::AddTags(..)
            | Operation::Invalidate(_)
            | Operation::Clear(_)
            | Operation::Advance(_) => self.change(operation),
            Operation::Begin { key, share, counted, held } => {
                // Most callers are part of no other computation.
                let held = held & held >> 2 & held >> 4;
                self.begin(key, share, counted, held);
            }
            Operation::Recompute { key, share } => self.recompute(key, share),
            Operation::Join { lease, .. }
            | Operation::Follow(lease)
            | Operation::Declare { lease, .. }
            | Operation::Fill { lease, .. }
            | Operation::Settle(lease)
            | Operation::Abandon(lease) => {
                if !self.leases.is_empty() {
                    self.compute(lease % self.leases.len(), operation);
                }
            }
            Operation::Register(at) | Operation::Leave(at) | Operation::StopWaiting(at) => {
                if !self.waits.is_empty() {
                    self.wait(at % self.waits.len(), operation);
                }
            }
        }
    }

    fn read_or_write(&mut self, operation: Operation) {
        match operation {
            Operation::Get(key) => {
                let seen = self.store.get(name(key), self.tally(), |value| value.id);
                assert_eq!(seen, self.naive.get(key));
            }
            Operation::GetFresh(key) => {
                let seen = self.store.get_fresh(name(key), self.tally(), |value| value.id);
                assert_eq!(seen, self.naive.get_fresh(key));
            }
            Operation::Peek(key) => {
                let seen = self.store.peek(name(key), |value| value.id);
                assert_eq!(seen, self.naive.row(key).map(|row| row.value));
            }
            Operation::Set(key, value) => self.set(key, value),
            Operation::SetMany(first, count, value) => {
                (first..first + count).for_each(|key| self.set(key % KEYS, value));
            }
            Operation::SetStale(key, value) => {
                let (value, fresh) = stale(value);
                self.set(key, value);
                self.change(Operation::Advance(Step::By(fresh)));
            }
            Operation::FailRefresh(key, value) => {
                self.read_or_write(Operation::SetStale(key, value));
                let leases = self.leases.len();
                self.begin(key, false, true, 0);
                if self.leases.len() > leases {
                    self.end(leases, Operation::Abandon(leases));
                }
            }
            Operation::Add(key, value) => {
                let (new, fresh) = self.new_value(value, bits(value.tags));
                let id = fresh.value;
                let answer = self.store.add(name(key), new, self.tally());
                assert!(answer.as_ref().err().is_none_or(|back| back.value.id == id));
                assert_eq!(answer.is_ok(), self.naive.add(key, fresh));
            }
            Operation::Replace(key, same) => {
                let value = self.ledger.token(Kind::Value);
                let id = value.id;
                let answer = self.store.replace(name(key), value, None, self.tally(), |_| same);
                assert!(answer.as_ref().err().is_none_or(|back| back.id == id));
                assert_eq!(answer.is_ok(), self.naive.replace(key, id, same));
            }
            Operation::Delete(key) => {
                let found = self.store.delete(name(key), self.tally());
                assert_eq!(found, self.naive.delete(key));
            }
            _ => unreachable!("{operation:?} is none of these"),
        }
    }

    fn set(&mut self, key: Key, value: Value) {
        let (new, fresh) = self.new_value(value, bits(value.tags));
        self.store.set(name(key), new, self.tally());
        self.naive.set(key, fresh);
    }

    fn change(&mut self, operation: Operation) {
        match operation {
            Operation::Remaining(key) => {
                assert_eq!(self.store.remaining(name(key)), self.naive.remaining(key));
            }
            Operation::ChangeLife(key, change) => {
                let span = |choice| life(choice).1.1;
                let change = match change {
                    Change::Expire(choice) => Lifetime::Expire(span(choice)),
                    Change::Persist => Lifetime::Persist,
                    Change::Touch(choice) => Lifetime::Touch(choice.map(span)),
                };
                let changed = self.store.change_life(name(key), change);
                assert_eq!(changed, self.naive.change_life(key, change));
            }
            Operation::AddTags(key, tags, anchors) => {
                let added = self.store.add_tags(name(key), self.tags(&bits(tags), anchors));
                assert_eq!(added, self.naive.add_tags(key, bits(tags)));
            }
            Operation::Invalidate(tags) => {
                let live = self.store.invalidate_tags(&tag_names(&bits(tags)));
                assert_eq!(live, self.naive.invalidate(&bits(tags)));
            }
            Operation::Clear(group) => {
                let prefix = group.map(|first| if first { "a:" } else { "b:" });
                self.store.clear(prefix.map(str::as_bytes));
                self.naive.clear(|key| group.is_none_or(|first| first == is_in_a(key)));
            }
            Operation::Advance(step) => {
                let by = self.span(step);
                self.clock.advance(Duration::from_nanos(by));
                self.naive.advance(by);
            }
            _ => unreachable!("{operation:?} is none of these"),
        }
    }

    fn span(&self, step: Step) -> u64 {
        const YEAR: u64 = 365 * 86_400 * 1_000_000_000;
        let (row, fresh, early) = match step {
            Step::By(span) => return span,
            Step::ToEnd { row, fresh, early } => (row, fresh, early),
        };
        let end = |row: &Row| if fresh { row.stale_from } else { row.deadline };
        let spans = self.naive.rows.iter().map(|row| end(row).saturating_sub(self.naive.now));
        let spans: Vec<_> = spans.filter(|span| (1..YEAR).contains(span)).collect();
        if spans.is_empty() { 1 } else { spans[row % spans.len()] - u64::from(early) }
    }

    fn begin(&mut self, key: Key, share: bool, counted: bool, held: u8) {
        let leases = (0..8).zip(&self.leases).filter(|(bit, _)| held >> bit & 1 == 1);
        let held: Vec<u64> = leases.map(|(_, (lease, _))| lease.id()).collect();
        let ask = Ask { key: name(key), share, held: &held, counted };
        let told = self.store.begin(ask, Tally::of(&self.counters), |value| value.id);
        let expected = self.naive.begin(key, share, &held, counted);
        match told {
            Answer::Hit(value) => assert_eq!(expected, Told::Hit(value)),
            Answer::Stale(value, lease) => {
                assert_eq!(expected, Told::Stale(value, lease.is_some()));
                if let Some(lease) = lease {
                    let joinable = self.naive.joinable(key).is_none();
                    self.naive.open(lease.id(), key, joinable, true);
                    self.leases.push((lease, key));
                }
            }
            Answer::Lease(lease) => {
                let Told::Lease { joinable } = expected else { panic!("{expected:?}") };
                self.naive.open(lease.id(), key, joinable, false);
                self.leases.push((lease, key));
            }
            Answer::Wait(wait) => {
                assert_eq!(expected, Told::Wait(wait.id()));
                self.waits.push(Waiting { wait, held, waker: None });
            }
        }
    }

    fn recompute(&mut self, key: Key, share: bool) {
        let lease = self.store.recompute(name(key), share);
        self.naive.fence_key(key);
        self.naive.open(lease.id(), key, share, false);
        self.leases.push((lease, key));
    }

    fn compute(&mut self, at: usize, operation: Operation) {
        let (lease, key) = &self.leases[at];
        let (id, key) = (lease.id(), *key);
        match operation {
            Operation::Declare { tags, result_tags, .. } => {
                lease.declare(tag_names(&bits(tags)), result_tags);
                self.naive.declare(id, bits(tags), result_tags);
            }
            Operation::Join { held, .. } => self.begin(key, true, true, held),
            Operation::Follow(_) => {
                let wait = lease.follow().expect("a lease is open");
                self.waits.push(Waiting { wait, held: Vec::new(), waker: None });
            }
            _ => self.end(at, operation),
        }
    }

    fn end(&mut self, at: usize, operation: Operation) {
        let lease = self.leases.swap_remove(at).0;
        let id = lease.id();
        let outcome = self.ledger.token(Kind::Outcome);
        let landed = (!matches!(operation, Operation::Abandon(_))).then_some(outcome.id);
        match operation {
            Operation::Fill { value, late, stale: false, .. } => {
                self.fill(lease, value, late, outcome);
            }
            Operation::Fill { value, late, stale: true, .. } => {
                let (value, fresh) = stale(value);
                self.fill(lease, value, late, outcome);
                self.change(Operation::Advance(Step::By(fresh)));
            }
            Operation::Settle(_) => {
                lease.settle(outcome);
                self.naive.settle(id);
            }
            _ => {
                drop(lease);
                self.naive.settle(id);
            }
        }
        self.landed.insert(id, landed);
        for waiting in self.waits.iter_mut().filter(|waiting| waiting.wait.id() == id) {
            self.woken.extend(waiting.waker.take());
        }
    }

    fn fill(&mut self, lease: Lease<Test>, value: Value, late: u8, outcome: Token) {
        let id = lease.id();
        let declared = self.naive.flight(id).declared.clone();
        let late: Names = bits(late).difference(&declared).copied().collect();
        let (new, fresh) = self.new_value(value, declared.union(&late).copied().collect());
        assert_eq!(lease.may_store(&tag_names(&late)), self.naive.may_store(id, &late));
        let stored = lease.fill(new, &tag_names(&late), outcome, Tally::of(&self.counters));
        assert_eq!(stored, self.naive.fill(id, fresh, &late));
    }

    fn wait(&mut self, at: usize, operation: Operation) {
        let id = self.waits[at].wait.id();
        if let Operation::Register(_) = operation {
            let waker = self.ledger.token(Kind::Waker);
            let token = waker.id;
            let answer = self.waits[at].wait.register(waker);
            assert_eq!(answer.is_err(), self.landed.contains_key(&id));
            if answer.is_ok() {
                self.waits[at].waker = Some(token);
            }
            return;
        }
        let Waiting { wait, held, .. } = self.waits.swap_remove(at);
        if let Operation::Leave(_) = operation {
            let others = self.waits.iter().filter(|other| other.wait.id() == id).count();
            let expected = (!self.landed.contains_key(&id)).then_some(others);
            assert_eq!(wait.leave(), expected);
        } else {
            drop(wait);
        }
        for from in held {
            let edge = self.naive.edges.iter().position(|&edge| edge == (from, id));
            self.naive.edges.swap_remove(edge.expect("an edge of this wait"));
        }
    }

    fn compare(&mut self) {
        self.store.check();
        assert!(self.ledger.is_clean(), "something died or was woken under the lock");
        assert_eq!(self.counters.read(), self.naive.stats);
        self.woken.sort_unstable();
        assert_eq!(self.ledger.take_woken(), std::mem::take(&mut self.woken));
        self.compare_entries();
        self.compare_flights();
    }

    fn compare_entries(&self) {
        let dump = self.dump();
        let (live, expired): (Vec<_>, Vec<_>) =
            dump.iter().partition(|(key, _)| self.naive.row(*key).is_some());
        let mut order: Vec<_> = live.iter().map(|(key, _)| *key).collect();
        let mut expected = self.naive.order();
        if !self.naive.is_bounded() {
            order.sort_unstable();
            expected.sort_unstable();
        }
        assert_eq!(order, expected);
        let rows: Vec<_> = live.iter().filter_map(|(key, _)| self.naive.row(*key)).collect();
        for ((_, tags), row) in live.iter().zip(&rows) {
            assert_eq!(*tags, row.tags);
        }
        let ghost = |key: Key| self.naive.ghosts.iter().rfind(|row| row.key == key);
        let ghosts = expired.iter().map(|(key, _)| ghost(*key).expect("it was there once"));
        let weight: u64 = rows.into_iter().chain(ghosts).map(|row| row.weight).sum();
        assert_eq!(self.store.weight(), weight);
        self.compare_counts(&dump);
    }

    fn compare_counts(&self, dump: &[(Key, Names)]) {
        assert_eq!(self.store.len(None), dump.len());
        let in_a = dump.iter().filter(|(key, _)| is_in_a(*key)).count();
        assert_eq!(self.store.len(Some(b"a:")), in_a);
        let mut tags_in_use = 0;
        for (tag, name) in TAGS.iter().enumerate() {
            let members = dump.iter().filter(|(_, tags)| tags.contains(&tag)).count();
            assert_eq!(self.store.members(name), members);
            tags_in_use += usize::from(members > 0);
        }
        let mut shown = 0;
        assert!(self.store.try_each(|_| shown += 1));
        assert_eq!(self.ledger.live(Kind::Value), shown, "every value is in the store or dead");
        let anchors = shown - dump.len();
        assert!(anchors <= tags_in_use, "an anchor dies with its tag");
    }

    /// What the store holds, expired entries included, the next victim first.
    fn dump(&self) -> Vec<(Key, Names)> {
        let key = |stored: &[u8]| (0..KEYS).find(|&key| name(key) == stored);
        let tag = |stored: &String| TAGS.iter().position(|tag| tag == stored).expect("a tag");
        let entry = |(stored, tags): &(Vec<u8>, Vec<String>)| {
            (key(stored).expect("a key"), tags.iter().map(tag).collect())
        };
        self.store.dump().iter().map(entry).collect()
    }

    fn compare_flights(&self) {
        for waiting in &self.waits {
            let expected = match self.landed.get(&waiting.wait.id()) {
                None => Ended::Pending,
                Some(&Some(outcome)) => Ended::Outcome(outcome),
                Some(None) => Ended::Abandoned,
            };
            assert_eq!(waiting.wait.ended(|outcome| outcome.id), expected);
        }
        for (lease, _) in &self.leases {
            let parties = self.waits.iter().filter(|waiting| waiting.wait.id() == lease.id());
            assert_eq!(lease.parties(), parties.count());
        }
        let seen: BTreeSet<_> = self
            .waits
            .iter()
            .filter_map(|waiting| self.landed.get(&waiting.wait.id())?.as_ref())
            .collect();
        assert_eq!(self.ledger.live(Kind::Outcome), seen.len(), "outcomes live as long as waits");
        let registered = self.waits.iter().filter(|waiting| waiting.waker.is_some()).count();
        assert_eq!(self.ledger.live(Kind::Waker), registered);
    }

    /// Traffic that finds nothing frees what has expired, and in the end nothing is left.
    fn finish(mut self) {
        // Past the coarse slot at hand: what is due in the middle of one may stand behind many
        // that are not, and is freed with them.
        self.change(Operation::Advance(Step::By(40_000_000)));
        for _ in 0..30 {
            self.store.delete(b"nothing", self.tally());
        }
        assert_eq!(self.store.len(None), self.naive.rows.len());
        self.compare();
        self.leases.clear();
        self.waits.clear();
        drop(self.store);
        let kinds = [Kind::Value, Kind::Outcome, Kind::Waker];
        assert_eq!(kinds.map(|kind| self.ledger.live(kind)), [0; 3]);
    }
}
