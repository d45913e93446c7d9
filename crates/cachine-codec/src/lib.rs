//! Values as bytes: serialization formats, compression, encryption, and the form in which a shared
//! store keeps them.
//!
//! ```text
//! value ── json, msgpack, exact ──▶ payload ── compression ── encryption ── frame ──▶ stored bytes
//! ```
//!
//! No I/O, no clock, no state but keys: everything here is a function of bytes, and can be fuzzed and
//! audited alone.
//!
//! | module | is |
//! | --- | --- |
//! | `sink`, `build` | how a value is written and made, whatever a value is to the caller |
//! | `kind` | what there is beside JSON: the extension types of MessagePack |
//! | `format`, `payload` | which format a payload has; a payload or an integer |

pub mod build;
pub mod format;
pub mod kind;
pub mod payload;
pub mod sink;
