//! The steps of a read that computes what is missing, for the glue that takes them.
//!
//! Look; claim the right to store; compute; fill or release. Which step follows which is written in
//! Python (`_remote.py`), because the function of a user stands between them.

use std::sync::{Arc, Mutex, PoisonError};

use cachine::core::error::Error;
use cachine::core::stats::Counted;
use cachine::redis::client::{Claim, Ending, Fill, Held, Look, Nothing, Want};
use cachine::space::LEASE;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::call::Call;
use crate::convert;
use crate::errors;
use crate::form::Form;
use crate::looped::{LoopDriver, Outcome, Work};
use crate::remote::operation::{self, Answer, Place, operate};
use crate::remote::{Inner, Remote};

/// What a look found, as the glue knows it.
mod looked {
    pub(super) const MISSING: u8 = 0;
    pub(super) const FRESH: u8 = 1;
    pub(super) const STALE: u8 = 2;
}

/// What a claim came to.
mod claimed {
    pub(super) const FOUND: u8 = 0;
    pub(super) const COMPUTE: u8 = 1;
    pub(super) const HELD: u8 = 2;
    pub(super) const UNREADABLE: u8 = 3;
    pub(super) const NOTHING: u8 = 4;
}

/// What a computation left whose result is not stored.
mod ended {
    pub(super) const ALONE: u8 = 0;
    pub(super) const NOTHING: u8 = 1;
}

/// The right to store what is computed from now on.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct FillToken {
    fill: Mutex<Option<Fill>>,
    /// When it was given, by the clock of the flights.
    since: u64,
}

impl FillToken {
    fn take(&self) -> Option<Fill> {
        self.fill.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Another process that computes.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Holder(Held);

#[pymethods]
impl Holder {
    /// Seconds that its right will last unless it is renewed.
    #[getter]
    fn left(&self) -> f64 {
        self.0.left.as_secs_f64()
    }
}

/// The `None` of another process, as it was when this one heard of it.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct OthersNone(Nothing);

/// What a claim asks for, owned.
struct Wish {
    tags: Box<[String]>,
    has_late_tags: bool,
    is_shared: bool,
    is_forced: bool,
    awaited: Option<Held>,
}

impl Wish {
    fn want(&self) -> Want<'_> {
        let Self { tags, has_late_tags, is_shared, is_forced, awaited } = self;
        let (has_late_tags, is_shared, is_forced) = (*has_late_tags, *is_shared, *is_forced);
        let awaited = awaited.as_ref();
        Want { tags, has_late_tags, is_shared, is_forced, lease: LEASE, awaited }
    }
}

/// What a read-through of one call needs on its way.
struct Way {
    key: Arc<str>,
    form: Py<Form>,
}

impl Inner {
    fn way(&self, py: Python<'_>, call: &Call) -> Way {
        let form = call.form(py).unwrap_or_else(|| self.form.clone_ref(py));
        Way { key: call.text().into(), form }
    }
}

/// What takes the steps, for one cache.
#[pyclass(frozen, module = "cachine._core")]
pub(crate) struct Filler {
    cache: Py<Remote>,
}

impl Filler {
    fn inner(&self) -> PyResult<&Inner> {
        self.cache.get().inner()
    }
}

#[pymethods]
impl Filler {
    #[new]
    fn new(cache: Py<Remote>) -> Self {
        Self { cache }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)
    }

    /// Look for the value of a call: (state, value); for one that can't be read (missing, why).
    /// A second look of the same call counts nothing.
    #[pyo3(signature = (call, tags=None, is_second=false, at=None))]
    fn look(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        tags: Option<&Bound<'_, PyAny>>,
        is_second: bool,
        at: Place<'_>,
    ) -> Answer {
        let tags = convert::tags(tags)?;
        let inner = self.inner()?;
        let Way { key, form } = inner.way(py, call.get());
        let function = call.get().counters();
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let (asked, asked_space, counters) =
            (Arc::clone(&key), Arc::clone(&space), function.clone());
        let then = move |py: Python<'_>, look: Look| {
            let (state, stored) = match look {
                Look::Missing => return pair(py, looked::MISSING, py.None()),
                Look::Fresh(stored) => (looked::FRESH, stored),
                Look::Stale(stored) => (looked::STALE, stored),
            };
            match form.get().read_bytes(py, &space.physical(&key), &stored) {
                Ok(value) => pair(py, state, value.unbind()),
                Err(error) => {
                    let error = errors::forgive(py, error)?;
                    if !is_second {
                        let tally = space.filling(function.as_deref());
                        tally.undecoded();
                        tally.count(Counted::Miss);
                    }
                    pair(py, looked::MISSING, error.into_value(py).into_any())
                }
            }
        };
        operate!(
            py,
            server,
            at,
            |client| if is_second {
                asked_space.look_again(&client, &asked, &tags).await
            } else {
                asked_space.look(&client, &asked, &tags, counters.as_deref()).await
            },
            then
        )
    }

    /// Ask for the right to compute and store: (how, what). `awaited` is the holder that was waited for.
    #[pyo3(signature = (call, tags=None, has_late_tags=false, is_shared=false, is_forced=false, awaited=None, at=None))]
    #[expect(clippy::too_many_arguments, reason = "what a computation may want")]
    fn claim(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        tags: Option<&Bound<'_, PyAny>>,
        has_late_tags: bool,
        is_shared: bool,
        is_forced: bool,
        awaited: Option<&Bound<'_, Holder>>,
        at: Place<'_>,
    ) -> Answer {
        let tags = convert::tags(tags)?;
        let inner = self.inner()?;
        let Way { key, form } = inner.way(py, call.get());
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let (asked, asked_space) = (Arc::clone(&key), Arc::clone(&space));
        let fences = Arc::clone(&inner.fences);
        let (name, owner) = (Arc::clone(&key), Arc::clone(&space));
        let then = move |py: Python<'_>, claim: Claim| match claim {
            Claim::Found(stored) => {
                match form.get().read_bytes(py, &space.physical(&key), &stored) {
                    Ok(value) => pair(py, claimed::FOUND, value.unbind()),
                    Err(error) => {
                        let error = errors::forgive(py, error)?;
                        pair(py, claimed::UNREADABLE, error.into_value(py).into_any())
                    }
                }
            }
            Claim::Compute(fill) => {
                let since = fences.store().now();
                let token = FillToken { fill: Mutex::new(Some(fill)), since };
                pair(py, claimed::COMPUTE, Py::new(py, token)?.into_any())
            }
            Claim::Held(held) => pair(py, claimed::HELD, Py::new(py, Holder(held))?.into_any()),
            Claim::Nothing(nothing) => {
                pair(py, claimed::NOTHING, Py::new(py, OthersNone(nothing))?.into_any())
            }
        };
        let tags = tags.into_boxed_slice();
        let awaited = awaited.map(|holder| holder.get().0.clone());
        let wish = Wish { tags, has_late_tags, is_shared, is_forced, awaited };
        let Some((driver, future)) = at else {
            let client = server.client();
            let work = async move { asked_space.claim(&client, &asked, wish.want()).await };
            return operation::waited(py, work, then);
        };
        let client = Arc::clone(&driver.get().client);
        let work = Box::pin(async move {
            let claim = asked_space.claim(&client, &asked, wish.want()).await;
            let fill = claim.as_ref().ok().and_then(Claim::fill).cloned();
            let finish = operation::finish(claim, then);
            // Nobody may be left to compute: then the next one need not wait for the lease to end.
            let orphaned = fill.map(|fill| {
                let give_back = async move {
                    let _ = owner.release(&client, &name, fill, None).await;
                    operation::finish(Ok(()), |py, ()| Ok(py.None()))
                };
                Box::pin(give_back) as Work
            });
            Outcome { finish, orphaned }
        });
        LoopDriver::start_careful(&driver, &future, work).map(|steps| operation::given(py, steps))
    }

    /// What is stored of a value. A part of the computation: it may run code of the user's.
    fn encode<'py>(
        &self,
        call: &Bound<'py, Call>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let py = value.py();
        let inner = self.inner()?;
        let Way { key, form } = inner.way(py, call.get());
        let function = call.get().counters();
        let tally = inner.space.filling(function.as_deref());
        let written = form.get().write_bytes(tally, &inner.space.physical(&key), value);
        Ok(PyBytes::new(py, &written.inspect_err(|_| tally.error())?))
    }

    /// Void what is being computed of a call anywhere.
    #[pyo3(signature = (call, at=None))]
    fn fence(&self, py: Python<'_>, call: &Bound<'_, Call>, at: Place<'_>) -> Answer {
        let inner = self.inner()?;
        let key = call.get().text().to_owned();
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let then = |py: Python<'_>, ()| Ok(py.None());
        operate!(py, server, at, |client| space.fence(&client, &key).await, then)
    }

    /// Store an encoded value; whether it stands, so that others may be given it.
    #[pyo3(signature = (call, token, payload, late_tags=None, at=None))]
    fn fill(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        token: &Bound<'_, FillToken>,
        payload: &Bound<'_, PyBytes>,
        late_tags: Option<&Bound<'_, PyAny>>,
        at: Place<'_>,
    ) -> Answer {
        let late = convert::tags(late_tags)?;
        let inner = self.inner()?;
        let key = call.get().text().to_owned();
        let freshness = call.get().freshness();
        let function = call.get().counters();
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let tally = space.filling(function.as_deref());
        let took = inner.fences.store().now().saturating_sub(token.get().since);
        let stored = payload.as_bytes().to_vec();
        let Some(fill) = token.get().take() else { return used() };
        tally.computed(took);
        operate!(
            py,
            server,
            at,
            |client| space.fill(&client, &key, fill, stored, &freshness, &late).await,
            super::plain_bool
        )
    }

    /// Whether those who came meanwhile may have the `None` of another process, too.
    #[pyo3(signature = (call, nothing, at=None))]
    fn is_nothing(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        nothing: &Bound<'_, OthersNone>,
        at: Place<'_>,
    ) -> Answer {
        let inner = self.inner()?;
        let key = call.get().text().to_owned();
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let nothing = nothing.get().0.clone();
        operate!(
            py,
            server,
            at,
            |client| space.is_nothing(&client, &key, &nothing).await,
            super::plain_bool
        )
    }

    /// Give the right back; whether nothing was written or invalidated since. `ending` is what other
    /// processes that wait are told: to compute all at once, or that there is None.
    #[pyo3(signature = (call, token, ending=None, at=None))]
    fn release(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        token: &Bound<'_, FillToken>,
        ending: Option<u8>,
        at: Place<'_>,
    ) -> Answer {
        let ending = match ending {
            Some(ended::ALONE) => Some(Ending::Alone),
            Some(ended::NOTHING) => Some(Ending::Nothing),
            _ => None,
        };
        let inner = self.inner()?;
        let key = call.get().text().to_owned();
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        // Used up before, for example by a fill that a signal has ended.
        let fill = token.get().take();
        operate!(
            py,
            server,
            at,
            |client| match fill {
                Some(fill) => space.release(&client, &key, fill, ending).await,
                None => Ok::<_, Error>(false),
            },
            super::plain_bool
        )
    }

    /// Let the right live on; whether it still stood. One that was used has ended.
    #[pyo3(signature = (call, token, at=None))]
    fn renew(
        &self,
        py: Python<'_>,
        call: &Bound<'_, Call>,
        token: &Bound<'_, FillToken>,
        at: Place<'_>,
    ) -> Answer {
        let inner = self.inner()?;
        let key = call.get().text().to_owned();
        let (space, server) = (Arc::clone(&inner.space), &inner.server);
        let fill = token.get().fill.lock().unwrap_or_else(PoisonError::into_inner).clone();
        operate!(
            py,
            server,
            at,
            |client| match &fill {
                Some(fill) => space.renew(&client, &key, fill).await,
                None => Ok::<_, Error>(false),
            },
            super::plain_bool
        )
    }

    /// Count a call that found nothing without looking, because another one just did.
    fn count_missed(&self, call: &Bound<'_, Call>) -> PyResult<()> {
        let function = call.get().counters();
        self.inner()?.space.filling(function.as_deref()).count(Counted::Miss);
        Ok(())
    }

    /// Count a call that waited for the computation of another.
    fn count_coalesced(&self, call: &Bound<'_, Call>) -> PyResult<()> {
        let function = call.get().counters();
        self.inner()?.space.filling(function.as_deref()).count(Counted::Coalesced);
        Ok(())
    }

    /// Count a failure of the server during a call of a function.
    fn count_error(&self) -> PyResult<()> {
        self.inner()?.space.tally().error();
        Ok(())
    }
}

fn used() -> Answer {
    Err(PyRuntimeError::new_err("this right was used before"))
}

fn pair(py: Python<'_>, state: u8, value: Py<PyAny>) -> Answer {
    Ok((state, value).into_pyobject(py)?.into_any().unbind())
}
