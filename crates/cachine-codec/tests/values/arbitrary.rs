//! Random values of every kind, and what they are made of.

use std::borrow::Cow;
use std::collections::HashSet;

use cachine_codec::content::{Date, DateTime, Flavour, Path, Time, TimeDelta, Zone};
use cachine_codec::value::{Double, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm};

/// So many cases, without files of failures; a strategy forks its generator at every choice, and the
/// default one is dear to fork.
pub(crate) fn cases(cases: u32) -> Config {
    Config {
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::with_cases(cases)
    }
}

/// Any value of any kind.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![2 => scalar(), 2 => extension()].prop_recursive(5, 40, 6, |inner| {
        let items = || vec(inner.clone(), 0..6);
        let key = prop_oneof![3 => text().prop_map(Value::Text), 1 => inner.clone()];
        let fields = vec((text(), inner.clone()), 0..4);
        prop_oneof![
            3 => items().prop_map(Value::List),
            2 => items().prop_map(Value::Tuple),
            1 => items().prop_map(Value::Set),
            1 => items().prop_map(Value::FrozenSet),
            3 => map(text().prop_map(Value::Text), inner.clone()),
            2 => map(key, inner.clone()),
            1 => (text(), items()).prop_map(|(name, items)| Value::NamedTuple { name, items }),
            1 => (text(), fields).prop_map(|(name, fields)| Value::Dataclass { name, fields }),
        ]
    })
}

/// Any value of the kinds that MessagePack has without extensions; `is_json`: that JSON has.
pub(crate) fn plain(is_json: bool) -> impl Strategy<Value = Value> {
    let leaf = if is_json { json_scalar().boxed() } else { scalar().boxed() };
    let leaf = leaf.prop_filter("64 bits", |value| match value {
        Value::BigInt(number) => {
            matches!(number.as_little_endian(), [.., 0] if number.as_little_endian().len() == 9)
        }
        _ => true,
    });
    leaf.prop_recursive(5, 60, 8, move |inner| {
        let text_key = text().prop_map(Value::Text);
        let key = if is_json { text_key.boxed() } else { inner.clone().boxed() };
        prop_oneof![vec(inner.clone(), 0..8).prop_map(Value::List), map(key, inner)]
    })
}

fn map(
    key: impl Strategy<Value = Value> + 'static,
    value: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Value> {
    vec((key, value), 0..20).prop_map(|mut pairs| {
        let mut seen = HashSet::new();
        pairs.retain(|(key, _)| seen.insert(key.clone()));
        Value::Map(pairs)
    })
}

fn json_scalar() -> impl Strategy<Value = Value> {
    let finite = any::<f64>().prop_filter("finite", |value| value.is_finite());
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        integer(),
        finite.prop_map(Value::from),
        text().prop_map(Value::Text),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => json_scalar(),
        1 => any_float().prop_map(Value::from),
        1 => vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
    ]
}

/// Every bit pattern, and those that are special more often.
pub(crate) fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            5e-324,
            1e16,
            9_007_199_254_740_993.0,
            0.1,
        ]),
    ]
}

/// Integers of every length, more of them near the powers of two where formats change.
pub(crate) fn integer() -> impl Strategy<Value = Value> {
    let near = (0..130_u32, -2..=2_i128, any::<bool>()).prop_map(|(power, beside, is_negative)| {
        let power = 1_i128.checked_shl(power.min(126)).unwrap_or(0) + beside;
        Value::integer(&(if is_negative { -power } else { power }).to_le_bytes())
    });
    prop_oneof![
        2 => near,
        1 => any::<i64>().prop_map(Value::Int),
        1 => vec(any::<u8>(), 0..60).prop_map(|bytes| Value::integer(&bytes)),
    ]
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    let awkward =
        prop::sample::select(vec!['"', '\\', '/', '\0', '\n', '\u{7f}', 'ä', '€', '\u{1f600}']);
    let character =
        prop_oneof![4 => any::<char>(), 2 => proptest::char::range(' ', '~'), 1 => awkward];
    prop_oneof![
        4 => vec(character, 0..12).prop_map(String::from_iter),
        1 => vec(proptest::char::range('a', 'z'), 28..70).prop_map(String::from_iter),
    ]
}

fn extension() -> impl Strategy<Value = Value> {
    let float = || any_float().prop_map(Double::from);
    let offset = (text(), text()).prop_map(|(name, member)| Value::Enum { name, member });
    prop_oneof![
        surrogate_text(),
        vec(any::<u8>(), 0..300).prop_map(Value::ByteArray),
        (float(), float()).prop_map(|(real, imaginary)| Value::Complex(real, imaginary)),
        range(),
        decimal().prop_map(Value::Decimal),
        fraction(),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        date_time().prop_map(Value::DateTime),
        date().prop_map(Value::Date),
        time().prop_map(Value::Time),
        duration(),
        path(),
        offset,
    ]
}

fn surrogate_text() -> impl Strategy<Value = Value> {
    let piece = prop_oneof![
        text().prop_map(String::into_bytes),
        (0xa0..=0xbf_u8, 0x80..=0xbf_u8).prop_map(|(second, third)| vec![0xed, second, third]),
    ];
    vec(piece, 0..5).prop_map(|mut pieces| {
        pieces.push(vec![0xed, 0xb2, 0x80]);
        Value::SurrogateText(pieces.concat())
    })
}

fn range() -> impl Strategy<Value = Value> {
    let step = integer().prop_filter("a step", |step| *step != Value::Int(0));
    (integer(), integer(), step)
        .prop_map(|(start, stop, step)| Value::Range(Box::new([start, stop, step])))
}

fn fraction() -> impl Strategy<Value = Value> {
    let below = integer().prop_filter("positive", |below| match below {
        Value::Int(number) => *number > 0,
        Value::BigInt(number) => !number.is_negative(),
        _ => false,
    });
    (integer(), below).prop_map(|(above, below)| Value::Fraction(Box::new([above, below])))
}

fn decimal() -> impl Strategy<Value = String> {
    let special =
        prop::sample::select(vec!["NaN", "-sNaN12", "Infinity", "-Infinity", "-0", "0E-10"]);
    let number = (any::<i64>(), 0..1_000_000_u32, any::<i16>());
    prop_oneof![
        special.prop_map(str::to_owned),
        number.prop_map(|(whole, part, exponent)| format!("{whole}.{part}E{exponent:+}")),
    ]
}

fn zone() -> impl Strategy<Value = Zone<'static>> {
    let offset = || (-86_399..86_400_i32, 0..1_000_000_u32);
    let key = text().prop_filter("a name", |key| !key.is_empty());
    prop_oneof![
        Just(Zone::Naive),
        Just(Zone::Utc),
        offset().prop_map(|(seconds, microseconds)| Zone::Offset { seconds, microseconds }),
        (offset(), text()).prop_map(|((seconds, microseconds), name)| Zone::NamedOffset {
            seconds,
            microseconds,
            name: Cow::Owned(name),
        }),
        key.prop_map(|key| Zone::Name(Cow::Owned(key))),
    ]
}

pub(crate) fn date() -> impl Strategy<Value = Date> {
    (1..=9999_u16, 1..=12_u8, 1..=28_u8).prop_map(|(year, month, day)| Date { year, month, day })
}

fn time() -> impl Strategy<Value = Time<'static>> {
    (0..24_u8, 0..60_u8, 0..60_u8, 0..1_000_000_u32, any::<bool>(), zone()).prop_map(
        |(hour, minute, second, microsecond, fold, zone)| Time {
            hour,
            minute,
            second,
            microsecond,
            fold,
            zone,
        },
    )
}

pub(crate) fn date_time() -> impl Strategy<Value = DateTime<'static>> {
    (date(), time()).prop_map(|(date, time)| DateTime { date, time })
}

fn duration() -> impl Strategy<Value = Value> {
    (-999_999_999..=999_999_999, 0..86_400_u32, 0..1_000_000_u32).prop_map(
        |(days, seconds, microseconds)| Value::TimeDelta(TimeDelta { days, seconds, microseconds }),
    )
}

fn path() -> impl Strategy<Value = Value> {
    let flavour = prop::sample::select(vec![
        Flavour::PurePosix,
        Flavour::PureWindows,
        Flavour::Posix,
        Flavour::Windows,
    ]);
    (flavour, text())
        .prop_map(|(flavour, text)| Value::Path(Path { flavour, text: Cow::Owned(text) }))
}
