//! Payloads: what serializers write, and what looks like something else.

use cachine_codec::compression::{Algorithm, Compression};
use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_codec::stored::Meta;
use proptest::prelude::*;

pub(crate) type Owned = Payload<'static>;

pub(crate) fn payload() -> impl Strategy<Value = Owned> {
    let format = prop_oneof![
        1 => Just(None),
        5 => prop::sample::select(vec![
            Some(Format::Other), Some(Format::Json), Some(Format::MessagePack), Some(Format::Pickle),
            Some(Format::SignedPickle),
        ]),
    ];
    let any_bytes = (format, bytes())
        .prop_map(|(format, bytes)| Payload::Bytes { format, bytes: bytes.into() });
    let declared = integer().prop_map(|integer| Payload::Bytes {
        format: Some(Format::Integer),
        bytes: integer.to_string().into_bytes().into(),
    });
    prop_oneof![3 => integer().prop_map(Payload::Integer), 1 => declared, 12 => any_bytes]
}

pub(crate) fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![-20..20_i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        // Decimals, and what is nearly one.
        integer().prop_map(|integer| integer.to_string().into_bytes()),
        prop::sample::select(vec!["", "-0", "00", "+1", "9223372036854775808", "1 ", "1.5", "-"])
            .prop_map(|text| text.as_bytes().to_vec()),
        // Frames, and what is nearly one.
        prop::collection::vec(any::<u8>(), 0..30).prop_map(|rest| [&[0xC1][..], &rest].concat()),
        prop::collection::vec(0..16_u8, 0..30).prop_map(|rest| [&[0xC1, 1][..], &rest].concat()),
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..30))
            .prop_map(|(is_packed, inner)| frame(is_packed, &inner)),
        // JSON, MessagePack, pickles; some of them worth compressing.
        (0..200_usize).prop_map(|count| format!(
            "[{}0]",
            "{\"id\":1,\"name\":\"anna\"},".repeat(count)
        )
        .into_bytes()),
        (0..15_u8).prop_map(|count| [&[0x90 | count][..], &b"\xA1a".repeat(count.into())].concat()),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| {
            [&[0xC4, u8::try_from(bytes.len()).unwrap()][..], &bytes].concat()
        }),
        (0..80_usize).prop_map(|count| [
            b"\x80\x05(",
            &b"\x8c\x05alice\x94".repeat(count)[..],
            b"t."
        ]
        .concat()),
        (any::<u8>(), 0..3000_usize).prop_map(|(byte, count)| vec![byte; count]),
        prop::collection::vec(any::<u8>(), 900..1300),
    ]
}

/// A genuine frame, as somebody may cache it.
fn frame(is_packed: bool, inner: &[u8]) -> Vec<u8> {
    let compression = is_packed.then(|| Compression::new(Algorithm::Lz4).min_size(0));
    let content = if is_packed { inner.repeat(20) } else { [&[0xC1], inner].concat() };
    let payload = Payload::Bytes { format: None, bytes: content.into() };
    Steps { compression, encryption: None }.write(b"k", &Meta::default(), &payload).unwrap().bytes
}
