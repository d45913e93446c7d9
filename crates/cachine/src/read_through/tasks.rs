//! Reading through the cache from tasks, whatever runtime polls them.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use cachine_core::error::Error;

use crate::memory::{InMemoryCache, KeptWait, result_of};
use crate::read_through::call::{Call, Next};
use crate::read_through::held::Computing;
use crate::read_through::source::Source;
use crate::read_through::{ReadThrough, RefreshesAsync};

impl<V: Clone + Send + Sync + 'static> InMemoryCache<V> {
    /// As [`get_or_compute`](Self::get_or_compute), for a computation that awaits.
    ///
    /// Threads and tasks that ask for one key share one computation. It is part of the future that
    /// began it: where that is dropped, one of those who wait takes over.
    ///
    /// ```
    /// # pollster::block_on(async {
    /// use std::time::Duration;
    /// use cachine::{InMemoryCache, ReadThrough};
    ///
    /// let cache = InMemoryCache::new();
    /// let options = ReadThrough::new().ttl(Duration::from_secs(60)).singleflight(true);
    /// let value = cache.get_or_compute_async("answer", &options, || async { 42 }).await?;
    /// assert_eq!(value, 42);
    /// # Ok::<_, cachine::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    ///
    /// # Panics
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub async fn get_or_compute_async<R, F, A>(
        &self,
        key: &str,
        options: &ReadThrough<V, R>,
        compute: F,
    ) -> Result<V, Error>
    where
        F: FnOnce() -> A,
        A: Future<Output = V>,
        R: RefreshesAsync<F, A>,
    {
        read(self, key, options, compute, Ok::<V, Infallible>).await.map(|Ok(value)| value)
    }

    /// As [`try_get_or_compute`](Self::try_get_or_compute), for a computation that awaits.
    ///
    /// # Errors
    ///
    /// As [`try_get_or_compute`](Self::try_get_or_compute).
    ///
    /// # Panics
    ///
    /// As [`get_or_compute`](Self::get_or_compute).
    pub async fn try_get_or_compute_async<R, F, A, E>(
        &self,
        key: &str,
        options: &ReadThrough<V, R>,
        compute: F,
    ) -> Result<Result<V, E>, Error>
    where
        F: FnOnce() -> A,
        A: Future<Output = Result<V, E>>,
        R: RefreshesAsync<F, A>,
        E: Clone + Send + Sync + 'static,
    {
        read(self, key, options, compute, |result| result).await
    }
}

/// A whole read; the twin of that of threads.
pub(crate) async fn read<C, V, R, F, A, E>(
    cache: &C,
    key: &str,
    options: &ReadThrough<V, R>,
    compute: F,
    as_result: fn(A::Output) -> Result<V, E>,
) -> Result<Result<V, E>, Error>
where
    C: Source<V>,
    V: Clone + Send + Sync + 'static,
    R: RefreshesAsync<F, A>,
    F: FnOnce() -> A,
    A: Future<Output: 'static>,
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
                options.refresh.start(flight, compute, settle);
                return Ok(Ok(value));
            }
            Next::Compute(lease) => {
                let result = Computing::new(lease.id(), compute).await;
                let settled = call.settle(lease, as_result(result));
                return Ok(settled.map(Arc::unwrap_or_clone));
            }
            Next::Wait(wait) => {
                if let Some(result) = poll_fn(|context| poll_end(&wait, context)).await {
                    return Ok(result);
                }
            }
        }
    }
}

/// Waits for the end of a computation; `None` where it left nothing for this caller.
#[cfg(all(feature = "tokio", any(feature = "json", feature = "msgpack")))]
pub(crate) async fn wait_for<S, V, E>(wait: &KeptWait<S>) -> Option<Result<V, E>>
where
    S: 'static,
    V: Clone + 'static,
    E: Clone + 'static,
{
    poll_fn(|context| poll_end(wait, context)).await
}

/// Waits for the end of a computation; ready with `None` where it left nothing for this caller.
fn poll_end<S, V, E>(wait: &KeptWait<S>, context: &mut Context<'_>) -> Poll<Option<Result<V, E>>>
where
    S: 'static,
    V: Clone + 'static,
    E: Clone + 'static,
{
    let result = result_of(wait);
    if result.is_pending() && wait.register(context.waker().clone()).is_err() {
        return result_of(wait); // It ended between the two looks.
    }
    result
}
