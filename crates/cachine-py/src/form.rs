//! In which form a cache keeps its values: as the objects that they are, or as bytes.
//!
//! However often a cache is wrapped, there is one form: a serializer and the flat list of steps that
//! follow it. So a call crosses the border once, and everything that writes a value passes here.
//!
//! An int stands as the object that it is unless it is to be encrypted, so that counters and values
//! agree: it is what plain decimal is in a store of bytes.
//!
//! The fields of Python's are visited by this object alone, so whoever shares a form shares the
//! object.

use cachine::View;
use cachine::core::error::{Error, ErrorKind};
use cachine::core::stats::Tally;
use cachine_codec::compression::Compression;
use cachine_codec::encryption::Encryption;
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_codec::stored::Meta;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyTuple};

use crate::convert::type_name;
use crate::errors::{self, OrRaise};
use crate::host::{Object, PyHost};
use crate::values::Serializer;

/// What is at least so long is compressed and encrypted without the interpreter.
const LONG: usize = 16 * 1024;

/// How the values of a cache become bytes.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Form {
    serializer: Serializer,
    steps: Steps,
}

/// A step that wrapping adds.
pub(crate) enum Wrapping {
    Compression(Compression),
    Encryption(Encryption),
}

impl Form {
    pub(crate) fn new(serializer: Serializer) -> Self {
        Self { serializer, steps: Steps::default() }
    }

    /// The same steps behind another serializer.
    pub(crate) fn with_serializer(&self, serializer: Serializer) -> Self {
        Self { serializer, steps: self.steps.clone() }
    }

    /// The same with a serializer that also knows these types, where it is one that learns types.
    pub(crate) fn with_types(
        &self,
        py: Python<'_>,
        types: &Bound<'_, PyTuple>,
    ) -> PyResult<Option<Self>> {
        let serializer = self.serializer.with_types(py, types)?;
        Ok(serializer.map(|serializer| self.with_serializer(serializer)))
    }

    /// The form of a cache that wraps one of this form.
    pub(crate) fn wrapped(&self, py: Python<'_>, wrapping: Wrapping) -> PyResult<Self> {
        let mut steps = self.steps.clone();
        let before = match wrapping {
            Wrapping::Compression(step) => steps.compression.replace(step).map(|_| "compresses"),
            Wrapping::Encryption(step) => steps.encryption.replace(step).map(|_| "encrypts"),
        };
        if let Some(does) = before {
            let message = format!("this cache {does} its values already: wrap it once");
            return Err(errors::make(py, "ConfigError", &message, "wrap", false));
        }
        Ok(Self { serializer: self.serializer.share(py), steps })
    }

    /// What is stored of a value under a key.
    pub(crate) fn write(
        &self,
        view: &View<PyHost>,
        tally: Tally<'_>,
        key: &str,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Object> {
        view.with_key(key, |physical| self.write_at(tally, physical, value))
    }

    /// The same under a physical key.
    pub(crate) fn write_at(
        &self,
        tally: Tally<'_>,
        key: &[u8],
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Object> {
        let py = value.py();
        let payload = self.serializer.encode(py, value)?;
        if self.steps.encryption.is_none() && matches!(payload, Payload::Integer(_)) {
            return Ok(Object::new(value));
        }
        let bytes = self.step(py, tally, key, &payload)?;
        Ok(Object::new(&PyBytes::new(py, &bytes)))
    }

    /// What a server stores of a value under a physical key.
    pub(crate) fn write_bytes(
        &self,
        tally: Tally<'_>,
        key: &[u8],
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<u8>> {
        let payload = self.serializer.encode(value.py(), value)?;
        self.step(value.py(), tally, key, &payload)
    }

    fn step(
        &self,
        py: Python<'_>,
        tally: Tally<'_>,
        key: &[u8],
        payload: &Payload<'_>,
    ) -> PyResult<Vec<u8>> {
        let meta = Meta::default();
        let written = if self.is_slow(length(payload)) {
            py.detach(|| self.steps.write(key, &meta, payload))
        } else {
            self.steps.write(key, &meta, payload)
        };
        let written = written.or_raise(py)?;
        tally.wrote(written.raw, written.packed);
        Ok(written.bytes)
    }

    /// The value of what is stored under a key.
    pub(crate) fn read<'py>(
        &self,
        view: &View<PyHost>,
        key: &str,
        stored: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        view.with_key(key, |physical| self.read_at(physical, stored))
    }

    /// The same under a physical key.
    pub(crate) fn read_at<'py>(
        &self,
        key: &[u8],
        stored: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = stored.py();
        if stored.is_exact_instance_of::<PyInt>() {
            return self.read_integer(key, stored);
        }
        let Ok(bytes) = stored.cast_exact::<PyBytes>() else {
            let message = format!(
                "the value of this key is an object of type {}, stored without a serializer: \
                 read it through the cache that stored it",
                type_name(stored)
            );
            return Err(errors::make(py, "DeserializationError", &message, "get", false));
        };
        self.read_bytes(py, key, bytes.as_bytes())
    }

    /// The value of what a server stores under a physical key.
    pub(crate) fn read_bytes<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        stored: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let read = if self.is_slow(stored.len()) {
            py.detach(|| self.steps.read(key, stored))
        } else {
            self.steps.read(key, stored)
        };
        let (_, payload) = read.or_raise(py)?;
        self.serializer.decode(py, &payload).map(|value| value.into_bound(py))
    }

    /// An int that stands as it is: a counter to a cache that encrypts.
    fn read_integer<'py>(
        &self,
        key: &[u8],
        stored: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.steps.encryption.is_some() {
            let decimal = stored.str()?.to_string();
            self.steps.read(key, decimal.as_bytes()).or_raise(stored.py())?;
        }
        Ok(stored.clone())
    }

    /// Fails where counters are refused.
    pub(crate) fn check_counters(&self, operation: &'static str) -> Result<(), Error> {
        if self.steps.encryption.as_ref().is_some_and(Encryption::refuses_counters) {
            let message = format!(
                "{operation}: counters stand unencrypted, and this cache was told to refuse them \
                 (counters=\"refuse\")"
            );
            return Err(Error::new(ErrorKind::Config, operation, message));
        }
        Ok(())
    }

    fn is_slow(&self, length: usize) -> bool {
        length >= LONG && (self.steps.compression.is_some() || self.steps.encryption.is_some())
    }
}

fn length(payload: &Payload<'_>) -> usize {
    match payload {
        Payload::Integer(_) => 0,
        Payload::Bytes { bytes, .. } => bytes.len(),
    }
}

#[pymethods]
impl Form {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.serializer.traverse(&visit)
    }
}
