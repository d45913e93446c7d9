//! Where callers of one process meet.

use std::sync::{Arc, Mutex, MutexGuard};

use cachine_redis::client::Held;

/// The computation that is under way in a process.
#[derive(Default)]
pub(crate) struct Flights {
    last: Mutex<Option<Arc<Flight>>>,
    /// Whom somebody in any process was told to wait for last: only for what is broken on purpose.
    pub(crate) held: Mutex<Option<Held>>,
}

/// A computation that others may join until it is sealed.
pub(crate) struct Flight {
    key: usize,
    state: Mutex<Landing>,
}

#[derive(Default)]
struct Landing {
    is_sealed: bool,
    joined: usize,
    has_ended: bool,
    /// What those who joined get; they start anew if it is nothing.
    result: Option<Shared>,
}

/// What callers are given who have joined.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shared {
    Value(u64),
    /// Nothing, from the computation of this number.
    Nothing(u64),
}

impl Flights {
    /// Nobody joins an earlier one from now on.
    pub(crate) fn start(&self, flight: &Arc<Flight>) {
        *self.last.lock().unwrap() = Some(Arc::clone(flight));
    }

    /// The computation of a key that can be joined.
    pub(crate) fn open(&self, key: usize) -> Option<Arc<Flight>> {
        let flight = self.last.lock().unwrap().clone()?;
        let is_open = flight.key == key && !flight.state().is_sealed;
        is_open.then_some(flight)
    }

    /// Whether the last one has ended.
    pub(crate) fn has_landed(&self) -> bool {
        let flight = self.last.lock().unwrap();
        flight.as_ref().is_none_or(|flight| flight.state().has_ended)
    }

    /// Nothing comes of it any more: its process goes on, its call does not.
    pub(crate) fn abandon(&self) {
        if let Some(flight) = &*self.last.lock().unwrap() {
            flight.land(None);
        }
    }
}

impl Flight {
    pub(crate) fn new(key: usize) -> Arc<Self> {
        Arc::new(Self { key, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, Landing> {
        self.state.lock().unwrap()
    }

    pub(crate) fn join(&self) {
        self.state().joined += 1;
    }

    /// Nobody joins any more; whether somebody has.
    pub(crate) fn seal(&self) -> bool {
        let mut state = self.state();
        state.is_sealed = true;
        state.joined > 0
    }

    /// The first result counts.
    pub(crate) fn land(&self, result: Option<Shared>) {
        self.seal();
        let mut state = self.state();
        if !std::mem::replace(&mut state.has_ended, true) {
            state.result = result;
        }
    }

    pub(crate) fn result(&self) -> Option<Shared> {
        self.state().result
    }
}
