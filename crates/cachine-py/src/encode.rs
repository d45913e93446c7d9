//! Python objects as parts of a call key.
//!
//! The exact type decides at every depth: a subclass of int is no int. What has no stable form is
//! named by number in a memory cache ([`crate::identity`]) and refused on a shared store.
//!
//! # Cost
//!
//! A str or an int costs a few nanoseconds and no call into Python. Everything after
//! [`Encoder::other`] is off that path.

use std::sync::Arc;

use cachine::core::callkey::CallKey;
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{
    PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple, PyType,
};

use crate::convert::type_name;
use crate::host::stay;
use crate::identity::{Anchor, Identities};
use crate::values::outside;

/// Deeper nesting is refused: a key is not meant to hold a document, and a cycle never ends.
const DEEPEST: u32 = 100;

/// Writes objects into a key.
pub(crate) struct Encoder<'k, 'py> {
    py: Python<'py>,
    pub(crate) key: &'k mut CallKey,
    /// None for a shared store, where a number means nothing.
    identities: Option<&'k Arc<Identities>>,
    /// What the entry of this key has to keep alive.
    pub(crate) anchors: Vec<(u64, Option<Py<Anchor>>)>,
    depth: u32,
    /// Whether `anchors` is wanted: a look-up does without.
    collecting: bool,
}

impl<'k, 'py> Encoder<'k, 'py> {
    #[inline]
    pub(crate) fn new(
        py: Python<'py>,
        key: &'k mut CallKey,
        identities: Option<&'k Arc<Identities>>,
        collecting: bool,
    ) -> Self {
        Self { py, key, identities, anchors: Vec::new(), depth: 0, collecting }
    }

    #[inline]
    pub(crate) fn py(&self) -> Python<'py> {
        self.py
    }

    /// Writes the number of an instance that is known already; whether it was.
    #[inline]
    pub(crate) fn known_instance(&mut self, object: *mut ffi::PyObject) -> bool {
        if self.collecting {
            return false; // The long way notes the number as one that the entry depends on.
        }
        let known = self.identities.and_then(|identities| identities.known_instance(object));
        known.inspect(|&number| self.key.number(number)).is_some()
    }

    /// Writes an object if it is of one of the commonest types; whether it was.
    #[inline]
    pub(crate) fn common(&mut self, object: *mut ffi::PyObject) -> bool {
        // SAFETY: the caller passes a live object and is attached to the interpreter.
        unsafe {
            if ffi::PyUnicode_CheckExact(object) != 0 {
                let mut length = 0;
                let text = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut length);
                if text.is_null() {
                    ffi::PyErr_Clear(); // An unpaired surrogate: for the long way.
                    return false;
                }
                let bytes = std::slice::from_raw_parts(text.cast::<u8>(), length.unsigned_abs());
                self.key.text(std::str::from_utf8_unchecked(bytes));
                return true;
            }
            if ffi::PyLong_CheckExact(object) != 0 {
                let mut overflow = 0;
                let value = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
                if overflow != 0 {
                    return false;
                }
                self.key.integer(value);
                return true;
            }
            if object == ffi::Py_None() {
                self.key.none();
                return true;
            }
            if object == ffi::Py_True() || object == ffi::Py_False() {
                self.key.boolean(object == ffi::Py_True());
                return true;
            }
        }
        false
    }

    /// Writes any object.
    pub(crate) fn value(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        if self.common(object.as_ptr()) {
            return Ok(());
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(PyTypeError::new_err(format!(
                "it is nested more than {DEEPEST} levels deep, or contains itself"
            )));
        }
        self.other(object)?;
        self.depth -= 1;
        Ok(())
    }

    #[cold]
    fn other(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        if let Ok(float) = object.cast_exact::<PyFloat>() {
            self.key.float(float.value());
        } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            self.key.bytes(bytes.as_bytes());
        } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            self.sequence(b't', tuple.iter())?;
        } else if let Ok(list) = object.cast_exact::<PyList>() {
            self.sequence(b'l', list.iter())?;
        } else if let Ok(dict) = object.cast_exact::<PyDict>() {
            self.sorted(b'd', dict.iter().map(|(key, value)| vec![key, value]).collect())?;
        } else if let Ok(set) = object.cast_exact::<PySet>() {
            self.sorted(b'S', set.iter().map(|item| vec![item]).collect())?;
        } else if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
            self.sorted(b'Z', set.iter().map(|item| vec![item]).collect())?;
        } else if let Ok(text) = object.cast_exact::<PyString>() {
            let bytes = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
            self.key.surrogates(bytes.cast::<PyBytes>()?.as_bytes());
        } else if object.is_exact_instance_of::<PyInt>() {
            let digits = object.call_method1("__format__", ("x",))?.extract::<String>()?;
            let magnitude = digits.trim_start_matches('-');
            self.key.large_integer(digits.starts_with('-'), magnitude);
        } else {
            self.structured(object)?;
        }
        Ok(())
    }

    fn sequence(
        &mut self,
        kind: u8,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        self.key.open(kind);
        for (at, item) in items.enumerate() {
            if at > 0 {
                self.key.separate();
            }
            self.value(&item)?;
        }
        self.key.close();
        Ok(())
    }

    /// Writes groups of parts in the order of their encodings. All are at hand: encoding one may
    /// run code that changes where they came from.
    fn sorted(&mut self, kind: u8, groups: Vec<Vec<Bound<'py, PyAny>>>) -> PyResult<()> {
        let mut parts = Vec::new();
        for group in groups {
            let mut part = CallKey::new();
            let mut inner = Encoder::new(self.py, &mut part, self.identities, self.collecting);
            inner.depth = self.depth;
            for (at, item) in group.iter().enumerate() {
                if at > 0 {
                    inner.key.separate();
                }
                inner.value(item)?;
            }
            self.anchors.append(&mut inner.anchors);
            parts.push(part.as_bytes().to_vec());
        }
        parts.sort_unstable();
        self.key.open(kind);
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.key.separate();
            }
            self.key.raw(part);
        }
        self.key.close();
        Ok(())
    }

    /// Writes an object by its type's name and the parts that make it what it is.
    fn structured(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        let class = object.get_type();
        if class.hasattr("__cache_key__")? && !object.is_instance_of::<PyType>() {
            let stated = stay::call_bare(&object.getattr("__cache_key__")?)?;
            return self.named(&class, [stated].into_iter());
        }
        if let Ok(class) = object.cast::<PyType>() {
            return self.class(class);
        }
        if let Some(parts) = known_parts(object, &class)? {
            return self.named(&class, parts.into_iter());
        }
        self.by_number(object)
    }

    fn named(
        &mut self,
        class: &Bound<'py, PyType>,
        parts: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        self.class(class)?;
        self.sequence(b't', parts)
    }

    /// Writes a class: by module and qualified name where these lead to it, else as itself.
    fn class(&mut self, class: &Bound<'py, PyType>) -> PyResult<()> {
        if let Some(name) = global_name(class)? {
            self.key.open_named(&name);
            self.key.close();
            return Ok(());
        }
        self.by_identity(class.as_any(), "is a class that its name does not lead to")
    }

    /// Writes an object as itself, which the key does not keep alive if it can do without.
    fn by_identity(&mut self, object: &Bound<'py, PyAny>, why: &str) -> PyResult<()> {
        let Some(identities) = self.identities else { return Err(unkeyable(object, why)) };
        let (number, anchor) = identities.instance(object)?;
        self.key.number(number);
        self.anchors.push((number, anchor));
        Ok(())
    }

    /// Writes an object that is compared by its own hash and equality.
    fn by_number(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        let Some(identities) = self.identities else {
            return Err(unkeyable(object, "has no form that is the same in every process"));
        };
        if let Err(error) = stay::hash(object) {
            if !error.is_instance_of::<PyTypeError>(self.py) {
                return Err(error);
            }
            return Err(unkeyable(object, "can't be hashed and has no stable form"));
        }
        let anchor = identities.value(object)?;
        let number = anchor.get().number;
        self.key.number(number);
        self.anchors.push((number, Some(anchor)));
        Ok(())
    }

    /// Writes the instance that a method was called on: by identity, except where its class says
    /// what it is (`__cache_key__`, members of an Enum, classes).
    pub(crate) fn instance(&mut self, object: &Bound<'py, PyAny>) -> PyResult<()> {
        let class = object.get_type();
        // A function that is no method after all may be called with a value of any kind.
        let by_value = object.is_instance_of::<PyType>()
            || class.hasattr("__cache_key__")?
            || is_enum(object)?
            || class.getattr("__module__")?.eq("builtins")?;
        if by_value {
            return self.value(object);
        }
        self.by_identity(object, "is an instance that only this process knows")
    }
}

fn unkeyable(object: &Bound<'_, PyAny>, why: &str) -> PyErr {
    let message = format!(
        "a value of type {} {why}: give its class a __cache_key__() method, or pass key_builder= \
         to @cached",
        type_name(object)
    );
    crate::errors::make(object.py(), "UnkeyableArgumentError", &message, "cached", false)
}

/// `module.qualified.name` of a class, if that leads to it.
fn global_name(class: &Bound<'_, PyType>) -> PyResult<Option<String>> {
    let py = class.py();
    let module = class.getattr("__module__")?;
    let (Ok(module), qualified) = (module.extract::<String>(), class.qualname()?.to_string())
    else {
        return Ok(None);
    };
    if module == "builtins" {
        return Ok(Some(format!("builtins.{qualified}")));
    }
    let modules = py.import("sys")?.getattr("modules")?;
    let Ok(mut at) = modules.get_item(&module) else { return Ok(None) };
    for part in qualified.split('.') {
        match at.getattr(part) {
            Ok(next) => at = next,
            Err(_) => return Ok(None),
        }
    }
    if !at.is(class) {
        return Ok(None);
    }
    // Where one version of Python keeps them; in every other they are at home in `pathlib`.
    let module = if module == "pathlib._local" { "pathlib".to_owned() } else { module };
    let module = crate::binding::module_name(py, &module)?;
    Ok(Some(format!("{module}.{qualified}")))
}

fn is_enum(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let modules = object.py().import("sys")?.getattr("modules")?;
    // Without the module there are no members of an Enum.
    let Ok(module) = modules.get_item("enum") else { return Ok(false) };
    object.is_instance(&module.getattr("Enum")?)
}

/// The parts of an object of a type that has a stable form.
fn known_parts<'py>(
    object: &Bound<'py, PyAny>,
    class: &Bound<'py, PyType>,
) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    if is_enum(object)? {
        let is_flag = object.py().import("enum")?.getattr("Flag")?;
        let name = if object.is_instance(&is_flag)? { "_value_" } else { "_name_" };
        return Ok(Some(vec![object.getattr(name)?]));
    }
    if let Some(parts) = standard_parts(object, class)? {
        return Ok(Some(parts));
    }
    if object.is_instance_of::<PyTuple>() && class.hasattr("_fields")? {
        return object.try_iter()?.collect::<PyResult<_>>().map(Some);
    }
    // A subclass that is none itself may have attributes of which the fields know nothing.
    if class.getattr("__dict__")?.contains("__dataclass_fields__")? {
        let fields = object.py().import("dataclasses")?.getattr("fields")?;
        let fields = outside::call_one(&fields, class.as_any())?;
        return fields_of(object, fields.try_iter()?.map(|field| field?.getattr("name"))).map(Some);
    }
    if class.hasattr("__pydantic_validator__")? && class.hasattr("__pydantic_extra__")? {
        // What else is in its dictionary was worked out from the fields.
        let names = match class.getattr("__pydantic_fields__") {
            Ok(names) => names,
            Err(_) => class.getattr("model_fields")?,
        };
        let mut parts = fields_of(object, names.try_iter()?)?;
        let more = ["__pydantic_extra__", "__pydantic_private__"];
        parts.extend(more.iter().filter_map(|name| object.getattr(*name).ok()));
        return Ok(Some(parts));
    }
    if class.hasattr("__fields__")? && class.hasattr("__validators__")? {
        return Ok(Some(vec![object.getattr("__dict__")?])); // Version 1 of the same library.
    }
    Ok(None)
}

/// The values and names of those attributes that an object has.
fn fields_of<'py>(
    object: &Bound<'py, PyAny>,
    names: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut parts = Vec::new();
    for name in names {
        let name = name?;
        match object.getattr(name.cast::<PyString>()?) {
            Ok(value) => parts.extend([value, name]),
            Err(error) if error.is_instance_of::<PyAttributeError>(object.py()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(parts)
}

/// Where the classes of [`standard_parts`] are at home.
const HOMES: [&str; 8] = [
    "builtins",
    "datetime",
    "decimal",
    "fractions",
    "pathlib",
    "pathlib._local",
    "uuid",
    "zoneinfo",
];

/// The parts of an object of the standard library, by the exact type.
fn standard_parts<'py>(
    object: &Bound<'py, PyAny>,
    class: &Bound<'py, PyType>,
) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    let py = object.py();
    let module = class.getattr("__module__")?;
    let Ok(module) = module.cast::<PyString>() else { return Ok(None) };
    let (module, name) = (module.to_string(), class.qualname()?.to_string());
    // The names could be borrowed: only the class that they lead to counts.
    if !HOMES.contains(&module.as_str()) || global_name(class)?.is_none() {
        return Ok(None);
    }
    let attributes = |names: &[&str]| names.iter().map(|name| object.getattr(*name)).collect();
    let parts: PyResult<Vec<_>> = match (module.as_str(), name.as_str()) {
        ("decimal", "Decimal") => {
            let parts = object.call_method0("as_tuple")?;
            Ok(vec![parts.getattr("sign")?, parts.getattr("digits")?, parts.getattr("exponent")?])
        }
        ("fractions", "Fraction") => attributes(&["numerator", "denominator"]),
        ("uuid", "UUID") => attributes(&["int"]),
        ("datetime", "date") => attributes(&["year", "month", "day"]),
        ("datetime", "timedelta") => attributes(&["days", "seconds", "microseconds"]),
        ("datetime", "time") => {
            attributes(&["hour", "minute", "second", "microsecond", "fold", "tzinfo"])
        }
        ("datetime", "datetime") => attributes(&[
            "year",
            "month",
            "day",
            "hour",
            "minute",
            "second",
            "microsecond",
            "fold",
            "tzinfo",
        ]),
        ("datetime", "timezone") => {
            let none = py.None();
            let offset = object.call_method1("utcoffset", (&none,))?;
            Ok(vec![offset, object.call_method1("tzname", (none,))?])
        }
        // One that was read from a file has no name, and is none but itself.
        ("zoneinfo", "ZoneInfo") if object.getattr("key")?.is_none() => return Ok(None),
        ("zoneinfo", "ZoneInfo") => attributes(&["key"]),
        ("pathlib" | "pathlib._local", _) => {
            Ok(vec![stay::call_bare(&object.getattr("__fspath__")?)?])
        }
        ("builtins", "bytearray") => {
            Ok(vec![PyBytes::new(py, &object.extract::<Vec<u8>>()?).into_any()])
        }
        ("builtins", "complex") => attributes(&["real", "imag"]),
        ("builtins", "range") => attributes(&["start", "stop", "step"]),
        _ => return Ok(None),
    };
    parts.map(Some)
}
