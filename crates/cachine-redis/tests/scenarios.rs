//! The client in the scenarios of the model: its operations over a real server, in whatever order their
//! commands are sent.
//!
//! The scenarios are those of `tests/protocol/scenarios.txt`, which the model of the protocol reads
//! as well. Each client is a future that goes on when its next commands are sent; one thread sends them,
//! in an order that comes from a seed. Nothing sleeps, and a failure prints what was sent, by whom.

#[path = "scenarios/calls.rs"]
mod calls;
#[path = "scenarios/damage.rs"]
mod damage;
#[path = "scenarios/endings.rs"]
mod endings;
#[path = "scenarios/flights.rs"]
mod flights;
#[path = "scenarios/link.rs"]
mod link;
#[path = "scenarios/observer.rs"]
mod observer;
#[path = "scenarios/place.rs"]
mod place;
#[path = "scenarios/programs.rs"]
mod programs;
#[path = "scenarios/run.rs"]
mod run;
#[path = "scenarios/scenario.rs"]
mod scenario;
#[path = "scenarios/schedule.rs"]
mod schedule;
#[path = "scenarios/snapshot.rs"]
mod snapshot;
#[path = "scenarios/trace.rs"]
mod trace;
#[path = "scenarios/values.rs"]
mod values;
#[path = "scenarios/wire.rs"]
mod wire;

use std::collections::HashSet;
use std::mem::discriminant;
use std::sync::Arc;

use cachine_redis::client::Ending;

use crate::damage::Damage;
use crate::link::Mode;
use crate::observer::Violation;
use crate::place::Place;
use crate::programs::Habits;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::schedule::{Dice, Every, Move};

/// So many schedules of each scenario are tried in each mode.
const SEEDS: u64 = 150;
/// Where something is broken there are more, until it is seen.
const BROKEN_SEEDS: u64 = 750;
/// Where every order is tried there are fewer.
const ORDERS: usize = 20000;

/// Every script runs here once, so that the server knows all.
const WARM: &str = "warm | set a, expire a, tag a u, invalidate t, call a, delete a, call a, incr a, \
                    incr b, incr b, clear ; call b, delete b | tag";

/// What is the same for all schedules of a test.
struct Walk {
    place: Place,
    mode: Mode,
}

impl Walk {
    fn new(mode: Mode) -> Self {
        let mut place = Place::new();
        let scenario = Arc::new(WARM.parse().unwrap());
        for refuses in [None, Some(1)] {
            let habits = Habits { refuses, renews: true, ..habits(mode) };
            let mut run = Run::new(&mut place, &scenario, habits);
            run.finish(&scenario, &mut Every::default()).unwrap();
        }
        Self { place, mode }
    }

    /// Runs the schedule of a seed; what went wrong, and all that happened.
    fn attempt(
        &mut self,
        scenario: &Arc<Scenario>,
        damage: Option<Damage>,
        seed: u64,
    ) -> Result<Vec<Move>, (Violation, String)> {
        let mut scenario = Arc::clone(scenario);
        if seed % 16 == 5 {
            self.place.forget_scripts();
            // The index is then written after the entry (`client.rs`), so it does not know an entry whose
            // writer is gone in between.
            Arc::make_mut(&mut scenario).budget.crash = 0;
        } else {
            self.place.know_scripts();
        }
        let bit = |bit: u64| seed >> bit & 1 == 1;
        let is_refused = seed % 5 == 4 || damage == Some(Damage::ReleaseUnchecked);
        let refuses = is_refused.then_some(usize::from(bit(3)));
        let leaves = bit(4).then_some(Ending::Alone);
        let habits =
            Habits { renews: bit(0), refuses, leaves, adopts: bit(1), damage, ..habits(self.mode) };
        let mut run = Run::new(&mut self.place, &scenario, habits);
        let outcome = run.finish(&scenario, &mut Dice::new(seed, scenario.clients.len()));
        let trace = &run.trace;
        outcome.map(|()| trace.troubles()).map_err(|violation| (violation, trace.to_string()))
    }
}

const fn habits(mode: Mode) -> Habits {
    Habits { mode, renews: false, refuses: None, leaves: None, adopts: false, damage: None }
}

fn walk(mode: Mode) {
    let mut walk = Walk::new(mode);
    let mut troubles = HashSet::new();
    for scenario in scenario::all() {
        let scenario = Arc::new(scenario);
        for seed in 0..SEEDS {
            match walk.attempt(&scenario, None, seed) {
                Ok(some) => troubles.extend(some.iter().map(discriminant)),
                Err((violation, trace)) => panic!(
                    "invariant {} in {:?}, {mode:?}, seed {seed}: {}\n{trace}",
                    violation.invariant, scenario.name, violation.text
                ),
            }
        }
    }
    // Looks for nothing, waits in vain, crashes, losses, ageing, time, ends of leases, lost scripts.
    assert_eq!(troubles.len(), 8, "some trouble never came");
}

#[test]
fn no_order_of_batches_breaks_an_invariant() {
    walk(Mode::Whole);
}

#[test]
fn no_order_of_single_commands_breaks_an_invariant() {
    walk(Mode::Split);
}

#[test]
fn every_order_of_the_batches_of_two_clients_keeps_the_invariants() {
    let mut walk = Walk::new(Mode::Whole);
    for scenario in scenario::all().into_iter().filter(|scenario| scenario.clients.len() == 2) {
        let scenario = Arc::new(scenario.calm());
        let (mut every, mut orders) = (Every::default(), 0);
        loop {
            orders += 1;
            walk.place.know_scripts();
            let mut run = Run::new(&mut walk.place, &scenario, habits(Mode::Whole));
            if let Err(violation) = run.finish(&scenario, &mut every) {
                panic!("{:?}: {violation:?}\n{}", scenario.name, run.trace);
            }
            assert!(orders < ORDERS, "{:?} has become too long for this", scenario.name);
            if !every.next() {
                break;
            }
        }
    }
}

/// What is broken, a scenario that shows it, and the invariants of which one breaks first.
const BROKEN: &[(Damage, &str, &[u8])] = &[
    (Damage::SetKeepsToken, "set", &[2, 4]),
    (Damage::SetInTwoSteps, "set", &[2, 4]),
    (Damage::SetThenToken, "set", &[2, 4]),
    (Damage::IndexAfterEntry, "count", &[5]),
    (Damage::IncrKeepsToken, "incr", &[2, 4]),
    (Damage::DeleteKeepsToken, "delete", &[1]),
    (Damage::DeleteSwapped, "delete", &[1]),
    (Damage::ClearSwapped, "clear tag", &[1, 5]),
    (Damage::ClearSplitsTag, "clear and set", &[5]),
    (Damage::FreesBeforeStamps, "recount", &[3]),
    (Damage::CountsTheIndex, "recount", &[5]),
    (Damage::FillUnchecked, "delete", &[1]),
    (Damage::StampsAfterCompute, "tag", &[1]),
    (Damage::StampsAfterCompute, "result tag", &[1]),
    (Damage::ReleaseUnchecked, "delete", &[4]),
    (Damage::ClaimsWithoutLook, "two flights", &[4]),
    (Damage::HitUnvalidated, "tag", &[1]),
    (Damage::JoinTrustsFlight, "join", &[1]),
    (Damage::NobodyWaits, "two flights", &[4]),
    (Damage::TagOverwrites, "add tags to another", &[1]),
    (Damage::EndingOfAnybody, "nothing again", &[8]),
    (Damage::ForgetsWhomItAwaited, "nothing", &[4]),
    (Damage::ForgetsWhomItAwaited, "failing", &[8]),
    (Damage::HeirForgets, "failing", &[8]),
    (Damage::EndsUnchecked, "failing and delete", &[4]),
    (Damage::DigestOfTheEnd, "nothing and tag", &[1]),
    (Damage::EndingSurvivesDelete, "nothing, then join", &[1]),
    (Damage::AdopterReleases, "failing and again", &[4]),
    (Damage::NothingSharedUnseen, "nothing, then join", &[1]),
    (Damage::NothingSharedUnseen, "nothing, then join and tag", &[1]),
    (Damage::NothingSharedBeforeSeal, "nothing, then join", &[1]),
];

#[test]
fn what_is_broken_on_purpose_is_seen() {
    let mut walks = [Walk::new(Mode::Split), Walk::new(Mode::Whole)];
    for &(damage, name, invariants) in BROKEN {
        let scenario = Arc::new(scenario::named(name));
        let is_seen = (0..BROKEN_SEEDS).any(|seed| {
            walks.iter_mut().any(|walk| {
                let seen = walk.attempt(&scenario, Some(damage), seed).err();
                seen.is_some_and(|(violation, _)| invariants.contains(&violation.invariant))
            })
        });
        assert!(is_seen, "{damage:?} in {name:?} is not seen");
    }
}
