//! TLS, with certificates that the test makes for itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cachine_redis::link::{Cause, Fault, Sent};
use cachine_redis::settings::{Settings, Tls};
use cachine_redis::tokio_link::Multiplexed;
use redis::Value;

use crate::server::{Server, free_port};
use crate::{runtime, say, settings};

/// A folder with a certificate of a server, which signs itself.
struct Identity(PathBuf);

impl Identity {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("cachine-tls-{}", free_port()));
        fs::create_dir(&folder).unwrap();
        let identity = Self(folder);
        let words = "req -x509 -days 2 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
                     -subj /CN=server -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
                     -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem";
        let mut openssl = Command::new(cachine_testkit::program::openssl());
        let done =
            openssl.args(words.split_whitespace()).current_dir(&identity.0).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        identity
    }

    fn path(&self, name: &str) -> String {
        Path::new(&self.0).join(name).to_str().unwrap().to_owned()
    }

    fn server(&self) -> Server {
        let (certificate, key) = (self.path("cert.pem"), self.path("key.pem"));
        let options = ["--port", "0", "--tls-auth-clients", "no", "--tls-ca-cert-file"];
        let files = [&*certificate, "--tls-cert-file", &*certificate, "--tls-key-file", &*key];
        Server::with("--tls-port", &[&options[..], &files[..]].concat())
    }

    fn trusted(&self) -> Tls {
        Tls { ca_certs: Some(self.path("cert.pem").into()), ..Tls::default() }
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn link(port: u16, tls: Tls) -> Multiplexed {
    Multiplexed::new(Settings { tls: Some(tls), ..settings(port) })
}

fn refused(link: &Multiplexed) -> String {
    let Fault { cause, sent, text } = runtime().block_on(say(link, &["PING"])).unwrap_err();
    assert_eq!((cause, sent), (Cause::Connection, Sent::No), "{text}");
    text
}

#[test]
fn an_encrypted_connection_carries_small_and_large_values_of_many_tasks() {
    let identity = Identity::new();
    let server = identity.server();
    let link = Arc::new(link(server.port, identity.trusted()));
    let tokio = runtime();
    assert_eq!(tokio.block_on(say(&link, &["INCR", "n"])).unwrap(), Value::Int(1));
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let link = Arc::clone(&link);
            tokio.spawn(async move {
                let (key, value) = (format!("k{number}"), number.to_string().repeat(2_000_000));
                say(&link, &["SET", &key, &value]).await.unwrap();
                let back = say(&link, &["GET", &key]).await.unwrap();
                assert!(back == Value::BulkString(value.into_bytes()), "{key}");
            })
        })
        .collect();
    for task in tasks {
        tokio.block_on(task).unwrap();
    }
}

#[test]
fn a_server_that_nobody_vouches_for_is_refused_unless_that_is_meant() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    let server = identity.server();
    let text = refused(&link(server.port, stranger.trusted()));
    assert!(text.contains("certificate"), "{text}");
    refused(&link(server.port, Tls { ca_certs: Some("/none.pem".into()), ..Tls::default() }));
    let unverified = link(server.port, Tls { is_unverified: true, ..Tls::default() });
    assert_eq!(runtime().block_on(say(&unverified, &["INCR", "n"])).unwrap(), Value::Int(1));
}
