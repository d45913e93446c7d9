//! The event loop's own link, as asyncio sees it: operations are polled on the loop's thread.
//!
//! Nothing here calls into Python code. Whatever may run some (resolving a future, writing to a
//! transport, asking for a timer) is returned as *steps*, pairs of a callable and its argument, and
//! a few lines of Python run them. With Python code above one of these frames a daemon thread would
//! be unwound through it when the process ends, which aborts it on CPython up to 3.13.

mod endpoint;
mod operations;
pub(crate) mod probe;
mod waking;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Poll, Waker};

use cachine::core::store::Exclusive;
use cachine_redis::client::Client;
use cachine_redis::hub::{Act, Hub, Looped};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use pyo3::{PyTraverseError, intern};

pub(crate) use self::endpoint::Endpoint;
pub(crate) use self::operations::{CarefulWork, Finish, Outcome, Work};
pub(crate) use self::wire::LoopWire;

use self::operations::{Operations, Task};
use self::waking::Ready;
use crate::gil::GilLock;

/// What Python has to do next: pairs of a callable and its argument.
pub(crate) type Steps<'py> = Bound<'py, PyList>;

/// Steps while they are collected.
type Pairs<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

/// The link of one loop and one cache; a subclass in Python knows the loop.
///
/// Its locks are taken by attached threads only and never while something of Python is made or
/// dropped, so they are free when the collector or a fork comes by.
#[pyclass(frozen, subclass, weakref, module = "cachine._core")]
pub(crate) struct LoopDriver {
    /// Every operation, over this loop's link.
    pub(crate) client: Arc<Client<Looped>>,
    hub: Arc<Hub>,
    ready: Arc<Ready>,
    operations: GilLock<Operations>,
    /// The `write` of each node's transport.
    writes: GilLock<Vec<Option<Py<PyAny>>>>,
    /// Empty, kept for its room.
    wakers: GilLock<Vec<Waker>>,
}

impl LoopDriver {
    /// Starts an operation whose result goes to a future of this driver's loop; what Python has to do
    /// next. The operation goes on to its end even if the future is cancelled.
    pub(crate) fn start<'py>(
        slf: &Bound<'py, Self>,
        future: &Bound<'py, PyAny>,
        work: Work,
    ) -> PyResult<Option<Steps<'py>>> {
        Self::begin(slf, future, Task::Plain(work))
    }

    /// Starts an operation whose outcome says what to do when the future was cancelled meanwhile.
    pub(crate) fn start_careful<'py>(
        slf: &Bound<'py, Self>,
        future: &Bound<'py, PyAny>,
        work: CarefulWork,
    ) -> PyResult<Option<Steps<'py>>> {
        Self::begin(slf, future, Task::Careful(work))
    }

    fn begin<'py>(
        slf: &Bound<'py, Self>,
        future: &Bound<'py, PyAny>,
        task: Task,
    ) -> PyResult<Option<Steps<'py>>> {
        let driver = slf.get();
        let future = Some(future.clone().unbind());
        let _turn = driver.ready.enter();
        let mut pairs = Vec::new();
        let number = driver.operations.lock().add(&driver.ready, task, future);
        Self::poll(slf, number, &mut pairs)?;
        Self::turn(slf, &mut pairs)?;
        give(slf.py(), pairs)
    }

    /// Handles an event: tells the hub, then does what follows from it.
    fn event<'py>(
        slf: &Bound<'py, Self>,
        tell: impl FnOnce(&Self),
    ) -> PyResult<Option<Steps<'py>>> {
        let driver = slf.get();
        let _turn = driver.ready.enter();
        let mut pairs = Vec::new();
        tell(driver);
        Self::turn(slf, &mut pairs)?;
        give(slf.py(), pairs)
    }

    /// Polls what can go on, and does what the hub asks for, until there is neither.
    fn turn<'py>(slf: &Bound<'py, Self>, pairs: &mut Pairs<'py>) -> PyResult<()> {
        let driver = slf.get();
        let (mut numbers, mut acts) = (Vec::new(), Vec::new());
        loop {
            driver.ready.take(&mut numbers);
            for number in numbers.drain(..) {
                Self::poll(slf, number, pairs)?;
            }
            driver.hub.acts(&mut acts);
            for act in acts.drain(..) {
                Self::act(slf, act, pairs)?;
            }
            if driver.ready.is_empty() && driver.hub.is_still() {
                return Ok(());
            }
        }
    }

    /// Polls one operation.
    fn poll<'py>(slf: &Bound<'py, Self>, number: u32, pairs: &mut Pairs<'py>) -> PyResult<()> {
        let driver = slf.get();
        let borrowed = driver.operations.lock().borrow(number);
        let Some((mut task, waker)) = borrowed else { return Ok(()) };
        let outcome = match catch_unwind(AssertUnwindSafe(|| task.poll(&waker))) {
            Ok(Poll::Pending) => {
                let homeless = driver.operations.lock().put_back(number, task);
                drop(homeless);
                return Ok(());
            }
            Ok(Poll::Ready(outcome)) => Some(outcome),
            Err(_) => None,
        };
        drop(task);
        let future = driver.operations.lock().remove(number);
        match future {
            None => Ok(()),
            Some(future) => Self::settle(slf, &future.into_bound(slf.py()), outcome, pairs),
        }
    }

    /// Gives a future its result, unless nobody waits for it any more.
    fn settle<'py>(
        slf: &Bound<'py, Self>,
        future: &Bound<'py, PyAny>,
        outcome: Option<operations::Outcome>,
        pairs: &mut Pairs<'py>,
    ) -> PyResult<()> {
        let py = slf.py();
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            if let Some(work) = outcome.and_then(|outcome| outcome.orphaned) {
                let driver = slf.get();
                let task = Task::Plain(work);
                let number = driver.operations.lock().add(&driver.ready, task, None);
                Self::poll(slf, number, pairs)?;
            }
            return Ok(());
        }
        let result = match outcome {
            Some(outcome) => (outcome.finish)(py),
            None => Err(PyRuntimeError::new_err("an operation on the cache panicked")),
        };
        pairs.push(match result {
            Ok(value) => (future.getattr(intern!(py, "set_result"))?, value.into_bound(py)),
            Err(error) => {
                let error = error.into_value(py).into_bound(py).into_any();
                (future.getattr(intern!(py, "set_exception"))?, error)
            }
        });
        Ok(())
    }

    /// Adds the step that does what the hub asks for.
    fn act<'py>(slf: &Bound<'py, Self>, act: Act, pairs: &mut Pairs<'py>) -> PyResult<()> {
        let (driver, py) = (slf.get(), slf.py());
        let method = |name| slf.getattr(name);
        pairs.push(match act {
            Act::Write { node, epoch } => {
                let bytes = driver.hub.write(node, epoch, |bytes| PyBytes::new(py, bytes));
                let write = driver.writes.lock()[node].as_ref().map(|write| write.clone_ref(py));
                let (Some(bytes), Some(write)) = (bytes, write) else { return Ok(()) };
                (write.into_bound(py), bytes.into_any())
            }
            Act::Soon => (method(intern!(py, "_soon"))?, py.None().into_bound(py)),
            Act::Wake(at) => {
                let nanoseconds = at.saturating_sub(driver.hub.now());
                let delay = std::time::Duration::from_nanos(nanoseconds).as_secs_f64();
                (method(intern!(py, "_later"))?, delay.into_pyobject(py)?.into_any())
            }
            Act::Abort { node } => {
                let write = driver.writes.lock()[node].take();
                drop(write);
                (method(intern!(py, "_abort"))?, node.into_pyobject(py)?.into_any())
            }
            Act::Connect { node, epoch } => {
                let which = (node, epoch).into_pyobject(py)?.into_any();
                (method(intern!(py, "_connect"))?, which)
            }
        });
        Ok(())
    }

    /// An empty list for wakers.
    fn wakers(&self) -> Vec<Waker> {
        std::mem::take(&mut *self.wakers.lock())
    }

    /// Keeps the room of such a list.
    fn keep(&self, wakers: Vec<Waker>) {
        if wakers.capacity() <= 1024 {
            *self.wakers.lock() = wakers;
        }
    }
}

#[pymethods]
impl LoopDriver {
    #[new]
    fn new(endpoint: &Endpoint) -> Self {
        let hub = Hub::new(&endpoint.settings);
        let breaker = Arc::clone(&endpoint.breaker);
        let client = Client::new(Looped::new(Arc::clone(&hub)), endpoint.timeout, breaker);
        Self {
            client: Arc::new(client),
            hub,
            ready: Ready::new(),
            operations: GilLock::new(Operations::default()),
            writes: GilLock::new(vec![None]),
            wakers: GilLock::new(Vec::new()),
        }
    }

    /// The number by which other threads ask for this driver.
    #[getter]
    fn _number(&self) -> u64 {
        self.ready.driver
    }

    /// What was to be written in this turn of the loop.
    fn _flush<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Steps<'py>>> {
        Self::event(slf, |driver| driver.hub.flush())
    }

    /// The timer has gone off.
    fn _tick<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Steps<'py>>> {
        Self::event(slf, |driver| {
            driver.hub.tick();
            driver.ready.shrink();
            driver.operations.lock().shrink();
        })
    }

    /// A connection stands, and this is its `write`; whether it is wanted, and the steps.
    fn _made<'py>(
        slf: &Bound<'py, Self>,
        node: usize,
        epoch: u32,
        write: Py<PyAny>,
    ) -> PyResult<(bool, Option<Steps<'py>>)> {
        let driver = slf.get();
        let is_wanted = driver.hub.connected(node, epoch);
        if is_wanted {
            let before = driver.writes.lock()[node].replace(write);
            drop(before);
        }
        Ok((is_wanted, Self::event(slf, |_| ())?))
    }

    /// There will be no connection, or it is gone.
    fn _lost<'py>(
        slf: &Bound<'py, Self>,
        node: usize,
        epoch: u32,
        text: &str,
    ) -> PyResult<Option<Steps<'py>>> {
        Self::event(slf, |driver| driver.hub.lost(node, epoch, text))
    }

    /// The transport has room again.
    fn _resumed<'py>(
        slf: &Bound<'py, Self>,
        node: usize,
        epoch: u32,
    ) -> PyResult<Option<Steps<'py>>> {
        Self::event(slf, |driver| driver.hub.resume(node, epoch))
    }

    /// Another thread has woken an operation.
    fn _rung<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Steps<'py>>> {
        Self::event(slf, |_| ())
    }

    /// Ends every call and connection, for good.
    fn _shut<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Steps<'py>>> {
        Self::event(slf, |driver| driver.hub.close())
    }

    /// Operations, places, room for places, waits and replies that are due: for tests.
    fn _counts(&self) -> (usize, usize, usize, usize, usize) {
        let counts = self.hub.counts();
        let operations = self.operations.lock().len();
        (operations, counts.places, counts.capacity, counts.naps, counts.line)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for future in self.operations.lock().futures() {
            visit.call(future)?;
        }
        for write in self.writes.lock().iter().flatten() {
            visit.call(write)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let remains = self.operations.lock().clear();
        drop(remains);
        let writes: Vec<_> = self.writes.lock().iter_mut().map(Option::take).collect();
        drop(writes);
    }
}

/// The steps as Python runs them; nothing for none.
fn give<'py>(py: Python<'py>, pairs: Pairs<'py>) -> PyResult<Option<Steps<'py>>> {
    if pairs.is_empty() { Ok(None) } else { PyList::new(py, pairs).map(Some) }
}
