//! Addresses of a host, found within a deadline.
//!
//! The system's look-up can't be stopped: it takes what it takes. So it runs in a thread of its own,
//! at most one for a host at a time, and callers stop waiting for it when their time is up. Those
//! that come meanwhile wait for the same look-up.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use cachine_core::clock::Instant;

use super::generation::{self, PerProcess};
use super::waiting::{Trouble, Waiting};
use crate::link::Cause;

/// Finds the addresses of a host; the ports do not matter.
pub type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The look-ups of this process by the system.
pub(super) static SYSTEM: Resolver = Resolver::new(0, None);

/// Looks up hosts.
pub(super) struct Resolver {
    lookup: Option<Lookup>,
    pending: PerProcess<Mutex<Vec<Arc<Pending>>>>,
}

/// A look-up under way.
struct Pending {
    host: String,
    /// The process that runs it. A child must not wait for it, even one that was forked without
    /// telling anybody.
    process: u32,
    answer: Mutex<Option<Answer>>,
    answered: Condvar,
}

type Answer = Result<Vec<SocketAddr>, String>;

/// The duty to answer, which ends a look-up even if it panics.
struct Duty(Arc<Pending>);

impl Resolver {
    /// Looks up by this function, or by the system's.
    pub(super) const fn new(generation: u64, lookup: Option<Lookup>) -> Self {
        Self { lookup, pending: PerProcess::new(generation, Mutex::new(Vec::new())) }
    }

    /// Makes a place for this process, while it has only one thread.
    pub(super) fn renew(&self) {
        self.pending.at(generation::current(), || Mutex::new(Vec::new()));
    }

    /// The addresses of a host, with this port.
    pub(super) fn resolve(
        &self,
        host: &str,
        port: u16,
        waiting: &Waiting,
        until: Instant,
    ) -> Result<Vec<SocketAddr>, Trouble> {
        let pending = self.pending(host).map_err(|error| {
            Trouble::connection(format!("no thread for the look-up of the host: {error}"))
        })?;
        let mut addresses = pending.wait(waiting, until)?;
        for address in &mut addresses {
            address.set_port(port);
        }
        Ok(addresses)
    }

    /// The look-up under way, or a new one.
    fn pending(&self, host: &str) -> io::Result<Arc<Pending>> {
        let all = self.pending.at(generation::current(), || Mutex::new(Vec::new()));
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        all.retain(|pending| pending.process == process && pending.lock().is_none());
        if let Some(pending) = all.iter().find(|pending| pending.host == host) {
            return Ok(Arc::clone(pending));
        }
        let pending = Arc::new(Pending {
            host: host.to_owned(),
            process,
            answer: Mutex::new(None),
            answered: Condvar::new(),
        });
        let (duty, lookup) = (Duty(Arc::clone(&pending)), self.lookup.clone());
        let work = move || duty.fulfil(lookup.as_ref());
        Builder::new().name("cachine-look-up".to_owned()).spawn(work)?;
        all.push(Arc::clone(&pending));
        Ok(pending)
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Option<Answer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, waiting: &Waiting, until: Instant) -> Result<Vec<SocketAddr>, Trouble> {
        let mut answer = self.lock();
        loop {
            if let Some(answer) = &*answer {
                let failed = |error| format!("the look-up of the host failed: {error}");
                return answer.clone().map_err(|error| Trouble::connection(failed(error)));
            }
            let slice = waiting.slice(until).map_err(|_| {
                Trouble::new(Cause::Deadline, "the look-up of the host did not end in time")
            })?;
            let waited = self.answered.wait_timeout(answer, slice);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            answer = guard;
            if timeout.timed_out() && answer.is_none() {
                drop(answer);
                waiting.ask()?;
                answer = self.lock();
            }
        }
    }
}

impl Duty {
    fn fulfil(self, lookup: Option<&Lookup>) {
        let host = &self.0.host;
        let found = match lookup {
            Some(lookup) => lookup(host),
            None => (&**host, 0).to_socket_addrs().map(Iterator::collect),
        };
        let answer = match found {
            Ok(addresses) if addresses.is_empty() => Err("it has no address".to_owned()),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(error.to_string()),
        };
        *self.0.lock() = Some(answer);
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.0.lock().get_or_insert_with(|| Err("it ended without an answer".to_owned()));
        self.0.answered.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use cachine_core::clock::Clock;

    use super::*;

    #[test]
    fn a_look_up_of_another_process_is_not_waited_for() {
        let found: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let generation = generation::current();
        let resolver = Resolver::new(generation, Some(Arc::new(move |_| Ok(vec![found]))));
        let inherited = Pending {
            host: "cache.example".to_owned(),
            process: std::process::id() + 1,
            answer: Mutex::new(None),
            answered: Condvar::new(),
        };
        resolver.pending.at(generation, Mutex::default).lock().unwrap().push(Arc::new(inherited));
        let waiting = Waiting { clock: Clock::System, hook: None, generation };
        let until = waiting.clock.now() + 10_000_000_000;
        let addresses = resolver.resolve("cache.example", 7, &waiting, until).unwrap();
        assert_eq!(addresses, ["127.0.0.1:7".parse().unwrap()]);
    }
}
