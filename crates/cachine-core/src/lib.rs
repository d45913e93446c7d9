//! The in-memory engine of Cachine, and the vocabulary that every other part shares.
//!
//! This crate knows keys, values it can't look into, times and tags. It knows no Python, no
//! runtime, no network and no serialization, and it never calls the code of its users: a miss
//! hands out a [`store::Lease`], dropped values leave with the call that dropped them.
//!
//! | module | is |
//! | --- | --- |
//! | [`store`] | the table behind a lock: what a read, a write, a fill means |
//! | [`policy`] | who leaves when it is full |
//! | [`clock`] | the one source of time |
//! | [`stats`] | what was counted |
//! | [`key`] | what a key may be, namespaces, names of tags |
//! | [`callkey`] | the canonical encoding of a function call as a key |
//! | [`locks`] | who holds a lock, and who is next |
//! | [`error`] | what can go wrong, in one type |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod callkey;
pub mod clock;
mod entry;
pub mod error;
mod fills;
mod graph;
mod index;
pub mod key;
pub mod locks;
pub mod policy;
mod slab;
pub mod stats;
pub mod store;
mod sync;
mod tags;
mod wheel;

pub use entry::Life;
pub use graph::FlightId;
pub use tags::Tag;
