//! The in-memory cache as Python calls it.
//!
//! The public classes are written in Python and inherit from this one, so that a hit costs no
//! second call. An asynchronous cache is the same object with coroutine functions in front.

mod count;
pub(crate) mod options;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cachine::core::stats::Tally;
use cachine::core::store::{Bounds, Remaining};
use cachine::{Value, View};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::call::{Call, Terms};
use crate::clock;
use crate::convert::{self, Delta, type_name};
use crate::errors::{self, OrRaise};
use crate::fork;
use crate::form::Form;
use crate::host::{Object, PyHost, Shelf, Weigher};
use crate::identity::Identities;
use crate::numbers::{self, Numbers};
use crate::steps;
use crate::turn::Turn;
use crate::values::Serializer;

/// A cache in the memory of this process.
#[pyclass(frozen, subclass, weakref, generic, module = "cachine._core")]
pub(crate) struct Memory {
    inner: OnceLock<Inner>,
}

/// What a cache is made of; what functions and calls share with it.
pub(crate) struct Inner {
    pub(crate) view: Arc<View<PyHost>>,
    pub(crate) shelf: Py<Shelf>,
    /// Without one, values are kept as the objects that they are.
    pub(crate) form: Option<Py<Form>>,
}

impl Inner {
    fn new(view: View<PyHost>, shelf: Py<Shelf>, form: Option<Py<Form>>) -> Self {
        Self { view: Arc::new(view), shelf, form }
    }

    pub(crate) fn share(&self, py: Python<'_>) -> Self {
        let form = self.form.as_ref().map(|form| form.clone_ref(py));
        Self { view: Arc::clone(&self.view), shelf: self.shelf.clone_ref(py), form }
    }

    /// The form of one call, which may name its own serializer.
    fn form(
        &self,
        py: Python<'_>,
        serializer: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Py<Form>>> {
        let own = self.form.as_ref();
        let Some(serializer) = serializer else { return Ok(own.map(|form| form.clone_ref(py))) };
        let serializer = Serializer::of(serializer)?;
        let form = match own {
            None => Form::new(serializer),
            Some(form) => form.get().with_serializer(serializer),
        };
        Py::new(py, form).map(Some)
    }
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
        let inner = self.inner()?;
        let found = match &inner.form {
            None => inner.view.get(key, Object::copy).or_raise(py)?,
            Some(form) => Self::read(py, inner, form.get(), key)?.map(Py::into_ptr),
        };
        Ok(found.unwrap_or(std::ptr::null_mut()))
    }

    /// The value of a key that is kept as bytes.
    fn read(py: Python<'_>, inner: &Inner, form: &Form, key: &str) -> PyResult<Option<Py<PyAny>>> {
        let view = &*inner.view;
        let finish = |stored: Py<PyAny>| form.read(view, key, stored.bind(py)).map(Bound::unbind);
        let found = view.get_with(key, |stored| stored.get(py), finish).or_raise(py)?;
        let found = found.transpose();
        if found.is_err() {
            Tally::of(view.counters()).undecoded();
        }
        found
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

    pub(crate) fn parts(&self, py: Python<'_>) -> PyResult<Inner> {
        self.inner().map(|inner| inner.share(py))
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

    /// The weight of what is stored under a key.
    fn weigh(&self, py: Python<'_>, key: &str, stored: &Object) -> PyResult<u64> {
        options::weigh(&self.inner()?.shelf, py, key, stored)
    }
}

#[pymethods]
impl Memory {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { inner: OnceLock::new() }
    }

    #[pyo3(signature = (max_size=None, eviction_policy=None, namespace=None, *, max_weight=None,
        weigher=None, serializer=None))]
    #[expect(clippy::too_many_arguments, reason = "the options of a cache")]
    fn __init__(
        &self,
        py: Python<'_>,
        max_size: Option<&Bound<'_, PyAny>>,
        eviction_policy: Option<&Bound<'_, PyAny>>,
        namespace: Option<&Bound<'_, PyAny>>,
        max_weight: Option<&Bound<'_, PyAny>>,
        weigher: Option<&Bound<'_, PyAny>>,
        serializer: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let bounds = Bounds {
            max_size: convert::bound(max_size, "max_size")?,
            max_weight: convert::bound(max_weight, "max_weight")?,
            eviction: options::eviction(eviction_policy)?,
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
        let namespace = options::namespace(py, namespace)?;
        let form = serializer.map(Serializer::of).transpose()?.map(Form::new);
        let form = form.map(|form| Py::new(py, form)).transpose()?;
        let view = View::new(bounds, namespace, clock::current());
        fork::watch(&view);
        let shelf = Shelf {
            store: Arc::clone(view.store()),
            identities: Identities::new(py, view.store()),
            weigher: weigher.map(Weigher::new),
        };
        let inner = Inner::new(view, Py::new(py, shelf)?, form);
        self.inner
            .set(inner)
            .map_err(|_| PyRuntimeError::new_err("this cache was initialised before"))
    }

    /// What `get` does for a call with keywords.
    #[pyo3(signature = (key, default=None, *, serializer=None))]
    fn _get(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        default: Option<&Bound<'_, PyAny>>,
        serializer: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let default = default.map_or_else(|| py.None(), |default| default.clone().unbind());
        if let Some(serializer) = serializer {
            let (inner, text) = (self.inner()?, convert::key(key, "get")?);
            let form = inner.form(py, Some(serializer))?;
            let found = form.map(|form| Self::read(py, inner, form.get(), text)).transpose()?;
            return Ok(found.flatten().unwrap_or(default));
        }
        let found = self.look_up(py, key)?;
        // SAFETY: a look-up gives a new reference or null.
        let found = unsafe { Bound::from_owned_ptr_or_opt(py, found) };
        Ok(found.map_or(default, Bound::unbind))
    }

    /// Store a value for ttl seconds, or until it is removed.
    #[pyo3(signature = (key, value, ttl=None, *, tags=None, serializer=None))]
    fn set(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        serializer: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let key = convert::key(key, "set")?;
        let ttl = convert::optional_span(ttl, "ttl")?;
        let tags = convert::tags(tags)?;
        let inner = self.inner()?;
        let stored = if inner.form.is_none() && serializer.is_none() {
            Object::new(value)
        } else {
            self.write(py, "set", key, value, serializer)?
        };
        let weight = self.weigh(py, key, &stored)?;
        inner.view.set(key, Value { value: stored, ttl, tags: &tags, weight }).or_raise(py)
    }

    /// Store several values, pairs of key and value: all of them or, where one can't be kept, none.
    #[expect(clippy::needless_pass_by_value, reason = "what pyo3 makes of a list")]
    fn _set_many(
        &self,
        py: Python<'_>,
        items: Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>)>,
        ttl: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let ttl = convert::optional_span(ttl, "ttl")?;
        let mut ready = Vec::with_capacity(items.len());
        for (key, value) in &items {
            let key = convert::key(key, "set_many")?;
            let stored = self.write(py, "set_many", key, value, None)?;
            let weight = self.weigh(py, key, &stored)?;
            ready.push((key, Value { value: stored, ttl, tags: &[], weight }));
        }
        let view = self.view()?;
        ready.into_iter().try_for_each(|(key, value)| view.set(key, value).or_raise(py))
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
        self.view()?.open(numbers::known(operation)).or_raise(py)
    }

    /// Fail when this cache was closed, or the key is none.
    fn _check_key(&self, py: Python<'_>, key: &Bound<'_, PyAny>, operation: &str) -> PyResult<()> {
        self.checked(py, key, numbers::known(operation)).map(drop)
    }

    /// Make this object a cache on the store of another one, with one more step.
    fn _wrap(
        &self,
        py: Python<'_>,
        other: &Bound<'_, Self>,
        step: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let Inner { view, shelf, form } = other.get().parts(py)?;
        view.open("wrap").or_raise(py)?;
        let step = steps::wrapping(step);
        let view = view.wrapped(step.is_none());
        let form = match (step, form) {
            (None, form) => form,
            (Some(step), Some(form)) => Some(Py::new(py, form.get().wrapped(py, step)?)?),
            (Some(step), None) => {
                let form = Form::new(Serializer::exact(py)?);
                Some(Py::new(py, form.wrapped(py, step)?)?)
            }
        };
        drop(self.inner.set(Inner::new(view, shelf, form)));
        Ok(())
    }

    /// Whether values are kept as bytes.
    #[getter]
    fn _has_form(&self) -> PyResult<bool> {
        Ok(self.inner()?.form.is_some())
    }

    /// Make this object a view on the store of another one.
    fn _share(
        &self,
        py: Python<'_>,
        other: &Bound<'_, Self>,
        name: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let name = convert::namespace(name)?;
        let Inner { view, shelf, form } = other.get().parts(py)?;
        view.open("with_namespace").or_raise(py)?;
        let view = view.with_namespace(name).or_raise(py)?;
        drop(self.inner.set(Inner::new(view, shelf, form)));
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
        let inner = self.inner()?;
        inner.view.open("get_or_set").or_raise(py)?;
        let view = &*inner.view;
        let started = view.counters().times_all().then(|| view.store().now());
        let found = view.get_fresh(key, |stored| stored.get(py));
        let read = match (&found, &inner.form) {
            (Some(stored), Some(form)) => form.get().read(view, key, stored.bind(py)),
            _ => Ok(found.unwrap_or(default.clone_ref(py)).into_bound(py)),
        };
        if let Some(started) = started {
            view.counters().sample(view.store().now().saturating_sub(started));
        }
        match read {
            Ok(value) => Ok(value.unbind()),
            Err(error) => errors::forgive(py, error).map(|_| {
                inner.view.filling(None).retract(); // The call that follows counts it.
                default
            }),
        }
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
        Ok(Call::new(inner.share(py), physical.into(), terms, None, Vec::new()))
    }

    /// A place in the queue of a lock, which does not stand in line yet.
    fn _turn(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Turn> {
        let text = convert::key(name, "lock")?;
        let inner = self.inner()?;
        Ok(Turn::new(Arc::clone(&inner.view), text.into(), inner.shelf.clone_ref(py)))
    }

    /// See `numbers`.
    fn _counts(&self) -> PyResult<Numbers> {
        Ok(numbers::read(self.view()?.counters()))
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
        let Some(inner) = self.inner.get() else { return Ok(()) };
        visit.call(&inner.shelf)?;
        inner.form.as_ref().map_or(Ok(()), |form| visit.call(form))
    }
}

impl Memory {
    /// What is stored of a value, in the form of this cache or of the call.
    fn write(
        &self,
        py: Python<'_>,
        operation: &'static str,
        key: &str,
        value: &Bound<'_, PyAny>,
        serializer: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Object> {
        let inner = self.inner()?;
        let view = &*inner.view;
        view.open(operation).or_raise(py)?;
        cachine::core::key::validate(key, operation).or_raise(py)?;
        let Some(form) = inner.form(py, serializer)? else { return Ok(Object::new(value)) };
        let tally = Tally::of(view.counters());
        let written = form.get().write(view, tally, key, value);
        if written.is_err() {
            tally.error();
        }
        written
    }
}
