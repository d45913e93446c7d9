//! How a lock is asked for, and what is said of one that was not to be had or was lost.

use std::time::Duration;

use cachine_core::clock::{Clock, Instant, nanoseconds};
use cachine_core::error::{Error, ErrorKind};

pub(crate) const OPERATION: &str = "lock";

/// The options of a lock.
///
/// ```
/// use std::time::Duration;
/// use cachine::{ErrorKind, InMemoryCache, LockOptions};
///
/// let cache = InMemoryCache::<u32>::new();
/// let _lock = cache.lock("report")?;
/// let once = LockOptions::new().timeout(Duration::ZERO);
/// let error = cache.lock_with("report", once).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Timeout);
/// # Ok::<_, cachine::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "options do nothing on their own"]
pub struct LockOptions {
    pub(crate) ttl: Duration,
    pub(crate) timeout: Option<Duration>,
}

impl LockOptions {
    /// A lock that ends 30 seconds after its holder was last heard of, for which one waits without
    /// end.
    pub const fn new() -> Self {
        Self { ttl: Duration::from_secs(30), timeout: None }
    }

    /// How long the lock outlives a holder that dies or is cut off from the server, to the
    /// millisecond; 30 seconds unless said otherwise. Never zero.
    ///
    /// While the holder lives the lock is renewed in the background, every third of this, for as
    /// long as it is held. So this is no limit of how long that may be, but of how long others
    /// wait in vain after an accident; the longer it is, the more of a hiccup of network, server or
    /// process it outlives. In memory nothing ends, because a holder can't die without its process.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long to wait for the lock in all, behind those of this process and those of others;
    /// without end unless said otherwise. Zero: one try.
    ///
    /// A server that does not answer is not waited for that long: its error comes when the timeout
    /// of the cache is over.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.ttl.is_zero() {
            let message = "lock: ttl is zero: a lock that ends at once excludes nobody, give it \
                           more than its holder may be out of touch";
            return Err(Error::new(ErrorKind::Config, OPERATION, message));
        }
        Ok(())
    }

    /// Why there is no lock.
    pub(crate) fn not_free(&self, name: &str) -> Error {
        let seconds = self.timeout.unwrap_or_default().as_secs_f64();
        let message = format!(
            "lock: '{name}' was not free within {seconds} s: somebody else holds it, try again \
             later or with a longer timeout"
        );
        Error::new(ErrorKind::Timeout, OPERATION, message)
    }
}

impl Default for LockOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// When a wait that begins now is over; `None` for never.
pub(crate) fn until(timeout: Option<Duration>) -> Option<Instant> {
    // Whoever waits does so by the real clock, also for a cache whose entries have another.
    timeout.map(|timeout| Clock::System.now().saturating_add(nanoseconds(timeout)))
}

/// How a lock was lost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lost {
    /// It was held by the process that this one was forked from.
    Fork,
    /// There was no renewal for so long.
    #[cfg(all(feature = "redis", any(feature = "json", feature = "msgpack")))]
    Late(Duration),
    /// The server says that it is not held.
    #[cfg(all(feature = "redis", any(feature = "json", feature = "msgpack")))]
    Gone,
}

impl Lost {
    /// What its holder is told.
    pub(crate) fn error(self, name: &str) -> Error {
        let why = match self {
            Self::Fork => "the process that holds it is the parent of this one".to_owned(),
            #[cfg(all(feature = "redis", any(feature = "json", feature = "msgpack")))]
            Self::Late(ttl) => format!("it could not be renewed for {} s", ttl.as_secs_f64()),
            #[cfg(all(feature = "redis", any(feature = "json", feature = "msgpack")))]
            Self::Gone => "the server had it no more".to_owned(),
        };
        let message = format!(
            "lock: '{name}' was lost before it was released: {why}, so somebody else may have held \
             it meanwhile; check `is_lost()`, and have what you write to refuse smaller tokens"
        );
        Error::new(ErrorKind::Timeout, OPERATION, message).uncertain()
    }
}
