//! Arguments of Python as the engine takes them: keys, times, tags, bounds.
//!
//! Everything is checked here, early and by exact rule, so that nothing is half done when an
//! argument turns out to be wrong.

use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyFloat, PyInt, PyString,
};

use crate::errors;
use crate::host::stay;

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
    // Numbers first: to ask for a timedelta imports its module, which whoever has one did before.
    let seconds = if let Some(seconds) = number(value) {
        seconds
    } else if let Ok(delta) = value.cast::<PyDelta>() {
        let whole = f64::from(delta.get_days()) * 86_400.0 + f64::from(delta.get_seconds());
        whole + f64::from(delta.get_microseconds()) / 1e6
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

/// An int or a float as seconds; an int that is too large for a float is as good as infinite.
fn number(value: &Bound<'_, PyAny>) -> Option<f64> {
    if value.is_instance_of::<PyBool>() {
        return None;
    }
    if value.is_instance_of::<PyFloat>() {
        return value.extract().ok();
    }
    let infinite = || if value.lt(0).unwrap_or(false) { -f64::INFINITY } else { f64::INFINITY };
    value.is_instance_of::<PyInt>().then(|| value.extract().unwrap_or_else(|_| infinite()))
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

/// How long a lock is held unless it is renewed, and how long it is waited for: seconds, None for ever.
#[pyfunction]
#[pyo3(signature = (ttl, timeout=None))]
pub(crate) fn lock_times(
    ttl: &Bound<'_, PyAny>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<(f64, Option<f64>)> {
    let wrong = |given: &Bound<'_, PyAny>, text: String| {
        errors::make(given.py(), "ConfigError", &text, "lock", false)
    };
    let life = span(ttl, "ttl")?;
    if life.is_zero() {
        let text = format!("ttl={} is no time to hold a lock for: give more than 0", shown(ttl)?);
        return Err(wrong(ttl, text));
    }
    let Some(given) = timeout else { return Ok((life.as_secs_f64(), None)) };
    let wait = span(given, "timeout")?;
    if wait.is_zero() && given.is_truthy()? {
        let given_text = shown(given)?;
        let text =
            format!("timeout={given_text} is negative: give 0 for one try, or None for ever");
        return Err(wrong(given, text));
    }
    Ok((life.as_secs_f64(), Some(wait.as_secs_f64())))
}

/// A time as somebody wrote it.
fn shown(time: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(time.repr()?.to_string())
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
    let items = stay::iterate(value).map_err(|error| {
        let kind = type_name(value);
        // What an iterable raises is its own.
        let is_iterable = value.hasattr("__iter__").unwrap_or(false);
        let wrong = || PyTypeError::new_err(format!("tags must be an iterable of str, not {kind}"));
        if is_iterable { error } else { wrong() }
    })?;
    let mut tags = Vec::new();
    while let Some(item) = stay::next(&items)? {
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

/// What a counter is changed by. Not an option, because a given `None` is a wrong delta.
pub(crate) enum Delta<'py> {
    /// None was given.
    One,
    Given(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Delta<'py> {
    type Error = std::convert::Infallible;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Given(given.to_owned()))
    }
}

impl Delta<'_> {
    /// An integer of 64 bits.
    pub(crate) fn check(self, operation: &'static str) -> PyResult<i64> {
        let Self::Given(value) = self else { return Ok(1) };
        if value.is_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
            let kind = type_name(&value);
            let message = format!("{operation}: delta must be an int, not {kind}");
            return Err(PyTypeError::new_err(message));
        }
        value.extract::<i64>().map_err(|_| {
            let message = format!("{operation}: delta has more than 64 bits: a counter has 64");
            errors::make(value.py(), "CounterOverflowError", &message, operation, false)
        })
    }
}

/// The name of a namespace.
pub(crate) fn namespace<'a>(name: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let Ok(text) = name.cast::<PyString>() else {
        let kind = type_name(name);
        return Err(PyTypeError::new_err(format!("namespace must be a str, not {kind}")));
    };
    text.to_str().map_err(|_| {
        let message = "namespace has an unpaired surrogate, which no store can keep";
        errors::make(name.py(), "ConfigError", message, "namespace", false)
    })
}

/// The time from now until a datetime (a naive one is local time) or a POSIX time in seconds, cut
/// down to the millisecond; None when it has passed.
pub(crate) fn until(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<Duration>> {
    let seconds = if let Some(seconds) = number(value) {
        seconds
    } else if value.is_instance_of::<PyDateTime>() {
        timestamp(value)?
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

/// The POSIX time of a datetime.
fn timestamp(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let is_naive = value.getattr("tzinfo")?.is_none();
    let local = value.call_method0("timestamp");
    let seconds = match local {
        // At the ends of the calendar local time may have no year any more. So far away from now
        // a day more or less does not matter.
        Err(error) if is_naive && error.is_instance_of::<PyValueError>(value.py()) => {
            let arguments = PyDict::new(value.py());
            let utc = value.py().import("datetime")?.getattr("timezone")?.getattr("utc")?;
            arguments.set_item("tzinfo", utc)?;
            value.call_method("replace", (), Some(&arguments))?.call_method0("timestamp")
        }
        known => known,
    };
    seconds?.extract()
}
