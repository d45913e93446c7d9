//! Dates, times, durations and time zones: between the objects of `datetime` and stored contents.

use cachine_codec::content::{Date, DateTime, Time, TimeDelta, Zone};
use pyo3::prelude::*;
use pyo3::types::{
    PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyString, PyTime, PyTimeAccess,
    PyTuple, PyTzInfo, PyTzInfoAccess,
};

use super::known::{self, Known};
use super::outside;
use super::stop::{Stop, name_of};

const SECONDS_A_DAY: i32 = 86_400;

/// Hands the content of a datetime to `write`.
pub(super) fn with_datetime<R>(
    object: &Bound<'_, PyDateTime>,
    write: impl FnOnce(DateTime<'_>) -> R,
) -> Result<R, Stop> {
    with_zone(object.get_tzinfo().as_ref(), |zone| {
        write(DateTime { date: date(object), time: time(object, zone) })
    })
}

/// Hands the content of a time of day to `write`.
pub(super) fn with_time<R>(
    object: &Bound<'_, PyTime>,
    write: impl FnOnce(Time<'_>) -> R,
) -> Result<R, Stop> {
    with_zone(object.get_tzinfo().as_ref(), |zone| write(time(object, zone)))
}

/// The content of a date.
pub(super) fn date(object: &impl PyDateAccess) -> Date {
    Date {
        // Python's years are 1 to 9999.
        year: u16::try_from(object.get_year()).unwrap_or(0),
        month: object.get_month(),
        day: object.get_day(),
    }
}

/// The content of a duration.
pub(super) fn duration(object: &Bound<'_, PyDelta>) -> TimeDelta {
    TimeDelta {
        days: object.get_days(),
        // Python's are never negative.
        seconds: object.get_seconds().unsigned_abs(),
        microseconds: object.get_microseconds().unsigned_abs(),
    }
}

fn time<'a>(object: &impl PyTimeAccess, zone: Zone<'a>) -> Time<'a> {
    Time {
        hour: object.get_hour(),
        minute: object.get_minute(),
        second: object.get_second(),
        microsecond: object.get_microsecond(),
        fold: object.get_fold(),
        zone,
    }
}

fn with_zone<R>(
    zone: Option<&Bound<'_, PyTzInfo>>,
    act: impl FnOnce(Zone<'_>) -> R,
) -> Result<R, Stop> {
    let Some(zone) = zone else { return Ok(act(Zone::Naive)) };
    if zone.is(PyTzInfo::utc(zone.py())?) {
        return Ok(act(Zone::Utc));
    }
    match known::of(&zone.get_type()) {
        Some(Known::TimeZone) => with_offset(zone, act),
        Some(Known::ZoneInfo) => {
            let key = outside::attribute(zone, "key")?;
            match key.cast::<PyString>().ok().and_then(|key| key.to_str().ok()) {
                Some(key) if !key.is_empty() => Ok(act(Zone::Name(key.into()))),
                _ => Err(Stop::refused(
                    "a datetime whose ZoneInfo has no key",
                    "make the zone with ZoneInfo(key), or convert with .astimezone(timezone.utc)",
                )),
            }
        }
        _ => Err(Stop::refused(
            format!("a datetime with a time zone of type {}", name_of(&zone.get_type())),
            "convert it with .astimezone(timezone.utc), or use a zone of zoneinfo",
        )),
    }
}

/// A `datetime.timezone`: an offset, and the name that it was given, if any.
fn with_offset<R>(zone: &Bound<'_, PyTzInfo>, act: impl FnOnce(Zone<'_>) -> R) -> Result<R, Stop> {
    let parts =
        zone.call_method0("__getinitargs__")?.cast_into::<PyTuple>().map_err(PyErr::from)?;
    let offset = parts.get_item(0)?.cast_into::<PyDelta>().map_err(PyErr::from)?;
    let TimeDelta { days, seconds, microseconds } = duration(&offset);
    let seconds = days * SECONDS_A_DAY + seconds.cast_signed();
    let Ok(name) = parts.get_item(1) else {
        return Ok(act(if (seconds, microseconds) == (0, 0) {
            Zone::Utc
        } else {
            Zone::Offset { seconds, microseconds }
        }));
    };
    match name.cast::<PyString>().ok().and_then(|name| name.to_str().ok()) {
        Some(name) => Ok(act(Zone::NamedOffset { seconds, microseconds, name: name.into() })),
        None => Err(Stop::refused(
            "a time zone whose name has an unpaired surrogate",
            "name it by text that can be encoded",
        )),
    }
}

/// The datetime of a content.
pub(super) fn make_datetime<'py>(
    py: Python<'py>,
    content: DateTime<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let DateTime { date, time } = content;
    let made = PyDateTime::new_with_fold(
        py,
        i32::from(date.year),
        date.month,
        date.day,
        time.hour,
        time.minute,
        time.second,
        time.microsecond,
        make_zone(py, time.zone)?.as_ref(),
        time.fold,
    )?;
    Ok(made.into_any())
}

/// The time of day of a content.
pub(super) fn make_time<'py>(py: Python<'py>, time: Time<'_>) -> PyResult<Bound<'py, PyAny>> {
    let made = PyTime::new_with_fold(
        py,
        time.hour,
        time.minute,
        time.second,
        time.microsecond,
        make_zone(py, time.zone)?.as_ref(),
        time.fold,
    )?;
    Ok(made.into_any())
}

/// The date of a content.
pub(super) fn make_date(py: Python<'_>, date: Date) -> PyResult<Bound<'_, PyAny>> {
    Ok(PyDate::new(py, i32::from(date.year), date.month, date.day)?.into_any())
}

/// The duration of a content.
pub(super) fn make_duration(py: Python<'_>, duration: TimeDelta) -> PyResult<Bound<'_, PyAny>> {
    let TimeDelta { days, seconds, microseconds } = duration;
    // Both are checked to be less than a day and a second.
    Ok(PyDelta::new(py, days, seconds.cast_signed(), microseconds.cast_signed(), true)?.into_any())
}

fn make_zone<'py>(py: Python<'py>, zone: Zone<'_>) -> PyResult<Option<Bound<'py, PyTzInfo>>> {
    let (offset, name) = match zone {
        Zone::Naive => return Ok(None),
        Zone::Utc => return Ok(Some(PyTzInfo::utc(py)?.to_owned())),
        Zone::Offset { seconds, microseconds } => ((seconds, microseconds), None),
        Zone::NamedOffset { seconds, microseconds, name } => ((seconds, microseconds), Some(name)),
        Zone::Name(key) => {
            let class = known::class(py, Known::ZoneInfo)?;
            let made = outside::call_one(class, PyString::new(py, &key).as_any())?;
            return Ok(Some(made.cast_into()?));
        }
    };
    let offset = PyDelta::new(py, 0, offset.0, offset.1.cast_signed(), true)?;
    let class = known::class(py, Known::TimeZone)?;
    let made = match name {
        Some(name) => class.call1((offset, name))?,
        None => class.call1((offset,))?,
    };
    Ok(Some(made.cast_into()?))
}
