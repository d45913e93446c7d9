//! The formats: what is written is read again as the same, and only what a format has is written.

#[path = "values/arbitrary.rs"]
mod arbitrary;
#[path = "values/hostile.rs"]
mod hostile;
#[path = "values/json.rs"]
mod json_text;
#[path = "values/msgpack.rs"]
mod message_pack;
#[path = "values/rules.rs"]
mod rules;

use cachine_codec::build::{Build, Malformed};
use cachine_codec::format::Format;
use cachine_codec::json::{self, JsonSink};
use cachine_codec::msgpack::{self, Extensions, MessagePackSink};
use cachine_codec::sink::Refused;
use cachine_codec::value::{Value, ValueBuilder};
use cachine_codec::{content, exact};
use proptest::prelude::*;

pub(crate) fn to_json(value: &Value) -> Result<Vec<u8>, Refused> {
    let mut sink = JsonSink::new();
    value.walk(&mut sink)?;
    Ok(sink.into_bytes())
}

pub(crate) fn to_message_pack(value: &Value, extensions: Extensions) -> Result<Vec<u8>, Refused> {
    let mut sink = MessagePackSink::new(extensions);
    value.walk(&mut sink)?;
    Ok(sink.into_bytes())
}

type Read = fn(&[u8], &mut ValueBuilder) -> Result<(), Malformed>;

fn from(bytes: &[u8], read: Read) -> Result<Value, Malformed> {
    let mut build = ValueBuilder::new();
    read(bytes, &mut build)?;
    build.finish()
}

pub(crate) fn from_json(bytes: &[u8]) -> Result<Value, Malformed> {
    from(bytes, json::read)
}

pub(crate) fn from_message_pack(bytes: &[u8]) -> Result<Value, Malformed> {
    from(bytes, msgpack::read)
}

proptest! {
    #![proptest_config(arbitrary::cases(3000))]

    #[test]
    fn every_value_comes_back_exactly_and_the_first_byte_tells_the_format(value in arbitrary::value()) {
        let (format, bytes) = exact::to_bytes(&value)?;
        let is_json = rules::is_json(&value, true);
        prop_assert_eq!(format, if is_json { Format::Json } else { Format::MessagePack });
        prop_assert_eq!(exact::is_json(bytes[0]), is_json);
        // The mark of a frame, which no payload begins with.
        prop_assert_ne!(bytes[0], 0xc1);
        prop_assert_eq!(exact::from_bytes(&bytes)?, value);
    }

    #[test]
    fn json_takes_what_it_has_and_gives_it_back(value in arbitrary::value()) {
        let text = to_json(&value);
        prop_assert_eq!(text.is_ok(), rules::is_json(&value, false));
        if let Ok(text) = text {
            prop_assert_eq!(from_json(&text)?, value);
        }
    }

    #[test]
    fn message_pack_takes_what_it_has_and_gives_it_back(value in arbitrary::value()) {
        let plain = to_message_pack(&value, Extensions::Plain);
        prop_assert_eq!(plain.is_ok(), rules::is_plain_message_pack(&value));
        let all = to_message_pack(&value, Extensions::All)?;
        prop_assert_eq!(from_message_pack(&all)?, value);
        if let Ok(plain) = plain {
            prop_assert_eq!(plain, all);
        }
    }

    #[test]
    fn a_datetime_in_utc_is_a_timestamp_and_comes_back(value in arbitrary::date_time()) {
        let Some(timestamp) = value.to_timestamp() else {
            prop_assert!(value.time.zone != content::Zone::Utc || value.time.fold);
            return Ok(());
        };
        prop_assert_eq!(timestamp.to_date_time()?, value);
        let (shortest, length) = timestamp.shortest();
        prop_assert_eq!(content::Timestamp::unpack(&shortest[..length])?, timestamp);
    }
}

#[test]
fn a_value_that_no_reader_would_take_is_not_written() {
    let date = content::Date { year: 2023, month: 2, day: 29 };
    let time = |microsecond, zone| {
        Value::Time(content::Time { hour: 1, minute: 2, second: 3, microsecond, fold: false, zone })
    };
    let offset = content::Zone::Offset { seconds: -86_400, microseconds: 0 };
    let wrong = [
        Value::Decimal("1,5".to_owned()),
        Value::SurrogateText(b"plain".to_vec()),
        Value::SurrogateText(vec![0xed, 0xa0, 0x80, 0xff]),
        Value::Date(date),
        // It would be 0 in three bytes.
        time(1 << 24, content::Zone::Naive),
        time(0, offset),
        time(0, content::Zone::Name("".into())),
        Value::Range(Box::new([Value::Int(0), Value::Int(1), Value::Int(0)])),
        Value::Range(Box::new([Value::Int(0), Value::Null, Value::Int(1)])),
        Value::Fraction(Box::new([Value::Int(1), Value::Int(0)])),
        Value::TimeDelta(content::TimeDelta { days: 0, seconds: 86_400, microseconds: 0 }),
    ];
    for value in wrong {
        assert_eq!(to_message_pack(&value, Extensions::All), Err(Refused::Kind), "{value:?}");
        assert!(exact::to_bytes(&value).is_err(), "{value:?}");
    }
}

#[test]
fn integers_at_the_top_are_json_so_that_message_pack_never_begins_below_0x80() {
    for number in (0..=127).chain([i64::MIN, -1, 128, i64::MAX]) {
        let (format, bytes) = exact::to_bytes(&Value::Int(number)).unwrap();
        assert_eq!((format, bytes), (Format::Json, number.to_string().into_bytes()));
    }
}

#[test]
fn of_equal_keys_the_last_one_counts_in_every_format() {
    let expected = Value::Map(vec![("a".into(), Value::Int(3)), ("b".into(), Value::Int(2))]);
    assert_eq!(from_json(br#"{"a":1,"b":2,"\u0061":3}"#).unwrap(), expected);
    let packed = [0x83, 0xa1, b'a', 1, 0xa1, b'b', 2, 0xa1, b'a', 3];
    assert_eq!(from_message_pack(&packed).unwrap(), expected);
    // A map of so many pairs is looked through in another way.
    let pairs: Vec<String> =
        (0..100).map(|number| format!("\"{}\":{number}", number % 50)).collect();
    let Value::Map(read) = from_json(format!("{{{}}}", pairs.join(",")).as_bytes()).unwrap() else {
        panic!("no map");
    };
    assert_eq!(read.len(), 50);
    assert_eq!(read[7], ("7".into(), Value::Int(57)));
}

#[test]
fn what_is_not_exact_is_an_error_that_says_what_to_do() {
    let error = exact::from_bytes(b"{\"a\":").unwrap_err();
    assert!(error.to_string().contains("an end that comes too early"), "{error}");
    assert!(exact::from_bytes(b"").is_err());
    let mut build = ValueBuilder::new();
    build.null().unwrap();
    build.null().unwrap();
    assert!(build.finish().is_err());
}
