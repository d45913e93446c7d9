//! The operations of a cache in Redis with their documentation, for threads and for tasks.
//!
//! What they do is said in `shelf`. The two caches differ in one word, `async`; a macro, so that they
//! can't differ in anything else.

/// Stands in the `impl` of a cache that has `shelf` and `of(shelf)`: `[async] awaited` or
/// `[] finished`, and the lock that it hands out.
macro_rules! redis_operations {
    ([$($async:tt)?] $run:ident, $lock:ident) => {
        /// The value of a key, fresh or stale; `None` where there is none.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Deserialization`](crate::ErrorKind::Deserialization) for a value that is no
        /// `T` or is damaged: its cause says what is wrong, without quoting the value.
        /// [`ErrorKind::Integrity`](crate::ErrorKind::Integrity) for one that was tampered with,
        /// moved from another key, encrypted with an unknown key, or not encrypted though it should
        /// be. Of a server that does not answer as it should
        /// [`ErrorKind::Connection`](crate::ErrorKind::Connection),
        /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout),
        /// [`ErrorKind::Response`](crate::ErrorKind::Response).
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed),
        /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
        pub $($async)? fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
            $run!(self.shelf.get(key))
        }

        /// The keys that have a value, each with it, in the order asked for: one round trip.
        ///
        /// # Errors
        ///
        /// As [`get`](Self::get): one value that can't be read is enough.
        pub $($async)? fn get_many<T: DeserializeOwned, K: AsRef<str>>(
            &self,
            keys: impl IntoIterator<Item = K>,
        ) -> Result<Vec<(K, T)>, Error> {
            let keys = keys.into_iter().collect();
            $run!(self.shelf.get_many(keys))
        }

        /// Stores a value that never expires, in place of what was there, tags included.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) for a value that would not
        /// come back as it is (see [`Serializer`](crate::Serializer)), or is too large to be read
        /// again; what was there stays. Otherwise as [`get`](Self::get).
        pub $($async)? fn set<T: Serialize + ?Sized>(
            &self,
            key: &str,
            value: &T,
        ) -> Result<(), Error> {
            let written = self.shelf.to_set(key, value)?;
            $run!(self.shelf.set(key, written, &SetOptions::new()))
        }

        /// Stores a value with a time to live, tags or both: [`SetOptions`], or simply a `Duration`,
        /// to the millisecond.
        ///
        /// A computation of the same key that began before, in any process, is fenced: its result
        /// reaches those who asked for it, never the store.
        ///
        /// # Errors
        ///
        /// As [`set`](Self::set).
        pub $($async)? fn set_with<T: Serialize + ?Sized>(
            &self,
            key: &str,
            value: &T,
            options: impl Into<SetOptions>,
        ) -> Result<(), Error> {
            let (written, options) = (self.shelf.to_set(key, value)?, options.into());
            $run!(self.shelf.set(key, written, &options))
        }

        /// Stores values, or references to them, that never expire: one round trip.
        ///
        /// # Errors
        ///
        /// As [`set`](Self::set); a key or value that is refused keeps all of them from being
        /// stored.
        pub $($async)? fn set_many<T: Serialize, K: AsRef<str>>(
            &self,
            items: impl IntoIterator<Item = (K, T)>,
        ) -> Result<(), Error> {
            let items = self.shelf.to_set_many(items)?;
            $run!(self.shelf.set_many(items, &SetOptions::new()))
        }

        /// Stores values with a time to live, tags or both, the same for all; with tags one after
        /// the other.
        ///
        /// # Errors
        ///
        /// As [`set_many`](Self::set_many).
        pub $($async)? fn set_many_with<T: Serialize, K: AsRef<str>>(
            &self,
            items: impl IntoIterator<Item = (K, T)>,
            options: impl Into<SetOptions>,
        ) -> Result<(), Error> {
            let (items, options) = (self.shelf.to_set_many(items)?, options.into());
            $run!(self.shelf.set_many(items, &options))
        }

        /// Deletes a key; whether there was a live entry.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists).
        pub $($async)? fn delete(&self, key: &str) -> Result<bool, Error> {
            $run!(self.shelf.delete(key))
        }

        /// Deletes keys; how many of them had a live entry.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists); a key that is refused keeps all of them from being deleted.
        pub $($async)? fn delete_many<K: Into<String>>(
            &self,
            keys: impl IntoIterator<Item = K>,
        ) -> Result<u64, Error> {
            let keys = keys.into_iter().map(Into::into).collect();
            $run!(self.shelf.delete_many(keys))
        }

        /// Whether a key has a live entry. This is not counted.
        ///
        /// # Errors
        ///
        /// Of a server that does not answer as it should
        /// [`ErrorKind::Connection`](crate::ErrorKind::Connection),
        /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout),
        /// [`ErrorKind::Response`](crate::ErrorKind::Response).
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed),
        /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey).
        pub $($async)? fn exists(&self, key: &str) -> Result<bool, Error> {
            $run!(self.shelf.exists(key))
        }

        /// How much of its life an entry has left, its stale time included, to the millisecond.
        /// `None` where there is no entry, or none that ends.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists).
        pub $($async)? fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
            $run!(self.shelf.ttl(key))
        }

        /// Gives a live entry a new life, fresh to its end; a `ttl` of zero deletes it. Whether
        /// there was one.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists).
        pub $($async)? fn expire(&self, key: &str, ttl: Duration) -> Result<bool, Error> {
            $run!(self.shelf.expire(key, ttl))
        }

        /// Lets a live entry end at a time of the wall clock of this machine, cut down to the
        /// millisecond; one that is past deletes it. Whether there was one.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists).
        pub $($async)? fn expire_at(&self, key: &str, when: SystemTime) -> Result<bool, Error> {
            $run!(self.shelf.expire(key, $crate::operations::until(when)))
        }

        /// Lets a live entry be fresh for ever; whether there was one with an end.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists).
        pub $($async)? fn persist(&self, key: &str) -> Result<bool, Error> {
            $run!(self.shelf.persist(key))
        }

        /// Counts as a use of a live entry for the server's own eviction, and gives it a new life if
        /// `ttl` is one; whether there was an entry.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists).
        pub $($async)? fn touch(&self, key: &str, ttl: Option<Duration>) -> Result<bool, Error> {
            $run!(self.shelf.touch(key, ttl))
        }

        /// Adds `delta` to a counter and gives its new number; one that does not exist starts at
        /// zero.
        ///
        /// No addition is lost or made twice, however many processes add at once: where an answer is
        /// lost with its connection this fails, and nobody knows whether it was added.
        /// `ttl_on_create` is the life of a counter that this call creates; one that exists keeps
        /// its own. A value that is an integer is a counter, and [`get`](Self::get) of a counter is
        /// an integer. With encryption a counter stands in the clear all the same, and an integer
        /// that `set` encrypted is none.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) where the value is no
        /// integer in the clear, or counters are refused;
        /// [`ErrorKind::Overflow`](crate::ErrorKind::Overflow) past 64 bits; both leave the value as
        /// it is. Otherwise as [`exists`](Self::exists).
        pub $($async)? fn incr(
            &self,
            key: &str,
            delta: i64,
            ttl_on_create: Option<Duration>,
        ) -> Result<i64, Error> {
            $run!(self.shelf.add("incr", key, i128::from(delta), ttl_on_create))
        }

        /// Takes `delta` from a counter; otherwise as [`incr`](Self::incr).
        ///
        /// # Errors
        ///
        /// As [`incr`](Self::incr).
        pub $($async)? fn decr(
            &self,
            key: &str,
            delta: i64,
            ttl_on_create: Option<Duration>,
        ) -> Result<i64, Error> {
            $run!(self.shelf.add("decr", key, -i128::from(delta), ttl_on_create))
        }

        /// Adds tags to a live entry; whether there was one.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists).
        pub $($async)? fn add_tags(
            &self,
            key: &str,
            tags: impl IntoIterator<Item = impl Into<String>>,
        ) -> Result<bool, Error> {
            let tags = $crate::operations::names(tags);
            $run!(self.shelf.add_tags(key, tags))
        }

        /// Removes every entry that has one of these tags; how many live ones there were. See
        /// [`SetOptions::tags`].
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists), but for keys.
        pub $($async)? fn invalidate_tags(
            &self,
            tags: impl IntoIterator<Item = impl Into<String>>,
        ) -> Result<u64, Error> {
            let tags = $crate::operations::names(tags);
            $run!(self.shelf.invalidate_tags(tags))
        }

        /// Removes every entry of this namespace and of those inside it, a batch at a time; other
        /// keys of the database stay.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Config`](crate::ErrorKind::Config) without a namespace, because everything
        /// in the database would go: [`clear_all`](Self::clear_all) says that this is meant.
        /// Otherwise as [`exists`](Self::exists), but for keys.
        pub $($async)? fn clear(&self) -> Result<(), Error> {
            $run!(self.shelf.clear())
        }

        /// Removes every entry that this cache can see: those of its namespace, or without one every
        /// key of the database.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists), but for keys.
        pub $($async)? fn clear_all(&self) -> Result<(), Error> {
            $run!(self.shelf.clear_all())
        }

        /// Takes a lock, waiting for it without end: from then on nobody else who uses this server
        /// holds the lock of this name, until what is returned is released or dropped.
        ///
        /// Threads and tasks of this process, of all its caches on this database, get it in the
        /// order in which they came; processes in any order. While it is held it is renewed in the
        /// background. When it can't be for its [`ttl`](crate::LockOptions::ttl), 30 seconds unless
        /// said otherwise, it ends and somebody else gets it: what to do about that is said in
        /// [`lock`](crate::lock). A future that is dropped before it has the lock leaves the line,
        /// and gives back what it was just getting.
        ///
        /// This is one lock in one server: a failover to a replica that had not heard of it may
        /// give it away twice. A name is the namespace's own, as a key is; `clear` ends no lock.
        /// Release locks before you close the cache that was built: what is held then ends with
        /// its ttl.
        ///
        /// # Errors
        ///
        /// As [`exists`](Self::exists), for a name that can't be a key too; a server that does not
        /// answer is not waited for longer than the timeout of the cache.
        pub $($async)? fn lock(&self, name: &str) -> Result<$lock, Error> {
            let options = $crate::LockOptions::new();
            $run!(self.shelf.lock(name, options)).map($lock::new)
        }

        /// Takes a lock as [`LockOptions`](crate::LockOptions) say; otherwise as
        /// [`lock`](Self::lock).
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) where it was not free within the
        /// timeout; [`ErrorKind::Config`](crate::ErrorKind::Config) for a ttl of zero. Otherwise as
        /// [`lock`](Self::lock).
        pub $($async)? fn lock_with(
            &self,
            name: &str,
            options: $crate::LockOptions,
        ) -> Result<$lock, Error> {
            $run!(self.shelf.lock(name, options)).map($lock::new)
        }

        /// Looks whether the server answers, and how fast.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed); never for a server that does not answer,
        /// which [`Health`] tells.
        pub $($async)? fn ping(&self) -> Result<Health, Error> {
            $run!(self.shelf.ping())
        }

        /// Whether this cache is open and its server answers.
        pub $($async)? fn ping_ok(&self) -> bool {
            $run!(self.shelf.ping()).is_ok_and(|health| health.healthy)
        }

        /// A cache on the same connections whose keys all begin with `name:`, inside the namespace
        /// of this one. It counts its own statistics; closing it does not close this one.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an empty or reserved name,
        /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
        pub fn with_namespace(&self, name: &str) -> Result<Self, Error> {
            Ok(Self { shelf: self.shelf.with_namespace(name)? })
        }

        /// Another handle to this cache, which counts for itself too: its [`stats`](Self::stats)
        /// are those of the calls that went through it, and each `get` of it is timed, not one in
        /// 64. What it counts is also counted here. Closing it closes this one.
        #[must_use]
        pub fn measured(&self) -> Self {
            let space = self.shelf.space.wrapped(true);
            Self { shelf: self.shelf.with(space, &self.shelf.codec) }
        }

        /// Another handle to the same entries, which compresses what it writes. What it reads may be
        /// compressed or not, in any way.
        #[cfg(feature = "compress")]
        #[must_use]
        pub fn compressed(&self, compression: crate::Compression) -> Self {
            let mut codec = self.shelf.codec.as_ref().clone();
            codec.steps.compression = Some(compression);
            Self { shelf: self.shelf.with(self.shelf.space.wrapped(false), &codec.into()) }
        }

        /// Another handle to the same entries, which encrypts what it writes and reads only what is
        /// encrypted. To rotate a key, make one with the new key and
        /// [`Encryption::old_key`](crate::Encryption::old_key).
        #[cfg(feature = "encrypt")]
        #[must_use]
        pub fn encrypted(&self, encryption: crate::Encryption) -> Self {
            let mut codec = self.shelf.codec.as_ref().clone();
            codec.steps.encryption = Some(encryption);
            Self { shelf: self.shelf.with(self.shelf.space.wrapped(false), &codec.into()) }
        }

        /// The namespace of this cache.
        #[must_use]
        pub fn namespace(&self) -> Option<&str> {
            self.shelf.space.namespace().name()
        }

        /// What was counted through this handle and its clones.
        #[must_use]
        pub fn stats(&self) -> crate::Stats {
            self.shelf.space.counters().read()
        }

        /// Starts the counting anew.
        pub fn reset_stats(&self) {
            self.shelf.space.counters().reset();
        }

        /// Ends the use of this cache, for all clones of this handle: every operation from now on
        /// fails. The cache that was built, not one from
        /// [`with_namespace`](Self::with_namespace), closes its connections as well. Idempotent.
        ///
        /// A cache that goes out of scope needs no closing.
        pub fn close(&self) {
            self.shelf.close();
        }

        /// Whether this cache, or the one whose connections it uses, was closed.
        #[must_use]
        pub fn is_closed(&self) -> bool {
            self.shelf.space.is_closed()
        }
    };
}

pub(super) use redis_operations;
