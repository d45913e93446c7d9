//! MessagePack, with the extension types of [`crate::kind`].
//!
//! Every value has one form here, the shortest: two payloads are equal if the values are.

mod read;
mod sink;

pub use self::read::read;
pub use self::sink::{Extensions, MessagePackSink};
