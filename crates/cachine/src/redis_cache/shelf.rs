//! Every operation on typed values in Redis, once, for threads and tasks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachine_codec::steps::Written;
use cachine_core::error::{Error, ErrorKind};
use cachine_core::key;
use cachine_core::store::Remaining;
use cachine_redis::client::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoded::stored::Codec;
use crate::memory::{Health, SetOptions};
use crate::operations::not_cleared;
use crate::redis_cache::door::Door;
use crate::redis_cache::server::{Fence, Server};
use crate::space::Space;

/// What all handles to one cache share.
pub(super) struct Shelf<L> {
    pub(super) client: Arc<Client<L>>,
    pub(super) server: Arc<Server>,
    pub(super) space: Space,
    pub(super) codec: Arc<Codec>,
}

impl<L: Door> Shelf<L> {
    /// The same cache with another space, or writing in another way.
    pub(super) fn with(&self, space: Space, codec: &Arc<Codec>) -> Arc<Self> {
        let (client, server) = (Arc::clone(&self.client), Arc::clone(&self.server));
        Arc::new(Self { client, server, space, codec: Arc::clone(codec) })
    }

    pub(super) fn with_namespace(&self, name: &str) -> Result<Arc<Self>, Error> {
        self.space.open("with_namespace")?;
        Ok(self.with(self.space.with_namespace(name)?, &self.codec))
    }

    /// Whatever becomes of this call, computations of the key that began before it ends are not
    /// joined any more.
    fn fenced<'a>(&'a self, key: &str) -> Fence<impl Fn() + use<'a, L>> {
        let key = self.space.physical(key);
        Fence(move || self.server.fence_written(&key))
    }

    fn decoded<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        key: &str,
        bytes: &[u8],
    ) -> Result<T, Error> {
        let value = self.codec.of_bytes(operation, &self.space.physical(key), bytes);
        value.inspect_err(|_| self.space.tally().undecoded())
    }

    fn written<T: Serialize + ?Sized>(
        &self,
        operation: &'static str,
        key: &str,
        value: &T,
    ) -> Result<Written, Error> {
        let written = self.codec.to_bytes(operation, &self.space.physical(key), value);
        written.inspect_err(|_| self.space.tally().error())
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let found = self.space.get(&self.client, key).await?;
        found.map(|bytes| self.decoded("get", key, &bytes)).transpose()
    }

    pub(super) async fn get_many<T: DeserializeOwned, K: AsRef<str>>(
        &self,
        keys: Vec<K>,
    ) -> Result<Vec<(K, T)>, Error> {
        let names: Vec<String> = keys.iter().map(|key| key.as_ref().to_owned()).collect();
        let found = self.space.get_many(&self.client, &names).await?;
        let found = keys.into_iter().zip(found).filter_map(|(key, bytes)| Some((key, bytes?)));
        let values = found.map(|(key, bytes)| {
            let value = self.decoded("get_many", key.as_ref(), &bytes)?;
            Ok((key, value))
        });
        values.collect()
    }

    pub(super) async fn set(
        &self,
        key: &str,
        written: Written,
        options: &SetOptions,
    ) -> Result<(), Error> {
        let _fence = self.fenced(key);
        let SetOptions { ttl, tags } = options;
        let Written { bytes, raw, packed } = written;
        self.space.set(&self.client, key, bytes, *ttl, tags).await?;
        self.wrote(*ttl, raw, packed);
        Ok(())
    }

    /// The bytes for [`set`](Self::set); a key that can't be one is refused before.
    pub(super) fn to_set<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
    ) -> Result<Written, Error> {
        self.space.check(key, "set")?;
        self.written("set", key, value)
    }

    /// Counts what was written; with a time to live of zero that was nothing.
    fn wrote(&self, ttl: Option<Duration>, raw: usize, packed: usize) {
        if ttl.is_none_or(|ttl| !ttl.is_zero()) {
            self.space.tally().wrote(raw, packed);
        }
    }

    /// The bytes for [`set_many`](Self::set_many), all or none.
    pub(super) fn to_set_many<T: Serialize, K: AsRef<str>>(
        &self,
        items: impl IntoIterator<Item = (K, T)>,
    ) -> Result<Vec<(String, Written)>, Error> {
        self.space.open("set_many")?;
        let items: Vec<_> = items.into_iter().collect();
        items.iter().try_for_each(|(key, _)| key::validate(key.as_ref(), "set_many"))?;
        let written = items.into_iter().map(|(key, value)| {
            let written = self.written("set_many", key.as_ref(), &value)?;
            Ok((key.as_ref().to_owned(), written))
        });
        written.collect()
    }

    pub(super) async fn set_many(
        &self,
        items: Vec<(String, Written)>,
        SetOptions { ttl, tags }: &SetOptions,
    ) -> Result<(), Error> {
        let _fences: Vec<_> = items.iter().map(|(key, _)| self.fenced(key)).collect();
        let (mut entries, mut raw, mut packed) = (Vec::with_capacity(items.len()), 0, 0);
        for (key, written) in items {
            (raw, packed) = (raw + written.raw, packed + written.packed);
            entries.push((key, written.bytes));
        }
        if tags.is_empty() {
            self.space.set_many(&self.client, entries, *ttl).await?;
        } else {
            for (key, bytes) in entries {
                self.space.set(&self.client, &key, bytes, *ttl, tags).await?;
            }
        }
        self.wrote(*ttl, raw, packed);
        Ok(())
    }

    pub(super) async fn delete(&self, key: &str) -> Result<bool, Error> {
        let _fence = self.fenced(key);
        self.space.delete(&self.client, key).await
    }

    pub(super) async fn delete_many(&self, keys: Vec<String>) -> Result<u64, Error> {
        let _fences: Vec<_> = keys.iter().map(|key| self.fenced(key)).collect();
        self.space.delete_many(&self.client, &keys).await
    }

    pub(super) async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.space.exists(&self.client, key).await
    }

    pub(super) async fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        Ok(match self.space.remaining(&self.client, key).await? {
            Remaining::Missing | Remaining::Forever => None,
            Remaining::Nanoseconds(left) => Some(Duration::from_nanos(left)),
        })
    }

    pub(super) async fn expire(&self, key: &str, ttl: Duration) -> Result<bool, Error> {
        let _fence = ttl.is_zero().then(|| self.fenced(key));
        self.space.expire(&self.client, key, ttl, "expire").await
    }

    pub(super) async fn persist(&self, key: &str) -> Result<bool, Error> {
        self.space.persist(&self.client, key).await
    }

    pub(super) async fn touch(&self, key: &str, ttl: Option<Duration>) -> Result<bool, Error> {
        let _fence = ttl.filter(Duration::is_zero).map(|_| self.fenced(key));
        self.space.touch(&self.client, key, ttl).await
    }

    pub(super) async fn add(
        &self,
        operation: &'static str,
        key: &str,
        delta: i128,
        ttl_on_create: Option<Duration>,
    ) -> Result<i64, Error> {
        self.space.check(key, operation)?;
        self.codec.may_count(operation, &self.space.physical(key))?;
        let _fence = self.fenced(key);
        self.space.incr(&self.client, key, delta, ttl_on_create, operation).await
    }

    pub(super) async fn add_tags(&self, key: &str, tags: Vec<String>) -> Result<bool, Error> {
        self.space.add_tags(&self.client, key, &tags).await
    }

    pub(super) async fn invalidate_tags(&self, tags: Vec<String>) -> Result<u64, Error> {
        let names = self.tag_names(&tags);
        let _fence = Fence(|| self.server.fence_tags(&names));
        self.space.invalidate_tags(&self.client, &tags).await
    }

    pub(super) async fn clear(&self) -> Result<(), Error> {
        self.space.open("clear")?;
        if self.space.namespace().name().is_none() {
            return Err(not_cleared());
        }
        self.clear_all().await
    }

    pub(super) async fn clear_all(&self) -> Result<(), Error> {
        let _fence = Fence(|| self.server.fence_all(self.space.namespace()));
        self.space.clear(&self.client, true).await
    }

    pub(super) async fn ping(&self) -> Result<Health, Error> {
        let began = self.client.link().now();
        match self.space.ping(&self.client).await {
            Ok(latency) => Ok(Health::of_redis(latency, None)),
            Err(error) if error.kind() == ErrorKind::Closed => Err(error),
            Err(error) => {
                let took = self.client.link().now().saturating_sub(began);
                Ok(Health::of_redis(Duration::from_nanos(took), Some(error)))
            }
        }
    }

    pub(super) fn close(&self) {
        if self.space.close() {
            self.client.link().close();
        }
    }

    /// Shows a cache, without what it knows of users and passwords.
    pub(super) fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("namespace", &self.space.namespace().name())
            .field("closed", &self.space.is_closed())
            .field("codec", &self.codec)
            .field("link", self.client.link())
            .finish_non_exhaustive()
    }

    /// The full names of tags.
    pub(super) fn tag_names(&self, tags: &[String]) -> Vec<Box<str>> {
        tags.iter().map(|tag| self.space.namespace().tag(tag)).collect()
    }
}
