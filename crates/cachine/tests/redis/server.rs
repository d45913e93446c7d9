//! A Redis of a test's own, which ends with it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// A server on a port of the loopback interface.
pub(crate) struct Server {
    process: Child,
    port: u16,
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// A server with further options.
    pub(crate) fn with(options: &[&str]) -> Self {
        // Another test may have taken the port since it was found free.
        (0..20).find_map(|_| Self::on(free_port(), options)).expect("a server that starts")
    }

    fn on(port: u16, options: &[&str]) -> Option<Self> {
        let process = Command::new(cachine_testkit::program::redis_server())
            .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"])
            .arg(port.to_string())
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed");
        let mut server = Self { process, port };
        let mut lines = BufReader::new(server.process.stdout.take()?).lines();
        let is_ready = lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept")));
        // It goes on writing, and a pipe that nobody reads would stop it.
        std::thread::Builder::new().spawn(move || lines.for_each(drop)).unwrap();
        is_ready.then_some(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops the server where it is: it keeps its connections and answers nothing.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// What another program says to the server.
    pub(crate) fn say<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).unwrap()
    }

    /// How many may store what they compute, by what stands in the server.
    pub(crate) fn rights(&self) -> usize {
        let keys: Vec<String> = self.say(&["KEYS", "*~cachine~t:*"]);
        let is_right = |key: &String| {
            let place: Option<String> = self.say(&["GET", key]);
            // What an exclamation mark begins tells how one has ended.
            place.is_some_and(|place| !place.starts_with('!'))
        };
        keys.iter().filter(|key| is_right(key)).count()
    }

    /// The keys that there are, without those of the library.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.say(&["KEYS", "*"]);
        keys.retain(|key| !key.contains("~cachine~"));
        keys.sort();
        keys
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
