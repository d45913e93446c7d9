//! What a read through a cache in Redis means, for threads and tasks alike.
//!
//! ```text
//! look ─┬─ fresh ─────────────────────────────► the value
//!       ├─ stale ─────────────────────────────► the value; one refresh in this process
//!       └─ nothing ─► flight ─┬─ wait ────────► what the leader got, if it may be shared
//!                             └─ lead ─► claim ─┬─ found ──► the value
//!                                               ├─ held ───► a pause, and claim again
//!                                               └─ compute ─► fence, fill ─► the value
//! ```
//!
//! A store that fails never breaks a computation: it then runs without the right to store.
//!
//! # Invariants
//!
//! 1. A value is shared with those who waited only if it was seen to be valid after the last of them
//!    had joined: the flight is fenced first, so that nobody joins any more, then the store is asked.
//! 2. A right that was claimed is used, given back, or lives no longer than its lease.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use cachine_core::FlightId;
use cachine_core::clock::Instant;
use cachine_core::error::{Error, ErrorKind};
use cachine_core::stats::Counted;
use cachine_redis::client::{Claim, Held as Holder, Look, Nothing, Want};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Freshness;
use crate::memory::{KeptLease, Outcome};
use crate::read_through::held::Held;
use crate::read_through::{ReadThrough, Sealed, Terms};
use crate::redis_cache::compute::Compute;
use crate::redis_cache::door::Door;
use crate::redis_cache::pauses::Pauses;
use crate::redis_cache::refreshes::Ticket;
use crate::redis_cache::server::Begun;
use crate::redis_cache::settling::{Leading, Right};
use crate::redis_cache::shelf::Shelf;
use crate::space::LEASE;

pub(super) const OPERATION: &str = "get_or_compute";

/// How long a computation inside another one waits at most for somebody else's: longer, and two
/// that wait for each other would never end.
const NESTED_WAIT: Duration = Duration::from_secs(5);

/// A value that can be kept as bytes, and shared by those who wait for it.
pub(super) trait Keepable:
    Serialize + DeserializeOwned + Clone + Send + Sync + 'static
{
}
impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Keepable for T {}

/// One call on its way through a cache.
pub(super) struct Call<'a, L: Door, V> {
    pub(super) shelf: &'a Arc<Shelf<L>>,
    pub(super) key: &'a str,
    pub(super) physical: Vec<u8>,
    pub(super) terms: &'a Terms<V>,
    pub(super) freshness: Freshness,
    /// Whether a stale value is refreshed behind the back of its reader.
    in_background: bool,
    /// Whether the store answers.
    is_usable: bool,
    /// Whether what stands there can't be read, so that a fresh entry is none.
    is_forced: bool,
    /// For the caller who computes what others still get stale.
    ticket: Option<Ticket>,
}

/// What a look has found.
pub(super) enum Looked<V> {
    /// Return this.
    Value(V),
    /// Start a refresh, and return this.
    Refresh(V, Ticket),
    /// Compute.
    Missing,
}

/// A refresh on its way to where it runs: it owns what a call borrows.
pub(super) struct Refresh<L, V> {
    shelf: Arc<Shelf<L>>,
    key: Box<str>,
    terms: Terms<V>,
    freshness: Freshness,
}

/// What the server says to a claim.
enum Claimed<L: Door> {
    /// It was not asked, because it does not answer.
    Unasked,
    Right(Right<L>),
    Found(Vec<u8>),
    Held(Holder),
    /// Whom this caller waited for came to nothing, which is not stored.
    Nothing(Nothing),
}

/// What became of asking for the right to compute.
enum Led<L: Door, V> {
    Lead(Leading<L>),
    Found(V),
    /// Somebody else's process computes, and this call does not wait for it.
    Held,
    /// The server can't be asked. Nobody tells such callers what was invalidated, so they meet in a
    /// flight of their own: theirs is no value for those who could be told.
    CutOff,
}

impl<'a, L: Door, V: Keepable> Call<'a, L, V> {
    pub(super) fn new<R: Sealed>(
        shelf: &'a Arc<Shelf<L>>,
        key: &'a str,
        options: &'a ReadThrough<V, R>,
    ) -> Result<Self, Error> {
        shelf.space.check(key, OPERATION)?;
        let freshness = options.terms.freshness()?;
        Ok(Self::over(shelf, key, &options.terms, freshness, R::IN_BACKGROUND))
    }

    fn over(
        shelf: &'a Arc<Shelf<L>>,
        key: &'a str,
        terms: &'a Terms<V>,
        freshness: Freshness,
        in_background: bool,
    ) -> Self {
        let physical = shelf.space.physical(key);
        let (is_usable, is_forced, ticket) = (true, false, None);
        Self { shelf, key, physical, terms, freshness, in_background, is_usable, is_forced, ticket }
    }

    /// Where simultaneous callers of this process meet.
    fn flight(&self) -> Cow<'_, [u8]> {
        if self.is_usable {
            Cow::Borrowed(&self.physical)
        } else {
            // No key of a user's has this in it.
            Cow::Owned([&self.physical, &b"\0alone"[..]].concat())
        }
    }

    fn now(&self) -> Instant {
        self.shelf.client.link().now()
    }

    /// Counts an operation of the store that failed; what is no fault of the store is returned.
    fn survive(&self, error: Error) -> Result<(), Error> {
        if error.kind() == ErrorKind::Closed {
            return Err(error);
        }
        self.shelf.space.filling(None).error();
        Ok(())
    }

    fn read(&self, bytes: &[u8]) -> Option<V> {
        self.shelf.codec.of_bytes(OPERATION, &self.physical, bytes).ok()
    }

    /// The first look, which is all that a hit costs.
    pub(super) async fn look(&mut self) -> Result<Looked<V>, Error> {
        let Shelf { client, space, server, .. } = &**self.shelf;
        let tally = space.filling(None);
        let (bytes, is_stale) = match space.look(client, self.key, &self.terms.tags, None).await {
            Ok(Look::Missing) => return Ok(Looked::Missing),
            Ok(Look::Fresh(bytes)) => (bytes, false),
            Ok(Look::Stale(bytes)) => (bytes, true),
            Err(error) => {
                self.survive(error)?;
                tally.count(Counted::Miss);
                self.is_usable = false;
                return Ok(Looked::Missing);
            }
        };
        let Some(value) = self.read(&bytes) else {
            tally.undecoded();
            tally.count(Counted::Miss);
            self.is_forced = true;
            return Ok(Looked::Missing);
        };
        if !is_stale {
            return Ok(Looked::Value(value));
        }
        Ok(match Ticket::of(server, &self.physical) {
            None => Looked::Value(value),
            Some(ticket) if self.in_background => Looked::Refresh(value, ticket),
            // Nobody refreshes behind this caller's back, so it computes; others get what is stale.
            Some(ticket) => {
                self.ticket = Some(ticket);
                Looked::Missing
            }
        })
    }

    /// Computes, or waits for who does.
    pub(super) async fn compute<C, E>(
        mut self,
        compute: C,
        as_result: fn(C::Output) -> Result<V, E>,
    ) -> Result<Result<V, E>, Error>
    where
        C: Compute,
        E: Clone + Send + Sync + 'static,
    {
        let (mut is_alone, mut has_waited) = (false, false);
        loop {
            self.shelf.space.open(OPERATION)?;
            let share = self.terms.singleflight && !is_alone;
            let begun = self.shelf.server.begin(&self.flight(), share, Held::here().flights());
            let lease = match begun {
                Begun::Lease(lease) => lease,
                Begun::Wait(wait) if L::would_stop(wait.id()) => {
                    is_alone = true;
                    continue;
                }
                Begun::Wait(wait) => {
                    if !std::mem::replace(&mut has_waited, true) {
                        self.shelf.space.filling(None).count(Counted::Coalesced);
                    }
                    match L::wait_for(&wait).await {
                        Some(result) => return Ok(result),
                        None => continue,
                    }
                }
            };
            let leading = match self.lead(lease, true).await? {
                Led::Lead(leading) => leading,
                Led::Found(value) => return Ok(Ok(value)),
                Led::Held | Led::CutOff => continue,
            };
            let result = as_result(compute.run(leading.flight()).await);
            return Ok(self.settle(leading, result).await.map(Arc::unwrap_or_clone));
        }
    }

    /// Asks for the right to store; with `waits` until it can be had.
    async fn lead(&mut self, lease: KeptLease<()>, waits: bool) -> Result<Led<L, V>, Error> {
        // Named before the right is claimed, so that their invalidation from now on fences it.
        let tags = self.shelf.tag_names(&self.terms.tags);
        lease.declare(tags, self.terms.tags_from_result.is_some());
        // A computation that nobody joins, because it is beside one of its own, does not wait for
        // the right of that one either.
        let was_usable = self.is_usable;
        let mut is_shared = lease.is_joinable();
        // Two computations inside of others might be waiting for each other, in two processes.
        let is_nested = !Held::here().flights().is_empty();
        let mut waited = Duration::ZERO;
        let mut pauses = Pauses::new();
        let mut awaited = None;
        let right = loop {
            match self.claim(is_shared, awaited.clone()).await {
                Ok(Claimed::Unasked) => break None,
                Ok(Claimed::Right(right)) => break Some(right),
                Ok(Claimed::Held(_)) if !waits => return Ok(Led::Held),
                Ok(Claimed::Held(_)) if is_nested && waited > NESTED_WAIT => is_shared = false,
                Ok(Claimed::Held(holder)) => {
                    let left = holder.left;
                    awaited = Some(holder);
                    let pause = pauses.next(left);
                    if self.shelf.client.link().sleep(pause).await.is_err() {
                        break None;
                    }
                    waited += pause;
                }
                Ok(Claimed::Found(bytes)) => {
                    if let Some(value) = self.read(&bytes) {
                        self.share_found(lease).await;
                        return Ok(Led::Found(value));
                    }
                    self.shelf.space.filling(None).error();
                    self.is_usable &= !self.is_forced;
                    self.is_forced = true;
                }
                Ok(Claimed::Nothing(nothing)) => match self.shelf.codec.nothing::<V>(OPERATION) {
                    Some(value) => {
                        self.share_nothing(lease, &nothing, &value).await;
                        return Ok(Led::Found(value));
                    }
                    // To this type nothing is no value.
                    None => is_shared = false,
                },
                Err(error) => {
                    self.survive(error)?;
                    break None;
                }
            }
        };
        if right.is_none() && was_usable {
            self.is_usable = false;
            return Ok(Led::CutOff);
        }
        let renewing = right.as_ref().and_then(Right::renewal).map(L::renew);
        let ticket = self.ticket.take();
        Ok(Led::Lead(Leading::new(renewing, right, ticket, lease, self.now())))
    }

    /// Asks once. Invariant 2: what comes of it belongs to somebody, also when this is dropped while
    /// the server has the question.
    async fn claim(&self, is_shared: bool, awaited: Option<Holder>) -> Result<Claimed<L>, Error> {
        if !self.is_usable {
            return Ok(Claimed::Unasked);
        }
        let (shelf, key) = (Arc::clone(self.shelf), Box::<str>::from(self.key));
        let (tags, is_forced) = (self.terms.tags.clone(), self.is_forced);
        let has_late_tags = self.terms.tags_from_result.is_some();
        L::shield(async move {
            // Who computes on its own waits for nobody.
            let awaited = awaited.as_ref().filter(|_| is_shared);
            let tags = &tags[..];
            let want = Want { tags, has_late_tags, is_shared, is_forced, lease: LEASE, awaited };
            Ok(match shelf.space.claim(&shelf.client, &key, want).await? {
                Claim::Compute(fill) => Claimed::Right(Right::new(&shelf, &key, fill)),
                Claim::Found(bytes) => Claimed::Found(bytes),
                Claim::Held(holder) => Claimed::Held(holder),
                Claim::Nothing(nothing) => Claimed::Nothing(nothing),
            })
        })
        .await
    }

    /// Hands on what another process has stored. Those who joined after it was read have not seen
    /// what was invalidated since, so it is read again. Invariant 1.
    async fn share_found(&mut self, lease: KeptLease<()>) {
        let Shelf { client, space, server, .. } = &**self.shelf;
        if let Some(ticket) = self.ticket.take() {
            ticket.succeed();
        }
        server.fence(&self.physical);
        if lease.parties() == 0 {
            return;
        }
        let again = space.look_again(client, self.key, &self.terms.tags).await;
        if let Ok(Look::Fresh(bytes)) = again
            && let Some(value) = self.read(&bytes)
        {
            lease.settle(Outcome::Value(Arc::new(value)));
        }
    }

    /// The same for a computation of another process that came to nothing.
    async fn share_nothing(&self, lease: KeptLease<()>, nothing: &Nothing, value: &V) {
        let Shelf { client, space, server, .. } = &**self.shelf;
        server.fence(&self.physical);
        if lease.parties() == 0 {
            return;
        }
        if let Ok(true) = space.is_nothing(client, self.key, nothing).await {
            lease.settle(Outcome::Value(Arc::new(value.clone())));
        }
    }

    /// What a refresh takes along.
    pub(super) fn to_refresh(&self) -> Refresh<L, V> {
        let (shelf, key) = (Arc::clone(self.shelf), self.key.into());
        Refresh { shelf, key, terms: self.terms.clone(), freshness: self.freshness }
    }
}

impl<L: Door, V: Keepable> Refresh<L, V> {
    fn call(&self) -> Call<'_, L, V> {
        Call::over(&self.shelf, &self.key, &self.terms, self.freshness, true)
    }

    /// Asks for the right to compute; `None` where somebody else has it, or the store fails.
    pub(super) async fn lead(self, ticket: Ticket) -> Option<(FlightId, (Self, Leading<L>))> {
        let mut call = self.call();
        let Begun::Lease(lease) = self.shelf.server.begin(&call.physical, true, &[]) else {
            ticket.defer();
            return None;
        };
        call.ticket = Some(ticket);
        let led = call.lead(lease, false).await;
        if let (Ok(Led::Held), Some(ticket)) = (&led, call.ticket.take()) {
            ticket.defer();
        }
        let Ok(Led::Lead(leading)) = led else { return None };
        leading.may_store().then(|| (leading.flight(), (self, leading)))
    }

    /// Stores what was computed.
    pub(super) async fn settle<E>(self, leading: Leading<L>, result: Result<V, E>)
    where
        E: Clone + Send + Sync + 'static,
    {
        // Nobody waits for it here; who joined is told.
        drop(self.call().settle(leading, result).await);
    }
}
