//! The door of tasks: they wait by awaiting, and what nobody waits for is a task of its own.

use std::future::pending;
use std::panic::resume_unwind;
use std::time::Duration;

use cachine_core::FlightId;
use cachine_core::clock::{Clock, Instant};
use cachine_core::locks::Turn;
use cachine_redis::settings::Settings;
use cachine_redis::tokio_link::Multiplexed;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::lock;
use crate::memory::{Kept, KeptWait};
use crate::read_through::wait_for;
use crate::redis_cache::door::Door;
use crate::redis_cache::renewal::Renewal;

/// Ends a task of the runtime when it is dropped.
pub(crate) struct Spawned(Option<AbortHandle>);

impl Drop for Spawned {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    Some(Handle::try_current().ok()?.spawn(work).abort_handle())
}

impl Door for Multiplexed {
    type Renewing = Spawned;
    type Home = Option<Handle>;

    fn open(settings: Settings) -> Self {
        Self::new(settings)
    }

    fn close(&self) {
        self.close();
    }

    fn would_stop(_: FlightId) -> bool {
        false // A task that waits keeps no other from going on.
    }

    fn wait_for<V: Clone + 'static, E: Clone + 'static>(
        wait: &KeptWait<()>,
    ) -> impl Future<Output = Option<Result<V, E>>> + Send {
        wait_for(wait)
    }

    async fn wait_turn(turn: &Turn<Kept<()>>, until: Option<Instant>) -> bool {
        let Some(until) = until else { return lock::wait(turn, None).await };
        let left = Duration::from_nanos(until.saturating_sub(Clock::System.now()));
        tokio::time::timeout(left, lock::wait(turn, None)).await.is_ok()
    }

    fn renew(renewal: Renewal<Self>) -> Spawned {
        Spawned(spawn(async move {
            let every = renewal.every();
            let mut pause = every;
            loop {
                tokio::time::sleep(pause).await;
                let began = Clock::System.now();
                if !renewal.once().await {
                    return;
                }
                let took = Duration::from_nanos(Clock::System.now().saturating_sub(began));
                pause = every.saturating_sub(took);
            }
        }))
    }

    async fn shield<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
        let Ok(runtime) = Handle::try_current() else { return work.await };
        match runtime.spawn(work).await {
            Ok(output) => output,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is ending, and this task with it.
                Err(_) => pending().await,
            },
        }
    }

    fn leave(work: impl Future<Output = ()> + Send + 'static) {
        spawn(work);
    }

    fn home() -> Option<Handle> {
        Handle::try_current().ok()
    }

    fn leave_at(home: &Option<Handle>, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = Self::home().as_ref().or(home.as_ref()) {
            runtime.spawn(work); // Dropped, if the runtime has ended.
        }
    }
}
