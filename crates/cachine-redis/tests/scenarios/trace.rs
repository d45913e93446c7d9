//! What has happened, for a person who wants to see why.

use std::fmt::{self, Display};

use redis::Value;

use crate::link::Unit;
use crate::programs::Outcome;
use crate::scenario::Operation;
use crate::schedule::Move;
use crate::wire::{commands, shown};

/// One thing that has happened.
#[derive(Debug)]
pub(crate) enum Event {
    Begins(usize, Operation, u64),
    Sent(usize, Unit, Vec<Value>),
    Computes(usize, u64),
    Answered(usize, u64),
    Returns(usize, Outcome),
    Trouble(Move),
    Dropped(Vec<u8>),
}

/// All of a run, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    events: Vec<Event>,
    /// Where the preparations end.
    begin: usize,
}

impl Trace {
    pub(crate) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn begin(&mut self) {
        self.begin = self.events.len();
    }

    /// The troubles that there were.
    pub(crate) fn troubles(&self) -> Vec<Move> {
        let trouble = |event: &Event| match event {
            Event::Trouble(trouble) => Some(*trouble),
            _ => None,
        };
        self.events.iter().filter_map(trouble).collect()
    }
}

impl Display for Trace {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, event) in self.events.iter().enumerate() {
            if place == self.begin && place > 0 {
                writeln!(to, "  --- so much for what was done before")?;
            }
            writeln!(to, "  {event}")?;
        }
        Ok(())
    }
}

impl Display for Event {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins(who, operation, id) => {
                write!(to, "{who} begins {operation:?}, number {id}")
            }
            Self::Computes(who, version) => write!(to, "{who}   computes from version {version}"),
            Self::Answered(who, value) => write!(to, "{who}   answers with the stale {value}"),
            Self::Returns(who, outcome) => write!(to, "{who} returns {outcome:?}"),
            Self::Trouble(what) => write!(to, "* {what:?}"),
            Self::Dropped(name) => write!(to, "*   lost {}", shown(name)),
            Self::Sent(who, unit, replies) => {
                write!(to, "{who}  ")?;
                for (_, words) in commands(&unit.bytes) {
                    for word in words {
                        write!(to, " {}", shown(word))?;
                    }
                    write!(to, ";")?;
                }
                write!(to, " =>")?;
                for reply in replies.iter().filter(|reply| !is_dull(reply)) {
                    write!(to, " {}", answer(reply))?;
                }
                Ok(())
            }
        }
    }
}

/// Whether nobody wants to see this reply.
fn is_dull(reply: &Value) -> bool {
    matches!(reply, Value::Okay) || matches!(reply, Value::SimpleString(text) if text == "QUEUED")
}

fn answer(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => shown(bytes),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(answer).collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}
