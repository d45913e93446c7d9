//! A store seen through a namespace: every operation of a memory cache, for every door.
//!
//! The Python binding and [`crate::InMemoryCache`] differ in what a value is and how a caller
//! waits. Everything else that a call means is written here, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cachine_core::clock::{Clock, nanoseconds};
use cachine_core::error::{Error, ErrorKind};
use cachine_core::key::{self, Namespace};
use cachine_core::locks::Turn;
use cachine_core::stats::{Counters, Tally};
use cachine_core::store::{Ask, Bounds, Host, Lifetime, New, Remaining, Step, Store};
use cachine_core::{FlightId, Life, Tag};

/// Physical keys up to this length are put together on the stack.
const SHORT: usize = 256;

/// A cache in memory: a store, the namespace of its keys, and what it counted.
pub struct View<H: Host> {
    store: Arc<Store<H>>,
    namespace: Namespace,
    counters: Arc<Counters>,
    /// What `get_or_set` counts, as a cached function counts its calls.
    filling: Arc<Counters>,
    closed: Arc<Closed>,
}

/// A view is closed on its own, or with the cache that made the store.
#[derive(Default)]
struct Closed {
    here: AtomicBool,
    store: Arc<AtomicBool>,
    owns_store: bool,
}

/// A value for [`View::set`] and [`View::add`].
pub struct Value<'a, V> {
    /// The value itself.
    pub value: V,
    /// How long it lives; `None` for ever. Zero: the key is deleted and nothing stored.
    pub ttl: Option<Duration>,
    /// Its tags.
    pub tags: &'a [String],
    /// Its weight; only counted in a store with `max_weight`.
    pub weight: u64,
}

impl<V> Value<'_, V> {
    /// A value without tags that never expires.
    pub const fn new(value: V) -> Self {
        Self { value, ttl: None, tags: &[], weight: 1 }
    }
}

impl<H: Host> View<H> {
    /// A new store and the view that owns it.
    pub fn new(bounds: Bounds, namespace: Namespace, clock: Clock) -> Self {
        let closed = Arc::new(Closed { owns_store: true, ..Closed::default() });
        Self::on(Store::new(bounds, clock), namespace, Arc::default(), closed)
    }

    fn on(
        store: Arc<Store<H>>,
        namespace: Namespace,
        counters: Arc<Counters>,
        closed: Arc<Closed>,
    ) -> Self {
        Self { store, namespace, counters, filling: Arc::default(), closed }
    }

    /// A view on the same store with the namespace `name` inside this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an empty or reserved name.
    pub fn with_namespace(&self, name: &str) -> Result<Self, Error> {
        let store = Arc::clone(&self.store);
        let closed = Closed { store: Arc::clone(&self.closed.store), ..Closed::default() };
        let (namespace, counters) = (self.namespace.child(name)?, self.counters.beside());
        Ok(Self::on(store, namespace, Arc::new(counters), Arc::new(closed)))
    }

    /// The same view for a cache that wraps this one: closing one closes the other. With
    /// `is_measured` it counts for itself too, else what it counts is counted here.
    #[must_use]
    pub fn wrapped(&self, is_measured: bool) -> Self {
        let counters = if is_measured {
            Arc::new(Counters::measuring(&self.counters))
        } else {
            Arc::clone(&self.counters)
        };
        let (store, namespace) = (Arc::clone(&self.store), self.namespace.clone());
        Self::on(store, namespace, counters, Arc::clone(&self.closed))
    }

    /// The store behind this view.
    pub const fn store(&self) -> &Arc<Store<H>> {
        &self.store
    }

    /// The namespace of this view.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What was counted through this view.
    pub const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    #[inline]
    fn tally(&self) -> Tally<'_> {
        Tally::of(&self.counters)
    }

    /// What a read that computes what is missing counts: for the cache, and for `function`, or
    /// where there is none for all such reads together.
    #[inline]
    pub fn filling<'a>(&'a self, function: Option<&'a Counters>) -> Tally<'a> {
        Tally { cache: &self.counters, function: Some(function.unwrap_or(&self.filling)) }
    }

    /// Whether this view, or the cache whose store it shows, was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.here.load(Ordering::Relaxed) || self.closed.store.load(Ordering::Relaxed)
    }

    /// Fails when the cache was closed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    #[inline]
    pub fn open(&self, operation: &'static str) -> Result<(), Error> {
        if self.is_closed() {
            let message = format!("{operation}: this cache was closed, create a new one");
            return Err(Error::new(ErrorKind::Closed, operation, message));
        }
        Ok(())
    }

    /// Ends the use of this view; the cache that made the store empties it too. Idempotent.
    pub fn close(&self) {
        self.closed.here.store(true, Ordering::Relaxed);
        if self.closed.owns_store && !self.closed.store.swap(true, Ordering::Relaxed) {
            self.store.clear(None);
        }
    }

    /// Hands the physical key to `act`.
    #[inline]
    pub fn with_key<R>(&self, key: &str, act: impl FnOnce(&[u8]) -> R) -> R {
        let prefix = self.namespace.prefix().as_bytes();
        let length = prefix.len() + key.len();
        if prefix.is_empty() {
            act(key.as_bytes())
        } else if length <= SHORT {
            let mut buffer = [0; SHORT];
            buffer[..prefix.len()].copy_from_slice(prefix);
            buffer[prefix.len()..length].copy_from_slice(key.as_bytes());
            act(&buffer[..length])
        } else {
            act(&[prefix, key.as_bytes()].concat())
        }
    }

    /// Stands in line for a lock of this namespace: whoever is first holds it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`]; [`ErrorKind::InvalidKey`] for a name that can't be one of a key.
    pub fn turn(&self, name: &str) -> Result<Turn<H>, Error> {
        self.open("lock")?;
        key::validate(name, "lock")?;
        Ok(self.store.turn(self.namespace.lock(name).as_bytes()))
    }

    /// The full names of tags of this namespace.
    pub fn tag_names<'a>(&self, tags: impl IntoIterator<Item = &'a String>) -> Vec<Box<str>> {
        let mut names: Vec<_> = tags.into_iter().map(|tag| self.namespace.tag(tag)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn tags(&self, tags: &[String]) -> Vec<Tag<H::Value>> {
        tags.iter().map(|tag| Tag { name: self.namespace.tag(tag), anchor: None }).collect()
    }

    /// Looks a value up; `view` runs under the lock of the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`]; [`ErrorKind::InvalidKey`] for a key that could not have been set.
    #[inline]
    pub fn get<R>(&self, key: &str, view: impl FnOnce(&H::Value) -> R) -> Result<Option<R>, Error> {
        self.get_with(key, view, |seen| seen)
    }

    /// The same, and `finish` makes of what `view` saw what the caller wants; it runs after the
    /// lock, as a part of the time that the read takes.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[inline]
    pub fn get_with<R, T>(
        &self,
        key: &str,
        view: impl FnOnce(&H::Value) -> R,
        finish: impl FnOnce(R) -> T,
    ) -> Result<Option<T>, Error> {
        self.open("get")?;
        let started = self.counters.is_sampled().then(|| self.store.now());
        let found = self.with_key(key, |physical| self.store.get(physical, self.tally(), view));
        let found = found.map(finish);
        if let Some(started) = started {
            self.counters.sample(self.store.now().saturating_sub(started));
        }
        if found.is_none() {
            // Only valid keys are ever stored, so a hit needs no check.
            key::validate(key, "get")?;
        }
        Ok(found)
    }

    /// Looks a fresh value up and counts only a hit; see [`Store::get_fresh`].
    #[inline]
    pub fn get_fresh<R>(&self, key: &str, view: impl FnOnce(&H::Value) -> R) -> Option<R> {
        self.with_key(key, |physical| self.store.get_fresh(physical, self.filling(None), view))
    }

    /// Looks a value up without a trace: no use, nothing counted.
    pub fn peek<R>(&self, key: &str, view: impl FnOnce(&H::Value) -> R) -> Option<R> {
        self.with_key(key, |physical| self.store.peek(physical, view))
    }

    /// Stores a value and replaces what was there, tags included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    #[inline]
    pub fn set(&self, key: &str, value: Value<'_, H::Value>) -> Result<(), Error> {
        self.open("set")?;
        key::validate(key, "set")?;
        self.with_key(key, |physical| match self.new_entry(value) {
            Ok(new) => self.store.set(physical, new, self.tally()),
            Err(unused) => {
                self.store.delete(physical, self.tally());
                drop(unused);
            }
        });
        Ok(())
    }

    /// Stores a value if the key has none; otherwise, or with a `ttl` of zero, gives it back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn add(
        &self,
        key: &str,
        value: Value<'_, H::Value>,
    ) -> Result<Result<(), H::Value>, Error> {
        self.open("add")?;
        key::validate(key, "add")?;
        let new = match self.new_entry(value) {
            Ok(new) => new,
            Err(unused) => return Ok(Err(unused)),
        };
        let added = self.with_key(key, |physical| self.store.add(physical, new, self.tally()));
        Ok(added.map_err(|new| new.value))
    }

    fn new_entry(&self, value: Value<'_, H::Value>) -> Result<New<H::Value>, H::Value> {
        let Value { value, ttl, tags, weight } = value;
        let life = match ttl {
            None => Life::FOREVER,
            Some(Duration::ZERO) => return Err(value),
            Some(ttl) => Life::fresh_for(nanoseconds(ttl)),
        };
        Ok(New { value, life, weight, tags: self.tags(tags) })
    }

    /// Replaces a value that `expected` still recognises under the lock; otherwise gives the new
    /// one back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn replace(
        &self,
        key: &str,
        value: H::Value,
        weight: u64,
        expected: impl FnOnce(&H::Value) -> bool,
    ) -> Result<Result<(), H::Value>, Error> {
        self.open("replace")?;
        key::validate(key, "replace")?;
        let store = &self.store;
        let replace =
            |physical: &[u8]| store.replace(physical, value, Some(weight), self.tally(), expected);
        Ok(self.with_key(key, replace))
    }

    /// Deletes an entry; whether there was a live one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn delete(&self, key: &str) -> Result<bool, Error> {
        self.open("delete")?;
        key::validate(key, "delete")?;
        Ok(self.with_key(key, |physical| self.store.delete(physical, self.tally())))
    }

    /// How much of the life of an entry is left.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn remaining(&self, key: &str, operation: &'static str) -> Result<Remaining, Error> {
        self.open(operation)?;
        key::validate(key, operation)?;
        Ok(self.with_key(key, |physical| self.store.remaining(physical)))
    }

    /// Gives a live entry a new life; one of zero deletes it. Whether there was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn expire(&self, key: &str, ttl: Duration) -> Result<bool, Error> {
        if ttl.is_zero() {
            return self.delete(key);
        }
        self.change(key, "expire", Lifetime::Expire(nanoseconds(ttl)))
    }

    /// Lets a live entry live for ever; whether there was one with an end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn persist(&self, key: &str) -> Result<bool, Error> {
        self.change(key, "persist", Lifetime::Persist)
    }

    /// Counts as a use of a live entry, and gives it a new life if there is one; whether there
    /// was an entry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn touch(&self, key: &str, ttl: Option<Duration>) -> Result<bool, Error> {
        if ttl.is_some_and(|ttl| ttl.is_zero()) {
            return self.delete(key);
        }
        self.change(key, "touch", Lifetime::Touch(ttl.map(nanoseconds)))
    }

    fn change(&self, key: &str, operation: &'static str, how: Lifetime) -> Result<bool, Error> {
        self.open(operation)?;
        key::validate(key, operation)?;
        Ok(self.with_key(key, |physical| self.store.change_life(physical, how)))
    }

    /// Adds tags to a live entry; whether there was one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn add_tags(&self, key: &str, tags: &[String]) -> Result<bool, Error> {
        self.open("add_tags")?;
        key::validate(key, "add_tags")?;
        let tags = self.tags(tags);
        Ok(self.with_key(key, |physical| self.store.add_tags(physical, tags)))
    }

    /// Removes every entry with one of these tags; how many live ones there were.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`].
    pub fn invalidate_tags(&self, tags: &[String]) -> Result<u64, Error> {
        self.open("invalidate_tags")?;
        Ok(self.store.invalidate_tags(&self.tag_names(tags)))
    }

    /// Removes every entry of this namespace and its children.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`]; [`ErrorKind::Config`] without a namespace, unless `everything`.
    pub fn clear(&self, everything: bool) -> Result<(), Error> {
        self.open("clear")?;
        if self.namespace.name().is_some() {
            self.store.clear(Some(self.namespace.prefix().as_bytes()));
        } else if everything {
            self.store.clear(None);
        } else {
            let message = "clear: this cache has no namespace, so every entry of its store would \
                           go: pass dangerously_clear_all=True, or create it with a namespace";
            return Err(Error::new(ErrorKind::Config, "clear", message));
        }
        Ok(())
    }

    /// Reads for a caller that will compute what is missing; see [`Store::begin`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`], [`ErrorKind::InvalidKey`].
    pub fn begin<R>(
        &self,
        key: &str,
        share: bool,
        held: &[FlightId],
        counted: bool,
        view: impl FnOnce(&H::Value) -> R,
    ) -> Result<Step<H, R>, Error> {
        self.open("get_or_set")?;
        key::validate(key, "get_or_set")?;
        let ask = |physical: &[u8]| {
            let ask = Ask { key: physical, share, held, counted };
            self.store.begin(ask, self.filling(None), view)
        };
        Ok(self.with_key(key, ask))
    }
}
