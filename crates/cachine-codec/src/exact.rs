//! The format of `ExactSerializer`: JSON text where that keeps a value exactly, MessagePack where not.
//!
//! Nothing says which of the two it is but the first byte. JSON text is UTF-8 and begins with an ASCII
//! character. A value that JSON does not take is, in MessagePack, a container, a float, bytes or an
//! extension; all of these begin with 0x80 or more. What would not are the integers 0 to 127, which JSON
//! always takes.

use cachine_core::error::{Error, ErrorKind};

use crate::build::Build;
use crate::format::Format;
use crate::json::{self, JsonSink};
use crate::msgpack::{self, Extensions, MessagePackSink};
use crate::value::{Value, ValueBuilder};

/// Whether a payload with this first byte is JSON text; otherwise it is MessagePack.
pub const fn is_json(first: u8) -> bool {
    first < 0x80
}

/// Reads a payload in either format; see [`json::read`] and [`msgpack::read`].
///
/// # Errors
///
/// As these.
pub fn read<B: Build>(bytes: &[u8], build: &mut B) -> Result<(), B::Error> {
    match bytes.first() {
        Some(&first) if !is_json(first) => msgpack::read(bytes, build),
        _ => json::read(bytes, build),
    }
}

/// The payload of a value, and which of the two formats it is in.
///
/// # Errors
///
/// `Serialization` if it is nested too deep or too long for MessagePack.
pub fn to_bytes(value: &Value) -> Result<(Format, Vec<u8>), Error> {
    let mut text = JsonSink::exact();
    if value.walk(&mut text).is_ok() {
        return Ok((Format::Json, text.into_bytes()));
    }
    let mut sink = MessagePackSink::new(Extensions::All);
    value.walk(&mut sink).map_err(|refused| {
        let message = format!("the value can't be serialized: {refused}; store something smaller");
        Error::new(ErrorKind::Serialization, "serialize", message)
    })?;
    Ok((Format::MessagePack, sink.into_bytes()))
}

/// The value of a payload in either format.
///
/// # Errors
///
/// `Deserialization` for bytes that are no such payload.
pub fn from_bytes(bytes: &[u8]) -> Result<Value, Error> {
    let mut build = ValueBuilder::new();
    read(bytes, &mut build)
        .and_then(|()| build.finish())
        .map_err(|malformed| {
            let message = format!(
                "the bytes are no payload of an exact serializer: {malformed}; delete the entry, or read \
                 it with the serializer that wrote it"
            );
            Error::new(ErrorKind::Deserialization, "deserialize", message)
        })
}
