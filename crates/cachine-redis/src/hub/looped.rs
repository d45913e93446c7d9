//! The link over the hub: what an operation awaits.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use cachine_core::clock::{Instant, nanoseconds};

use super::Hub;
use super::place::Place;
use super::state::{Nap, fault};
use crate::link::{Batch, Cause, Fault, Link, Node, Replies, Sent};

/// The link of an event loop: it sends nothing by itself, it leaves batches with the [`Hub`], whose
/// bytes the loop carries.
#[derive(Clone, Debug)]
pub struct Looped {
    hub: Arc<Hub>,
}

/// A batch under way. Dropping it leaves its place in line behind, so that replies never shift; a
/// batch that was not written is taken back.
struct Call<'a> {
    hub: &'a Hub,
    node: Node,
    batch: &'a Batch,
    until: Instant,
    number: Option<u32>,
}

/// A wait under way.
struct Waiting<'a> {
    hub: &'a Hub,
    number: Option<u64>,
}

impl Looped {
    /// A link over a hub.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// The hub below.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Link for Looped {
    async fn call(&self, node: Node, batch: &Batch, until: Instant) -> Result<Replies, Fault> {
        if batch.is_empty() {
            return Ok(Replies::Many(Vec::new()));
        }
        Call { hub: &self.hub, node, batch, until, number: None }.await
    }

    async fn sleep(&self, pause: Duration) -> Result<(), Fault> {
        let until = self.now().saturating_add(nanoseconds(pause));
        let mut waiting = Waiting { hub: &self.hub, number: None };
        poll_fn(|context| waiting.poll(context, until)).await
    }

    fn now(&self) -> Instant {
        self.hub.clock.now()
    }
}

impl Future for Call<'_> {
    type Output = Result<Replies, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let hub = self.hub;
        let Some(number) = self.number else {
            let now = hub.clock.now();
            if self.until <= now {
                let text = "there was no time left to send the command".to_owned();
                return Poll::Ready(Err(fault(Sent::No, Cause::Deadline, text)));
            }
            let node = usize::from(self.node.0);
            let mut place = Place::new(node, self.batch.len(), now, self.until);
            place.waker = Some(context.waker().clone());
            let number = hub.lock().enqueue(place, self.batch, now, &hub.terms)?;
            self.number = Some(number);
            return Poll::Pending;
        };
        let mut state = hub.lock();
        let Some(place) = state.places.get_mut(number) else { return Poll::Pending };
        let Some(outcome) = place.outcome.take() else {
            let old = match &place.waker {
                Some(waker) if waker.will_wake(context.waker()) => None,
                _ => place.waker.replace(context.waker().clone()),
            };
            drop(state);
            drop(old);
            return Poll::Pending;
        };
        place.is_wanted = false;
        state.places.release(number);
        drop(state);
        self.number = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.hub.lock().leave(number);
        }
    }
}

impl Waiting<'_> {
    fn poll(&mut self, context: &Context<'_>, until: Instant) -> Poll<Result<(), Fault>> {
        let is_over = self.hub.clock.now() >= until;
        let mut state = self.hub.lock();
        if state.is_closed {
            let text = "the cache was closed".to_owned();
            return Poll::Ready(Err(fault(Sent::No, Cause::Interrupted, text)));
        }
        if is_over {
            return Poll::Ready(Ok(()));
        }
        let waker = context.waker().clone();
        let place =
            self.number.and_then(|number| state.naps.iter_mut().find(|nap| nap.number == number));
        if let Some(nap) = place {
            nap.waker = waker;
            return Poll::Pending;
        }
        state.last_nap += 1;
        let number = state.last_nap;
        self.number = Some(number);
        state.naps.push(Nap { number, until, waker });
        state.arm(until);
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.hub.lock().naps.retain(|nap| nap.number != number);
        }
    }
}
