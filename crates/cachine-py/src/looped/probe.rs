//! Commands that tests send through the link of a loop, below every operation of a cache.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unused_self,
    reason = "methods as Python calls them"
)]

use std::ffi::OsString;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cachine_redis::breaker::Breaker;
use cachine_redis::link::{Batch, Cause, Class, Fault, Link, Node};
use cachine_redis::settings::{Address, Settings, Tls};
use pyo3::exceptions::{PyConnectionError, PyException, PyPermissionError, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};
use redis::Value;

use super::{Endpoint, Finish, LoopDriver, Outcome, Steps};

/// A server of a test.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct LoopProbe {
    endpoint: Py<Endpoint>,
}

type Certificates = (Option<OsString>, Option<OsString>, Option<OsString>, bool);

#[pymethods]
impl LoopProbe {
    #[new]
    #[pyo3(signature = (host="127.0.0.1", port=0, *, path=None, password=None, tls=None,
        timeout=1.0, connect_timeout=1.0))]
    #[expect(clippy::too_many_arguments, reason = "the settings of a server")]
    fn new(
        py: Python<'_>,
        host: &str,
        port: u16,
        path: Option<OsString>,
        password: Option<String>,
        tls: Option<Certificates>,
        timeout: f64,
        connect_timeout: f64,
    ) -> PyResult<Self> {
        let address = match path {
            Some(path) => Address::Unix(PathBuf::from(path)),
            None => Address::Tcp(host.to_owned(), port),
        };
        let tls = tls.map(|(ca_certs, certfile, keyfile, is_unverified)| Tls {
            ca_certs: ca_certs.map(PathBuf::from),
            certfile: certfile.map(PathBuf::from),
            keyfile: keyfile.map(PathBuf::from),
            is_unverified,
        });
        let connect_timeout = Duration::from_secs_f64(connect_timeout);
        let settings = Settings { address, password, tls, connect_timeout, ..Settings::default() };
        let timeout = Duration::from_secs_f64(timeout);
        let endpoint = Endpoint::new(settings, timeout, Arc::new(Breaker::default()));
        Ok(Self { endpoint: Py::new(py, endpoint)? })
    }

    #[getter]
    fn endpoint(&self, py: Python<'_>) -> Py<Endpoint> {
        self.endpoint.clone_ref(py)
    }

    /// Sends one command; its reply, or an exception for a fault.
    #[pyo3(signature = (driver, future, words, timeout=20.0))]
    fn _send<'py>(
        &self,
        driver: &Bound<'py, LoopDriver>,
        future: &Bound<'py, PyAny>,
        words: Vec<Bound<'py, PyBytes>>,
        timeout: f64,
    ) -> PyResult<Option<Steps<'py>>> {
        let mut command = redis::Cmd::new();
        for word in &words {
            command.arg(word.as_bytes());
        }
        let batch = Batch::one(Class::Idempotent, &command);
        LoopDriver::start(driver, future, Box::pin(send(driver, batch, timeout)))
    }

    /// Sends one command, and another when nobody waits for the reply to the first any more.
    fn _send_careful<'py>(
        &self,
        driver: &Bound<'py, LoopDriver>,
        future: &Bound<'py, PyAny>,
        words: Vec<Bound<'py, PyBytes>>,
        orphaned: Vec<Bound<'py, PyBytes>>,
    ) -> PyResult<Option<Steps<'py>>> {
        let batch = |words: &[Bound<'_, PyBytes>]| {
            let mut command = redis::Cmd::new();
            for word in words {
                command.arg(word.as_bytes());
            }
            Batch::one(Class::Once, &command)
        };
        let first = send(driver, batch(&words), 20.0);
        let second = send(driver, batch(&orphaned), 20.0);
        let work = async move { Outcome { finish: first.await, orphaned: Some(Box::pin(second)) } };
        LoopDriver::start_careful(driver, future, Box::pin(work))
    }

    /// Sends one command several times in one batch; the replies.
    #[pyo3(signature = (driver, future, words, count, timeout=20.0))]
    fn _send_many<'py>(
        &self,
        driver: &Bound<'py, LoopDriver>,
        future: &Bound<'py, PyAny>,
        words: Vec<Bound<'py, PyBytes>>,
        count: usize,
        timeout: f64,
    ) -> PyResult<Option<Steps<'py>>> {
        let mut command = redis::Cmd::new();
        for word in &words {
            command.arg(word.as_bytes());
        }
        let mut batch = Batch::new(Class::Idempotent);
        (0..count).for_each(|_| batch.push(&command));
        LoopDriver::start(driver, future, Box::pin(send(driver, batch, timeout)))
    }

    /// Waits.
    fn _sleep<'py>(
        &self,
        driver: &Bound<'py, LoopDriver>,
        future: &Bound<'py, PyAny>,
        seconds: f64,
    ) -> PyResult<Option<Steps<'py>>> {
        let client = Arc::clone(&driver.get().client);
        let work = async move {
            let slept = client.link().sleep(Duration::from_secs_f64(seconds)).await;
            let finish: Finish = Box::new(move |py| slept.map(|()| py.None()).map_err(raise));
            finish
        };
        LoopDriver::start(driver, future, Box::pin(work))
    }

    /// Panics once a reply has come.
    fn _panic<'py>(
        &self,
        driver: &Bound<'py, LoopDriver>,
        future: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Steps<'py>>> {
        let work = send(driver, Batch::one(Class::Idempotent, &redis::cmd("PING")), 20.0);
        let work = async move {
            let finish = work.await;
            assert!(std::hint::black_box(false), "as the test asked for");
            finish
        };
        LoopDriver::start(driver, future, Box::pin(work))
    }

    /// Waits until another thread wakes it.
    fn _ring<'py>(
        &self,
        driver: &Bound<'py, LoopDriver>,
        future: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Steps<'py>>> {
        let mut thread = None;
        let work = std::future::poll_fn(move |context| {
            if thread.is_some() {
                return std::task::Poll::Ready(());
            }
            let waker = context.waker().clone();
            thread = std::thread::Builder::new().spawn(move || waker.wake()).ok();
            std::task::Poll::Pending
        });
        let work = async move {
            work.await;
            let finish: Finish = Box::new(|py| Ok(py.None()));
            finish
        };
        LoopDriver::start(driver, future, Box::pin(work))
    }
}

fn send(
    driver: &Bound<'_, LoopDriver>,
    batch: Batch,
    timeout: f64,
) -> impl Future<Output = Finish> + Send + use<> {
    let client = Arc::clone(&driver.get().client);
    async move {
        let link = client.link();
        let timeout = cachine::core::clock::nanoseconds(Duration::from_secs_f64(timeout));
        let replies = link.call(Node(0), &batch, link.now().saturating_add(timeout)).await;
        let finish: Finish = match replies {
            Ok(replies) if batch.len() == 1 => {
                let reply = replies.one();
                Box::new(move |py| convert(py, reply))
            }
            Ok(replies) => Box::new(move |py| {
                let replies = replies.into_vec();
                let replies = replies.into_iter().map(|reply| convert(py, reply));
                let replies = replies.collect::<PyResult<Vec<_>>>()?;
                Ok(replies.into_pyobject(py)?.unbind())
            }),
            Err(fault) => Box::new(move |_| Err(raise(fault))),
        };
        finish
    }
}

fn convert(py: Python<'_>, reply: Value) -> PyResult<Py<PyAny>> {
    Ok(match reply {
        Value::Nil => py.None(),
        Value::Int(number) => PyInt::new(py, number).into_any().unbind(),
        Value::BulkString(bytes) => PyBytes::new(py, &bytes).into_any().unbind(),
        Value::Okay => PyBytes::new(py, b"OK").into_any().unbind(),
        Value::ServerError(error) => return Err(PyException::new_err(error.to_string())),
        other => format!("{other:?}").into_pyobject(py)?.into_any().unbind(),
    })
}

fn raise(fault: Fault) -> PyErr {
    let text = format!("sent={:?}: {}", fault.sent, fault.text);
    match fault.cause {
        Cause::Deadline | Cause::Busy => PyTimeoutError::new_err(text),
        Cause::Connection => PyConnectionError::new_err(text),
        Cause::Refused => PyPermissionError::new_err(text),
        Cause::Interrupted => PyException::new_err(text),
    }
}
