//! Puts a [`Value`] together.

use std::collections::{HashMap, HashSet};
use std::vec::Drain;

use super::{Double, Value};
use crate::build::{Build, Malformed};
use crate::content::{
    Date, DateTime, Path, Time, TimeDelta, Timestamp, decimal, surrogate_text, unpack_complex,
    unpack_uuid,
};
use crate::kind::Kind;

/// Up to so many pairs it is quicker to compare each key with each than to hash them.
const FEW_PAIRS: usize = 16;

/// Builds a [`Value`].
#[derive(Debug, Default)]
pub struct ValueBuilder {
    stack: Vec<Value>,
}

impl ValueBuilder {
    /// One without a value.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value that was read.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if there is not exactly one.
    pub fn finish(mut self) -> Result<Value, Malformed> {
        match self.stack.pop() {
            Some(value) if self.stack.is_empty() => Ok(value),
            _ => Err(malformed("not exactly one value")),
        }
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn take(&mut self, length: usize) -> Result<Drain<'_, Value>, Malformed> {
        let start = self.stack.len().checked_sub(length).ok_or(malformed("too few values"))?;
        Ok(self.stack.drain(start..))
    }
}

const fn malformed(what: &'static str) -> Malformed {
    Malformed { what, at: 0 }
}

impl Build for ValueBuilder {
    type Error = Malformed;

    fn null(&mut self) -> Result<(), Malformed> {
        self.push(Value::Null);
        Ok(())
    }

    fn bool(&mut self, value: bool) -> Result<(), Malformed> {
        self.push(Value::Bool(value));
        Ok(())
    }

    fn int(&mut self, value: i64) -> Result<(), Malformed> {
        self.push(Value::Int(value));
        Ok(())
    }

    fn big_int(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.push(Value::integer(bytes));
        Ok(())
    }

    fn float(&mut self, value: f64) -> Result<(), Malformed> {
        self.push(Value::from(value));
        Ok(())
    }

    fn str(&mut self, value: &str) -> Result<(), Malformed> {
        self.push(Value::from(value));
        Ok(())
    }

    fn bytes(&mut self, value: &[u8]) -> Result<(), Malformed> {
        self.push(Value::Bytes(value.to_vec()));
        Ok(())
    }

    fn list(&mut self, length: usize) -> Result<(), Malformed> {
        let items = self.take(length)?.collect();
        self.push(Value::List(items));
        Ok(())
    }

    fn map(&mut self, length: usize) -> Result<(), Malformed> {
        let mut keys_and_values = self.take(length.saturating_mul(2))?;
        let mut pairs = Vec::with_capacity(length);
        while let (Some(key), Some(value)) = (keys_and_values.next(), keys_and_values.next()) {
            pairs.push((key, value));
        }
        drop(keys_and_values);
        self.push(Value::Map(with_unique_keys(pairs)));
        Ok(())
    }

    fn nested(&mut self, kind: Kind, length: usize) -> Result<(), Malformed> {
        let items = self.take(length)?.collect();
        self.push(nested(kind, items)?);
        Ok(())
    }

    fn extension(&mut self, kind: Kind, content: &[u8]) -> Result<(), Malformed> {
        self.push(plain(kind, content)?);
        Ok(())
    }
}

/// Of equal keys the last one counts, at the place of the first one.
fn with_unique_keys(pairs: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    if has_unique_keys(&pairs) {
        return pairs;
    }
    let mut places: HashMap<Value, usize> = HashMap::new();
    let mut unique: Vec<(Value, Value)> = Vec::new();
    for (key, value) in pairs {
        if let Some(&place) = places.get(&key) {
            unique[place].1 = value;
        } else {
            places.insert(key.clone(), unique.len());
            unique.push((key, value));
        }
    }
    unique
}

fn has_unique_keys(pairs: &[(Value, Value)]) -> bool {
    if pairs.len() <= FEW_PAIRS {
        return pairs
            .iter()
            .enumerate()
            .all(|(place, (key, _))| pairs[..place].iter().all(|(before, _)| before != key));
    }
    let mut seen = HashSet::with_capacity(pairs.len());
    pairs.iter().all(|(key, _)| seen.insert(key))
}

/// An extension whose content is bytes.
pub(super) fn plain(kind: Kind, content: &[u8]) -> Result<Value, Malformed> {
    Ok(match kind {
        Kind::Timestamp => Value::DateTime(Timestamp::unpack(content)?.to_date_time()?),
        Kind::ByteArray => Value::ByteArray(content.to_vec()),
        Kind::SurrogateText => Value::SurrogateText(surrogate_text(content)?.to_vec()),
        Kind::Complex => {
            let (real, imaginary) = unpack_complex(content)?;
            Value::Complex(Double::from(real), Double::from(imaginary))
        }
        Kind::Decimal => Value::Decimal(decimal(content)?.to_owned()),
        Kind::Uuid => Value::Uuid(unpack_uuid(content)?),
        Kind::DateTime => Value::DateTime(DateTime::unpack(content)?.into_owned()),
        Kind::Date => Value::Date(Date::unpack(content)?),
        Kind::Time => Value::Time(Time::unpack(content)?.into_owned()),
        Kind::TimeDelta => Value::TimeDelta(TimeDelta::unpack(content)?),
        Kind::Path => Value::Path(Path::unpack(content)?.into_owned()),
        _ => return Err(malformed("an extension whose content is not bytes")),
    })
}

/// An extension whose content is values.
fn nested(kind: Kind, items: Vec<Value>) -> Result<Value, Malformed> {
    Ok(match kind {
        Kind::Tuple => Value::Tuple(items),
        Kind::Set => Value::Set(items),
        Kind::FrozenSet => Value::FrozenSet(items),
        Kind::Range => match <[Value; 3]>::try_from(items) {
            Ok(numbers) if is_range(&numbers) => Value::Range(Box::new(numbers)),
            _ => return Err(malformed("a range that is not three integers, or without a step")),
        },
        Kind::Fraction => match <[Value; 2]>::try_from(items) {
            Ok(numbers) if is_fraction(&numbers) => Value::Fraction(Box::new(numbers)),
            _ => {
                return Err(malformed(
                    "a fraction that is not two integers, or not positive below",
                ));
            }
        },
        Kind::Enum => match <[Value; 2]>::try_from(items) {
            Ok([Value::Text(name), Value::Text(member)]) => Value::Enum { name, member },
            _ => return Err(malformed("a member of an enumeration that is not two names")),
        },
        Kind::NamedTuple => {
            let (name, items) = named(items)?;
            Value::NamedTuple { name, items: items.collect() }
        }
        Kind::Dataclass => {
            let (name, mut items) = named(items)?;
            let mut fields = Vec::with_capacity(items.len() / 2);
            while let Some(field) = items.next() {
                match (field, items.next()) {
                    (Value::Text(field), Some(value)) => fields.push((field, value)),
                    _ => {
                        return Err(malformed(
                            "a dataclass with a field that is not a name and a value",
                        ));
                    }
                }
            }
            Value::Dataclass { name, fields }
        }
        _ => return Err(malformed("an extension whose content is not values")),
    })
}

/// Start, stop, and a step that leads somewhere.
pub(super) fn is_range(numbers: &[Value; 3]) -> bool {
    numbers.iter().all(Value::is_integer) && numbers[2] != Value::Int(0)
}

/// A numerator and a positive denominator. Whether it is reduced is not checked.
pub(super) fn is_fraction(numbers: &[Value; 2]) -> bool {
    let is_positive = match &numbers[1] {
        Value::Int(number) => *number > 0,
        Value::BigInt(number) => !number.is_negative(),
        _ => false,
    };
    numbers[0].is_integer() && is_positive
}

/// A registered name, and what stands behind it.
fn named(items: Vec<Value>) -> Result<(String, std::vec::IntoIter<Value>), Malformed> {
    let mut items = items.into_iter();
    match items.next() {
        Some(Value::Text(name)) => Ok((name, items)),
        _ => Err(malformed("an instance without the registered name of its type")),
    }
}
