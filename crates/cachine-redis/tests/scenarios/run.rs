//! One run of a scenario: clients that go on when they are told to, a server, and who watches.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cachine_core::error::Error;

use crate::endings;
use crate::flights::Flights;
use crate::link::{Need, Port};
use crate::observer::{Observer, Violation};
use crate::place::Place;
use crate::programs::{Actor, Habits, Outcome};
use crate::scenario::{Budget, Operation, Scenario};
use crate::schedule::{Choose, Move};
use crate::snapshot::Snapshot;
use crate::trace::{Event, Trace};
use crate::values::addition;

/// No run of a scenario is longer.
const LONGEST: usize = 5000;
/// How often in a run somebody looks again for nothing.
const POLLS: usize = 2;

#[path = "run/troubles.rs"]
mod troubles;

type Work = Pin<Box<dyn Future<Output = Result<Outcome, Error>>>>;

/// A client and what it does.
struct Client {
    actor: Arc<Actor>,
    port: Arc<Port>,
    operations: Vec<(Operation, u64)>,
    /// The operation that is next, or under way.
    place: usize,
    work: Option<Work>,
    has_begun: bool,
    is_crashed: bool,
}

/// What a run needs.
pub(crate) struct Run<'a> {
    server: &'a mut Place,
    clients: Vec<Client>,
    flights: Arc<Flights>,
    observer: Observer,
    budget: Budget,
    polls: usize,
    now: Snapshot,
    pub(crate) trace: Trace,
}

impl<'a> Run<'a> {
    pub(crate) fn new(server: &'a mut Place, scenario: &Arc<Scenario>, habits: Habits) -> Self {
        let flights = Arc::<Flights>::default();
        let mut programs = scenario.clients.clone();
        programs.push(scenario.before.clone());
        let (mut clients, mut additions) = (Vec::new(), 0);
        for (number, program) in programs.into_iter().enumerate() {
            let numbered = program.into_iter().enumerate().map(|(place, operation)| {
                let mut id = (number * 10 + place + 1) as u64;
                if matches!(operation, Operation::Incr(_)) {
                    id = addition(additions);
                    additions += 1;
                }
                (operation, id)
            });
            let port = Port::new(habits.mode);
            let operations = numbered.collect();
            let actor = Actor::new(&port, &server.layout, scenario, habits, &flights, number);
            let (place, work, has_begun, is_crashed) = (0, None, false, false);
            clients.push(Client { actor, port, operations, place, work, has_begun, is_crashed });
        }
        let observer = Observer::new(scenario, clients.len());
        let now = server.reset();
        let budget = Budget::default();
        Self { server, clients, flights, observer, budget, polls: 0, now, trace: Trace::default() }
    }

    /// Runs to the end.
    pub(crate) fn finish(
        &mut self,
        scenario: &Scenario,
        choose: &mut dyn Choose,
    ) -> Result<(), Violation> {
        let setup = self.clients.len() - 1;
        for (who, client) in self.clients.iter_mut().enumerate() {
            if who != setup {
                client.is_crashed = true; // Not yet there.
            }
        }
        while self.can_step(setup)? {
            self.apply(Move::Step(setup), choose)?;
        }
        self.clients.iter_mut().for_each(|client| client.is_crashed = false);
        self.budget = scenario.budget;
        self.polls = if self.budget.crash > 0 { POLLS } else { 0 };
        self.trace.begin();
        for _ in 0..LONGEST {
            let mut steps = Vec::new();
            for who in 0..setup {
                if self.can_step(who)? {
                    steps.push(Move::Step(who));
                }
            }
            if steps.is_empty() {
                if self.clients.iter().all(|client| !client.has_begun) {
                    return self.server.check(&self.now);
                }
                steps = self.leases()?;
            }
            let next = choose.choose(&steps, &self.ends(), &self.troubles());
            self.apply(next, choose)?;
        }
        Err(Violation { invariant: 0, text: format!("no end after {LONGEST} steps") })
    }

    /// Whether a client can go on; its next operation is made ready.
    fn can_step(&mut self, who: usize) -> Result<bool, Violation> {
        let client = &mut self.clients[who];
        if client.is_crashed {
            return Ok(false);
        }
        if client.work.is_none() {
            let Some((operation, id)) = client.operations.get(client.place).cloned() else {
                return Ok(false);
            };
            let work = Arc::clone(&client.actor).perform(operation, id);
            client.work = Some(Box::pin(work));
            self.poll(who)?;
        }
        Ok(match self.clients[who].port.need() {
            Some(Need::Wait { key }) => self.observer.token(who) != self.now.token(key),
            Some(Need::Land) => self.flights.has_landed(),
            Some(_) => true,
            None => false,
        })
    }

    fn step(&mut self, who: usize) -> Result<(), Violation> {
        let client = &mut self.clients[who];
        if !client.has_begun {
            client.has_begun = true;
            let (operation, id) = client.operations[client.place].clone();
            self.observer.begin(who, &operation, id, &self.now);
            self.trace.push(Event::Begins(who, operation, id));
        }
        self.observer.disturb(Some(who));
        let port = Arc::clone(&self.clients[who].port);
        let answer = match port.need() {
            Some(Need::Send) => return self.send(who, &port),
            Some(need @ Need::Compute { .. }) => {
                let version = self.observer.compute(who, need, &self.now)?;
                self.trace.push(Event::Computes(who, version));
                version
            }
            _ => 0,
        };
        self.go_on(who, answer)
    }

    /// Sends what a client has to send next.
    fn send(&mut self, who: usize, port: &Port) -> Result<(), Violation> {
        let unit = port.next_unit();
        let (replies, after) = self.server.send(&unit, &self.now);
        let asks_token = self.server.asks_token(&unit);
        self.trace.push(Event::Sent(who, unit, replies.clone()));
        if let Some(key) = asks_token {
            self.observer.found(who, after.token(key));
            port.tell(self.observer.seen(who));
        }
        self.changed(Some(who), after)?;
        if port.deliver(replies) { self.poll(who) } else { Ok(()) }
    }

    fn changed(&mut self, by: Option<usize>, after: Snapshot) -> Result<(), Violation> {
        for key in 0..2 {
            let place = after.token(key).filter(|place| Some(*place) != self.now.token(key));
            if place.is_some_and(endings::is_bare) {
                self.server.keep_ending(key);
            }
        }
        let before = std::mem::replace(&mut self.now, after);
        self.observer.changed(by, &before, &self.now)
    }

    fn go_on(&mut self, who: usize, answer: u64) -> Result<(), Violation> {
        self.clients[who].port.give(answer);
        self.poll(who)
    }

    fn poll(&mut self, who: usize) -> Result<(), Violation> {
        let client = &mut self.clients[who];
        let work = client.work.as_mut().expect("it is under way");
        let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        for value in client.port.take_answered() {
            self.trace.push(Event::Answered(who, value));
            self.observer.answered(who, value)?;
        }
        let Poll::Ready(outcome) = polled else {
            return match client.port.need() {
                Some(Need::Wait { key }) => self.observer.waits(who, key, &self.now),
                _ => Ok(()),
            };
        };
        let failed = |error: Error| Violation { invariant: 0, text: format!("it failed: {error}") };
        let outcome = outcome.map_err(failed)?;
        client.work = None;
        client.has_begun = false;
        client.place += 1;
        self.trace.push(Event::Returns(who, outcome));
        self.observer.finish(who, outcome, &self.now)
    }
}
