//! What happens when time is up.

use std::task::Waker;

use cachine_core::clock::Instant;

use super::Terms;
use super::connection::Phase;
use super::place::Stage;
use super::state::{State, fault};
use crate::link::{Cause, Sent};

impl State {
    /// Ends what is overdue, and asks for a timer for what comes next.
    pub(super) fn tick(&mut self, now: Instant, terms: &Terms, wakers: &mut Vec<Waker>) {
        self.armed = None;
        for number in self.places.overdue(now) {
            self.expire(number, wakers);
        }
        for node in 0..self.connections.len() {
            self.inspect(node, now, terms, wakers);
        }
        self.naps.retain(|nap| {
            let is_over = nap.until <= now;
            if is_over {
                wakers.push(nap.waker.clone());
            }
            !is_over
        });
        self.shrink();
        if let Some(at) = self.next(now, terms) {
            self.arm(at);
        }
    }

    /// A call has reached its deadline. A batch that was not written is taken back, so that "not
    /// sent" stays true.
    fn expire(&mut self, number: u32, wakers: &mut Vec<Waker>) {
        let is_unwritten = self.take_back(number);
        let Some(place) = self.places.get_mut(number) else { return };
        let connection = &self.connections[place.node];
        let (sent, state) = match (is_unwritten, connection.phase) {
            (false, _) => (Sent::Maybe, "did not answer in time"),
            (true, Phase::Open) => (Sent::No, "did not take the command in time"),
            (true, _) => (Sent::No, "could not be connected to in time"),
        };
        let text = || format!("{} {state}", connection.address);
        wakers.extend(place.fail(|| fault(sent, Cause::Deadline, text())));
    }

    /// Ends a connection that is suspect, or an attempt to connect that has had its time.
    fn inspect(&mut self, node: usize, now: Instant, terms: &Terms, wakers: &mut Vec<Waker>) {
        let connection = &self.connections[node];
        let address = &connection.address;
        if connection.is_connecting() && connection.given_up(terms.connect_timeout) <= now {
            let text = format!("connecting to {address} took longer than connect_timeout");
            self.end(node, Cause::Deadline, &text, wakers);
        } else if connection.phase == Phase::Open
            && connection.suspect(&self.places, now, terms.timeout).is_some_and(|at| at <= now)
        {
            let text = format!("{address} stopped answering: the connection was given up");
            self.end(node, Cause::Connection, &text, wakers);
        }
    }

    /// When to come back.
    fn next(&self, now: Instant, terms: &Terms) -> Option<Instant> {
        let due = self.places.iter().filter(|place| place.is_open() || place.stage != Stage::Out);
        let deadlines = due.map(|place| place.until).filter(|&until| until > now);
        let naps = self.naps.iter().map(|nap| nap.until);
        let connections = self.connections.iter().filter_map(|connection| match connection.phase {
            Phase::Idle => None,
            Phase::Opening | Phase::Greeting => Some(connection.given_up(terms.connect_timeout)),
            Phase::Open => connection.suspect(&self.places, now, terms.timeout),
        });
        deadlines.chain(naps).chain(connections).min()
    }

    /// Lets go of what a burst left behind.
    fn shrink(&mut self) {
        self.places.shrink();
        self.acts.shrink_to(64);
        self.naps.shrink_to(64);
        for connection in &mut self.connections {
            connection.outbox.shrink();
            let length = connection.line.len();
            connection.line.shrink_to((2 * length).max(64));
        }
    }
}
