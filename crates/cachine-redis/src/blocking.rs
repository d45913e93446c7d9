//! The link for threads: a pool of connections, and every wait inside of the call.
//!
//! The sockets are our own. Those of the `redis` crate can't keep a deadline: a reply that drips in
//! outlives any timeout of a socket, because that is for one system call. The crate's parser reads
//! the replies.
//!
//! Invariants:
//!
//! 1. A call ends at its deadline, whatever the server, the network or the name service does.
//! 2. A connection is used again only when every byte that came belonged to a reply that was taken.
//!    After an error, a timeout or a panic it is dropped.
//! 3. [`Sent::No`] is only said when no byte of the batch has left.
//! 4. Nothing that a parent process used, socket or lock, is used in a child.
//!
//! Cost of a usual call: two locks, one write, one read, two readings of the clock.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cachine_core::clock::{Clock, Instant, nanoseconds};

use crate::greeting::Greeting;
use crate::link::{Batch, Cause, Class, Fault, Link, Node, Replies, Sent};
use crate::settings::{Address, Settings};

use connection::Connection;
use generation::PerProcess;
use pool::Pool;
use resolve::Resolver;
use socket::Socket;
use stream::Stream;
use waiting::{Trouble, Waiting};
use wire::Wire;

pub use resolve::Lookup;
pub use waiting::Hook;

mod connection;
mod framing;
mod generation;
mod pool;
mod resolve;
mod socket;
mod stream;
#[cfg(feature = "tls")]
pub mod tls;
mod waiting;
mod wire;

/// A connection that was idle for longer is looked at before it is used again: the server may have
/// closed it.
const TRUSTED: Duration = Duration::from_millis(10);

/// Carries batches to one server, [`Node`] 0, over connections that calling threads share.
pub struct Blocking {
    settings: Settings,
    greeting: Greeting,
    clock: Clock,
    hook: Option<Hook>,
    resolver: Option<Resolver>,
    is_closed: AtomicBool,
    locals: PerProcess<Local>,
}

/// What each process has for itself.
struct Local {
    waiting: Arc<Waiting>,
    pool: Pool<Connection>,
    #[cfg(feature = "tls")]
    tls: std::sync::OnceLock<Result<Arc<rustls::ClientConfig>, String>>,
}

/// Says that this is a new process: no connection and no lock of the parent is used from now on.
///
/// To be called in the child after a fork, before there is another thread; then
/// [`Blocking::forked`] for each link.
pub fn new_generation() {
    generation::advance();
    resolve::SYSTEM.renew();
}

impl Blocking {
    /// A link to the server of these settings. Nothing connects before the first call.
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let generation = generation::current();
        let local = Local::new(&settings, &clock, None, generation);
        Self {
            greeting: Greeting::new(&settings),
            settings,
            clock,
            hook: None,
            resolver: None,
            is_closed: AtomicBool::new(false),
            locals: PerProcess::new(generation, local),
        }
    }

    /// The same with a question to ask while a thread waits. To be given before the first call.
    #[must_use]
    pub fn on_wait(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        let generation = generation::current();
        self.locals = PerProcess::new(generation, self.new_local(generation));
        self
    }

    /// The same with another way to find the addresses of the host. It may take as long as it likes:
    /// it runs in a thread, one at a time for a host.
    #[must_use]
    pub fn with_lookup(mut self, lookup: Lookup) -> Self {
        self.resolver = Some(Resolver::new(generation::current(), Some(lookup)));
        self
    }

    /// Closes the idle connections now, those in use when they come back. Later calls fail.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.local().pool.close();
    }

    /// Closes what this process inherited, without a word to the server and without waiting for a
    /// lock. To be called in the child after [`new_generation`]; without it a child is as safe, but
    /// keeps the file descriptors until the link is dropped.
    pub fn forked(&self) {
        self.forget_before(generation::current());
    }

    fn forget_before(&self, generation: u64) {
        for local in self.locals.before(generation) {
            local.pool.forget();
        }
        // Made here, where there is only one thread.
        self.local_at(generation);
    }

    fn new_local(&self, generation: u64) -> Local {
        Local::new(&self.settings, &self.clock, self.hook.clone(), generation)
    }

    fn local_at(&self, generation: u64) -> &Local {
        self.locals.at(generation, || self.new_local(generation))
    }

    fn local(&self) -> &Local {
        self.local_at(generation::current())
    }

    fn exchange(&self, node: Node, batch: &Batch, until: Instant) -> Result<Replies, Fault> {
        if node != Node(0) {
            let what = format!("there is no node {}, only one server", node.0);
            return Err(self.named(Trouble::connection(what).fault(Sent::No)));
        }
        if batch.is_empty() {
            return Ok(Replies::Many(Vec::new()));
        }
        let local = self.local();
        self.attempt(local, batch, until).map_err(|fault| {
            if fault.cause == Cause::Connection {
                local.pool.clear();
            }
            self.named(fault)
        })
    }

    fn attempt(&self, local: &Local, batch: &Batch, until: Instant) -> Result<Replies, Fault> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(pool::closed().fault(Sent::No));
        }
        let now = self.clock.now();
        let lent = local.pool.take(&local.waiting, until).map_err(|it| it.fault(Sent::No))?;
        let (place, mut idle, has_waited) = lent;
        while let Some(connection) = &idle
            && !is_usable(connection, batch.class(), now)
        {
            idle = place.another();
        }
        let fresh = (idle.is_some() && !has_waited).then_some(now);
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect(local, until)?,
        };
        let replies = connection.exchange(batch, until, fresh)?;
        if connection.is_clean() {
            place.keep(connection);
        }
        Ok(replies)
    }

    /// A new connection, greeted. It may take as long as the call has left, and the time that the
    /// settings give to connecting.
    fn connect(&self, local: &Local, until: Instant) -> Result<Connection, Fault> {
        let own = nanoseconds(self.settings.connect_timeout);
        let end = self.clock.now().saturating_add(own).min(until);
        self.greeted(local, end).map_err(|mut fault| {
            if fault.cause == Cause::Deadline && end < until {
                let limit = self.settings.connect_timeout;
                fault.text = format!("connecting took longer than {limit:?}: {}", fault.text);
            }
            fault
        })
    }

    fn greeted(&self, local: &Local, end: Instant) -> Result<Connection, Fault> {
        let stream = self.dial(local, end).and_then(|socket| {
            let wire = Wire::new(socket, Arc::clone(&local.waiting), end)?;
            self.secure(local, wire)
        });
        let stream = stream.map_err(|trouble| trouble.fault(Sent::No))?;
        Connection::greet(stream, &self.greeting)
    }

    fn dial(&self, local: &Local, end: Instant) -> Result<Socket, Trouble> {
        let waiting = &*local.waiting;
        let (host, port) = match &self.settings.address {
            Address::Unix(path) => return Socket::unix(path, waiting, end),
            Address::Tcp(host, port) => (host, *port),
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            return Socket::tcp((address, port).into(), waiting, end);
        }
        let resolver = self.resolver.as_ref().unwrap_or(&resolve::SYSTEM);
        let addresses = resolver.resolve(host, port, waiting, end)?;
        let mut last = Trouble::deadline();
        for (place, address) in addresses.iter().enumerate() {
            // An address that does not answer leaves their share of the time to the others.
            let now = self.clock.now();
            let share = end.saturating_sub(now) / (addresses.len() - place) as u64;
            match Socket::tcp(*address, waiting, now.saturating_add(share)) {
                Err(trouble) if trouble.cause != Cause::Interrupted => last = trouble,
                ended => return ended,
            }
        }
        Err(last)
    }

    #[cfg(feature = "tls")]
    fn secure(&self, local: &Local, wire: Wire) -> Result<Stream, Trouble> {
        use rustls::pki_types::ServerName;

        let Some(tls) = &self.settings.tls else { return Ok(Stream::Open(wire)) };
        let refused = |what: String| Trouble::new(Cause::Connection, what);
        let configuration = local
            .tls
            .get_or_init(|| tls::configuration(tls).map_err(|error| error.to_string()))
            .clone();
        let configuration = configuration.map_err(refused)?;
        let Address::Tcp(host, _) = &self.settings.address else {
            return Err(refused("TLS needs a host, this is a socket in the file system".into()));
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| refused("TLS needs a host name or address that it can check".into()))?;
        let session = rustls::ClientConnection::new(configuration, name)
            .map_err(|error| refused(format!("TLS can't be set up: {error}")))?;
        Ok(Stream::Encrypted(Box::new(stream::Encrypted::new(session, wire)?)))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, _: &Local, wire: Wire) -> Result<Stream, Trouble> {
        match self.settings.tls {
            None => Ok(Stream::Open(wire)),
            Some(_) => Err(Trouble::new(Cause::Connection, "this build has no TLS")),
        }
    }

    /// A fault that says where it happened.
    fn named(&self, fault: Fault) -> Fault {
        let address = self.settings.address.to_string();
        if fault.text.starts_with(&address) {
            return fault;
        }
        Fault { text: format!("{address}: {}", fault.text), ..fault }
    }

    fn pause(&self, pause: Duration) -> Result<(), Fault> {
        let waiting = &self.local().waiting;
        let end = self.clock.now().saturating_add(nanoseconds(pause));
        while let Ok(slice) = waiting.slice(end) {
            nap(slice);
            if waiting.slice(end).is_ok() {
                waiting.ask().map_err(|trouble| self.named(trouble.fault(Sent::No)))?;
            }
        }
        Ok(())
    }
}

impl Local {
    fn new(settings: &Settings, clock: &Clock, hook: Option<Hook>, generation: u64) -> Self {
        Self {
            waiting: Arc::new(Waiting { clock: clock.clone(), hook, generation }),
            pool: Pool::new(settings.max_connections, generation),
            #[cfg(feature = "tls")]
            tls: std::sync::OnceLock::new(),
        }
    }
}

/// Whether an idle connection may take a batch. What can't be repeated is worth a look at the
/// socket, and so is a connection that nobody has used for a while.
fn is_usable(connection: &Connection, class: Class, now: Instant) -> bool {
    let is_trusted = now.saturating_sub(connection.used()) < nanoseconds(TRUSTED);
    is_trusted && class == Class::Idempotent || connection.is_quiet()
}

#[expect(clippy::disallowed_methods, reason = "a link for threads has to pause its thread")]
fn nap(time: Duration) {
    std::thread::sleep(time);
}

impl Link for Blocking {
    async fn call(&self, node: Node, batch: &Batch, until: Instant) -> Result<Replies, Fault> {
        self.exchange(node, batch, until)
    }

    async fn sleep(&self, pause: Duration) -> Result<(), Fault> {
        self.pause(pause)
    }

    fn now(&self) -> Instant {
        self.clock.now()
    }
}

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use cachine_core::clock::NEVER;

    use super::*;

    #[test]
    fn a_child_waits_for_no_lock_that_it_inherited() {
        let link = Blocking::new(Settings::default(), Clock::System);
        let parent = generation::current();
        let (held, is_held) = channel();
        let (done, is_done) = channel::<()>();
        thread::scope(|scope| {
            let pool = &link.local_at(parent).pool;
            scope.spawn(move || pool.while_locked(|| (held.send(()), is_done.recv())));
            is_held.recv().unwrap();
            // As a child would, whose other threads are gone.
            link.forget_before(parent + 1);
            let local = link.local_at(parent + 1);
            assert!(
                local.pool.take(&local.waiting, NEVER).is_ok_and(|(_, idle, _)| idle.is_none())
            );
            done.send(()).unwrap();
        });
    }
}
