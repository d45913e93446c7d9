//! Bytes from an enemy: whatever they are, the answer is a value or an error, soon and in little memory.

use cachine_codec::build::{Build, DEEPEST, Malformed};
use cachine_codec::content::{
    Date, DateTime, Path, Time, TimeDelta, Timestamp, decimal, surrogate_text, to_little_endian,
    unpack_complex, unpack_uuid,
};
use cachine_codec::exact;
use cachine_codec::kind::Kind;
use cachine_codec::msgpack::{self, Extensions};
use cachine_codec::sink::Refused;
use cachine_codec::value::{Value, ValueBuilder};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::arbitrary;
use crate::{from_json, from_message_pack, to_json, to_message_pack};

/// The answer is an error at a place in the bytes, or a value that can be written and read again.
fn is_harmless(bytes: &[u8]) {
    for read in [from_json, from_message_pack] {
        if let Err(error) = read(bytes) {
            assert!(error.at <= bytes.len());
        }
    }
    if let Ok(value) = exact::from_bytes(bytes) {
        let (_, again) = exact::to_bytes(&value).expect("what was read can be written");
        assert_eq!(exact::from_bytes(&again).unwrap(), value);
    }
}

proptest! {
    #![proptest_config(arbitrary::cases(3000))]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        is_harmless(&bytes);
    }

    #[test]
    fn bytes_that_are_nearly_right_never_panic(
        value in arbitrary::value(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let (_, mut bytes) = exact::to_bytes(&value)?;
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        is_harmless(&bytes);
    }

    #[test]
    fn a_payload_that_goes_on_is_an_error(value in arbitrary::value(), more in any::<u8>()) {
        let mut packed = to_message_pack(&value, Extensions::All)?;
        packed.push(more);
        prop_assert!(from_message_pack(&packed).is_err());
        if let Ok(mut text) = to_json(&value) {
            let is_number = matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Float(_));
            let goes_on = is_number && matches!(more, b'0'..=b'9' | b'.' | b'e' | b'E');
            let is_space = matches!(more, b' ' | b'\t' | b'\n' | b'\r');
            text.push(more);
            prop_assert!(from_json(&text).is_err() || is_space || goes_on);
        }
    }

    #[test]
    fn the_content_of_an_extension_has_one_form(content in vec(any::<u8>(), 0..40)) {
        prop_assert!(Date::unpack(&content).is_ok_and(|it| it.pack()[..] == content) || Date::unpack(&content).is_err());
        prop_assert!(Time::unpack(&content).map_or(true, |it| it.pack() == content));
        prop_assert!(DateTime::unpack(&content).map_or(true, |it| it.pack() == content));
        prop_assert!(TimeDelta::unpack(&content).map_or(true, |it| it.pack()[..] == content));
        prop_assert!(Path::unpack(&content).map_or(true, |it| it.pack() == content));
        prop_assert!(Timestamp::unpack(&content).map_or(true, |it| it.nanoseconds < 1_000_000_000));
        let _ = (decimal(&content), surrogate_text(&content), to_little_endian(&content));
        let _ = (unpack_complex(&content), unpack_uuid(&content));
    }
}

proptest! {
    // Each of them is read once for every byte it has.
    #![proptest_config(arbitrary::cases(200))]

    #[test]
    fn a_payload_that_ends_early_is_an_error_wherever_it_ends(value in arbitrary::value()) {
        let packed = to_message_pack(&value, Extensions::All)?;
        for end in 0..packed.len() {
            prop_assert!(from_message_pack(&packed[..end]).is_err());
        }
        // Of a number in decimal digits nobody can say that it is not all.
        let is_number = matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Float(_));
        if let Ok(text) = to_json(&value)
            && !is_number
        {
            for end in 0..text.len() {
                prop_assert!(from_json(&text[..end]).is_err());
            }
        }
    }
}

/// So many containers inside each other.
fn nested(depth: usize, inside: fn(Vec<Value>) -> Value) -> Value {
    (1..depth).fold(inside(vec![]), |value, _| inside(vec![value]))
}

#[test]
fn what_a_sink_takes_is_never_too_deep_for_a_reader() {
    let map = |mut items: Vec<Value>| {
        Value::Map(items.pop().map(|value| ("k".into(), value)).into_iter().collect())
    };
    let kinds: [fn(Vec<Value>) -> Value; 3] = [Value::List, map, Value::Tuple];
    for inside in kinds {
        let most = nested(DEEPEST, inside);
        let packed = to_message_pack(&most, Extensions::All).unwrap();
        assert_eq!(from_message_pack(&packed).unwrap(), most);
        let (_, bytes) = exact::to_bytes(&most).unwrap();
        assert_eq!(exact::from_bytes(&bytes).unwrap(), most);
        let more = nested(DEEPEST + 1, inside);
        assert_eq!(to_message_pack(&more, Extensions::All), Err(Refused::TooDeep));
        assert!(to_json(&more).is_err());
        assert!(exact::to_bytes(&more).is_err());
    }
    assert_eq!(to_json(&nested(DEEPEST + 1, Value::List)), Err(Refused::TooDeep));
    // Containers beside each other do not add up.
    let wide = Value::List(vec![nested(DEEPEST - 1, Value::List); 3]);
    assert_eq!(from_json(&to_json(&wide).unwrap()).unwrap(), wide);
    let wide = Value::Tuple(vec![nested(DEEPEST - 1, Value::Tuple); 3]);
    let packed = to_message_pack(&wide, Extensions::All).unwrap();
    assert_eq!(from_message_pack(&packed).unwrap(), wide);
}

#[test]
fn ten_thousand_levels_are_an_error_and_not_the_end_of_the_stack() {
    const LEVELS: usize = 10_000;
    for unit in ["[", "{\"a\":", "[1,{\"a\":"] {
        let error = from_json(unit.repeat(LEVELS).as_bytes()).unwrap_err();
        assert_eq!(error.what, "nesting that is too deep");
    }
    let list = from_message_pack(&[0x91].repeat(LEVELS)).unwrap_err();
    let map = from_message_pack(&[0x81].repeat(LEVELS)).unwrap_err();
    let extensions: Vec<u8> = (0..LEVELS)
        .rev()
        .flat_map(|level| {
            let length = u32::try_from(level * 6).unwrap().to_be_bytes();
            [&[0xc9][..], &length, &[Kind::Tuple as u8]].concat()
        })
        .collect();
    let extension = from_message_pack(&extensions).unwrap_err();
    for error in [list, map, extension] {
        assert_eq!(error.what, "nesting that is too deep");
    }
    // A value of so many levels is refused long before that, too.
    assert!(exact::to_bytes(&nested(LEVELS, Value::List)).is_err());
}

/// Takes nothing.
struct Nothing;
#[rustfmt::skip]
impl Build for Nothing {
    type Error = Malformed;
    fn null(&mut self) -> Result<(), Malformed> { Err(Malformed { what: "nothing", at: 7 }) }
    fn bool(&mut self, _: bool) -> Result<(), Malformed> { self.null() }
    fn int(&mut self, _: i64) -> Result<(), Malformed> { self.null() }
    fn big_int(&mut self, _: &[u8]) -> Result<(), Malformed> { self.null() }
    fn float(&mut self, _: f64) -> Result<(), Malformed> { self.null() }
    fn str(&mut self, _: &str) -> Result<(), Malformed> { self.null() }
    fn bytes(&mut self, _: &[u8]) -> Result<(), Malformed> { self.null() }
    fn list(&mut self, _: usize) -> Result<(), Malformed> { self.null() }
    fn map(&mut self, _: usize) -> Result<(), Malformed> { self.null() }
    fn nested(&mut self, _: Kind, _: usize) -> Result<(), Malformed> { self.null() }
    fn extension(&mut self, _: Kind, _: &[u8]) -> Result<(), Malformed> { self.null() }
}

#[test]
fn a_length_that_lies_is_found_out_at_the_header() {
    let headers: [&[u8]; 14] = [
        b"\xd9\xff",
        b"\xda\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc4\xff",
        b"\xc5\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdc\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xde\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc7\xff\x04",
        b"\xc9\xff\xff\xff\xff\x04",
        b"\xc8\xff\xff\x01",
        b"\xc9\xff\xff\xff\xff\x01",
    ];
    for header in headers {
        for rest in [&[][..], &[0xc0; 100]] {
            // Not one item is even looked at: the builder would refuse it with another error.
            let error = msgpack::read(&[header, rest].concat(), &mut Nothing).unwrap_err();
            assert_eq!(error, Malformed { what: "an end that comes too early", at: header.len() });
        }
    }
}

#[test]
fn a_container_does_not_reach_beyond_the_extension_that_it_is_in() {
    // A tuple of one byte, which says that it is a list of one item; the item stands behind it.
    assert!(from_message_pack(&[0xd4, 0x01, 0x91, 0x07]).is_err());
    assert!(from_message_pack(&[0x92, 0xd4, 0x01, 0x91, 0x07]).is_err());
    // A string inside of a tuple, longer than the tuple.
    assert!(from_message_pack(&[0xd5, 0x01, 0xa2, b'a', b'b']).is_err());
    // An extension inside of one, longer than that.
    assert!(from_message_pack(&[0xc7, 3, 0x01, 0xd5, 0x01, 0x07, 0x07]).is_err());
}

#[test]
fn what_means_nothing_is_refused() {
    let wrong: [(&[u8], &str); 12] = [
        (b"", "an end that comes too early"),
        (b"\xc1", "the byte 0xC1, which means nothing"),
        (b"\x91\xc1", "the byte 0xC1, which means nothing"),
        (b"\xd4\x7f\x00", "an extension type that is unknown here"),
        (b"\xd4\x00\x00", "an extension type that is unknown here"),
        (b"\xa2\xc3\x28", "text that is no UTF-8"),
        (b"\x81\xa1\xff\x01", "text that is no UTF-8"),
        (b"\xc0\xc0", "more after the value"),
        (b"\xd4\xff\x00", "a timestamp of an unknown form"),
        (b"\xd4\x05\x00", "a big integer that is not written as short as possible"),
        (
            b"\xc7\x09\x05\x00\xff\xff\xff\xff\xff\xff\xff\xff",
            "a big integer that is not written as short as possible",
        ),
        (
            b"\xc7\x0a\x05\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00",
            "a big integer that is not written as short as possible",
        ),
    ];
    for (bytes, what) in wrong {
        assert_eq!(from_message_pack(bytes).unwrap_err().what, what, "{bytes:02x?}");
    }
}

#[test]
fn extensions_whose_values_are_not_what_they_should_be_are_refused() {
    let wrong: [&[u8]; 9] = [
        // A range of two, with a text, without a step; a fraction of one, with 0 below, negative below.
        b"\xd5\x08\x00\x05",
        b"\xc7\x04\x08\x00\x05\xa1a",
        b"\xc7\x03\x08\x00\x05\x00",
        b"\xd4\x0a\x01",
        b"\xd5\x0a\x01\x00",
        b"\xd5\x0a\x01\xff",
        // A member without a name, an instance without one, a field without a value.
        b"\xd5\x11\xa1P",
        b"\xc7\x00\x12",
        b"\xd6\x13\xa1P\xa1x",
    ];
    for bytes in wrong {
        assert!(from_message_pack(bytes).is_err(), "{bytes:02x?}");
    }
}

#[test]
fn a_builder_that_refuses_stops_the_reading() {
    let payloads: [&[u8]; 14] = [
        b"1",
        b"true",
        b"null",
        b"\"\"",
        b"1.5",
        b"[]",
        b"{}",
        b"{\"a\":1}",
        b"99999999999999999999",
        b"\x90",
        b"\x80",
        b"\xc4\x00",
        b"\xc7\x00\x01",
        b"\xc7\x00\x04",
    ];
    for payload in payloads {
        assert_eq!(exact::read(payload, &mut Nothing).unwrap_err().at, 7, "{payload:02x?}");
    }
    assert!(ValueBuilder::new().list(1).is_err());
}
