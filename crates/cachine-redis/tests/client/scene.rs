//! A server, clients of it, and the names of a namespace: what most tests begin with.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_core::key::Namespace;
use cachine_redis::breaker::Breaker;
use cachine_redis::client::{Claim, Client, Fill, Lifetime, Want};
use cachine_redis::link::finish;
use cachine_redis::names::Names;

use crate::link::Socket;
use crate::server::Server;

/// How long an operation may take: long, since a machine may be busy.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a right to store lives.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// A server and one client of it.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) client: Arc<Client<Socket>>,
    pub(crate) names: Names,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_timeout(TIMEOUT)
    }

    /// The margin of records depends on the timeout.
    pub(crate) fn with_timeout(timeout: Duration) -> Self {
        let server = Server::start();
        let client = client(&server, timeout, Vec::new());
        Self { server, client, names: names("ns") }
    }

    /// Another client of the same server.
    pub(crate) fn other(&self) -> Arc<Client<Socket>> {
        client(&self.server, TIMEOUT, Vec::new())
    }

    /// Another one that says this first.
    pub(crate) fn greeting(&self, greeting: Vec<Vec<&'static str>>) -> Arc<Client<Socket>> {
        client(&self.server, TIMEOUT, greeting)
    }

    /// Milliseconds that a key will live.
    pub(crate) fn pttl(&self, key: &[u8]) -> i64 {
        self.server.number(&[b"PTTL", key])
    }

    /// How many trips this takes, once the server knows the scripts.
    pub(crate) fn trips<T>(&self, operation: impl Fn() -> T) -> usize {
        operation();
        self.client.link().trips();
        operation();
        self.client.link().trips()
    }

    /// A claim that has to be given.
    pub(crate) fn compute(&self, key: &str, want: Want<'_>) -> Fill {
        compute(&self.client, &self.names, key, want)
    }

    pub(crate) fn set(&self, key: &str, value: &str, ttl: Option<Duration>, tags: &[String]) {
        done(self.client.set(&self.names, key, value.into(), ttl, tags)).unwrap();
    }

    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let found = done(self.client.get(&self.names, key)).unwrap();
        found.map(|found| String::from_utf8_lossy(payload(&found)).into_owned())
    }

    /// Stores as a cached function does.
    pub(crate) fn store(&self, key: &str, value: &str, life: Lifetime, tags: &[String]) -> bool {
        let fill = self.compute(key, Want { tags, is_forced: true, ..want() });
        done(self.client.fill(&self.names, key, fill, value.into(), life, &[])).unwrap()
    }
}

impl Deref for Scene {
    type Target = Client<Socket>;

    fn deref(&self) -> &Client<Socket> {
        &self.client
    }
}

pub(crate) fn client(
    server: &Server,
    timeout: Duration,
    greeting: Vec<Vec<&'static str>>,
) -> Arc<Client<Socket>> {
    let link = Socket::new(server.address, greeting);
    Arc::new(Client::new(link, timeout, Arc::new(Breaker::default())))
}

pub(crate) fn names(namespace: &str) -> Names {
    Names::new(&Namespace::new(namespace).unwrap())
}

pub(crate) fn compute(client: &Client<Socket>, names: &Names, key: &str, want: Want<'_>) -> Fill {
    match done(client.claim(names, key, want)).unwrap() {
        Claim::Compute(fill) => fill,
        other => panic!("{other:?}"),
    }
}

/// A caller without tags that waits for others.
pub(crate) fn want() -> Want<'static> {
    Want {
        tags: &[],
        has_late_tags: false,
        is_shared: true,
        is_forced: false,
        lease: LEASE,
        awaited: None,
    }
}

/// A life without a stale window.
pub(crate) fn fresh(ttl: Duration) -> Lifetime {
    Lifetime { ttl: Some(ttl), stale: None }
}

/// Asks again and again until it is so; not for ever.
pub(crate) fn until(is_so: impl Fn() -> bool) {
    let end = Clock::System.now() + 20_000_000_000;
    while !is_so() {
        assert!(Clock::System.now() < end, "it never came to be");
    }
}

/// The output of work over a blocking link.
pub(crate) fn done<F: Future>(work: F) -> F::Output {
    finish(work).expect("a blocking link never waits")
}

pub(crate) fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// What stands behind the metadata of stored bytes.
pub(crate) fn payload(stored: &[u8]) -> &[u8] {
    let head = cachine_codec::stored::head(stored).unwrap().unwrap();
    &stored[head.length()..]
}
