//! The formats in which values are kept, as serde speaks them.
//!
//! An integer is no payload but itself: whatever the format, it comes back as
//! [`Payload::Integer`], so that `incr` and `get` see the same number.

#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error as StdError;

use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use cachine_core::error::{Error, ErrorKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::encoded::misfit::Misfit;
use crate::encoded::strict::Rules;

/// The format in which an [`EncodedCache`](crate::EncodedCache) keeps values.
///
/// Both are read by the Python door and by other programs. A value that would come back as another
/// one is refused: a `Some` of `None` or of `()`, and in JSON a NaN or an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Serializer {
    /// JSON text (RFC 8259): readable everywhere. Bytes become a list of numbers, and of a map with
    /// keys of several types it is the type that says which they were.
    #[cfg(feature = "json")]
    Json,
    /// MessagePack, with structs as maps of their fields' names: smaller and faster, and bytes are
    /// bytes.
    #[cfg(feature = "msgpack")]
    MessagePack,
}

/// The one that is taken where none is named.
#[cfg(feature = "json")]
pub(crate) const USUAL: Option<Serializer> = Some(Serializer::Json);
/// A program names one: what it gets must not depend on whether another one wants JSON too.
#[cfg(not(feature = "json"))]
pub(crate) const USUAL: Option<Serializer> = None;

impl Serializer {
    const fn format(self) -> Format {
        match self {
            #[cfg(feature = "json")]
            Self::Json => Format::Json,
            #[cfg(feature = "msgpack")]
            Self::MessagePack => Format::MessagePack,
        }
    }

    /// A value as it is stored, before any step.
    pub(crate) fn write<T: Serialize + ?Sized>(
        self,
        operation: &'static str,
        value: &T,
    ) -> Result<Payload<'static>, Error> {
        let (integer, bytes) = match self {
            #[cfg(feature = "json")]
            Self::Json => {
                let bytes = json::write(operation, value)?;
                (json::integer(&bytes), bytes)
            }
            #[cfg(feature = "msgpack")]
            Self::MessagePack => {
                let bytes = msgpack::write(operation, value)?;
                (msgpack::integer(&bytes), bytes)
            }
        };
        let bytes = || Payload::Bytes { format: Some(self.format()), bytes: Cow::Owned(bytes) };
        Ok(integer.map_or_else(bytes, Payload::Integer))
    }

    /// The value of what was stored, after all steps.
    pub(crate) fn read<T: DeserializeOwned>(
        self,
        operation: &'static str,
        payload: &Payload<'_>,
    ) -> Result<T, Error> {
        let format = self.format();
        let read = match payload {
            // Whatever type asks for it meets it as the format would have shown it.
            Payload::Integer(integer) => self.parse(&self.written(*integer)),
            Payload::Bytes { format: Some(other), .. } if *other != format => {
                Err(Misfit::known(format!("it is {}, not {}", other.name(), format.name())))
            }
            Payload::Bytes { bytes, .. } => self.parse(bytes),
        };
        read.map_err(|misfit| {
            let message = format!(
                "{operation}: what is stored is no `{}` in {}: read it as what it was set as, or \
                 delete the key",
                type_name::<T>(),
                format.name()
            );
            Error::new(ErrorKind::Deserialization, operation, message).caused_by(misfit)
        })
    }

    fn parse<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Misfit> {
        match self {
            #[cfg(feature = "json")]
            Self::Json => json::read(bytes),
            #[cfg(feature = "msgpack")]
            Self::MessagePack => msgpack::read(bytes),
        }
    }

    /// An integer in this format.
    fn written(self, integer: i64) -> Vec<u8> {
        match self {
            #[cfg(feature = "json")]
            Self::Json => integer.to_string().into_bytes(),
            #[cfg(feature = "msgpack")]
            Self::MessagePack => msgpack::of_integer(integer),
        }
    }
}

/// Why a value was not written.
fn unwritable<T: ?Sized>(
    operation: &'static str,
    format: Format,
    rules: &Rules,
    cause: impl StdError + Send + Sync + 'static,
) -> Error {
    let (name, format) = (type_name::<T>(), format.name());
    let refuse = |why: &str| {
        let message =
            format!("{operation}: a `{name}` can't be kept as {format}, nothing was stored: {why}");
        Error::new(ErrorKind::Serialization, operation, message)
    };
    match rules.refused() {
        Some(why) => refuse(why),
        None => refuse("the serializer refuses something in it").caused_by(cause),
    }
}

#[cfg(all(test, feature = "json", feature = "msgpack"))]
mod tests;
