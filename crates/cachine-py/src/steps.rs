//! The steps that middleware adds, as Python makes them: options checked once, secrets kept here.

use cachine_codec::compression::{Algorithm, Compression};
use cachine_codec::encryption::{self, Encryption};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::OrRaise;
use crate::form::Wrapping;

/// Compression, from the options of `CompressionMiddleware`.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct CompressionStep(Compression);

/// Encryption, from the options of `EncryptionMiddleware`.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct EncryptionStep(Encryption);

#[pymethods]
impl CompressionStep {
    #[new]
    fn new(
        py: Python<'_>,
        algorithm: &str,
        level: Option<i32>,
        min_size: usize,
        max_decompressed_size: usize,
    ) -> PyResult<Self> {
        let algorithm = algorithm.parse::<Algorithm>().or_raise(py)?;
        let mut step = Compression::new(algorithm);
        if let Some(level) = level {
            step = step.level(level).or_raise(py)?;
        }
        Ok(Self(step.min_size(min_size).max_decompressed_size(max_decompressed_size)))
    }
}

#[pymethods]
impl EncryptionStep {
    #[new]
    fn new(
        py: Python<'_>,
        key: &str,
        key_id: &str,
        old_keys: &Bound<'_, PyDict>,
        refuses_counters: bool,
    ) -> PyResult<Self> {
        let mut step = Encryption::new(key).and_then(|step| step.key_id(key_id)).or_raise(py)?;
        for (id, old) in old_keys {
            step = step.old_key(id.extract()?, old.extract()?).or_raise(py)?;
        }
        Ok(Self(if refuses_counters { step.refuse_counters() } else { step }))
    }
}

/// A new key: 32 random bytes as text.
#[pyfunction]
pub(crate) fn generate_key() -> String {
    encryption::generate_key()
}

/// The step that an object of Python's stands for; None where a cache is only measured.
pub(crate) fn wrapping(step: &Bound<'_, PyAny>) -> Option<Wrapping> {
    if let Ok(step) = step.cast::<CompressionStep>() {
        return Some(Wrapping::Compression(step.get().0.clone()));
    }
    step.cast::<EncryptionStep>().ok().map(|step| Wrapping::Encryption(step.get().0.clone()))
}
