//! A server seen through a namespace: every operation on entries in Redis, for every door.
//!
//! The counterpart of [`View`](crate::View). It holds no connection: each call brings its client,
//! because an event loop has one of its own. What a value is, and how a caller waits, are the
//! doors' business.

mod locks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cachine_core::error::{Error, ErrorKind};
use cachine_core::key::{self, Namespace};
use cachine_core::stats::{Counted, Counters, Tally};
use cachine_core::store::Remaining;
use cachine_redis::client::{Claim, Client, Ending, Fill, Lifetime, Look, Nothing, Want};
use cachine_redis::link::Link;
use cachine_redis::names::Names;

use crate::Freshness;

/// How long the right to store a computed value lives unless it is renewed.
pub const LEASE: Duration = Duration::from_secs(5);

/// A namespace on a server, and what was counted through it.
#[derive(Debug)]
pub struct Space {
    namespace: Namespace,
    names: Names,
    counters: Arc<Counters>,
    /// What `get_or_set` counts, as a cached function counts its calls.
    filling: Counters,
    closed: Arc<Closed>,
}

/// A space is closed on its own, or with the cache whose connections it uses.
#[derive(Debug, Default)]
struct Closed {
    here: AtomicBool,
    connections: Arc<AtomicBool>,
    owns_connections: bool,
}

impl Space {
    /// The space of a cache that owns its connections.
    pub fn new(namespace: Namespace) -> Self {
        let closed = Closed { owns_connections: true, ..Closed::default() };
        Self::on(namespace, Arc::default(), Arc::new(closed))
    }

    fn on(namespace: Namespace, counters: Arc<Counters>, closed: Arc<Closed>) -> Self {
        let names = Names::new(&namespace);
        Self { namespace, names, counters, filling: Counters::default(), closed }
    }

    /// A space on the same connections with the namespace `name` inside this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an empty or reserved name.
    pub fn with_namespace(&self, name: &str) -> Result<Self, Error> {
        let connections = Arc::clone(&self.closed.connections);
        let closed = Arc::new(Closed { connections, ..Closed::default() });
        Ok(Self::on(self.namespace.child(name)?, Arc::new(self.counters.beside()), closed))
    }

    /// The same space for a cache that wraps this one: closing one closes the other. With
    /// `is_measured` it counts for itself too, else what it counts is counted here.
    #[must_use]
    pub fn wrapped(&self, is_measured: bool) -> Self {
        let counters = if is_measured {
            Arc::new(Counters::measuring(&self.counters))
        } else {
            Arc::clone(&self.counters)
        };
        Self::on(self.namespace.clone(), counters, Arc::clone(&self.closed))
    }

    /// The namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What was counted through this space.
    pub const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// What an operation counts.
    pub fn tally(&self) -> Tally<'_> {
        Tally::of(&self.counters)
    }

    /// What a read that computes what is missing counts: for the cache, and for `function`, or
    /// where there is none for all such reads together.
    pub fn filling<'a>(&'a self, function: Option<&'a Counters>) -> Tally<'a> {
        Tally { cache: &self.counters, function: Some(function.unwrap_or(&self.filling)) }
    }

    /// Whether this cache, or the one whose connections it uses, was closed.
    pub fn is_closed(&self) -> bool {
        let is = |closed: &AtomicBool| closed.load(Ordering::Relaxed);
        is(&self.closed.here) || is(&self.closed.connections)
    }

    /// Ends the use of this space; whether its connections are to be closed too, because it owns
    /// them and they were open. Idempotent.
    pub fn close(&self) -> bool {
        self.closed.here.store(true, Ordering::Relaxed);
        self.closed.owns_connections && !self.closed.connections.swap(true, Ordering::Relaxed)
    }

    /// Fails when the cache was closed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub fn open(&self, operation: &'static str) -> Result<(), Error> {
        if self.is_closed() {
            let message = format!("{operation}: this cache was closed, create a new one");
            return Err(Error::new(ErrorKind::Closed, operation, message));
        }
        Ok(())
    }

    /// Fails when the cache was closed, or the key can't be one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn check(&self, key: &str, operation: &'static str) -> Result<(), Error> {
        self.open(operation)?;
        key::validate(key, operation)
    }

    /// The physical key.
    pub fn physical(&self, key: &str) -> Vec<u8> {
        self.names.entry(key)
    }

    /// Counts a failure.
    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|_| self.tally().error())
    }

    /// The stored bytes of a live entry. The time that this takes is the latency of the cache.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`]; of a server that does not answer as it
    /// should [`ErrorKind::Connection`], [`ErrorKind::Timeout`], [`ErrorKind::Response`].
    pub async fn get<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.check(key, "get")?;
        let started = self.counters.is_sampled().then(|| client.link().now());
        let found = self.noted(client.get(&self.names, key).await)?;
        self.timed(client, started);
        self.tally().count(if found.is_some() { Counted::Hit } else { Counted::Miss });
        Ok(found)
    }

    fn timed<L: Link>(&self, client: &Client<L>, started: Option<u64>) {
        if let Some(started) = started {
            self.counters.sample(client.link().now().saturating_sub(started));
        }
    }

    /// The stored bytes of live entries, in the order of the keys.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn get_many<L: Link>(
        &self,
        client: &Client<L>,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.open("get_many")?;
        keys.iter().try_for_each(|key| key::validate(key, "get_many"))?;
        let found = self.noted(client.get_many(&self.names, keys).await)?;
        for one in &found {
            self.tally().count(if one.is_some() { Counted::Hit } else { Counted::Miss });
        }
        Ok(found)
    }

    /// Stores bytes in place of what was there, tags included; with a `ttl` of zero the key is
    /// deleted and nothing stored.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn set<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        stored: Vec<u8>,
        ttl: Option<Duration>,
        tags: &[String],
    ) -> Result<(), Error> {
        self.check(key, "set")?;
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            let deleted = client.delete(&self.names, key).await;
            return self.noted(deleted.map_err(|error| error.during("set"))).map(drop);
        }
        self.noted(client.set(&self.names, key, stored, ttl, tags).await)?;
        self.tally().count(Counted::Set);
        Ok(())
    }

    /// Stores several, untagged.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); a key that is refused keeps all of them from being stored.
    pub async fn set_many<L: Link>(
        &self,
        client: &Client<L>,
        entries: Vec<(String, Vec<u8>)>,
        ttl: Option<Duration>,
    ) -> Result<(), Error> {
        self.open("set_many")?;
        entries.iter().try_for_each(|(key, _)| key::validate(key, "set_many"))?;
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            let keys: Vec<_> = entries.into_iter().map(|(key, _)| key).collect();
            let deleted = client.delete_many(&self.names, &keys).await;
            return self.noted(deleted.map_err(|error| error.during("set_many"))).map(drop);
        }
        let count = entries.len();
        self.noted(client.set_many(&self.names, entries, ttl).await)?;
        (0..count).for_each(|_| self.tally().count(Counted::Set));
        Ok(())
    }

    /// Deletes an entry; whether there was a live one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn delete<L: Link>(&self, client: &Client<L>, key: &str) -> Result<bool, Error> {
        self.check(key, "delete")?;
        let was_there = self.noted(client.delete(&self.names, key).await)?;
        if was_there {
            self.tally().count(Counted::Delete);
        }
        Ok(was_there)
    }

    /// Deletes entries; how many live ones there were.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); a key that is refused keeps all of them from being deleted.
    pub async fn delete_many<L: Link>(
        &self,
        client: &Client<L>,
        keys: &[String],
    ) -> Result<u64, Error> {
        self.open("delete_many")?;
        keys.iter().try_for_each(|key| key::validate(key, "delete_many"))?;
        let gone = self.noted(client.delete_many(&self.names, keys).await)?;
        (0..gone).for_each(|_| self.tally().count(Counted::Delete));
        Ok(gone)
    }

    /// Whether there is a live entry.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn exists<L: Link>(&self, client: &Client<L>, key: &str) -> Result<bool, Error> {
        self.check(key, "exists")?;
        self.noted(client.exists(&self.names, key).await)
    }

    /// How much of the life of an entry is left.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn remaining<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
    ) -> Result<Remaining, Error> {
        self.check(key, "ttl")?;
        self.noted(client.remaining(&self.names, key).await)
    }

    /// Gives a live entry a new life; one of zero deletes it. Whether there was one. `operation` is
    /// what the caller calls this.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn expire<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        ttl: Duration,
        operation: &'static str,
    ) -> Result<bool, Error> {
        self.check(key, operation)?;
        if ttl.is_zero() {
            return self.delete(client, key).await.map_err(|error| error.during(operation));
        }
        let changed = client.expire(&self.names, key, ttl).await;
        self.noted(changed.map_err(|error| error.during(operation)))
    }

    /// Lets a live entry live for ever; whether there was one with an end.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn persist<L: Link>(&self, client: &Client<L>, key: &str) -> Result<bool, Error> {
        self.check(key, "persist")?;
        self.noted(client.persist(&self.names, key).await)
    }

    /// Counts as a use of a live entry for the server's own eviction, and gives it a new life if
    /// there is one; whether there was an entry.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn touch<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        ttl: Option<Duration>,
    ) -> Result<bool, Error> {
        self.check(key, "touch")?;
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            return self.delete(client, key).await.map_err(|error| error.during("touch"));
        }
        self.noted(client.touch(&self.names, key, ttl).await)
    }

    /// Adds to a counter; the new number. `delta` is an `i64` or the negation of one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`ErrorKind::Serialization`] for what is no integer,
    /// [`ErrorKind::Overflow`] for a result of more than 64 bits: both leave it as it was.
    pub async fn incr<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        delta: i128,
        ttl_on_create: Option<Duration>,
        operation: &'static str,
    ) -> Result<i64, Error> {
        self.check(key, operation)?;
        let counted = client.incr(&self.names, key, delta, ttl_on_create, operation).await;
        let number = self.noted(counted)?;
        self.tally().count(Counted::Set);
        Ok(number)
    }

    /// Adds tags to a live entry; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn add_tags<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        tags: &[String],
    ) -> Result<bool, Error> {
        self.check(key, "add_tags")?;
        self.noted(client.add_tags(&self.names, key, tags).await)
    }

    /// Removes every entry with one of these tags; how many live ones there were.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), but for keys.
    pub async fn invalidate_tags<L: Link>(
        &self,
        client: &Client<L>,
        tags: &[String],
    ) -> Result<u64, Error> {
        self.open("invalidate_tags")?;
        self.noted(client.invalidate_tags(&self.names, tags).await)
    }

    /// Removes every entry of this namespace and its children.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), but for keys; [`ErrorKind::Config`] without a namespace, unless
    /// `everything`.
    pub async fn clear<L: Link>(&self, client: &Client<L>, everything: bool) -> Result<(), Error> {
        self.open("clear")?;
        if self.namespace.name().is_none() && !everything {
            let message = "clear: this cache has no namespace, so every key of the database would \
                           go: pass dangerously_clear_all=True, or create it with a namespace";
            return Err(Error::new(ErrorKind::Config, "clear", message));
        }
        self.noted(client.clear(&self.names).await)
    }

    /// Removes the entries whose keys begin with `prefix`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), but for keys.
    pub async fn clear_prefix<L: Link>(
        &self,
        client: &Client<L>,
        prefix: &str,
    ) -> Result<(), Error> {
        self.open("cache_clear")?;
        self.noted(client.clear_prefix(&self.names, prefix).await)
    }

    /// Looks whether the server answers; how long that took.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), but for keys.
    pub async fn ping<L: Link>(&self, client: &Client<L>) -> Result<Duration, Error> {
        self.open("ping")?;
        let began = client.link().now();
        client.ping().await?;
        Ok(Duration::from_nanos(client.link().now().saturating_sub(began)))
    }

    /// Reads for a caller that will compute what is missing. Fails at once while the server is
    /// known not to answer. A hit is counted, a miss too.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn look<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        tags: &[String],
        function: Option<&Counters>,
    ) -> Result<Look, Error> {
        self.check(key, "get_or_set")?;
        client.ready("get_or_set")?;
        let started = self.counters.is_sampled().then(|| client.link().now());
        let look = client.look(&self.names, key, tags).await?;
        self.timed(client, started);
        self.filling(function).count(match look {
            Look::Missing => Counted::Miss,
            Look::Fresh(_) => Counted::Hit,
            Look::Stale(_) => Counted::Stale,
        });
        Ok(look)
    }

    /// Reads once more for the same call, which counts nothing.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn look_again<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        tags: &[String],
    ) -> Result<Look, Error> {
        client.look(&self.names, key, tags).await
    }

    /// Voids what is being computed for a key, here and in other processes.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn fence<L: Link>(&self, client: &Client<L>, key: &str) -> Result<(), Error> {
        self.check(key, "get_or_set")?;
        client.ready("get_or_set")?;
        client.fence(&self.names, key).await
    }

    /// Asks for the right to compute a value and store it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn claim<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        want: Want<'_>,
    ) -> Result<Claim, Error> {
        self.check(key, "get_or_set")?;
        client.ready("get_or_set")?;
        client.claim(&self.names, key, want).await
    }

    /// Stores a computed value, unless something was written or invalidated since the claim;
    /// whether the entry stands and is valid.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn fill<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        fill: Fill,
        stored: Vec<u8>,
        freshness: &Freshness,
        late_tags: &[String],
    ) -> Result<bool, Error> {
        self.open("get_or_set")?;
        let Some(life) = lifetime(freshness) else {
            return self.release(client, key, fill, Some(Ending::Alone)).await;
        };
        let stands = client.fill(&self.names, key, fill, stored, life, late_tags).await?;
        if stands {
            self.tally().count(Counted::Set);
        }
        Ok(stands)
    }

    /// Whether those who came while this caller waited have nothing too.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn is_nothing<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        nothing: &Nothing,
    ) -> Result<bool, Error> {
        client.is_nothing(&self.names, key, nothing).await
    }

    /// Gives the right to store back; whether nothing was written or invalidated since. An `ending` tells
    /// those in other processes who wait how it ended.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn release<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        fill: Fill,
        ending: Option<Ending>,
    ) -> Result<bool, Error> {
        match ending {
            None => client.release(&self.names, key, fill).await,
            Some(ending) => client.end(&self.names, key, fill, ending).await,
        }
    }

    /// Lets a right live for another [`LEASE`]; whether it still stood.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn renew<L: Link>(
        &self,
        client: &Client<L>,
        key: &str,
        fill: &Fill,
    ) -> Result<bool, Error> {
        client.ready("renew")?;
        client.renew(&self.names, key, fill, LEASE).await
    }
}

/// The life of a value that is written now; `None` where there is nothing to keep.
fn lifetime(freshness: &Freshness) -> Option<Lifetime> {
    let (fresh, whole) = freshness.spans()?;
    let stale = whole.zip(fresh).map(|(whole, fresh)| whole.saturating_sub(fresh));
    Some(Lifetime { ttl: whole, stale: stale.filter(|stale| !stale.is_zero()) })
}
