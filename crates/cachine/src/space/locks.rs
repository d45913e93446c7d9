//! Locks of a namespace on a server.

use std::time::Duration;

use cachine_core::error::Error;
use cachine_redis::client::{Client, Hold, Locked};
use cachine_redis::link::Link;

use crate::space::Space;

impl Space {
    /// Takes a lock for `ttl`, if nobody has it.
    ///
    /// # Errors
    ///
    /// As [`get`](Space::get).
    pub async fn lock<L: Link>(
        &self,
        client: &Client<L>,
        name: &str,
        ttl: Duration,
    ) -> Result<Locked, Error> {
        self.check(name, "lock")?;
        self.noted(client.lock(&self.names, name, ttl).await)
    }

    /// Lets a lock live for another `ttl`; whether it was still held.
    ///
    /// # Errors
    ///
    /// Of a server that does not answer as it should, as [`get`](Space::get).
    pub async fn renew_lock<L: Link>(
        &self,
        client: &Client<L>,
        name: &str,
        hold: &Hold,
        ttl: Duration,
    ) -> Result<bool, Error> {
        self.noted(client.renew_lock(&self.names, name, hold, ttl).await)
    }

    /// Gives a lock back; whether it was still held.
    ///
    /// # Errors
    ///
    /// Of a server that does not answer as it should, as [`get`](Space::get).
    pub async fn unlock<L: Link>(
        &self,
        client: &Client<L>,
        name: &str,
        hold: &Hold,
    ) -> Result<bool, Error> {
        self.noted(client.unlock(&self.names, name, hold).await)
    }
}
