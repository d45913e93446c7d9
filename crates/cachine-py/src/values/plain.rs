//! The serializers of formats that other programs read: JSON and MessagePack.

use cachine_codec::format::Format;
use cachine_codec::json::{self, JsonSink};
use cachine_codec::msgpack::{self, Extensions, MessagePackSink};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::input::bytes_of;
use super::make::Maker;
use super::walk::{Keys, Rules, write};
use super::{Written, broken};

/// Values as JSON text (RFC 8259): compact, UTF-8.
///
/// Kept are dict with keys of type str, list, str, int of any size, finite float, bool and None, by
/// their exact type. Anything else raises `SerializationError`, which names its type and its path
/// (`$.user.tags[3]`): what comes back is never of another type than what was stored, unless
/// `lossy=True` asks for it.
///
/// | value                                   | `lossy=True` writes                       |
/// | --------------------------------------- | ----------------------------------------- |
/// | tuple, named tuple, set, frozenset, deque | a list (a set in any order)             |
/// | member of an Enum                       | its value                                 |
/// | dataclass                               | a dict of its fields                      |
/// | subclass of str, int, float, list, dict | the str, int, float, list, dict that it is |
/// | datetime, date, time                    | `isoformat()`                             |
/// | Decimal, UUID, Path, Fraction           | `str()`                                   |
/// | key of type int, float, bool, None      | text, as the module `json` writes it      |
/// | key of one of the types above           | the text that a value would be            |
///
/// Refused with `lossy=True` as well: NaN and infinities, bytes, text with unpaired surrogates, and
/// every other type.
#[pyclass(frozen, subclass, module = "cachine.serializers", name = "JSONSerializer")]
pub(crate) struct JsonSerializer {
    is_lossy: bool,
}

/// Values as MessagePack, which is smaller than JSON and faster.
///
/// Kept are dict with keys of the scalar types, list, str, bytes, int of any size, float (NaN and
/// infinities, too), bool, None and datetime, naive or aware, by their exact type. Anything else
/// raises `SerializationError`, which names its type and its path, unless `lossy=True` asks for
/// something similar.
///
/// | value                                   | `lossy=True` writes                       |
/// | --------------------------------------- | ----------------------------------------- |
/// | tuple, named tuple, set, frozenset, deque | a list (a set in any order)             |
/// | member of an Enum                       | its value                                 |
/// | dataclass                               | a dict of its fields                      |
/// | subclass of str, int, float, list, dict | the str, int, float, list, dict that it is |
/// | date, time                              | `isoformat()`                             |
/// | Decimal, UUID, Path, Fraction           | `str()`                                   |
/// | key of one of these types               | what a value would be, if that is a scalar |
///
/// A datetime in UTC is MessagePack's own timestamp. Any other one is the extension type 12, an int
/// of more than 64 bits the extension type 5; programs without Cachine see their bytes.
#[pyclass(frozen, subclass, module = "cachine.serializers", name = "MsgPackSerializer")]
pub(crate) struct MsgPackSerializer {
    is_lossy: bool,
}

#[pymethods]
impl JsonSerializer {
    #[new]
    #[pyo3(signature = (*, lossy = false))]
    fn new(lossy: bool) -> Self {
        Self { is_lossy: lossy }
    }

    /// Return a value as JSON text.
    ///
    /// Raises:
    ///     `SerializationError`: JSON does not keep it; the message says what and where.
    #[pyo3(signature = (obj, /))]
    fn dumps<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(obj.py(), &self.encode(obj)?.bytes))
    }

    /// Return the value of a JSON text.
    ///
    /// Raises:
    ///     `DeserializationError`: the bytes are no JSON text.
    #[expect(clippy::unused_self, reason = "a method, as every serializer has it")]
    #[pyo3(signature = (data, /))]
    fn loads<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::decode(data.py(), bytes_of(data)?.as_bytes())
    }

    pub(super) fn __repr__(&self) -> &'static str {
        if self.is_lossy { "JSONSerializer(lossy=True)" } else { "JSONSerializer()" }
    }
}

impl JsonSerializer {
    pub(super) fn encode(&self, object: &Bound<'_, PyAny>) -> PyResult<Written> {
        let rules = Rules {
            name: "JSONSerializer",
            keys: Keys::Text,
            registry: None,
            is_lossy: self.is_lossy,
            is_trial: false,
        };
        let mut sink = JsonSink::new();
        write(object, &mut sink, &rules).map_err(|stop| stop.raise(object.py(), rules.name))?;
        Ok(Written { format: Format::Json, bytes: sink.into_bytes() })
    }

    pub(super) fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let mut maker = Maker::new(py, None);
        json::read(bytes, &mut maker)
            .and_then(|()| maker.finish())
            .map_err(|reason| broken(py, "JSONSerializer", true, reason))
    }
}

#[pymethods]
impl MsgPackSerializer {
    #[new]
    #[pyo3(signature = (*, lossy = false))]
    fn new(lossy: bool) -> Self {
        Self { is_lossy: lossy }
    }

    /// Return a value as MessagePack.
    ///
    /// Raises:
    ///     `SerializationError`: MessagePack does not keep it; the message says what and where.
    #[pyo3(signature = (obj, /))]
    fn dumps<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(obj.py(), &self.encode(obj)?.bytes))
    }

    /// Return the value of a MessagePack payload.
    ///
    /// Raises:
    ///     `DeserializationError`: the bytes are no MessagePack, or not for this serializer.
    #[expect(clippy::unused_self, reason = "a method, as every serializer has it")]
    #[pyo3(signature = (data, /))]
    fn loads<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        Self::decode(data.py(), bytes_of(data)?.as_bytes())
    }

    pub(super) fn __repr__(&self) -> &'static str {
        if self.is_lossy { "MsgPackSerializer(lossy=True)" } else { "MsgPackSerializer()" }
    }
}

impl MsgPackSerializer {
    pub(super) fn encode(&self, object: &Bound<'_, PyAny>) -> PyResult<Written> {
        let rules = Rules {
            name: "MsgPackSerializer",
            keys: Keys::Scalars,
            registry: None,
            is_lossy: self.is_lossy,
            is_trial: false,
        };
        let mut sink = MessagePackSink::new(Extensions::Plain);
        write(object, &mut sink, &rules).map_err(|stop| stop.raise(object.py(), rules.name))?;
        Ok(Written { format: Format::MessagePack, bytes: sink.into_bytes() })
    }

    pub(super) fn decode<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let mut maker = Maker::new(py, None);
        msgpack::read(bytes, &mut maker)
            .and_then(|()| maker.finish())
            .map_err(|reason| broken(py, "MsgPackSerializer", false, reason))
    }
}
