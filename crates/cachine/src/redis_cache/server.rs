//! What all caches of this process share that use one database of one server: the computations
//! under way, who waits for a lock, and which keys are being refreshed.
//!
//! Two caches of one database know the same keys, so a program that builds one in each of its
//! modules still computes once. The computations are those of an engine of its own, which never
//! keeps an entry: it lends its leases, its waits and its turns, nothing else.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use cachine_core::FlightId;
use cachine_core::clock::Clock;
use cachine_core::key::Namespace;
use cachine_core::locks::Turn;
use cachine_core::stats::{Counters, Tally};
use cachine_core::store::{Ask, Bounds, Step, Store};
use cachine_redis::breaker::Breaker;
use cachine_redis::settings::{Address, Settings};

use crate::memory::{Kept, KeptLease, KeptWait};
use crate::redis_cache::refreshes::Refreshes;

/// A database of a server, as the caches of this process share it.
pub(super) struct Server {
    flights: Arc<Store<Kept<()>>>,
    /// Nobody reads these: what a read counts is counted by the cache.
    uncounted: Counters,
    pub(super) refreshes: Refreshes,
    pub(super) breaker: Arc<Breaker>,
}

/// What somebody is told who is about to compute.
pub(super) enum Begun {
    /// Compute, and settle this.
    Lease(KeptLease<()>),
    /// Somebody computes.
    Wait(KeptWait<()>),
}

/// Fences computations when it is dropped: after a write, whether that was answered, failed, or was
/// given up half-way.
pub(super) struct Fence<F: Fn()>(pub(super) F);

type Known = HashMap<(Address, u32), Weak<Server>>;

impl Server {
    /// That of these settings; a new one if no cache of this process uses it.
    pub(super) fn of(settings: &Settings) -> Arc<Self> {
        static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (settings.address.clone(), settings.database);
        if let Some(server) = known.get(&place).and_then(Weak::upgrade) {
            return server;
        }
        known.retain(|_, server| server.strong_count() > 0);
        let server = Arc::new(Self::new());
        known.insert(place, Arc::downgrade(&server));
        server
    }

    fn new() -> Self {
        Self {
            flights: Store::new(Bounds::default(), Clock::System),
            uncounted: Counters::default(),
            refreshes: Refreshes::new(Clock::System),
            breaker: Arc::default(),
        }
    }

    /// Begins a computation, or joins one with `share`. `held` are those that the caller is part of.
    pub(super) fn begin(&self, key: &[u8], share: bool, held: &[FlightId]) -> Begun {
        let ask = Ask { key, share, held, counted: true };
        match self.flights.begin(ask, Tally::of(&self.uncounted), |()| ()) {
            Step::Lease(lease) => Begun::Lease(lease),
            Step::Wait(wait) => Begun::Wait(wait),
            Step::Hit(()) | Step::Stale((), _) => unreachable!("nothing is ever stored here"),
        }
    }

    /// Stands in line for a lock: whoever is first may ask the server for it.
    pub(super) fn turn(&self, name: &[u8]) -> Turn<Kept<()>> {
        self.flights.turn(name)
    }

    /// From now on nobody joins a computation of this key that began before.
    pub(super) fn fence(&self, key: &[u8]) {
        self.flights.delete(key, Tally::of(&self.uncounted));
    }

    /// The same where the key was written: how refreshes fared before says nothing any more.
    pub(super) fn fence_written(&self, key: &[u8]) {
        self.fence(key);
        self.refreshes.forgive(key);
    }

    /// From now on nobody joins a computation with one of these tags that began before.
    pub(super) fn fence_tags(&self, names: &[Box<str>]) {
        self.flights.invalidate_tags(names);
    }

    /// From now on nobody joins a computation of this namespace that began before.
    pub(super) fn fence_all(&self, namespace: &Namespace) {
        self.flights.clear(namespace.name().map(|_| namespace.prefix().as_bytes()));
    }
}

impl<F: Fn()> Drop for Fence<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_of_one_database_share_what_those_of_another_do_not_see() {
        let settings = |database| Settings {
            address: Address::Tcp("server.invalid".to_owned(), 1),
            database,
            ..Settings::default()
        };
        let server = Server::of(&settings(7));
        assert!(Arc::ptr_eq(&server, &Server::of(&settings(7))));
        assert!(!Arc::ptr_eq(&server, &Server::of(&settings(8))));
        let Begun::Lease(lease) = server.begin(b"k", true, &[]) else { panic!("nobody computes") };
        assert!(matches!(Server::of(&settings(7)).begin(b"k", true, &[]), Begun::Wait(_)));
        drop(lease);
        let gone = Arc::downgrade(&server);
        drop(server);
        assert!(gone.upgrade().is_none(), "the registry keeps nothing alive");
    }

    #[test]
    fn who_comes_after_a_fence_begins_anew() {
        let server = Server::new();
        let Begun::Lease(first) = server.begin(b"k", true, &[]) else { panic!("nobody computes") };
        drop(Fence(|| server.fence(b"k")));
        assert!(!first.is_joinable());
        let Begun::Lease(second) = server.begin(b"k", true, &[]) else { panic!("it was fenced") };
        assert!(second.is_joinable());
        server.fence_all(&Namespace::default());
        assert!(!second.is_joinable());
    }
}
