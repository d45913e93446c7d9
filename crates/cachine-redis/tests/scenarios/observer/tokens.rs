//! Who has a right to compute, who waits for whom, and what is left of a right.

use super::{Observer, Violation, require};
use crate::endings::{self, How, holder};
use crate::link::{Found, Need};
use crate::scenario::Operation;
use crate::snapshot::Snapshot;
use crate::wire::shown;

impl Observer {
    /// The token that a client found.
    pub(crate) fn token(&self, who: usize) -> Option<&[u8]> {
        self.active[who].token.as_deref()
    }

    /// A client has asked for a token, and this is the one that stands.
    pub(crate) fn found(&mut self, who: usize, token: Option<&[u8]>) {
        self.active[who].token = token.map(<[u8]>::to_vec);
    }

    /// What a claim of a client has found.
    pub(crate) fn seen(&self, who: usize) -> Found {
        let place = self.active[who].token.clone().unwrap_or_default();
        Found { maker: self.endings.maker(&place), place }
    }

    /// A client begins to wait for whose token it has found.
    pub(crate) fn waits(
        &mut self,
        who: usize,
        key: usize,
        now: &Snapshot,
    ) -> Result<(), Violation> {
        let active = &mut self.active[who];
        let (place, waited) = (active.token.as_deref(), active.waited.as_deref());
        // A forced call has not waited for a result, but for its turn.
        let is_forced = matches!(active.operation, Some(Operation::Refresh(_)));
        let told = self.endings.told(key, place, waited, now).filter(|_| !is_forced);
        require(told.is_none(), 8, || {
            format!("client {who} waits for who took over what it had waited for, {told:?}")
        })?;
        active.waited = place.and_then(holder).map(<[u8]>::to_vec);
        Ok(())
    }

    pub(super) fn token_changed(
        &mut self,
        key: usize,
        by: Option<usize>,
        before: &Snapshot,
        after: &Snapshot,
        has_stored: bool,
    ) -> Result<(), Violation> {
        let (old, new) = (before.token(key), after.token(key));
        if old == new {
            return Ok(());
        }
        let calling = by.map(|who| (who, &self.active[who]));
        let calling =
            calling.filter(|(_, at)| at.operation.as_ref().is_some_and(Operation::is_call));
        let takes = calling.is_none_or(|(who, active)| {
            let is_forced = matches!(active.operation, Some(Operation::Refresh(_)));
            // An adopter takes it from whoever has it; a forced call does so first of all.
            let adopts = has_stored && old.and_then(|token| self.owner(token)) != Some(who);
            adopts || (is_forced && active.token.is_none())
        });
        if let Some(ended) = old.filter(|_| !takes).filter(|old| endings::is_bare(old)) {
            let is_carried = new.and_then(endings::ended) == endings::ended(ended);
            require(is_carried, 8, || format!("{by:?} has hidden an ending"))?;
        }
        if let Some(token) = old.filter(|_| takes) {
            self.lost.insert(token.to_vec());
        }
        if let (Some(token), Some(who)) = (new, by) {
            self.owners.insert(token.to_vec(), who);
            self.endings.left(token);
        }
        Ok(())
    }

    /// A computation begins; the version that it reads.
    pub(crate) fn compute(
        &mut self,
        who: usize,
        need: Need,
        now: &Snapshot,
    ) -> Result<u64, Violation> {
        let Need::Compute { key, is_own } = need else { unreachable!("{need:?}") };
        let active = &self.active[who];
        let (place, waited) = (active.token.as_deref(), active.waited.as_deref());
        let is_forced = matches!(active.operation, Some(Operation::Refresh(_)));
        let told = |place| self.endings.told(key, place, waited, now).filter(|_| !is_forced);
        let is_excused = !is_own && (active.gave_up || told(place) == Some(How::Alone));
        let guard = active.token.clone().filter(|_| self.is_shared && !is_excused);
        self.check_alone(who, key, guard.as_deref())?;
        let has_token = is_own && place == now.token(key) && place.is_some();
        require(!has_token || is_forced || !now.is_fresh(key), 4, || {
            format!("client {who} computes although the fresh {:?} is there", now.readable[key])
        })?;
        let has_nothing = !active.gave_up && told(now.token(key)) == Some(How::Nothing);
        require(!has_nothing, 4, || {
            format!("client {who} computes although what it waited for came to nothing")
        })?;
        if let Some(place) = place.filter(|_| is_own) {
            self.endings.made(place, active.id);
        }
        self.origins.add(active.id, key, self.tags[key].clone(), Some(self.source));
        let active = &mut self.active[who];
        (active.began, active.computing, active.is_overtaken) = (Some(key), guard, false);
        Ok(self.source)
    }

    /// Whether nobody else computes, except who has lost its token, or beside one that is lost.
    fn check_alone(&self, who: usize, key: usize, guard: Option<&[u8]>) -> Result<(), Violation> {
        let Some(token) = guard.filter(|token| !self.lost.contains(*token)) else { return Ok(()) };
        for (other, at) in self.active.iter().enumerate().filter(|(other, _)| *other != who) {
            let is_beside = |computing: &Vec<u8>| !self.lost.contains(computing);
            let is_beside = at.began == Some(key) && at.computing.as_ref().is_some_and(is_beside);
            require(!is_beside, 4, || {
                let token = shown(token);
                format!("clients {who}, with {token}, and {other} compute at a time")
            })?;
        }
        Ok(())
    }
}
