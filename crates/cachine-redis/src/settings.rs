//! Where a server is, how to greet it, and how long anything may take.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a connection needs to know.
#[derive(Clone)]
pub struct Settings {
    /// Where the server listens.
    pub address: Address,
    /// The number of the database.
    pub database: u32,
    /// The user; without one the server's default user.
    pub username: Option<String>,
    /// The password. It appears in no message.
    pub password: Option<String>,
    /// TLS, if the connection is to be encrypted.
    pub tls: Option<Tls>,
    /// How long connecting may take, name look-up, TLS and greeting included; never longer than the
    /// call that needs the connection.
    pub connect_timeout: Duration,
    /// How long a whole call may take.
    pub timeout: Duration,
    /// The most connections of a blocking pool.
    pub max_connections: usize,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host (a name or an address of IPv4 or IPv6) and a port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// How a connection is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A file of PEM certificates to trust; the system's if none.
    pub ca_certs: Option<PathBuf>,
    /// A file with the PEM certificate of this client, and its chain.
    pub certfile: Option<PathBuf>,
    /// A file with the PEM key of this client.
    pub keyfile: Option<PathBuf>,
    /// Whether the server's certificate is left unchecked. Then anyone in between can read and
    /// change everything.
    pub is_unverified: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::Tcp("localhost".to_owned(), 6379),
            database: 0,
            username: None,
            password: None,
            tls: None,
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            max_connections: 50,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.address)
            .field("database", &self.database)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "..."))
            .field("tls", &self.tls)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("max_connections", &self.max_connections)
            .finish()
    }
}
