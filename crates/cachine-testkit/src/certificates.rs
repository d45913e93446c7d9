//! A throw-away authority, and certificates that it signed for a server and for a client.
//!
//! Made by the command line of OpenSSL when they are needed; none is ever committed, so none can
//! expire in the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program;

/// What `openssl` needs to know and the configuration of the machine must not decide.
const CONFIG: &str = include_str!("openssl.cnf");

/// An authority and those whom it vouches for, as PEM files.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The certificate of the authority.
    pub authority: PathBuf,
    /// For `localhost` and `127.0.0.1`.
    pub server: Pair,
    /// For a client.
    pub client: Pair,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in a folder, which is created if need be. They are valid for two days.
    ///
    /// # Panics
    ///
    /// If there is no `openssl`, or if it fails.
    pub fn make(folder: &Path) -> Self {
        let made =
            fs::create_dir_all(folder).and_then(|()| fs::write(folder.join("openssl.cnf"), CONFIG));
        made.unwrap_or_else(|error| panic!("could not write to {}: {error}", folder.display()));
        let authority = pair(folder, "authority");
        request(folder, &["-x509", "-days", "2", "-extensions", "authority"], &authority);
        let [server, client] = ["server", "client"].map(|name| signed(folder, name, &authority));
        Self { authority: authority.certificate, server, client }
    }
}

fn pair(folder: &Path, name: &str) -> Pair {
    let file = |suffix: &str| folder.join(format!("{name}.{suffix}"));
    Pair { certificate: file("crt"), key: file("key") }
}

fn signed(folder: &Path, name: &str, by: &Pair) -> Pair {
    let made = pair(folder, name);
    let asked = folder.join(format!("{name}.csr"));
    request(folder, &[], &Pair { certificate: asked.clone(), key: made.key.clone() });
    let mut sign = openssl(folder, "x509");
    sign.args(["-req", "-days", "2", "-extfile", "openssl.cnf", "-extensions", name]);
    sign.arg("-in").arg(asked).arg("-CA").arg(&by.certificate).arg("-CAkey").arg(&by.key);
    // Random, because two certificates of one authority must not share a number.
    run(sign.arg("-CAcreateserial").arg("-out").arg(&made.certificate));
    made
}

/// A new key, and a request for a certificate or, with `-x509`, the certificate itself.
fn request(folder: &Path, words: &[&str], out: &Pair) {
    let mut request = openssl(folder, "req");
    request.args(["-new", "-config", "openssl.cnf", "-nodes", "-newkey", "ec"]);
    request.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]).args(words);
    run(request.arg("-keyout").arg(&out.key).arg("-out").arg(&out.certificate));
}

fn openssl(folder: &Path, word: &str) -> Command {
    let mut command = Command::new(program::openssl());
    command.current_dir(folder).arg(word).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}
