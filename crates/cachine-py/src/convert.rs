//! Arguments of Python as the engine takes them: keys, times, tags, bounds.
//!
//! Everything is checked here, early and by exact rule, so that nothing is half done when an
//! argument turns out to be wrong.

use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDateTime, PyDelta, PyDeltaAccess, PyFloat, PyInt, PyString};

use crate::errors;

/// The longest time that is told apart from "for ever": about 292 years.
const LONGEST: Duration = Duration::from_nanos(u64::MAX / 2);

/// The text of a key.
#[inline]
pub(crate) fn key<'a>(key: &'a Bound<'_, PyAny>, operation: &'static str) -> PyResult<&'a str> {
    if let Ok(text) = key.cast::<PyString>()
        && let Ok(text) = text.to_str()
    {
        return Ok(text);
    }
    Err(bad_key(key, operation))
}

#[cold]
fn bad_key(key: &Bound<'_, PyAny>, operation: &'static str) -> PyErr {
    if key.is_instance_of::<PyString>() {
        let message = format!(
            "{operation}: the key has an unpaired surrogate, which no store can keep: encode it, \
             for example with key.encode(\"utf-8\", \"surrogatepass\").hex()"
        );
        return errors::make(key.py(), "InvalidKeyError", &message, operation, false);
    }
    let kind = type_name(key);
    PyTypeError::new_err(format!("{operation}: a key is a str, not {kind}: {}", hint(key)))
}

fn hint(key: &Bound<'_, PyAny>) -> &'static str {
    if key.is_instance_of::<PyBytes>() { "decode it first" } else { "pass str(key)" }
}

/// The name of an object's type, for messages.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().qualname().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}

/// A span of time in seconds or a timedelta; what is not positive becomes zero.
///
/// Rounded to the millisecond, a positive one to at least one; what is too long saturates.
pub(crate) fn span(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Duration> {
    if value.is_instance_of::<PyBool>() {
        return Err(bad_span(value, name));
    }
    let seconds = if let Ok(delta) = value.cast::<PyDelta>() {
        let whole = f64::from(delta.get_days()) * 86_400.0 + f64::from(delta.get_seconds());
        whole + f64::from(delta.get_microseconds()) / 1e6
    } else if value.is_instance_of::<PyFloat>() {
        value.extract::<f64>()?
    } else if value.is_instance_of::<PyInt>() {
        // An integer too large for a float is as good as infinite.
        let sign = || if value.lt(0).unwrap_or(false) { -1.0 } else { f64::INFINITY };
        value.extract::<f64>().unwrap_or_else(|_| sign())
    } else {
        return Err(bad_span(value, name));
    };
    if seconds.is_nan() {
        return Err(PyValueError::new_err(format!("{name}=nan is no time: give seconds")));
    }
    if seconds <= 0.0 {
        return Ok(Duration::ZERO);
    }
    let milliseconds = (seconds * 1000.0).round_ties_even().max(1.0);
    Ok(Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or(LONGEST).min(LONGEST))
}

#[cold]
fn bad_span(value: &Bound<'_, PyAny>, name: &str) -> PyErr {
    let kind = type_name(value);
    PyTypeError::new_err(format!(
        "{name} must be seconds (int or float) or a timedelta, not {kind}"
    ))
}

/// A span that may be None.
pub(crate) fn optional_span(
    value: Option<&Bound<'_, PyAny>>,
    name: &str,
) -> PyResult<Option<Duration>> {
    value.map(|value| span(value, name)).transpose()
}

/// Names of tags from an iterable of str.
pub(crate) fn tags(value: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err(format!(
            "tags must be an iterable of str, not one {}: write [tag]",
            type_name(value)
        )));
    }
    let items = value.try_iter().map_err(|_| {
        PyTypeError::new_err(format!("tags must be an iterable of str, not {}", type_name(value)))
    })?;
    let mut tags = Vec::new();
    for item in items {
        let item = item?;
        let text = item.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!("a tag is a str, not {}", type_name(&item)))
        })?;
        let text = text.to_str().map_err(|_| {
            PyValueError::new_err("a tag has an unpaired surrogate, which no store can keep")
        })?;
        if text.is_empty() {
            return Err(PyValueError::new_err("a tag is an empty string"));
        }
        tags.push(text.to_owned());
    }
    Ok(tags)
}

/// A bound such as `max_size`: a whole number of at least one, or None.
pub(crate) fn bound(value: Option<&Bound<'_, PyAny>>, name: &str) -> PyResult<Option<u64>> {
    let Some(value) = value else { return Ok(None) };
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        let kind = type_name(value);
        return Err(PyTypeError::new_err(format!("{name} must be an int or None, not {kind}")));
    }
    if value.lt(1)? {
        let message = format!("{name}={} must be at least 1, or None for no bound", value.repr()?);
        return Err(errors::make(value.py(), "ConfigError", &message, "InMemoryCache", false));
    }
    // More than 64 bits of entries is no bound.
    Ok(Some(value.extract::<u64>().unwrap_or(u64::MAX)))
}

/// The delta of a counter: an integer of 64 bits, 1 when none is given.
pub(crate) fn delta(value: Option<&Bound<'_, PyAny>>) -> PyResult<i64> {
    let Some(value) = value else { return Ok(1) };
    if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
        let kind = type_name(value);
        return Err(PyTypeError::new_err(format!("delta must be an int, not {kind}")));
    }
    value.extract::<i64>().map_err(|_| {
        let message = "delta has more than 64 bits: a counter has 64";
        errors::make(value.py(), "CounterOverflowError", message, "incr", false)
    })
}

/// The time from now until a datetime (a naive one is local time) or a POSIX time in seconds, cut
/// down to the millisecond; None when it has passed.
pub(crate) fn until(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Duration>> {
    let number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
    let seconds = if value.is_instance_of::<PyDateTime>() {
        value.call_method0("timestamp")?.extract::<f64>()?
    } else if number && !value.is_instance_of::<PyBool>() {
        value.extract::<f64>().unwrap_or(f64::INFINITY)
    } else {
        let kind = type_name(value);
        return Err(PyTypeError::new_err(format!(
            "{name} must be a datetime or POSIX seconds (int or float), not {kind}"
        )));
    };
    if seconds.is_nan() {
        return Err(PyValueError::new_err(format!("{name}=nan is no time")));
    }
    let now = value.py().import("time")?.call_method0("time")?.extract::<f64>()?;
    let left = (seconds * 1000.0).floor() / 1000.0 - now;
    if left <= 0.0 {
        return Ok(None);
    }
    Ok(Some(Duration::try_from_secs_f64(left).unwrap_or(LONGEST).min(LONGEST)))
}
