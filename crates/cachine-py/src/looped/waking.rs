//! How a waiting operation is found again: a waker is a number in a list.
//!
//! Nearly all wake-ups come from within an event of the same driver, on the loop's thread, and the
//! turn that handles the event sees the list before it ends. One from anywhere else asks the loop for
//! a turn, through Python and by number: a waker holds no object of Python, because it may be dropped
//! on any thread and under the hub's lock.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::host::stay;

thread_local! {
    /// The driver whose event this thread handles; 0 for none.
    static TURN: Cell<u64> = const { Cell::new(0) };
}

/// The operations of one driver that can go on.
pub(super) struct Ready {
    /// The number of the driver in this process.
    pub(super) driver: u64,
    list: Mutex<Vec<u32>>,
    /// Whether the loop was asked for a turn that it did not begin yet.
    is_rung: AtomicBool,
}

/// Wakes one operation.
struct Bell {
    ready: Arc<Ready>,
    operation: u32,
}

/// Says which driver's event this thread handles, until it is dropped.
pub(super) struct Turn(u64);

impl Ready {
    pub(super) fn new() -> Arc<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            driver: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            list: Mutex::default(),
            is_rung: AtomicBool::new(false),
        })
    }

    /// Begins to handle an event.
    pub(super) fn enter(&self) -> Turn {
        self.is_rung.store(false, Ordering::Relaxed);
        Turn(TURN.replace(self.driver))
    }

    /// Moves the operations that can go on into an empty list.
    pub(super) fn take(&self, to: &mut Vec<u32>) {
        std::mem::swap(to, &mut self.list.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Lets go of what a burst left behind.
    pub(super) fn shrink(&self) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).shrink_to(64);
    }

    /// A waker for an operation.
    pub(super) fn waker(self: &Arc<Self>, operation: u32) -> Waker {
        Waker::from(Arc::new(Bell { ready: Arc::clone(self), operation }))
    }

    /// Asks the loop for a turn.
    #[cold]
    fn ring(&self) {
        static RING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if self.is_rung.swap(true, Ordering::Relaxed) {
            return;
        }
        Python::try_attach(|py| {
            let find = || Ok::<_, PyErr>(py.import("cachine._loop")?.getattr("ring")?.unbind());
            let rung = RING.get_or_try_init(py, find).and_then(|ring| {
                let number = self.driver.into_pyobject(py)?;
                stay::call(ring.bind(py), &number, py.None().bind(py))
            });
            if let Err(error) = rung {
                error.write_unraisable(py, None);
            }
        });
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let ready = &self.ready;
        ready.list.lock().unwrap_or_else(PoisonError::into_inner).push(self.operation);
        if TURN.get() != ready.driver {
            ready.ring();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}
