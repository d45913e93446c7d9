//! From an error of the engine to an exception of Python.
//!
//! The classes are written in Python, where people read and document them; this is the one place
//! that knows which kind becomes which.

use cachine::core::error::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;

/// The exception for an error of the engine.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error.kind() {
        ErrorKind::InvalidKey => "InvalidKeyError",
        ErrorKind::UnkeyableArgument => "UnkeyableArgumentError",
        ErrorKind::Serialization => "SerializationError",
        ErrorKind::Deserialization => "DeserializationError",
        ErrorKind::Integrity => "IntegrityError",
        ErrorKind::Overflow => "CounterOverflowError",
        ErrorKind::Closed => "ClosedError",
        ErrorKind::Connection => "CacheConnectionError",
        ErrorKind::Timeout => "CacheTimeoutError",
        ErrorKind::Response => "ResponseError",
        // The kinds are non-exhaustive for other crates; a new one has to be added here, and is
        // a wrong option until then.
        ErrorKind::Config | _ => "ConfigError",
    };
    make(py, class, &error.to_string(), error.operation(), error.is_retryable())
}

/// An exception of `cachine.exceptions` by name.
pub(crate) fn make(
    py: Python<'_>,
    class: &str,
    message: &str,
    operation: &str,
    is_retryable: bool,
) -> PyErr {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let build = || {
        let module =
            MODULE.get_or_try_init(py, || py.import("cachine.exceptions").map(Bound::unbind))?;
        let exception = module.bind(py).getattr(class)?.call1((message,))?;
        exception.setattr("operation", operation)?;
        exception.setattr("retryable", is_retryable)?;
        Ok::<_, PyErr>(PyErr::from_value(exception))
    };
    build().unwrap_or_else(|error| error)
}

/// Lets an error of a cache go, which a read that computes what is missing takes for a miss; any
/// other is raised all the same.
pub(crate) fn forgive(py: Python<'_>, error: PyErr) -> PyResult<PyErr> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("cachine.exceptions")?.getattr("CacheError")?.unbind())
    })?;
    if error.is_instance(py, class.bind(py)) { Ok(error) } else { Err(error) }
}

/// Turns a result of the engine into one of Python.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raise(py, &error))
    }
}
