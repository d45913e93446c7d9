//! The classes that an `ExactSerializer` knows by name: of Enums, named tuples and dataclasses.
//!
//! A payload names a class by what it was registered under, and nothing is imported by that name: a
//! class that was not registered does not come to be.

use std::collections::HashMap;
use std::sync::Arc;

use cachine_codec::kind::Kind;
use cachine_codec::sink::Sink;
use pyo3::exceptions::PyAttributeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, ffi};

use super::known;
use super::outside::{self, Held};
use super::stop::{Step, Stop};
use super::walk::Walk;

/// The classes of one serializer. A copy is made to change it, so that a walk keeps what it began
/// with.
#[derive(Clone, Default)]
pub(super) struct Registry {
    classes: HashMap<usize, Arc<Registered>>,
    names: HashMap<String, Arc<Registered>>,
}

/// A class with its name.
pub(super) struct Registered {
    pub(super) class: Py<PyType>,
    pub(super) name: String,
    pub(super) shape: Shape,
}

/// What has to be kept of its objects.
pub(super) enum Shape {
    /// The members by name.
    Enum(Py<PyDict>),
    /// So many items.
    NamedTuple(usize),
    Dataclass {
        fields: Vec<Py<PyString>>,
        /// Slots that are no fields: nothing may be in them.
        others: Vec<Py<PyString>>,
    },
}

impl Registry {
    /// How many classes there are.
    pub(super) fn len(&self) -> usize {
        self.classes.len()
    }

    /// What is known of a class.
    pub(super) fn of(&self, class: &Bound<'_, PyType>) -> Option<&Registered> {
        self.classes.get(&(class.as_ptr() as usize)).map(Arc::as_ref)
    }

    /// What is known under a name.
    pub(super) fn named(&self, name: &str) -> Option<&Registered> {
        self.names.get(name).map(Arc::as_ref)
    }

    /// Adds a class. One that was registered before is written under its new name, and read under
    /// both. Runs no code of Python, so that it can be done under a lock; false if another class
    /// has the name.
    pub(super) fn add(&mut self, class: &Bound<'_, PyType>, name: String, shape: Shape) -> bool {
        if self.named(&name).is_some_and(|other| !other.class.bind(class.py()).is(class)) {
            return false;
        }
        let registered =
            Arc::new(Registered { class: class.clone().unbind(), name: name.clone(), shape });
        self.classes.insert(class.as_ptr() as usize, Arc::clone(&registered));
        self.names.insert(name, registered);
        true
    }

    /// The same for another serializer: each has references of its own, for the garbage collector.
    pub(super) fn duplicate(&self, py: Python<'_>) -> Self {
        let mut copies = HashMap::new();
        let names = self.names.iter().map(|(name, registered)| {
            let copy = Arc::new(registered.duplicate(py));
            copies.insert(Arc::as_ptr(registered), Arc::clone(&copy));
            (name.clone(), copy)
        });
        let names = names.collect();
        let copy = |registered: &Arc<Registered>| Arc::clone(&copies[&Arc::as_ptr(registered)]);
        let classes = self.classes.iter().map(|(class, known)| (*class, copy(known))).collect();
        Self { classes, names }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Every registered class is under a name, and under each name once.
        for registered in self.names.values() {
            visit.call(&registered.class)?;
            if let Shape::Enum(members) = &registered.shape {
                visit.call(members)?;
            }
        }
        Ok(())
    }
}

impl Registered {
    fn duplicate(&self, py: Python<'_>) -> Self {
        let texts = |texts: &[Py<PyString>]| texts.iter().map(|text| text.clone_ref(py)).collect();
        let shape = match &self.shape {
            Shape::Enum(members) => Shape::Enum(members.clone_ref(py)),
            Shape::NamedTuple(length) => Shape::NamedTuple(*length),
            Shape::Dataclass { fields, others } => {
                Shape::Dataclass { fields: texts(fields), others: texts(others) }
            }
        };
        Self { class: self.class.clone_ref(py), name: self.name.clone(), shape }
    }
}

impl Shape {
    /// The shape of a class, or why it has none.
    pub(super) fn of(class: &Bound<'_, PyType>) -> PyResult<Result<Self, &'static str>> {
        Ok(Ok(match shape_name(class) {
            Some("Enum") => {
                Self::Enum(outside::attribute(class, "_member_map_")?.cast_into()?.unbind())
            }
            Some("named tuple") => {
                let fields = outside::attribute(class, "_fields")?;
                Self::NamedTuple(fields.cast::<PyTuple>()?.len())
            }
            Some(_) if !is_plain_object(class)? => {
                return Ok(Err(
                    "derives from a built-in class, which holds more than fields; register a \
                     dataclass without such a base",
                ));
            }
            Some(_) => {
                let fields = field_names(class)?;
                let others = slots(class)?.into_iter().filter(|slot| !holds(&fields, slot));
                let others = others.map(Bound::unbind).collect();
                Self::Dataclass { fields: fields.into_iter().map(Bound::unbind).collect(), others }
            }
            None => {
                return Ok(Err(
                    "is no Enum, named tuple or dataclass; only such classes can be registered",
                ));
            }
        }))
    }
}

/// What kind of a class that can be registered it is.
pub(super) fn shape_name(class: &Bound<'_, PyType>) -> Option<&'static str> {
    if known::derives(class, "enum", "Enum") {
        return Some("Enum");
    }
    if class.is_subclass_of::<PyTuple>().unwrap_or(false) {
        let fields = outside::attribute(class, "_fields").ok()?;
        return fields.is_instance_of::<PyTuple>().then_some("named tuple");
    }
    // A subclass that is none itself may have attributes of which the fields know nothing.
    let own = outside::attribute(class, "__dict__").ok()?;
    own.contains("__dataclass_fields__").ok()?.then_some("dataclass")
}

/// The names of the fields of a dataclass.
pub(super) fn field_names<'py>(class: &Bound<'py, PyType>) -> PyResult<Vec<Bound<'py, PyString>>> {
    let fields = class.py().import("dataclasses")?.getattr("fields")?;
    let fields = outside::call_one(&fields, class)?;
    let names = fields.try_iter()?.map(|field| Ok(field?.getattr("name")?.cast_into()?));
    names.collect()
}

/// Whether an object of this class is made by `object.__new__`, so that its attributes are all of
/// it.
fn is_plain_object(class: &Bound<'_, PyType>) -> PyResult<bool> {
    for base in class.mro() {
        let own = outside::attribute(&base, "__dict__")?;
        if let Ok(new) = own.get_item("__new__")
            // SAFETY: compares two pointers; a built-in function is how a class made in C has it.
            && new.get_type_ptr() == &raw mut ffi::PyCFunction_Type
        {
            return Ok(base.as_ptr() == (&raw mut ffi::PyBaseObject_Type).cast());
        }
    }
    Ok(false)
}

/// The names of all slots of a class and its bases.
fn slots<'py>(class: &Bound<'py, PyType>) -> PyResult<Vec<Bound<'py, PyString>>> {
    let mut slots = Vec::new();
    for base in class.mro() {
        let own = outside::attribute(&base, "__dict__")?;
        for item in outside::items_of(&own.call_method0("items")?)?.iter() {
            let (name, value) = item.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
            if value.get_type_ptr() == &raw mut ffi::PyMemberDescr_Type {
                slots.push(name.cast_into()?);
            }
        }
    }
    Ok(slots)
}

fn holds(names: &[Bound<'_, PyString>], name: &Bound<'_, PyString>) -> bool {
    names.iter().any(|known| is_same(known, name))
}

/// Whether two names are the same text; most are one object.
pub(super) fn is_same(one: &Bound<'_, PyString>, other: &Bound<'_, PyString>) -> bool {
    one.is(other) || matches!((one.to_str(), other.to_str()), (Ok(one), Ok(other)) if one == other)
}

/// Writes an object of a registered class.
pub(super) fn write<'py, S: Sink>(
    walk: &mut Walk<'_, 'py, S>,
    object: &Bound<'py, PyAny>,
    registered: &Registered,
) -> Step {
    let name = registered.name.as_str();
    match &registered.shape {
        Shape::Enum(members) => {
            let member = member_name(object, members.bind(walk.py))?;
            walk.extension(Kind::Enum, object, |walk| {
                write_name(walk, object, name)?;
                walk.text(&member)
            })
        }
        Shape::NamedTuple(length) => {
            // SAFETY: the class derives from tuple.
            let tuple = unsafe { object.cast_unchecked::<PyTuple>() };
            if tuple.len() != *length || !attributes(object)?.is_empty() {
                return Err(not_its_fields(name));
            }
            walk.extension(Kind::NamedTuple, object, |walk| {
                write_name(walk, object, name)?;
                walk.tuple(tuple)
            })
        }
        Shape::Dataclass { fields, others } => {
            check_others(object, name, fields, others)?;
            walk.extension(Kind::Dataclass, object, |walk| {
                write_name(walk, object, name)?;
                for field in fields {
                    let field = field.bind(walk.py);
                    let value = Held::new(field_of(object, field, name)?);
                    walk.text(field)?;
                    if let Err(stop) = walk.value(&value) {
                        return Err(stop.named(&field.to_string_lossy()));
                    }
                }
                Ok(())
            })
        }
    }
}

fn write_name<'py, S: Sink>(
    walk: &mut Walk<'_, 'py, S>,
    object: &Bound<'py, PyAny>,
    name: &str,
) -> Step {
    let taken = walk.sink.str(name);
    walk.taken(taken, object)
}

#[cold]
fn not_its_fields(name: &str) -> Stop {
    Stop::refused(
        format!("a {name} that is more or less than its fields"),
        "keep other attributes somewhere else",
    )
}

// The functions from here on are apart, so that the walk of a container needs no stack for them.

#[inline(never)]
fn field_of<'py>(
    object: &Bound<'py, PyAny>,
    field: &Bound<'py, PyString>,
    class: &str,
) -> Result<Bound<'py, PyAny>, Stop> {
    match outside::plain_attribute(object, field) {
        Ok(value) => Ok(value),
        Err(error) if error.is_instance_of::<PyAttributeError>(object.py()) => Err(Stop::refused(
            format!("a {class} without its field {field}"),
            "set every field first",
        )),
        Err(error) => Err(Stop::from(error)),
    }
}

/// The name of a member of an Enum, which leads to it again.
#[inline(never)]
fn member_name<'py>(
    object: &Bound<'py, PyAny>,
    members: &Bound<'py, PyDict>,
) -> Result<Bound<'py, PyAny>, Stop> {
    let name = outside::attribute(object, "_name_")?;
    if name.is_exact_instance_of::<PyString>()
        && members.get_item(&name)?.is_some_and(|member| member.is(object))
    {
        return Ok(name);
    }
    let class = super::stop::name_of(&object.get_type());
    Err(Stop::refused(
        format!("a {class} without a name of its own"),
        "a combination of flags has none; store its value",
    ))
}

/// The names in an object's `__dict__`.
#[inline(never)]
fn attributes<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let name = PyString::intern(object.py(), "__dict__");
    match outside::plain_attribute(object, &name) {
        Ok(attributes) => outside::items_of(&attributes),
        Err(error) if error.is_instance_of::<PyAttributeError>(object.py()) => {
            Ok(PyList::empty(object.py()))
        }
        Err(error) => Err(error),
    }
}

/// Refuses a dataclass instance with attributes that are no fields.
#[inline(never)]
fn check_others(
    object: &Bound<'_, PyAny>,
    class: &str,
    fields: &[Py<PyString>],
    others: &[Py<PyString>],
) -> Step {
    let py = object.py();
    let refuse = |name: &Bound<'_, PyAny>| {
        let name = name.cast::<PyString>().map_or_else(
            |_| "that is no text".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        Err(Stop::refused(
            format!("a {class} with an attribute {name} that is no field"),
            "make it a field, or remove it",
        ))
    };
    for (at, name) in attributes(object)?.iter().enumerate() {
        let is_field = name.cast_exact::<PyString>().is_ok_and(|name| {
            fields.get(at).is_some_and(|field| field.bind(py).is(name))
                || fields.iter().any(|field| is_same(field.bind(py), name))
        });
        if !is_field {
            return refuse(&name);
        }
    }
    for slot in others {
        match outside::plain_attribute(object, slot.bind(py)) {
            Ok(_) => return refuse(slot.bind(py)),
            Err(error) if error.is_instance_of::<PyAttributeError>(py) => {}
            Err(error) => return Err(Stop::from(error)),
        }
    }
    Ok(())
}
