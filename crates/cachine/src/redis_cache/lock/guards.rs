//! The locks that the caches in Redis hand out, for threads and for tasks.
//!
//! They differ in one word, `async`; a macro, so that they can't differ in anything else.

use std::fmt;

use cachine_core::error::Error;
use cachine_redis::blocking::Blocking;
#[cfg(feature = "tokio")]
use cachine_redis::tokio_link::Multiplexed;

use crate::redis_cache::door::run;
use crate::redis_cache::lock::Held;

/// A lock that is held, of a [`RedisCache`](crate::RedisCache); dropped, it is given back, which
/// takes one round trip.
///
/// That is so in a panic too. Where the server does not answer, dropping takes as long as the
/// timeout of the cache, and the lock ends on its own, at the latest after its ttl.
///
/// ```no_run
/// use std::time::Duration;
/// use cachine::{LockOptions, RedisCache};
///
/// # fn bill(customer: u32, fence: u64) {}
/// let cache = RedisCache::builder().namespace("shop").build()?;
/// let options = LockOptions::new().ttl(Duration::from_secs(10)).timeout(Duration::from_secs(5));
/// let lock = cache.lock_with("billing", options)?;
/// for customer in 1..=1_000 {
///     if lock.is_lost() {
///         break; // Somebody else may be at it.
///     }
///     bill(customer, lock.token()); // Refuses a token smaller than it has seen.
/// }
/// lock.release()?;
/// # Ok::<_, cachine::Error>(())
/// ```
#[must_use = "a lock that is dropped at once is given back at once"]
pub struct RedisLock(Held<Blocking>);

/// A lock that is held, of an [`AsyncRedisCache`](crate::AsyncRedisCache); dropped, it is given back
/// in the background.
///
/// That is so in a panic too, and where the task is cancelled. Whoever drops it does not wait; with
/// the runtime gone, or a server that does not answer, the lock ends on its own, at the latest
/// after its ttl.
///
/// ```no_run
/// # async fn example() -> Result<(), cachine::Error> {
/// use cachine::AsyncRedisCache;
///
/// let cache = AsyncRedisCache::builder().namespace("shop").build()?;
/// let lock = cache.lock("billing").await?;
/// println!("fenced by {}", lock.token());
/// lock.release().await?;
/// # Ok(()) }
/// ```
#[cfg(feature = "tokio")]
#[must_use = "a lock that is dropped at once is given back at once"]
pub struct AsyncRedisLock(Held<Multiplexed>);

macro_rules! guard {
    ($lock:ident, $door:ty, [$($async:tt)?] $run:ident) => {
        impl $lock {
            pub(in crate::redis_cache) const fn new(held: Held<$door>) -> Self {
                Self(held)
            }

            /// The fencing token: larger than that of every holder of this lock before, whichever
            /// process or host it is on, also if the server was restarted with empty memory in
            /// between. It begins with the server's time, in microseconds since 1970. Only where
            /// the server lost its memory *and* its clock was set back it may be smaller.
            #[must_use]
            pub const fn token(&self) -> u64 {
                self.0.token()
            }

            /// Whether somebody else may hold it by now: the server said at a renewal that it is
            /// gone, or there was none for the ttl of the lock, by the clock of this machine that
            /// runs on while it sleeps. Or this is the child of a fork. This asks nobody, so it is
            /// known at once when a process wakes; what is lost stays lost.
            #[must_use]
            pub fn is_lost(&self) -> bool {
                self.0.how_lost().is_some()
            }

            /// Gives the lock back, as dropping it does, and says if it had been lost before.
            ///
            /// A server that does not answer now is no error: the lock was held to this end, and
            /// ends on its own, at the latest after its ttl. It is counted in the
            /// [`errors`](crate::Stats::errors) of the cache.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), not retryable, where it was lost:
            /// see [`is_lost`](Self::is_lost). Somebody else may have done the same work at the
            /// same time.
            pub $($async)? fn release(self) -> Result<(), Error> {
                $run!(self.0.release())
            }
        }

        impl fmt::Debug for $lock {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.show(stringify!($lock), f)
            }
        }
    };
}

guard!(RedisLock, Blocking, [] finished);
#[cfg(feature = "tokio")]
guard!(AsyncRedisLock, Multiplexed, [async] awaited);
