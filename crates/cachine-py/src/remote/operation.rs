//! One operation on a server, for a thread that waits or a task that will be told.
//!
//! The same method serves both doors. Without a place to answer to, the work is done at once over
//! the blocking link, detached from the interpreter. With one, a driver of the event loop polls it,
//! and the method returns the steps that Python takes for it.

use cachine::core::error::Error;
use cachine::redis::link;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors;
use crate::looped::{Finish, LoopDriver, Steps};
use crate::remote::signals;

/// Where the answer goes: a driver of an event loop, and a future of that loop.
pub(crate) type Place<'py> = Option<(Bound<'py, LoopDriver>, Bound<'py, PyAny>)>;

/// What a method returns: the answer, or the steps to take for it (None for none).
pub(crate) type Answer = PyResult<Py<PyAny>>;

/// Does `$work`, an expression of a future that uses the client `$client`; `$then` makes of its
/// output what Python gets. Everything that both use is owned by them.
macro_rules! operate {
    ($py:expr, $server:expr, $place:expr, |$client:ident| $work:expr, $then:expr) => {{
        match $place {
            None => {
                let $client = $server.client();
                $crate::remote::operation::waited($py, async move { $work }, $then)
            }
            Some((driver, future)) => {
                let $client = std::sync::Arc::clone(&driver.get().client);
                let work = async move { $work };
                $crate::remote::operation::promised(&driver, &future, work, $then)
            }
        }
    }};
}

pub(crate) use operate;

/// The answer to a thread that waits.
pub(crate) fn waited<T: Send>(
    py: Python<'_>,
    work: impl Future<Output = Result<T, Error>> + Send,
    then: impl FnOnce(Python<'_>, T) -> Answer,
) -> Answer {
    let worked = py.detach(|| link::finish(work));
    if let Some(raised) = signals::raised() {
        // Whatever became of the work: a signal may have ended a part of it that could fail.
        return Err(raised);
    }
    match worked {
        Ok(Ok(output)) => then(py, output),
        Ok(Err(error)) => Err(errors::raise(py, &error)),
        Err(link::Pending) => Err(PyRuntimeError::new_err("a blocking link did not block")),
    }
}

/// The steps for a task that will be told.
pub(crate) fn promised<T: Send + 'static>(
    driver: &Bound<'_, LoopDriver>,
    future: &Bound<'_, PyAny>,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
    then: impl FnOnce(Python<'_>, T) -> Answer + Send + 'static,
) -> Answer {
    let work = Box::pin(async move { finish(work.await, then) });
    LoopDriver::start(driver, future, work).map(|steps| given(driver.py(), steps))
}

/// What a task is told, once it is told.
pub(crate) fn finish<T: Send + 'static>(
    output: Result<T, Error>,
    then: impl FnOnce(Python<'_>, T) -> Answer + Send + 'static,
) -> Finish {
    Box::new(move |py| match output {
        Ok(output) => then(py, output),
        Err(error) => Err(errors::raise(py, &error)),
    })
}

/// What the method returns to the glue.
pub(crate) fn given(py: Python<'_>, steps: Option<Steps<'_>>) -> Py<PyAny> {
    steps.map_or_else(|| py.None(), |steps| steps.into_any().unbind())
}
