//! Locks of a cache in Redis: a turn in this process, then the server.
//!
//! ```text
//! turn ─► ask the server ─┬─ held ───► renewed every third of its ttl ─► given back, turn left
//!           ▲             └─ taken ─┐
//!           └───── a short pause ◄──┘
//! ```
//!
//! However many of a process wait for one lock, one of them asks the server for it.
//!
//! # Invariants
//!
//! 1. What the server gave is held by somebody or given back, whenever a caller is dropped.
//! 2. The turn is left after the lock was given back, and in any case.
//! 3. What was given back is not renewed.

mod guards;
mod standing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachine_core::clock::Instant;
use cachine_core::error::{Error, ErrorKind};
use cachine_core::locks::Turn;
use cachine_redis::client::{Hold, Locked};

use crate::lock::{LockOptions, Lost, until};
use crate::memory::Kept;
use crate::redis_cache::door::Door;
use crate::redis_cache::pauses::Pauses;
use crate::redis_cache::renewal::Renewal;
use crate::redis_cache::shelf::Shelf;

#[cfg(feature = "tokio")]
pub use guards::AsyncRedisLock;
pub use guards::RedisLock;
pub(super) use standing::Standing;

/// A lock that the server gave.
pub(super) struct Held<L: Door> {
    shelf: Arc<Shelf<L>>,
    name: Box<str>,
    token: u64,
    standing: Arc<Standing>,
    home: L::Home,
    /// `None` once it was given back.
    hold: Option<Hold>,
    renewing: Option<L::Renewing>,
    turn: Option<Turn<Kept<()>>>,
}

impl<L: Door> Shelf<L> {
    /// Takes a lock.
    pub(super) async fn lock(
        self: &Arc<Self>,
        name: &str,
        options: LockOptions,
    ) -> Result<Held<L>, Error> {
        options.check()?;
        self.space.check(name, "lock")?;
        let (ttl, until) = (whole_milliseconds(options.ttl), until(options.timeout));
        let turn = self.server.turn(self.space.namespace().lock(name).as_bytes());
        if !L::wait_turn(&turn, until).await {
            return Err(options.not_free(name));
        }
        let mut pauses = Pauses::new();
        loop {
            let left = match self.try_lock(name, ttl).await? {
                Ok(held) => return Ok(held.keep(turn)),
                Err(left) => left,
            };
            let wait = wait(&mut pauses, left, until, self.client.link().now());
            let Some(wait) = wait else { return Err(options.not_free(name)) };
            self.client.link().sleep(wait).await.map_err(|fault| {
                Error::new(ErrorKind::Connection, "lock", fault.text) // A signal has come.
            })?;
        }
    }

    /// Asks once; where somebody else holds it, for how long at least unless they let go. Invariant
    /// 1: what comes of it is given back if nobody is there any more to take it.
    async fn try_lock(
        self: &Arc<Self>,
        name: &str,
        ttl: Duration,
    ) -> Result<Result<Held<L>, Duration>, Error> {
        let (shelf, name) = (Arc::clone(self), Box::<str>::from(name));
        L::shield(async move {
            let began = shelf.client.link().now();
            Ok(match shelf.space.lock(&shelf.client, &name, ttl).await? {
                Locked::Held(hold) => Ok(Held {
                    home: L::home(),
                    token: hold.token(),
                    standing: Arc::new(Standing::new(ttl, began)),
                    hold: Some(hold),
                    renewing: None,
                    turn: None,
                    shelf,
                    name,
                }),
                Locked::Taken(left) => Err(left),
            })
        })
        .await
    }
}

impl<L: Door> Held<L> {
    /// From here on it is renewed.
    fn keep(mut self, turn: Turn<Kept<()>>) -> Self {
        self.turn = Some(turn);
        let renewal = self
            .hold
            .as_ref()
            .map(|hold| Renewal::of_lock(&self.shelf, &self.name, hold, &self.standing));
        self.renewing = renewal.map(L::renew);
        self
    }

    const fn token(&self) -> u64 {
        self.token
    }

    fn how_lost(&self) -> Option<Lost> {
        self.standing.how_lost(self.shelf.client.link().now())
    }

    /// Gives it back, and says how it had been lost.
    async fn release(mut self) -> Result<(), Error> {
        let lost = self.how_lost();
        let Some(work) = self.give_back() else { return Ok(()) };
        let is_gone = L::shield(work).await == Some(false);
        match lost.or(is_gone.then_some(Lost::Gone)) {
            Some(lost) => Err(lost.error(&self.name)),
            None => Ok(()),
        }
    }

    /// What is to be done at the end, once: whether it was still held, if the server says so.
    /// Invariants 2 and 3.
    fn give_back(&mut self) -> Option<impl Future<Output = Option<bool>> + Send + use<L>> {
        let hold = self.hold.take()?;
        drop(self.renewing.take());
        let (shelf, name) = (Arc::clone(&self.shelf), self.name.clone());
        let (standing, turn) = (Arc::clone(&self.standing), self.turn.take());
        Some(async move {
            // What a parent holds is not its child's to give back. Where the server does not
            // answer, the lock ends on its own; that was counted.
            let answer = if standing.is_of_a_parent() {
                None
            } else {
                shelf.space.unlock(&shelf.client, &name, &hold).await.ok()
            };
            drop(turn);
            answer
        })
    }

    fn show(&self, what: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(what)
            .field("name", &self.name)
            .field("namespace", &self.shelf.space.namespace().name())
            .field("token", &self.token)
            .field("is_lost", &self.how_lost().is_some())
            .finish_non_exhaustive()
    }
}

impl<L: Door> Drop for Held<L> {
    fn drop(&mut self) {
        if let Some(work) = self.give_back() {
            L::leave_at(&self.home, async move {
                work.await;
            });
        }
    }
}

/// A life as the server takes it: never longer than what was asked for, at least a millisecond.
fn whole_milliseconds(ttl: Duration) -> Duration {
    let whole = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(whole.max(1))
}

/// How long to pause before the next try; `None` where time is up.
fn wait(
    pauses: &mut Pauses,
    left: Duration,
    until: Option<Instant>,
    now: Instant,
) -> Option<Duration> {
    let wait = pauses.next(left);
    let Some(until) = until else { return Some(wait) };
    let rest = Duration::from_nanos(until.saturating_sub(now));
    (!rest.is_zero()).then(|| wait.min(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pause_is_longer_than_the_time_that_is_left() {
        let mut pauses = Pauses::new();
        let mut wait = |until, now| wait(&mut pauses, Duration::ZERO, until, now);
        assert!(wait(None, 0).is_some());
        assert_eq!(wait(Some(1_007), 1_000).unwrap().as_nanos(), 7);
        assert_eq!(wait(Some(1_000), 1_000), None);
    }

    #[test]
    fn a_life_is_cut_down_to_milliseconds() {
        for (ttl, whole) in [(1, 1), (1_999_999, 1), (2_000_000, 2)] {
            let life = whole_milliseconds(Duration::from_nanos(ttl));
            assert_eq!(life, Duration::from_millis(whole));
        }
        assert!(whole_milliseconds(Duration::MAX) > Duration::from_secs(1 << 50));
    }
}
