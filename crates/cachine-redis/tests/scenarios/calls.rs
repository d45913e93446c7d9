//! A cached call: the real operations, put together as those put them that cache a function.
//!
//! The only place that knows how a right to compute is claimed, used and given back.

use cachine_core::error::Error;
use cachine_redis::client::{Claim, Ending, Fill, Held, Look, Nothing, Want};

use crate::damage::Damage;
use crate::flights::{Flight, Shared};
use crate::link::{GIVE_UP, Need};
use crate::programs::{Actor, LEASE, Outcome, listed, payload};
use crate::scenario::{Comes, KEYS};
use crate::snapshot::number;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) key: usize,
    /// The number of what it makes.
    pub(crate) id: u64,
    /// What its own computation comes to.
    pub(crate) comes: Comes,
    /// The value that its caller has already, which it refreshes.
    stale: Option<u64>,
    is_forced: bool,
}

impl Wish {
    pub(crate) const fn new(key: usize, id: u64, comes: Comes) -> Self {
        Self { key, id, comes, stale: None, is_forced: false }
    }
}

impl Actor {
    /// A second caller in the process of the first client. A9: what it is given was seen to be valid
    /// after it had joined.
    pub(crate) async fn join(&self, wish: Wish) -> Result<Outcome, Error> {
        self.port.ask(Need::Fly { key: wish.key }).await;
        if let Some(flight) = self.flights.open(wish.key) {
            flight.join();
            self.port.ask(Need::Land).await;
            match flight.result() {
                Some(Shared::Value(value)) => return Ok(Outcome::Value(value)),
                Some(Shared::Nothing(of)) => return Ok(Outcome::Nothing(of)),
                None => {}
            }
        }
        self.call(wish).await
    }

    /// A hit; a stale hit, and a refresh behind it; or a miss.
    pub(crate) async fn call(&self, mut wish: Wish) -> Result<Outcome, Error> {
        wish.stale = match self.look(wish.key).await? {
            Look::Fresh(stored) => return Ok(Outcome::Value(number(&stored))),
            Look::Stale(stored) => Some(number(&stored)),
            Look::Missing => None,
        };
        if let Some(value) = wish.stale {
            self.port.answered(value);
        }
        self.fly(wish).await
    }

    /// A computation whatever stands: what began before it is out of date by now.
    pub(crate) async fn refresh(&self, mut wish: Wish) -> Result<Outcome, Error> {
        wish.is_forced = true;
        self.client.fence(&self.layout.names, KEYS[wish.key]).await?;
        self.fly(wish).await
    }

    /// Lets others join.
    async fn fly(&self, wish: Wish) -> Result<Outcome, Error> {
        let flight = Flight::new(wish.key);
        if self.is_first {
            self.flights.start(&flight);
        }
        let outcome = self.lead(wish, &flight).await;
        flight.land(None);
        outcome
    }

    /// Computes, or waits for who does.
    async fn lead(&self, wish: Wish, flight: &Flight) -> Result<Outcome, Error> {
        let mut is_shared = self.scenario.shape.is_shared || wish.stale.is_some();
        let mut awaited = None;
        loop {
            let claim = self.claim(wish, is_shared, awaited.as_ref()).await?;
            match (claim, wish.stale) {
                (Claim::Found(stored), _) => {
                    self.share_found(wish.key, flight).await?;
                    return Ok(Outcome::Value(number(&stored)));
                }
                (Claim::Compute(fill), _) => return self.compute(wish, fill, flight).await,
                (Claim::Nothing(nothing), _) => {
                    let of = self.port.found().maker.expect("an ending is that of a call");
                    self.share_nothing(wish.key, of, &nothing, flight).await?;
                    return Ok(Outcome::Nothing(of));
                }
                // Somebody else refreshes.
                (Claim::Held(_), Some(value)) => return Ok(Outcome::Value(value)),
                (Claim::Held(held), None) => {
                    *self.flights.held.lock().unwrap() = Some(held.clone());
                    awaited = Some(held).filter(|_| !wish.is_forced);
                    if self.port.ask(Need::Wait { key: wish.key }).await != GIVE_UP {
                        continue;
                    }
                    if !self.habits.adopts {
                        self.port.ask(Need::Compute { key: wish.key, is_own: false }).await;
                        return Ok(Outcome::Unstored(wish.id));
                    }
                    is_shared = false;
                }
            }
        }
    }

    pub(crate) async fn claim(
        &self,
        wish: Wish,
        is_shared: bool,
        awaited: Option<&Held>,
    ) -> Result<Claim, Error> {
        let (shape, key, damage) = (&self.scenario.shape, wish.key, self.habits.damage);
        let somebody = self.flights.held.lock().unwrap().clone();
        let want = Want {
            tags: &listed(&shape.known[key]),
            has_late_tags: !shape.late[key].is_empty(),
            is_shared: is_shared && damage != Some(Damage::NobodyWaits),
            is_forced: wish.is_forced || damage == Some(Damage::ClaimsWithoutLook),
            lease: LEASE,
            awaited: match damage {
                Some(Damage::EndingOfAnybody) => somebody.as_ref(),
                Some(Damage::ForgetsWhomItAwaited) => None,
                _ => awaited,
            },
        };
        Box::pin(self.before_damaged_claim(key)).await;
        self.client.claim(&self.layout.names, KEYS[key], want).await
    }

    /// Uses a right to compute.
    async fn compute(&self, wish: Wish, fill: Fill, flight: &Flight) -> Result<Outcome, Error> {
        self.port.ask(Need::Compute { key: wish.key, is_own: fill.is_own() }).await;
        if self.habits.renews {
            self.client.renew(&self.layout.names, KEYS[wish.key], &fill, LEASE).await?;
        }
        self.port.ask(Need::Computed).await;
        if wish.comes != Comes::Error {
            flight.seal();
        }
        let stands = self.settle(wish, fill).await?;
        let is_trusted = self.habits.damage == Some(Damage::JoinTrustsFlight);
        let shared = match wish.comes {
            Comes::Value => Some(Shared::Value(wish.id)),
            Comes::Error => None,
            Comes::Nothing => Some(Shared::Nothing(wish.id)),
        };
        flight.land(shared.filter(|_| stands || is_trusted));
        let is_stored = wish.comes == Comes::Value && !self.refuses;
        let outcome = if is_stored { Outcome::Value } else { Outcome::Unstored };
        Ok(outcome(wish.id))
    }

    /// Ends a computation; whether its result may be shared.
    async fn settle(&self, wish: Wish, fill: Fill) -> Result<bool, Error> {
        if let Some(outcome) = Box::pin(self.settle_damaged(wish, &fill)).await {
            return outcome;
        }
        let (names, key) = (&self.layout.names, KEYS[wish.key]);
        match wish.comes {
            Comes::Error => self.client.end(names, key, fill, Ending::Alone).await,
            Comes::Nothing => self.client.end(names, key, fill, Ending::Nothing).await,
            // Its result is not to be stored; or it was cancelled, though its caller goes on here.
            Comes::Value if self.refuses => match self.habits.leaves {
                Some(ending) => self.client.end(names, key, fill, ending).await,
                None => self.client.release(names, key, fill).await,
            },
            Comes::Value => {
                let late = listed(&self.scenario.shape.late[wish.key]);
                self.client.fill(names, key, fill, payload(wish.id), self.life(), &late).await
            }
        }
    }

    async fn look(&self, key: usize) -> Result<Look, Error> {
        let known = listed(&self.scenario.shape.known[key]);
        self.client.look(&self.layout.names, KEYS[key], &known).await
    }

    /// Hands on what was found: read again, if somebody has joined.
    async fn share_found(&self, key: usize, flight: &Flight) -> Result<(), Error> {
        if flight.seal()
            && let Look::Fresh(stored) = self.look(key).await?
        {
            flight.land(Some(Shared::Value(number(&stored))));
        }
        Ok(())
    }

    /// The same with nothing.
    async fn share_nothing(
        &self,
        key: usize,
        of: u64,
        nothing: &Nothing,
        flight: &Flight,
    ) -> Result<(), Error> {
        let damage = self.habits.damage;
        let is_early = damage == Some(Damage::NothingSharedBeforeSeal);
        let early = is_early && self.is_nothing(key, nothing).await?;
        self.port.ask(Need::Pause).await;
        if flight.seal() {
            let is_current = match damage {
                Some(Damage::NothingSharedUnseen) => true,
                Some(Damage::NothingSharedBeforeSeal) => early,
                _ => self.is_nothing(key, nothing).await?,
            };
            flight.land(is_current.then_some(Shared::Nothing(of)));
        }
        Ok(())
    }

    async fn is_nothing(&self, key: usize, nothing: &Nothing) -> Result<bool, Error> {
        self.client.is_nothing(&self.layout.names, KEYS[key], nothing).await
    }
}
