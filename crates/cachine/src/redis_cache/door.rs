//! What differs between the caches of threads and of tasks: how they wait, and where work goes that
//! nobody waits for.

#[cfg(feature = "tokio")]
mod tasks;

use std::fmt;
use std::pin::pin;

use cachine_core::FlightId;
use cachine_core::clock::{Clock, Instant};
use cachine_core::error::{Error, ErrorKind};
use cachine_core::locks::Turn;
use cachine_redis::blocking::Blocking;
use cachine_redis::link::{Link, finish};
use cachine_redis::settings::Settings;

use crate::lock;
use crate::memory::{Kept, KeptWait};
use crate::read_through::{block, held};
use crate::redis_cache::renewal::{self, Renewal};
use crate::timetable::Listed;

/// A link, and how the callers of its cache live.
pub(super) trait Door: Link + fmt::Debug + Sized {
    /// Renews something until it is dropped.
    type Renewing: Send + Sync;

    /// Where work goes that nobody waits for.
    type Home: Send + Sync;

    /// A link that has not touched the network.
    fn open(settings: Settings) -> Self;

    /// Ends its connections.
    fn close(&self);

    /// Whether waiting for this computation could keep it from ever going on.
    fn would_stop(flight: FlightId) -> bool;

    /// Waits for the end of a computation; `None` where it left nothing for this caller.
    fn wait_for<V: Clone + 'static, E: Clone + 'static>(
        wait: &KeptWait<()>,
    ) -> impl Future<Output = Option<Result<V, E>>> + Send;

    /// Waits until a turn is first, or a time has come; whether it is first.
    fn wait_turn(
        turn: &Turn<Kept<()>>,
        until: Option<Instant>,
    ) -> impl Future<Output = bool> + Send;

    /// Renews something in the background.
    fn renew(renewal: Renewal<Self>) -> Self::Renewing;

    /// Does work that goes on when its caller is dropped.
    fn shield<T: Send + 'static>(
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send;

    /// Does work that somebody has no time to wait for, who is being dropped.
    fn leave(work: impl Future<Output = ()> + Send + 'static);

    /// Where the caller is at home, for [`leave_at`](Self::leave_at).
    fn home() -> Self::Home;

    /// The same as [`leave`](Self::leave), of somebody who may be dropped far from home.
    fn leave_at(home: &Self::Home, work: impl Future<Output = ()> + Send + 'static);
}

/// Runs an operation over a link that never waits outside of its poll.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    finish(pin!(work)).unwrap_or_else(|_| {
        let message = "a link for threads waited for something else: this is a defect of it";
        Err(Error::new(ErrorKind::Connection, "call", message))
    })
}

impl Door for Blocking {
    type Renewing = Listed;
    type Home = ();

    fn open(settings: Settings) -> Self {
        Self::new(settings, Clock::System)
    }

    fn close(&self) {
        self.close();
    }

    fn would_stop(flight: FlightId) -> bool {
        held::would_stop(flight)
    }

    async fn wait_for<V: Clone + 'static, E: Clone + 'static>(
        wait: &KeptWait<()>,
    ) -> Option<Result<V, E>> {
        block(wait)
    }

    async fn wait_turn(turn: &Turn<Kept<()>>, until: Option<Instant>) -> bool {
        lock::block(turn, until)
    }

    fn renew(renewal: Renewal<Self>) -> Listed {
        let every = renewal.every();
        renewal::enlist(every, move || run(async { Ok(renewal.once().await) }).unwrap_or(false))
    }

    fn shield<T: Send + 'static>(
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        work // It is done in one poll.
    }

    fn leave(work: impl Future<Output = ()> + Send + 'static) {
        // It takes no longer than a call may, and there is nobody else to do it.
        let _ = finish(work);
    }

    fn home() {}

    fn leave_at((): &(), work: impl Future<Output = ()> + Send + 'static) {
        Self::leave(work);
    }
}
