//! Signals that arrive while a thread waits for a server.

use std::cell::RefCell;

use pyo3::prelude::*;

thread_local! {
    /// What the handler of a signal raised while this thread waited.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Lets the handlers of signals run; whether the thread is to stop waiting.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is for one lifetime")]
pub(crate) fn interrupted() -> bool {
    let checked = Python::try_attach(|py| py.check_signals());
    let Some(Err(error)) = checked else { return false };
    RAISED.set(Some(error));
    true
}

/// What made this thread stop waiting, if a signal did.
pub(crate) fn raised() -> Option<PyErr> {
    RAISED.take()
}
