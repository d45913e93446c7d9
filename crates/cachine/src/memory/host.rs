//! What the engine keeps for a Rust program: counted references, so that the code of a value
//! (`Clone`, `Drop`) never runs under the lock of a store.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Poll, Waker};

use cachine_core::store::{Ended, Host, Lease, Mutex, Wait};

/// The Rust door's side of the engine.
pub(crate) struct Kept<V>(PhantomData<fn() -> V>);

/// What a computation came to, for everyone who waited for it.
pub(crate) enum Outcome<V> {
    /// Its value.
    Value(Arc<V>),
    /// Its error. Callers of one key need not agree on a type: who can't read this one computes.
    Error(Arc<dyn Any + Send + Sync>),
}

pub(crate) type KeptLease<V> = Lease<Kept<V>>;
pub(crate) type KeptWait<V> = Wait<Kept<V>>;

impl<V: 'static> Host for Kept<V> {
    type Value = Arc<V>;
    type Outcome = Outcome<V>;
    type Waker = Waker;
    type Lock<T> = Mutex<T>;

    fn wake(waker: Waker) {
        waker.wake();
    }
}

impl<V: Clone> Outcome<V> {
    /// The result for one who waited; `None` where the error is of a type that it does not know.
    pub(crate) fn result<E: Clone + 'static>(&self) -> Option<Result<V, E>> {
        match self {
            Self::Value(value) => Some(Ok(V::clone(value))),
            Self::Error(error) => error.downcast_ref::<E>().map(|error| Err(error.clone())),
        }
    }
}

/// What the computation that was waited for came to; ready with `None` where it left nothing for
/// this caller, who has to ask again.
pub(crate) fn result_of<V, E>(wait: &KeptWait<V>) -> Poll<Option<Result<V, E>>>
where
    V: Clone + 'static,
    E: Clone + 'static,
{
    match wait.ended(Outcome::result) {
        Ended::Pending => Poll::Pending,
        Ended::Abandoned => Poll::Ready(None),
        Ended::Outcome(result) => Poll::Ready(result),
    }
}
