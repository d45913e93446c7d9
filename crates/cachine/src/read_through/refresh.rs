//! Who computes a stale value anew: nobody, a thread, or a task.
//!
//! A refresh may outlive the call that starts it, so it needs a computation that owns what it
//! uses. The types here let the compiler ask for that exactly where there is a stale window, and
//! leave every other computation free to borrow.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use cachine_core::FlightId;

use crate::read_through::held::Computing;
use crate::read_through::threads;

/// The refresh of a stale value, for [`ReadThrough::refresh_with`](super::ReadThrough::refresh_with)
/// to run.
pub type RefreshTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// No stale window: a computation runs only while its caller waits, and may borrow.
#[derive(Clone, Copy, Debug)]
pub struct Never;

/// The refresh threads of the process compute stale values anew.
#[derive(Clone, Copy, Debug)]
pub struct Threads;

/// Tasks of the program's runtime compute stale values anew.
#[derive(Clone)]
pub struct Tasks(Arc<dyn Fn(RefreshTask) + Send + Sync>);

/// Can run `F` behind the back of its caller, or never has to.
///
/// ```compile_fail,E0597
/// use std::time::Duration;
/// use cachine::{InMemoryCache, ReadThrough};
///
/// let second = Duration::from_secs(1);
/// let options = ReadThrough::new().ttl(second).stale_ttl(2 * second);
/// let text = String::from("borrowed by what may run later");
/// InMemoryCache::new().get_or_compute("key", &options, || text.len()).unwrap();
/// ```
///
/// This can't be implemented outside of this crate.
#[diagnostic::on_unimplemented(
    message = "this computation can't be refreshed in the background by `{Self}`",
    label = "borrows something, or is not for threads",
    note = "with `stale_ttl` a computation may outlive its call: make it a `move` closure over \
            values that it owns (`Send + 'static`)",
    note = "options with `refresh_with` are for the async functions"
)]
pub trait Refreshes<F>: sealed::Sealed {
    #[doc(hidden)]
    fn start(&self, compute: F, job: impl FnOnce(F) + Send + 'static);
}

/// Can run the future `A` that `F` makes behind the back of its caller, or never has to.
///
/// This can't be implemented outside of this crate.
#[diagnostic::on_unimplemented(
    message = "this computation can't be refreshed in the background by `{Self}`",
    label = "borrows something, or there is no runtime to run it",
    note = "`stale_ttl` in an async function needs a runtime: `.refresh_with(|task| …)` names it",
    note = "the computation may outlive its call: make it a `move` closure with an `async move` \
            block over values that it owns (`Send + 'static`)"
)]
pub trait RefreshesAsync<F, A: Future>: sealed::Sealed {
    #[doc(hidden)]
    fn start(&self, flight: FlightId, compute: F, settle: impl FnOnce(A::Output) + Send + 'static);

    /// The same where the right to compute is asked for, and the result stored, by awaiting:
    /// `lead` has the number of the computation, and what is to be handed to `settle`.
    #[doc(hidden)]
    #[cfg(all(feature = "tokio", any(feature = "json", feature = "msgpack")))]
    fn start_after<C: Send + 'static, W: Future<Output = ()> + Send + 'static>(
        &self,
        compute: F,
        lead: impl Future<Output = Option<(FlightId, C)>> + Send + 'static,
        settle: impl FnOnce(C, A::Output) -> W + Send + 'static,
    );
}

impl<F> Refreshes<F> for Never {
    fn start(&self, _: F, _: impl FnOnce(F) + Send + 'static) {}
}

impl<F: Send + 'static> Refreshes<F> for Threads {
    fn start(&self, compute: F, job: impl FnOnce(F) + Send + 'static) {
        threads::submit(Box::new(move || job(compute)));
    }
}

impl<F, A: Future> RefreshesAsync<F, A> for Never {
    fn start(&self, _: FlightId, _: F, _: impl FnOnce(A::Output) + Send + 'static) {}

    #[cfg(all(feature = "tokio", any(feature = "json", feature = "msgpack")))]
    fn start_after<C: Send + 'static, W: Future<Output = ()> + Send + 'static>(
        &self,
        _: F,
        _: impl Future<Output = Option<(FlightId, C)>> + Send + 'static,
        _: impl FnOnce(C, A::Output) -> W + Send + 'static,
    ) {
    }
}

impl<F, A> RefreshesAsync<F, A> for Tasks
where
    F: FnOnce() -> A + Send + 'static,
    A: Future + Send + 'static,
{
    fn start(&self, flight: FlightId, compute: F, settle: impl FnOnce(A::Output) + Send + 'static) {
        (self.0)(Box::pin(async move { settle(Computing::new(flight, compute).await) }));
    }

    #[cfg(all(feature = "tokio", any(feature = "json", feature = "msgpack")))]
    fn start_after<C: Send + 'static, W: Future<Output = ()> + Send + 'static>(
        &self,
        compute: F,
        lead: impl Future<Output = Option<(FlightId, C)>> + Send + 'static,
        settle: impl FnOnce(C, A::Output) -> W + Send + 'static,
    ) {
        (self.0)(Box::pin(async move {
            let Some((flight, led)) = lead.await else { return };
            let output = Computing::new(flight, compute).await;
            settle(led, output).await;
        }));
    }
}

impl Tasks {
    pub(super) fn new(spawn: impl Fn(RefreshTask) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tasks")
    }
}

mod sealed {
    pub trait Sealed {
        /// Whether a stale value is answered at once. Where nobody can refresh it, the one caller
        /// who would have to computes it anew: it was stored by other options.
        const IN_BACKGROUND: bool = true;
    }
    impl Sealed for super::Never {
        const IN_BACKGROUND: bool = false;
    }
    impl Sealed for super::Threads {}
    impl Sealed for super::Tasks {}
}
pub(crate) use sealed::Sealed;
