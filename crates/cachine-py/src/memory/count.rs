//! Counters: ints that many add to at once.

use cachine::Value;
use cachine::core::stats::Tally;
use cachine_codec::stored;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};

use crate::convert::{self, type_name};
use crate::errors::{self, OrRaise};
use crate::host::Object;
use crate::memory::Memory;

impl Memory {
    /// Adds to a counter: reads, computes outside the lock, and writes if nobody else did.
    pub(super) fn count(
        &self,
        py: Python<'_>,
        operation: &'static str,
        key: &Bound<'_, PyAny>,
        delta: i128,
        ttl_on_create: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<i64> {
        let ttl = convert::optional_span(ttl_on_create, "ttl_on_create")?;
        let (view, key) = self.checked(py, key, operation)?;
        let form = self.inner()?.form.as_ref();
        if let Some(form) = form {
            form.get().check_counters(operation).or_raise(py)?;
        }
        loop {
            let stored = view.peek(key, |value| value.get(py));
            let before = match &stored {
                None => 0,
                Some(value) => counter(value.bind(py), form.is_some(), operation)
                    .inspect_err(|_| Tally::of(view.counters()).error())?,
            };
            let Ok(after) = i64::try_from(i128::from(before) + delta) else {
                let message = format!(
                    "{operation}: the counter would leave the range of 64 bits; it keeps its value"
                );
                return Err(errors::make(py, "CounterOverflowError", &message, operation, false));
            };
            let new = Object::new(&PyInt::new(py, after).into_any());
            let weight = self.weigh(py, key, &new)?;
            let is_new = stored.is_none();
            let done = match stored {
                None => view.add(key, Value { value: new, ttl, tags: &[], weight }).or_raise(py)?,
                Some(old) => view.replace(key, new, weight, |value| value.is(&old)).or_raise(py)?,
            };
            // With a ttl_on_create of zero the counter is gone as soon as it is made.
            if done.is_ok() || is_new && ttl.is_some_and(|ttl| ttl.is_zero()) {
                return Ok(after);
            }
        }
    }
}

fn counter(value: &Bound<'_, PyAny>, has_form: bool, operation: &'static str) -> PyResult<i64> {
    let py = value.py();
    if has_form
        && let Ok(bytes) = value.cast_exact::<PyBytes>()
        && let Err(error) = stored::count(bytes.as_bytes(), 0)
    {
        let message = format!("{operation}: {error}; it was not changed");
        return Err(errors::make(py, "SerializationError", &message, operation, false));
    }
    if !value.is_exact_instance_of::<PyInt>() {
        let message = format!(
            "{operation}: the value of this key is of type {}, not an int; it was not changed",
            type_name(value)
        );
        return Err(errors::make(py, "SerializationError", &message, operation, false));
    }
    value.extract::<i64>().map_err(|_| {
        let message = format!("{operation}: the int of this key has more than 64 bits");
        errors::make(py, "CounterOverflowError", &message, operation, false)
    })
}
