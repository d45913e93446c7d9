//! What a read through the cache means, for threads and tasks alike.
//!
//! The two doors run computations and wait. What they are told to do, and what becomes of a
//! result, is said here and nowhere else.

use std::sync::Arc;

use cachine_core::Tag;
use cachine_core::error::Error;
use cachine_core::key;
use cachine_core::store::{New, Step};

use crate::freshness::Freshness;
use crate::memory::{KeptLease, KeptWait, Outcome};
use crate::read_through::held::Held;
use crate::read_through::refresh::Sealed;
use crate::read_through::source::{Source, Writing};
use crate::read_through::{ReadThrough, Terms};

const OPERATION: &str = "get_or_compute";

/// One call on its way through a cache.
pub(super) struct Call<'a, C, V> {
    cache: &'a C,
    key: &'a str,
    terms: &'a Terms<V>,
    freshness: Freshness,
    /// Whether a stale value is refreshed behind the back of its reader.
    in_background: bool,
    /// Neither joins nor is joined: to wait here could never end.
    alone: bool,
    /// Who looks again after a computation that was given up is no second miss.
    counted: bool,
}

/// What a caller has to do next.
pub(super) enum Next<V, S: 'static> {
    /// Return this.
    Return(V),
    /// Start a refresh, and return this.
    Refresh(V, KeptLease<S>),
    /// Compute, and settle.
    Compute(KeptLease<S>),
    /// Wait, and come again if there was nothing in it.
    Wait(KeptWait<S>),
}

/// A refresh on its way to where it runs: it owns what a call borrows.
pub(super) struct Refresh<C, V> {
    cache: C,
    key: Box<str>,
    terms: Terms<V>,
    freshness: Freshness,
}

impl<'a, C: Source<V>, V: Send + Sync + 'static> Call<'a, C, V> {
    pub(super) fn new<R: Sealed>(
        cache: &'a C,
        key: &'a str,
        options: &'a ReadThrough<V, R>,
    ) -> Result<Self, Error> {
        cache.view().open(OPERATION)?;
        let (terms, in_background) = (&options.terms, R::IN_BACKGROUND);
        let freshness = terms.freshness()?;
        Ok(Self { cache, key, terms, freshness, in_background, alone: false, counted: false })
    }

    /// The first look, which is all that a hit costs.
    #[inline]
    pub(super) fn fresh(&mut self) -> Option<V> {
        let stored = self.cache.view().get_fresh(self.key, C::Stored::clone)?;
        self.read(&stored)
    }

    /// From now on this call neither joins a computation nor lets others join its own.
    pub(super) fn go_alone(&mut self) {
        self.alone = true;
    }

    /// Asks the cache what to do.
    pub(super) fn next(&mut self) -> Result<Next<V, C::Stored>, Error> {
        let view = self.cache.view();
        view.open(OPERATION)?;
        key::validate(self.key, OPERATION)?;
        let share = self.terms.singleflight && !self.alone;
        let held = Held::here();
        loop {
            let counted = self.counted;
            let step = view.begin(self.key, share, held.flights(), counted, C::Stored::clone)?;
            let (stored, lease) = match step {
                Step::Wait(wait) => {
                    self.counted = true;
                    return Ok(Next::Wait(wait));
                }
                Step::Lease(lease) => return Ok(Next::Compute(self.declared(lease))),
                Step::Stale(_, Some(lease)) if !self.in_background => {
                    return Ok(Next::Compute(self.declared(lease)));
                }
                Step::Hit(stored) => (stored, None),
                Step::Stale(stored, lease) => (stored, lease),
            };
            if let Some(value) = self.read(&stored) {
                return Ok(match lease {
                    None => Next::Return(value),
                    Some(lease) => Next::Refresh(value, self.declared(lease)),
                });
            }
            // Nobody can read it, so it is gone, and its lease with it: ask again.
        }
    }

    /// The value of what is stored. What can't be read is taken away, and was a miss.
    fn read(&self, stored: &C::Stored) -> Option<V> {
        let value = self.cache.read(self.key, stored);
        if value.is_none() {
            self.discard(stored);
        }
        value
    }

    #[cold]
    fn discard(&self, stored: &C::Stored) {
        let view = self.cache.view();
        let tally = view.filling(None);
        // A look that was not counted as a hit is not to be taken back.
        if self.counted {
            tally.error();
        } else {
            tally.undecoded();
        }
        view.with_key(self.key, |physical| {
            view.store().discard(physical, |there| C::is_same(there, stored));
        });
    }

    /// Names the tags before the computation, so that their invalidation from now on fences it.
    fn declared(&self, lease: KeptLease<C::Stored>) -> KeptLease<C::Stored> {
        let tags = self.cache.view().tag_names(&self.terms.tags);
        lease.declare(tags, self.terms.tags_from_result.is_some());
        lease
    }

    /// Hands a result to all who wait, stores it if it is to be stored, and gives it back.
    pub(super) fn settle<E>(
        &self,
        lease: KeptLease<C::Stored>,
        result: Result<V, E>,
    ) -> Result<Arc<V>, E>
    where
        E: Clone + Send + Sync + 'static,
    {
        match result {
            Ok(value) => {
                let value = Arc::new(value);
                self.keep(lease, &value);
                Ok(value)
            }
            Err(error) => {
                lease.settle(Outcome::Error(Arc::new(error.clone())));
                Err(error)
            }
        }
    }

    fn keep(&self, lease: KeptLease<C::Stored>, value: &Arc<V>) {
        let outcome = Outcome::Value(Arc::<V>::clone(value));
        let life = self.freshness.life().filter(|_| self.terms.wants(value));
        let Some(life) = life else { return lease.settle(outcome) };
        let view = self.cache.view();
        let late = view.tag_names(&self.terms.late_tags(value));
        let names = view.tag_names(&self.terms.tags).into_iter().chain(late.iter().cloned());
        let tags = names.map(|name| Tag { name, anchor: None }).collect();
        let tally = view.filling(None);
        let Some(Writing { stored, weight, bytes }) = self.cache.write(self.key, value) else {
            tally.error();
            return lease.settle(outcome);
        };
        let new = New { value: stored, life, weight, tags };
        let is_stored = lease.fill(new, &late, outcome, tally);
        if let Some((raw, packed)) = bytes.filter(|_| is_stored) {
            tally.wrote(raw, packed);
        }
    }

    /// What a refresh takes along.
    pub(super) fn to_refresh(&self) -> Refresh<C, V> {
        Refresh {
            cache: self.cache.clone(),
            key: self.key.into(),
            terms: self.terms.clone(),
            freshness: self.freshness,
        }
    }
}

impl<C, V> Refresh<C, V> {
    pub(super) fn call(&self) -> Call<'_, C, V> {
        let Self { cache, key, terms, freshness } = self;
        let freshness = *freshness;
        Call { cache, key, terms, freshness, in_background: true, alone: false, counted: true }
    }
}
