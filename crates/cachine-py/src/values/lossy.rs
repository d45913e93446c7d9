//! What `lossy=True` makes of values that a format does not keep: something similar that it does.

use cachine_codec::sink::Sink;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString, PyTuple, PyType};

use super::known::{self, Known};
use super::outside::{self, Held};
use super::registry;
use super::standard::{self, built_in_base};
use super::stop::{Step, Stop};
use super::walk::{Keys, Rules, Walk};

/// What an object is written as.
enum Form {
    /// A list of its items.
    Items,
    /// What `_value_` of an Enum's member is.
    Member,
    /// A dict of its fields.
    Fields,
    /// A dict of its items.
    Mapping,
    /// `isoformat()`.
    Iso,
    /// `str()`.
    Text,
    /// The str, int, float or list that it is as well.
    Base(&'static str),
}

impl Form {
    fn of(class: &Bound<'_, PyType>, keys: Keys) -> Option<Self> {
        if let Some(known) = known::of(class) {
            return match known {
                Known::DateTime if keys != Keys::Text => None,
                Known::DateTime | Known::Date | Known::Time => Some(Self::Iso),
                Known::Deque => Some(Self::Items),
                Known::TimeDelta | Known::TimeZone | Known::ZoneInfo => None,
                _ => Some(Self::Text),
            };
        }
        match registry::shape_name(class) {
            Some("Enum") => return Some(Self::Member),
            Some("dataclass") => return Some(Self::Fields),
            _ => {}
        }
        if known::derives(class, "collections", "deque") {
            return Some(Self::Items);
        }
        match built_in_base(class)? {
            "bytes" => None,
            "tuple" | "set" | "frozenset" => Some(Self::Items),
            "dict" => Some(Self::Mapping),
            base => Some(Self::Base(base)),
        }
    }
}

/// What an object of this class is written as with `lossy=True`, for a message.
pub(super) fn form(class: &Bound<'_, PyType>, rules: &Rules<'_>) -> Option<&'static str> {
    Some(match Form::of(class, rules.keys)? {
        Form::Items => "a list",
        Form::Member => "its value",
        Form::Fields | Form::Mapping => "a dict",
        Form::Iso | Form::Text => "text",
        Form::Base(base) => base,
    })
}

/// Writes an object as something similar; whether there is anything.
// Apart, so that a walk that does not come here needs no stack for it.
#[inline(never)]
pub(super) fn value<'py, S: Sink>(
    walk: &mut Walk<'_, 'py, S>,
    object: &Bound<'py, PyAny>,
) -> Result<bool, Stop> {
    let Some(form) = Form::of(&object.get_type(), walk.rules.keys) else { return Ok(false) };
    match form {
        Form::Items => {
            let items = Held::new(outside::items_of(object)?.into_any());
            walk.list(&items)?;
        }
        Form::Member => {
            let inner = Held::new(outside::attribute(object, "_value_")?);
            // The value may be a member again.
            walk.enter()?;
            walk.value(&inner)?;
            walk.leave();
        }
        Form::Fields => fields(walk, object)?,
        Form::Mapping => mapping(walk, object)?,
        Form::Iso => shown(walk, object, "isoformat")?,
        Form::Text => shown(walk, object, "__str__")?,
        Form::Base("str") => walk.text(object)?,
        Form::Base("int") => walk.integer(object)?,
        Form::Base("list") => walk.list(object)?,
        Form::Base(_) => {
            // SAFETY: a float or of a class that derives from it.
            let float = unsafe { ffi::PyFloat_AS_DOUBLE(object.as_ptr()) };
            let taken = walk.sink.float(float);
            walk.taken(taken, object)?;
        }
    }
    Ok(true)
}

/// Writes the text that a method makes of an object.
#[inline(never)]
fn shown<'py, S: Sink>(
    walk: &mut Walk<'_, 'py, S>,
    object: &Bound<'py, PyAny>,
    method: &str,
) -> Step {
    let text = outside::method(object, method)?;
    text.cast::<PyString>().map_err(PyErr::from)?;
    walk.text(&text)
}

#[inline(never)]
fn fields<'py, S: Sink>(walk: &mut Walk<'_, 'py, S>, object: &Bound<'py, PyAny>) -> Step {
    let fields = registry::field_names(&object.get_type())?;
    walk.begin_map(fields.len(), object)?;
    for (at, name) in fields.iter().enumerate() {
        let value = Held::new(outside::attribute(object, name.to_str()?)?);
        walk.pair(at == 0, name, &value)?;
    }
    walk.end_map();
    Ok(())
}

/// Writes a mapping as its class iterates over it: in an `OrderedDict` the order is its own.
#[inline(never)]
fn mapping<'py, S: Sink>(walk: &mut Walk<'_, 'py, S>, object: &Bound<'py, PyAny>) -> Step {
    let items = outside::items_of(&outside::method(object, "items")?)?;
    walk.begin_map(items.len(), object)?;
    for (at, item) in items.iter().enumerate() {
        match item.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2) {
            Some(pair) => walk.pair(at == 0, &pair.get_item(0)?, &pair.get_item(1)?)?,
            None => {
                return Err(Stop::refused(
                    "a dict whose items() are no pairs",
                    "make a plain dict of it first",
                ));
            }
        }
    }
    walk.end_map();
    Ok(())
}

/// Writes a key that is not exactly a str.
pub(super) fn key<'py, S: Sink>(walk: &mut Walk<'_, 'py, S>, key: &Bound<'py, PyAny>) -> Step {
    let key = scalar(key, walk.rules.keys)?;
    if key.is_instance_of::<PyString>() {
        return walk.text(&key);
    }
    let is_number = key.is_instance_of::<PyInt>() || key.is_instance_of::<PyFloat>();
    if walk.rules.keys != Keys::Text && (is_number || standard::is_plain_scalar(&key)) {
        return walk.value(&key);
    }
    let text = match built_in_base(&key.get_type()) {
        _ if walk.rules.keys != Keys::Text => return Err(standard::refuse_key(&key, walk.rules)),
        _ if key.is_none() => "null".to_owned(),
        Some("int") if key.get_type_ptr() == &raw mut ffi::PyBool_Type => {
            key.extract::<bool>()?.to_string()
        }
        // As the standard library writes them: without a method of a subclass.
        Some(base @ ("int" | "float")) => {
            let built_in = walk.py.import("builtins")?.getattr(base)?;
            built_in.getattr("__repr__")?.call1((&key,))?.extract::<String>()?
        }
        _ => return Err(standard::refuse_key(&key, walk.rules)),
    };
    let taken = walk.sink.str(&text);
    walk.taken(taken, &key)
}

/// What a key is written as: itself, or what a value of its type would be, as far as that is a
/// scalar.
fn scalar<'py>(key: &Bound<'py, PyAny>, keys: Keys) -> Result<Bound<'py, PyAny>, Stop> {
    let mut key = key.clone();
    // The value of a member may be a member again, but hardly more often than this.
    for _ in 0..8 {
        match Form::of(&key.get_type(), keys) {
            Some(Form::Member) => key = outside::attribute(&key, "_value_")?,
            Some(Form::Iso) => return Ok(outside::method(&key, "isoformat")?),
            Some(Form::Text) => return Ok(outside::method(&key, "__str__")?),
            _ => break,
        }
    }
    Ok(key)
}
