//! The serializer that keeps everything, by running what a payload says.

use cachine_codec::format::Format;
use cachine_codec::signing::Signer;
use pyo3::exceptions::{PyException, PyRecursionError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

use super::input::bytes_of;
use super::stop::{Stop, deserialization_error, name_of};
use super::{Written, outside};
use crate::convert::type_name;
use crate::errors;
use crate::errors::OrRaise;
use crate::host::stay;

/// Every value that the module `pickle` takes: DANGEROUS wherever others can write to the store.
///
/// **Whoever can change stored bytes runs any code in your process**: to load a pickle is to run
/// it. On a Redis that other programs, tenants or people write to, use `ExactSerializer`, or give a
/// `signing_key`: a text or bytes, better 32 random ones, the same in all processes. Then a
/// signature (HMAC-SHA256) stands behind each pickle, and is checked **before** anything is loaded;
/// a pickle that somebody else made raises `IntegrityError`. What a signature does not prevent is
/// that a pickle of yours is put under another key, or put back after it was replaced:
/// `EncryptionMiddleware` does.
///
/// A class that was moved, renamed or changed since does not load: that is a miss in `cached`, and
/// a `DeserializationError` from `get`.
#[pyclass(frozen, subclass, module = "cachine.serializers", name = "PickleSerializer")]
pub(crate) struct PickleSerializer {
    signer: Option<Signer>,
}

/// The protocol of every pickle: the newest that all supported versions of CPython have.
const PROTOCOL: i64 = 5;

/// Bytes of a signature.
const SIGNATURE: usize = 32;

/// A reason is looked for no deeper in a value.
const DEEPEST: usize = 64;

#[pymethods]
impl PickleSerializer {
    #[new]
    #[pyo3(signature = (signing_key = None))]
    fn new(signing_key: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(key) = signing_key else { return Ok(Self { signer: None }) };
        let py = key.py();
        let signer = if let Ok(text) = key.cast::<PyString>() {
            // Not with the error that says why: it holds the text.
            let Ok(text) = text.to_str() else {
                let message = "signing_key has an unpaired surrogate; pass bytes";
                return Err(errors::make(py, "ConfigError", message, "signing", false));
            };
            Signer::new(text.as_bytes())
        } else if let Ok(bytes) = key.cast::<PyBytes>() {
            Signer::new(bytes.as_bytes())
        } else {
            let kind = type_name(key);
            let message = format!("signing_key must be a str, bytes or None, not {kind}");
            return Err(PyTypeError::new_err(message));
        };
        Ok(Self { signer: Some(signer.or_raise(py)?) })
    }

    /// Return a value as a pickle, with its signature behind it if there is a key.
    ///
    /// Raises:
    ///     `SerializationError`: it can't be pickled; the message says where, the cause says why.
    #[pyo3(signature = (obj, /))]
    fn dumps<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let pickle = pickled(obj)?;
        match &self.signer {
            None => Ok(pickle),
            Some(signer) => Ok(PyBytes::new(obj.py(), &signed(signer, pickle.as_bytes()))),
        }
    }

    /// Return the value of a pickle. With a key, its signature is checked first.
    ///
    /// Raises:
    ///     `IntegrityError`: the signature is not by this key.
    ///     `DeserializationError`: the bytes are no pickle that loads; the cause says why.
    #[pyo3(signature = (data, /))]
    fn loads<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = bytes_of(data)?;
        if self.signer.is_none() {
            return unpickled(&bytes);
        }
        self.decode(data.py(), bytes.as_bytes())
    }

    pub(super) fn __repr__(&self) -> &'static str {
        if self.signer.is_some() {
            "PickleSerializer(signing_key=...)"
        } else {
            "PickleSerializer()"
        }
    }
}

impl PickleSerializer {
    /// The format that it writes, and the only one that it reads.
    pub(super) fn format(&self) -> Format {
        if self.signer.is_some() { Format::SignedPickle } else { Format::Pickle }
    }

    pub(super) fn encode(&self, object: &Bound<'_, PyAny>) -> PyResult<Written> {
        let pickle = pickled(object)?;
        let bytes = match &self.signer {
            None => pickle.as_bytes().to_vec(),
            Some(signer) => signed(signer, pickle.as_bytes()),
        };
        Ok(Written { format: self.format(), bytes })
    }

    pub(super) fn decode<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let Some(signer) = &self.signer else { return unpickled(&PyBytes::new(py, bytes)) };
        let pickle = match bytes.split_last_chunk::<SIGNATURE>() {
            Some((pickle, signature)) if signer.verify(pickle, signature) => pickle,
            _ => {
                let message = "PickleSerializer does not load this: its signature is not by this \
                               signing_key; somebody changed it, or another key signed it";
                return Err(errors::make(py, "IntegrityError", message, "loads", false));
            }
        };
        unpickled(&PyBytes::new(py, pickle))
    }
}

fn signed(signer: &Signer, pickle: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(pickle.len() + SIGNATURE);
    bytes.extend_from_slice(pickle);
    bytes.extend_from_slice(&signer.sign(pickle));
    bytes
}

/// A function of the module `pickle`, which is imported when the first one is needed.
fn function<'py>(
    py: Python<'py>,
    name: &str,
    known: &'static PyOnceLock<Py<PyAny>>,
) -> PyResult<&'py Bound<'py, PyAny>> {
    let find = || Ok::<_, PyErr>(py.import("pickle")?.getattr(name)?.unbind());
    known.get_or_try_init(py, find).map(|function| function.bind(py))
}

fn raw_pickle<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    stay::call(function(py, "dumps", &DUMPS)?, object, PyInt::new(py, PROTOCOL).as_any())
}

fn pickled<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = object.py();
    match raw_pickle(object) {
        Ok(bytes) => Ok(bytes.cast_into()?),
        Err(error) if error.is_instance_of::<PyException>(py) => {
            let depth = if error.is_instance_of::<PyRecursionError>(py) { DEEPEST } else { 0 };
            let raised = blame(object, depth)?.raise(py, "PickleSerializer");
            raised.set_cause(py, Some(error));
            Err(raised)
        }
        Err(error) => Err(error),
    }
}

fn unpickled<'py>(bytes: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = bytes.py();
    outside::call_one(function(py, "loads", &LOADS)?, bytes.as_any()).map_err(|error| {
        let kind = name_of(&error.get_type(py));
        let message = format!(
            "PickleSerializer can't load this: {kind}, see the cause; delete the entry, or read it \
             with the serializer that wrote it"
        );
        deserialization_error(py, &message, Some(error))
    })
}

/// Where in a value that can't be pickled the reason is: in the first part that can't be either.
#[cold]
fn blame(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Stop> {
    let here = || Stop::refused(name_of(&object.get_type()), "pickle refuses it, see the cause");
    if depth == DEEPEST || is_leaf(object) {
        return Ok(here());
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        for item in outside::items_of(dict.items().as_any())?.iter() {
            let (key, value) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            for part in [&value, &key] {
                if is_culprit(part)? {
                    return Ok(blame(part, depth + 1)?.under(&key));
                }
            }
        }
        return Ok(here());
    }
    if object.is_instance_of::<PySet>() || object.is_instance_of::<PyFrozenSet>() {
        for item in outside::items_of(object)?.iter() {
            if is_culprit(&item)? {
                return Ok(blame(&item, depth + 1)?.in_set());
            }
        }
        return Ok(here());
    }
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        for (at, item) in outside::items_of(object)?.iter().enumerate() {
            if is_culprit(&item)? {
                return Ok(blame(&item, depth + 1)?.at(at));
            }
        }
        return Ok(here());
    }
    // An object is most often what its attributes are.
    match outside::attribute(object, "__dict__") {
        Ok(attributes) if attributes.is_exact_instance_of::<PyDict>() => {
            if is_culprit(&attributes)? { blame(&attributes, depth + 1) } else { Ok(here()) }
        }
        _ => Ok(here()),
    }
}

fn is_leaf(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyString>()
        || object.is_instance_of::<PyBytes>()
        || object.is_instance_of::<PyByteArray>()
        || object.is_instance_of::<PyInt>()
}

/// Whether a part can't be pickled. What is no `Exception`, such as Ctrl-C, ends the search.
fn is_culprit(part: &Bound<'_, PyAny>) -> PyResult<bool> {
    match raw_pickle(part) {
        Ok(_) => Ok(false),
        Err(error) if error.is_instance_of::<PyException>(part.py()) => Ok(true),
        Err(error) => Err(error),
    }
}
