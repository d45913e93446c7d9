//! What a child process forgets: computations and locks of threads that exist only in its parent, and
//! connections.
//!
//! The locks need no care. They are taken by attached threads only, and the thread that forks is
//! attached and holds none, so all of them are free at that moment.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use cachine::View;
use cachine::core::store::Store;
use cachine::redis::blocking::new_generation;
use pyo3::prelude::*;

use crate::host::PyHost;
use crate::server::Shared;

static STORES: Mutex<Vec<Weak<Store<PyHost>>>> = Mutex::new(Vec::new());
static SERVERS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// Remembers a store until it is gone.
pub(crate) fn watch(view: &View<PyHost>) {
    remember(&STORES, view.store());
}

/// Remembers a server until nobody uses it any more.
pub(crate) fn watch_server(server: &Arc<Shared>) {
    remember(&SERVERS, server);
}

fn remember<T>(list: &Mutex<Vec<Weak<T>>>, one: &Arc<T>) {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    if list.len() == list.capacity() {
        list.retain(|one| one.strong_count() > 0);
    }
    list.push(Arc::downgrade(one));
}

/// Called in the child after a fork.
#[pyfunction]
pub(crate) fn forget_flights() {
    let stores = STORES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for store in stores.iter().filter_map(Weak::upgrade) {
        store.forget_flights();
        store.forget_locks();
    }
}

/// Called in the child after a fork: no connection of the parent is ever used.
#[pyfunction]
pub(crate) fn forget_connections() {
    new_generation();
    let servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for server in servers.iter().filter_map(Weak::upgrade) {
        server.forget_connections();
    }
}
