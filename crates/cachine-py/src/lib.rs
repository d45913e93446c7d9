//! The Python door of Cachine: converts, maps errors, waits. It decides nothing.
//!
//! | module | is |
//! | --- | --- |
//! | `memory` | the cache in memory, every operation |
//! | `remote`, `server` | the cache in Redis, every operation; where the server is |
//! | `looped` | the connection of an event loop, driven by that loop |
//! | `function` | a cached function: is this call a hit? |
//! | `call` | one call that is none: who computes, who waits |
//! | `turn` | a place in the queue of a lock |
//! | `binding`, `encode`, `identity` | from arguments to a key |
//! | `form`, `steps`, `values` | values as bytes: serializer, compression, encryption |
//! | `convert`, `errors` | arguments in, exceptions out |
//! | `host`, `gil`, `fork` | what the interpreter asks of whoever holds its objects |
//! | `clock` | a clock that tests move |
//! | `unwinding` | functions of the interpreter that a dying thread unwinds through |
//! | `raw` | the two types that are made by hand, and nearly all unsafe code |

mod binding;
mod call;
mod clock;
mod convert;
mod encode;
mod errors;
mod fork;
mod form;
mod function;
mod gil;
mod host;
mod identity;
mod looped;
mod memory;
mod numbers;
mod raw;
mod remote;
mod server;
mod steps;
mod turn;
mod unwinding;
mod values;

use pyo3::prelude::*;

/// The compiled part of the package `cachine`.
#[pymodule]
mod _core {
    #[pymodule_export]
    use crate::call::{Call, Terms};
    #[pymodule_export]
    use crate::clock::{FakeClock, now};
    #[pymodule_export]
    use crate::convert::lock_times;
    #[pymodule_export]
    use crate::fork::{forget_connections, forget_flights};
    #[pymodule_export]
    use crate::function::FunctionCore;
    #[pymodule_export]
    use crate::looped::probe::LoopProbe;
    #[pymodule_export]
    use crate::looped::{Endpoint, LoopDriver, LoopWire};
    #[pymodule_export]
    use crate::memory::Memory;
    #[pymodule_export]
    use crate::raw::function::{function_type, new_function};
    #[pymodule_export]
    use crate::remote::Remote;
    #[pymodule_export]
    use crate::remote::fill::{FillToken, Filler, Holder, OthersNone};
    #[pymodule_export]
    use crate::remote::lock::{Hold, Locker};
    #[pymodule_export]
    use crate::server::{Server, parse_url};
    #[pymodule_export]
    use crate::steps::{CompressionStep, EncryptionStep, generate_key};
    #[pymodule_export]
    use crate::turn::{Leaving, Turn};
    #[pymodule_export]
    use crate::values::{
        ExactSerializer, JsonSerializer, MsgPackSerializer, PickleSerializer, SerializerRoute,
    };

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::raw::get::install(&module.py().get_type::<crate::memory::Memory>())
    }
}
