//! A connected socket of either kind, and how to connect one without waiting past a deadline.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use cachine_core::clock::Instant;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Type};

use super::waiting::{Trouble, Waiting};

/// What bytes go through; a read or write waits at most as long as was set.
pub(super) trait Transport: Read + Write {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()>;
}

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// Connects to an address.
    pub(super) fn tcp(
        address: SocketAddr,
        waiting: &Waiting,
        until: Instant,
    ) -> Result<Self, Trouble> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))
            .map_err(Trouble::connection)?;
        // In steps of our own, because the standard library's connect neither asks whether to go
        // on nor can be taken up again.
        socket.set_nonblocking(true).map_err(Trouble::connection)?;
        match socket.connect(&SockAddr::from(address)) {
            Err(error) if is_under_way(&error) => await_connection(&socket, waiting, until)?,
            connected => connected.map_err(Trouble::connection)?,
        }
        let ready = socket.set_nonblocking(false).and_then(|()| socket.set_tcp_nodelay(true));
        ready.map_err(Trouble::connection)?;
        let stream = TcpStream::from(socket);
        // A socket that connects to a free port of its own machine can meet itself.
        match (stream.local_addr(), stream.peer_addr()) {
            (Ok(local), Ok(peer)) if local != peer => Ok(Self::Tcp(stream)),
            (Err(error), _) | (_, Err(error)) => Err(Trouble::connection(error)),
            _ => Err(Trouble::connection("nobody listens there")),
        }
    }

    /// Connects to a socket in the file system.
    #[cfg(unix)]
    pub(super) fn unix(path: &Path, waiting: &Waiting, until: Instant) -> Result<Self, Trouble> {
        let address = SockAddr::unix(path).map_err(Trouble::connection)?;
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None);
        let socket = socket.map_err(Trouble::connection)?;
        loop {
            // There is nothing to poll for here: a full queue makes Linux wait inside of the call,
            // as long as sending may take.
            let slice = waiting.slice(until)?;
            socket.set_write_timeout(Some(slice)).map_err(Trouble::connection)?;
            match socket.connect(&address) {
                Ok(()) => return Ok(Self::Unix(UnixStream::from(OwnedFd::from(socket)))),
                Err(error) if is_under_way(&error) => waiting.ask()?,
                Err(error) => return Err(Trouble::connection(error)),
            }
        }
    }

    /// There are no such sockets here.
    #[cfg(not(unix))]
    pub(super) fn unix(_: &Path, _: &Waiting, _: Instant) -> Result<Self, Trouble> {
        Err(Trouble::connection("this system has no Unix sockets"))
    }

    /// Whether something has come, or the peer has closed; never waits.
    pub(super) fn is_readable(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ready = match self {
            Self::Tcp(stream) => poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&now)),
            #[cfg(unix)]
            Self::Unix(stream) => poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&now)),
        };
        // In doubt it has.
        ready != Ok(0)
    }
}

fn await_connection(
    socket: &socket2::Socket,
    waiting: &Waiting,
    until: Instant,
) -> Result<(), Trouble> {
    loop {
        let slice = waiting.slice(until)?;
        let timeout = Timespec::try_from(slice).map_err(Trouble::connection)?;
        match poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => waiting.ask()?,
            Ok(_) => {
                let failure = socket.take_error().map_err(Trouble::connection)?;
                return failure.map_or(Ok(()), |error| Err(Trouble::connection(error)));
            }
            Err(error) => return Err(Trouble::connection(error)),
        }
    }
}

/// Whether an attempt to connect was only not finished.
fn is_under_way(error: &io::Error) -> bool {
    let is_waiting = matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    );
    is_waiting || Errno::from_io_error(error) == Some(Errno::INPROGRESS)
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Socket {
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
    }
}
