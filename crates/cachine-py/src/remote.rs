//! Redis as Python calls it.
//!
//! The public classes are written in Python and inherit from this one. Each method serves both of
//! them: `at` is None for a thread that waits, and for a task the place where it will be told; see
//! `operation`.

pub(crate) mod fill;
pub(crate) mod lock;
pub(crate) mod operation;
pub(crate) mod signals;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cachine::View;
use cachine::core::stats::Tally;
use cachine::core::store::Remaining;
use cachine::space::Space;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{IntoPyObjectExt, PyTraverseError};

use crate::convert::{self, Delta};
use crate::errors::OrRaise;
use crate::form::Form;
use crate::host::PyHost;
use crate::memory::{Memory, options};
use crate::numbers;
use crate::remote::operation::{Answer, Place, operate};
use crate::server::{Server, Shared};
use crate::steps;
use crate::values::Serializer;

/// A cache in Redis.
#[pyclass(frozen, subclass, weakref, generic, module = "cachine._core")]
pub(crate) struct Remote {
    inner: OnceLock<Inner>,
}

/// What a cache is made of.
pub(crate) struct Inner {
    pub(crate) space: Arc<Space>,
    pub(crate) server: Arc<Shared>,
    pub(crate) form: Py<Form>,
    /// The computations under way in this process, in a store that never keeps anything.
    flights: Py<Memory>,
    /// The same, to fence them.
    fences: Arc<View<PyHost>>,
}

impl Inner {
    fn new(
        py: Python<'_>,
        space: Space,
        server: Arc<Shared>,
        form: Py<Form>,
        flights: Py<Memory>,
    ) -> PyResult<Self> {
        let fences = flights.get().parts(py)?.view;
        Ok(Self { space: Arc::new(space), server, form, flights, fences })
    }

    /// The form of one call, which may name its own serializer.
    fn form(&self, py: Python<'_>, serializer: Option<&Bound<'_, PyAny>>) -> PyResult<Py<Form>> {
        let Some(serializer) = serializer else { return Ok(self.form.clone_ref(py)) };
        Py::new(py, self.form.get().with_serializer(Serializer::of(serializer)?))
    }

    /// What to store of a value; a key that is none is refused before its value is looked at.
    fn written(
        &self,
        form: &Form,
        operation: &'static str,
        key: &str,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<u8>> {
        self.space.check(key, operation).or_raise(value.py())?;
        let tally = self.space.tally();
        let written = form.write_bytes(tally, &self.space.physical(key), value);
        written.inspect_err(|_| tally.error())
    }
}

/// The value of stored bytes; one that can't be read is an error and no hit.
fn decoded(py: Python<'_>, space: &Space, form: &Form, key: &str, stored: &[u8]) -> Answer {
    let read = form.read_bytes(py, &space.physical(key), stored);
    read.map(Bound::unbind).inspect_err(|_| Tally::of(space.counters()).undecoded())
}

/// Something that Python gets.
fn plain<'py, T: IntoPyObjectExt<'py>>(py: Python<'py>, value: T) -> Answer {
    Ok(value.into_bound_py_any(py)?.unbind())
}

impl Remote {
    pub(crate) fn inner(&self) -> PyResult<&Inner> {
        self.inner.get().ok_or_else(|| {
            PyRuntimeError::new_err("this cache was not initialised: call super().__init__()")
        })
    }
}

#[pymethods]
impl Remote {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { inner: OnceLock::new() }
    }

    /// Makes this object a cache on a server; `flights` are shared by all caches on it.
    #[pyo3(signature = (server, namespace, serializer, flights))]
    fn _connect(
        &self,
        py: Python<'_>,
        server: &Bound<'_, Server>,
        namespace: Option<&Bound<'_, PyAny>>,
        serializer: Option<&Bound<'_, PyAny>>,
        flights: Py<Memory>,
    ) -> PyResult<()> {
        let namespace = options::namespace(py, namespace)?;
        let serializer = match serializer {
            Some(serializer) => Serializer::of(serializer)?,
            None => Serializer::exact(py)?,
        };
        let form = Py::new(py, Form::new(serializer))?;
        let server = Arc::clone(&server.get().0);
        let inner = Inner::new(py, Space::new(namespace), server, form, flights)?;
        self.inner
            .set(inner)
            .map_err(|_| PyRuntimeError::new_err("this cache was initialised before"))
    }

    #[pyo3(signature = (key, default=None, serializer=None, at=None))]
    fn _get(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
        serializer: Option<&Bound<'_, PyAny>>,
        at: Place<'_>,
    ) -> Answer {
        let key: Arc<str> = convert::key(key, "get")?.into();
        let inner = self.inner()?;
        let form = inner.form(py, serializer)?;
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let (asked, asked_space) = (Arc::clone(&key), Arc::clone(&space));
        let then = move |py: Python<'_>, found: Option<Vec<u8>>| match found {
            Some(stored) => decoded(py, &space, form.get(), &key, &stored),
            None => Ok(default.unwrap_or_else(|| py.None())),
        };
        operate!(py, server, at, |client| asked_space.get(&client, &asked).await, then)
    }

    #[pyo3(signature = (keys, at=None))]
    fn _get_many(&self, py: Python<'_>, keys: Vec<String>, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let form = inner.form.clone_ref(py);
        let keys: Arc<[String]> = keys.into();
        let (asked, asked_space) = (Arc::clone(&keys), Arc::clone(&space));
        let then = move |py: Python<'_>, found: Vec<Option<Vec<u8>>>| {
            let values = PyDict::new(py);
            for (key, stored) in keys.iter().zip(found) {
                if let Some(stored) = stored {
                    values.set_item(key, decoded(py, &space, form.get(), key, &stored)?)?;
                }
            }
            Ok(values.into_any().unbind())
        };
        operate!(py, server, at, |client| asked_space.get_many(&client, &asked).await, then)
    }

    #[pyo3(signature = (key, value, ttl=None, tags=None, serializer=None, at=None))]
    #[expect(clippy::too_many_arguments, reason = "the options of a write")]
    fn _set(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        tags: Option<&Bound<'_, PyAny>>,
        serializer: Option<&Bound<'_, PyAny>>,
        at: Place<'_>,
    ) -> Answer {
        let key = convert::key(key, "set")?;
        let ttl = convert::optional_span(ttl, "ttl")?;
        let tags = convert::tags(tags)?;
        let inner = self.inner()?;
        let form = inner.form(py, serializer)?;
        let stored = inner.written(form.get(), "set", key, value)?;
        let (space, fences) = (Arc::clone(&inner.space), Arc::clone(&inner.fences));
        let key: Arc<str> = key.into();
        let asked = Arc::clone(&key);
        let then = move |py: Python<'_>, ()| fence(py, &fences, &key).map(|()| py.None());
        let server = &inner.server;
        operate!(
            py,
            server,
            at,
            |client| space.set(&client, &asked, stored, ttl, &tags).await,
            then
        )
    }

    #[expect(clippy::needless_pass_by_value, reason = "what pyo3 makes of a list")]
    #[pyo3(signature = (items, ttl=None, at=None))]
    fn _set_many(
        &self,
        py: Python<'_>,
        items: Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>)>,
        ttl: Option<&Bound<'_, PyAny>>,
        at: Place<'_>,
    ) -> Answer {
        let ttl = convert::optional_span(ttl, "ttl")?;
        let inner = self.inner()?;
        let mut entries = Vec::with_capacity(items.len());
        for (key, value) in &items {
            let key = convert::key(key, "set_many")?;
            let stored = inner.written(inner.form.get(), "set_many", key, value)?;
            entries.push((key.to_owned(), stored));
        }
        let keys: Vec<_> = entries.iter().map(|(key, _)| key.clone()).collect();
        let (space, fences) = (Arc::clone(&inner.space), Arc::clone(&inner.fences));
        let then = move |py: Python<'_>, ()| {
            keys.iter().try_for_each(|key| fence(py, &fences, key)).map(|()| py.None())
        };
        let server = &inner.server;
        operate!(py, server, at, |client| space.set_many(&client, entries, ttl).await, then)
    }

    #[pyo3(signature = (key, at=None))]
    fn _delete(&self, py: Python<'_>, key: &Bound<'_, PyAny>, at: Place<'_>) -> Answer {
        self.living(py, "delete", key, Duration::ZERO, at)
    }

    #[pyo3(signature = (keys, at=None))]
    fn _delete_many(&self, py: Python<'_>, keys: Vec<String>, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let (space, fences) = (Arc::clone(&inner.space), Arc::clone(&inner.fences));
        let keys: Arc<[String]> = keys.into();
        let asked = Arc::clone(&keys);
        let then = move |py: Python<'_>, gone: u64| {
            keys.iter().try_for_each(|key| fence(py, &fences, key))?;
            plain(py, gone)
        };
        let server = &inner.server;
        operate!(py, server, at, |client| space.delete_many(&client, &asked).await, then)
    }

    #[pyo3(signature = (key, at=None))]
    fn _exists(&self, py: Python<'_>, key: &Bound<'_, PyAny>, at: Place<'_>) -> Answer {
        let key = convert::key(key, "exists")?.to_owned();
        let inner = self.inner()?;
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        operate!(py, server, at, |client| space.exists(&client, &key).await, plain_bool)
    }

    #[pyo3(signature = (dangerously_clear_all=false, at=None))]
    fn _clear(&self, py: Python<'_>, dangerously_clear_all: bool, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let (space, fences) = (Arc::clone(&inner.space), Arc::clone(&inner.fences));
        let then = move |py: Python<'_>, ()| {
            fences.clear(true).or_raise(py)?;
            Ok(py.None())
        };
        let server = &inner.server;
        operate!(py, server, at, |client| space.clear(&client, dangerously_clear_all).await, then)
    }

    #[pyo3(signature = (prefix, at=None))]
    fn _clear_prefix(&self, py: Python<'_>, prefix: String, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let (space, fences) = (Arc::clone(&inner.space), Arc::clone(&inner.fences));
        let then = move |py: Python<'_>, ()| {
            fences.clear(true).or_raise(py)?;
            Ok(py.None())
        };
        let server = &inner.server;
        operate!(py, server, at, |client| space.clear_prefix(&client, &prefix).await, then)
    }

    #[pyo3(signature = (key, at=None))]
    fn _ttl(&self, py: Python<'_>, key: &Bound<'_, PyAny>, at: Place<'_>) -> Answer {
        let key = convert::key(key, "ttl")?.to_owned();
        let inner = self.inner()?;
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let then = |py: Python<'_>, left: Remaining| match left {
            Remaining::Missing | Remaining::Forever => Ok(py.None()),
            Remaining::Nanoseconds(left) => plain(py, left.div_ceil(1_000_000_000)),
        };
        operate!(py, server, at, |client| space.remaining(&client, &key).await, then)
    }

    #[pyo3(signature = (key, ttl, at=None))]
    fn _expire(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        ttl: &Bound<'_, PyAny>,
        at: Place<'_>,
    ) -> Answer {
        let ttl = convert::span(ttl, "ttl")?;
        self.living(py, "expire", key, ttl, at)
    }

    #[pyo3(signature = (key, when, at=None))]
    fn _expire_at(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        when: &Bound<'_, PyAny>,
        at: Place<'_>,
    ) -> Answer {
        let left = convert::until(when, "when")?;
        self.living(py, "expire_at", key, left.unwrap_or(Duration::ZERO), at)
    }

    #[pyo3(signature = (key, at=None))]
    fn _persist(&self, py: Python<'_>, key: &Bound<'_, PyAny>, at: Place<'_>) -> Answer {
        let key = convert::key(key, "persist")?.to_owned();
        let inner = self.inner()?;
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        operate!(py, server, at, |client| space.persist(&client, &key).await, plain_bool)
    }

    #[pyo3(signature = (key, ttl=None, at=None))]
    fn _touch(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        at: Place<'_>,
    ) -> Answer {
        let ttl = convert::optional_span(ttl, "ttl")?;
        if let Some(ttl) = ttl.filter(Duration::is_zero) {
            return self.living(py, "touch", key, ttl, at);
        }
        let (inner, key) = (self.inner()?, convert::key(key, "touch")?.to_owned());
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        operate!(py, server, at, |client| space.touch(&client, &key, ttl).await, plain_bool)
    }

    #[pyo3(signature = (key, delta=Delta::One, ttl_on_create=None, at=None),
        text_signature = "($self, key, delta=1, ttl_on_create=None, at=None)")]
    fn _incr(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        delta: Delta<'_>,
        ttl_on_create: Option<&Bound<'_, PyAny>>,
        at: Place<'_>,
    ) -> Answer {
        let delta = delta.check("incr")?;
        self.count(py, "incr", key, i128::from(delta), ttl_on_create, at)
    }

    #[pyo3(signature = (key, delta=Delta::One, ttl_on_create=None, at=None),
        text_signature = "($self, key, delta=1, ttl_on_create=None, at=None)")]
    fn _decr(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        delta: Delta<'_>,
        ttl_on_create: Option<&Bound<'_, PyAny>>,
        at: Place<'_>,
    ) -> Answer {
        let delta = delta.check("decr")?;
        self.count(py, "decr", key, -i128::from(delta), ttl_on_create, at)
    }

    #[pyo3(signature = (key, tags, at=None))]
    fn _add_tags(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        tags: &Bound<'_, PyAny>,
        at: Place<'_>,
    ) -> Answer {
        let key = convert::key(key, "add_tags")?.to_owned();
        let tags = convert::tags(Some(tags))?;
        let inner = self.inner()?;
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        operate!(py, server, at, |client| space.add_tags(&client, &key, &tags).await, plain_bool)
    }

    #[pyo3(signature = (tags, at=None))]
    fn _invalidate_tags(&self, py: Python<'_>, tags: &Bound<'_, PyAny>, at: Place<'_>) -> Answer {
        let tags: Arc<[String]> = convert::tags(Some(tags))?.into();
        let inner = self.inner()?;
        let (space, fences) = (Arc::clone(&inner.space), Arc::clone(&inner.fences));
        let asked = Arc::clone(&tags);
        let then = move |py: Python<'_>, count: u64| {
            fences.invalidate_tags(&tags).or_raise(py)?;
            plain(py, count)
        };
        let server = &inner.server;
        operate!(py, server, at, |client| space.invalidate_tags(&client, &asked).await, then)
    }

    /// How many milliseconds the server took to answer.
    #[pyo3(signature = (at=None))]
    fn _ping(&self, py: Python<'_>, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let then = |py: Python<'_>, took: Duration| plain(py, took.as_secs_f64() * 1000.0);
        operate!(py, server, at, |client| space.ping(&client).await, then)
    }

    /// End the use of this cache; whether its connections are to be closed.
    fn _close(&self) -> bool {
        let Some(inner) = self.inner.get() else { return false };
        let is_owner = inner.space.close();
        if is_owner {
            inner.server.client().link().close();
        }
        is_owner
    }

    /// Fail when this cache was closed.
    fn _check_open(&self, py: Python<'_>, operation: &str) -> PyResult<()> {
        self.inner()?.space.open(numbers::known(operation)).or_raise(py)
    }

    /// Fail when this cache was closed, or the key is none.
    fn _check_key(&self, py: Python<'_>, key: &Bound<'_, PyAny>, operation: &str) -> PyResult<()> {
        let operation = numbers::known(operation);
        let key = convert::key(key, operation)?;
        self.inner()?.space.check(key, operation).or_raise(py)
    }

    /// Make this object a cache on the server of another one, with one more step.
    fn _wrap(
        &self,
        py: Python<'_>,
        other: &Bound<'_, Self>,
        step: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let other = other.get().inner()?;
        other.space.open("wrap").or_raise(py)?;
        let step = steps::wrapping(step);
        let space = other.space.wrapped(step.is_none());
        let form = match step {
            None => other.form.clone_ref(py),
            Some(step) => Py::new(py, other.form.get().wrapped(py, step)?)?,
        };
        let (server, flights) = (Arc::clone(&other.server), other.flights.clone_ref(py));
        drop(self.inner.set(Inner::new(py, space, server, form, flights)?));
        Ok(())
    }

    /// Make this object a view on the server of another one; `flights` are those of its namespace.
    fn _share(
        &self,
        py: Python<'_>,
        other: &Bound<'_, Self>,
        name: &Bound<'_, PyAny>,
        flights: Py<Memory>,
    ) -> PyResult<()> {
        let name = convert::namespace(name)?;
        let other = other.get().inner()?;
        other.space.open("with_namespace").or_raise(py)?;
        let space = other.space.with_namespace(name).or_raise(py)?;
        let (server, form) = (Arc::clone(&other.server), other.form.clone_ref(py));
        drop(self.inner.set(Inner::new(py, space, server, form, flights)?));
        Ok(())
    }

    /// The form of this cache; with types, one that knows those too.
    #[pyo3(signature = (types=None))]
    fn _form(&self, py: Python<'_>, types: Option<&Bound<'_, PyTuple>>) -> PyResult<Py<Form>> {
        let form = &self.inner()?.form;
        let more = types.map(|types| form.get().with_types(py, types)).transpose()?.flatten();
        more.map_or_else(|| Ok(form.clone_ref(py)), |form| Py::new(py, form))
    }

    #[getter]
    fn _flights(&self, py: Python<'_>) -> PyResult<Py<Memory>> {
        Ok(self.inner()?.flights.clone_ref(py))
    }

    /// See `numbers`.
    fn _counts(&self) -> PyResult<numbers::Numbers> {
        Ok(numbers::read(self.inner()?.space.counters()))
    }

    fn _reset_counts(&self) -> PyResult<()> {
        self.inner()?.space.counters().reset();
        Ok(())
    }

    #[getter]
    fn namespace(&self) -> PyResult<Option<String>> {
        Ok(self.inner()?.space.namespace().name().map(str::to_owned))
    }

    #[getter]
    fn closed(&self) -> bool {
        self.inner.get().is_some_and(|inner| inner.space.is_closed())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(inner) = self.inner.get() else { return Ok(()) };
        visit.call(&inner.form)?;
        visit.call(&inner.flights)
    }
}

impl Remote {
    /// Gives an entry a new life; one of zero deletes it, and what was under way for it is void.
    fn living(
        &self,
        py: Python<'_>,
        operation: &'static str,
        key: &Bound<'_, PyAny>,
        ttl: Duration,
        at: Place<'_>,
    ) -> Answer {
        let key: Arc<str> = convert::key(key, operation)?.into();
        let inner = self.inner()?;
        let (space, fences) = (Arc::clone(&inner.space), Arc::clone(&inner.fences));
        let asked = Arc::clone(&key);
        let then = move |py: Python<'_>, was_there: bool| {
            if ttl.is_zero() {
                fence(py, &fences, &key)?;
            }
            plain_bool(py, was_there)
        };
        let server = &inner.server;
        operate!(py, server, at, |client| space.expire(&client, &asked, ttl, operation).await, then)
    }

    fn count(
        &self,
        py: Python<'_>,
        operation: &'static str,
        key: &Bound<'_, PyAny>,
        delta: i128,
        ttl_on_create: Option<&Bound<'_, PyAny>>,
        at: Place<'_>,
    ) -> Answer {
        let ttl = convert::optional_span(ttl_on_create, "ttl_on_create")?;
        let key: Arc<str> = convert::key(key, operation)?.into();
        let inner = self.inner()?;
        inner.form.get().check_counters(operation).or_raise(py)?;
        let (space, fences) = (Arc::clone(&inner.space), Arc::clone(&inner.fences));
        let asked = Arc::clone(&key);
        let then = move |py: Python<'_>, number: i64| {
            fence(py, &fences, &key)?;
            plain(py, number)
        };
        let server = &inner.server;
        operate!(
            py,
            server,
            at,
            |client| space.incr(&client, &asked, delta, ttl, operation).await,
            then
        )
    }
}

/// Who asks for a key from now on does not join a computation that began before.
fn fence(py: Python<'_>, fences: &View<PyHost>, key: &str) -> PyResult<()> {
    fences.delete(key).or_raise(py).map(drop)
}

fn plain_bool(py: Python<'_>, value: bool) -> Answer {
    plain(py, value)
}
