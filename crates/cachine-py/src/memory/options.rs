//! The options of a cache: who leaves when it is full, what an entry weighs, its namespace.

use cachine::core::key::Namespace;
use cachine::core::policy::Eviction;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyString};

use crate::convert::{self, type_name};
use crate::errors::OrRaise;
use crate::host::{Object, Shelf, stay};

/// Asks the user's weigher for the weight of what is stored; runs under no lock.
pub(crate) fn weigh(
    shelf: &Py<Shelf>,
    py: Python<'_>,
    key: &str,
    stored: &Object,
) -> PyResult<u64> {
    let weigher = shelf.get().weigher.as_ref().and_then(|weigher| weigher.bind(py));
    let Some(weigher) = weigher else { return Ok(1) };
    let (key, value) = (PyString::new(py, key), stored.get(py).into_bound(py));
    let weight = stay::call(&weigher, &key, &value)?;
    if weight.is_instance_of::<PyBool>() || !weight.is_instance_of::<PyInt>() {
        let kind = type_name(&weight);
        return Err(PyTypeError::new_err(format!("weigher must return an int, not {kind}")));
    }
    if weight.lt(0)? {
        let message = format!("weigher returned {}: a weight is never negative", weight.repr()?);
        return Err(PyValueError::new_err(message));
    }
    Ok(weight.extract::<u64>().unwrap_or(u64::MAX))
}

pub(super) fn eviction(policy: Option<&Bound<'_, PyAny>>) -> PyResult<Eviction> {
    let Some(policy) = policy else { return Ok(Eviction::Lru) };
    let name = policy.getattr("_eviction").ok().and_then(|name| name.extract::<String>().ok());
    match name.as_deref() {
        Some("lru") => Ok(Eviction::Lru),
        Some("lfu") => Ok(Eviction::Lfu),
        Some("fifo") => Ok(Eviction::Fifo),
        _ => Err(PyTypeError::new_err(format!(
            "eviction_policy must be LRUEviction(), LFUEviction() or FIFOEviction() from \
             cachine.strategies, not {}",
            type_name(policy)
        ))),
    }
}

pub(crate) fn namespace(py: Python<'_>, name: Option<&Bound<'_, PyAny>>) -> PyResult<Namespace> {
    let Some(name) = name else { return Ok(Namespace::default()) };
    Namespace::new(convert::namespace(name)?).or_raise(py)
}
