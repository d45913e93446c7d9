//! What the engine keeps for a Rust program: something that is copied and dropped without foreign
//! code, so that the code of a value (`Clone`, `Drop`) never runs under the lock of a store.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Poll, Waker};

use cachine_core::store::{Ended, Host, Lease, Mutex, Wait};

/// The Rust door's side of the engine, for entries that are kept as `S`.
pub(crate) struct Kept<S>(PhantomData<fn() -> S>);

/// What a computation came to, for everyone who waited for it. Callers of one key need not agree on
/// a type: who can't read what is here computes.
pub(crate) enum Outcome {
    /// Its value.
    Value(Arc<dyn Any + Send + Sync>),
    /// Its error.
    Error(Arc<dyn Any + Send + Sync>),
}

pub(crate) type KeptLease<S> = Lease<Kept<S>>;
pub(crate) type KeptWait<S> = Wait<Kept<S>>;

impl<S: 'static> Host for Kept<S> {
    type Value = S;
    type Outcome = Outcome;
    type Waker = Waker;
    type Lock<T> = Mutex<T>;

    fn wake(waker: Waker) {
        waker.wake();
    }
}

impl Outcome {
    /// The result for one who waited; `None` where it is of a type that it does not know.
    pub(crate) fn result<V: Clone + 'static, E: Clone + 'static>(&self) -> Option<Result<V, E>> {
        match self {
            Self::Value(value) => value.downcast_ref::<V>().map(|value| Ok(value.clone())),
            Self::Error(error) => error.downcast_ref::<E>().map(|error| Err(error.clone())),
        }
    }
}

/// What the computation that was waited for came to; ready with `None` where it left nothing for
/// this caller, who has to ask again.
pub(crate) fn result_of<S, V, E>(wait: &KeptWait<S>) -> Poll<Option<Result<V, E>>>
where
    S: 'static,
    V: Clone + 'static,
    E: Clone + 'static,
{
    match wait.ended(Outcome::result) {
        Ended::Pending => Poll::Pending,
        Ended::Abandoned => Poll::Ready(None),
        Ended::Outcome(result) => Poll::Ready(result),
    }
}
