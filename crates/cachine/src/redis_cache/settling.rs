//! The end of a computation: what is stored, what is shared, and what is given back.

use std::sync::Arc;

use cachine_core::FlightId;
use cachine_core::clock::Instant;
use cachine_redis::client::{Ending, Fill};

use crate::memory::{KeptLease, Outcome};
use crate::redis_cache::call::{Call, Keepable, OPERATION};
use crate::redis_cache::door::Door;
use crate::redis_cache::refreshes::Ticket;
use crate::redis_cache::renewal::Renewal;
use crate::redis_cache::shelf::Shelf;

/// A computation that is to be run and settled. Its parts end in this order.
pub(super) struct Leading<L: Door> {
    /// Ends first: what was stored or given back is not to be renewed.
    renewing: Option<L::Renewing>,
    /// `None` where the store failed.
    right: Option<Right<L>>,
    ticket: Option<Ticket>,
    lease: KeptLease<()>,
    began: Instant,
}

/// A right to store. Invariant 2: dropped in a panic, or with its task, it is given back.
pub(super) struct Right<L: Door> {
    shelf: Arc<Shelf<L>>,
    key: Box<str>,
    fill: Option<Fill>,
}

impl<L: Door> Leading<L> {
    pub(super) const fn new(
        renewing: Option<L::Renewing>,
        right: Option<Right<L>>,
        ticket: Option<Ticket>,
        lease: KeptLease<()>,
        began: Instant,
    ) -> Self {
        Self { renewing, right, ticket, lease, began }
    }

    /// The number of the computation.
    pub(super) fn flight(&self) -> FlightId {
        self.lease.id()
    }

    /// Whether there is a right to store what is computed.
    pub(super) const fn may_store(&self) -> bool {
        self.right.is_some()
    }
}

impl<L: Door> Right<L> {
    pub(super) fn new(shelf: &Arc<Shelf<L>>, key: &str, fill: Fill) -> Self {
        Self { shelf: Arc::clone(shelf), key: key.into(), fill: Some(fill) }
    }

    /// What keeps it from ending while its computation runs.
    pub(super) fn renewal(&self) -> Option<Renewal<L>> {
        self.fill.as_ref().map(|fill| Renewal::new(&self.shelf, &self.key, fill))
    }
}

/// What became of a result.
#[derive(Clone, Copy)]
enum Kept {
    /// It is stored, and valid.
    Stored,
    /// It was not to be stored, and nothing happened meanwhile.
    Released,
    /// Something was written or invalidated since the computation began.
    Fenced,
    /// The store failed.
    Fault,
}

impl<L: Door, V: Keepable> Call<'_, L, V> {
    /// Stores a result if it is to be stored, hands it to those who waited if it may be shared, and
    /// gives it back.
    pub(super) async fn settle<E>(
        &self,
        leading: Leading<L>,
        result: Result<V, E>,
    ) -> Result<Arc<V>, E>
    where
        E: Clone + Send + Sync + 'static,
    {
        let Leading { renewing, right, ticket, lease, began } = leading;
        let tally = self.shelf.space.filling(None);
        if result.is_ok() {
            tally.computed(self.shelf.client.link().now().saturating_sub(began));
        }
        let result = result.map(Arc::new);
        let is_shared = match right {
            None => true,
            Some(right) => {
                drop(renewing);
                let kept = self.keep(right, result.as_ref().ok()).await;
                match (ticket, kept) {
                    (Some(ticket), Kept::Stored | Kept::Fenced) => ticket.succeed(),
                    (ticket, _) => drop(ticket),
                }
                matches!(kept, Kept::Stored | Kept::Released)
            }
        };
        if is_shared {
            lease.settle(match &result {
                Ok(value) => Outcome::Value(Arc::<V>::clone(value)),
                Err(error) => Outcome::Error(Arc::new(error.clone())),
            });
        }
        result
    }

    async fn keep(&self, mut right: Right<L>, value: Option<&Arc<V>>) -> Kept {
        let Shelf { client, space, server, codec, .. } = &**self.shelf;
        let tally = space.filling(None);
        let wanted =
            value.filter(|value| self.freshness.spans().is_some() && self.terms.wants(value));
        let to_store = wanted.and_then(|value| {
            let late = self.terms.late_tags(value);
            let written = codec.to_bytes(OPERATION, &self.physical, &**value);
            Some((late, written.inspect_err(|_| tally.error()).ok()?))
        });
        // Invariant 1: who comes from now on starts anew.
        server.fence(&self.physical);
        let Some(fill) = right.fill.clone() else { return Kept::Fault };
        let (kept, sizes) = match to_store {
            None => {
                // Those in other processes who wait do not take over one after the other.
                let is_nothing = |value: &Arc<V>| codec.is_nothing(OPERATION, &**value);
                let is_nothing = value.is_some_and(|it| !self.terms.wants(it) && is_nothing(it));
                let ending = if is_nothing { Ending::Nothing } else { Ending::Alone };
                (space.release(client, self.key, fill, Some(ending)).await, None)
            }
            Some((late, written)) => {
                let (bytes, sizes) = (written.bytes, (written.raw, written.packed));
                let filled = space.fill(client, self.key, fill, bytes, &self.freshness, &late);
                (filled.await, Some(sizes))
            }
        };
        right.fill = None;
        match (kept, sizes) {
            (Ok(true), Some((raw, packed))) => {
                tally.wrote(raw, packed);
                server.refreshes.forgive(&self.physical);
                Kept::Stored
            }
            (Ok(true), None) => Kept::Released,
            (Ok(false), _) => Kept::Fenced,
            (Err(_), _) => {
                tally.error();
                Kept::Fault
            }
        }
    }
}

impl<L: Door> Drop for Right<L> {
    fn drop(&mut self) {
        let Some(fill) = self.fill.take() else { return };
        let (shelf, key) = (Arc::clone(&self.shelf), std::mem::take(&mut self.key));
        L::leave(async move {
            // Where that fails too, the lease ends on its own.
            let _ = shelf.space.release(&shelf.client, &key, fill, None).await;
        });
    }
}
