//! The bytes of a connection, in the open or through TLS.

use std::io::{self, Read, Write};

use super::waiting::Trouble;
use super::wire::Wire;
use crate::link::Cause;

/// What commands are written to and replies are read from.
pub(super) enum Stream {
    Open(Wire),
    /// Dropping it sends nothing, so a child may drop what it inherited.
    #[cfg(feature = "tls")]
    Encrypted(Box<Encrypted>),
}

/// A TLS session over a wire.
#[cfg(feature = "tls")]
pub(super) struct Encrypted {
    session: rustls::ClientConnection,
    wire: Wire,
}

impl Stream {
    pub(super) fn wire(&self) -> &Wire {
        match self {
            Self::Open(wire) => wire,
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => &encrypted.wire,
        }
    }

    pub(super) fn wire_mut(&mut self) -> &mut Wire {
        match self {
            Self::Open(wire) => wire,
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => &mut encrypted.wire,
        }
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = match self {
                Self::Open(wire) => wire.write(bytes)?,
                #[cfg(feature = "tls")]
                Self::Encrypted(encrypted) => encrypted.send(bytes)?,
            };
            if count == 0 {
                let trouble = Trouble::new(Cause::Connection, "the socket takes nothing");
                return Err(self.wire_mut().fail(trouble));
            }
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Whether something has come that was not read.
    pub(super) fn has_rest(&mut self) -> bool {
        match self {
            Self::Open(_) => false,
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => {
                let state = encrypted.session.process_new_packets();
                state.map_or(true, |state| state.plaintext_bytes_to_read() > 0)
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Open(wire) => wire.read(bytes),
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.read(bytes),
        }
    }
}

#[cfg(feature = "tls")]
impl Encrypted {
    /// Shakes hands.
    pub(super) fn new(session: rustls::ClientConnection, wire: Wire) -> Result<Self, Trouble> {
        let mut encrypted = Self { session, wire };
        match encrypted.shake_hands() {
            Ok(()) => Ok(encrypted),
            Err(error) => {
                let trouble = encrypted.wire.take_trouble();
                Err(trouble.unwrap_or_else(|| Trouble::connection(error)))
            }
        }
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        while self.session.is_handshaking() {
            self.push()?;
            if self.session.is_handshaking() && self.pull()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.push()
    }

    /// Encrypts as much as it takes and sends that.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.session.writer().write(bytes)?;
        self.push()?;
        Ok(count)
    }

    /// Sends what is encrypted.
    fn push(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.wire)?;
        }
        Ok(())
    }

    /// Waits for encrypted bytes and takes them in; how many came.
    fn pull(&mut self) -> io::Result<usize> {
        let count = self.session.read_tls(&mut self.wire)?;
        if let Err(error) = self.session.process_new_packets() {
            // The peer is told why, if it is still there.
            let _ = self.push();
            let what = format!("TLS failed: {error}");
            return Err(self.wire.fail(Trouble::new(Cause::Connection, what)));
        }
        Ok(count)
    }
}

#[cfg(feature = "tls")]
impl Read for Encrypted {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(count) if count > 0 => return Ok(count),
                ended => {
                    let what = "the server closed the connection";
                    self.wire.fail(Trouble::new(Cause::Connection, what));
                    return ended;
                }
            }
            self.pull()?;
            // An answer to the peer's own business, such as new keys.
            self.push()?;
        }
    }
}
