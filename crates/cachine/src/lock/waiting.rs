//! Waiting for a turn: as a thread, and as a task of whatever runtime.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use cachine_core::clock::{Clock, Instant};
use cachine_core::locks::Turn;

use crate::memory::Kept;
use crate::read_through::Parked;
use crate::timetable::Timetable;

/// Blocks until a turn is first, or a time has come; whether it is first.
pub(crate) fn block<S: 'static>(turn: &Turn<Kept<S>>, until: Option<Instant>) -> bool {
    let is_waiting = || turn.register(Waker::from(Arc::new(Parked(thread::current())))).is_ok();
    if turn.is_first() || left(until).is_some_and(|left| left.is_zero()) || !is_waiting() {
        return turn.is_first();
    }
    loop {
        // Others may unpark this thread too: what counts is whose turn it is.
        match left(until) {
            None => thread::park(),
            Some(left) => thread::park_timeout(left),
        }
        if turn.is_first() {
            return true;
        }
        if left(until).is_some_and(|left| left.is_zero()) {
            return false;
        }
    }
}

/// Waits until a turn is first, or a time has come; whether it is first.
pub(crate) async fn wait<S: 'static>(turn: &Turn<Kept<S>>, until: Option<Instant>) -> bool {
    static ALARMS: Timetable = Timetable::new("cachine-alarm");
    let mut alarm = None;
    poll_fn(|context| {
        let left = left(until);
        if turn.is_first() {
            return Poll::Ready(true);
        }
        if left.is_some_and(|left| left.is_zero()) {
            return Poll::Ready(false);
        }
        if turn.register(context.waker().clone()).is_err() {
            return Poll::Ready(turn.is_first()); // It came between the two looks.
        }
        // Not every runtime has a timer, and none is asked here: this wakes the task in time.
        alarm = left.map(|left| {
            let waker = context.waker().clone();
            ALARMS.add(left, move || {
                waker.wake_by_ref();
                false
            })
        });
        Poll::Pending
    })
    .await
}

/// How long it is until then.
fn left(until: Option<Instant>) -> Option<Duration> {
    until.map(|until| Duration::from_nanos(until.saturating_sub(Clock::System.now())))
}
