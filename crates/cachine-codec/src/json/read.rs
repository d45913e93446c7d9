//! Reads JSON text, without recursion: however deep a text is nested, the stack stays as it is.

use std::mem;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, NumberAny, NumberInt, Peek};

use super::digits::{self, MOST_DIGITS};
use crate::build::{Build, DEEPEST, Malformed};

/// Reads a JSON text and tells `build` what is in it; afterwards its stack holds one value more.
///
/// # Errors
///
/// What `build` refuses, and [`Malformed`] for whatever RFC 8259 does not allow, for a byte that is
/// no UTF-8, an unpaired surrogate, a float beyond the range of doubles, an integer of more than
/// [`MOST_DIGITS`] digits, and nesting deeper than [`DEEPEST`].
pub fn read<B: Build>(bytes: &[u8], build: &mut B) -> Result<(), B::Error> {
    Reader { bytes, text: Jiter::new(bytes), skipped: 0 }.read(build)
}

struct Reader<'a> {
    bytes: &'a [u8],
    text: Jiter<'a>,
    /// How many bytes stand before what `text` knows.
    skipped: usize,
}

/// A container that is not closed yet, and how many items or pairs it has so far.
enum Open {
    List(usize),
    Map(usize),
}

impl Reader<'_> {
    fn read<B: Build>(&mut self, build: &mut B) -> Result<(), B::Error> {
        let mut open: Vec<Open> = Vec::new();
        let mut next = self.text.peek().map_err(|error| self.malformed(&error))?;
        loop {
            if let Some(first) = self.value(next, &mut open, build)? {
                next = first;
                continue;
            }
            match self.after_value(&mut open, build)? {
                Some(following) => next = following,
                None => break,
            }
        }
        self.text.finish().map_err(|error| self.malformed(&error).into())
    }

    /// Reads a scalar or an empty container; of any other container only what stands before its
    /// first value, with which the answer says to go on.
    #[inline]
    fn value<B: Build>(
        &mut self,
        peek: Peek,
        open: &mut Vec<Open>,
        build: &mut B,
    ) -> Result<Option<Peek>, B::Error> {
        match peek {
            Peek::String => match self.text.known_str() {
                Ok(text) => build.str(text)?,
                Err(error) => return Err(self.malformed(&error).into()),
            },
            Peek::Object => return self.object(open, build),
            Peek::Array => return self.array(open, build),
            Peek::Null => {
                self.text.known_null().map_err(|error| self.malformed(&error))?;
                build.null()?;
            }
            Peek::True | Peek::False => {
                let value = self.text.known_bool(peek).map_err(|error| self.malformed(&error))?;
                build.bool(value)?;
            }
            number => self.number(number, build)?,
        }
        Ok(None)
    }

    fn array<B: Build>(
        &mut self,
        open: &mut Vec<Open>,
        build: &mut B,
    ) -> Result<Option<Peek>, B::Error> {
        self.check_depth(open)?;
        let first = self.text.known_array().map_err(|error| self.malformed(&error))?;
        if first.is_some() {
            open.push(Open::List(1));
        } else {
            build.list(0)?;
        }
        Ok(first)
    }

    fn object<B: Build>(
        &mut self,
        open: &mut Vec<Open>,
        build: &mut B,
    ) -> Result<Option<Peek>, B::Error> {
        self.check_depth(open)?;
        match self.text.known_object() {
            Ok(Some(key)) => build.key(key)?,
            Ok(None) => {
                build.map(0)?;
                return Ok(None);
            }
            Err(error) => return Err(self.malformed(&error).into()),
        }
        open.push(Open::Map(1));
        Ok(Some(self.text.peek().map_err(|error| self.malformed(&error))?))
    }

    /// Goes on in the innermost container, and closes those that end here. `None`: no value follows.
    #[inline]
    fn after_value<B: Build>(
        &mut self,
        open: &mut Vec<Open>,
        build: &mut B,
    ) -> Result<Option<Peek>, B::Error> {
        loop {
            match open.last_mut() {
                None => return Ok(None),
                Some(Open::List(length)) => match self.text.array_step() {
                    Ok(Some(next)) => {
                        *length += 1;
                        return Ok(Some(next));
                    }
                    Ok(None) => build.list(*length)?,
                    Err(error) => return Err(self.malformed(&error).into()),
                },
                Some(Open::Map(length)) => match self.text.next_key() {
                    Ok(Some(key)) => {
                        *length += 1;
                        build.key(key)?;
                        let next = self.text.peek().map_err(|error| self.malformed(&error))?;
                        return Ok(Some(next));
                    }
                    Ok(None) => build.map(*length)?,
                    Err(error) => return Err(self.malformed(&error).into()),
                },
            }
            open.pop();
        }
    }

    // Features of a crate add up over a build: with `jiter/num-bigint` on, there is one variant more.
    #[allow(unreachable_patterns, reason = "whether there are more depends on a feature of jiter")]
    #[inline]
    fn number<B: Build>(&mut self, first: Peek, build: &mut B) -> Result<(), B::Error> {
        let start = self.text.current_index();
        match self.text.known_number(first) {
            Ok(NumberAny::Int(NumberInt::Int(value))) => build.int(value),
            Ok(NumberAny::Float(value)) if value.is_finite() => build.float(value),
            Ok(NumberAny::Float(_)) => {
                let at = self.skipped + start;
                Err(Malformed { what: "a number beyond the range of a double", at }.into())
            }
            Ok(_) => self.big_integer(start, build),
            Err(error) if is_out_of_range(&error) => self.big_integer(start, build),
            Err(error) => Err(self.malformed(&error).into()),
        }
    }

    /// Reads an integer that jiter does not, and has jiter go on behind it.
    #[cold]
    fn big_integer<B: Build>(&mut self, start: usize, build: &mut B) -> Result<(), B::Error> {
        let at = self.skipped + start;
        let is_negative = self.bytes[at] == b'-';
        let digits = &self.bytes[at + usize::from(is_negative)..];
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_float = matches!(digits.get(length), Some(b'.' | b'e' | b'E'));
        if is_float || length > MOST_DIGITS {
            return Err(Malformed { what: "a number of too many digits", at }.into());
        }
        let Some(number) = digits::read(&digits[..length], is_negative) else {
            return Err(Malformed { what: "something else than a number", at }.into());
        };
        build.big_int(&number)?;
        self.skipped = at + usize::from(is_negative) + length;
        let tape = mem::replace(&mut self.text, Jiter::new(&[])).into_tape();
        self.text = Jiter::with_tape(&self.bytes[self.skipped..], tape);
        Ok(())
    }

    fn check_depth(&self, open: &[Open]) -> Result<(), Malformed> {
        if open.len() < DEEPEST {
            return Ok(());
        }
        Err(Malformed {
            what: "nesting that is too deep",
            at: self.skipped + self.text.current_index(),
        })
    }

    #[cold]
    fn malformed(&self, error: &JiterError) -> Malformed {
        let what = match &error.error_type {
            JiterErrorType::JsonError(kind) => describe(kind),
            JiterErrorType::WrongType { .. } => "something else than a JSON value",
        };
        Malformed { what, at: self.skipped + error.index }
    }
}

fn is_out_of_range(error: &JiterError) -> bool {
    matches!(error.error_type, JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange))
}

fn describe(kind: &JsonErrorType) -> &'static str {
    match kind {
        JsonErrorType::EofWhileParsingList
        | JsonErrorType::EofWhileParsingObject
        | JsonErrorType::EofWhileParsingString
        | JsonErrorType::EofWhileParsingValue => "an end that comes too early",
        JsonErrorType::ExpectedColon => "no colon after a key",
        JsonErrorType::ExpectedListCommaOrEnd | JsonErrorType::ExpectedObjectCommaOrEnd => {
            "neither a comma nor a closing bracket"
        }
        JsonErrorType::InvalidEscape => "an escape that JSON does not have",
        JsonErrorType::InvalidNumber => "a number that JSON does not allow",
        JsonErrorType::InvalidUnicodeCodePoint => "bytes that are no UTF-8",
        JsonErrorType::ControlCharacterWhileParsingString => "a control character inside a string",
        JsonErrorType::KeyMustBeAString => "a key that is no string",
        JsonErrorType::LoneLeadingSurrogateInHexEscape
        | JsonErrorType::UnexpectedEndOfHexEscape => "an unpaired surrogate",
        JsonErrorType::TrailingComma => "a comma before a closing bracket",
        JsonErrorType::TrailingCharacters => "more after the value",
        _ => "something else than a JSON value",
    }
}
