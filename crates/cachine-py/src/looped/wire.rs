//! The protocol of one connection: takes the bytes of its transport.

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyMemoryView};

use super::{LoopDriver, Steps};

/// How much a transport may hand over at once.
const ROOM: usize = 64 << 10;

/// Mixed with `asyncio.BufferedProtocol` in Python. Its transport owns it, and it owns the driver.
#[pyclass(frozen, subclass, module = "cachine._core")]
pub(crate) struct LoopWire {
    driver: Py<LoopDriver>,
    node: usize,
    epoch: u32,
    /// Where the transport puts what it reads.
    buffer: Py<PyByteArray>,
    view: Py<PyMemoryView>,
}

#[pymethods]
impl LoopWire {
    #[new]
    fn new(py: Python<'_>, driver: Py<LoopDriver>, node: usize, epoch: u32) -> PyResult<Self> {
        let buffer = PyByteArray::new_with(py, ROOM, |_| Ok(()))?;
        let view = PyMemoryView::from(&buffer)?;
        Ok(Self { driver, node, epoch, buffer: buffer.unbind(), view: view.unbind() })
    }

    #[getter]
    fn driver(&self, py: Python<'_>) -> Py<LoopDriver> {
        self.driver.clone_ref(py)
    }

    #[getter]
    fn node(&self) -> usize {
        self.node
    }

    #[getter]
    fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Called by the transport before it reads.
    fn get_buffer(&self, py: Python<'_>, _sizehint: isize) -> Py<PyMemoryView> {
        self.view.clone_ref(py)
    }

    /// Called by the transport when it holds too much.
    fn pause_writing(&self) {
        self.driver.get().hub.pause(self.node, self.epoch);
    }

    /// What follows from so many bytes that the transport has read.
    fn _fed<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Option<Steps<'py>>> {
        let buffer = self.buffer.bind(py);
        LoopDriver::event(self.driver.bind(py), |driver| {
            let mut wakers = driver.wakers();
            // SAFETY: the view that was handed out forbids a change of size, and who has it, the
            // transport, writes only between these calls, on this thread.
            let bytes = unsafe { buffer.as_bytes() };
            driver.hub.feed(self.node, self.epoch, &bytes[..count.min(ROOM)], &mut wakers);
            driver.keep(wakers);
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.driver)
    }
}
