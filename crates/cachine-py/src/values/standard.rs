//! Values of the standard library beside the commonest ones, and what to say about all the others.

use cachine_codec::content;
use cachine_codec::content::{Flavour, Path};
use cachine_codec::kind::Kind;
use cachine_codec::sink::{Sink, Taken};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyComplex, PyComplexMethods, PyDate, PyDateTime, PyDelta, PyFrozenSet,
    PyInt, PySet, PyString, PyTime, PyType,
};

use super::known::{self, Known};
use super::registry;
use super::stop::{Step, Stop, name_of};
use super::walk::{Rules, Walk};
use super::{lossy, moment, outside};

/// Writes an object of a rarer type.
pub(super) fn value<'py, S: Sink>(walk: &mut Walk<'_, 'py, S>, object: &Bound<'py, PyAny>) -> Step {
    let class = object.get_type();
    if let Some(registered) = walk.rules.registry.and_then(|registry| registry.of(&class)) {
        return registry::write(walk, object, registered);
    }
    if object.is_exact_instance_of::<PySet>() {
        return set(walk, Kind::Set, object);
    }
    if object.is_exact_instance_of::<PyFrozenSet>() {
        return set(walk, Kind::FrozenSet, object);
    }
    if let Ok(bytes) = object.cast_exact::<PyByteArray>() {
        let taken = walk.sink.extension(Kind::ByteArray, &bytes.to_vec());
        return walk.taken(taken, object);
    }
    if let Ok(complex) = object.cast_exact::<PyComplex>() {
        let content = content::pack_complex(complex.real(), complex.imag());
        let taken = walk.sink.extension(Kind::Complex, &content);
        return walk.taken(taken, object);
    }
    if object.get_type_ptr() == &raw mut ffi::PyRange_Type {
        return integers(walk, Kind::Range, object, &["start", "stop", "step"]);
    }
    match known::of(&class) {
        Some(known) => known_class(walk, object, known),
        None if walk.rules.is_trial => Err(Stop::Misfit),
        None => Err(refuse(object, walk.rules)),
    }
}

// Apart, so that the walk of a container needs no stack for it.
#[inline(never)]
fn known_class<'py, S: Sink>(
    walk: &mut Walk<'_, 'py, S>,
    object: &Bound<'py, PyAny>,
    known: Known,
) -> Step {
    let taken = match known {
        Known::DateTime => datetime(walk.sink, object)?,
        Known::Date => {
            // SAFETY: the class was looked up by its identity, here and below.
            let date = moment::date(unsafe { object.cast_unchecked::<PyDate>() });
            walk.sink.extension(Kind::Date, &date.pack())
        }
        Known::Time => {
            // SAFETY: as above.
            let time = unsafe { object.cast_unchecked::<PyTime>() };
            moment::with_time(time, |time| walk.sink.extension(Kind::Time, &time.pack()))?
        }
        Known::TimeDelta => {
            // SAFETY: as above.
            let duration = moment::duration(unsafe { object.cast_unchecked::<PyDelta>() });
            walk.sink.extension(Kind::TimeDelta, &duration.pack())
        }
        Known::Decimal => {
            // The context of the thread decides between "E" and "e".
            let text = text_of(object)?.replace('e', "E");
            walk.sink.extension(Kind::Decimal, text.as_bytes())
        }
        Known::Uuid => {
            let number = outside::attribute(object, "int")?;
            let bytes = number.call_method1("to_bytes", (16, "big"))?;
            let bytes = bytes.cast::<PyBytes>().map_err(PyErr::from)?;
            walk.sink.extension(Kind::Uuid, bytes.as_bytes())
        }
        Known::Fraction => {
            return integers(walk, Kind::Fraction, object, &["numerator", "denominator"]);
        }
        Known::PurePosixPath => path(walk.sink, object, Flavour::PurePosix)?,
        Known::PureWindowsPath => path(walk.sink, object, Flavour::PureWindows)?,
        Known::PosixPath => path(walk.sink, object, Flavour::Posix)?,
        Known::WindowsPath => path(walk.sink, object, Flavour::Windows)?,
        Known::TimeZone | Known::ZoneInfo | Known::Deque => {
            return Err(if walk.rules.is_trial {
                Stop::Misfit
            } else {
                refuse(object, walk.rules)
            });
        }
    };
    walk.taken(taken, object)
}

fn datetime<S: Sink>(sink: &mut S, object: &Bound<'_, PyAny>) -> Result<Taken, Stop> {
    // SAFETY: the caller looked the class up.
    let datetime = unsafe { object.cast_unchecked::<PyDateTime>() };
    moment::with_datetime(datetime, |datetime| match datetime.to_timestamp() {
        Some(timestamp) => sink.extension(Kind::Timestamp, &timestamp.pack()),
        None => sink.extension(Kind::DateTime, &datetime.pack()),
    })
}

fn path<S: Sink>(sink: &mut S, object: &Bound<'_, PyAny>, flavour: Flavour) -> Result<Taken, Stop> {
    let text = outside::method(object, "__str__")?;
    let text = text.cast::<PyString>().map_err(PyErr::from)?;
    let Ok(text) = text.to_str() else {
        return Err(Stop::refused(
            "a path with a byte that is no UTF-8",
            "store os.fsencode(path), which is bytes",
        ));
    };
    Ok(sink.extension(Kind::Path, &Path { flavour, text: text.into() }.pack()))
}

/// What an object of the standard library writes of itself.
pub(super) fn text_of(object: &Bound<'_, PyAny>) -> Result<String, Stop> {
    Ok(outside::method(object, "__str__")?.extract::<String>()?)
}

fn set<'py, S: Sink>(walk: &mut Walk<'_, 'py, S>, kind: Kind, object: &Bound<'py, PyAny>) -> Step {
    walk.extension(kind, object, |walk| {
        // A copy: whoever iterates over a set has to let nobody change it.
        for item in outside::items_of(object)?.iter() {
            walk.value(&item).map_err(Stop::in_set)?;
        }
        Ok(())
    })
}

fn integers<'py, S: Sink>(
    walk: &mut Walk<'_, 'py, S>,
    kind: Kind,
    object: &Bound<'py, PyAny>,
    names: &[&str],
) -> Step {
    walk.extension(kind, object, |walk| {
        for name in names {
            let part = outside::attribute(object, name)?;
            part.cast::<PyInt>().map_err(PyErr::from)?;
            walk.integer(&part)?;
        }
        Ok(())
    })
}

/// Whether a key is of a type that every MessagePack map may have as a key.
pub(super) fn is_plain_scalar(key: &Bound<'_, PyAny>) -> bool {
    let class = key.get_type_ptr();
    let is_built_in = [
        &raw mut ffi::PyLong_Type,
        &raw mut ffi::PyFloat_Type,
        &raw mut ffi::PyBool_Type,
        &raw mut ffi::PyBytes_Type,
    ]
    .contains(&class);
    is_built_in || key.is_none() || known::of(&key.get_type()) == Some(Known::DateTime)
}

/// Says that a key is not kept.
#[cold]
pub(super) fn refuse_key(key: &Bound<'_, PyAny>, rules: &Rules<'_>) -> Stop {
    let what = format!("a dict key of type {}", name_of(&key.get_type()));
    let mut cure =
        "use keys of type str, or ExactSerializer, which keeps keys as they are".to_owned();
    if rules.name == "JSONSerializer" && !rules.is_lossy {
        cure += "; JSONSerializer(lossy=True) makes text of int, float, bool and None";
    }
    Stop::refused(what, cure)
}

/// Says that an object is not kept, and what to do.
#[cold]
pub(super) fn refuse(object: &Bound<'_, PyAny>, rules: &Rules<'_>) -> Stop {
    let class = object.get_type();
    let lossy = match lossy::form(&class, rules) {
        Some(form) if rules.registry.is_none() && !rules.is_lossy => {
            format!("; {}(lossy=True) writes {form} instead", rules.name)
        }
        _ => String::new(),
    };
    let cure = if registry::shape_name(&class).is_some() {
        let name = class.name().map_or_else(|_| "cls".to_owned(), |name| name.to_string());
        if rules.registry.is_some() {
            format!(
                "register its class first, with serializer.register({name}) on the \
                 ExactSerializer that the cache is made with (serializer=...); of a function, \
                 the return annotation can name it"
            )
        } else {
            format!("ExactSerializer keeps it after register({name}){lossy}")
        }
    } else if rules.registry.is_none() && is_kept_exactly(&class) {
        format!("ExactSerializer keeps it{lossy}")
    } else if let Some(base) = built_in_base(&class) {
        format!("it would come back as {base}; make a plain {base} of it first{lossy}")
    } else {
        format!("make built-in types of it first, such as dict, list and str{lossy}")
    };
    Stop::refused(name_of(&class), cure)
}

fn is_kept_exactly(class: &Bound<'_, PyType>) -> bool {
    let unkept = [None, Some(Known::TimeZone), Some(Known::ZoneInfo), Some(Known::Deque)];
    let built_in = [
        &raw mut ffi::PyTuple_Type,
        &raw mut ffi::PySet_Type,
        &raw mut ffi::PyFrozenSet_Type,
        &raw mut ffi::PyBytes_Type,
        &raw mut ffi::PyByteArray_Type,
        &raw mut ffi::PyComplex_Type,
        &raw mut ffi::PyRange_Type,
    ];
    built_in.contains(&class.as_type_ptr()) || !unkept.contains(&known::of(class))
}

/// The built-in type that a class derives from, if that is one that could be kept.
pub(super) fn built_in_base(class: &Bound<'_, PyType>) -> Option<&'static str> {
    let bases = [
        (&raw mut ffi::PyUnicode_Type, "str"),
        (&raw mut ffi::PyLong_Type, "int"),
        (&raw mut ffi::PyFloat_Type, "float"),
        (&raw mut ffi::PyDict_Type, "dict"),
        (&raw mut ffi::PyList_Type, "list"),
        (&raw mut ffi::PyTuple_Type, "tuple"),
        (&raw mut ffi::PySet_Type, "set"),
        (&raw mut ffi::PyFrozenSet_Type, "frozenset"),
        (&raw mut ffi::PyBytes_Type, "bytes"),
    ];
    bases.into_iter().find_map(|(base, name)| {
        // SAFETY: two live classes; asks neither of them.
        (unsafe { ffi::PyType_IsSubtype(class.as_type_ptr(), base) } != 0).then_some(name)
    })
}
