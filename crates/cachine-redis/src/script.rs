//! A script that runs inside the server, known by its digest.

use std::sync::OnceLock;

/// Source and digest of a script.
#[derive(Debug)]
pub struct Script {
    source: &'static str,
    digest: OnceLock<String>,
}

impl Script {
    /// A script of this source.
    pub const fn new(source: &'static str) -> Self {
        Self { source, digest: OnceLock::new() }
    }

    /// What `EVALSHA` calls it: the SHA-1 of its source, in hexadecimal.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| redis::Script::new(self.source).get_hash().to_owned())
    }

    /// A packed `EVALSHA` as a packed `EVAL`.
    pub(crate) fn replace_digest(&self, command: &[u8], out: &mut Vec<u8>) {
        // "*N\r\n" "$7\r\nEVALSHA\r\n$40\r\n<digest>\r\n" and the rest, which stays.
        let count = command.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let rest = count + "$7\r\nEVALSHA\r\n$40\r\n".len() + 40 + "\r\n".len();
        out.extend_from_slice(&command[..count]);
        let length = self.source.len();
        out.extend_from_slice(format!("$4\r\nEVAL\r\n${length}\r\n{}\r\n", self.source).as_bytes());
        out.extend_from_slice(&command[rest..]);
    }
}
