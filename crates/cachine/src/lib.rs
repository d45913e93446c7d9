//! Cachine: the caching library that people stop looking after.

mod freshness;
mod view;

pub use cachine_core as core;
pub use freshness::Freshness;
pub use view::{Value, View};
