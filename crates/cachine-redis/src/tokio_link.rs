//! A link for tasks of tokio: one connection for all of them, whose replies come in turn.
//!
//! The connection belongs to a task of its own, the *driver*, which connects, greets, writes what
//! callers hand over and gives out the replies. So a caller that is dropped, or runs out of time,
//! leaves nothing half done: its place among the replies outlives it. Nothing is made before the
//! first call, and each runtime gets a connection of its own, because a connection can't outlive
//! the runtime that drives it.
//!
//! # Invariants
//!
//! 1. A caller is told [`Sent::No`] only if not one byte of its batch leaves, now or later.
//! 2. A connection that let a caller wait in vain serves nobody again: what it still holds fails,
//!    and the next call connects anew.

mod driver;
mod line;
mod socket;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cachine_core::clock::{Clock, Instant};
use tokio::runtime::{Handle, Id};
use tokio::sync::{mpsc, oneshot};

use crate::link::{Batch, Cause, Fault, Link, Node, Replies, Sent};
use crate::settings::Settings;
use crate::tokio_link::driver::{Job, Order, Ticket};
use crate::tokio_link::wire::Plan;

/// Connections to one server, one for each runtime that it is called from.
pub struct Multiplexed {
    plan: Arc<Plan>,
    open: Mutex<HashMap<Id, Connection>>,
}

/// The way to a driver.
#[derive(Clone)]
struct Connection {
    orders: mpsc::UnboundedSender<Order>,
    number: u64,
}

impl Multiplexed {
    /// A link to the server of these settings. This touches neither the network nor a runtime.
    pub fn new(settings: Settings) -> Self {
        Self { plan: Arc::new(Plan::new(settings)), open: Mutex::default() }
    }

    /// Where it leads, and how.
    pub fn settings(&self) -> &Settings {
        &self.plan.settings
    }

    /// Ends every connection; what is under way on them fails. The next call connects anew.
    pub fn close(&self) {
        let open = std::mem::take(&mut *self.lock());
        for connection in open.into_values() {
            connection.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, sent: Sent, cause: Cause, what: &str) -> Fault {
        Fault { sent, ..self.plan.fault(cause, &what) }
    }

    /// The connection of the runtime that this runs in; a new one if there is none that lives.
    fn connection(&self, runtime: &Handle) -> Connection {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let mut open = self.lock();
        let id = runtime.id();
        if let Some(connection) = open.get(&id).filter(|connection| connection.is_open()) {
            return connection.clone();
        }
        open.retain(|_, connection| connection.is_open());
        let (orders, inbox) = mpsc::unbounded_channel();
        runtime.spawn(driver::drive(Arc::clone(&self.plan), inbox));
        let connection = Connection { orders, number: NUMBERS.fetch_add(1, Ordering::Relaxed) };
        open.insert(id, connection.clone());
        connection
    }

    /// Hands a batch to the driver.
    fn hand_over(&self, batch: &Batch) -> Result<(Connection, Ticket, Reply), Fault> {
        let Ok(runtime) = Handle::try_current() else {
            let what = "there is no tokio runtime here: await this in a task of one, or inside of \
                        its `block_on`";
            return Err(self.fault(Sent::No, Cause::Connection, what));
        };
        let (job, ticket, reply) = Job::new(batch);
        let mut order = Order::Job(job);
        // A driver may end between the look and the sending: then there is a new one to be had.
        for _ in 0..3 {
            let connection = self.connection(&runtime);
            match connection.orders.send(order) {
                Ok(()) => return Ok((connection, ticket, reply)),
                Err(mpsc::error::SendError(back)) => order = back,
            }
        }
        Err(self.fault(Sent::No, Cause::Connection, "connections end as soon as they begin"))
    }

    /// Ends a connection, unless another one has taken its place.
    fn suspect(&self, connection: &Connection) {
        self.lock().retain(|_, open| open.number != connection.number);
        connection.abort();
    }
}

type Reply = oneshot::Receiver<Result<Replies, Fault>>;

impl Connection {
    fn is_open(&self) -> bool {
        !self.orders.is_closed()
    }

    fn abort(&self) {
        // A driver that has ended needs no order to.
        let _ = self.orders.send(Order::Abort);
    }
}

impl Link for Multiplexed {
    async fn call(&self, _: Node, batch: &Batch, until: Instant) -> Result<Replies, Fault> {
        if batch.is_empty() {
            return Ok(Replies::Many(Vec::new()));
        }
        let (connection, ticket, reply) = self.hand_over(batch)?;
        let left = Duration::from_nanos(until.saturating_sub(self.now()));
        match tokio::time::timeout(left, reply).await {
            Ok(Ok(replies)) => replies,
            // The runtime that drove the connection has ended, or its task panicked.
            Ok(Err(_)) => Err(self.fault(ticket.withdraw(), Cause::Connection, "it was given up")),
            Err(_) => {
                let sent = ticket.withdraw();
                if sent == Sent::Maybe {
                    self.suspect(&connection); // Invariant 2.
                }
                Err(self.fault(sent, Cause::Deadline, "no answer in time"))
            }
        }
    }

    async fn sleep(&self, pause: Duration) -> Result<(), Fault> {
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn now(&self) -> Instant {
        Clock::System.now()
    }
}

impl fmt::Debug for Multiplexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexed").field("settings", self.settings()).finish_non_exhaustive()
    }
}

impl Drop for Multiplexed {
    fn drop(&mut self) {
        self.close();
    }
}
