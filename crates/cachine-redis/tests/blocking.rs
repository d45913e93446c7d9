//! The blocking link against servers that misbehave in every way, and against a real one.

#[path = "blocking/calls.rs"]
mod calls;
#[path = "blocking/connecting.rs"]
mod connecting;
#[path = "blocking/deadlines.rs"]
mod deadlines;
#[cfg(feature = "tls")]
#[path = "blocking/encrypted.rs"]
mod encrypted;
#[path = "blocking/fake.rs"]
mod fake;
#[path = "blocking/greetings.rs"]
mod greetings;
#[path = "blocking/interruptions.rs"]
mod interruptions;
#[path = "blocking/pools.rs"]
mod pools;
#[path = "blocking/replies.rs"]
mod replies;
#[path = "blocking/server.rs"]
mod server;
