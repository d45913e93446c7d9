//! TLS, with certificates that the test makes for itself.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cachine_core::clock::Clock;
use cachine_core::error::ErrorKind;
use cachine_redis::blocking::{Blocking, tls};
use cachine_redis::link::{Batch, Cause, Class, Fault, Sent};
use cachine_redis::settings::{Address, Settings, Tls};
use redis::Value;

use crate::calls::{Timed, call, get, incr, settings, timed};
use crate::fake::{Fake, drip, hold, take};
use crate::server::{Folder, Server};

const SHORT: Duration = Duration::from_millis(500);
/// A busy machine may take a while to notice; what is tested would take longer than this by far.
const LATE: Duration = Duration::from_millis(2500);

/// A certificate authority, and what it has signed.
struct Authority(Folder);

impl Authority {
    fn new() -> Self {
        let authority = Self(Folder::new());
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        authority.openssl(&[
            &["req", "-x509", "-days", "2", "-subj", "/CN=authority"],
            &key[..],
            &["-keyout", "ca.key", "-out", "ca.crt"],
        ]);
        for name in ["server", "client"] {
            let subject = format!("/CN={name}");
            let (key_file, request) = (format!("{name}.key"), format!("{name}.csr"));
            let out = ["-keyout", &key_file, "-out", &request];
            authority.openssl(&[&["req", "-new", "-subj", &subject], &key[..], &out]);
            let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
            fs::write(authority.path("extensions"), extensions).unwrap();
            authority.openssl(&[
                &["x509", "-req", "-days", "2", "-in", &request, "-out", &format!("{name}.crt")],
                &["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"],
                &["-extfile", "extensions"],
            ]);
        }
        authority
    }

    fn openssl(&self, arguments: &[&[&str]]) {
        let mut command = Command::new(cachine_testkit::program::openssl());
        let done = command.args(arguments.concat()).current_dir(self.0.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A server with its certificate that wants one from clients, or does not.
    fn server(&self, wants_certificates: bool) -> Server {
        let [ca, certificate, key] = ["ca.crt", "server.crt", "server.key"].map(|name| {
            let path = self.path(name);
            path.to_str().unwrap().to_owned()
        });
        Server::with_port_option(
            "--tls-port",
            &[
                "--port",
                "0",
                "--tls-ca-cert-file",
                &ca,
                "--tls-cert-file",
                &certificate,
                "--tls-key-file",
                &key,
                "--tls-auth-clients",
                if wants_certificates { "yes" } else { "no" },
            ],
        )
    }

    /// Trust in this authority.
    fn trusted(&self) -> Tls {
        Tls { ca_certs: Some(self.path("ca.crt")), ..Tls::default() }
    }
}

fn link(port: u16, tls: Tls) -> Blocking {
    Blocking::new(Settings { tls: Some(tls), ..settings(port) }, Clock::System)
}

fn refused(link: &Blocking) -> String {
    let Fault { cause, sent, text } = call(link, &incr("hits")).unwrap_err();
    assert_eq!((cause, sent), (Cause::Connection, Sent::No), "{text}");
    text
}

#[test]
fn an_encrypted_connection_carries_small_and_large_values() {
    let authority = Authority::new();
    let server = authority.server(false);
    let by_address = link(server.port, authority.trusted());
    assert_eq!(call(&by_address, &incr("hits")).unwrap().one(), Value::Int(1));
    assert_eq!(call(&by_address, &incr("hits")).unwrap().one(), Value::Int(2));
    let large = "0123456789".repeat(300_000);
    let set = Batch::one(Class::Idempotent, redis::cmd("SET").arg("large").arg(&large));
    assert_eq!(call(&by_address, &set).unwrap().one(), Value::Okay);
    let address = Address::Tcp("localhost".to_owned(), server.port);
    let tls = Some(authority.trusted());
    let by_name = Settings { address, tls, ..settings(server.port) };
    let value = call(&Blocking::new(by_name, Clock::System), &get("large")).unwrap().one();
    assert_eq!(value, Value::BulkString(large.into_bytes()));
}

#[test]
fn one_encrypted_connection_is_enough_for_a_thread() {
    let authority = Authority::new();
    let server = authority.server(false);
    let link = link(server.port, authority.trusted());
    let number = Batch::one(Class::Once, redis::cmd("CLIENT").arg("ID"));
    let first = call(&link, &number).unwrap().one();
    for _ in 0..20 {
        assert_eq!(call(&link, &number).unwrap().one(), first);
    }
}

#[test]
fn a_certificate_of_another_authority_is_refused_unless_nobody_checks() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = authority.server(false);
    let text = refused(&link(server.port, stranger.trusted()));
    assert!(text.contains("certificate"), "{text}");
    refused(&link(server.port, Tls::default()));
    let unverified = Tls { is_unverified: true, ..Tls::default() };
    assert_eq!(call(&link(server.port, unverified), &incr("hits")).unwrap().one(), Value::Int(1));
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = authority.server(false);
    let address = Address::Tcp("cache.example".to_owned(), server.port);
    let settings = Settings { address, tls: Some(authority.trusted()), ..settings(server.port) };
    let link = Blocking::new(settings, Clock::System);
    let loopback = "127.0.0.1:0".parse().unwrap();
    let text = refused(&link.with_lookup(std::sync::Arc::new(move |_| Ok(vec![loopback]))));
    assert!(text.contains("certificate"), "{text}");
}

#[test]
fn a_server_that_wants_a_certificate_gets_it() {
    let authority = Authority::new();
    let server = authority.server(true);
    refused(&link(server.port, authority.trusted()));
    let certfile = Some(authority.path("client.crt"));
    let keyfile = Some(authority.path("client.key"));
    let own = Tls { certfile, keyfile, ..authority.trusted() };
    assert_eq!(call(&link(server.port, own), &incr("hits")).unwrap().one(), Value::Int(1));
    let both = authority.path("both.pem");
    let parts = ["client.crt", "client.key"].map(|name| fs::read(authority.path(name)).unwrap());
    fs::write(&both, parts.concat()).unwrap();
    let own = Tls { certfile: Some(both), ..authority.trusted() };
    assert_eq!(call(&link(server.port, own), &incr("hits")).unwrap().one(), Value::Int(2));
}

#[test]
fn a_handshake_that_stalls_or_drips_ends_at_the_deadline() {
    let authority = Authority::new();
    let stalls = Fake::serving(|mut stream| hold(&mut stream));
    // The head of a record of a handshake, and what it announces byte by byte.
    let drips = Fake::serving(|mut stream| {
        drip(
            &mut stream,
            b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaa",
        );
    });
    for server in [stalls, drips] {
        let link = link(server.address.port(), authority.trusted());
        let Timed { outcome, took } = timed(&link, &incr("hits"), SHORT);
        let fault = outcome.unwrap_err();
        assert_eq!((fault.cause, fault.sent), (Cause::Deadline, Sent::No), "{}", fault.text);
        assert!(took >= SHORT && took < LATE, "it took {took:?}");
    }
}

#[test]
fn a_connection_that_is_dropped_says_no_more() {
    let authority = Authority::new();
    let server = authority.server(false);
    let (heard, words) = std::sync::mpsc::channel();
    let port = server.port;
    let proxy = Fake::serving(move |stream| {
        let upstream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut back, mut down) = (stream.try_clone().unwrap(), upstream.try_clone().unwrap());
        let answers = move || drop(std::io::copy(&mut down, &mut back));
        std::thread::Builder::new().spawn(answers).unwrap();
        let (mut stream, mut upstream) = (stream, upstream);
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = stream.read(&mut bytes).unwrap_or(0);
            heard.send(count).unwrap();
            if count == 0 {
                return;
            }
            upstream.write_all(&bytes[..count]).unwrap();
        }
    });
    let link = link(proxy.address.port(), authority.trusted());
    assert_eq!(call(&link, &incr("hits")).unwrap().one(), Value::Int(1));
    while words.try_recv().is_ok() {}
    link.close();
    // A farewell in the name of a parent process would end its session.
    assert_eq!(words.recv_timeout(Duration::from_secs(10)).unwrap(), 0);
}

#[test]
fn a_server_without_tls_is_refused() {
    let authority = Authority::new();
    let server = Fake::serving(|mut stream| {
        stream.write_all(b"-ERR Protocol error: unauthenticated multibulk length\r\n").unwrap();
        hold(&mut stream);
    });
    refused(&link(server.address.port(), authority.trusted()));
}

#[test]
fn a_link_without_tls_to_a_server_with_it_fails() {
    let authority = Authority::new();
    let server = authority.server(false);
    let fault = call(&server.link(), &incr("hits")).unwrap_err();
    assert_eq!(fault.sent, Sent::No);
    assert!(matches!(fault.cause, Cause::Connection), "{}", fault.text);
}

#[test]
fn a_file_that_is_missing_empty_or_no_pem_is_named() {
    let authority = Authority::new();
    fs::write(authority.path("empty.pem"), "").unwrap();
    fs::write(authority.path("broken.pem"), "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n").unwrap();
    assert!(tls::check(&authority.trusted()).is_ok());
    assert!(tls::check(&Tls { is_unverified: true, ..Tls::default() }).is_ok());
    let pairs = [
        ("missing.pem", "No such file"),
        ("empty.pem", "there is none in it"),
        ("broken.pem", "it is not PEM"),
    ];
    for (name, why) in pairs {
        let path = Some(authority.path(name));
        let certificate = Some(authority.path("client.crt"));
        for tls in [
            Tls { ca_certs: path.clone(), ..Tls::default() },
            Tls { certfile: path.clone(), ..authority.trusted() },
            Tls { certfile: certificate, keyfile: path.clone(), ..authority.trusted() },
        ] {
            let error = tls::check(&tls).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = error.to_string();
            assert!(text.contains(name) && text.contains(why), "{text}");
        }
    }
    let tls = Tls { ca_certs: Some(authority.path("missing.pem")), ..Tls::default() };
    let server = Fake::serving(|mut stream| drop(take(&mut stream, 1)));
    assert!(refused(&link(server.address.port(), tls)).contains("missing.pem"));
    let keyfile = Some(authority.path("client.key"));
    let error = tls::check(&Tls { keyfile, ..authority.trusted() }).unwrap_err();
    assert!(error.to_string().contains("without a certfile"), "{error}");
}

#[test]
fn a_key_that_belongs_to_another_certificate_is_named() {
    let authority = Authority::new();
    let certfile = Some(authority.path("client.crt"));
    let keyfile = Some(authority.path("server.key"));
    let error = tls::check(&Tls { certfile, keyfile, ..authority.trusted() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("server.key"), "{error}");
}
