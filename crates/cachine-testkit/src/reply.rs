//! Replies of a server, and the few lines that it takes to ask for one.
//!
//! Written without the client under test, so that a test does not ask it about itself.

use std::io::{BufRead, BufReader, Read, Write};

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing is there.
    Nil,
    /// A number.
    Int(i64),
    /// A string, of any bytes.
    Bytes(Vec<u8>),
    /// Several replies.
    List(Vec<Reply>),
    /// A refusal, in the words of the server.
    Error(String),
}

impl Reply {
    /// The number.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => panic!("the server answered {other:?}, no number"),
        }
    }

    /// The string as text; what is no UTF-8 is replaced.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn text(&self) -> String {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("the server answered {other:?}, no string"),
        }
    }

    /// The list.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(replies) => replies,
            other => panic!("the server answered {other:?}, no list"),
        }
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<i64> for Reply {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// Sends a command and reads its reply.
pub(crate) fn ask<S: Read + Write, A: AsRef<[u8]>>(stream: S, words: &[A]) -> Reply {
    let mut stream = BufReader::new(stream);
    let mut packed = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        packed.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        packed.extend_from_slice(word);
        packed.extend_from_slice(b"\r\n");
    }
    let sent = stream.get_mut().write_all(&packed);
    sent.unwrap_or_else(|error| panic!("the server took no command: {error}"));
    read(&mut stream)
}

fn read(stream: &mut impl BufRead) -> Reply {
    let mut line = String::new();
    let got = stream.read_line(&mut line);
    let length = got.unwrap_or_else(|error| panic!("the server did not answer: {error}"));
    assert!(length > 2, "the server closed the connection");
    let (kind, rest) = line.trim_end().split_at(1);
    let number = || -> i64 { rest.parse().unwrap_or_else(|_| panic!("no number: {line:?}")) };
    match kind {
        "+" => Reply::from(rest),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Int(number()),
        "$" => usize::try_from(number()).map_or(Reply::Nil, |length| string(stream, length)),
        "*" => usize::try_from(number())
            .map_or(Reply::Nil, |length| Reply::List((0..length).map(|_| read(stream)).collect())),
        _ => panic!("the server answered {line:?}"),
    }
}

fn string(stream: &mut impl Read, length: usize) -> Reply {
    let mut bytes = vec![0; length + 2];
    let got = stream.read_exact(&mut bytes);
    got.unwrap_or_else(|error| panic!("the server broke off: {error}"));
    bytes.truncate(length);
    Reply::Bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reply_is_read() {
        let mut wire: &[u8] = b"*6\r\n+OK\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n*-1\r\n-ERR no\r\n";
        let expected = Reply::List(vec![
            Reply::from("OK"),
            Reply::from(-7),
            Reply::from("a\r\nb"),
            Reply::Nil,
            Reply::Nil,
            Reply::Error("ERR no".to_owned()),
        ]);
        assert_eq!(read(&mut wire), expected);
        assert!(wire.is_empty());
    }
}
