//! Values through a whole store: serializer × value × steps × operations on the metadata.
//!
//! What `stored_form` shows for payloads of any bytes, this shows for those that serializers write, up to
//! the value that comes out; and that an integer is one for every serializer, so that it can be counted.

use cachine_codec::compression::{Algorithm, Compression};
use cachine_codec::encryption::Encryption;
use cachine_codec::exact;
use cachine_codec::format::Format;
use cachine_codec::json::{self, JsonSink};
use cachine_codec::msgpack::{self, Extensions, MessagePackSink};
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_codec::stored::{self, Meta, Stamp};
use cachine_codec::value::{Value, ValueBuilder};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRunner};

const KEY: &[u8] = b"users:1";
const CASES: u32 = 3000;

#[derive(Clone, Copy, Debug)]
enum Serializer {
    Exact,
    Json,
    MessagePack,
}

impl Serializer {
    /// What a door hands to the steps; `None` if the format does not take the value.
    fn payload(self, value: &Value) -> Option<Payload<'static>> {
        if let Value::Int(integer) = value {
            return Some(Payload::Integer(*integer));
        }
        let (format, bytes) = match self {
            Self::Exact => exact::to_bytes(value).unwrap(),
            Self::Json => {
                let mut sink = JsonSink::new();
                value.walk(&mut sink).ok()?;
                (Format::Json, sink.into_bytes())
            }
            Self::MessagePack => {
                let mut sink = MessagePackSink::new(Extensions::All);
                value.walk(&mut sink).unwrap();
                (Format::MessagePack, sink.into_bytes())
            }
        };
        assert_ne!(bytes.first(), Some(&0xC1), "no format begins as a frame does");
        Some(Payload::Bytes { format: Some(format), bytes: bytes.into() })
    }

    fn value(self, payload: &Payload<'_>) -> Value {
        let bytes = match payload {
            Payload::Integer(integer) => return Value::Int(*integer),
            Payload::Bytes { bytes, .. } => bytes,
        };
        let mut build = ValueBuilder::new();
        match self {
            Self::Exact => exact::read(bytes, &mut build),
            Self::Json => json::read(bytes, &mut build),
            Self::MessagePack => msgpack::read(bytes, &mut build),
        }
        .unwrap();
        build.finish().unwrap()
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        prop::collection::vec(any::<u8>(), 9..20).prop_map(|bytes| Value::integer(&bytes)),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(|text| Value::from(&*text)),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        Just(Value::from(&*"the same again, ".repeat(100))),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let items = || prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            items().prop_map(Value::List),
            items().prop_map(Value::Tuple),
            items().prop_map(Value::Set),
            prop::collection::btree_map("[a-z]{0,6}", inner.clone(), 0..6).prop_map(|map| {
                Value::Map(
                    map.into_iter().map(|(key, value)| (Value::from(&*key), value)).collect(),
                )
            }),
        ]
    })
}

fn steps() -> impl Strategy<Value = Steps> {
    let algorithm = prop::sample::select(vec![
        None,
        Some(Algorithm::Gzip),
        Some(Algorithm::Zlib),
        Some(Algorithm::Zstd),
        Some(Algorithm::Lz4),
    ]);
    (algorithm, any::<bool>()).prop_map(|(algorithm, is_encrypted)| Steps {
        compression: algorithm.map(|algorithm| Compression::new(algorithm).min_size(64)),
        encryption: is_encrypted.then(|| Encryption::new("the key").unwrap()),
    })
}

fn comes_back(value: &Value, serializer: Serializer, steps: &Steps, stale_window: Option<u64>) {
    let Some(payload) = serializer.payload(value) else { return };
    let stamps = vec![Stamp { tag: "news".into(), stamp: 7 }];
    let full = Meta { stale_window, stamps };
    let reader = Steps { compression: None, encryption: steps.encryption.clone() };
    let mut stored = steps.write(KEY, &Meta::default(), &payload).unwrap().bytes;
    for meta in [Meta::default(), full, Meta { stale_window, stamps: Vec::new() }, Meta::default()]
    {
        stored = stored::with_meta(&stored, &meta).unwrap();
        let (meta_read, read) = reader.read(KEY, &stored).unwrap();
        assert_eq!(meta_read, meta);
        assert_eq!(&serializer.value(&read), value);
        match (stored::count(&stored, 0), value) {
            (Ok((sum, counted)), Value::Int(integer)) => {
                assert_eq!((sum, &counted), (*integer, &stored));
            }
            (Ok(counted), _) => panic!("{value:?} was counted: {counted:?}"),
            (Err(_), Value::Int(_)) => assert!(steps.encryption.is_some()),
            (Err(_), _) => {}
        }
    }
    if let (Payload::Bytes { bytes, .. }, None, None) =
        (&payload, &steps.compression, &steps.encryption)
    {
        let is_bare = stored == bytes[..];
        let is_decimal = bytes.iter().all(u8::is_ascii_digit);
        assert!(is_bare || is_decimal, "what a serializer wrote stands as it is");
    }
}

#[test]
fn a_value_comes_back_from_every_serializer_through_every_combination_of_steps() {
    let serializer =
        prop::sample::select(vec![Serializer::Exact, Serializer::Json, Serializer::MessagePack]);
    let rng_algorithm = RngAlgorithm::XorShift;
    let config = Config { failure_persistence: None, rng_algorithm, ..Config::with_cases(CASES) };
    let strategy = (value(), serializer, steps(), prop::option::of(1..u64::MAX));
    let outcome = TestRunner::new(config).run(&strategy, |(value, serializer, steps, window)| {
        comes_back(&value, serializer, &steps, window);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
