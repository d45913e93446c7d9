//! A walk over an object of Python, told to a sink of the codec.
//!
//! The exact type decides at every depth, by comparing pointers: a subclass of int is no int.
//!
//! # Cost
//!
//! Text, numbers, lists and dicts cost no call into Python and nothing for what might go wrong: the
//! path of an error is found while it comes up again ([`super::stop`]).
//!
//! # Invariants
//!
//! 1. Whatever is looked at is held by a reference of the walk, or by an object that can't change:
//!    other threads, and code of classes, may change lists and dicts meanwhile.
//! 2. A container says how many items it has before it writes them, and writes as many.

use cachine_codec::build::DEEPEST;
use cachine_codec::kind::Kind;
use cachine_codec::sink::{Refused, Sink, Taken};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::lossy;
use super::outside::Held;
use super::registry::Registry;
use super::standard;
use super::stop::{self, Step, Stop};
use super::text::{self, Utf8};

/// What a serializer keeps, beside what its format does.
pub(super) struct Rules<'r> {
    /// The name of its class.
    pub(super) name: &'static str,
    pub(super) keys: Keys,
    /// The classes that were registered. Without it no such class is kept.
    pub(super) registry: Option<&'r Registry>,
    /// Whether it turns into something similar what it does not keep.
    pub(super) is_lossy: bool,
    /// Whether another format is tried next, so that nobody reads why this one did not do.
    pub(super) is_trial: bool,
}

/// What can be a key of a dict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Text,
    Scalars,
    Any,
}

/// Writes an object; whether there was something in it that no JSON text keeps. When there was not,
/// a float may still be the exception.
pub(super) fn write<S: Sink>(
    object: &Bound<'_, PyAny>,
    sink: &mut S,
    rules: &Rules<'_>,
) -> Result<bool, Stop> {
    let mut walk = Walk { py: object.py(), sink, rules, depth: 0, is_more: false };
    walk.value(object)?;
    Ok(walk.is_more)
}

/// A walk that is under way.
pub(super) struct Walk<'w, 'py, S> {
    pub(super) py: Python<'py>,
    pub(super) sink: &'w mut S,
    pub(super) rules: &'w Rules<'w>,
    depth: usize,
    /// Whether something was met that no JSON text keeps.
    is_more: bool,
}

impl<'py, S: Sink> Walk<'_, 'py, S> {
    /// Writes an object of any type.
    pub(super) fn value(&mut self, object: &Bound<'py, PyAny>) -> Step {
        let class = object.get_type_ptr();
        if class == &raw mut ffi::PyUnicode_Type {
            return self.text(object);
        }
        if class == &raw mut ffi::PyLong_Type {
            return self.integer(object);
        }
        if class == &raw mut ffi::PyDict_Type {
            return self.dict(object);
        }
        if class == &raw mut ffi::PyList_Type {
            return self.list(object);
        }
        if class == &raw mut ffi::PyFloat_Type {
            // SAFETY: a float, by its type.
            let float = unsafe { object.cast_unchecked::<PyFloat>() };
            let taken = self.sink.float(float.value());
            return self.taken(taken, object);
        }
        let taken = if class == &raw mut ffi::PyBool_Type {
            // SAFETY: compares two pointers.
            self.sink.bool(object.as_ptr() == unsafe { ffi::Py_True() })
        } else if object.is_none() {
            self.sink.null()
        } else if class == &raw mut ffi::PyBytes_Type {
            self.is_more = true;
            // SAFETY: bytes, by their type.
            self.sink.bytes(unsafe { object.cast_unchecked::<PyBytes>() }.as_bytes())
        } else {
            return self.other(object);
        };
        self.taken(taken, object)
    }

    /// Writes a str, whatever its exact type.
    #[inline]
    pub(super) fn text(&mut self, object: &Bound<'py, PyAny>) -> Step {
        // SAFETY: the callers checked the type.
        let text = unsafe { object.cast_unchecked::<PyString>() };
        let taken = match text::utf8(text) {
            Utf8::Own(text) => self.sink.str(text),
            Utf8::Long => return self.long_text(text),
            Utf8::None => return self.surrogates(text),
        };
        self.taken(taken, object)
    }

    /// Writes a long text, without the copy that Python would keep beside it.
    #[cold]
    fn long_text(&mut self, text: &Bound<'py, PyString>) -> Step {
        let Ok(bytes) = text.encode_utf8() else { return self.surrogates(text) };
        // SAFETY: Python encoded it.
        let taken = self.sink.str(unsafe { std::str::from_utf8_unchecked(bytes.as_bytes()) });
        self.taken(taken, text)
    }

    #[cold]
    fn surrogates(&mut self, text: &Bound<'py, PyString>) -> Step {
        self.is_more = true;
        // SAFETY: a live text and two texts that end in zero; new bytes or an error.
        let bytes = unsafe {
            let made = ffi::PyUnicode_AsEncodedString(
                text.as_ptr(),
                c"utf-8".as_ptr(),
                c"surrogatepass".as_ptr(),
            );
            Bound::from_owned_ptr_or_err(self.py, made)?.cast_into_unchecked::<PyBytes>()
        };
        match self.sink.extension(Kind::SurrogateText, bytes.as_bytes()) {
            Err(Refused::Kind) if !self.rules.is_trial => Err(Stop::refused(
                "a str with an unpaired surrogate",
                "encode it first, with .encode(\"utf-8\", \"surrogatepass\"), or use \
                 ExactSerializer, which keeps it",
            )),
            taken => self.taken(taken, text),
        }
    }

    /// Writes an int, whatever its exact type.
    #[inline]
    pub(super) fn integer(&mut self, object: &Bound<'py, PyAny>) -> Step {
        let taken = match small(object) {
            Some(number) => self.sink.int(number),
            None => return self.large_integer(object),
        };
        self.taken(taken, object)
    }

    #[cold]
    fn large_integer(&mut self, object: &Bound<'py, PyAny>) -> Step {
        let int = self.py.get_type::<PyInt>();
        // A subclass may have methods of its own.
        let bits = int.getattr("bit_length")?.call1((object,))?.extract::<usize>()?;
        let keywords = PyDict::new(self.py);
        keywords.set_item("signed", true)?;
        let arguments = (object, bits / 8 + 1, "little");
        let bytes = int.getattr("to_bytes")?.call(arguments, Some(&keywords))?;
        let taken = self.sink.big_int(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
        self.taken(taken, object)
    }

    /// Writes a list, whatever its exact type.
    pub(super) fn list(&mut self, object: &Bound<'py, PyAny>) -> Step {
        // SAFETY: the callers checked the type.
        let list = unsafe { object.cast_unchecked::<PyList>() };
        let length = list.len();
        self.enter()?;
        let taken = self.sink.begin_list(length);
        self.taken(taken, object)?;
        for at in 0..length {
            let Ok(item) = list.get_item(at) else { return Err(Stop::changed("list")) };
            let item = Held::new(item);
            self.sink.next_item(at == 0);
            if let Err(stop) = self.value(&item) {
                return Err(stop.at(at));
            }
        }
        if list.len() != length {
            return Err(Stop::changed("list"));
        }
        self.sink.end_list();
        self.depth -= 1;
        Ok(())
    }

    fn dict(&mut self, object: &Bound<'py, PyAny>) -> Step {
        // SAFETY: the caller checked the type.
        let dict = unsafe { object.cast_unchecked::<PyDict>() };
        let length = dict.len();
        self.begin_map(length, object)?;
        let mut position = 0;
        let mut count = 0;
        while let Some((key, value)) = next_pair(dict, &mut position) {
            if count == length {
                return Err(Stop::changed("dict"));
            }
            self.pair(count == 0, &key, &value)?;
            count += 1;
        }
        if count != length {
            return Err(Stop::changed("dict"));
        }
        self.end_map();
        Ok(())
    }

    /// Begins what is a dict in the end.
    pub(super) fn begin_map(&mut self, length: usize, object: &Bound<'py, PyAny>) -> Step {
        self.enter()?;
        // Where keys have to be text, `pair` sees to it.
        let taken = self.sink.begin_map(length, self.rules.keys == Keys::Text);
        self.taken(taken, object)
    }

    /// Ends it.
    pub(super) fn end_map(&mut self) {
        self.sink.end_map();
        self.depth -= 1;
    }

    /// Writes a key and its value.
    #[inline]
    pub(super) fn pair(
        &mut self,
        is_first: bool,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> Step {
        self.sink.next_key(is_first);
        if key.get_type_ptr() == &raw mut ffi::PyUnicode_Type {
            self.text(key)?;
        } else {
            self.other_key(key)?;
        }
        self.sink.next_value();
        match self.value(value) {
            Err(stop) => Err(stop.under(key)),
            done => done,
        }
    }

    #[inline(never)]
    fn other_key(&mut self, key: &Bound<'py, PyAny>) -> Step {
        self.is_more = true;
        match self.rules.keys {
            Keys::Any => self.value(key),
            _ if self.rules.is_lossy => lossy::key(self, key),
            Keys::Scalars if standard::is_plain_scalar(key) => self.value(key),
            _ if self.rules.is_trial => Err(Stop::Misfit),
            _ => Err(standard::refuse_key(key, self.rules)),
        }
    }

    /// Writes an object of a rarer type.
    #[inline(never)]
    fn other(&mut self, object: &Bound<'py, PyAny>) -> Step {
        self.is_more = true;
        if self.rules.is_lossy && lossy::value(self, object)? {
            return Ok(());
        }
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            return self.extension(Kind::Tuple, object, |walk| walk.tuple(tuple));
        }
        standard::value(self, object)
    }

    /// Writes the items of a tuple, one after the other.
    pub(super) fn tuple(&mut self, tuple: &Bound<'py, PyTuple>) -> Step {
        for (at, item) in tuple.iter_borrowed().enumerate() {
            if let Err(stop) = self.value(&item) {
                return Err(stop.at(at));
            }
        }
        Ok(())
    }

    /// Writes an extension whose content is values.
    pub(super) fn extension(
        &mut self,
        kind: Kind,
        object: &Bound<'py, PyAny>,
        content: impl FnOnce(&mut Self) -> Step,
    ) -> Step {
        self.enter()?;
        let mark = match self.sink.begin_extension(kind) {
            Ok(mark) => mark,
            Err(refused) => return Err(self.refused(refused, object)),
        };
        content(self)?;
        let taken = self.sink.end_extension(mark);
        self.taken(taken, object)?;
        self.depth -= 1;
        Ok(())
    }

    /// Goes one level down, into something that [`Self::leave`] ends.
    #[inline]
    pub(super) fn enter(&mut self) -> Step {
        if self.depth == DEEPEST {
            return Err(Stop::too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    /// Goes one level up.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// What became of an object, as the sink answered.
    #[inline]
    pub(super) fn taken(&self, taken: Taken, object: &Bound<'py, PyAny>) -> Step {
        match taken {
            Ok(()) => Ok(()),
            Err(refused) => Err(self.refused(refused, object)),
        }
    }

    #[cold]
    fn refused(&self, refused: Refused, object: &Bound<'py, PyAny>) -> Stop {
        if self.rules.is_trial {
            return Stop::Misfit;
        }
        if refused == Refused::TooDeep {
            return Stop::too_deep();
        }
        match stop::words(refused) {
            Some((what, cure)) => Stop::refused(what, cure),
            None => standard::refuse(object, self.rules),
        }
    }
}

/// An int of at most 64 bits.
#[inline]
pub(super) fn small(object: &Bound<'_, PyAny>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: an int, by the check of the callers; so there is no error but the overflow.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &raw mut overflow) };
    if overflow == 0 { Some(number) } else { None }
}

/// The next key and value of a dict, held: what is in the dict may be gone a moment later.
#[inline]
fn next_pair<'py>(
    dict: &Bound<'py, PyDict>,
    position: &mut isize,
) -> Option<(Held<'py>, Held<'py>)> {
    let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
    with_critical_section(dict.as_any(), || {
        // SAFETY: a live dict; it checks the position against what the dict is now. The references
        // are borrowed, and are taken over before anything else can happen.
        unsafe {
            let more = ffi::PyDict_Next(dict.as_ptr(), position, &raw mut key, &raw mut value) != 0;
            more.then(|| {
                let held = |object| Held::new(Bound::from_borrowed_ptr(dict.py(), object));
                (held(key), held(value))
            })
        }
    })
}
