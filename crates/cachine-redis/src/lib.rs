//! Redis under Cachine: where a command goes, how long it may take, and what it means for entries.
//!
//! The `redis` crate packs commands and parses replies. What is written here is the part that a
//! cache needs and no client has: one deadline for a whole call, connections that are never used
//! again once a reply is in doubt, and the protocol that keeps fills and invalidations coherent.
//! All of it is written once, over [`link::Link`], for threads, for tasks, and for event loops of
//! Python.
//!
//! | module | is |
//! | --- | --- |
//! | [`link`] | what carries commands: the trait, a batch, its replies, a fault |
//! | [`blocking`] | the link for threads |
//! | [`hub`] | a link without I/O, for an event loop that carries its bytes |
//! | `tokio_link` | the link for tasks of tokio |
//! | [`settings`] | where a server is and how to greet it |
//! | [`greeting`] | the first words on a new connection |
//! | [`client`] | every operation on entries, over any link |
//! | [`names`] | what keys are called in the server |
//! | [`breaker`] | remembers that a server does not answer |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod blocking;
pub mod breaker;
pub mod client;
pub mod greeting;
pub mod hub;
pub mod link;
pub mod names;
mod random;
pub mod script;
pub mod settings;
mod slot;
#[cfg(feature = "tokio")]
pub mod tokio_link;
mod url;
