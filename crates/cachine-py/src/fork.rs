//! What a child process forgets: computations whose threads exist only in its parent.
//!
//! The locks need no care. They are taken by attached threads only, and the thread that forks is
//! attached and holds none, so all of them are free at that moment.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use cachine::View;
use cachine::core::store::Store;
use pyo3::prelude::*;

use crate::host::PyHost;

static STORES: Mutex<Vec<Weak<Store<PyHost>>>> = Mutex::new(Vec::new());

/// Remembers a store until it is gone.
pub(crate) fn watch(view: &View<PyHost>) {
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    if stores.len() == stores.capacity() {
        stores.retain(|store| store.strong_count() > 0);
    }
    stores.push(Arc::downgrade(view.store()));
}

/// Called in the child after a fork.
#[pyfunction]
pub(crate) fn forget_flights() {
    let stores = STORES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for store in stores.iter().filter_map(Weak::upgrade) {
        store.forget_flights();
    }
}
