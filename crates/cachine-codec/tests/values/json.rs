//! JSON text: what RFC 8259 allows and nothing else; the same as `serde_json` reads and writes.

use cachine_codec::json::MOST_DIGITS;
use cachine_codec::sink::Refused;
use cachine_codec::value::Value;
use proptest::prelude::*;

use crate::arbitrary;
use crate::{from_json, to_json};

/// The same value as another library knows it.
fn to_other(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::BigInt(value) => {
            let bytes = value.as_little_endian()[..8].try_into().unwrap();
            u64::from_le_bytes(bytes).into()
        }
        Value::Float(value) => value.get().into(),
        Value::Text(text) => text.clone().into(),
        Value::List(items) => items.iter().map(to_other).collect::<Vec<_>>().into(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| match key {
                Value::Text(key) => (key.clone(), to_other(value)),
                key => panic!("{key:?} is no key of JSON"),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => panic!("{other:?} is not in JSON"),
    }
}

proptest! {
    #![proptest_config(arbitrary::cases(2000))]

    #[test]
    fn another_library_reads_what_is_written(value in arbitrary::plain(true)) {
        let text = to_json(&value)?;
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&text)?, to_other(&value));
    }

    #[test]
    fn what_another_library_writes_is_read(value in arbitrary::plain(true)) {
        let other = to_other(&value);
        for text in [serde_json::to_vec(&other)?, serde_json::to_vec_pretty(&other)?] {
            prop_assert_eq!(to_other(&from_json(&text)?), other.clone());
        }
    }

    #[test]
    fn any_text_is_escaped_as_another_library_does(text in arbitrary::text()) {
        let expected = serde_json::to_vec(&text)?;
        prop_assert_eq!(to_json(&Value::Text(text))?, expected);
    }

    #[test]
    fn a_float_is_read_to_the_last_bit(number in arbitrary::any_float()) {
        match to_json(&Value::from(number)) {
            Ok(text) => {
                let back: f64 = std::str::from_utf8(&text)?.parse()?;
                prop_assert_eq!(back.to_bits(), number.to_bits());
                prop_assert_eq!(from_json(&text)?, Value::from(number));
            }
            Err(refused) => {
                prop_assert!(!number.is_finite());
                prop_assert_eq!(refused, Refused::NotFinite);
            }
        }
    }

    /// Numbers as texts, right and wrong ones: both libraries take the same.
    #[test]
    fn numbers_are_taken_and_refused_as_another_library_does(
        number in "-?[0-9]{0,3}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?"
    ) {
        let other = serde_json::from_str::<serde_json::Value>(&number);
        match from_json(number.as_bytes()) {
            // -0 without a point is the integer 0 here, as it is in Python; it is a float there.
            Ok(Value::Int(0)) => prop_assert!(number == "0" || number == "-0"),
            Ok(value) => prop_assert_eq!(to_other(&value), other?),
            Err(_) => prop_assert!(other.is_err(), "{}", number),
        }
    }

    /// Bytes that look like JSON here and there: both libraries take the same.
    #[test]
    fn anything_like_json_is_taken_and_refused_as_another_library_does(
        text in "([\\[\\]{},: \t\n\r]|\"a\"|\"b|\"|null|nul|true|false|0|1|-|\\.|1\\.5|\\\\|\\\\u00e4|\\\\ud83d|é){0,12}"
    ) {
        let other = serde_json::from_str::<serde_json::Value>(&text);
        prop_assert_eq!(from_json(text.as_bytes()).is_ok(), other.is_ok(), "{}", text);
    }
}

#[test]
fn what_rfc_8259_does_not_allow_is_refused() {
    let wrong: [&[u8]; 52] = [
        b"",
        b" ",
        b"nul",
        b"nulll",
        b"True",
        b"None",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"-",
        b"+1",
        b"01",
        b"-01",
        b"1.",
        b".5",
        b"1.e5",
        b"1e",
        b"1e+",
        b"0x10",
        b"1_000",
        b"1 2",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1",
        b"1]",
        b"{\"a\":1,}",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\" 1}",
        b"{a:1}",
        b"{1:2}",
        b"{null:1}",
        b"{\"a\":1",
        b"'a'",
        b"\"a",
        b"\"\n\"",
        b"\"\t\"",
        b"\"\0\"",
        b"\"\\x41\"",
        b"\"\\u00g0\"",
        b"\"\\u12\"",
        b"// no\n1",
        b"\xef\xbb\xbf1",
        b"\"\xff\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\\ud800\"",
        b"\"\\udc00\"",
        b"\"\\ud800\\u0041\"",
        b"\xff",
        b"{\"\xff\":1}",
    ];
    for text in wrong {
        assert!(from_json(text).is_err(), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn what_rfc_8259_allows_is_read() {
    let right: [(&str, Value); 10] = [
        (" \t\r\n1 \n", Value::Int(1)),
        ("-0", Value::Int(0)),
        ("-0.0", Value::from(-0.0)),
        ("1E+2", Value::from(100.0)),
        ("1e-400", Value::from(0.0)),
        ("\"\\u00e4\\ud83d\\ude00\\/\"", Value::from("ä\u{1f600}/")),
        ("\"\\u0000\u{7f}\"", Value::from("\0\u{7f}")),
        ("[ ]", Value::List(vec![])),
        ("{ }", Value::Map(vec![])),
        ("{\"\":[null]}", Value::Map(vec![("".into(), Value::List(vec![Value::Null]))])),
    ];
    for (text, value) in right {
        assert_eq!(from_json(text.as_bytes()).unwrap(), value, "{text}");
    }
}

#[test]
fn a_number_beyond_the_doubles_is_refused_wherever_it_stands() {
    for text in ["1e400", "-1e400", "[1,1e309]", "{\"a\":1e99999999999999999999}"] {
        assert_eq!(
            from_json(text.as_bytes()).unwrap_err().what,
            "a number beyond the range of a double"
        );
    }
    assert!(from_json(b"1e-99999999999999999999").is_ok());
}

#[test]
fn reading_goes_on_behind_an_integer_of_any_size() {
    for digits in [19, 20, 38, 39, 4300, 4301, 20_000] {
        let text = format!("[{0},-{0},{{\"a\":-{0} ,\"b\\n\":{0}\n}} , 1]", "9".repeat(digits));
        let value = from_json(text.as_bytes()).unwrap();
        let tight = text.replace([' ', '\n'], "");
        assert_eq!(String::from_utf8(to_json(&value).unwrap()).unwrap(), tight);
        // And knows where it is.
        let wrong = text.replace(", 1]", ", x]");
        let error = from_json(wrong.as_bytes()).unwrap_err();
        assert_eq!(error.at, wrong.find('x').unwrap());
    }
}

#[test]
fn an_integer_has_a_hundred_thousand_digits_at_most() {
    let most = "9".repeat(MOST_DIGITS);
    for text in [most.clone(), format!("-{most}")] {
        let value = from_json(text.as_bytes()).unwrap();
        assert_eq!(to_json(&value).unwrap(), text.as_bytes());
    }
    // A float has no need even of so many.
    for text in [format!("{most}9"), format!("{most}.5"), format!("{most}e5")] {
        let error = from_json(text.as_bytes()).unwrap_err();
        assert_eq!(error.what, "a number of too many digits");
    }
}

#[test]
fn an_integer_of_one_digit_more_is_refused_and_kept_exactly_in_message_pack() {
    use cachine_codec::exact;
    use cachine_codec::format::Format;
    let ten_to_the_limit = num_bigint::BigInt::from(10).pow(u32::try_from(MOST_DIGITS).unwrap());
    for (number, is_json) in [(&ten_to_the_limit - 1, true), (ten_to_the_limit, false)] {
        for number in [-&number, number] {
            let value = Value::integer(&number.to_signed_bytes_le());
            assert_eq!(to_json(&value).is_ok(), is_json);
            let (format, bytes) = exact::to_bytes(&value).unwrap();
            assert_eq!(format == Format::Json, is_json);
            assert_eq!(exact::from_bytes(&bytes).unwrap(), value);
        }
    }
    let huge = Value::integer(&[1].repeat(1_000_000));
    assert_eq!(to_json(&huge), Err(Refused::TooManyDigits));
}

#[test]
fn text_stays_utf_8_and_nothing_stands_between() {
    let value = Value::Map(vec![
        ("ä".into(), Value::List(vec![Value::Int(1), Value::from(1.0), Value::Null])),
        ("\"".into(), Value::Bool(true)),
    ]);
    assert_eq!(to_json(&value).unwrap(), "{\"ä\":[1,1.0,null],\"\\\"\":true}".as_bytes());
}
