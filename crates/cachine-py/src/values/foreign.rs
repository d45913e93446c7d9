//! A serializer of the user's: any object with `dumps` and `loads`.

use cachine_codec::format::Format;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyModule, PyModuleMethods, PyString, PyType};

use super::input::bytes_of;
use super::stop::{deserialization_error, name_of, serialization_error};
use super::{Written, outside};
use crate::convert::type_name;

/// An object with `dumps` and `loads`.
pub(crate) struct Foreign {
    object: Py<PyAny>,
    /// What it is called in messages.
    name: String,
}

impl Foreign {
    /// Checks that it is one.
    pub(super) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(class) = object.cast::<PyType>() {
            let name = class.name()?;
            return Err(PyTypeError::new_err(format!(
                "serializer is the class {name}; pass an instance of it: {name}()"
            )));
        }
        for method in ["dumps", "loads"] {
            if !outside::attribute(object, method).is_ok_and(|method| method.is_callable()) {
                return Err(PyTypeError::new_err(format!(
                    "serializer must have the methods dumps(obj) -> bytes and loads(bytes) -> \
                     obj; {} has no {method}",
                    type_name(object)
                )));
            }
        }
        let name = match object.cast::<PyModule>() {
            Ok(module) => module.name()?.to_string(),
            Err(_) => name_of(&object.get_type()),
        };
        Ok(Self { object: object.clone().unbind(), name })
    }

    pub(super) fn share(&self, py: Python<'_>) -> Self {
        Self { object: self.object.clone_ref(py), name: self.name.clone() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn encode(&self, object: &Bound<'_, PyAny>) -> PyResult<Written> {
        let py = object.py();
        let dumps = outside::attribute(self.object.bind(py), "dumps")?;
        let made = outside::call_one(&dumps, object).map_err(|error| {
            if !error.is_instance_of::<PyException>(py) {
                return error;
            }
            let kind = name_of(&object.get_type());
            let raised = name_of(&error.get_type(py));
            let message = format!(
                "{kind} can't be kept by {} at $: it raised {raised}, see the cause",
                self.name
            );
            let wrapped = serialization_error(py, &message);
            wrapped.set_cause(py, Some(error));
            wrapped
        })?;
        let bytes = match made.cast::<PyString>() {
            // As the module `json` writes it.
            Ok(text) => text.to_str().map(|text| text.as_bytes().to_vec()).map_err(|_| {
                let message =
                    format!("dumps of {} returned text with an unpaired surrogate", self.name);
                serialization_error(py, &message)
            })?,
            Err(_) => bytes_of(&made).map(|bytes| bytes.as_bytes().to_vec()).map_err(|_| {
                let kind = type_name(&made);
                let message =
                    format!("dumps of {} must return bytes or str, not {kind}", self.name);
                serialization_error(py, &message)
            })?,
        };
        Ok(Written { format: Format::Other, bytes })
    }

    pub(super) fn decode<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let loads = outside::attribute(self.object.bind(py), "loads")?;
        outside::call_one(&loads, PyBytes::new(py, bytes).as_any()).map_err(|error| {
            let kind = name_of(&error.get_type(py));
            let message = format!(
                "{} can't load this: it raised {kind}, see the cause; delete the entry, or read \
                 it with the serializer that wrote it",
                self.name
            );
            deserialization_error(py, &message, Some(error))
        })
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)
    }

    pub(super) fn repr(&self, py: Python<'_>) -> String {
        self.object.bind(py).repr().map_or_else(|_| self.name.clone(), |text| text.to_string())
    }
}
