//! A socket of tokio that reads and writes what it can without waiting.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::settings::Address;

/// A connected socket.
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// A socket within one poll of its task: what would wait fails with `WouldBlock`, and wakes the
/// task when it is worth another try.
pub(super) struct Polled<'a, 'c> {
    pub(super) socket: &'a mut Socket,
    pub(super) context: &'a mut Context<'c>,
}

impl Socket {
    /// Connects; a host is tried at each of its addresses.
    pub(super) async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // A command is one small write that waits for its answer.
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::Error::other("this system has no sockets in files")),
        }
    }
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Polled<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(into);
        now(match self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(self.context, &mut buffer),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_read(self.context, &mut buffer),
        })?;
        Ok(buffer.filled().len())
    }
}

impl Write for Polled<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(match self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(self.context, bytes),
            #[cfg(unix)]
            Socket::Unix(stream) => Pin::new(stream).poll_write(self.context, bytes),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // Sockets keep nothing back.
    }
}
