//! What a client of a scenario does: the real operations.

use std::sync::Arc;
use std::time::Duration;

use cachine_core::error::Error;
use cachine_redis::breaker::Breaker;
use cachine_redis::client::{Client, Ending, Lifetime};

use crate::calls::Wish;
use crate::damage::Damage;
use crate::flights::Flights;
use crate::link::{Mode, Port, Stepping};
use crate::scenario::{Comes, KEYS, Operation, Scenario, TAGS};
use crate::snapshot::Layout;

/// How long entries live, and how much of it is stale where a scenario has ageing.
pub(crate) const LIFE: Duration = Duration::from_secs(600);
pub(crate) const WINDOW: Duration = Duration::from_secs(300);
/// A life that outlasts the time that passes.
const LONG: Duration = Duration::from_secs(6000);
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// Longer than the margin of the records needs to be at its longest.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A call returned this value; a counter has it now.
    Value(u64),
    /// A call returned its own value, which was not to be stored; or an error, or nothing, of its own.
    Unstored(u64),
    /// A call returned the nothing that another one came to.
    Nothing(u64),
    /// So many entries were counted.
    Count(u64),
    /// Whether there was something to change.
    Changed(bool),
    Done,
}

/// How one run differs from another, beside its schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) mode: Mode,
    /// Whether a computation renews its right before it stores.
    pub(crate) renews: bool,
    /// The client whose values are not to be stored.
    pub(crate) refuses: Option<usize>,
    /// How that one ends its computations; without an ending it just gives its rights back.
    pub(crate) leaves: Option<Ending>,
    /// Whether who gave up waiting takes the right that was found, or stores nothing.
    pub(crate) adopts: bool,
    /// What is broken on purpose.
    pub(crate) damage: Option<Damage>,
}

/// A client of a scenario.
pub(crate) struct Actor {
    pub(crate) client: Client<Stepping>,
    pub(crate) port: Arc<Port>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) habits: Habits,
    /// Where callers in the process of the first client meet; for the others a place of their own.
    pub(crate) flights: Arc<Flights>,
    /// Whether its calls can be joined.
    pub(crate) is_first: bool,
    /// Whether what it computes is not to be stored, so that it gives its rights back.
    pub(crate) refuses: bool,
}

impl Actor {
    pub(crate) fn new(
        port: &Arc<Port>,
        layout: &Arc<Layout>,
        scenario: &Arc<Scenario>,
        habits: Habits,
        flights: &Arc<Flights>,
        number: usize,
    ) -> Arc<Self> {
        let link = Stepping(Arc::clone(port));
        let client = Client::new(link, TIMEOUT, Arc::new(Breaker::default()));
        let (port, layout) = (Arc::clone(port), Arc::clone(layout));
        let (scenario, flights) = (Arc::clone(scenario), Arc::clone(flights));
        let (is_first, refuses) = (number == 0, habits.refuses == Some(number));
        Arc::new(Self { client, port, layout, scenario, habits, flights, is_first, refuses })
    }

    /// Does one operation; a value that it makes is `id`, or has that bit.
    pub(crate) async fn perform(
        self: Arc<Self>,
        operation: Operation,
        id: u64,
    ) -> Result<Outcome, Error> {
        if let Some(outcome) = Box::pin(self.perform_damaged(&operation, id)).await {
            return outcome;
        }
        let (client, names) = (&self.client, &self.layout.names);
        Ok(match operation {
            Operation::Call(key, comes) => self.call(Wish::new(key, id, comes)).await?,
            Operation::Refresh(key) => self.refresh(Wish::new(key, id, Comes::Value)).await?,
            Operation::Join(key) => self.join(Wish::new(key, id, Comes::Value)).await?,
            Operation::Set { key, is_bare } => {
                let tags = if is_bare { Vec::new() } else { listed(&self.scenario.tags(key)) };
                client.set(names, KEYS[key], payload(id), Some(LIFE), &tags).await?;
                Outcome::Done
            }
            Operation::Incr(key) => {
                let sum = client.incr(names, KEYS[key], id.into(), Some(LIFE), "incr").await?;
                Outcome::Value(u64::try_from(sum).expect("all is positive"))
            }
            Operation::Delete(key) => Outcome::Changed(client.delete(names, KEYS[key]).await?),
            Operation::Expire(key) => {
                Outcome::Changed(client.expire(names, KEYS[key], LONG).await?)
            }
            Operation::Tag { key, tags } => {
                Outcome::Changed(client.add_tags(names, KEYS[key], &listed(&tags)).await?)
            }
            Operation::Invalidate(tags) => {
                Outcome::Count(client.invalidate_tags(names, &listed(&tags)).await?)
            }
            Operation::Clear => {
                client.clear(names).await?;
                Outcome::Done
            }
        })
    }

    pub(crate) fn life(&self) -> Lifetime {
        let is_ageing = self.scenario.budget.age > 0;
        Lifetime { ttl: Some(LIFE), stale: is_ageing.then_some(WINDOW) }
    }
}

/// The names of tags.
pub(crate) fn listed(tags: &[usize]) -> Vec<String> {
    tags.iter().map(|&tag| TAGS[tag].to_owned()).collect()
}

pub(crate) fn payload(id: u64) -> Vec<u8> {
    id.to_string().into_bytes()
}
