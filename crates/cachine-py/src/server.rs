//! A server as Python describes it, and this process's connections to it.
//!
//! Caches that wrap one another, or are views on one another, share this object. Threads use the
//! pool here; an event loop has connections of its own, see `looped`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cachine::Clock;
use cachine::redis::blocking::Blocking;
use cachine::redis::blocking::tls::check;
use cachine::redis::breaker::Breaker;
use cachine::redis::client::Client;
use cachine::redis::settings::{Address, Settings, Tls};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::OrRaise;
use crate::fork;
use crate::looped::Endpoint;

/// Where a server is, how it is greeted, and the pool of connections that threads use.
#[pyclass(frozen, weakref, module = "cachine._core")]
pub(crate) struct Server(pub(crate) Arc<Shared>);

/// What caches and event loops hold of a server.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) breaker: Arc<Breaker>,
    /// Taken by attached threads only, so that it is free when the process forks. A child gets a
    /// new client: the lock of the old pool may be held by a thread that does not exist there.
    client: Mutex<Arc<Client<Blocking>>>,
}

impl Shared {
    /// The client that threads of this process use.
    pub(crate) fn client(&self) -> Arc<Client<Blocking>> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Client<Blocking>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called in the child after a fork.
    pub(crate) fn forget_connections(&self) {
        let new = connect(&self.settings, &self.breaker);
        let old = std::mem::replace(&mut *self.lock(), new);
        old.link().forked();
    }
}

fn connect(settings: &Settings, breaker: &Arc<Breaker>) -> Arc<Client<Blocking>> {
    let link = Blocking::new(settings.clone(), Clock::System);
    let link = link.on_wait(Arc::new(crate::remote::signals::interrupted));
    Arc::new(Client::new(link, settings.timeout, Arc::clone(breaker)))
}

/// Certificates to trust, this client's certificate, its key, and whether nobody checks the server's.
type Files = (Option<PathBuf>, Option<PathBuf>, Option<PathBuf>, bool);

#[pymethods]
impl Server {
    /// The options are checked by the glue, which knows what the user called them.
    #[new]
    #[pyo3(signature = (host, port, unix_socket_path, db, username, password, tls,
        connect_timeout, timeout, max_connections))]
    #[expect(clippy::too_many_arguments, reason = "the options of a connection")]
    fn new(
        py: Python<'_>,
        host: String,
        port: u16,
        unix_socket_path: Option<PathBuf>,
        db: u32,
        username: Option<String>,
        password: Option<String>,
        tls: Option<Files>,
        connect_timeout: f64,
        timeout: f64,
        max_connections: usize,
    ) -> PyResult<Self> {
        let address = unix_socket_path.map_or(Address::Tcp(host, port), Address::Unix);
        let settings = Settings {
            address,
            database: db,
            username,
            password,
            tls: tls.map(|(ca_certs, certfile, keyfile, is_unverified)| Tls {
                ca_certs,
                certfile,
                keyfile,
                is_unverified,
            }),
            connect_timeout: Duration::from_secs_f64(connect_timeout),
            timeout: Duration::from_secs_f64(timeout),
            max_connections,
        };
        if let Some(tls) = &settings.tls {
            // A file that is of no use is told now, and not as a server that can't be reached.
            check(tls).or_raise(py)?;
        }
        let breaker = Arc::<Breaker>::default();
        let client = Mutex::new(connect(&settings, &breaker));
        let shared = Arc::new(Shared { settings, breaker, client });
        fork::watch_server(&shared);
        Ok(Self(shared))
    }

    /// The same for the links of event loops.
    #[getter]
    fn endpoint(&self) -> Endpoint {
        let Shared { settings, breaker, .. } = &*self.0;
        Endpoint::new(settings.clone(), settings.timeout, Arc::clone(breaker))
    }

    /// `host:port`, or the path of the socket.
    #[getter]
    fn address(&self) -> String {
        self.0.settings.address.to_string()
    }

    #[getter]
    fn db(&self) -> u32 {
        self.0.settings.database
    }
}

/// What a URL says about a server, by the names of the options of a cache; what it leaves to the
/// usual is not in it.
#[pyfunction]
pub(crate) fn parse_url<'py>(py: Python<'py>, url: &str) -> PyResult<Bound<'py, PyDict>> {
    let settings = Settings::from_url(url).or_raise(py)?;
    let usual = Settings::default();
    let said = PyDict::new(py);
    match settings.address {
        Address::Tcp(host, port) => {
            said.set_item("host", host)?;
            if usual.address != Address::Tcp("localhost".to_owned(), port) {
                said.set_item("port", port)?;
            }
        }
        Address::Unix(path) => said.set_item("unix_socket_path", path)?,
    }
    if settings.database != usual.database {
        said.set_item("db", settings.database)?;
    }
    if settings.tls.is_some() {
        said.set_item("ssl", true)?;
    }
    for (name, value) in [("username", settings.username), ("password", settings.password)] {
        if let Some(value) = value {
            said.set_item(name, value)?;
        }
    }
    Ok(said)
}
