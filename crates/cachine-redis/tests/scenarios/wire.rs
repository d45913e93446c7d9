//! The bytes between the scenarios and their server: one connection, and commands taken apart.

use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cachine_testkit::Redis;
use redis::{Cmd, Parser, Value};

/// A connection that sends and waits.
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    pub(crate) fn new(server: &Redis) -> Self {
        let stream = UnixStream::connect(server.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Sends commands in one write; so many replies.
    pub(crate) fn exchange(&mut self, bytes: &[u8], count: usize) -> Vec<Value> {
        self.stream.get_mut().write_all(bytes).unwrap();
        (0..count).map(|_| self.reply()).collect()
    }

    /// The next reply. The parser of the crate takes most of the time where it is not optimised.
    fn reply(&mut self) -> Value {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        let text = str::from_utf8(&line[1..]).unwrap().trim_end();
        match line[0] {
            b':' => Value::Int(text.parse().unwrap()),
            b'+' if text == "OK" => Value::Okay,
            b'+' => Value::SimpleString(text.to_owned()),
            b'$' | b'*' if text == "-1" => Value::Nil,
            b'*' => Value::Array((0..text.parse().unwrap()).map(|_| self.reply()).collect()),
            b'$' => {
                let mut body = vec![0; text.parse::<usize>().unwrap() + 2];
                self.stream.read_exact(&mut body).unwrap();
                body.truncate(body.len() - 2);
                Value::BulkString(body)
            }
            _ => Parser::new().parse_value(&line[..]).unwrap(),
        }
    }

    /// One command by its words.
    pub(crate) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Value {
        self.exchange(&packed(words), 1).remove(0)
    }
}

/// A command as it is sent.
pub(crate) fn packed<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word.as_ref());
    }
    command.get_packed_command()
}

/// Where each command of a batch lies, and its words.
pub(crate) fn commands(bytes: &[u8]) -> Vec<(Range<usize>, Vec<&[u8]>)> {
    let mut commands = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let count = number(bytes, &mut at);
        let words = (0..count)
            .map(|_| {
                let length = number(bytes, &mut at);
                at += length + 2;
                &bytes[at - length - 2..at - 2]
            })
            .collect();
        commands.push((start..at, words));
    }
    commands
}

/// The number of a line such as `*3` or `$12`; goes on behind it.
fn number(bytes: &[u8], at: &mut usize) -> usize {
    let end = bytes[*at..].iter().position(|&byte| byte == b'\r').unwrap();
    let line = &bytes[*at + 1..*at + end];
    *at += end + 2;
    str::from_utf8(line).unwrap().parse().unwrap()
}

/// Words as a person reads them; random bytes shortened.
pub(crate) fn shown(word: &[u8]) -> String {
    let text: String = word
        .iter()
        .map(|&byte| match byte {
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\{byte:02x}"),
        })
        .collect();
    let length = text.len();
    if length <= 60 { text } else { format!("{}..({length})", &text[..40]) }
}
