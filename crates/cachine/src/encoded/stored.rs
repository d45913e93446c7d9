//! What a cache in byte form keeps: an integer, or bytes; and how a value becomes that and comes
//! back.

use std::sync::Arc;

use cachine_codec::payload::Payload;
use cachine_codec::steps::{Steps, Written};
use cachine_codec::stored::{self, Meta};
use cachine_core::error::{Error, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoded::Serializer;
use crate::read_through::Writing;

/// A value as the store keeps it. Freshness and tags are the entry's, so no frame holds any.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// An integer that was not encrypted: a value, or a counter.
    Integer(i64),
    /// Everything else, after all steps.
    Bytes(Arc<[u8]>),
}

/// How values become bytes.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    pub(crate) serializer: Serializer,
    pub(crate) steps: Steps,
}

impl Stored {
    /// The bytes that another store would keep.
    pub(super) fn to_bytes(&self) -> Arc<[u8]> {
        match self {
            Self::Integer(integer) => integer.to_string().into_bytes().into(),
            Self::Bytes(bytes) => Arc::clone(bytes),
        }
    }

    /// Bytes in memory.
    fn size(&self) -> usize {
        match self {
            Self::Integer(_) => size_of::<i64>(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// An entry weighs what its key and its value take.
    pub(super) fn weight(&self, key: &[u8]) -> u64 {
        (key.len() + self.size()) as u64
    }

    /// Whether two readings are of one and the same writing; of integers, any two that are equal.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Codec {
    /// What to store of a value under this physical key.
    pub(super) fn write<T: Serialize + ?Sized>(
        &self,
        operation: &'static str,
        key: &[u8],
        value: &T,
    ) -> Result<Writing<Stored>, Error> {
        let payload = self.serializer.write(operation, value)?;
        let (stored, bytes) = match payload {
            Payload::Integer(integer) if self.steps.encryption.is_none() => {
                let stored = Stored::Integer(integer);
                let size = stored.size();
                (stored, (size, size))
            }
            payload => {
                let Written { bytes, raw, packed } = self.pass(operation, key, &payload)?;
                (Stored::Bytes(bytes.into()), (raw, packed))
            }
        };
        Ok(Writing { weight: stored.weight(key), stored, bytes: Some(bytes) })
    }

    fn pass(
        &self,
        operation: &'static str,
        key: &[u8],
        payload: &Payload<'_>,
    ) -> Result<Written, Error> {
        let written = self.steps.write(key, &Meta::default(), payload);
        written.map_err(|error| of(operation, &error))
    }

    /// The bytes that a store which knows nothing but bytes keeps of a value.
    #[cfg(feature = "redis")]
    pub(crate) fn to_bytes<T: Serialize + ?Sized>(
        &self,
        operation: &'static str,
        key: &[u8],
        value: &T,
    ) -> Result<Written, Error> {
        self.pass(operation, key, &self.serializer.write(operation, value)?)
    }

    /// Whether a value is written as nothing at all, as a `None` is.
    #[cfg(feature = "redis")]
    pub(crate) fn is_nothing<T: Serialize + ?Sized>(
        &self,
        operation: &'static str,
        value: &T,
    ) -> bool {
        let write = self.serializer.write(operation, value);
        let nothing = self.serializer.write(operation, &());
        write.is_ok_and(|written| nothing.is_ok_and(|nothing| written == nothing))
    }

    /// The value of a type that is written as nothing at all, if it has one.
    #[cfg(feature = "redis")]
    pub(crate) fn nothing<T: DeserializeOwned>(&self, operation: &'static str) -> Option<T> {
        let nothing = self.serializer.write(operation, &()).ok()?;
        self.serializer.read(operation, &nothing).ok()
    }

    /// The value of what is stored under this physical key.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        key: &[u8],
        stored: &Stored,
    ) -> Result<T, Error> {
        match stored {
            Stored::Integer(integer) => {
                let payload = self.counter(operation, key, *integer)?;
                self.serializer.read(operation, &payload)
            }
            Stored::Bytes(bytes) => self.of_bytes(operation, key, bytes),
        }
    }

    /// The value of these bytes, which are stored under this physical key.
    pub(crate) fn of_bytes<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        key: &[u8],
        bytes: &[u8],
    ) -> Result<T, Error> {
        let (_, payload) = self.steps.read(key, bytes).map_err(|error| of(operation, &error))?;
        self.serializer.read(operation, &payload)
    }

    /// An integer in the clear, which not every encryption lets pass.
    fn counter(
        &self,
        operation: &'static str,
        key: &[u8],
        integer: i64,
    ) -> Result<Payload<'static>, Error> {
        if self.steps.encryption.is_some() {
            let digits = integer.to_string();
            self.steps.read(key, digits.as_bytes()).map_err(|error| of(operation, &error))?;
        }
        Ok(Payload::Integer(integer))
    }

    /// The number that a counter stands at.
    pub(super) fn count(
        &self,
        operation: &'static str,
        key: &[u8],
        stored: &Stored,
    ) -> Result<i64, Error> {
        let counted = match stored {
            Stored::Integer(integer) => {
                return self.counter(operation, key, *integer).map(|_| *integer);
            }
            Stored::Bytes(bytes) => stored::count(bytes, 0),
        };
        counted.map(|(integer, _)| integer).map_err(|error| of(operation, &error))
    }

    /// Fails where no counter may be made.
    pub(crate) fn may_count(&self, operation: &'static str, key: &[u8]) -> Result<(), Error> {
        self.counter(operation, key, 0).map(drop).map_err(|_| {
            let message = format!(
                "{operation}: a counter stands in the clear, which the encryption of this cache \
                 refuses: count in another cache, or leave `refuse_counters` out"
            );
            Error::new(ErrorKind::Serialization, operation, message)
        })
    }
}

/// An error of the codec as one of the operation that met it.
fn of(operation: &'static str, error: &Error) -> Error {
    Error::new(error.kind(), operation, format!("{operation}: {error}"))
}
