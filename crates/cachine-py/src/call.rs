//! One call on its way through the cache: what it asks, what it was told, what it owes.
//!
//! The glue in Python drives it: begin, then compute and settle, or wait. The rules (who computes,
//! who waits, what may still be stored) are the engine's. A call that is dropped gives up its
//! lease, so whoever waits for it takes over, whatever happened to the caller.
//!
//! Those who wait are woken by code of Python's. It runs in the glue, which is given the list, and
//! not from here: a daemon thread that dies in it at exit would take the process with it.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cachine::core::stats::{Counters, Tally};
use cachine::core::store::{Ask, Ended, Lease, New, Step, Wait};
use cachine::core::{FlightId, Tag};
use cachine::{Freshness, View};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::convert;
use crate::errors::{self, OrRaise};
use crate::form::Form;
use crate::host::{Object, Outcome, PyHost};
use crate::memory::{Inner, options};

/// How long a function's values live, and whether its callers share one computation.
#[pyclass(frozen, module = "cachine._core")]
#[derive(Clone)]
pub(crate) struct Terms {
    freshness: Freshness,
    singleflight: bool,
}

/// A call that goes through a memory cache.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Call {
    /// Also keeps the store in sight of the garbage collector while the call lasts.
    cache: Inner,
    key: Box<[u8]>,
    terms: Arc<Terms>,
    function: Option<Arc<Counters>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those of the function, its instance and its arguments; given to the entry.
    tags: Vec<Tag<Object>>,
    declared: Vec<Box<str>>,
    value: Option<Py<PyAny>>,
    lease: Option<Lease<PyHost>>,
    wait: Option<Wait<PyHost>>,
    counted: bool,
    /// What was wrong with a stored value that could not be read.
    trouble: Option<Py<PyAny>>,
}

/// What [`Call::begin`] answers, as the glue knows it.
mod told {
    pub(super) const HIT: u8 = 0;
    pub(super) const STALE: u8 = 1;
    pub(super) const REFRESH: u8 = 2;
    pub(super) const COMPUTE: u8 = 3;
    pub(super) const WAIT: u8 = 4;
}

/// What [`Call::ended`] answers.
mod end {
    pub(super) const PENDING: u8 = 0;
    pub(super) const VALUE: u8 = 1;
    pub(super) const ERROR: u8 = 2;
    pub(super) const ABANDONED: u8 = 3;
}

thread_local! {
    /// Whom the computation wakes that is ending on this thread.
    static WOKEN: RefCell<Option<Bells>> = const { RefCell::new(None) };
}

/// Callables that wake those who waited.
type Bells = Vec<Py<PyAny>>;

/// What is left with a computation to be rung when it ends.
#[pyclass(frozen, module = "cachine._core")]
struct Bell(Py<PyAny>);

#[pymethods]
impl Bell {
    /// Notes the callable for the glue; without any, as when a call is dropped, it is called here.
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let is_noted = WOKEN.with_borrow_mut(|woken| {
            woken.as_mut().map(|bells| bells.push(self.0.clone_ref(py))).is_some()
        });
        if is_noted { Ok(()) } else { self.0.call0(py).map(drop) }
    }
}

/// Ends a computation; whom that wakes, if anyone.
fn waking(end: impl FnOnce()) -> Option<Bells> {
    // Whatever is dropped on the way may run code that ends another computation.
    let outer = WOKEN.replace(Some(Vec::new()));
    end();
    WOKEN.replace(outer).filter(|bells| !bells.is_empty())
}

#[pymethods]
impl Terms {
    #[new]
    #[pyo3(signature = (ttl, stale_ttl, jitter, singleflight))]
    fn new(
        py: Python<'_>,
        ttl: Option<&Bound<'_, PyAny>>,
        stale_ttl: Option<&Bound<'_, PyAny>>,
        jitter: Option<&Bound<'_, PyAny>>,
        singleflight: bool,
    ) -> PyResult<Self> {
        let ttl = convert::optional_span(ttl, "ttl")?;
        let stale_ttl = convert::optional_span(stale_ttl, "stale_ttl")?;
        if let Some(given) = jitter.filter(|given| given.lt(0).unwrap_or(false)) {
            let message =
                format!("jitter={} is negative: give the seconds to add at most", given.repr()?);
            return Err(crate::errors::make(py, "ConfigError", &message, "cached", false));
        }
        let jitter = convert::optional_span(jitter, "jitter")?;
        let freshness = Freshness::new(ttl, stale_ttl, jitter).or_raise(py)?;
        Ok(Self { freshness, singleflight })
    }

    /// The ttl of a value that is written now, jitter included, in seconds; None for ever.
    fn next_ttl(&self) -> Option<f64> {
        self.freshness.next_ttl().map(|ttl| ttl.as_secs_f64())
    }
}

impl Call {
    pub(crate) fn new(
        cache: Inner,
        key: Box<[u8]>,
        terms: Arc<Terms>,
        function: Option<Arc<Counters>>,
        tags: Vec<Tag<Object>>,
    ) -> Self {
        let state = State { tags, ..State::default() };
        Self { cache, key, terms, function, state: Mutex::new(state) }
    }

    fn view(&self) -> &View<PyHost> {
        &self.cache.view
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tally(&self) -> Tally<'_> {
        self.view().filling(self.function.as_deref())
    }

    /// The form of the values of its function, where it has one.
    pub(crate) fn form(&self, py: Python<'_>) -> Option<Py<Form>> {
        self.cache.form.as_ref().map(|form| form.clone_ref(py))
    }

    /// The counters of its function.
    pub(crate) fn counters(&self) -> Option<Arc<Counters>> {
        self.function.clone()
    }

    /// How long its value lives.
    pub(crate) fn freshness(&self) -> Freshness {
        self.terms.freshness
    }

    /// The key without the namespace.
    pub(crate) fn text(&self) -> &str {
        let prefix = self.view().namespace().prefix().len();
        // Made of text: of a str, or of a call key, which is ASCII.
        std::str::from_utf8(&self.key[prefix..]).unwrap_or_default()
    }

    fn lease(&self) -> PyResult<Lease<PyHost>> {
        let lease = self.state().lease.take();
        lease.ok_or_else(|| PyRuntimeError::new_err("this call has no computation to settle"))
    }

    /// Ends the computation without storing anything; nothing happens where it has ended.
    fn settle(&self, outcome: Outcome) -> Option<Bells> {
        let lease = self.state().lease.take()?;
        let bells = waking(|| lease.settle(outcome));
        // An exception may hold this call, and what the tags hold may hold the exception: a circle
        // that the collector does not see.
        let tags = std::mem::take(&mut self.state().tags);
        drop(tags);
        bells
    }

    fn put(&self, value: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut self.state().value, value);
        drop(old);
    }
}

#[pymethods]
impl Call {
    /// Asks the cache; `held` are the computations further up in this context. With `alone` the
    /// caller neither joins nor is joined; `counted` says that the call is in the statistics.
    #[pyo3(signature = (held, alone=false, counted=false))]
    #[expect(clippy::needless_pass_by_value, reason = "what pyo3 makes of a tuple")]
    fn begin(
        &self,
        py: Python<'_>,
        held: Vec<FlightId>,
        alone: bool,
        counted: bool,
    ) -> PyResult<u8> {
        let share = self.terms.singleflight && !alone;
        let counted = std::mem::replace(&mut self.state().counted, true) || counted;
        loop {
            self.view().open("get_or_set").or_raise(py)?;
            let ask = Ask { key: &self.key, share, held: &held, counted };
            let step = self.view().store().begin(ask, self.tally(), |value| value.get(py));
            if let Some(told) = self.told(py, step, counted)? {
                return Ok(told);
            }
            // Whoever finds nothing in the next round is a miss, but for one that was counted.
        }
    }

    /// Takes a lease whatever is stored.
    fn recompute(&self, py: Python<'_>) -> PyResult<()> {
        self.view().open("refresh").or_raise(py)?;
        let lease = self.view().store().recompute(&self.key, self.terms.singleflight);
        let replaced = self.state().lease.replace(lease);
        drop(replaced);
        Ok(())
    }

    /// The key without the namespace.
    #[getter]
    fn name(&self) -> &str {
        self.text()
    }

    /// Whether callers that come now join this computation.
    #[getter]
    fn is_joinable(&self) -> bool {
        self.state().lease.as_ref().is_some_and(Lease::is_joinable)
    }

    /// How many wait for this computation.
    #[getter]
    fn parties(&self) -> usize {
        self.state().lease.as_ref().map_or(0, Lease::parties)
    }

    /// Who asks for this key from now on does not join this computation.
    fn seal(&self) {
        self.view().store().delete(&self.key, Tally::of(self.view().counters()));
    }

    /// What was wrong with the value that was stored, if it could not be read; told once.
    fn trouble(&self) -> Option<Py<PyAny>> {
        self.state().trouble.take()
    }

    /// The value that was found or arrived.
    #[getter]
    fn value(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state().value.as_ref().map(|value| value.clone_ref(py))
    }

    /// The value that arrived, which this call lets go of.
    fn take(&self) -> Option<Py<PyAny>> {
        self.state().value.take()
    }

    /// The number of the computation that this call runs or waits for; 0 for none.
    #[getter]
    fn flight(&self) -> FlightId {
        let state = self.state();
        let own = state.lease.as_ref().map(Lease::id);
        own.or_else(|| state.wait.as_ref().map(Wait::id)).unwrap_or(0)
    }

    /// Names the tags before the computation; `late`: the result will name more.
    fn declare(&self, tags: Option<&Bound<'_, PyAny>>, late: bool) -> PyResult<()> {
        let tags = self.view().tag_names(&convert::tags(tags)?);
        let mut state = self.state();
        let mut all: Vec<_> = state.tags.iter().map(|tag| tag.name.clone()).collect();
        all.extend(tags.iter().cloned());
        if let Some(lease) = &state.lease {
            lease.declare(all, late);
        }
        state.declared = tags;
        Ok(())
    }

    /// Stores the value unless something was invalidated meanwhile, and hands it to all who wait.
    #[pyo3(signature = (value, late_tags=None))]
    fn fill(
        &self,
        value: &Bound<'_, PyAny>,
        late_tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Bells>> {
        let late = self.view().tag_names(&convert::tags(late_tags)?);
        let outcome = Outcome::Value(value.clone().unbind());
        let Some(life) = self.terms.freshness.life() else {
            let lease = self.lease()?;
            return Ok(waking(|| lease.settle(outcome)));
        };
        let stored = self.write(value)?;
        let weight = options::weigh(&self.cache.shelf, value.py(), self.text(), &stored)?;
        let lease = self.lease()?;
        let mut tags = {
            let mut state = self.state();
            let mut tags = std::mem::take(&mut state.tags);
            let declared = std::mem::take(&mut state.declared);
            tags.extend(declared.into_iter().map(|name| Tag { name, anchor: None }));
            tags
        };
        tags.extend(late.iter().map(|name| Tag { name: name.clone(), anchor: None }));
        let new = New { value: stored, life, weight, tags };
        Ok(waking(|| {
            lease.fill(new, &late, outcome, self.tally());
        }))
    }

    /// Whether the result may still be stored somewhere else under these further tags.
    #[pyo3(signature = (late_tags=None))]
    fn may_store(&self, late_tags: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let late = self.view().tag_names(&convert::tags(late_tags)?);
        Ok(self.state().lease.as_ref().is_some_and(|lease| lease.may_store(&late)))
    }

    /// Hands a value that is not to be stored to all who wait.
    fn share(&self, value: Py<PyAny>) -> Option<Bells> {
        self.settle(Outcome::Value(value))
    }

    /// Hands an exception to all who wait.
    fn fail(&self, error: Py<PyAny>) -> Option<Bells> {
        self.settle(Outcome::Error(error))
    }

    /// Gives the entry that stands under this key now what its key names by number, so that one
    /// lives as long as the other.
    fn adopt(&self) {
        let tags = std::mem::take(&mut self.state().tags);
        self.view().store().add_tags(&self.key, tags);
    }

    /// Gives the computation up: one of those who wait takes over.
    fn abandon(&self) -> Option<Bells> {
        let lease = self.state().lease.take()?;
        waking(|| drop(lease))
    }

    /// A call that waits for the computation that this one has the lease of.
    fn follow(&self, py: Python<'_>) -> Option<Self> {
        let wait = self.state().lease.as_ref().map(Lease::follow);
        let Some(Some(wait)) = wait else { return None };
        Some(Self {
            cache: self.cache.share(py),
            key: self.key.clone(),
            terms: Arc::clone(&self.terms),
            function: self.function.clone(),
            state: Mutex::new(State { wait: Some(wait), counted: true, ..State::default() }),
        })
    }

    /// Leaves a callable that is called when the computation ends; False when it has ended.
    fn register(&self, py: Python<'_>, waker: Py<PyAny>) -> PyResult<bool> {
        let bell = Py::new(py, Bell(waker))?.into_any();
        let unused = match &self.state().wait {
            Some(wait) => wait.register(bell).err(),
            None => Some(bell),
        };
        Ok(unused.is_none())
    }

    /// How the computation ended, and the value or exception it ended with.
    fn ended(&self, py: Python<'_>) -> u8 {
        let ended = match &self.state().wait {
            None => Ended::Abandoned,
            Some(wait) => wait.ended(|outcome| match outcome {
                Outcome::Value(value) => (end::VALUE, value.clone_ref(py)),
                Outcome::Error(error) => (end::ERROR, error.clone_ref(py)),
            }),
        };
        match ended {
            Ended::Pending => end::PENDING,
            Ended::Abandoned => end::ABANDONED,
            Ended::Outcome((how, value)) => {
                self.put(Some(value));
                how
            }
        }
    }

    /// Stops waiting; how many still wait, None when the computation has ended.
    fn leave(&self) -> Option<usize> {
        let wait = self.state().wait.take();
        wait.and_then(Wait::leave)
    }
}

impl Call {
    /// What is stored of a value.
    fn write(&self, value: &Bound<'_, PyAny>) -> PyResult<Object> {
        let Some(form) = &self.cache.form else { return Ok(Object::new(value)) };
        let written = form.get().write_at(self.tally(), &self.key, value);
        if written.is_err() {
            self.tally().error();
        }
        written
    }

    /// What the caller is told; None where what is stored can't be read, so that it has to ask
    /// again.
    fn told(
        &self,
        py: Python<'_>,
        step: Step<PyHost, Py<PyAny>>,
        counted: bool,
    ) -> PyResult<Option<u8>> {
        let (value, told, lease) = match step {
            Step::Hit(value) => (value, told::HIT, None),
            Step::Stale(value, None) => (value, told::STALE, None),
            Step::Stale(value, lease) => (value, told::REFRESH, lease),
            Step::Lease(lease) => {
                let old = self.state().lease.replace(lease);
                drop(old);
                return Ok(Some(told::COMPUTE));
            }
            Step::Wait(wait) => {
                let old = self.state().wait.replace(wait);
                drop(old);
                return Ok(Some(told::WAIT));
            }
        };
        let Some(value) = self.read(py, value, counted)? else { return Ok(None) };
        let old = {
            let mut state = self.state();
            (state.value.replace(value), lease.and_then(|lease| state.lease.replace(lease)))
        };
        drop(old);
        Ok(Some(told))
    }

    /// The value of what is stored; None, and the entry is gone, where it can't be read.
    fn read(
        &self,
        py: Python<'_>,
        stored: Py<PyAny>,
        counted: bool,
    ) -> PyResult<Option<Py<PyAny>>> {
        let Some(form) = &self.cache.form else { return Ok(Some(stored)) };
        let error = match form.get().read_at(&self.key, stored.bind(py)) {
            Ok(value) => return Ok(Some(value.unbind())),
            Err(error) => errors::forgive(py, error)?,
        };
        self.view().store().discard(&self.key, |value| value.is(&stored));
        let tally = self.tally();
        tally.error();
        if !counted {
            tally.retract();
        }
        let old = self.state().trouble.replace(error.into_value(py).into_any());
        drop(old);
        Ok(None)
    }
}
