//! What can get in the way of a run, and what it does.

use super::Run;
use crate::endings::is_bare;
use crate::link::{GIVE_UP, Need};
use crate::observer::Violation;
use crate::place::check_lives;
use crate::scenario::{Budget, Operation};
use crate::schedule::{Choose, Move};
use crate::trace::Event;

impl Run<'_> {
    /// All wait: for whom?
    pub(super) fn leases(&mut self) -> Result<Vec<Move>, Violation> {
        let mut leases = Vec::new();
        for key in 0..2 {
            let Some(token) = self.now.token(key) else { continue };
            let has_crashed = |who: usize| self.clients[who].is_crashed;
            let is_left = self.observer.owner(token).is_none_or(has_crashed) || is_bare(token);
            if is_left && self.server.has_end(key) {
                leases.push(Move::Lease(key));
            }
        }
        if leases.is_empty() {
            let text = "all wait, and for no lease that somebody left and that ends".to_owned();
            return Err(Violation { invariant: 6, text });
        }
        Ok(leases)
    }

    /// The steps with which computations end.
    pub(super) fn ends(&self) -> Vec<Move> {
        let computes = |who: &usize| self.clients[*who].port.need() == Some(Need::Computed);
        (0..self.clients.len()).filter(computes).map(Move::Step).collect()
    }

    pub(super) fn troubles(&self) -> Vec<Move> {
        let mut troubles = Vec::new();
        let Budget { crash, drop, age, time, give_up, forget } = self.budget;
        for (who, client) in self.clients.iter().enumerate() {
            if !client.has_begun {
                continue;
            }
            if crash > 0 {
                troubles.push(Move::Crash(who));
            }
            if forget > 0 && !client.port.scripts().is_empty() {
                troubles.push(Move::Forget(who));
            }
            if let Some(Need::Wait { key }) = client.port.need()
                && self.observer.token(who) == self.now.token(key)
            {
                if give_up > 0 {
                    troubles.push(Move::GiveUp(who));
                }
                if self.polls > 0 {
                    troubles.push(Move::Poll(who));
                }
            }
        }
        if drop > 0 && !self.now.is_empty() {
            troubles.push(Move::Drop);
        }
        let is_ageing = |key: &usize| self.now.window(*key).is_some() && self.now.is_fresh(*key);
        if age > 0 {
            troubles.extend((0..2).filter(is_ageing).map(Move::Age));
        }
        // The records of a tag outlive its entries by more than the longest write.
        let is_quiet = self.clients.iter().all(|client| {
            let now = client.operations.get(client.place).map(|(operation, _)| operation);
            !client.has_begun
                || matches!(
                    now,
                    Some(Operation::Expire(_) | Operation::Tag { .. } | Operation::Invalidate(_))
                )
        });
        if time > 0 && is_quiet {
            troubles.push(Move::Time);
        }
        troubles
    }

    pub(super) fn apply(&mut self, next: Move, choose: &mut dyn Choose) -> Result<(), Violation> {
        if let Move::Step(who) = next {
            return self.step(who);
        }
        self.observer.disturb(None);
        self.trace.push(Event::Trouble(next));
        let budget = &mut self.budget;
        match next {
            Move::Step(_) => unreachable!("that is no trouble"),
            Move::Poll(who) => {
                self.polls -= 1;
                return self.go_on(who, 0);
            }
            Move::GiveUp(who) => {
                budget.give_up -= 1;
                self.observer.gave_up(who);
                return self.go_on(who, GIVE_UP);
            }
            Move::Crash(who) => {
                budget.crash -= 1;
                let client = &mut self.clients[who];
                (client.work, client.has_begun, client.is_crashed) = (None, false, true);
                if who == 0 {
                    self.flights.abandon();
                }
                self.observer.crashed(who);
                return Ok(());
            }
            Move::Drop => {
                budget.drop -= 1;
                let (name, is_index) = self.server.drop_one(|count| choose.below(count));
                if is_index {
                    self.observer.lost_index();
                }
                self.trace.push(Event::Dropped(name));
            }
            Move::Age(key) => {
                budget.age -= 1;
                self.server.age(key);
            }
            Move::Time => {
                budget.time -= 1;
                self.server.pass(choose.below(2) == 1);
            }
            Move::Lease(key) => self.server.end_lease(key),
            Move::Forget(who) => self.forget(who, choose),
        }
        let after = self.server.look(&self.now);
        if next == Move::Time {
            check_lives(&self.now, &after)?;
        }
        self.changed(None, after)
    }

    /// The server forgets a script that a client is about to call.
    fn forget(&mut self, who: usize, choose: &mut dyn Choose) {
        self.budget.forget -= 1;
        // The index is then written after the entry (`client.rs`), so it does not know an entry whose
        // writer is gone in between.
        self.budget.crash = 0;
        let mut scripts = self.clients[who].port.scripts();
        let script = scripts.swap_remove(choose.below(scripts.len()));
        self.server.forget_script(&script);
        self.trace.push(Event::Dropped(script));
    }
}
