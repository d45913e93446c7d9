//! Objects that a key can only name by number: instances, closures, arguments compared by equality.
//!
//! A number is given once and never again, so a key can't mean another object after the first is
//! gone and its address is used anew. An [`Anchor`] holds what has to stay alive while entries
//! name it; entries hold the anchor through a tag of the engine.
//!
//! # Invariants
//!
//! 1. An address stands in `instances` only while the object at it is alive: a weak reference
//!    takes it out, or an anchor holds the object.
//! 2. The tables hold no anchor alive; an anchor takes itself out when it is dropped.
//! 3. The locks here are held for table look-ups only; nothing of Python runs under them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cachine::core::store::Store;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyCode, PyDict, PyInt, PyTuple, PyWeakrefReference};

use crate::host::{PyHost, stay};

/// So often an object is compared with those of equal hash before its equality counts as broken.
const ATTEMPTS: u32 = 16;

/// What the keys of one store name by number.
pub(crate) struct Identities {
    store: Weak<Store<PyHost>>,
    instances: Mutex<HashMap<usize, Instance>>,
    functions: Mutex<HashMap<String, Vec<Twin>>>,
    /// From (type, object) to number, by Python's own equality.
    by_value: Py<PyDict>,
    anchors: Mutex<HashMap<u64, Borrowed>>,
}

/// An instance known by identity.
enum Instance {
    /// Taken out when the weak reference dies.
    Weak { number: u64, _reference: Py<PyWeakrefReference> },
    /// Can't be weakly referenced: its anchor holds it.
    Anchored(u64),
}

/// One of several functions of the same name.
struct Twin {
    /// The number in its keys: 0 for the first of its name.
    number: u64,
    /// The number of its anchor.
    id: u64,
    anchor: Borrowed,
}

/// An anchor that this table does not keep alive (invariant 2).
#[derive(Clone, Copy)]
struct Borrowed(*mut pyo3::ffi::PyObject);

// SAFETY: the pointer is only followed by threads that are attached to the interpreter, and an
// anchor removes it, attached as well, before it goes away.
unsafe impl Send for Borrowed {}

/// Something that lives as long as the entries that name it by number.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Anchor {
    pub(crate) number: u64,
    kind: Kind,
    identities: Weak<Identities>,
}

/// What an anchor holds, and where it stands in the tables.
enum Kind {
    Instance(Py<PyAny>),
    Value(Py<PyTuple>),
    Function { name: String, parts: Vec<Part> },
}

/// A part of what makes a function itself.
pub(crate) enum Part {
    Strong(Py<PyAny>),
    Weak(Py<PyWeakrefReference>),
}

/// Called by Python when an instance dies.
#[pyclass(frozen, module = "cachine._core")]
struct Farewell {
    address: usize,
    number: u64,
    identities: Weak<Identities>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The tag of the entries that name this number.
pub(crate) fn tag(number: u64) -> Box<str> {
    format!("object {number}").into()
}

impl Borrowed {
    fn of(anchor: &Bound<'_, Anchor>) -> Self {
        Self(anchor.as_ptr())
    }

    fn upgrade(self, py: Python<'_>) -> Py<Anchor> {
        // SAFETY: invariant 2: the anchor is alive while it stands in a table, and this thread is
        // attached, so it can't be dropped between the look-up and here.
        let object = unsafe { Bound::from_borrowed_ptr(py, self.0) };
        object.cast_into::<Anchor>().expect("only anchors stand in the tables").unbind()
    }
}

impl Identities {
    pub(crate) fn new(py: Python<'_>, store: &Arc<Store<PyHost>>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::downgrade(store),
            instances: Mutex::default(),
            functions: Mutex::default(),
            by_value: PyDict::new(py).unbind(),
            anchors: Mutex::default(),
        })
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.by_value)
    }

    /// The number of an instance, if it is known and needs no anchor.
    #[inline]
    pub(crate) fn known_instance(&self, object: *mut pyo3::ffi::PyObject) -> Option<u64> {
        match lock(&self.instances).get(&(object as usize)) {
            Some(&Instance::Weak { number, .. }) => Some(number),
            _ => None,
        }
    }

    /// The number of an instance, and its anchor when entries have to hold it.
    pub(crate) fn instance(
        self: &Arc<Self>,
        object: &Bound<'_, PyAny>,
    ) -> PyResult<(u64, Option<Py<Anchor>>)> {
        let py = object.py();
        let address = object.as_ptr() as usize;
        let known = match lock(&self.instances).get(&address) {
            Some(&Instance::Weak { number, .. }) => return Ok((number, None)),
            Some(&Instance::Anchored(number)) => Some(number),
            None => None,
        };
        if let Some(number) = known {
            return Ok((number, self.anchor(py, number)));
        }
        let number = next_number();
        let farewell = Farewell { address, number, identities: Arc::downgrade(self) };
        let farewell = Bound::new(py, farewell)?;
        match PyWeakrefReference::new_with(object, farewell) {
            Ok(reference) => {
                let instance = Instance::Weak { number, _reference: reference.unbind() };
                // To make the reference may have run a collection, and that any code: if another
                // thread was here meanwhile, its number stays, since entries may name it.
                let mut instances = lock(&self.instances);
                if let Some(&Instance::Weak { number, .. }) = instances.get(&address) {
                    return Ok((number, None));
                }
                instances.insert(address, instance);
                Ok((number, None))
            }
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {
                let anchor =
                    self.new_anchor(py, number, Kind::Instance(object.clone().unbind()))?;
                lock(&self.instances).insert(address, Instance::Anchored(number));
                Ok((number, Some(anchor)))
            }
            Err(error) => Err(error),
        }
    }

    /// The anchor of an object that is compared by its own hash and equality.
    pub(crate) fn value(self: &Arc<Self>, object: &Bound<'_, PyAny>) -> PyResult<Py<Anchor>> {
        let py = object.py();
        let typed = PyTuple::new(py, [object.get_type().as_any(), object])?;
        let table = self.by_value.bind(py);
        // Equality may run any code, so what the table says may be old by the time it has said it.
        for _ in 0..ATTEMPTS {
            if let Some(number) = stay::item(table, &typed)? {
                if let Some(anchor) = self.anchor(py, number.extract()?) {
                    return Ok(anchor);
                }
                stay::remove(table, &typed).ok();
                continue;
            }
            let number = next_number();
            let anchor = self.new_anchor(py, number, Kind::Value(typed.clone().unbind()))?;
            let held = stay::keep(table, &typed, PyInt::new(py, number).as_any())?;
            if held.extract::<u64>()? == number {
                return Ok(anchor);
            }
        }
        let kind = object.get_type().qualname()?;
        let message = format!("the equality of {kind} changes each time it is asked");
        Err(PyTypeError::new_err(message))
    }

    /// The anchor of a function: that of an equal one of the same name, or a new one.
    pub(crate) fn function(
        self: &Arc<Self>,
        py: Python<'_>,
        name: &str,
        parts: Vec<Part>,
    ) -> PyResult<(u64, Py<Anchor>)> {
        let twins: Vec<_> = {
            let functions = lock(&self.functions);
            let twins = functions.get(name).into_iter().flatten();
            twins.map(|twin| (twin.number, twin.anchor)).collect()
        };
        // Comparing is by identity and runs no Python, so no anchor goes away meanwhile.
        for &(number, anchor) in &twins {
            let anchor = anchor.upgrade(py);
            if anchor.get().is_function_of(py, &parts) {
                return Ok((number, anchor));
            }
        }
        let is_first = twins.is_empty();
        let kind = Kind::Function { name: name.to_owned(), parts };
        let anchor = self.new_anchor(py, next_number(), kind)?;
        let id = anchor.get().number;
        let number = if is_first { 0 } else { id };
        let twin = Twin { number, id, anchor: Borrowed::of(anchor.bind(py)) };
        lock(&self.functions).entry(name.to_owned()).or_default().push(twin);
        Ok((number, anchor))
    }

    fn anchor(&self, py: Python<'_>, number: u64) -> Option<Py<Anchor>> {
        let anchor = lock(&self.anchors).get(&number).copied();
        anchor.map(|anchor| anchor.upgrade(py))
    }

    fn new_anchor(
        self: &Arc<Self>,
        py: Python<'_>,
        number: u64,
        kind: Kind,
    ) -> PyResult<Py<Anchor>> {
        let anchor = Bound::new(py, Anchor { number, kind, identities: Arc::downgrade(self) })?;
        lock(&self.anchors).insert(number, Borrowed::of(&anchor));
        Ok(anchor.unbind())
    }

    fn forget(&self, anchor: &Anchor, py: Python<'_>) {
        lock(&self.anchors).remove(&anchor.number);
        match &anchor.kind {
            Kind::Instance(object) => {
                lock(&self.instances).remove(&(object.as_ptr() as usize));
            }
            Kind::Value(typed) => {
                let table = self.by_value.bind(py);
                let typed = typed.bind(py);
                let number = stay::item(table, typed).ok().flatten();
                if number.is_some_and(|number| number.extract::<u64>().ok() == Some(anchor.number))
                {
                    stay::remove(table, typed).ok();
                }
            }
            Kind::Function { name, .. } => {
                let mut functions = lock(&self.functions);
                if let Some(twins) = functions.get_mut(name) {
                    twins.retain(|twin| twin.id != anchor.number);
                    if twins.is_empty() {
                        functions.remove(name);
                    }
                }
            }
        }
    }
}

impl Anchor {
    fn is_function_of(&self, py: Python<'_>, others: &[Part]) -> bool {
        let Kind::Function { parts, .. } = &self.kind else { return false };
        parts.len() == others.len()
            && parts.iter().zip(others).all(|(one, other)| one.is_same(py, other))
    }
}

#[pymethods]
impl Anchor {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.kind {
            Kind::Instance(object) => visit.call(object),
            Kind::Value(typed) => visit.call(typed),
            Kind::Function { parts, .. } => parts.iter().try_for_each(|part| match part {
                Part::Strong(object) => visit.call(object),
                Part::Weak(reference) => visit.call(reference),
            }),
        }
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        if let Some(identities) = self.identities.upgrade() {
            Python::attach(|py| identities.forget(self, py));
        }
    }
}

impl Part {
    /// A part that is compared by identity, held weakly where that is possible.
    pub(crate) fn weak(object: &Bound<'_, PyAny>) -> Self {
        match PyWeakrefReference::new(object) {
            Ok(reference) => Self::Weak(reference.unbind()),
            Err(_) => Self::Strong(object.clone().unbind()),
        }
    }

    fn is_same(&self, py: Python<'_>, other: &Self) -> bool {
        match (self, other) {
            (Self::Strong(one), Self::Strong(other)) => {
                one.is(other) || are_same_code(one.bind(py), other.bind(py))
            }
            (Self::Weak(one), Self::Weak(other)) => {
                use pyo3::types::PyWeakrefMethods;
                let one = one.bind(py).upgrade();
                one.is_some_and(|one| other.bind(py).upgrade().is_some_and(|other| one.is(&other)))
            }
            _ => false,
        }
    }
}

/// Whether both are the code of functions that do the same: a module that is loaded anew makes
/// its functions anew. No code of users runs in the comparison.
fn are_same_code(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> bool {
    let is_code = |object: &Bound<'_, PyAny>| object.is_exact_instance_of::<PyCode>();
    is_code(one) && is_code(other) && one.eq(other).unwrap_or(false)
}

#[pymethods]
impl Farewell {
    fn __call__(&self, reference: &Bound<'_, PyAny>) {
        let _ = reference;
        let Some(identities) = self.identities.upgrade() else { return };
        // The entry's own weak reference is dropped after the lock is released.
        let known = lock(&identities.instances).remove(&self.address);
        drop(known);
        if let Some(store) = identities.store.upgrade() {
            store.invalidate_tags(&[tag(self.number)]);
        }
    }
}
