//! Servers of a test's own: a real Redis, and ones that do what they are told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

/// A real server.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with("--port", &[])
    }

    /// A server with further options, on a port that `port_option` names.
    pub(crate) fn with(port_option: &str, options: &[&str]) -> Self {
        // Another test may have taken the port since it was found free.
        let mut attempts = (0..20).map(|_| Self::on(free_port(), port_option, options));
        attempts.find_map(|server| server).expect("a server that starts")
    }

    fn on(port: u16, port_option: &str, options: &[&str]) -> Option<Self> {
        let process = Command::new(cachine_testkit::program::redis_server())
            .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
            .args([port_option, &port.to_string()])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed");
        let mut server = Self { process, port };
        let mut lines = BufReader::new(server.process.stdout.take()?).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept")));
        // It goes on writing, and a pipe that nobody reads would stop it.
        thread::Builder::new().spawn(move || lines.for_each(drop)).unwrap();
        is_ready.then_some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Does this with each connection that comes; the port.
pub(crate) fn listen(serve: impl Fn(Commands) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accept = move || {
        thread::scope(|scope| {
            for stream in listener.incoming().flatten() {
                scope.spawn(|| serve(Commands(BufReader::new(stream))));
            }
        });
    };
    thread::Builder::new().spawn(accept).unwrap();
    port
}

/// What comes in on a connection.
pub(crate) struct Commands(BufReader<TcpStream>);

impl Commands {
    /// Answers the greeting as a Redis does.
    pub(crate) fn greeted(mut self) -> Self {
        assert_eq!(self.next().unwrap(), ["PING"]);
        self.write(b"+PONG\r\n");
        self
    }

    /// Writes to who listens still.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    fn line(&mut self) -> Option<usize> {
        let mut line = String::new();
        let count = self.0.read_line(&mut line).ok().filter(|&count| count > 0);
        count.map(|_| line[1..].trim().parse().unwrap())
    }

    /// Waits for the end.
    pub(crate) fn ignore(self) {
        self.for_each(drop);
    }
}

impl Iterator for Commands {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        let count = self.line()?;
        let word = |_| {
            let mut bytes = vec![0; self.line()? + 2];
            self.0.read_exact(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..bytes.len() - 2]).into_owned())
        };
        (0..count).map(word).collect()
    }
}
