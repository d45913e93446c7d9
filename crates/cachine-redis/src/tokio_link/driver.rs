//! The task that owns a connection: takes batches in, gives replies out.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use redis::Value;
use tokio::sync::{mpsc, oneshot};

use crate::link::{Batch, Cause, Fault, Replies, Sent};
use crate::tokio_link::line::Line;
use crate::tokio_link::wire::Plan;

/// What a driver is told.
pub(super) enum Order {
    /// Send this, and give its replies back.
    Job(Job),
    /// Serve nobody any more.
    Abort,
}

/// A batch on its way to the server.
pub(super) struct Job {
    bytes: Box<[u8]>,
    count: usize,
    ticket: Ticket,
    reply: oneshot::Sender<Result<Replies, Fault>>,
}

/// Whether a batch may still be withdrawn: decided once, by its caller or by the driver.
#[derive(Clone)]
pub(super) struct Ticket(Arc<AtomicU8>);

const QUEUED: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Ticket {
    fn decide(&self, state: u8) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.0.compare_exchange(QUEUED, state, success, failure).is_ok()
    }

    /// Sees to it that the batch is not sent; whether it is too late for that.
    pub(super) fn withdraw(&self) -> Sent {
        if self.decide(WITHDRAWN) { Sent::No } else { Sent::Maybe }
    }
}

impl Job {
    pub(super) fn new(batch: &Batch) -> (Self, Ticket, oneshot::Receiver<Result<Replies, Fault>>) {
        let (reply, replies) = oneshot::channel();
        let ticket = Ticket(Arc::new(AtomicU8::new(QUEUED)));
        let job =
            Self { bytes: batch.bytes().into(), count: batch.len(), ticket: ticket.clone(), reply };
        (job, ticket, replies)
    }
}

/// A place among the replies; it outlives its caller.
struct Place {
    count: usize,
    values: Vec<Value>,
    reply: oneshot::Sender<Result<Replies, Fault>>,
}

/// A connection that was greeted, and who waits for what.
struct Driver {
    line: Line,
    places: VecDeque<Place>,
}

/// Why a driver stops serving.
enum End {
    /// Nobody can call it any more.
    Deserted,
    /// A caller found its connection suspect, or it was closed.
    Aborted,
    /// The connection broke, or what came was no reply.
    Broken(io::Error),
}

/// Connects, and serves until there is a reason not to.
pub(super) async fn drive(plan: Arc<Plan>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let (fault, places) = match open(&plan).await {
        Err(fault) => (fault, VecDeque::new()),
        Ok(line) => {
            let mut driver = Driver { line, places: VecDeque::new() };
            let text = match poll_fn(|context| driver.poll(&mut orders, context)).await {
                End::Deserted => return,
                End::Aborted => "the connection was dropped, another call waited in vain".into(),
                End::Broken(error) => format!("the connection broke: {error}"),
            };
            let fault = plan.fault(Cause::Connection, &text);
            (Fault { sent: Sent::Maybe, ..fault }, driver.places)
        }
    };
    // First, so that whoever hears of it and tries again gets another connection.
    orders.close();
    for place in places {
        // Who does not listen any more needs no answer; here and below.
        let _ = place.reply.send(Err(fault.clone()));
    }
    let fault = Fault { sent: Sent::No, ..fault };
    while let Ok(order) = orders.try_recv() {
        if let Order::Job(job) = order {
            let _ = job.reply.send(Err(fault.clone()));
        }
    }
}

/// A connection that was greeted.
async fn open(plan: &Plan) -> Result<Line, Fault> {
    let limit = plan.settings.connect_timeout;
    tokio::time::timeout(limit, Line::open(plan)).await.unwrap_or_else(|_| {
        Err(plan.fault(Cause::Deadline, &format!("connecting took longer than {limit:?}")))
    })
}

impl Driver {
    /// Does what can be done now; ready when the connection has come to its end.
    fn poll(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        context: &mut Context<'_>,
    ) -> Poll<End> {
        while let Poll::Ready(order) = orders.poll_recv(context) {
            match order {
                Some(Order::Job(job)) => self.take(job),
                Some(Order::Abort) => return Poll::Ready(End::Aborted),
                None => return Poll::Ready(End::Deserted),
            }
        }
        match self.exchange(context) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(End::Broken(error)),
        }
    }

    fn take(&mut self, job: Job) {
        // Whoever was dropped meanwhile has not withdrawn, but wants nothing either.
        if job.reply.is_closed() || !job.ticket.decide(TAKEN) {
            return;
        }
        self.line.push(&job.bytes);
        let values = Vec::with_capacity(job.count);
        self.places.push_back(Place { count: job.count, values, reply: job.reply });
    }

    /// Writes and reads until both would have to wait.
    fn exchange(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.line.write(context)?;
        while let Some(value) = self.line.read(context)? {
            self.give(value)?;
        }
        Ok(())
    }

    fn give(&mut self, value: Value) -> io::Result<()> {
        let Some(place) = self.places.front_mut() else {
            return Err(io::Error::other("a reply came that nobody asked for"));
        };
        place.values.push(value);
        if place.values.len() < place.count {
            return Ok(());
        }
        if let Some(Place { count, mut values, reply }) = self.places.pop_front() {
            let one = if count == 1 { values.pop() } else { None };
            let _ = reply.send(Ok(one.map_or_else(|| Replies::Many(values), Replies::One)));
        }
        Ok(())
    }
}
