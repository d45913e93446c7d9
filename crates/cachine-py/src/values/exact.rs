//! The serializer that keeps every value as it is, or refuses it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cachine_codec::exact;
use cachine_codec::format::Format;
use cachine_codec::json::JsonSink;
use cachine_codec::msgpack::{Extensions, MessagePackSink};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};

use super::input::bytes_of;
use super::make::Maker;
use super::registry::{Registry, Shape};
use super::walk::{Keys, Rules, write};
use super::{Written, broken, outside, stop};
use crate::convert::type_name;
use crate::errors;

/// Values as they are: what comes back is equal and of the same type at every depth, or `dumps`
/// raises.
///
/// A value that JSON keeps exactly (dict with keys of type str, list, str, int, finite float but
/// -0.0, bool, None) is written as JSON text, which every other program reads. Anything else is
/// MessagePack with extension types: tuple, set, frozenset, bytes, bytearray, dict with any keys,
/// int of any size, NaN, infinities and -0.0, text with unpaired surrogates, complex, range,
/// Decimal, Fraction, UUID, datetime (naive, UTC, fixed offset, `ZoneInfo`), date, time, timedelta,
/// and the classes of `pathlib`.
///
/// The exact type counts: a subclass is refused, never stored as what it derives from. Enums, named
/// tuples and dataclasses are kept after `register`. It never runs pickle, and imports nothing by a
/// name from a payload.
///
/// >>> from cachine.serializers import ExactSerializer
/// >>> serializer = ExactSerializer()
/// >>> serializer.loads(serializer.dumps({"point": (1, 2.5), 3: {4}}))
/// {'point': (1, 2.5), 3: {4}}
#[pyclass(frozen, subclass, module = "cachine.serializers", name = "ExactSerializer")]
pub(crate) struct ExactSerializer {
    /// Held for a step without Python, as the locks of a store are.
    registry: Mutex<Arc<Registry>>,
    /// Whether the last value was one for MessagePack: then that is tried first the next time.
    expects_more: AtomicBool,
}

impl Default for ExactSerializer {
    fn default() -> Self {
        Self::with(Registry::default())
    }
}

#[pymethods]
impl ExactSerializer {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Return a value as JSON text or MessagePack.
    ///
    /// Raises:
    ///     `SerializationError`: it can't be kept as it is; the message says what, where and why.
    #[pyo3(signature = (obj, /))]
    fn dumps<'py>(&self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(obj.py(), &self.encode(obj)?.bytes))
    }

    /// Return the value of a payload.
    ///
    /// Raises:
    ///     `DeserializationError`: the bytes are no such payload, or hold an unregistered class.
    #[pyo3(signature = (data, /))]
    fn loads<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.decode(data.py(), bytes_of(data)?.as_bytes())
    }

    /// Keep objects of a class from now on: an Enum, a named tuple or a dataclass. Returns the
    /// class, so that it can be used as a decorator.
    ///
    /// The name is what payloads hold; by default it is module and qualified name. A class that is
    /// registered again is written under the new name and read under both. A dataclass is put
    /// together again without calling `__init__` or `__post_init__`; a member of an Enum is kept by
    /// its name.
    ///
    /// Raises:
    ///     `ConfigError`: the name is taken by another class, or the class is none of the three.
    #[pyo3(signature = (cls, name = None))]
    fn register<'py>(
        &self,
        cls: &Bound<'py, PyAny>,
        name: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyType>> {
        let Ok(class) = cls.cast::<PyType>() else {
            let kind = type_name(cls);
            return Err(PyTypeError::new_err(format!("register takes a class, not {kind}")));
        };
        let name = match name {
            None => default_name(class)?,
            Some(name) if name.is_instance_of::<PyString>() => name.extract()?,
            Some(name) => {
                let kind = type_name(name);
                return Err(PyTypeError::new_err(format!("name must be a str, not {kind}")));
            }
        };
        let config = |message: String| {
            Err(errors::make(cls.py(), "ConfigError", &message, "register", false))
        };
        if name.is_empty() {
            return config("register: name is an empty string".to_owned());
        }
        let shape = match Shape::of(class)? {
            Ok(shape) => shape,
            Err(why) => return config(format!("register: {name} {why}")),
        };
        if !self.add(class, &name, shape) {
            return config(format!(
                "register: the name {name:?} is taken by another class; pass a name of its own, \
                 register(cls, name=...)"
            ));
        }
        Ok(class.clone())
    }

    /// A serializer that knows these classes as well, each by its own name. Left out are those that
    /// can't be kept, and those whose name another class has: their objects are refused when they
    /// come.
    #[pyo3(name = "_with_types")]
    pub(super) fn with_types(&self, types: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let mut registry = self.registry().duplicate(types.py());
        for class in types.iter_borrowed() {
            let class = class.cast::<PyType>()?;
            if registry.of(&class).is_none()
                && let Ok(shape) = Shape::of(&class)?
            {
                registry.add(&class, default_name(&class)?, shape);
            }
        }
        Ok(Self::with(registry))
    }

    pub(super) fn __repr__(&self) -> String {
        match self.registry().len() {
            0 => "ExactSerializer()".to_owned(),
            1 => "<ExactSerializer with 1 registered class>".to_owned(),
            count => format!("<ExactSerializer with {count} registered classes>"),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Free whenever the collector runs: who holds it does nothing that could start it.
        match self.registry.try_lock() {
            Ok(registry) => registry.traverse(&visit),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let old = std::mem::take(&mut *self.slot());
        drop(old);
    }
}

impl ExactSerializer {
    fn with(registry: Registry) -> Self {
        Self { registry: Mutex::new(Arc::new(registry)), expects_more: AtomicBool::new(false) }
    }

    fn slot(&self) -> MutexGuard<'_, Arc<Registry>> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The classes as they are now.
    fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.slot())
    }

    /// Adds a class, while others may do the same.
    fn add(&self, class: &Bound<'_, PyType>, name: &str, shape: Shape) -> bool {
        let mut slot = self.slot();
        let mut registry = (**slot).clone();
        let is_added = registry.add(class, name.to_owned(), shape);
        let old = std::mem::replace(&mut *slot, Arc::new(registry));
        drop(slot);
        // After the lock: to release a class may run code.
        drop(old);
        is_added
    }

    pub(super) fn encode(&self, object: &Bound<'_, PyAny>) -> PyResult<Written> {
        let registry = self.registry();
        let expects_more = self.expects_more.load(Ordering::Relaxed);
        // Values of one cache are mostly of one kind. So what the last one needed is tried first,
        // and a tuple at the end of a long list does not mean to write the list twice.
        if !expects_more && let Some(written) = text(object, &registry)? {
            return Ok(written);
        }
        let mut sink = MessagePackSink::new(Extensions::All);
        let rules = Rules { keys: Keys::Any, is_trial: false, ..rules(&registry) };
        let is_more =
            write(object, &mut sink, &rules).map_err(|stop| stop.raise(object.py(), rules.name))?;
        if expects_more
            && !is_more
            && let Some(written) = text(object, &registry)?
        {
            self.expects_more.store(false, Ordering::Relaxed);
            return Ok(written);
        }
        self.expects_more.store(true, Ordering::Relaxed);
        Ok(Written { format: Format::MessagePack, bytes: sink.into_bytes() })
    }

    pub(super) fn decode<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let registry = self.registry();
        let mut maker = Maker::new(py, Some(&registry));
        exact::read(bytes, &mut maker)
            .and_then(|()| maker.finish())
            .map_err(|reason| broken(py, "ExactSerializer", false, reason))
    }
}

fn rules(registry: &Registry) -> Rules<'_> {
    Rules {
        name: "ExactSerializer",
        keys: Keys::Text,
        registry: Some(registry),
        is_lossy: false,
        is_trial: true,
    }
}

/// A value as JSON text, if that keeps it exactly.
fn text(object: &Bound<'_, PyAny>, registry: &Registry) -> PyResult<Option<Written>> {
    let mut sink = JsonSink::exact();
    match write(object, &mut sink, &rules(registry)) {
        Ok(_) => Ok(Some(Written { format: Format::Json, bytes: sink.into_bytes() })),
        Err(stop::Stop::Misfit) => Ok(None),
        Err(stop) => Err(stop.raise(object.py(), "ExactSerializer")),
    }
}

/// Module and qualified name of a class; for `__main__` the name that it has in every process.
fn default_name(class: &Bound<'_, PyType>) -> PyResult<String> {
    let text = |name| outside::attribute(class, name)?.extract::<String>();
    let module = crate::binding::module_name(class.py(), &text("__module__")?)?;
    Ok(format!("{module}.{}", text("__qualname__")?))
}
