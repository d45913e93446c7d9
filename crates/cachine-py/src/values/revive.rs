//! Extensions of a payload, made into the objects that they were.

use cachine_codec::content::{self, Date, DateTime, Flavour, Path, Time, TimeDelta, Timestamp};
use cachine_codec::kind::Kind;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyComplex, PyDict, PyInt, PySet, PyString, PyTuple, PyType};

use super::known::{self, Known};
use super::make::Broken;
use super::moment;
use super::outside::{self, Held};
use super::registry::{Registered, Registry, Shape};

type Made<'py> = Result<Bound<'py, PyAny>, Broken>;

/// An object whose content is plain bytes.
pub(super) fn extension<'py>(py: Python<'py>, kind: Kind, content: &[u8]) -> Made<'py> {
    Ok(match kind {
        Kind::Timestamp => moment::make_datetime(py, Timestamp::unpack(content)?.to_date_time()?)?,
        Kind::DateTime => moment::make_datetime(py, DateTime::unpack(content)?)?,
        Kind::Date => moment::make_date(py, Date::unpack(content)?)?,
        Kind::Time => moment::make_time(py, Time::unpack(content)?)?,
        Kind::TimeDelta => moment::make_duration(py, TimeDelta::unpack(content)?)?,
        Kind::ByteArray => PyByteArray::new(py, content).into_any(),
        Kind::SurrogateText => surrogates(py, content::surrogate_text(content)?)?,
        Kind::Complex => {
            let (real, imaginary) = content::unpack_complex(content)?;
            PyComplex::from_doubles(py, real, imaginary).into_any()
        }
        Kind::Decimal => {
            let text = PyString::new(py, content::decimal(content)?);
            outside::call_one(known::class(py, Known::Decimal)?, text.as_any())?
        }
        Kind::Uuid => {
            let number = u128::from_be_bytes(content::unpack_uuid(content)?);
            let keywords = PyDict::new(py);
            keywords.set_item("int", number)?;
            outside::call(known::class(py, Known::Uuid)?, &PyTuple::empty(py), Some(&keywords))?
        }
        Kind::Path => {
            let Path { flavour, text } = Path::unpack(content)?;
            let class = known::class(py, flavoured(flavour))?;
            outside::call_one(class, PyString::new(py, &text).as_any())?
        }
        _ => return Err(Broken::meaningless("an extension type that is unknown here")),
    })
}

fn flavoured(flavour: Flavour) -> Known {
    match flavour {
        Flavour::PurePosix => Known::PurePosixPath,
        Flavour::PureWindows => Known::PureWindowsPath,
        Flavour::Posix => Known::PosixPath,
        Flavour::Windows => Known::WindowsPath,
    }
}

fn surrogates<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: bytes with their length, and a text that ends in zero; a new reference or an error.
    unsafe {
        let start = content.as_ptr().cast();
        let length = content.len().cast_signed();
        let made = ffi::PyUnicode_DecodeUTF8(start, length, c"surrogatepass".as_ptr());
        Bound::from_owned_ptr_or_err(py, made)
    }
}

/// An object whose content is values.
pub(super) fn nested<'py>(
    py: Python<'py>,
    registry: Option<&Registry>,
    kind: Kind,
    items: &[Bound<'py, PyAny>],
) -> Made<'py> {
    match kind {
        Kind::Set => {
            let set = Held::new(PySet::empty(py)?.into_any());
            filled(&set, items)
        }
        Kind::FrozenSet => {
            // SAFETY: a new empty one, or an error.
            let set = unsafe {
                Bound::from_owned_ptr_or_err(py, ffi::PyFrozenSet_New(std::ptr::null_mut()))?
            };
            filled(&Held::new(set), items)
        }
        Kind::Range => {
            // SAFETY: the type of ranges, which is always there.
            let class = unsafe { PyType::from_borrowed_type_ptr(py, &raw mut ffi::PyRange_Type) };
            integers(&class, items, 3)
        }
        Kind::Fraction => integers(known::class(py, Known::Fraction)?, items, 2),
        Kind::Enum | Kind::NamedTuple | Kind::Dataclass => registered(py, registry, kind, items),
        _ => Err(Broken::meaningless("an extension type that is unknown here")),
    }
}

fn filled<'py>(set: &Held<'py>, items: &[Bound<'py, PyAny>]) -> Made<'py> {
    for item in items {
        outside::add(set, item)?;
    }
    Ok((**set).clone())
}

fn integers<'py>(
    class: &Bound<'py, PyType>,
    items: &[Bound<'py, PyAny>],
    length: usize,
) -> Made<'py> {
    let are_right = items.len() == length && items.iter().all(Bound::is_exact_instance_of::<PyInt>);
    if !are_right {
        return Err(Broken::meaningless("a range or a fraction that is not made of integers"));
    }
    Ok(outside::call(class, &PyTuple::new(class.py(), items)?, None)?)
}

/// An object of a class that was registered.
fn registered<'py>(
    py: Python<'py>,
    registry: Option<&Registry>,
    kind: Kind,
    items: &[Bound<'py, PyAny>],
) -> Made<'py> {
    let name = items.first().and_then(|name| name.cast_exact::<PyString>().ok()?.to_str().ok());
    let Some(name) = name else {
        return Err(Broken::meaningless("a class without a name"));
    };
    let Some(registered) = registry.and_then(|registry| registry.named(name)) else {
        return Err(Broken::meaningless(format!(
            "it holds a class that was written as {:?}, which is not registered here: register it \
             with the serializer that reads",
            name.chars().take(200).collect::<String>()
        )));
    };
    match (&registered.shape, kind) {
        (Shape::Enum(members), Kind::Enum) => member(members.bind(py), name, &items[1..]),
        (Shape::NamedTuple(length), Kind::NamedTuple) if items.len() - 1 == *length => {
            let new = py.get_type::<PyTuple>().getattr("__new__")?;
            Ok(new.call1((registered.class.bind(py), PyTuple::new(py, &items[1..])?))?)
        }
        (Shape::Dataclass { fields, .. }, Kind::Dataclass)
            if items.len() - 1 == 2 * fields.len() =>
        {
            dataclass(py, registered, fields, &items[1..])
        }
        _ => Err(Broken::meaningless(format!(
            "the class that is registered as {name:?} has changed since this was written"
        ))),
    }
}

fn member<'py>(
    members: &Bound<'py, PyDict>,
    class: &str,
    items: &[Bound<'py, PyAny>],
) -> Made<'py> {
    if let [name] = items
        && name.is_exact_instance_of::<PyString>()
        && let Some(member) = members.get_item(name)?
    {
        return Ok(member);
    }
    Err(Broken::meaningless(format!("the Enum that is registered as {class:?} has no such member")))
}

/// Puts a dataclass together field by field: nothing of it runs, as with `pickle`.
fn dataclass<'py>(
    py: Python<'py>,
    registered: &Registered,
    fields: &[Py<PyString>],
    items: &[Bound<'py, PyAny>],
) -> Made<'py> {
    let new = py.get_type::<PyAny>().getattr("__new__")?;
    let made = Held::new(new.call1((registered.class.bind(py),))?);
    for (at, field) in fields.iter().enumerate() {
        let field = field.bind(py);
        let is_named = |pair: &&[Bound<'py, PyAny>]| {
            pair[0].cast_exact::<PyString>().is_ok_and(|name| super::registry::is_same(name, field))
        };
        // In the order of the fields, unless that was changed.
        let pair = items.chunks_exact(2).nth(at).filter(is_named);
        let Some(pair) = pair.or_else(|| items.chunks_exact(2).find(is_named)) else {
            return Err(Broken::meaningless(format!(
                "the class that is registered as {:?} has other fields than when this was written",
                registered.name
            )));
        };
        outside::set_plain_attribute(&made, field, &pair[1])?;
    }
    Ok((*made).clone())
}
