//! The in-memory cache as Python calls it.
//!
//! The public classes are written in Python and inherit from this one, so that a hit costs no
//! second call. An asynchronous cache is the same object with coroutine functions in front.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cachine::core::key::Namespace;
use cachine::core::policy::Eviction;
use cachine::core::store::{Bounds, Remaining};
use cachine::{Value, View};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyTuple};

use crate::call::{Call, Terms};
use crate::clock;
use crate::convert::{self, Delta, type_name};
use crate::errors::{self, OrRaise};
use crate::fork;
use crate::host::{Object, PyHost, Shelf, Weigher, stay};
use crate::identity::Identities;

/// A cache in the memory of this process.
#[pyclass(frozen, subclass, weakref, generic, module = "cachine._core")]
pub(crate) struct Memory {
    inner: OnceLock<Inner>,
}

struct Inner {
    view: Arc<View<PyHost>>,
    shelf: Py<Shelf>,
}

impl Memory {
    /// The value of a key as a new reference; null when there is none.
    #[inline]
    pub(crate) fn look_up(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
    ) -> PyResult<*mut ffi::PyObject> {
        let key = convert::key(key, "get")?;
        let found = self.view()?.get(key, Object::copy).or_raise(py)?;
        Ok(found.unwrap_or(std::ptr::null_mut()))
    }

    #[inline]
    fn inner(&self) -> PyResult<&Inner> {
        self.inner.get().ok_or_else(|| {
            PyRuntimeError::new_err("this cache was not initialised: call super().__init__()")
        })
    }

    #[inline]
    fn view(&self) -> PyResult<&View<PyHost>> {
        self.inner().map(|inner| &*inner.view)
    }

    pub(crate) fn parts(&self, py: Python<'_>) -> PyResult<(Arc<View<PyHost>>, Py<Shelf>)> {
        let inner = self.inner()?;
        Ok((Arc::clone(&inner.view), inner.shelf.clone_ref(py)))
    }

    /// An open view and a valid key, or an error that names the operation.
    fn checked<'a>(
        &'a self,
        py: Python<'_>,
        key: &'a Bound<'_, PyAny>,
        operation: &'static str,
    ) -> PyResult<(&'a View<PyHost>, &'a str)> {
        let key = convert::key(key, operation)?;
        let view = self.view()?;
        view.open(operation).or_raise(py)?;
        cachine::core::key::validate(key, operation).or_raise(py)?;
        Ok((view, key))
    }

    fn weigh(&self, key: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        match &self.inner()?.shelf.get().weigher {
            None => Ok(1),
            Some(weigher) => weigh(weigher.bind(value.py()), key, value),
        }
    }
}

/// Asks the user's weigher; runs under no lock.
pub(crate) fn weigh(
    weigher: Option<Bound<'_, PyAny>>,
    key: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<u64> {
    let Some(weigher) = weigher else { return Ok(1) };
    let key = PyString::new(value.py(), key);
    let weight = stay::call(&weigher, &key, value)?;
    if weight.is_instance_of::<PyBool>() || !weight.is_instance_of::<PyInt>() {
        let kind = type_name(&weight);
        return Err(PyTypeError::new_err(format!("weigher must return an int, not {kind}")));
    }
    if weight.lt(0)? {
        let message = format!("weigher returned {}: a weight is never negative", weight.repr()?);
        return Err(PyValueError::new_err(message));
    }
    Ok(weight.extract::<u64>().unwrap_or(u64::MAX))
}

fn eviction(policy: Option<&Bound<'_, PyAny>>) -> PyResult<Eviction> {
    let Some(policy) = policy else { return Ok(Eviction::Lru) };
    let name = policy.getattr("_eviction").ok().and_then(|name| name.extract::<String>().ok());
    match name.as_deref() {
        Some("lru") => Ok(Eviction::Lru),
        Some("lfu") => Ok(Eviction::Lfu),
        Some("fifo") => Ok(Eviction::Fifo),
        _ => Err(PyTypeError::new_err(format!(
            "eviction_policy must be LRUEviction(), LFUEviction() or FIFOEviction() from \
             cachine.strategies, not {}",
            type_name(policy)
        ))),
    }
}

fn namespace(py: Python<'_>, name: Option<&Bound<'_, PyAny>>) -> PyResult<Namespace> {
    let Some(name) = name else { return Ok(Namespace::default()) };
    Namespace::new(convert::namespace(name)?).or_raise(py)
}

#[pymethods]
impl Memory {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { inner: OnceLock::new() }
    }

    #[pyo3(signature = (max_size=None, eviction_policy=None, namespace=None, *, max_weight=None,
        weigher=None))]
    fn __init__(
        &self,
        py: Python<'_>,
        max_size: Option<&Bound<'_, PyAny>>,
        eviction_policy: Option<&Bound<'_, PyAny>>,
        namespace: Option<&Bound<'_, PyAny>>,
        max_weight: Option<&Bound<'_, PyAny>>,
        weigher: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let bounds = Bounds {
            max_size: convert::bound(max_size, "max_size")?,
            max_weight: convert::bound(max_weight, "max_weight")?,
            eviction: eviction(eviction_policy)?,
        };
        if let Some(weigher) = weigher.filter(|weigher| !weigher.is_callable()) {
            let kind = type_name(weigher);
            return Err(PyTypeError::new_err(format!(
                "weigher must be a callable (key, value) -> int, not {kind}"
            )));
        }
        if weigher.is_some() != max_weight.is_some() {
            let message = "max_weight and weigher belong together: give both or neither";
            return Err(errors::make(py, "ConfigError", message, "InMemoryCache", false));
        }
        let namespace = self::namespace(py, namespace)?;
        let view = Arc::new(View::new(bounds, namespace, clock::current()));
        fork::watch(&view);
        let shelf = Shelf {
            store: Arc::clone(view.store()),
            identities: Identities::new(py, view.store()),
            weigher: weigher.map(Weigher::new),
        };
        let inner = Inner { view, shelf: Py::new(py, shelf)? };
        self.inner
            .set(inner)
            .map_err(|_| PyRuntimeError::new_err("this cache was initialised before"))
    }

    /// What `get` does for a call with keywords.
    #[pyo3(signature = (key, default=None))]
    fn _get(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let default = default.map_or_else(|| py.None(), |default| default.clone().unbind());
        let found = self.look_up(py, key)?;
        // SAFETY: a look-up gives a new reference or null.
        let found = unsafe { Bound::from_owned_ptr_or_opt(py, found) };
        Ok(found.map_or(default, Bound::unbind))
    }

    /// Store a value for ttl seconds, or until it is removed.
    #[pyo3(signature = (key, value, ttl=None, *, tags=None))]
    fn set(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let key = convert::key(key, "set")?;
        let ttl = convert::optional_span(ttl, "ttl")?;
        let tags = convert::tags(tags)?;
        let weight = self.weigh(key, value)?;
        let value = Value { value: Object::new(value), ttl, tags: &tags, weight };
        self.view()?.set(key, value).or_raise(py)
    }

    /// Remove a key; True when a live entry was removed.
    fn delete(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.view()?.delete(convert::key(key, "delete")?).or_raise(py)
    }

    /// Whether a key has a live entry.
    fn exists(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let key = convert::key(key, "exists")?;
        Ok(self.view()?.remaining(key, "exists").or_raise(py)? != Remaining::Missing)
    }

    /// Remove every entry of this namespace.
    #[pyo3(signature = (*, dangerously_clear_all=false))]
    fn clear(&self, py: Python<'_>, dangerously_clear_all: bool) -> PyResult<()> {
        self.view()?.clear(dangerously_clear_all).or_raise(py)
    }

    /// Return the seconds that a key has left, rounded up, or None.
    fn ttl(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
        let key = convert::key(key, "ttl")?;
        Ok(match self.view()?.remaining(key, "ttl").or_raise(py)? {
            Remaining::Missing | Remaining::Forever => None,
            Remaining::Nanoseconds(left) => Some(left.div_ceil(1_000_000_000)),
        })
    }

    /// Give a live entry a new life of ttl seconds; True when there was one.
    fn expire(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        ttl: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let ttl = convert::span(ttl, "ttl")?;
        let (view, key) = self.checked(py, key, "expire")?;
        view.expire(key, ttl).or_raise(py)
    }

    /// Let a live entry end at a time; True when there was one.
    fn expire_at(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        when: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let left = convert::until(when, "when")?;
        let (view, key) = self.checked(py, key, "expire_at")?;
        view.expire(key, left.unwrap_or(Duration::ZERO)).or_raise(py)
    }

    /// Let a live entry live for ever; True when it had an end.
    fn persist(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.view()?.persist(convert::key(key, "persist")?).or_raise(py)
    }

    /// Count as a use of a live entry, and renew its ttl if one is given; True when there was one.
    #[pyo3(signature = (key, ttl=None))]
    fn touch(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let ttl = convert::optional_span(ttl, "ttl")?;
        let (view, key) = self.checked(py, key, "touch")?;
        view.touch(key, ttl).or_raise(py)
    }

    /// Add to a counter and return the new number.
    #[pyo3(signature = (key, delta=Delta::One, ttl_on_create=None),
        text_signature = "($self, key, delta=1, ttl_on_create=None)")]
    fn incr(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        delta: Delta<'_>,
        ttl_on_create: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<i64> {
        let delta = delta.check("incr")?;
        self.count(py, "incr", key, i128::from(delta), ttl_on_create)
    }

    /// Subtract from a counter and return the new number.
    #[pyo3(signature = (key, delta=Delta::One, ttl_on_create=None),
        text_signature = "($self, key, delta=1, ttl_on_create=None)")]
    fn decr(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        delta: Delta<'_>,
        ttl_on_create: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<i64> {
        let delta = delta.check("decr")?;
        self.count(py, "decr", key, -i128::from(delta), ttl_on_create)
    }

    /// Add tags to a live entry; True when there was one.
    fn add_tags(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        tags: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let key = convert::key(key, "add_tags")?;
        self.view()?.add_tags(key, &convert::tags(Some(tags))?).or_raise(py)
    }

    /// Remove every entry that has one of the tags; how many live ones there were.
    fn invalidate_tags(&self, py: Python<'_>, tags: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.view()?.invalidate_tags(&convert::tags(Some(tags))?).or_raise(py)
    }

    /// End the use of this cache.
    fn close(&self) {
        if let Some(inner) = self.inner.get() {
            inner.view.close();
        }
    }

    /// Fail when this cache was closed.
    fn _check_open(&self, py: Python<'_>, operation: &str) -> PyResult<()> {
        self.view()?.open(known(operation)).or_raise(py)
    }

    /// Fail when this cache was closed, or the key is none.
    fn _check_key(&self, py: Python<'_>, key: &Bound<'_, PyAny>, operation: &str) -> PyResult<()> {
        self.checked(py, key, known(operation)).map(drop)
    }

    /// Make this object a view on the store of another one.
    fn _share(
        &self,
        py: Python<'_>,
        other: &Bound<'_, Self>,
        name: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let name = convert::namespace(name)?;
        let (view, shelf) = other.get().parts(py)?;
        view.open("with_namespace").or_raise(py)?;
        let view = Arc::new(view.with_namespace(name).or_raise(py)?);
        drop(self.inner.set(Inner { view, shelf }));
        Ok(())
    }

    /// The value of a key when it is fresh, or the default; a miss is not counted yet.
    fn _fresh(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        default: Py<PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let key = convert::key(key, "get_or_set")?;
        let view = self.view()?;
        view.open("get_or_set").or_raise(py)?;
        Ok(view.get_fresh(key, |value| value.get(py)).unwrap_or(default))
    }

    /// Looks at the store, for a ping.
    fn _peek(&self) -> PyResult<bool> {
        Ok(self.view()?.peek("~", |_| ()).is_some())
    }

    /// A call with a key of the user's, for `get_or_set`.
    fn _call(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        terms: &Bound<'_, Terms>,
    ) -> PyResult<Call> {
        let text = convert::key(key, "get_or_set")?;
        cachine::core::key::validate(text, "get_or_set").or_raise(py)?;
        let inner = self.inner()?;
        let physical = inner.view.namespace().key(text).into_bytes();
        let terms = Arc::new(terms.get().clone());
        let (view, shelf) = (Arc::clone(&inner.view), inner.shelf.clone_ref(py));
        Ok(Call::new(shelf, view, physical.into(), terms, None, Vec::new()))
    }

    /// (hits, misses, stale, coalesced, sets, deletes, evictions, errors), hit rate, mean
    /// milliseconds of a read.
    fn _counts(&self) -> PyResult<([u64; 8], f64, f64)> {
        let stats = self.view()?.counters().read();
        let counts = [
            stats.hits,
            stats.misses,
            stats.stale,
            stats.coalesced,
            stats.sets,
            stats.deletes,
            stats.evictions,
            stats.errors,
        ];
        Ok((counts, stats.hit_rate(), stats.mean_latency().as_secs_f64() * 1000.0))
    }

    fn _reset_counts(&self) -> PyResult<()> {
        self.view()?.counters().reset();
        Ok(())
    }

    /// How many entries this namespace has, expired ones not yet freed included.
    fn _len(&self) -> PyResult<usize> {
        let view = self.view()?;
        let prefix = view.namespace().name().map(|_| view.namespace().prefix().as_bytes());
        Ok(view.store().len(prefix))
    }

    #[getter]
    fn namespace(&self) -> PyResult<Option<String>> {
        Ok(self.view()?.namespace().name().map(str::to_owned))
    }

    #[getter]
    fn closed(&self) -> bool {
        self.inner.get().is_some_and(|inner| inner.view.is_closed())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.inner.get().map_or(Ok(()), |inner| visit.call(&inner.shelf))
    }
}

impl Memory {
    /// Adds to a counter: reads, computes outside the lock, and writes if nobody else did.
    fn count(
        &self,
        py: Python<'_>,
        operation: &'static str,
        key: &Bound<'_, PyAny>,
        delta: i128,
        ttl_on_create: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<i64> {
        let ttl = convert::optional_span(ttl_on_create, "ttl_on_create")?;
        let (view, key) = self.checked(py, key, operation)?;
        loop {
            let stored = view.peek(key, |value| value.get(py));
            let before = match &stored {
                None => 0,
                Some(value) => counter(value.bind(py), operation)?,
            };
            let Ok(after) = i64::try_from(i128::from(before) + delta) else {
                let message = format!(
                    "{operation}: the counter would leave the range of 64 bits; it keeps its value"
                );
                return Err(errors::make(py, "CounterOverflowError", &message, operation, false));
            };
            let new = PyInt::new(py, after).into_any();
            let weight = self.weigh(key, &new)?;
            let new = Object::new(&new);
            let is_new = stored.is_none();
            let done = match stored {
                None => view.add(key, Value { value: new, ttl, tags: &[], weight }).or_raise(py)?,
                Some(old) => view.replace(key, new, weight, |value| value.is(&old)).or_raise(py)?,
            };
            // With a ttl_on_create of zero the counter is gone as soon as it is made.
            if done.is_ok() || is_new && ttl.is_some_and(|ttl| ttl.is_zero()) {
                return Ok(after);
            }
        }
    }
}

/// The name of an operation that is written in Python.
fn known(operation: &str) -> &'static str {
    let known = ["ping", "lock", "get_or_set", "get_many", "set_many", "delete_many", "enter"];
    known.into_iter().find(|name| *name == operation).unwrap_or("use")
}

fn counter(value: &Bound<'_, PyAny>, operation: &'static str) -> PyResult<i64> {
    let py = value.py();
    if !value.is_exact_instance_of::<PyInt>() {
        let message = format!(
            "{operation}: the value of this key is of type {}, not an int; it was not changed",
            type_name(value)
        );
        return Err(errors::make(py, "SerializationError", &message, operation, false));
    }
    value.extract::<i64>().map_err(|_| {
        let message = format!("{operation}: the int of this key has more than 64 bits");
        errors::make(py, "CounterOverflowError", &message, operation, false)
    })
}
