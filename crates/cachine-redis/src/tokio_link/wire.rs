//! What stands between commands and a socket: nothing, or TLS.
//!
//! A session of `rustls` does no I/O of its own, so within one poll it reads and writes the socket
//! like anything else that may have to wait.

use std::io::{self, Read, Write};

use crate::link::{Cause, Fault, Sent};
use crate::settings::Settings;
use crate::tokio_link::socket::Polled;

/// How connections to one server are made.
pub(super) struct Plan {
    pub(super) settings: Settings,
    /// What TLS needs to know: read from files, so only once.
    #[cfg(feature = "tls")]
    tls: std::sync::OnceLock<Result<std::sync::Arc<rustls::ClientConfig>, String>>,
}

impl Plan {
    pub(super) const fn new(settings: Settings) -> Self {
        Self {
            settings,
            #[cfg(feature = "tls")]
            tls: std::sync::OnceLock::new(),
        }
    }

    /// A fault before anything was sent.
    pub(super) fn fault(&self, cause: Cause, what: &dyn std::fmt::Display) -> Fault {
        Fault { sent: Sent::No, cause, text: format!("{}: {what}", self.settings.address) }
    }
}

/// What happens to bytes on their way.
pub(super) enum Wire {
    /// Nothing.
    Plain,
    /// They are encrypted.
    #[cfg(feature = "tls")]
    Tls(Box<rustls::ClientConnection>),
}

impl Wire {
    /// The wire that the settings want.
    pub(super) fn new(plan: &Plan) -> Result<Self, Fault> {
        match &plan.settings.tls {
            None => Ok(Self::Plain),
            #[cfg(feature = "tls")]
            Some(tls) => tls::session(plan, tls).map(|session| Self::Tls(Box::new(session))),
            #[cfg(not(feature = "tls"))]
            Some(_) => Err(plan.fault(Cause::Connection, &"this build has no TLS")),
        }
    }

    /// Takes bytes to be written; how many.
    pub(super) fn write(&mut self, socket: &mut Polled<'_, '_>, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain => socket.write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(session) => tls::write(session, socket, bytes),
        }
    }

    /// Lets everything leave that was taken, as far as the socket takes it now.
    pub(super) fn flush(&mut self, socket: &mut Polled<'_, '_>) -> io::Result<()> {
        match self {
            Self::Plain => socket.flush(),
            #[cfg(feature = "tls")]
            Self::Tls(session) => tls::flush(session, socket),
        }
    }

    /// Bytes that came; none at the end.
    pub(super) fn read(
        &mut self,
        socket: &mut Polled<'_, '_>,
        into: &mut [u8],
    ) -> io::Result<usize> {
        match self {
            Self::Plain => socket.read(into),
            #[cfg(feature = "tls")]
            Self::Tls(session) => tls::read(session, socket, into),
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::io::{self, Read, Write};

    use rustls::ClientConnection;
    use rustls::pki_types::ServerName;

    use super::{Cause, Fault, Plan, Polled};
    use crate::blocking::tls::configuration;
    use crate::settings::{Address, Tls};

    /// A session that has not shaken hands.
    pub(super) fn session(plan: &Plan, tls: &Tls) -> Result<ClientConnection, Fault> {
        let refused = |what: &dyn std::fmt::Display| plan.fault(Cause::Connection, what);
        let Address::Tcp(host, _) = &plan.settings.address else {
            return Err(refused(&"TLS needs a host, this is a socket in the file system"));
        };
        let known = plan.tls.get_or_init(|| configuration(tls).map_err(|error| error.to_string()));
        let configuration = known.clone().map_err(|error| refused(&error))?;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| refused(&"TLS needs a host name or address that it can check"))?;
        ClientConnection::new(configuration, name)
            .map_err(|error| refused(&format!("TLS can't be set up: {error}")))
    }

    pub(super) fn write(
        session: &mut ClientConnection,
        socket: &mut Polled<'_, '_>,
        bytes: &[u8],
    ) -> io::Result<usize> {
        // What it has encrypted leaves first, because it holds only so much.
        let drained = drain(session, socket);
        match session.writer().write(bytes)? {
            0 => drained.and(Err(io::ErrorKind::WouldBlock.into())),
            taken => Ok(taken),
        }
    }

    pub(super) fn flush(
        session: &mut ClientConnection,
        socket: &mut Polled<'_, '_>,
    ) -> io::Result<()> {
        patient(drain(session, socket))
    }

    pub(super) fn read(
        session: &mut ClientConnection,
        socket: &mut Polled<'_, '_>,
        into: &mut [u8],
    ) -> io::Result<usize> {
        loop {
            match session.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            let received = session.read_tls(socket)?;
            let understood = session.process_new_packets();
            // A handshake has answers, and an alert tells the server why this ends.
            patient(drain(session, socket))?;
            understood.map_err(io::Error::other)?;
            if received == 0 {
                return Ok(0);
            }
        }
    }

    /// Writes what the session has encrypted.
    fn drain(session: &mut ClientConnection, socket: &mut Polled<'_, '_>) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(socket)?;
        }
        Ok(())
    }

    /// What has to wait goes out with the next poll.
    fn patient(result: io::Result<()>) -> io::Result<()> {
        result.or_else(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(error),
        })
    }
}
