//! The server of the scenarios, and what befalls what is in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cachine_testkit::Redis;
use redis::Value;

use crate::link::Unit;
use crate::observer::Violation;
use crate::programs::{LIFE, WINDOW};
use crate::snapshot::{Layout, PROBE, Reader, Snapshot};
use crate::wire::{Connection, commands, packed};

/// Longer than records outlive their entries.
const MARGIN: Duration = Duration::from_secs(15);

/// A server and a connection to it.
pub(crate) struct Place {
    server: Redis,
    connection: Connection,
    reader: Reader,
    pub(crate) layout: Arc<Layout>,
    /// All scripts that were ever sent with their source, by their digests.
    scripts: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether the server knows them.
    knows_scripts: bool,
}

impl Place {
    pub(crate) fn new() -> Self {
        let server = Redis::start();
        let connection = Connection::new(&server);
        let layout = Layout::new();
        let (reader, scripts) = (Reader::new(&layout), BTreeMap::new());
        Self { server, connection, reader, layout, scripts, knows_scripts: true }
    }

    /// Empties it.
    pub(crate) fn reset(&mut self) -> Snapshot {
        self.connection.ask(&["FLUSHALL"]);
        self.look(&Snapshot::default())
    }

    /// Like a server that has just started: it knows no script.
    pub(crate) fn forget_scripts(&mut self) {
        self.connection.ask(&["SCRIPT", "FLUSH"]);
        self.knows_scripts = false;
    }

    /// It forgets one script. There is no command for that.
    pub(crate) fn forget_script(&mut self, digest: &[u8]) {
        self.forget_scripts();
        let kept = self.scripts.iter().filter(|(known, _)| **known != digest);
        let loads: Vec<_> =
            kept.map(|(_, source)| packed(&[&b"SCRIPT"[..], b"LOAD", source])).collect();
        self.connection.exchange(&loads.concat(), loads.len());
    }

    /// It knows all scripts again, so that a schedule depends on its seed alone.
    pub(crate) fn know_scripts(&mut self) {
        if !self.knows_scripts {
            self.forget_script(b"");
            self.knows_scripts = true;
        }
    }

    /// Remembers the scripts that come with their source.
    fn learn_scripts(&mut self, unit: &Unit) {
        for (_, words) in commands(&unit.bytes) {
            if words[0] == b"EVAL" {
                let digest = bytes(self.connection.ask(&[&b"SCRIPT"[..], b"LOAD", words[1]]));
                self.scripts.insert(digest, words[1].to_vec());
            }
        }
    }

    /// What is in it now.
    pub(crate) fn look(&mut self, last: &Snapshot) -> Snapshot {
        let replies = self.connection.exchange(self.layout.probe(), PROBE);
        self.reader.read(replies, last)
    }

    /// Sends commands; the replies, and what is in it afterwards.
    pub(crate) fn send(&mut self, unit: &Unit, last: &Snapshot) -> (Vec<Value>, Snapshot) {
        let bytes = [&unit.bytes[..], self.layout.probe()].concat();
        let mut replies = self.connection.exchange(&bytes, unit.count + PROBE);
        let probe = replies.split_off(unit.count);
        self.learn_scripts(unit);
        (replies, self.reader.read(probe, last))
    }

    /// The key whose token these commands ask for. (A script that takes an ending over comes before
    /// such a command; or, if it was unknown, before another try.)
    pub(crate) fn asks_token(&self, unit: &Unit) -> Option<usize> {
        let tokens = &self.layout.tokens;
        let commands = commands(&unit.bytes).into_iter();
        let mut asked = commands.filter(|(_, words)| words[0] == b"SET");
        asked.find_map(|(_, words)| tokens.iter().position(|token| words[1] == token))
    }

    /// Loses one of its keys: its name, and whether it was an index.
    pub(crate) fn drop_one(&mut self, choose: impl FnOnce(usize) -> usize) -> (Vec<u8>, bool) {
        let Value::Array(keys) = self.connection.ask(&["KEYS", "*"]) else { panic!("KEYS") };
        let mut keys: Vec<Vec<u8>> = keys.into_iter().map(bytes).collect();
        keys.sort();
        let name = keys.swap_remove(choose(keys.len()));
        self.connection.ask(&[b"UNLINK", &name[..]]);
        let is_index = name.windows(3).any(|part| part == b"~i:");
        (name, is_index)
    }

    /// An entry gets into its stale window.
    pub(crate) fn age(&mut self, key: usize) {
        let left = (WINDOW / 2).as_millis().to_string();
        let bytes = packed(&[b"PEXPIRE", &self.layout.entries[key][..], left.as_bytes()]);
        self.connection.exchange(&bytes, 1);
    }

    /// So much time passes that what has the usual life is gone; or its records, too.
    pub(crate) fn pass(&mut self, is_long: bool) {
        self.server.age(if is_long { LIFE + MARGIN } else { LIFE });
    }

    /// Whether the token of a key has an end.
    pub(crate) fn has_end(&mut self, key: usize) -> bool {
        let left = self.connection.ask(&[b"PTTL", &self.layout.tokens[key][..]]);
        matches!(left, Value::Int(left) if left > 0)
    }

    /// An ending stands until the run says otherwise, however slow this is.
    pub(crate) fn keep_ending(&mut self, key: usize) {
        let life = LIFE.as_millis().to_string();
        self.connection.ask(&[b"PEXPIRE", &self.layout.tokens[key][..], life.as_bytes()]);
    }

    pub(crate) fn end_lease(&mut self, key: usize) {
        self.connection.ask(&[b"UNLINK", &self.layout.tokens[key][..]]);
    }

    /// Whether the last snapshot is what is in the server.
    pub(crate) fn check(&mut self, last: &Snapshot) -> Result<(), Violation> {
        let mut now = self.look(&Snapshot::default());
        now.left = last.left;
        if now == *last {
            return Ok(());
        }
        Err(Violation { invariant: 0, text: "what was seen is not what is there".to_owned() })
    }
}

/// What had a longer life, and its records, must have outlived what has passed.
pub(crate) fn check_lives(before: &Snapshot, after: &Snapshot) -> Result<(), Violation> {
    let most = i64::try_from((LIFE + MARGIN).as_millis()).unwrap();
    for key in 0..2 {
        if before.left[key] > most && before.readable[key] != after.readable[key] {
            let text = format!("{:?} is not readable to its end", before.readable[key]);
            return Err(Violation { invariant: 3, text });
        }
    }
    Ok(())
}

fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::BulkString(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}
