//! MessagePack: its forms byte by byte, and the same as `rmpv` reads and writes.

use cachine_codec::content::{Date, DateTime, Time, TimeDelta, Timestamp, Zone};
use cachine_codec::kind::Kind;
use cachine_codec::msgpack::{Extensions, MessagePackSink};
use cachine_codec::sink::Sink;
use cachine_codec::value::{Double, Value};
use proptest::prelude::*;

use crate::arbitrary;
use crate::{from_message_pack, to_message_pack};

/// The same value as another library knows it.
fn to_other(value: &Value) -> rmpv::Value {
    match value {
        Value::Null => rmpv::Value::Nil,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::BigInt(value) => {
            let bytes = value.as_little_endian()[..8].try_into().unwrap();
            u64::from_le_bytes(bytes).into()
        }
        Value::Float(value) => value.get().into(),
        Value::Text(text) => text.as_str().into(),
        Value::Bytes(bytes) => rmpv::Value::Binary(bytes.clone()),
        Value::List(items) => rmpv::Value::Array(items.iter().map(to_other).collect()),
        Value::Map(pairs) => rmpv::Value::Map(
            pairs.iter().map(|(key, value)| (to_other(key), to_other(value))).collect(),
        ),
        other => panic!("{other:?} is an extension"),
    }
}

/// Without the comparison of floats, for which NaN is not NaN.
fn packed(value: &rmpv::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    bytes
}

proptest! {
    #![proptest_config(arbitrary::cases(2000))]

    #[test]
    fn every_byte_is_as_another_library_writes_it(value in arbitrary::plain(false)) {
        let bytes = to_message_pack(&value, Extensions::Plain)?;
        prop_assert_eq!(&bytes, &packed(&to_other(&value)));
        let read = rmpv::decode::read_value(&mut bytes.as_slice()).unwrap();
        prop_assert_eq!(packed(&read), bytes);
    }

    #[test]
    fn what_another_library_writes_is_read(value in arbitrary::plain(false)) {
        prop_assert_eq!(from_message_pack(&packed(&to_other(&value)))?, value);
    }

    /// The content of an extension may be of any length: its header is written last.
    #[test]
    fn another_library_finds_the_end_of_nested_extensions(value in arbitrary::value()) {
        let bytes = to_message_pack(&value, Extensions::All)?;
        let mut rest = bytes.as_slice();
        let read = rmpv::decode::read_value(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        // Headers are the shortest ones, too.
        prop_assert_eq!(packed(&read), bytes);
    }

    #[test]
    fn every_timestamp_has_the_form_of_the_specification(
        seconds in prop_oneof![any::<i64>(), 0..=(1_i64 << 35), -10..=10_i64, Just((1_i64 << 34) - 1)],
        nanoseconds in prop_oneof![Just(0), 0..1_000_000_000_u32]
    ) {
        let timestamp = Timestamp { seconds, nanoseconds };
        let (shortest, length) = timestamp.shortest();
        let expected = match seconds {
            0..=0xffff_ffff if nanoseconds == 0 => 4,
            0..=0x3_ffff_ffff => 8,
            _ => 12,
        };
        prop_assert_eq!(length, expected);
        prop_assert_eq!(Timestamp::unpack(&shortest[..length])?, timestamp);
        prop_assert_eq!(Timestamp::unpack(&timestamp.pack())?, timestamp);
    }
}

/// Lengths around those where a header changes.
const LENGTHS: [usize; 20] =
    [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 255, 256, 257, 65_535, 65_536, 70_000];

#[test]
fn every_length_has_the_shortest_header() {
    for length in LENGTHS {
        let nulls = || vec![Value::Null; length];
        let pairs = (0..i64::try_from(length).unwrap()).map(|key| (Value::Int(key), Value::Null));
        let values = [
            Value::Text("x".repeat(length)),
            Value::Bytes(vec![1; length]),
            Value::ByteArray(vec![1; length]),
            Value::List(nulls()),
            Value::Map(pairs.collect()),
            Value::Tuple(nulls()),
            Value::List(vec![Value::Tuple(nulls()), Value::Set(nulls()), Value::Int(7)]),
            Value::Tuple(vec![
                Value::Int(7),
                Value::Tuple(nulls()),
                Value::Set(nulls()),
                Value::Int(7),
            ]),
        ];
        for value in values {
            let bytes = to_message_pack(&value, Extensions::All).unwrap();
            let other = rmpv::decode::read_value(&mut bytes.as_slice()).unwrap();
            assert!(packed(&other) == bytes, "length {length}");
            assert!(from_message_pack(&bytes).unwrap() == value, "length {length}");
        }
    }
}

fn at(microsecond: u32, fold: bool, zone: Zone<'static>) -> Value {
    let date = Date { year: 2024, month: 2, day: 29 };
    let time = Time { hour: 12, minute: 34, second: 56, microsecond, fold, zone };
    Value::DateTime(DateTime { date, time })
}

/// Part of the stored form: what stands here is in stores already.
#[test]
#[rustfmt::skip]
fn the_bytes_of_every_kind_never_change() {
    let one = || vec![Value::Int(1)];
    let name = || "P".to_owned();
    let offset = Zone::Offset { seconds: -3600, microseconds: 1 };
    let named = Zone::NamedOffset { seconds: 3600, microseconds: 0, name: "CET".into() };
    let golden = [
        (at(0, false, Zone::Utc), "d6ff65e079f0"),
        (at(789_000, false, Zone::Utc), "d7ffbc1cbd0065e079f0"),
        (Value::Tuple(one()), "d40101"),
        (Value::Set(one()), "d40201"),
        (Value::FrozenSet(one()), "d40301"),
        (Value::ByteArray(vec![7, 8]), "d5040708"),
        (Value::integer(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), "c70905010000000000000000"),
        (Value::integer(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff]), "c70905ff7fffffffffffffff"),
        (Value::SurrogateText(vec![0xed, 0xb2, 0x80]), "c70306edb280"),
        (Value::Complex(Double::from(1.0), Double::from(-2.0)), "d8073ff0000000000000c000000000000000"),
        (Value::Range(Box::new([Value::Int(0), Value::Int(5), Value::Int(-1)])), "c703080005ff"),
        (Value::Decimal("1.50".to_owned()), "d609312e3530"),
        (Value::Fraction(Box::new([Value::Int(-1), Value::Int(3)])), "d50aff03"),
        (Value::Uuid([0x11; 16]), "d80b11111111111111111111111111111111"),
        (at(1, false, Zone::Naive), "c70b0c07e8021d0c223800000100"),
        (at(1, true, Zone::Utc), "c70b0c07e8021d0c223880000101"),
        (at(1, false, offset), "c7120c07e8021d0c223800000102fffff1f0000001"),
        (at(1, false, named), "c7150c07e8021d0c22380000010300000e10000000434554"),
        (at(1, false, Zone::Name("Asia/Tokyo".into())), "c7150c07e8021d0c22380000010441736961\
            2f546f6b796f"),
        (Value::Date(Date { year: 1, month: 12, day: 31 }), "d60d00010c1f"),
        (Value::TimeDelta(TimeDelta { days: -1, seconds: 86_399, microseconds: 5 }), "c70c0fffffffff0001517f00000005"),
        (Value::Enum { name: name(), member: "RED".to_owned() }, "c70611a150a3524544"),
        (Value::NamedTuple { name: name(), items: one() }, "c70312a15001"),
        (Value::Dataclass { name: name(), fields: vec![("x".to_owned(), Value::Int(1))] }, "c70513a150a17801"),
    ];
    for (value, expected) in golden {
        let bytes = to_message_pack(&value, Extensions::All).unwrap();
        let hexadecimal: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hexadecimal.concat(), expected, "{value:?}");
        assert_eq!(from_message_pack(&bytes).unwrap(), value);
    }
}

#[test]
fn integers_of_64_bits_are_native_whichever_way_they_come() {
    let cases: [(i128, &[u8]); 9] = [
        (0, &[0]),
        (-32, &[0xe0]),
        (-33, &[0xd0, 0xdf]),
        (127, &[0x7f]),
        (128, &[0xcc, 0x80]),
        (i128::from(i64::MIN), &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        (i128::from(i64::MAX), &[0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (1 << 63, &[0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        (i128::from(u64::MAX), &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (number, expected) in cases {
        for length in [9, 16] {
            let mut sink = MessagePackSink::new(Extensions::Plain);
            sink.big_int(&number.to_le_bytes()[..length]).unwrap();
            assert_eq!(sink.into_bytes(), expected, "{number}");
        }
        assert_eq!(from_message_pack(expected).unwrap(), Value::integer(&number.to_le_bytes()));
    }
}

#[test]
fn all_three_lengths_of_a_timestamp_are_read() {
    let value = at(0, false, Zone::Utc);
    let short = [&[0xd6, 0xff][..], &[0x65, 0xe0, 0x79, 0xf0]].concat();
    let middle = [&[0xd7, 0xff, 0, 0, 0, 0][..], &[0x65, 0xe0, 0x79, 0xf0]].concat();
    let long = [&[0xc7, 12, 0xff, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0x65, 0xe0, 0x79, 0xf0]].concat();
    for bytes in [short, middle, long] {
        assert_eq!(from_message_pack(&bytes).unwrap(), value);
    }
    // Nanoseconds, which others write, are cut to microseconds.
    let nanoseconds = Timestamp { seconds: -1, nanoseconds: 999_999_999 }.to_date_time().unwrap();
    assert_eq!(nanoseconds.time.microsecond, 999_999);
    assert_eq!(nanoseconds.date, Date { year: 1969, month: 12, day: 31 });
    // A billion nanoseconds, and the year 10000.
    let too_many = [&[0xd7, 0xff][..], &(1_000_000_000_u64 << 34).to_be_bytes()].concat();
    assert!(from_message_pack(&too_many).is_err());
    assert!(Timestamp { seconds: 253_402_300_800, nanoseconds: 0 }.to_date_time().is_err());
    assert!(Timestamp { seconds: 253_402_300_799, nanoseconds: 0 }.to_date_time().is_ok());
    assert!(Timestamp { seconds: -62_135_596_801, nanoseconds: 0 }.to_date_time().is_err());
    assert!(Timestamp { seconds: -62_135_596_800, nanoseconds: 0 }.to_date_time().is_ok());
    assert!(Timestamp { seconds: i64::MIN, nanoseconds: 0 }.to_date_time().is_err());
}

#[test]
fn every_day_of_the_calendar_has_a_number_of_its_own() {
    let mut seconds = -62_135_596_800;
    let mut day_before = None;
    for _ in 0..3_652_059 {
        let read = Timestamp { seconds, nanoseconds: 0 }.to_date_time().unwrap();
        assert_eq!(read.to_timestamp().unwrap().seconds, seconds);
        let date = (read.date.year, read.date.month, read.date.day);
        assert!(day_before < Some(date), "{date:?} comes after {day_before:?}");
        day_before = Some(date);
        seconds += 86_400;
    }
    assert_eq!(day_before, Some((9999, 12, 31)));
}

#[test]
fn single_precision_is_read_as_the_double_that_it_is() {
    assert_eq!(from_message_pack(&[0xca, 0x3f, 0xc0, 0, 0]).unwrap(), Value::from(1.5));
}

#[test]
fn the_numbers_of_the_kinds_lead_back_to_them() {
    let kinds: Vec<Kind> = (i8::MIN..=i8::MAX).filter_map(Kind::from_number).collect();
    assert_eq!(kinds.len(), 20);
    for kind in kinds {
        assert_eq!(Kind::from_number(kind as i8), Some(kind));
    }
}
