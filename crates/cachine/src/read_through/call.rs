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
use crate::memory::{InMemoryCache, KeptLease, KeptWait, Outcome};
use crate::read_through::held::Held;
use crate::read_through::refresh::Sealed;
use crate::read_through::{ReadThrough, Terms};

const OPERATION: &str = "get_or_compute";

/// One call on its way through a cache.
pub(super) struct Call<'a, V: 'static> {
    cache: &'a InMemoryCache<V>,
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
pub(super) enum Next<V: 'static> {
    /// Return this.
    Return(V),
    /// Start a refresh, and return this.
    Refresh(V, KeptLease<V>),
    /// Compute, and settle.
    Compute(KeptLease<V>),
    /// Wait, and come again if there was nothing in it.
    Wait(KeptWait<V>),
}

/// A refresh on its way to where it runs: it owns what a call borrows.
pub(super) struct Refresh<V: 'static> {
    cache: InMemoryCache<V>,
    key: Box<str>,
    terms: Terms<V>,
    freshness: Freshness,
}

impl<'a, V: Clone + Send + Sync + 'static> Call<'a, V> {
    pub(super) fn new<R: Sealed>(
        cache: &'a InMemoryCache<V>,
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
    pub(super) fn fresh(&self) -> Option<V> {
        self.cache.view().get_fresh(self.key, Arc::clone).map(Arc::unwrap_or_clone)
    }

    /// From now on this call neither joins a computation nor lets others join its own.
    pub(super) fn go_alone(&mut self) {
        self.alone = true;
    }

    /// Asks the cache what to do.
    pub(super) fn next(&mut self) -> Result<Next<V>, Error> {
        let view = self.cache.view();
        view.open(OPERATION)?;
        key::validate(self.key, OPERATION)?;
        let share = self.terms.singleflight && !self.alone;
        let counted = std::mem::replace(&mut self.counted, true);
        let held = Held::here();
        Ok(match view.begin(self.key, share, held.flights(), counted, Arc::clone)? {
            Step::Hit(value) | Step::Stale(value, None) => {
                Next::Return(Arc::unwrap_or_clone(value))
            }
            Step::Stale(value, Some(lease)) if self.in_background => {
                self.declare(&lease);
                Next::Refresh(Arc::unwrap_or_clone(value), lease)
            }
            Step::Lease(lease) | Step::Stale(_, Some(lease)) => {
                self.declare(&lease);
                Next::Compute(lease)
            }
            Step::Wait(wait) => Next::Wait(wait),
        })
    }

    /// Names the tags before the computation, so that their invalidation from now on fences it.
    fn declare(&self, lease: &KeptLease<V>) {
        let tags = self.cache.view().tag_names(&self.terms.tags);
        lease.declare(tags, self.terms.tags_from_result.is_some());
    }

    /// Hands a result to all who wait, stores it if it is to be stored, and gives it back.
    pub(super) fn settle<E>(&self, lease: KeptLease<V>, result: Result<V, E>) -> Result<Arc<V>, E>
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

    fn keep(&self, lease: KeptLease<V>, value: &Arc<V>) {
        let outcome = Outcome::Value(Arc::clone(value));
        let life = self.freshness.life().filter(|_| self.terms.wants(value));
        let Some(life) = life else { return lease.settle(outcome) };
        let view = self.cache.view();
        let late = view.tag_names(&self.terms.late_tags(value));
        let names = view.tag_names(&self.terms.tags).into_iter().chain(late.iter().cloned());
        let tags = names.map(|name| Tag { name, anchor: None }).collect();
        let weight = self.cache.weigh(self.key, value);
        let new = New { value: Arc::clone(value), life, weight, tags };
        lease.fill(new, &late, outcome, view.filling(None));
    }

    /// What a refresh takes along.
    pub(super) fn to_refresh(&self) -> Refresh<V> {
        Refresh {
            cache: self.cache.clone(),
            key: self.key.into(),
            terms: self.terms.clone(),
            freshness: self.freshness,
        }
    }
}

impl<V> Refresh<V> {
    pub(super) fn call(&self) -> Call<'_, V> {
        let Self { cache, key, terms, freshness } = self;
        let freshness = *freshness;
        Call { cache, key, terms, freshness, in_background: true, alone: false, counted: true }
    }
}
