//! A real Redis in a folder of its own, stopped when it is dropped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use cachine_core::clock::Clock;
use cachine_redis::blocking::Blocking;
use cachine_redis::settings::{Address, Settings};

use crate::calls::settings;

/// A folder that is deleted when it is dropped.
pub(crate) struct Folder(PathBuf);

/// A running server.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
    folder: Folder,
    /// Open, so that the server can go on writing its log.
    _log: BufReader<ChildStdout>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cachine-redis-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// A server with these options, on a free port and on a Unix socket.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::with_port_option("--port", options)
    }

    /// The same with another option for the port, such as that of TLS.
    pub(crate) fn with_port_option(option: &str, options: &[&str]) -> Self {
        // Between choosing a port and listening on it somebody else may take it.
        std::iter::repeat_with(|| Self::attempt(option, options)).flatten().next().unwrap()
    }

    fn attempt(option: &str, options: &[&str]) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = Folder::new();
        let mut process = Command::new(cachine_testkit::program::redis_server())
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--unixsocket", "redis.sock", option, &port.to_string()])
            .args(options)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server has to be installed");
        let mut log = BufReader::new(process.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("Ready to accept connections") {
            if log.read_line(&mut text).unwrap() == 0 {
                process.wait().unwrap();
                assert!(text.contains("Address already in use"), "{text}");
                return None;
            }
        }
        Some(Self { process, port, folder, _log: log })
    }

    /// A link to it.
    pub(crate) fn link(&self) -> Blocking {
        Blocking::new(settings(self.port), Clock::System)
    }

    /// Settings for its Unix socket.
    pub(crate) fn unix_settings(&self) -> Settings {
        let path = self.folder.path().join("redis.sock");
        Settings { address: Address::Unix(path), ..settings(self.port) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
