//! What the links of one cache have in common: the server, the deadline, the breaker.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cachine_redis::breaker::Breaker;
use cachine_redis::settings::{Address, Settings};
use pyo3::prelude::*;

/// Files of certificates to trust, of the client's certificate and of its key, and whether the
/// server's certificate is left unchecked.
type Tls = (Option<OsString>, Option<OsString>, Option<OsString>, bool);

/// A server, as the links of event loops need to know it. It shows no password to Python.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Endpoint {
    pub(super) settings: Settings,
    pub(super) timeout: Duration,
    pub(super) breaker: Arc<Breaker>,
}

impl Endpoint {
    /// The server of these settings; a whole call takes at most `timeout`.
    pub(crate) fn new(settings: Settings, timeout: Duration, breaker: Arc<Breaker>) -> Self {
        Self { settings: Settings { timeout, ..settings }, timeout, breaker }
    }
}

#[pymethods]
impl Endpoint {
    /// Host and port; nothing for a socket in the file system.
    #[getter]
    fn host(&self) -> Option<(&str, u16)> {
        match &self.settings.address {
            Address::Tcp(host, port) => Some((host, *port)),
            Address::Unix(_) => None,
        }
    }

    /// The path of a socket in the file system.
    #[getter]
    fn path(&self) -> Option<OsString> {
        match &self.settings.address {
            Address::Tcp(..) => None,
            Address::Unix(path) => Some(text(path)),
        }
    }

    /// What an `SSLContext` is to be made of; nothing for a connection in the clear.
    #[getter]
    fn tls(&self) -> Option<Tls> {
        let tls = self.settings.tls.as_ref()?;
        let file = |path: &Option<_>| path.as_deref().map(text);
        Some((file(&tls.ca_certs), file(&tls.certfile), file(&tls.keyfile), tls.is_unverified))
    }

    /// How long connecting may take, in seconds.
    #[getter]
    fn connect_timeout(&self) -> f64 {
        self.settings.connect_timeout.as_secs_f64()
    }
}

fn text(path: &Path) -> OsString {
    path.as_os_str().to_owned()
}
