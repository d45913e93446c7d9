//! Computations of callers: on their thread, or in their task.

use cachine_core::FlightId;

use crate::read_through::held;
#[cfg(feature = "tokio")]
use crate::read_through::held::Computing;

/// Runs a computation as part of those that its caller is part of.
pub(super) trait Compute {
    type Output;
    fn run(self, flight: FlightId) -> impl Future<Output = Self::Output>;
}

/// A computation on this thread.
pub(super) struct Here<F>(pub(super) F);

/// A computation that awaits.
#[cfg(feature = "tokio")]
pub(super) struct InTask<F>(pub(super) F);

impl<F: FnOnce() -> T, T> Compute for Here<F> {
    type Output = T;

    async fn run(self, flight: FlightId) -> T {
        held::run(flight, self.0)
    }
}

#[cfg(feature = "tokio")]
impl<F: FnOnce() -> A, A: Future> Compute for InTask<F> {
    type Output = A::Output;

    fn run(self, flight: FlightId) -> impl Future<Output = A::Output> {
        Computing::new(flight, self.0)
    }
}
