//! What the formats give back, and what they refuse because they would not.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;

use serde::Deserialize;

use super::*;

const BOTH: [Serializer; 2] = [Serializer::Json, Serializer::MessagePack];

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Shape {
    Point,
    Circle(f64),
    Line(i8, i8),
    Named { name: String, inside: Box<Self> },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Everything {
    shape: Vec<Shape>,
    maybe: (Option<u8>, Option<String>),
    large: u64,
    larger: i128,
    letter: char,
    unit: (),
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    keys: BTreeMap<i32, bool>,
    #[serde(flatten)]
    rest: HashMap<String, String>,
}

/// Lists in one another.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Nested(Vec<Self>);

fn nested(depth: usize) -> Nested {
    (1..depth).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner]))
}

fn back<T: Serialize + DeserializeOwned>(serializer: Serializer, value: &T) -> Result<T, Error> {
    serializer.read("get", &serializer.write("set", value)?)
}

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for serializer in BOTH {
        assert_eq!(back(serializer, value).unwrap(), *value, "{serializer:?}");
    }
}

fn why<T: Serialize + ?Sized>(serializer: Serializer, value: &T) -> String {
    let error = serializer.write("set", value).unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Serialization, "set"));
    error.to_string()
}

#[test]
fn whatever_serde_carries_comes_back() {
    let inside = Box::new(Shape::Line(-1, 1));
    same(&Everything {
        shape: vec![Shape::Point, Shape::Circle(0.5), Shape::Named { name: "ü".into(), inside }],
        maybe: (Some(1), None),
        large: u64::MAX,
        larger: i128::MIN,
        letter: 'ß',
        unit: (),
        bytes: vec![0, 0xc1, 255],
        keys: BTreeMap::from([(-1, true), (1, false)]),
        rest: HashMap::from([("a".to_owned(), "b".to_owned())]),
    });
    same(&Option::<u8>::None);
    same(&());
    same(&[1.5_f32, -0.0]);
    same(&f64::MAX);
    same(&IpAddr::from([127, 0, 0, 1])); // a text in JSON, bytes in MessagePack
}

#[test]
fn an_integer_of_64_bits_is_an_integer_and_nothing_else_is() {
    #[derive(Serialize)]
    struct Id(u16);
    for serializer in BOTH {
        let integer = |payload| match payload {
            Payload::Integer(integer) => Some(integer),
            Payload::Bytes { .. } => None,
        };
        for number in [0, 1, -1, 127, 128, 200, -33, 70_000, 1 << 40, i64::MAX, i64::MIN] {
            assert_eq!(integer(serializer.write("set", &number).unwrap()), Some(number));
            assert_eq!(back(serializer, &number).unwrap(), number);
        }
        assert_eq!(integer(serializer.write("set", &Some(Id(7))).unwrap()), Some(7));
        assert_eq!(integer(serializer.write("set", &u64::MAX).unwrap()), None);
        assert_eq!(integer(serializer.write("set", &5.0).unwrap()), None);
        assert_eq!(integer(serializer.write("set", "5").unwrap()), None);
        assert_eq!(integer(serializer.write("set", &true).unwrap()), None);
        assert_eq!(integer(serializer.write("set", &'5').unwrap()), None);
    }
    assert_eq!(json::integer(b"-0"), None, "which is not what -0 would be written as again");
}

#[test]
fn an_integer_is_read_as_any_type_that_its_format_would_have_shown_it_to() {
    for serializer in BOTH {
        let read = |integer| serializer.read::<Option<u8>>("incr", &Payload::Integer(integer));
        assert_eq!(read(255).unwrap(), Some(255));
        assert_eq!(read(256).unwrap_err().kind(), ErrorKind::Deserialization);
        let float: f64 = serializer.read("get", &Payload::Integer(-3)).unwrap();
        assert!((float + 3.0).abs() < f64::EPSILON);
    }
}

#[derive(Serialize)]
struct Unit;

#[test]
fn what_would_come_back_as_something_else_is_refused() {
    assert!(why(Serializer::Json, &f32::NAN).contains("NaN"));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(why(Serializer::Json, &[Some(value)]).contains("NaN"));
        assert!(why(Serializer::Json, &BTreeMap::from([("a", value)])).contains("NaN"));
        let float = back(Serializer::MessagePack, &value).unwrap();
        assert_eq!(float.to_bits(), value.to_bits(), "MessagePack has them");
    }
    for serializer in BOTH {
        assert!(why(serializer, &[Some(None::<u8>)]).contains("`None`"));
        assert!(why(serializer, &Some(())).contains("`None`"));
        assert!(why(serializer, &Some(Unit)).contains("`None`"));
        assert!(serializer.write("set", &Some([None::<u8>])).is_ok(), "not directly in a `Some`");
    }
    let error = Serializer::Json.write("set", &HashMap::from([([1, 2], 3)])).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("key"));
}

#[test]
fn what_is_written_is_never_nested_too_deep_to_be_read() {
    for (serializer, deepest) in [(Serializer::Json, 127), (Serializer::MessagePack, 512)] {
        assert!(back(serializer, &nested(deepest)).is_ok());
        assert!(why(serializer, &nested(deepest + 1)).contains("deeper"));
    }
    let mut shape = Shape::Point;
    while let Ok(payload) = Serializer::Json.write("set", &shape) {
        assert_eq!(Serializer::Json.read::<Shape>("get", &payload).unwrap(), shape);
        shape = Shape::Named { name: String::new(), inside: Box::new(shape) };
    }
}

#[test]
fn an_error_says_what_does_not_fit_and_quotes_nothing() {
    let chain = |error: &Error| format!("{error}: {}", error.source().unwrap());
    for serializer in BOTH {
        let secret = serializer.write("set", &("s3cret", 4_711_999)).unwrap();
        let error = serializer.read::<(u8, u8)>("get", &secret).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Deserialization, "get"));
        assert!(chain(&error).contains("(u8, u8)"), "{}", chain(&error));
        assert!(!chain(&error).contains("s3cret") && !chain(&error).contains("4711999"));
        assert!(!format!("{error:?}").contains("s3cret"));
        let error = serializer.read::<(String, u8)>("get", &secret).unwrap_err();
        assert!(!chain(&error).contains("4711999"), "{}", chain(&error));

        let Payload::Bytes { format, bytes } = secret else { unreachable!("it is a tuple") };
        let cut = Payload::Bytes { format, bytes: Cow::Borrowed(&bytes[..bytes.len() - 1]) };
        assert!(serializer.read::<(String, u32)>("get", &cut).is_err());
        let more = Cow::Owned([&bytes[..], b"1"].concat());
        let more = Payload::Bytes { format, bytes: more };
        assert!(serializer.read::<(String, u32)>("get", &more).is_err());
    }
    let json = Serializer::Json.write("set", "text").unwrap();
    let error = Serializer::MessagePack.read::<String>("get", &json).unwrap_err();
    assert!(chain(&error).ends_with("it is JSON, not MessagePack"), "{}", chain(&error));
    let error = Serializer::Json.read::<Vec<u8>>("get", &json).unwrap_err();
    assert!(chain(&error).contains("expected a sequence, at line 1"), "{}", chain(&error));
}

#[test]
fn structs_are_maps_in_messagepack() {
    #[derive(Serialize)]
    struct Point {
        x: u8,
    }
    let payload = Serializer::MessagePack.write("set", &Point { x: 1 }).unwrap();
    assert!(matches!(payload, Payload::Bytes { bytes, .. } if *bytes == [0x81, 0xa1, b'x', 1]));
}
