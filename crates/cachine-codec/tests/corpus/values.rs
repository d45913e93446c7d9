//! What every format has to bear: any bytes at all. Run by the test `corpus` and by the crate `fuzz`.
//!
//! What is read is written and read again: it has to be the same value.

use cachine_codec::build::Malformed;
use cachine_codec::exact;
use cachine_codec::json::{self, JsonSink};
use cachine_codec::msgpack::{self, Extensions, MessagePackSink};
use cachine_codec::value::{Value, ValueBuilder};
use cachine_core::error::ErrorKind;

fn built(read: impl Fn(&mut ValueBuilder) -> Result<(), Malformed>) -> Option<Value> {
    let mut build = ValueBuilder::new();
    read(&mut build).and_then(|()| build.finish()).ok()
}

/// JSON text.
pub(crate) fn json(input: &[u8]) {
    let Some(value) = built(|build| json::read(input, build)) else { return };
    let mut sink = JsonSink::new();
    value.walk(&mut sink).unwrap();
    let text = sink.into_bytes();
    assert_eq!(built(|build| json::read(&text, build)), Some(value));
}

/// MessagePack.
pub(crate) fn msgpack(input: &[u8]) {
    let Some(value) = built(|build| msgpack::read(input, build)) else { return };
    let mut sink = MessagePackSink::new(Extensions::All);
    value.walk(&mut sink).unwrap();
    let bytes = sink.into_bytes();
    assert_eq!(built(|build| msgpack::read(&bytes, build)), Some(value));
}

/// The payloads of exact serializers.
pub(crate) fn exact(input: &[u8]) {
    let value = match exact::from_bytes(input) {
        Ok(value) => value,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Deserialization, "{error}"),
    };
    let (_, bytes) = exact::to_bytes(&value).unwrap();
    assert_eq!(exact::from_bytes(&bytes).unwrap(), value);
}
