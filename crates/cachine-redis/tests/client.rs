//! The client against a real server: what each operation does, what it costs, and what it survives.
//!
//! Every test starts a server of its own, over a blocking link that is written here.

#[path = "client/access.rs"]
mod access;
#[path = "client/clearing.rs"]
mod clearing;
#[path = "client/counters.rs"]
mod counters;
#[path = "client/endings.rs"]
mod endings;
#[path = "client/faults.rs"]
mod faults;
#[path = "client/fills.rs"]
mod fills;
#[path = "client/link.rs"]
mod link;
#[path = "client/lives.rs"]
mod lives;
#[path = "client/locks.rs"]
mod locks;
#[path = "client/model.rs"]
mod model;
#[path = "client/races.rs"]
mod races;
#[path = "client/scene.rs"]
mod scene;
#[path = "client/server.rs"]
mod server;
#[path = "client/tags.rs"]
mod tags;
#[path = "client/trips.rs"]
mod trips;
#[path = "client/values.rs"]
mod values;
