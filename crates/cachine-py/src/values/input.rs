//! What `loads` takes: bytes, in whatever object they are.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

use crate::convert::type_name;

/// The bytes of a `bytes`, or a copy of those of a `bytearray` or `memoryview`, which may change
/// while they are read.
pub(super) fn bytes_of<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    if let Ok(bytes) = data.cast::<PyByteArray>() {
        return Ok(PyBytes::new(data.py(), &bytes.to_vec()));
    }
    if data.is_instance_of::<PyMemoryView>() {
        return Ok(data.call_method0("tobytes")?.cast_into()?);
    }
    Err(PyTypeError::new_err(format!(
        "loads takes bytes, bytearray or memoryview, not {}",
        type_name(data)
    )))
}
