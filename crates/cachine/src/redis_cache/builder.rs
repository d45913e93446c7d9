//! The options of a cache in Redis, checked once when it is built.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "compress")]
use cachine_codec::compression::Compression;
#[cfg(feature = "encrypt")]
use cachine_codec::encryption::Encryption;
use cachine_codec::steps::Steps;
use cachine_core::error::{Error, ErrorKind};
use cachine_core::key::Namespace;
use cachine_redis::client::Client;
#[cfg(feature = "tls")]
use cachine_redis::settings::Tls;
use cachine_redis::settings::{Address, Settings};

use crate::encoded::Serializer;
use crate::encoded::serializer::USUAL;
use crate::encoded::stored::Codec;
use crate::redis_cache::door::Door;
use crate::redis_cache::server::Server;
use crate::redis_cache::shelf::Shelf;
use crate::space::Space;

/// Builds a [`RedisCache`](crate::RedisCache) or an `AsyncRedisCache`, as
/// `C` says; see [`RedisCache::builder`](crate::RedisCache::builder).
///
/// Nothing here touches the network, and neither does building: the first operation connects.
#[must_use = "a builder makes no cache before `build`"]
pub struct Builder<C> {
    settings: Settings,
    namespace: String,
    serializer: Option<Serializer>,
    steps: Steps,
    cache: PhantomData<fn() -> C>,
}

impl<C> Builder<C> {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings::default(),
            namespace: String::new(),
            serializer: USUAL,
            steps: Steps::default(),
            cache: PhantomData,
        }
    }

    /// The host of the server, a name or an address; `localhost` unless said otherwise.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        let port = match self.settings.address {
            Address::Tcp(_, port) => port,
            Address::Unix(_) => 6379,
        };
        self.settings.address = Address::Tcp(host.into(), port);
        self
    }

    /// The port of the server; 6379 unless said otherwise.
    pub fn port(mut self, port: u16) -> Self {
        match &mut self.settings.address {
            Address::Tcp(_, known) => *known = port,
            unix @ Address::Unix(_) => *unix = Address::Tcp("localhost".to_owned(), port),
        }
        self
    }

    /// The socket of the server in the file system, instead of host and port.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.address = Address::Unix(path.into());
        self
    }

    /// Takes what a URL says: `redis://user:password@host:6379/0`, `rediss://` for TLS, or
    /// `unix:///path/of/the.socket?db=0`, with characters that have a meaning in a URL
    /// percent-encoded. What it does not mention stays as it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for what is no such URL; the message never holds the password.
    pub fn url(mut self, url: &str) -> Result<Self, Error> {
        let named = Settings::from_url(url)?;
        self.settings.address = named.address;
        if named.database != 0 {
            self.settings.database = named.database;
        }
        self.settings.username = named.username.or(self.settings.username);
        self.settings.password = named.password.or(self.settings.password);
        self.settings.tls = self.settings.tls.or(named.tls);
        Ok(self)
    }

    /// The number of the database; 0 unless said otherwise.
    pub const fn database(mut self, database: u32) -> Self {
        self.settings.database = database;
        self
    }

    /// The user; without one the server's default user.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.settings.username = Some(username.into());
        self
    }

    /// The password. It appears in no message and no `Debug`.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.settings.password = Some(password.into());
        self
    }

    /// Encrypts the connections; `Tls::default()` trusts what the system trusts.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.tls = Some(tls);
        self
    }

    /// How long connecting may take, name look-up, TLS and greeting included; a second unless said
    /// otherwise, and never longer than the call that needs the connection.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How long a whole call may wait for the server; a second unless said otherwise. `clear` and
    /// operations on many keys have it for each batch.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// The most connections of a cache for threads; 50 unless said otherwise. Tasks share one.
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// Puts `name:` before every key; an empty name is no namespace.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Keeps values in this format. JSON unless said otherwise; a build without the feature `json`
    /// has to say it.
    pub const fn serializer(mut self, serializer: Serializer) -> Self {
        self.serializer = Some(serializer);
        self
    }

    /// Compresses values, before they are encrypted.
    #[cfg(feature = "compress")]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.steps.compression = Some(compression);
        self
    }

    /// Encrypts values: each one that is written, whatever its type. Counters that `incr` makes are
    /// not, unless [`Encryption::refuse_counters`] forbids them.
    #[cfg(feature = "encrypt")]
    pub fn encryption(mut self, encryption: Encryption) -> Self {
        self.steps.encryption = Some(encryption);
        self
    }

    pub(super) fn shelf<L: Door>(self) -> Result<Arc<Shelf<L>>, Error> {
        check(&self.settings)?;
        let serializer = self.serializer.ok_or_else(|| {
            refused("no serializer was named: name one, or build with the feature `json`")
        })?;
        let space = Space::new(Namespace::new(&self.namespace)?);
        let server = Server::of(&self.settings);
        let (timeout, breaker) = (self.settings.timeout, Arc::clone(&server.breaker));
        let client = Client::new(L::open(self.settings), timeout, breaker).into();
        let codec = Codec { serializer, steps: self.steps }.into();
        Ok(Arc::new(Shelf { client, server, space, codec }))
    }
}

/// Refuses what can't work with any server.
fn check(settings: &Settings) -> Result<(), Error> {
    match &settings.address {
        Address::Tcp(host, _) if host.is_empty() => {
            return Err(refused("host is empty: name the server, or leave it out for localhost"));
        }
        Address::Tcp(_, 0) => return Err(refused("port is 0: it is 1 to 65535, usually 6379")),
        Address::Unix(path) if path.as_os_str().is_empty() => {
            return Err(refused("unix_socket is empty: give the path of the server's socket"));
        }
        _ => {}
    }
    let times = [("connect_timeout", settings.connect_timeout), ("timeout", settings.timeout)];
    if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
        return Err(refused(format!("{name} is zero: nothing can be done in no time")));
    }
    if settings.max_connections == 0 {
        return Err(refused("max_connections is 0: at least one is needed"));
    }
    if settings.tls.is_some() && !cfg!(feature = "tls") {
        return Err(refused("TLS is wanted, and this build has none: add the feature `tls`"));
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = &settings.tls {
        cachine_redis::blocking::tls::check(tls)?;
    }
    if settings.tls.is_some() && matches!(settings.address, Address::Unix(_)) {
        return Err(refused("tls goes with a host, and the server is a socket in the file system"));
    }
    Ok(())
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, "build", message)
}

impl<C> fmt::Debug for Builder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .field("namespace", &self.namespace)
            .field("serializer", &self.serializer)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
