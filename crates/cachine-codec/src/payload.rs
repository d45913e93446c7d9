//! A serialized value on its way into a store or out of it.

use std::borrow::Cow;

use crate::format::Format;

/// A value as bytes, or an integer of 64 bits, which every serializer leaves to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// An integer; stored as plain decimal, so that counters and values agree.
    Integer(i64),
    /// What a serializer wrote.
    Bytes {
        /// Its format; `None` where it was read without a frame to name it.
        format: Option<Format>,
        /// The bytes.
        bytes: Cow<'a, [u8]>,
    },
}
