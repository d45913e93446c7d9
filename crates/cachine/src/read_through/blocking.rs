//! Reading through the cache from threads.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use cachine_core::error::Error;

use crate::memory::{InMemoryCache, KeptWait, result_of};
use crate::read_through::call::{Call, Next};
use crate::read_through::held;
use crate::read_through::source::Source;
use crate::read_through::{ReadThrough, Refreshes};

impl<V: Clone + Send + Sync + 'static> InMemoryCache<V> {
    /// The value of a key; where there is none, computes it and stores it as `options` say.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cachine::{InMemoryCache, ReadThrough};
    ///
    /// let cache = InMemoryCache::new();
    /// let options = ReadThrough::new().ttl(Duration::from_secs(60)).singleflight(true);
    /// let squares = [1, 4, 9];
    /// let square = cache.get_or_compute("square:2", &options, || squares[1])?;
    /// assert_eq!(square, 4);
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// All before anything is computed: [`Closed`](crate::ErrorKind::Closed),
    /// [`InvalidKey`](crate::ErrorKind::InvalidKey), and [`Config`](crate::ErrorKind::Config) for
    /// a stale ttl without a ttl.
    ///
    /// # Panics
    ///
    /// Where `compute` or a closure of the options does; one of those who wait takes over.
    pub fn get_or_compute<R, F>(
        &self,
        key: &str,
        options: &ReadThrough<V, R>,
        compute: F,
    ) -> Result<V, Error>
    where
        F: FnOnce() -> V,
        R: Refreshes<F>,
    {
        read(self, key, options, compute, Ok::<V, Infallible>).map(|Ok(value)| value)
    }

    /// As [`get_or_compute`](Self::get_or_compute), for a computation that can fail. Its error is
    /// not stored; those who wait for the computation get a clone of it.
    ///
    /// The outer result is the cache's, the inner one the computation's:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use cachine::{InMemoryCache, ReadThrough};
    ///
    /// let cache = InMemoryCache::new();
    /// let options = ReadThrough::new();
    /// let parse = |text: &str| {
    ///     cache.try_get_or_compute(&format!("parse:{text}"), &options, || text.parse::<u32>())
    /// };
    /// assert_eq!(parse("17")??, 17);
    /// assert!(parse("seventeen")?.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_or_compute`](Self::get_or_compute); inside, whatever `compute` fails with.
    ///
    /// # Panics
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub fn try_get_or_compute<R, F, E>(
        &self,
        key: &str,
        options: &ReadThrough<V, R>,
        compute: F,
    ) -> Result<Result<V, E>, Error>
    where
        F: FnOnce() -> Result<V, E>,
        R: Refreshes<F>,
        E: Clone + Send + Sync + 'static,
    {
        read(self, key, options, compute, |result| result)
    }

    /// The value of a key; where there is none, stores what `factory` makes, for `ttl` or for ever.
    /// However many ask at once, one computes.
    ///
    /// This is [`get_or_compute`](Self::get_or_compute) with the options that are wanted most.
    ///
    /// ```
    /// let cache = cachine::InMemoryCache::new();
    /// assert_eq!(cache.get_or_set("answer", None, || 6 * 7)?, 42);
    /// # Ok::<_, cachine::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub fn get_or_set(
        &self,
        key: &str,
        ttl: Option<Duration>,
        factory: impl FnOnce() -> V,
    ) -> Result<V, Error> {
        self.get_or_compute(key, &ReadThrough::for_set(ttl), factory)
    }
}

/// A whole read; `as_result` makes a result of what the computation returns.
pub(crate) fn read<C, V, R, F, T, E>(
    cache: &C,
    key: &str,
    options: &ReadThrough<V, R>,
    compute: F,
    as_result: fn(T) -> Result<V, E>,
) -> Result<Result<V, E>, Error>
where
    C: Source<V>,
    V: Clone + Send + Sync + 'static,
    R: Refreshes<F>,
    F: FnOnce() -> T,
    T: 'static,
    E: Clone + Send + Sync + 'static,
{
    let mut call = Call::new(cache, key, options)?;
    if let Some(value) = call.fresh() {
        return Ok(Ok(value));
    }
    loop {
        match call.next()? {
            Next::Return(value) => return Ok(Ok(value)),
            Next::Refresh(value, lease) => {
                let (refresh, flight) = (call.to_refresh(), lease.id());
                let settle = move |result| drop(refresh.call().settle(lease, as_result(result)));
                options.refresh.start(compute, move |compute| settle(held::run(flight, compute)));
                return Ok(Ok(value));
            }
            Next::Compute(lease) => {
                let result = held::run(lease.id(), compute);
                let settled = call.settle(lease, as_result(result));
                return Ok(settled.map(Arc::unwrap_or_clone));
            }
            Next::Wait(wait) if held::would_stop(wait.id()) => call.go_alone(),
            Next::Wait(wait) => {
                if let Some(result) = block(&wait) {
                    return Ok(result);
                }
            }
        }
    }
}

/// Blocks until a computation has ended; `None` where it left nothing for this caller.
pub(crate) fn block<S, V, E>(wait: &KeptWait<S>) -> Option<Result<V, E>>
where
    S: 'static,
    V: Clone + 'static,
    E: Clone + 'static,
{
    // Where it is too late for a waker the end is there already.
    let _ = wait.register(Waker::from(Arc::new(Parked(thread::current()))));
    loop {
        match result_of(wait) {
            Poll::Ready(result) => return result,
            // Others may unpark this thread too: what counts is whether there is an end.
            Poll::Pending => thread::park(),
        }
    }
}

/// Wakes a thread that waits.
pub(crate) struct Parked(pub(crate) Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
