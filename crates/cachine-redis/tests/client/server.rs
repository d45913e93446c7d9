//! A server of a test's own: started on a free port, stopped by its process id when it goes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use redis::{Parser, Value};

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Self {
        // Between asking for a port and using it somebody else may take it: then the next.
        loop {
            let port = free_port();
            let child = Command::new(cachine_testkit::program::redis_server())
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
                .args(["--appendonly", "no", "--maxclients", "200"])
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server is installed");
            let mut server = Self { child, address: (Ipv4Addr::LOCALHOST, port).into() };
            while server.child.try_wait().unwrap().is_none() {
                if server.is_ours() {
                    return server;
                }
                std::thread::yield_now();
            }
        }
    }

    /// Whether it is this one that answers on the port, and not another test's.
    fn is_ours(&self) -> bool {
        // Whatever else had this port may be going this very moment.
        match self.try_ask(&["INFO", "server"]) {
            Err(_) => false,
            Ok(Value::BulkString(text)) => {
                let own = format!("process_id:{}\r\n", self.child.id());
                String::from_utf8_lossy(&text).contains(&own)
            }
            Ok(other) => panic!("{other:?}"),
        }
    }

    /// A command by its words, over a connection of its own.
    pub(crate) fn ask<W: AsRef<[u8]>>(&self, words: &[W]) -> Value {
        self.try_ask(words).unwrap()
    }

    fn try_ask<W: AsRef<[u8]>>(&self, words: &[W]) -> redis::RedisResult<Value> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word.as_ref());
        }
        let stream = TcpStream::connect(self.address)?;
        std::io::Write::write_all(&mut &stream, &command.get_packed_command())?;
        Parser::new().parse_value(&stream)
    }

    /// The names of everything that is in it.
    pub(crate) fn keys(&self) -> Vec<String> {
        let Value::Array(keys) = self.ask(&["KEYS", "*"]) else { panic!("KEYS") };
        let mut keys: Vec<String> = keys
            .into_iter()
            .map(|key| match key {
                Value::BulkString(key) => String::from_utf8_lossy(&key).into_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        keys.sort();
        keys
    }

    /// The same as a number.
    pub(crate) fn number<W: AsRef<[u8]>>(&self, words: &[W]) -> i64 {
        match self.ask(words) {
            Value::Int(number) => number,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
