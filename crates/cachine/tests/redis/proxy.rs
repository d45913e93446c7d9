//! A wire to a server on which replies can be held up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::server::Server;

/// Stands between a cache and its server.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether the next connection that says something is the one whose replies are held up.
    is_armed: bool,
    /// Or the next one that hears this.
    word: Option<&'static [u8]>,
    /// Which one it has become.
    held: Option<usize>,
}

impl Proxy {
    pub(crate) fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, behind) = (listener.local_addr().unwrap().port(), server.port());
        let gate = Arc::new(Gate::default());
        let proxy = Self { port, gate: Arc::clone(&gate) };
        let accept = move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", behind)) else { return };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (there, back) = (Arc::clone(&gate), Arc::clone(&gate));
                let spawn = |work: Box<dyn FnOnce() + Send>| thread::Builder::new().spawn(work);
                spawn(Box::new(move || carry(from, to, |_| there.asked(number)))).unwrap();
                spawn(Box::new(move || carry(server, client, |reply| back.answers(number, reply))))
                    .unwrap();
            }
        };
        thread::Builder::new().spawn(accept).unwrap();
        proxy
    }

    /// Holds the replies to whatever is asked next up, and to all on that connection.
    pub(crate) fn hold_next(&self) {
        self.gate.state.lock().unwrap().is_armed = true;
    }

    /// Holds the next reply up that has this in it, and all that follow on that connection.
    pub(crate) fn hold_reply_with(&self, word: &'static [u8]) {
        self.gate.state.lock().unwrap().word = Some(word);
    }

    pub(crate) fn is_holding(&self) -> bool {
        self.gate.state.lock().unwrap().held.is_some()
    }

    /// Lets them go.
    pub(crate) fn release(&self) {
        *self.gate.state.lock().unwrap() = State::default();
        self.gate.opened.notify_all();
    }
}

impl Gate {
    fn asked(&self, number: usize) {
        let mut state = self.state.lock().unwrap();
        if std::mem::take(&mut state.is_armed) {
            state.held = Some(number);
        }
    }

    fn answers(&self, number: usize, reply: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let is_meant = |word: &&[u8]| reply.windows(word.len()).any(|part| part == *word);
        if state.word.as_ref().is_some_and(is_meant) {
            (state.word, state.held) = (None, Some(number));
        }
        drop(self.opened.wait_while(state, |state| state.held == Some(number)).unwrap());
    }
}

/// Carries bytes from one to the other, doing this with each piece before it goes on.
fn carry(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8])) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        before(&bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
