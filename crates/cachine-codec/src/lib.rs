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
//! | `json`, `msgpack`, `exact` | the formats: JSON text, MessagePack, and the one of the two that keeps a value |
//! | `kind` | what there is beside JSON: the extension types of MessagePack |
//! | `content` | the contents of extensions that are plain bytes |
//! | `value` | any value, in Rust |
//! | `signing` | the signature behind a pickle |
//! | `format`, `payload` | which format a payload has; a payload or an integer |
//! | `steps` | what happens between a payload and what a store keeps |
//! | `compression`, `encryption` | the two steps that can be switched on |
//! | `stored` | stored bytes without the payload: tags, freshness, counting |
//! | `frame` | the layout of what precedes a payload |

pub mod build;
pub mod compression;
pub mod content;
pub mod encryption;
#[cfg(all(feature = "json", feature = "msgpack"))]
pub mod exact;
pub mod format;
mod frame;
#[cfg(feature = "json")]
pub mod json;
pub mod kind;
#[cfg(feature = "msgpack")]
pub mod msgpack;
pub mod payload;
pub mod signing;
pub mod sink;
pub mod steps;
pub mod stored;
pub mod value;
