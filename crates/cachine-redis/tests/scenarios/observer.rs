//! Who knows what the source was at each moment, and so what may be in the server and what not.
//!
//! The source changes as each write or invalidation starts. The invariants are those of the model:
//!
//! 1. No value whose computation began before an invalidating call is readable, or returned, once
//!    that call has returned.
//! 2. No fill overwrites an explicit write that came after its computation began.
//! 3. An undisturbed fill or write is readable afterwards, an entry with a longer life outlives its
//!    old one, and an invalidation never frees an entry that is valid.
//! 4. Of those who wait for each other no two compute at a time, unless a token was lost, or whom they
//!    waited for has failed; nobody computes with a token of its own while a fresh entry stands, unless
//!    it is asked to, nor who waited for a computation that came to nothing.
//! 5. No entry is counted twice, and a count is exact if nobody disturbed it.
//! 6. If all wait, then for a lease that ends.
//! 8. An ending is for those who waited for it, and those who joined them in their process: nobody else
//!    is given its result, none of them waits for who took it over, and nobody hides it from them.

use std::collections::{HashMap, HashSet};

use crate::endings::Endings;
use crate::programs::Outcome;
use crate::scenario::{Operation, Scenario};
use crate::snapshot::Snapshot;
use crate::values::{Floors, Origins, parts};

#[path = "observer/tokens.rs"]
mod tokens;

/// A broken invariant. 0 is what no invariant foresees.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) invariant: u8,
    pub(crate) text: String,
}

fn require(is_fine: bool, invariant: u8, text: impl Fn() -> String) -> Result<(), Violation> {
    if is_fine { Ok(()) } else { Err(Violation { invariant, text: text() }) }
}

/// An operation under way.
#[derive(Clone, Debug, Default)]
struct Active {
    operation: Option<Operation>,
    id: u64,
    /// The source, after its own change.
    version: u64,
    floors: Floors,
    /// Whether nothing else has happened since it started.
    is_undisturbed: bool,
    /// What it should count.
    expected: u64,
    /// The key whose value it has begun to compute, and the token that keeps others from it.
    began: Option<usize>,
    computing: Option<Vec<u8>>,
    /// Whether its key was written since.
    is_overtaken: bool,
    /// The token that it took or found.
    token: Option<Vec<u8>>,
    gave_up: bool,
    /// The token that it has waited for last.
    waited: Option<Vec<u8>>,
    /// The calls that had come to nothing before.
    nothings: Vec<u64>,
    /// What it has freed.
    freed: Vec<u64>,
}

/// Watches a run.
pub(crate) struct Observer {
    is_shared: bool,
    tags: [Vec<usize>; 2],
    source: u64,
    floors: Floors,
    origins: Origins,
    active: Vec<Active>,
    lost: HashSet<Vec<u8>>,
    owners: HashMap<Vec<u8>, usize>,
    endings: Endings,
    is_index_lost: bool,
}

impl Observer {
    pub(crate) fn new(scenario: &Scenario, clients: usize) -> Self {
        Self {
            is_shared: scenario.shape.is_shared,
            tags: [scenario.tags(0), scenario.tags(1)],
            source: 0,
            floors: Floors::default(),
            origins: Origins::default(),
            active: vec![Active::default(); clients],
            lost: HashSet::new(),
            owners: HashMap::new(),
            endings: Endings::new(&scenario.shape),
            is_index_lost: false,
        }
    }

    /// An operation starts, with its first step.
    pub(crate) fn begin(&mut self, who: usize, operation: &Operation, id: u64, now: &Snapshot) {
        let is_undisturbed = self.active.iter().all(|active| active.operation.is_none());
        self.source += u64::from(operation.invalidates());
        let mut expected = 0;
        match operation {
            Operation::Set { key, is_bare } => {
                let tags = if *is_bare { Vec::new() } else { self.tags[*key].clone() };
                self.origins.add(id, *key, tags, None);
            }
            Operation::Incr(key) => self.origins.add(id, *key, Vec::new(), None),
            Operation::Invalidate(tags) => {
                let is_hit = |&key: &usize| {
                    now.readable[key].is_some()
                        && now.tags(key).iter().any(|tag| tags.contains(tag))
                };
                expected = (0..2).filter(is_hit).count() as u64;
            }
            _ => {}
        }
        self.active[who] = Active {
            operation: Some(operation.clone()),
            id,
            version: self.source,
            floors: self.floors,
            is_undisturbed,
            expected,
            nothings: self.endings.nothings(),
            ..Active::default()
        };
    }

    /// Something other than this client's step happened; `None`: trouble from outside.
    pub(crate) fn disturb(&mut self, by: Option<usize>) {
        for (who, active) in self.active.iter_mut().enumerate() {
            active.is_undisturbed &= by == Some(who);
        }
        if let Some(who) = by {
            self.active[who].computing = None;
        }
    }

    /// A client is gone in the middle of what it did.
    pub(crate) fn crashed(&mut self, who: usize) {
        self.active[who] = Active::default();
    }

    pub(crate) fn gave_up(&mut self, who: usize) {
        self.active[who].gave_up = true;
    }

    pub(crate) fn lost_index(&mut self) {
        self.is_index_lost = true;
    }

    /// Who took a token.
    pub(crate) fn owner(&self, token: &[u8]) -> Option<usize> {
        self.owners.get(token).copied()
    }

    /// The server has changed: in a step of a client, or from outside.
    pub(crate) fn changed(
        &mut self,
        by: Option<usize>,
        before: &Snapshot,
        after: &Snapshot,
    ) -> Result<(), Violation> {
        for key in 0..2 {
            let has_stored = self.entry_changed(key, by, before, after)?;
            self.token_changed(key, by, before, after, has_stored)?;
            if let Some(value) = after.readable[key] {
                require(!self.origins.is_stale(value, &self.floors)?, 1, || {
                    format!("{value} is readable, from before an invalidation that has returned")
                })?;
            }
        }
        Ok(())
    }

    /// Whether a client has stored there what it computed.
    fn entry_changed(
        &mut self,
        key: usize,
        by: Option<usize>,
        before: &Snapshot,
        after: &Snapshot,
    ) -> Result<bool, Violation> {
        let Some(who) = by.filter(|_| before.entry(key) != after.entry(key)) else {
            return Ok(false);
        };
        let (id, value) = (self.active[who].id, after.stored[key]);
        match &self.active[who].operation {
            Some(operation) if operation.is_call() && value == Some(id) => {
                require(!self.active[who].is_overtaken, 2, || {
                    format!("the fill {id} overwrote a write that came after its computation began")
                })?;
                return Ok(true);
            }
            Some(Operation::Set { .. } | Operation::Incr(_))
                if value.is_some_and(|value| parts(value).contains(&id)) =>
            {
                for other in &mut self.active {
                    other.is_overtaken |= other.began == Some(key);
                }
            }
            Some(Operation::Tag { tags, .. }) => {
                let Some(value) = value else { return Ok(false) };
                let is_new = |tag: &&usize| !before.tags(key).contains(tag);
                let has = |tag: &&usize| after.tags(key).contains(tag);
                for &tag in tags.iter().filter(is_new).filter(has) {
                    self.origins.tag(value, tag, id);
                }
            }
            Some(Operation::Invalidate(_)) if value.is_none() => {
                require(before.readable[key].is_none(), 3, || {
                    format!("an invalidation freed {:?}, which is valid", before.stored[key])
                })?;
                self.active[who].freed.extend(before.stored[key]);
            }
            _ => {}
        }
        Ok(false)
    }

    /// A caller has got a stale value while its refresh goes on.
    pub(crate) fn answered(&self, who: usize, value: u64) -> Result<(), Violation> {
        let active = &self.active[who];
        require(!self.origins.is_stale(value, &active.floors)?, 1, || {
            format!("client {who} got the stale {value} from before an invalidation")
        })
    }

    /// An operation has returned.
    pub(crate) fn finish(
        &mut self,
        who: usize,
        outcome: Outcome,
        now: &Snapshot,
    ) -> Result<(), Violation> {
        let active = std::mem::take(&mut self.active[who]);
        let operation = active.operation.clone().expect("it has begun");
        let made = match outcome {
            Outcome::Value(made) | Outcome::Unstored(made) | Outcome::Nothing(made) => Some(made),
            Outcome::Count(_) | Outcome::Changed(_) | Outcome::Done => None,
        };
        if let Some(made) = made {
            require(!self.origins.is_stale(made, &active.floors)?, 1, || {
                format!("client {who} got {made} from before an invalidation that had returned")
            })?;
        }
        check_given(&active, outcome)?;
        check_stands(&active, outcome, now)?;
        if let Outcome::Count(count) = outcome {
            self.check_count(&active, count)?;
        }
        if let Operation::Set { .. } | Operation::Incr(_) = operation {
            self.origins.returned(active.id, self.source);
        }
        if let Operation::Tag { .. } = operation {
            self.origins.tagged(active.id, self.source);
        }
        self.floors.raise(&operation, active.version);
        Ok(())
    }

    fn check_count(&self, active: &Active, count: u64) -> Result<(), Violation> {
        let mut most = 0;
        for &value in &active.freed {
            most += u64::from(!self.origins.is_stale(value, &active.floors)?);
        }
        require(count <= most, 5, || format!("{count} were counted, but only {most} were freed"))?;
        let is_exact = !active.is_undisturbed || self.is_index_lost || count == active.expected;
        require(is_exact, 5, || format!("{count} of {} were counted", active.expected))
    }
}

/// Whether what was written undisturbed is there.
fn check_stands(active: &Active, outcome: Outcome, now: &Snapshot) -> Result<(), Violation> {
    let (Some(operation), true) = (&active.operation, active.is_undisturbed) else { return Ok(()) };
    let key = match (operation, outcome) {
        (Operation::Set { key, .. } | Operation::Incr(key), _) => *key,
        (operation, Outcome::Value(value)) if value == active.id => {
            operation.called().expect("only calls return what they have made")
        }
        _ => return Ok(()),
    };
    let is_there = now.readable[key].is_some_and(|value| parts(value).contains(&active.id));
    require(is_there, 3, || {
        format!("the undisturbed {operation:?} of {} is not readable", active.id)
    })
}

/// Whether a call may be given this: nothing by a computation that it has waited for, or that somebody
/// waited for whom it has joined; and something old only if it is content with that.
fn check_given(active: &Active, outcome: Outcome) -> Result<(), Violation> {
    let id = active.id;
    match (&active.operation, outcome) {
        (Some(Operation::Call(..)), Outcome::Nothing(of)) => {
            require(!active.nothings.contains(&of), 8, || {
                format!("{id} was given what {of} came to before it began")
            })
        }
        (Some(Operation::Refresh(_)), Outcome::Value(value)) => {
            require(value == id, 0, || format!("{id} was to compute, but returned {value}"))
        }
        _ => Ok(()),
    }
}
