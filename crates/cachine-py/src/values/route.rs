//! A serializer as caches use it, by itself: for tests.

use std::borrow::Cow;

use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};

use super::Serializer;

/// What a cache does with a serializer.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct SerializerRoute(Serializer);

#[pymethods]
impl SerializerRoute {
    #[new]
    fn new(serializer: &Bound<'_, PyAny>) -> PyResult<Self> {
        Serializer::of(serializer).map(Self)
    }

    /// The payload of a value: the number of its format and its bytes, or an int as it is.
    fn encode<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        match self.0.encode(py, value)? {
            Payload::Integer(number) => Ok(PyInt::new(py, number).into_any()),
            Payload::Bytes { format, bytes } => {
                let format = format.map(|format| format as u8);
                Ok((format, PyBytes::new(py, &bytes)).into_pyobject(py)?.into_any())
            }
        }
    }

    /// The value of a payload.
    #[pyo3(signature = (format, bytes))]
    fn decode(&self, py: Python<'_>, format: Option<u8>, bytes: &[u8]) -> PyResult<Py<PyAny>> {
        let named = |number| {
            Format::from_number(number).ok_or_else(|| PyValueError::new_err("no such format"))
        };
        let format = format.map(named).transpose()?;
        self.0.decode(py, &Payload::Bytes { format, bytes: Cow::Borrowed(bytes) })
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        self.0.repr(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.traverse(&visit)
    }
}
