//! The classes of the standard library that are kept, found without importing any of them.
//!
//! An object of a class proves that its module is loaded, so writing only looks there; reading a
//! value imports what the value needs. A class is found once in a process.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

use super::outside;

/// A class of the standard library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    DateTime,
    Date,
    Time,
    TimeDelta,
    TimeZone,
    ZoneInfo,
    Decimal,
    Uuid,
    Fraction,
    PosixPath,
    PurePosixPath,
    PureWindowsPath,
    WindowsPath,
    Deque,
}

/// Each with its module and name, in the order of the variants.
const HOMES: [(Known, &str, &str); 14] = [
    (Known::DateTime, "datetime", "datetime"),
    (Known::Date, "datetime", "date"),
    (Known::Time, "datetime", "time"),
    (Known::TimeDelta, "datetime", "timedelta"),
    (Known::TimeZone, "datetime", "timezone"),
    (Known::ZoneInfo, "zoneinfo", "ZoneInfo"),
    (Known::Decimal, "decimal", "Decimal"),
    (Known::Uuid, "uuid", "UUID"),
    (Known::Fraction, "fractions", "Fraction"),
    (Known::PosixPath, "pathlib", "PosixPath"),
    (Known::PurePosixPath, "pathlib", "PurePosixPath"),
    (Known::PureWindowsPath, "pathlib", "PureWindowsPath"),
    (Known::WindowsPath, "pathlib", "WindowsPath"),
    (Known::Deque, "collections", "deque"),
];

static FOUND: [PyOnceLock<Py<PyType>>; HOMES.len()] = [const { PyOnceLock::new() }; HOMES.len()];

/// Which of them a class is.
pub(super) fn of(class: &Bound<'_, PyType>) -> Option<Known> {
    let py = class.py();
    let is_found =
        |at: &usize| FOUND[*at].get(py).is_some_and(|found| found.as_ptr() == class.as_ptr());
    if let Some(at) = (0..HOMES.len()).find(is_found) {
        return Some(HOMES[at].0);
    }
    HOMES.iter().zip(&FOUND).find_map(|((known, module, name), found)| {
        if found.get(py).is_some() || !loaded(py, module, name)?.is(class) {
            return None;
        }
        found.get_or_init(py, || class.clone().unbind());
        Some(*known)
    })
}

/// One of them; its module is imported where nobody did yet.
pub(super) fn class(py: Python<'_>, known: Known) -> PyResult<&Bound<'_, PyType>> {
    let (_, module, name) = HOMES[known as usize];
    let find = || Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?.unbind());
    FOUND[known as usize].get_or_try_init(py, find).map(|class| class.bind(py))
}

/// A class of a module, if the module was imported.
pub(super) fn loaded<'py>(py: Python<'py>, module: &str, name: &str) -> Option<Bound<'py, PyType>> {
    let module = PyString::intern(py, module);
    // SAFETY: a live text; a new reference, or null with or without an error.
    let module =
        unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyImport_GetModule(module.as_ptr())) };
    let Some(module) = module else {
        drop(PyErr::take(py));
        return None;
    };
    outside::attribute(&module, name).ok()?.cast_into().ok()
}

/// Whether a class derives from this one of that module.
pub(super) fn derives(class: &Bound<'_, PyType>, module: &str, name: &str) -> bool {
    loaded(class.py(), module, name).is_some_and(|base| {
        // SAFETY: two live classes. Unlike `issubclass` this asks neither of them.
        unsafe { ffi::PyType_IsSubtype(class.as_type_ptr(), base.as_type_ptr()) != 0 }
    })
}
