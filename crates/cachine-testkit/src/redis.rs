//! A server of Redis or Valkey, started for a test and ended by it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::certificates::Certificates;
use crate::folder::Folder;
use crate::process::Process;
use crate::program;
use crate::reply::{self, Reply};
use crate::setup::{ClientCertificates, Setup};

/// How often it is looked whether a server has started, and how many times.
const PAUSE: Duration = Duration::from_millis(3);
const LOOKS: usize = 7_000;
/// A command to a server that stands still must not hold the test for ever.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many ports are tried. Between taking a number and using it another program may come.
const PORTS: usize = 20;

/// A server that is ended when this is dropped.
#[derive(Debug)]
pub struct Redis {
    // Before the folder, which can't be removed while the server writes to it.
    process: Option<Process>,
    folder: Folder,
    setup: Setup,
    certificates: Option<Certificates>,
    port: u16,
}

/// Why a server did not start.
enum Refusal {
    /// The port is somebody else's by now.
    Taken,
    /// What it said.
    Other(String),
}

impl Redis {
    /// Starts a plain server: no password, no TLS, a port of `127.0.0.1`.
    ///
    /// # Panics
    ///
    /// If it does not start, with what it said.
    pub fn start() -> Self {
        Self::setup().start()
    }

    /// A server to be, to say more about before it starts.
    pub fn setup() -> Setup {
        Setup::default()
    }

    pub(crate) fn of(setup: Setup) -> Self {
        Self::on_one_of(setup, std::iter::repeat_with(free_port).take(PORTS))
    }

    fn on_one_of(setup: Setup, ports: impl Iterator<Item = u16>) -> Self {
        let folder = Folder::new();
        let certificates = setup.tls.map(|_| Certificates::make(&folder.join("tls")));
        let mut redis = Self { process: None, folder, setup, certificates, port: 0 };
        for port in ports {
            redis.port = if redis.setup.is_on_unix_socket { 0 } else { port };
            match redis.launch() {
                Ok(()) => return redis,
                Err(Refusal::Taken) => {}
                Err(Refusal::Other(said)) => panic!("the server did not start:\n{said}"),
            }
        }
        panic!("{PORTS} ports in a row were taken by other programs")
    }

    /// The port on `127.0.0.1`.
    ///
    /// # Panics
    ///
    /// If the server is on a Unix socket alone.
    pub fn port(&self) -> u16 {
        assert!(!self.setup.is_on_unix_socket, "this server has no port");
        self.port
    }

    /// The socket in the file system, which every server has beside its port. It takes plain
    /// commands also where the port speaks TLS.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    /// Where it listens, as an address: `redis://127.0.0.1:40123`, with the password if there is one.
    pub fn url(&self) -> String {
        let password = self.setup.password.as_ref();
        let password = password.map(|password| format!(":{password}@")).unwrap_or_default();
        if self.setup.is_on_unix_socket {
            return format!("unix://{password}{}", self.socket().display());
        }
        let scheme = if self.setup.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://{password}127.0.0.1:{}", self.port)
    }

    /// The authority that signed the certificate of the server, and a certificate for a client.
    ///
    /// # Panics
    ///
    /// If the server does not speak TLS.
    pub fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().expect("this server does not speak TLS")
    }

    /// The number of its process.
    ///
    /// # Panics
    ///
    /// If it was killed.
    pub fn id(&self) -> u32 {
        self.running().id()
    }

    /// Sends a command over a connection of its own and returns the reply.
    ///
    /// # Panics
    ///
    /// If there is no reply within 10 s; a refusal of the server is [`Reply::Error`].
    pub fn command<A: AsRef<[u8]>>(&self, words: &[A]) -> Reply {
        let stream = UnixStream::connect(self.socket());
        let stream = stream.unwrap_or_else(|error| panic!("the server is not there: {error}"));
        for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
            set(&stream, Some(PATIENCE)).expect("a time that is not zero");
        }
        if let Some(password) = &self.setup.password {
            assert_eq!(reply::ask(&stream, &["AUTH", password]), Reply::from("OK"));
        }
        reply::ask(&stream, words)
    }

    /// Lets time pass for the data of the database 0, without waiting.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub fn age(&self, by: Duration) {
        let by = by.as_millis().to_string();
        let done = self.command(&["EVAL", include_str!("age.lua"), "0", &by]);
        assert_eq!(done, Reply::Nil);
    }

    /// Stops the server where it is: it keeps its port and its connections and answers nothing.
    pub fn freeze(&self) {
        self.running().freeze();
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.running().thaw();
    }

    /// Ends the server without a chance to say anything, frozen or not. Its port is free afterwards.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends the server if it runs, and starts it anew on the same port, empty.
    ///
    /// # Panics
    ///
    /// If it does not start, with what it said.
    pub fn restart(&mut self) {
        self.kill();
        match self.launch() {
            Ok(()) => {}
            Err(Refusal::Taken) => panic!("another program took port {} meanwhile", self.port),
            Err(Refusal::Other(said)) => panic!("the server did not start again:\n{said}"),
        }
    }

    /// What the server has logged since it was started last.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server was killed")
    }

    fn launch(&mut self) -> Result<(), Refusal> {
        let log = self.folder.join("log");
        // What an earlier start logged would speak for this one.
        let _ = fs::remove_file(&log);
        let words = self.words();
        let mut process =
            Process::start(&program::redis_server(), &words, self.folder.path(), &log);
        for _ in 0..LOOKS {
            let has_ended = process.has_ended();
            let said = self.log();
            if has_ended && said.contains("Address already in use") {
                return Err(Refusal::Taken);
            } else if has_ended {
                return Err(Refusal::Other(said));
            } else if said.contains("eady to accept connections") {
                // Its own word (`R` of a port, `r` of a socket): somebody else may listen there.
                self.process = Some(process);
                return Ok(());
            }
            pause();
        }
        Err(Refusal::Other(format!("it was not ready in time\n{}", self.log())))
    }

    fn words(&self) -> Vec<String> {
        let path = |path: &Path| path.display().to_string();
        let mut words = self.setup.words();
        let mut add = |name: &str, value: String| words.extend([format!("--{name}"), value]);
        add("bind", "127.0.0.1".to_owned());
        add("dir", path(self.folder.path()));
        add("unixsocket", path(&self.socket()));
        add("port", if self.setup.tls.is_some() { 0 } else { self.port }.to_string());
        if let (Some(tls), Some(certificates)) = (self.setup.tls, &self.certificates) {
            let asked = match tls {
                ClientCertificates::Optional => "optional",
                ClientCertificates::Required => "yes",
            };
            add("tls-port", self.port.to_string());
            add("tls-auth-clients", asked.to_owned());
            add("tls-ca-cert-file", path(&certificates.authority));
            add("tls-cert-file", path(&certificates.server.certificate));
            add("tls-key-file", path(&certificates.server.key));
        }
        words
    }
}

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.expect("a free port of the loopback interface").port()
}

#[expect(clippy::disallowed_methods, reason = "a log is a file: there is nothing to wait on")]
fn pause() {
    thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_taken_meanwhile_is_passed_over() {
        let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = other.local_addr().unwrap().port();
        let free = free_port();
        let redis = Redis::on_one_of(Setup::default(), [taken, free, free_port()].into_iter());
        assert_ne!(redis.port(), taken);
        assert_eq!(redis.command(&["PING"]), Reply::from("PONG"));
    }

    #[test]
    #[should_panic(expected = "no-such-option")]
    fn a_server_that_does_not_start_says_why() {
        Redis::setup().with_option(&["no-such-option", "1"]).start();
    }
}
