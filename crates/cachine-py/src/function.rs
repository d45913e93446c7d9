//! The part of a cached function that decides whether a call is a hit.
//!
//! A hit is answered here: the arguments become a key on the stack, the store is asked, and the
//! stored object is returned. Everything else (the first call, a miss, a stale value, a cache that
//! is not ours) goes to Python glue, which runs user code with no frame of ours below it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use cachine::core::Tag;
use cachine::core::callkey::{self, CallKey};
use cachine::core::stats::{Counters, Tally};
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::binding::{Arguments, Refused, Signature};
use crate::call::{Call, Terms};
use crate::encode::Encoder;
use crate::errors::{self, OrRaise};
use crate::form::Form;
use crate::host::Object;
use crate::identity::{self, Anchor, Identities, Part};
use crate::memory::{Inner, Memory};

/// What is known about a decorated function.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct FunctionCore {
    /// Called with (function, args, kwargs) for everything that is no hit.
    pub(crate) miss: Py<PyAny>,
    pub(crate) is_coroutine: bool,
    signature: Signature,
    name: String,
    version: Option<String>,
    terms: Arc<Terms>,
    counters: Arc<Counters>,
    route: OnceLock<Box<Route>>,
}

/// Where the calls of a function go; decided at its first call.
struct Route {
    cache: Inner,
    /// Namespace, name and version: what stands before the arguments.
    prefix: Vec<u8>,
    /// The same as the beginning of a key.
    beginning: CallKey,
    /// How much of `prefix` is the namespace.
    namespace: usize,
    /// The tag of all entries of this function.
    tag: Box<str>,
    anchor: Py<Anchor>,
    /// The values are read and written by methods of the cache's own, so no look-up is a hit here.
    has_methods: bool,
    /// Others may share what is behind the cache: nothing is named by number.
    is_shared: bool,
}

impl Route {
    fn identities(&self) -> Option<&Arc<Identities>> {
        (!self.is_shared).then(|| &self.cache.shelf.get().identities)
    }
}

/// The answer of a look-up: a new reference to the value, or to `NotImplemented`, which a look-up
/// never finds as a value of its own.
///
/// A bare pointer, since this runs in a slot: there pyo3 does not know that the thread is attached,
/// and would put off releasing a reference of its own kind.
pub(crate) type Looked = *mut ffi::PyObject;

/// The answer of a look-up that found nothing.
pub(crate) fn elsewhere() -> Looked {
    // SAFETY: the singleton lives for ever.
    unsafe {
        let singleton = ffi::Py_NotImplemented();
        ffi::Py_INCREF(singleton);
        singleton
    }
}

impl FunctionCore {
    /// The stored value of a call, when it is fresh.
    #[inline]
    pub(crate) fn look_up(&self, py: Python<'_>, arguments: Arguments<'_>) -> PyResult<Looked> {
        let Some(route) = self.route.get() else { return Ok(elsewhere()) };
        let view = &*route.cache.view;
        if route.has_methods || view.is_closed() {
            return Ok(elsewhere());
        }
        let mut key = route.beginning.resume();
        let identities = &route.cache.shelf.get().identities;
        let mut encoder = Encoder::new(py, &mut key, Some(identities), false);
        match self.signature.encode(arguments, &mut encoder) {
            Ok(()) => key.finish(route.prefix.len()),
            Err(refused) => return self.refuse(py, refused).map(|()| elsewhere()),
        }
        let tally = view.filling(Some(&self.counters));
        if route.cache.form.is_some() || view.counters().times_all() {
            return Self::look_further(py, &route.cache, tally, key.as_bytes());
        }
        let found = view.store().get_fresh(key.as_bytes(), tally, Object::copy);
        Ok(found.unwrap_or_else(elsewhere))
    }

    /// The same where there is more to a hit than finding it: it is timed, or made of bytes.
    fn look_further(
        py: Python<'_>,
        cache: &Inner,
        tally: Tally<'_>,
        key: &[u8],
    ) -> PyResult<Looked> {
        let store = cache.view.store();
        let started = cache.view.counters().times_all().then(|| store.now());
        let read = match (store.get_fresh(key, tally, |stored| stored.get(py)), &cache.form) {
            (None, _) => Ok(elsewhere()),
            (Some(stored), None) => Ok(stored.into_ptr()),
            (Some(stored), Some(form)) => {
                form.get().read_at(key, stored.bind(py)).map(Bound::into_ptr)
            }
        };
        if let Some(started) = started {
            cache.view.counters().sample(store.now().saturating_sub(started));
        }
        read.or_else(|error| {
            errors::forgive(py, error)?;
            tally.retract(); // The glue asks again, and learns what is wrong.
            Ok(elsewhere())
        })
    }

    /// A call that does not fit the signature is the function's own to complain about; an argument
    /// that can't be in a key is an error that names the parameter.
    #[cold]
    fn refuse(&self, py: Python<'_>, refused: Refused) -> PyResult<()> {
        let Refused::Argument(at, error) = refused else { return Ok(()) };
        if !error.is_instance_of::<PyTypeError>(py) {
            return Err(error);
        }
        let (parameter, name) = (self.signature.name(at), &self.name);
        let message = format!("argument '{parameter}' of {name}: {}", error.value(py));
        let better = errors::make(py, "UnkeyableArgumentError", &message, "cached", false);
        better.set_cause(py, error.cause(py));
        Err(better)
    }

    fn with_arguments<R>(
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
        act: impl FnOnce(Arguments<'_>) -> R,
    ) -> PyResult<R> {
        let mut values: Vec<_> = args.iter().map(|value| value.as_ptr()).collect();
        let names = kwargs.map(|kwargs| PyTuple::new(args.py(), kwargs.keys())).transpose()?;
        let held: Vec<_> =
            kwargs.map(|kwargs| kwargs.values().iter().collect()).unwrap_or_default();
        values.extend(held.iter().map(Bound::as_ptr));
        let names = names.as_ref().map_or(std::ptr::null_mut(), Bound::as_ptr);
        Ok(act(Arguments { values: &values, names }))
    }

    fn route(&self) -> PyResult<&Route> {
        let unconnected = || PyRuntimeError::new_err("this function is not connected with a cache");
        self.route.get().map(|route| &**route).ok_or_else(unconnected)
    }
}

#[pymethods]
impl FunctionCore {
    #[new]
    #[pyo3(signature = (miss, is_coroutine, parameters, name, version, terms))]
    fn new(
        miss: Py<PyAny>,
        is_coroutine: bool,
        parameters: &Bound<'_, PyTuple>,
        name: String,
        version: Option<String>,
        terms: &Bound<'_, Terms>,
    ) -> PyResult<Self> {
        Ok(Self {
            miss,
            is_coroutine,
            signature: Signature::new(parameters)?,
            name,
            version,
            terms: Arc::new(terms.get().clone()),
            counters: Arc::default(),
            route: OnceLock::new(),
        })
    }

    /// Says whether the first argument is the instance of a method.
    fn set_method(&self, is_method: bool) {
        self.signature.is_method.store(is_method, Ordering::Relaxed);
    }

    /// Connects the function with a memory cache; `parts` make the function what it is: pairs of
    /// (object, held weakly). Whether it is the first of its name there.
    ///
    /// `has_methods`: the cache reads and writes by methods of its own, and only the fences are
    /// here. `is_shared`: keys are in the form for a store that other processes share.
    /// `types`: those that the function says it returns, for a form that learns types; `form`: that
    /// of a cache whose entries are elsewhere.
    #[pyo3(signature = (memory, parts, has_methods=false, is_shared=false, types=None, form=None))]
    #[expect(clippy::too_many_arguments, reason = "what a function is connected by")]
    fn connect(
        &self,
        py: Python<'_>,
        memory: &Bound<'_, Memory>,
        parts: Vec<(Bound<'_, PyAny>, bool)>,
        has_methods: bool,
        is_shared: bool,
        types: Option<&Bound<'_, PyTuple>>,
        form: Option<Py<Form>>,
    ) -> PyResult<bool> {
        let mut cache = memory.get().parts(py)?;
        cache.form = form.or(cache.form);
        if let (Some(form), Some(types)) = (&cache.form, types)
            && let Some(form) = form.get().with_types(py, types)?
        {
            cache.form = Some(Py::new(py, form)?);
        }
        let part = |(object, weak): (Bound<'_, PyAny>, bool)| {
            if weak { Part::weak(&object) } else { Part::Strong(object.unbind()) }
        };
        let parts = parts.into_iter().map(part).collect();
        let plain = callkey::prefix(&self.name, self.version.as_deref(), 0);
        let namespace = cache.view.namespace().prefix();
        let full = [namespace, &plain].concat();
        let (twin, anchor) = cache.shelf.get().identities.function(py, &full, parts)?;
        let in_keys = if is_shared { 0 } else { twin };
        let prefix = callkey::prefix(&self.name, self.version.as_deref(), in_keys);
        let prefix = [namespace, &prefix].concat();
        let route = Route {
            namespace: namespace.len(),
            tag: format!("function {prefix}").into(),
            beginning: {
                let mut beginning = CallKey::new();
                beginning.raw(prefix.as_bytes());
                beginning
            },
            prefix: prefix.into_bytes(),
            cache,
            anchor,
            has_methods,
            is_shared,
        };
        // A second thread may have been faster: the first route stands.
        drop(self.route.set(Box::new(route)));
        Ok(twin == 0)
    }

    /// What the keys of all calls begin with, without the namespace.
    #[getter]
    fn prefix(&self) -> PyResult<String> {
        let route = self.route()?;
        Ok(String::from_utf8_lossy(&route.prefix[route.namespace..]).into_owned())
    }

    #[getter]
    fn is_connected(&self) -> bool {
        self.route.get().is_some()
    }

    /// The call with these arguments, ready to begin; None when they do not fit the signature.
    fn call(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<Call>> {
        let route = self.route()?;
        let mut key = CallKey::new();
        key.raw(&route.prefix);
        let mut encoder = Encoder::new(py, &mut key, route.identities(), true);
        let encoded = Self::with_arguments(args, kwargs, |arguments| {
            self.signature.encode(arguments, &mut encoder)
        })?;
        let anchors = std::mem::take(&mut encoder.anchors);
        if let Err(refused) = encoded {
            return self.refuse(py, refused).map(|()| None);
        }
        key.finish(route.prefix.len());
        let mut tags =
            vec![Tag { name: route.tag.clone(), anchor: Some(Object::new(route.anchor.bind(py))) }];
        tags.extend(anchors.into_iter().map(|(number, anchor)| Tag {
            name: identity::tag(number),
            anchor: anchor.map(|anchor| Object::new(anchor.bind(py))),
        }));
        Ok(Some(self.start(py, route, key.as_bytes(), tags)))
    }

    /// The call with the key of a key builder, ready to begin.
    fn call_named(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Call> {
        let route = self.route()?;
        let text = crate::convert::key(key, "cached")?;
        cachine::core::key::validate(text, "cached").or_raise(py)?;
        let physical = [&route.prefix[..route.namespace], text.as_bytes()].concat();
        let anchor = Some(Object::new(route.anchor.bind(py)));
        let tags = vec![Tag { name: route.tag.clone(), anchor }];
        Ok(self.start(py, route, &physical, tags))
    }

    /// The key of a call without the namespace; None when it does not fit the signature.
    fn key(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Option<String>> {
        let route = self.route()?;
        let prefix = &route.prefix[route.namespace..];
        let mut key = CallKey::new();
        key.raw(prefix);
        let mut encoder = Encoder::new(py, &mut key, route.identities(), true);
        let encoded = Self::with_arguments(args, kwargs, |arguments| {
            self.signature.encode(arguments, &mut encoder)
        })?;
        if let Err(refused) = encoded {
            return self.refuse(py, refused).map(|()| None);
        }
        key.finish(prefix.len());
        Ok(Some(String::from_utf8_lossy(key.as_bytes()).into_owned()))
    }

    /// Removes every entry of this function.
    fn clear(&self) {
        if let Some(route) = self.route.get() {
            route.cache.view.store().invalidate_tags(std::slice::from_ref(&route.tag));
        }
    }

    /// (hits, misses, stale, coalesced, errors, entries) of this function.
    fn counts(&self) -> (u64, u64, u64, u64, u64, usize) {
        let stats = self.counters.read();
        let entries =
            self.route.get().map_or(0, |route| route.cache.view.store().members(&route.tag));
        (stats.hits, stats.misses, stats.stale, stats.coalesced, stats.errors, entries)
    }

    /// Counts a failure of the cache during a call.
    fn count_error(&self) {
        match self.route.get() {
            Some(route) => route.cache.view.filling(Some(&self.counters)).error(),
            None => Tally::of(&self.counters).error(),
        }
    }

    fn reset_counts(&self) {
        self.counters.reset();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.miss)?;
        self.signature.defaults().try_for_each(|default| visit.call(default))?;
        if let Some(route) = self.route.get() {
            visit.call(&route.cache.shelf)?;
            visit.call(&route.anchor)?;
            if let Some(form) = &route.cache.form {
                visit.call(form)?;
            }
        }
        Ok(())
    }
}

impl FunctionCore {
    fn start(&self, py: Python<'_>, route: &Route, key: &[u8], tags: Vec<Tag<Object>>) -> Call {
        let counters = Some(Arc::clone(&self.counters));
        Call::new(route.cache.share(py), key.into(), Arc::clone(&self.terms), counters, tags)
    }
}

/// A live reference to an argument vector.
///
/// # Safety
///
/// `values` points to `count` live objects and, when there are names, to one more for each.
pub(crate) unsafe fn arguments<'a>(
    values: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> Arguments<'a> {
    // SAFETY: `names` is null or the tuple of keyword names.
    let named = if names.is_null() { 0 } else { unsafe { ffi::PyTuple_Size(names) } };
    let length = count + named.unsigned_abs();
    let values = if length == 0 {
        &[] // An empty vector may have any pointer, which a slice may not.
    } else {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(values, length) }
    };
    Arguments { values, names }
}
