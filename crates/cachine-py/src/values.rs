//! Values of Python as bytes and back: the serializers.
//!
//! ```text
//! object ── walk, standard, registry, lossy ──▶ sink of the codec ──▶ payload
//! object ◀── make, revive, registry ── reader of the codec ◀── payload
//! ```
//!
//! | module | is |
//! | --- | --- |
//! | `exact`, `plain`, `pickle`, `foreign` | the serializers |
//! | `walk` | an object, told to a sink: the fast path |
//! | `standard`, `moment`, `known` | what the standard library has beside it |
//! | `registry` | classes that were registered by name |
//! | `lossy` | something similar for what is not kept |
//! | `stop` | why something is not kept, and where it is |
//! | `make`, `revive`, `keys` | objects, made of what a reader meets |
//! | `text` | text as UTF-8 and back |
//! | `input` | what `loads` takes |
//! | `route` | a serializer as caches use it, for tests |
//! | `outside` | calls from which a thread may not come back |

mod exact;
mod foreign;
mod input;
mod keys;
mod known;
mod lossy;
mod make;
mod moment;
pub(crate) mod outside;
mod pickle;
mod plain;
mod registry;
mod revive;
mod route;
mod standard;
mod stop;
mod text;
mod walk;

use std::borrow::Cow;

use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple};

pub(crate) use self::exact::ExactSerializer;
pub(crate) use self::pickle::PickleSerializer;
pub(crate) use self::plain::{JsonSerializer, MsgPackSerializer};
pub(crate) use self::route::SerializerRoute;

use self::foreign::Foreign;
use self::make::Broken;
use self::stop::deserialization_error;

/// What turns the values of a cache into bytes and back.
pub(crate) enum Serializer {
    /// Keeps every value as it is, or refuses it.
    Exact(Py<ExactSerializer>),
    /// JSON text.
    Json(Py<JsonSerializer>),
    /// MessagePack.
    MessagePack(Py<MsgPackSerializer>),
    /// Pickles.
    Pickle(Py<PickleSerializer>),
    /// Whatever a class of the user's makes of it.
    Foreign(Foreign),
}

/// What a serializer wrote.
struct Written {
    format: Format,
    bytes: Vec<u8>,
}

impl Serializer {
    /// The serializer that an object is: one of ours by its exact type, or anything with `dumps` and
    /// `loads`. A subclass of ours may have methods of its own, so these are called.
    ///
    /// # Errors
    ///
    /// A `TypeError` that says what is needed.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(exact) = object.cast_exact::<ExactSerializer>() {
            return Ok(Self::Exact(exact.clone().unbind()));
        }
        if let Ok(json) = object.cast_exact::<JsonSerializer>() {
            return Ok(Self::Json(json.clone().unbind()));
        }
        if let Ok(msgpack) = object.cast_exact::<MsgPackSerializer>() {
            return Ok(Self::MessagePack(msgpack.clone().unbind()));
        }
        if let Ok(pickle) = object.cast_exact::<PickleSerializer>() {
            return Ok(Self::Pickle(pickle.clone().unbind()));
        }
        Foreign::of(object).map(Self::Foreign)
    }

    /// The serializer of a cache that was told of none.
    pub(crate) fn exact(py: Python<'_>) -> PyResult<Self> {
        Ok(Self::Exact(Py::new(py, ExactSerializer::default())?))
    }

    /// The same serializer for another cache.
    pub(crate) fn share(&self, py: Python<'_>) -> Self {
        match self {
            Self::Exact(exact) => Self::Exact(exact.clone_ref(py)),
            Self::Json(json) => Self::Json(json.clone_ref(py)),
            Self::MessagePack(msgpack) => Self::MessagePack(msgpack.clone_ref(py)),
            Self::Pickle(pickle) => Self::Pickle(pickle.clone_ref(py)),
            Self::Foreign(foreign) => Self::Foreign(foreign.share(py)),
        }
    }

    /// A serializer that also knows these types; `None` where it is none that learns types.
    pub(crate) fn with_types(
        &self,
        py: Python<'_>,
        types: &Bound<'_, PyTuple>,
    ) -> PyResult<Option<Self>> {
        let Self::Exact(exact) = self else { return Ok(None) };
        let more = exact.bind(py).get().with_types(types)?;
        Ok(Some(Self::Exact(Py::new(py, more)?)))
    }

    /// A value as a payload. An int of 64 bits is one whatever the serializer.
    ///
    /// # Errors
    ///
    /// A `SerializationError`; what is no `Exception` passes.
    pub(crate) fn encode(
        &self,
        py: Python<'_>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Payload<'static>> {
        if value.get_type_ptr() == &raw mut ffi::PyLong_Type
            && let Some(number) = walk::small(value)
        {
            return Ok(Payload::Integer(number));
        }
        let Written { format, bytes } = match self {
            Self::Exact(exact) => exact.bind(py).get().encode(value),
            Self::Json(json) => json.bind(py).get().encode(value),
            Self::MessagePack(msgpack) => msgpack.bind(py).get().encode(value),
            Self::Pickle(pickle) => pickle.bind(py).get().encode(value),
            Self::Foreign(foreign) => foreign.encode(value),
        }?;
        Ok(Payload::Bytes { format: Some(format), bytes: Cow::Owned(bytes) })
    }

    /// The value of a payload. One whose format has no name is tried.
    ///
    /// # Errors
    ///
    /// A `DeserializationError`; what is no `Exception` passes.
    pub(crate) fn decode(&self, py: Python<'_>, payload: &Payload<'_>) -> PyResult<Py<PyAny>> {
        let (format, bytes) = match payload {
            Payload::Integer(number) => return Ok(PyInt::new(py, *number).into_any().unbind()),
            Payload::Bytes { format, bytes } => (*format, bytes.as_ref()),
        };
        if let Some(format) = format
            && !self.reads(py, format)
        {
            let message = format!(
                "{} does not read {}: read it with the serializer that wrote it, or delete the entry",
                self.name(),
                format.name()
            );
            return Err(deserialization_error(py, &message, None));
        }
        let value = match self {
            Self::Exact(exact) => exact.bind(py).get().decode(py, bytes),
            Self::Json(_) => JsonSerializer::decode(py, bytes),
            Self::MessagePack(_) => MsgPackSerializer::decode(py, bytes),
            Self::Pickle(pickle) => pickle.bind(py).get().decode(py, bytes),
            Self::Foreign(foreign) => foreign.decode(py, bytes),
        }?;
        Ok(value.unbind())
    }

    fn reads(&self, py: Python<'_>, format: Format) -> bool {
        match self {
            Self::Exact(_) => matches!(format, Format::Json | Format::MessagePack),
            Self::Json(_) => format == Format::Json,
            Self::MessagePack(_) => format == Format::MessagePack,
            Self::Pickle(pickle) => format == pickle.bind(py).get().format(),
            Self::Foreign(_) => format == Format::Other,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Exact(_) => "ExactSerializer",
            Self::Json(_) => "JSONSerializer",
            Self::MessagePack(_) => "MsgPackSerializer",
            Self::Pickle(_) => "PickleSerializer",
            Self::Foreign(foreign) => foreign.name(),
        }
    }

    /// Shows the garbage collector what is held.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Exact(exact) => visit.call(exact),
            Self::Json(json) => visit.call(json),
            Self::MessagePack(msgpack) => visit.call(msgpack),
            Self::Pickle(pickle) => visit.call(pickle),
            Self::Foreign(foreign) => foreign.traverse(visit),
        }
    }

    /// As it would be written, without a secret.
    pub(crate) fn repr(&self, py: Python<'_>) -> String {
        match self {
            Self::Exact(exact) => exact.bind(py).get().__repr__(),
            Self::Json(json) => json.bind(py).get().__repr__().to_owned(),
            Self::MessagePack(msgpack) => msgpack.bind(py).get().__repr__().to_owned(),
            Self::Pickle(pickle) => pickle.bind(py).get().__repr__().to_owned(),
            Self::Foreign(foreign) => foreign.repr(py),
        }
    }
}

/// The exception for bytes that a serializer does not read. Its cause is what a reader of the standard
/// library would raise, without the bytes.
#[cold]
fn broken(py: Python<'_>, serializer: &str, is_json: bool, reason: Broken) -> PyErr {
    let cure = "delete the entry, or read it with the serializer that wrote it";
    let (why, cause) = match reason {
        Broken::Malformed(malformed) => {
            let why = format!("{} at byte {}", malformed.what, malformed.at);
            let cause = if is_json {
                json_error(py, malformed.what, malformed.at)
            } else {
                PyValueError::new_err(why.clone())
            };
            (why, Some(cause))
        }
        Broken::Meaningless(why) => (why.into_string(), None),
        Broken::Raised(error) => {
            (format!("{}, see the cause", stop::name_of(&error.get_type(py))), Some(*error))
        }
    };
    deserialization_error(py, &format!("{serializer} can't read this: {why}; {cure}"), cause)
}

/// A `json.JSONDecodeError` that does not hold the text.
fn json_error(py: Python<'_>, what: &str, at: usize) -> PyErr {
    let make = || py.import("json")?.getattr("JSONDecodeError")?.call1((what, "", at));
    make().map_or_else(|error| error, PyErr::from_value)
}
