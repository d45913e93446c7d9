//! Which values a format takes, said a second time and without the code that writes.

use cachine_codec::value::Value;

/// Whether JSON text has such a value; `is_exact`: and every reader gives it back as the same.
pub(crate) fn is_json(value: &Value, is_exact: bool) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Text(_) => true,
        Value::Float(number) => {
            let is_minus_zero = number.get().to_bits() == (-0.0_f64).to_bits();
            number.get().is_finite() && !(is_exact && is_minus_zero)
        }
        Value::List(items) => items.iter().all(|item| is_json(item, is_exact)),
        Value::Map(pairs) => pairs
            .iter()
            .all(|(key, value)| matches!(key, Value::Text(_)) && is_json(value, is_exact)),
        _ => false,
    }
}

/// Whether MessagePack has such a value with no extension but datetimes and big integers.
pub(crate) fn is_plain_message_pack(value: &Value) -> bool {
    match value {
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::DateTime(_) => true,
        Value::List(items) => items.iter().all(is_plain_message_pack),
        Value::Map(pairs) => pairs
            .iter()
            .all(|(key, value)| is_plain_message_pack(key) && is_plain_message_pack(value)),
        _ => false,
    }
}
