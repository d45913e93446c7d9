//! The options of a cache in byte form, checked once when it is built.

use std::fmt;

#[cfg(feature = "compress")]
use cachine_codec::compression::Compression;
#[cfg(feature = "encrypt")]
use cachine_codec::encryption::Encryption;
use cachine_codec::steps::Steps;
use cachine_core::clock::Clock;
use cachine_core::error::{Error, ErrorKind};
use cachine_core::policy::Eviction;
use cachine_core::store::Bounds;

use crate::encoded::stored::Codec;
use crate::encoded::{EncodedCache, Serializer, serializer};
use crate::memory::view;

/// Builds an [`EncodedCache`]; see [`EncodedCache::builder`].
#[must_use = "a builder makes no cache before `build`"]
pub struct Builder {
    bounds: Bounds,
    namespace: String,
    clock: Clock,
    serializer: Option<Serializer>,
    steps: Steps,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            bounds: Bounds::default(),
            namespace: String::new(),
            clock: Clock::System,
            serializer: serializer::USUAL,
            steps: Steps::default(),
        }
    }

    /// Keeps at most `entries` entries. Without this and [`max_weight`](Self::max_weight) nothing
    /// is ever evicted.
    pub fn max_size(mut self, entries: u64) -> Self {
        self.bounds.max_size = Some(entries);
        self
    }

    /// Keeps at most `bytes` bytes: those of the keys, namespace included, and of the values as
    /// they are stored, an integer being eight. What the cache needs beside them, about a hundred
    /// bytes an entry, is not counted. An entry that is heavier on its own is not kept.
    pub fn max_weight(mut self, bytes: u64) -> Self {
        self.bounds.max_weight = Some(bytes);
        self
    }

    /// Who leaves when a bound is reached; [`Eviction::Lru`] unless said otherwise.
    pub fn eviction(mut self, eviction: Eviction) -> Self {
        self.bounds.eviction = eviction;
        self
    }

    /// Puts `name:` before every key; an empty name is no namespace.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Reads the time from `clock`, for tests that move it.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
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

    /// Makes the cache.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a bound of zero, for a namespace with a reserved name, and where
    /// no serializer was named and there is no JSON.
    pub fn build(self) -> Result<EncodedCache, Error> {
        let serializer = self.serializer.ok_or_else(|| {
            let message = "no serializer was named: name one, or build with the feature `json`";
            Error::new(ErrorKind::Config, "build", message)
        })?;
        let view = view(self.bounds, &self.namespace, self.clock)?;
        Ok(EncodedCache::of(view, Codec { serializer, steps: self.steps }.into()))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("bounds", &self.bounds)
            .field("namespace", &self.namespace)
            .field("serializer", &self.serializer)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
