//! Objects of Python, made of what a reader of the codec meets.
//!
//! # Cost
//!
//! Text, numbers, lists and dicts cost what CPython takes to make them. The same few keys come
//! again and again in a list of dicts: each is made once, which saves its hash as well.

use cachine_codec::build::{Build, Malformed};
use cachine_codec::content::{to_big_endian, to_little_endian};
use cachine_codec::kind::Kind;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt};

use super::keys::Keys;
use super::outside::{self, Held};
use super::registry::Registry;
use super::revive;
use super::text;

/// Why bytes are not made into a value.
pub(super) enum Broken {
    /// They are not what they should be.
    Malformed(Malformed),
    /// They are, but stand for nothing here.
    Meaningless(Box<str>),
    /// A class refused.
    Raised(Box<PyErr>),
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<PyErr> for Broken {
    fn from(error: PyErr) -> Self {
        Self::Raised(Box::new(error))
    }
}

impl Broken {
    #[cold]
    pub(super) fn meaningless(why: impl Into<Box<str>>) -> Self {
        Self::Meaningless(why.into())
    }
}

/// Makes objects.
pub(super) struct Maker<'r, 'py> {
    pub(super) py: Python<'py>,
    pub(super) registry: Option<&'r Registry>,
    stack: Vec<Bound<'py, PyAny>>,
    keys: Keys<'py>,
}

impl<'r, 'py> Maker<'r, 'py> {
    pub(super) fn new(py: Python<'py>, registry: Option<&'r Registry>) -> Self {
        Self { py, registry, stack: Vec::with_capacity(16), keys: Keys::new() }
    }

    /// The value that was made.
    pub(super) fn finish(&mut self) -> Result<Bound<'py, PyAny>, Broken> {
        let value = self.stack.pop();
        value.ok_or_else(|| Broken::meaningless("there is no value in it"))
    }

    #[inline]
    fn push(&mut self, object: Bound<'py, PyAny>) {
        self.stack.push(object);
    }

    /// Where the last `length` values begin.
    #[inline]
    fn start(&self, length: usize) -> usize {
        self.stack.len().checked_sub(length).expect("a reader counts what it hands over")
    }

    /// Drops what is on the stack from there on.
    #[inline]
    fn cut(&mut self, start: usize) {
        while self.stack.len() > start {
            drop(self.stack.pop().map(Held::new));
        }
    }

    /// Moves what is on the stack from there on into a list or a tuple that was made for it.
    ///
    /// # Safety
    ///
    /// `put` has to take the reference over, and may not fail.
    #[inline]
    unsafe fn pour(
        &mut self,
        start: usize,
        made: *mut ffi::PyObject,
        put: unsafe fn(*mut ffi::PyObject, isize, *mut ffi::PyObject),
    ) -> Result<(), Broken> {
        // SAFETY: a new reference, or null with an error.
        let made = unsafe { Bound::from_owned_ptr_or_err(self.py, made)? };
        for (at, item) in (0..).zip(self.stack.drain(start..)) {
            // SAFETY: it was made for so many items, and nobody else has seen it.
            unsafe { put(made.as_ptr(), at, item.into_ptr()) };
        }
        self.push(made);
        Ok(())
    }
}

impl Drop for Maker<'_, '_> {
    fn drop(&mut self) {
        self.cut(0);
    }
}

impl Build for Maker<'_, '_> {
    type Error = Broken;

    #[inline]
    fn null(&mut self) -> Result<(), Broken> {
        self.push(self.py.None().into_bound(self.py));
        Ok(())
    }

    #[inline]
    fn bool(&mut self, value: bool) -> Result<(), Broken> {
        self.push(pyo3::types::PyBool::new(self.py, value).to_owned().into_any());
        Ok(())
    }

    #[inline]
    fn int(&mut self, value: i64) -> Result<(), Broken> {
        // SAFETY: attached; a new reference, or null with an error.
        let made =
            unsafe { Bound::from_owned_ptr_or_err(self.py, ffi::PyLong_FromLongLong(value))? };
        self.push(made);
        Ok(())
    }

    #[cold]
    fn big_int(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let from_bytes = self.py.get_type::<PyInt>().getattr("from_bytes")?;
        let keywords = PyDict::new(self.py);
        keywords.set_item("signed", true)?;
        let made = from_bytes.call((PyBytes::new(self.py, bytes), "little"), Some(&keywords))?;
        self.push(made);
        Ok(())
    }

    #[inline]
    fn float(&mut self, value: f64) -> Result<(), Broken> {
        self.push(pyo3::types::PyFloat::new(self.py, value).into_any());
        Ok(())
    }

    #[inline]
    fn str(&mut self, value: &str) -> Result<(), Broken> {
        let made = text::make(self.py, value)?;
        self.push(made.into_any());
        Ok(())
    }

    #[inline]
    fn key(&mut self, value: &str) -> Result<(), Broken> {
        let key = self.keys.get(self.py, value)?;
        self.push(key.into_any());
        Ok(())
    }

    fn bytes(&mut self, value: &[u8]) -> Result<(), Broken> {
        self.push(PyBytes::new(self.py, value).into_any());
        Ok(())
    }

    fn list(&mut self, length: usize) -> Result<(), Broken> {
        let start = self.start(length);
        // SAFETY: no list has more items than `isize::MAX`; the items are put into a new list.
        unsafe {
            let made = ffi::PyList_New(length.cast_signed());
            self.pour(start, made, |list, at, item| ffi::PyList_SET_ITEM(list, at, item))
        }
    }

    fn map(&mut self, length: usize) -> Result<(), Broken> {
        let start = self.start(2 * length);
        let made = PyDict::new(self.py);
        for pair in self.stack[start..].chunks_exact(2) {
            outside::set_item(&made, &pair[0], &pair[1])?;
        }
        self.cut(start);
        self.push(made.into_any());
        Ok(())
    }

    fn nested(&mut self, kind: Kind, length: usize) -> Result<(), Broken> {
        let start = self.start(length);
        if kind == Kind::Tuple {
            // SAFETY: as above, for a new tuple.
            return unsafe {
                let made = ffi::PyTuple_New(length.cast_signed());
                self.pour(start, made, |tuple, at, item| ffi::PyTuple_SET_ITEM(tuple, at, item))
            };
        }
        let made = revive::nested(self.py, self.registry, kind, &self.stack[start..])?;
        self.cut(start);
        self.push(made);
        Ok(())
    }

    fn extension(&mut self, kind: Kind, content: &[u8]) -> Result<(), Broken> {
        if kind == Kind::BigInt {
            // The reader hands it over as an integer; this is for one that does not.
            debug_assert_eq!(to_big_endian(&to_little_endian(content)?), content);
            return self.big_int(&to_little_endian(content)?);
        }
        let made = revive::extension(self.py, kind, content)?;
        self.push(made);
        Ok(())
    }
}
