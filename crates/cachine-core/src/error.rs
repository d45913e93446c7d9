//! What can go wrong, as one type for all crates.
//!
//! `kind` says what happened, [`Error::is_retryable`] what to do about it, `operation` where. A
//! message names what failed, then with which input, then what to do; never a value that is
//! cached, never a secret.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// An operation that failed.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    message: String,
    /// Nobody knows whether it was done, and doing it twice does harm.
    is_uncertain: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option is wrong or missing.
    Config,
    /// A string can't be a key.
    InvalidKey,
    /// An argument has no stable form that could be part of a key.
    UnkeyableArgument,
    /// A value can't be kept, or is not what the operation works on.
    Serialization,
    /// Stored bytes are not what is expected of them.
    Deserialization,
    /// Stored bytes were changed or moved, or encrypted with an unknown key.
    Integrity,
    /// A counter would leave the range of 64 bits.
    Overflow,
    /// The cache was closed.
    Closed,
    /// The server can't be reached, or the connection to it broke.
    Connection,
    /// There was no answer within the deadline.
    Timeout,
    /// The server answered that it will not do it.
    Response,
}

impl Error {
    /// An error of `kind` in `operation`.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into(), is_uncertain: false, source: None }
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The same error of something that may have been done, and must not be done twice.
    #[must_use]
    pub fn uncertain(mut self) -> Self {
        self.is_uncertain = true;
        self
    }

    /// The same error, as another operation's that is made of this one.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.operation = operation;
        self
    }

    /// What happened.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed, such as `set`.
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the same call may succeed later, and does no harm then.
    pub const fn is_retryable(&self) -> bool {
        if self.is_uncertain {
            return false;
        }
        match self.kind {
            ErrorKind::Config
            | ErrorKind::InvalidKey
            | ErrorKind::UnkeyableArgument
            | ErrorKind::Serialization
            | ErrorKind::Deserialization
            | ErrorKind::Integrity
            | ErrorKind::Overflow
            | ErrorKind::Closed
            | ErrorKind::Response => false,
            ErrorKind::Connection | ErrorKind::Timeout => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
