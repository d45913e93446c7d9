//! What the server answered: taken apart, or made an error that says what to do.

use std::vec;

use cachine_core::error::{Error, ErrorKind};
use redis::{ServerError, Value};

use crate::link::{Cause, Fault, Replies};

/// A message of a server is shown up to this length, in bytes.
const LONGEST: usize = 200;

/// The replies to a batch, in order; each is checked when it is taken.
pub(super) struct Answers {
    values: vec::IntoIter<Value>,
    operation: &'static str,
}

impl Answers {
    pub(super) fn new(replies: Replies, operation: &'static str) -> Self {
        Self { values: replies.into_vec().into_iter(), operation }
    }

    /// The next reply.
    pub(super) fn value(&mut self) -> Result<Value, Error> {
        match self.values.next() {
            Some(value) => checked(value, self.operation),
            None => Err(unexpected("fewer replies than commands", self.operation)),
        }
    }

    /// The next reply, if it is bytes.
    pub(super) fn bytes(&mut self) -> Result<Option<Vec<u8>>, Error> {
        bytes(self.value()?, self.operation)
    }

    /// The next reply, if it is bytes; `None` also if the key holds something else than a string.
    pub(super) fn string(&mut self) -> Result<Option<Vec<u8>>, Error> {
        match self.values.next() {
            Some(Value::ServerError(error)) if error.code() == "WRONGTYPE" => Ok(None),
            Some(value) => bytes(value, self.operation),
            None => Err(unexpected("fewer replies than commands", self.operation)),
        }
    }

    /// The next reply, a number.
    pub(super) fn integer(&mut self) -> Result<i64, Error> {
        integer(&self.value()?, self.operation)
    }

    /// The next reply, a list.
    pub(super) fn list(&mut self) -> Result<Vec<Value>, Error> {
        list(self.value()?, self.operation)
    }

    /// Passes over replies that only matter if they are errors.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), Error> {
        (0..count).try_for_each(|_| self.value().map(drop))
    }
}

/// The reply, unless it is an error.
pub(super) fn checked(value: Value, operation: &'static str) -> Result<Value, Error> {
    match value {
        Value::ServerError(error) => Err(refusal(&error, operation)),
        Value::Attribute { data, .. } => checked(*data, operation),
        value => Ok(value),
    }
}

/// Bytes, or nothing.
pub(super) fn bytes(value: Value, operation: &'static str) -> Result<Option<Vec<u8>>, Error> {
    match checked(value, operation)? {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        Value::Okay => Ok(Some(b"OK".to_vec())),
        _ => Err(unexpected("not the bytes that were asked for", operation)),
    }
}

fn integer(value: &Value, operation: &'static str) -> Result<i64, Error> {
    match value {
        Value::Int(integer) => Ok(*integer),
        Value::Boolean(is_true) => Ok(i64::from(*is_true)),
        _ => Err(unexpected("not the number that was asked for", operation)),
    }
}

/// A list; nothing is an empty one.
pub(super) fn list(value: Value, operation: &'static str) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        _ => Err(unexpected("not the list that was asked for", operation)),
    }
}

/// A reply that no command here has.
pub(super) fn unexpected(what: &str, operation: &'static str) -> Error {
    let message = format!(
        "the server answered {what}: is something between here and Redis that changes replies?"
    );
    Error::new(ErrorKind::Response, operation, message)
}

/// What a fault of a link means to a caller.
pub(super) fn failure(fault: Fault, operation: &'static str) -> Error {
    let kind = match fault.cause {
        Cause::Deadline | Cause::Busy => ErrorKind::Timeout,
        Cause::Connection | Cause::Interrupted => ErrorKind::Connection,
        Cause::Refused => ErrorKind::Response,
    };
    Error::new(kind, operation, fault.text)
}

/// What an error of the server means to a caller.
pub(super) fn refusal(error: &ServerError, operation: &'static str) -> Error {
    let (code, details) = (error.code(), error.details().unwrap_or_default());
    if details.contains("value is not an integer") {
        let message = "the stored value is not an integer: only integers of 64 bits are counted; \
                       delete the key, or count under another";
        return Error::new(ErrorKind::Serialization, operation, message);
    }
    if details.contains("would overflow") {
        let message = "the sum would leave the range of 64 bits, the counter stays as it is: set it \
                       anew";
        return Error::new(ErrorKind::Overflow, operation, message);
    }
    let kind = match code {
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" => ErrorKind::Connection,
        _ => ErrorKind::Response,
    };
    let message = format!("the server refused: {code} {}{}", shown(details), advice(code));
    Error::new(kind, operation, message)
}

/// The first line, without what it repeats of a command's arguments: those may be values.
fn shown(details: &str) -> &str {
    let line = details.lines().next().unwrap_or_default();
    let line = line.split(", with args").next().unwrap_or_default().trim_end();
    if line.len() <= LONGEST {
        return line;
    }
    let end = (0..=LONGEST).rev().find(|&end| line.is_char_boundary(end));
    &line[..end.unwrap_or(0)]
}

/// What to do about it; empty where the server's own words are enough.
fn advice(code: &str) -> &'static str {
    match code {
        "LOADING" => "; it is reading its data from disk: try again when it is done",
        "BUSY" => "; a script has kept it for long: try again, or end the script",
        "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => "; try again in a moment",
        "READONLY" => "; this is a replica: use the address of the primary",
        "OOM" => "; its memory is full: raise maxmemory, or choose a maxmemory-policy that evicts",
        "NOAUTH" => "; give a username and a password",
        "NOPERM" => "; allow the user the keys of the namespace and the commands of the cache",
        "WRONGTYPE" => "; another program keeps something else under this key: use a namespace",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;
    use crate::link::Sent;

    fn error(line: &str) -> Error {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        checked(value, "set").unwrap_err()
    }

    #[test]
    fn errors_that_pass_may_be_tried_again_and_others_not() {
        for line in ["LOADING x", "MASTERDOWN x", "CLUSTERDOWN x", "TRYAGAIN x", "BUSY x"] {
            assert_eq!(error(line).kind(), ErrorKind::Connection);
            assert!(error(line).is_retryable());
        }
        for line in ["OOM x", "READONLY x", "NOPERM x", "NOAUTH x", "WRONGTYPE x", "ERR x", "X"] {
            assert_eq!(error(line).kind(), ErrorKind::Response, "{line}");
            assert!(!error(line).is_retryable());
        }
        assert_eq!(
            error("ERR value is not an integer or out of range").kind(),
            ErrorKind::Serialization
        );
        assert_eq!(error("ERR increment or decrement would overflow").kind(), ErrorKind::Overflow);
    }

    #[test]
    fn an_error_never_repeats_an_argument_and_is_never_long() {
        let unknown = "ERR unknown command 'GETX', with args beginning with: 'secret' 'value' ";
        let text = error(unknown).to_string();
        assert!(text.contains("GETX") && !text.contains("secret"), "{text}");
        let long = error(&format!("ERR {}", "ж".repeat(5000))).to_string();
        assert!(long.len() < LONGEST + 50, "{long}");
        assert!(error("READONLY x").to_string().contains("primary"));
        assert!(error("OOM x").to_string().contains("maxmemory"));
        assert!(error("LOADING x").to_string().contains("again"));
    }

    #[test]
    fn a_fault_is_a_timeout_or_a_connection_error_with_the_words_of_the_link() {
        for (cause, kind) in [
            (Cause::Deadline, ErrorKind::Timeout),
            (Cause::Connection, ErrorKind::Connection),
            (Cause::Refused, ErrorKind::Response),
            (Cause::Interrupted, ErrorKind::Connection),
        ] {
            let error = failure(Fault { sent: Sent::No, cause, text: "why".into() }, "get");
            assert_eq!((error.kind(), error.operation()), (kind, "get"));
            assert_eq!(error.to_string(), "why");
        }
    }

    #[test]
    fn a_reply_of_another_kind_is_an_error_not_a_value() {
        let mut answers = Answers::new(Replies::Many(vec![Value::Int(1), Value::Okay]), "get");
        assert_eq!(answers.bytes().unwrap_err().kind(), ErrorKind::Response);
        assert_eq!(answers.integer().unwrap_err().kind(), ErrorKind::Response);
        assert_eq!(answers.value().unwrap_err().kind(), ErrorKind::Response);
    }
}
