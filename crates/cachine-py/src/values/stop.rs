//! Why a value is not kept, and where in it the reason is.
//!
//! A walk keeps no account of where it is. While an error comes up again, each level adds its own
//! step to the path; so a value that is kept pays nothing for it.

use std::fmt::Write as _;

use cachine_codec::build::DEEPEST;
use cachine_codec::sink::Refused;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyType};

use super::outside;
use crate::errors;

/// What a walk answers.
pub(super) type Step = Result<(), Stop>;

/// Why a walk ended.
pub(super) enum Stop {
    /// The format that was tried first does not keep the value; another one is tried next.
    Misfit,
    /// The value is not kept.
    Trouble(Box<Trouble>),
}

/// A reason, and the way to it.
pub(super) struct Trouble {
    reason: Reason,
    /// The innermost step first.
    path: Vec<Segment>,
}

enum Reason {
    /// What can't be kept, and what to do about it.
    Refused { what: String, cure: String },
    /// What the code of a class raised.
    Raised(PyErr),
}

enum Segment {
    Index(usize),
    Name(String),
    /// A key that is no text: its type.
    Key(String),
    Item,
}

/// Longer keys are cut where they are shown.
const LONGEST_KEY: usize = 40;

/// Of a longer path both ends are shown.
const LONGEST_PATH: usize = 16;

impl Stop {
    #[cold]
    pub(super) fn refused(what: impl Into<String>, cure: impl Into<String>) -> Self {
        let reason = Reason::Refused { what: what.into(), cure: cure.into() };
        Self::Trouble(Box::new(Trouble { reason, path: Vec::new() }))
    }

    /// It is nested too deep, perhaps without an end.
    #[cold]
    pub(super) fn too_deep() -> Self {
        Self::refused(
            format!("a value nested more than {DEEPEST} levels deep"),
            "it may contain itself; flatten it",
        )
    }

    /// It changed while it was written.
    #[cold]
    pub(super) fn changed(kind: &str) -> Self {
        let what = format!("a {kind} that changes while it is written");
        Self::refused(what, "hand over a copy, or keep other threads from it meanwhile")
    }

    /// Below an item of a list.
    #[cold]
    pub(super) fn at(self, index: usize) -> Self {
        self.below(|| Segment::Index(index))
    }

    /// Below an item of a set.
    #[cold]
    pub(super) fn in_set(self) -> Self {
        self.below(|| Segment::Item)
    }

    /// Below an attribute.
    #[cold]
    pub(super) fn named(self, name: &str) -> Self {
        self.below(|| Segment::Name(name.to_owned()))
    }

    /// Below a key of a dict.
    #[cold]
    pub(super) fn under(self, key: &Bound<'_, PyAny>) -> Self {
        self.below(|| Segment::of(key))
    }

    fn below(self, segment: impl FnOnce() -> Segment) -> Self {
        match self {
            Self::Misfit => Self::Misfit,
            Self::Trouble(mut trouble) => {
                trouble.path.push(segment());
                Self::Trouble(trouble)
            }
        }
    }

    /// The exception, for whoever called the serializer of this name.
    #[cold]
    pub(super) fn raise(self, py: Python<'_>, serializer: &str) -> PyErr {
        let Self::Trouble(trouble) = self else {
            return serialization_error(py, &format!("{serializer} can't keep this value"));
        };
        let path = trouble.shown_path();
        match trouble.reason {
            Reason::Refused { what, cure } => {
                let message = format!("{what} can't be kept by {serializer} at {path}: {cure}");
                serialization_error(py, &message)
            }
            Reason::Raised(error) if error.is_instance_of::<PyException>(py) => {
                let kind = name_of(&error.get_type(py));
                let message = format!("{serializer} met {kind} at {path}: see its cause");
                let wrapped = serialization_error(py, &message);
                wrapped.set_cause(py, Some(error));
                wrapped
            }
            Reason::Raised(error) => error,
        }
    }
}

impl From<PyErr> for Stop {
    #[cold]
    fn from(error: PyErr) -> Self {
        Self::Trouble(Box::new(Trouble { reason: Reason::Raised(error), path: Vec::new() }))
    }
}

impl Trouble {
    fn shown_path(&self) -> String {
        let mut text = String::from("$");
        let count = self.path.len();
        for (at, segment) in self.path.iter().rev().enumerate() {
            if count > LONGEST_PATH && at == LONGEST_PATH / 2 {
                text.push('…');
            }
            let is_end = at < LONGEST_PATH / 2 || count - at <= LONGEST_PATH / 2;
            if count <= LONGEST_PATH || is_end {
                segment.show(&mut text);
            }
        }
        text
    }
}

impl Segment {
    fn of(key: &Bound<'_, PyAny>) -> Self {
        if let Ok(text) = key.cast_exact::<PyString>() {
            return Self::Name(text.to_string_lossy().into_owned());
        }
        let small = key.cast_exact::<PyInt>().ok().and_then(|key| key.extract::<usize>().ok());
        small.map_or_else(|| Self::Key(name_of(&key.get_type())), Self::Index)
    }

    fn show(&self, text: &mut String) {
        // Writing to a string can't fail.
        let _ = match self {
            Self::Index(index) => write!(text, "[{index}]"),
            Self::Key(kind) => write!(text, "[a key of type {kind}]"),
            Self::Item => write!(text, "[an item]"),
            Self::Name(name) if is_identifier(name) => write!(text, ".{name}"),
            Self::Name(name) if name.chars().count() > LONGEST_KEY => {
                let start: String = name.chars().take(LONGEST_KEY).collect();
                write!(text, "[{:?}]", start + "…")
            }
            Self::Name(name) => write!(text, "[{name:?}]"),
        };
    }
}

fn is_identifier(name: &str) -> bool {
    name.len() <= LONGEST_KEY
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The name of a class: with its module where it is not built in.
#[cold]
pub(super) fn name_of(class: &Bound<'_, PyType>) -> String {
    let text = |name: &str| {
        let found = outside::attribute(class.as_any(), name).ok()?;
        Some(found.cast::<PyString>().ok()?.to_string_lossy().into_owned())
    };
    let name = text("__qualname__").unwrap_or_else(|| "an object".to_owned());
    match text("__module__") {
        Some(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}

/// What a sink refused, in words.
#[cold]
pub(super) fn words(refused: Refused) -> Option<(&'static str, &'static str)> {
    Some(match refused {
        Refused::NotFinite => (
            "a float that is not finite",
            "JSON has neither NaN nor infinities; store None, or use ExactSerializer",
        ),
        Refused::TooManyDigits => (
            "an int of more than 100,000 digits",
            "store it as text or bytes, or use ExactSerializer",
        ),
        Refused::TooLong => ("a value of more than 4 GiB", "store it in parts"),
        _ => return None,
    })
}

/// A `SerializationError` with this message.
pub(super) fn serialization_error(py: Python<'_>, message: &str) -> PyErr {
    errors::make(py, "SerializationError", message, "dumps", false)
}

/// A `DeserializationError` with this message, and where there is one what it comes from. What is
/// no `Exception`, such as Ctrl-C, goes on as it is.
pub(super) fn deserialization_error(py: Python<'_>, message: &str, cause: Option<PyErr>) -> PyErr {
    match cause {
        Some(cause) if !cause.is_instance_of::<PyException>(py) => cause,
        cause => {
            let error = errors::make(py, "DeserializationError", message, "loads", false);
            error.set_cause(py, cause);
            error
        }
    }
}
