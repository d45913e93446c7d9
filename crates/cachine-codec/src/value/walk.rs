//! Takes a [`Value`] apart for a sink.

use std::borrow::Cow;

use super::{Value, build};
use crate::content::pack_complex;
use crate::kind::Kind;
use crate::sink::{Refused, Sink, Taken};

impl Value {
    /// Tells `sink` what this is.
    ///
    /// # Errors
    ///
    /// What the sink refuses; in any case a value nested deeper than [`crate::build::DEEPEST`].
    pub fn walk<S: Sink>(&self, sink: &mut S) -> Result<(), Refused> {
        match self {
            Self::Null => sink.null(),
            Self::Bool(value) => sink.bool(*value),
            Self::Int(value) => sink.int(*value),
            Self::BigInt(value) => sink.big_int(value.as_little_endian()),
            Self::Float(value) => sink.float(value.get()),
            Self::Text(text) => sink.str(text),
            Self::Bytes(bytes) => sink.bytes(bytes),
            Self::List(items) => walk_list(items, sink),
            Self::Map(pairs) => walk_map(pairs, sink),
            Self::ByteArray(content) => sink.extension(Kind::ByteArray, content),
            other => match other.plain() {
                Some((kind, content)) => {
                    // The fields are public: what no reader would take, or take for another value,
                    // is not written.
                    if build::plain(kind, &content).is_ok_and(|read| read == *self) {
                        sink.extension(kind, &content)
                    } else {
                        Err(Refused::Kind)
                    }
                }
                None => other.walk_nested(sink),
            },
        }
    }

    /// The extension whose content is bytes.
    fn plain(&self) -> Option<(Kind, Cow<'_, [u8]>)> {
        Some(match self {
            Self::SurrogateText(content) => (Kind::SurrogateText, Cow::Borrowed(content)),
            Self::Complex(real, imaginary) => {
                (Kind::Complex, pack_complex(real.get(), imaginary.get()).to_vec().into())
            }
            Self::Decimal(text) => (Kind::Decimal, Cow::Borrowed(text.as_bytes())),
            Self::Uuid(content) => (Kind::Uuid, Cow::Borrowed(content)),
            Self::DateTime(value) => match value.to_timestamp() {
                Some(timestamp) => (Kind::Timestamp, timestamp.pack().to_vec().into()),
                None => (Kind::DateTime, value.pack().into()),
            },
            Self::Date(value) => (Kind::Date, value.pack().to_vec().into()),
            Self::Time(value) => (Kind::Time, value.pack().into()),
            Self::TimeDelta(value) => (Kind::TimeDelta, value.pack().to_vec().into()),
            Self::Path(value) => (Kind::Path, value.pack().into()),
            _ => return None,
        })
    }

    /// Walks an extension whose content is values.
    fn walk_nested<S: Sink>(&self, sink: &mut S) -> Taken {
        let (kind, name, items): (_, Option<&String>, &[Self]) = match self {
            Self::Tuple(items) => (Kind::Tuple, None, items),
            Self::Set(items) => (Kind::Set, None, items),
            Self::FrozenSet(items) => (Kind::FrozenSet, None, items),
            Self::Range(numbers) if build::is_range(numbers) => (Kind::Range, None, &numbers[..]),
            Self::Fraction(numbers) if build::is_fraction(numbers) => {
                (Kind::Fraction, None, &numbers[..])
            }
            Self::Enum { name, .. } => (Kind::Enum, Some(name), &[]),
            Self::NamedTuple { name, items } => (Kind::NamedTuple, Some(name), items),
            Self::Dataclass { name, .. } => (Kind::Dataclass, Some(name), &[]),
            _ => return Err(Refused::Kind),
        };
        let mark = sink.begin_extension(kind)?;
        if let Some(name) = name {
            sink.str(name)?;
        }
        for item in items {
            item.walk(sink)?;
        }
        match self {
            Self::Enum { member, .. } => sink.str(member)?,
            Self::Dataclass { fields, .. } => {
                for (field, value) in fields {
                    sink.str(field)?;
                    value.walk(sink)?;
                }
            }
            _ => {}
        }
        sink.end_extension(mark)
    }
}

fn walk_list<S: Sink>(items: &[Value], sink: &mut S) -> Taken {
    sink.begin_list(items.len())?;
    let mut is_first = true;
    for item in items {
        sink.next_item(is_first);
        is_first = false;
        item.walk(sink)?;
    }
    sink.end_list();
    Ok(())
}

fn walk_map<S: Sink>(pairs: &[(Value, Value)], sink: &mut S) -> Taken {
    let has_text_keys = pairs.iter().all(|(key, _)| matches!(key, Value::Text(_)));
    sink.begin_map(pairs.len(), has_text_keys)?;
    let mut is_first = true;
    for (key, value) in pairs {
        sink.next_key(is_first);
        is_first = false;
        key.walk(sink)?;
        sink.next_value();
        value.walk(sink)?;
    }
    sink.end_map();
    Ok(())
}
