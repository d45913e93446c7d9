//! Which argument of a call belongs to which parameter, with defaults filled in.
//!
//! `f(1)`, `f(a=1)` and `f(1, b=2)` with a default of 2 are one call and get one key. A call that
//! does not fit the signature gets none: the function itself says what is wrong with it.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::encode::Encoder;

/// Functions with more parameters than this are bound with an allocation.
const FEW: usize = 12;

/// The parameters of a function.
pub(crate) struct Signature {
    parameters: Vec<Parameter>,
    /// How many of them can be given by position; they stand first.
    positional: usize,
    /// How many of those can't be given by name.
    unnamed: usize,
    /// The name of `*args`, if there is one.
    more: Option<String>,
    /// The name of `**kwargs`, if there is one.
    named_more: Option<String>,
    /// Whether the first argument is the instance of a method.
    pub(crate) is_method: std::sync::atomic::AtomicBool,
}

struct Parameter {
    name: Py<PyString>,
    default: Option<Py<PyAny>>,
}

/// The arguments of a call, as vectorcall passes them.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a> {
    /// First those by position, then the values of those by name.
    pub(crate) values: &'a [*mut ffi::PyObject],
    pub(crate) names: *mut ffi::PyObject,
}

/// Why a call has no key.
pub(crate) enum Refused {
    /// It does not fit the signature.
    Misfit,
    /// An argument can't be part of a key, or raised when it was asked.
    Argument(usize, PyErr),
}

impl<'a> Arguments<'a> {
    fn named(self) -> usize {
        if self.names.is_null() {
            return 0;
        }
        // SAFETY: `names` is the tuple of keyword names of a call.
        unsafe { ffi::PyTuple_Size(self.names) }.unsigned_abs()
    }

    fn positional(self) -> &'a [*mut ffi::PyObject] {
        &self.values[..self.values.len() - self.named()]
    }

    fn by_name(self) -> impl Iterator<Item = (*mut ffi::PyObject, *mut ffi::PyObject)> {
        let first = self.values.len() - self.named();
        self.values[first..].iter().enumerate().map(move |(at, &value)| {
            // SAFETY: there are as many names as values by name.
            (unsafe { ffi::PyTuple_GetItem(self.names, at.cast_signed()) }, value)
        })
    }
}

impl Signature {
    /// From `(name, kind, default)` of each parameter; `kind` as in `inspect.Parameter`, `default`
    /// a tuple of one or none.
    pub(crate) fn new(parameters: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let mut signature = Self {
            parameters: Vec::new(),
            positional: 0,
            unnamed: 0,
            more: None,
            named_more: None,
            is_method: false.into(),
        };
        for parameter in parameters {
            type Row<'py> = (Bound<'py, PyString>, u8, Bound<'py, PyTuple>);
            let (name, kind, default) = parameter.extract::<Row<'_>>()?;
            match kind {
                2 => signature.more = Some(format!("*{name}")),
                4 => signature.named_more = Some(format!("**{name}")),
                _ => {
                    signature.unnamed += usize::from(kind == 0);
                    signature.positional += usize::from(kind < 2);
                    let default = default.iter().next().map(Bound::unbind);
                    let name = PyString::intern(name.py(), name.to_str()?).unbind();
                    signature.parameters.push(Parameter { name, default });
                }
            }
        }
        Ok(signature)
    }

    /// Writes the arguments of a call into its key.
    #[inline]
    pub(crate) fn encode(
        &self,
        arguments: Arguments<'_>,
        encoder: &mut Encoder<'_, '_>,
    ) -> Result<(), Refused> {
        let given = arguments.values.len();
        // The commonest call of all: everything by position, nothing missing.
        if arguments.names.is_null() && given == self.parameters.len() && given == self.positional {
            return self.write(arguments.values.iter().copied(), encoder);
        }
        let mut few = [std::ptr::null_mut(); FEW];
        let mut many;
        let places = if let Some(few) = few.get_mut(..self.parameters.len()) {
            few
        } else {
            many = vec![std::ptr::null_mut(); self.parameters.len()];
            &mut many[..]
        };
        let extra = self.bind(arguments, places)?;
        self.write(places.iter().copied(), encoder)?;
        self.write_more(arguments, &extra, encoder)
    }

    #[inline]
    fn write(
        &self,
        places: impl Iterator<Item = *mut ffi::PyObject>,
        encoder: &mut Encoder<'_, '_>,
    ) -> Result<(), Refused> {
        let is_method = self.is_method.load(std::sync::atomic::Ordering::Relaxed);
        for (at, place) in places.enumerate() {
            if at > 0 {
                encoder.key.separate();
            }
            let done = if at == 0 && is_method {
                encoder.known_instance(place)
            } else {
                encoder.common(place)
            };
            if !done {
                Self::write_other(at, place, is_method, encoder)?;
            }
        }
        Ok(())
    }

    #[cold]
    fn write_other(
        at: usize,
        place: *mut ffi::PyObject,
        is_method: bool,
        encoder: &mut Encoder<'_, '_>,
    ) -> Result<(), Refused> {
        // SAFETY: a bound argument is alive for the length of the call.
        let object = unsafe { Bound::from_borrowed_ptr(encoder.py(), place) };
        // Attached anew for pyo3's own books: this is called from slots too, and what is released
        // on the way has to be released now.
        let written = Python::attach(|_| {
            if at == 0 && is_method { encoder.instance(&object) } else { encoder.value(&object) }
        });
        written.map_err(|error| Refused::Argument(at, error))
    }

    /// Gives each parameter its argument or default; the keyword arguments that none takes.
    #[cold]
    fn bind(
        &self,
        arguments: Arguments<'_>,
        places: &mut [*mut ffi::PyObject],
    ) -> Result<Vec<(*mut ffi::PyObject, *mut ffi::PyObject)>, Refused> {
        let by_position = arguments.positional();
        if by_position.len() > self.positional && self.more.is_none() {
            return Err(Refused::Misfit);
        }
        for (place, &value) in places[..self.positional].iter_mut().zip(by_position) {
            *place = value;
        }
        let mut extra = Vec::new();
        for (name, value) in arguments.by_name() {
            match self.place(name) {
                Some(at) if places[at].is_null() => places[at] = value,
                None if self.named_more.is_some() => extra.push((name, value)),
                Some(_) | None => return Err(Refused::Misfit),
            }
        }
        for (place, parameter) in places.iter_mut().zip(&self.parameters) {
            if place.is_null() {
                *place = parameter.default.as_ref().ok_or(Refused::Misfit)?.as_ptr();
            }
        }
        Ok(extra)
    }

    fn place(&self, name: *mut ffi::PyObject) -> Option<usize> {
        let named = self.parameters.iter().enumerate().skip(self.unnamed);
        let same = named.clone().find(|(_, parameter)| parameter.name.as_ptr() == name);
        // Names are interned nearly always; the rest is compared as text.
        let equal = || {
            named.clone().find(|(_, parameter)| {
                // SAFETY: both are str objects, as Python checks before a call.
                unsafe { ffi::PyUnicode_Compare(parameter.name.as_ptr(), name) == 0 }
            })
        };
        same.or_else(equal).map(|(at, _)| at)
    }

    /// Writes what `*args` and `**kwargs` take.
    fn write_more(
        &self,
        arguments: Arguments<'_>,
        extra: &[(*mut ffi::PyObject, *mut ffi::PyObject)],
        encoder: &mut Encoder<'_, '_>,
    ) -> Result<(), Refused> {
        let py = encoder.py();
        // SAFETY: arguments are alive for the length of the call.
        let object = |pointer| unsafe { Bound::from_borrowed_ptr(py, pointer) };
        let refused = |error| Refused::Argument(self.parameters.len(), error);
        if let Some(more) = arguments.positional().get(self.positional..).filter(|m| !m.is_empty())
        {
            encoder.key.raw(b"*");
            let more =
                PyTuple::new(py, more.iter().map(|&value| object(value))).map_err(refused)?;
            encoder.value(more.as_any()).map_err(refused)?;
        }
        if !extra.is_empty() {
            encoder.key.raw(b"**");
            let named = PyDict::new(py);
            for &(name, value) in extra {
                named.set_item(object(name), object(value)).map_err(refused)?;
            }
            let refused = |error| Refused::Argument(self.parameters.len() + 1, error);
            encoder.value(named.as_any()).map_err(refused)?;
        }
        Ok(())
    }

    /// The name of the parameter at a place, for messages; behind the last one are those that take
    /// what is left.
    pub(crate) fn name(&self, at: usize) -> String {
        let rest = if at == self.parameters.len() { &self.more } else { &self.named_more };
        match self.parameters.get(at) {
            Some(known) => known.name.to_string(),
            None => rest.clone().unwrap_or_default(),
        }
    }

    /// The objects that the garbage collector has to see.
    pub(crate) fn defaults(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.parameters.iter().filter_map(|parameter| parameter.default.as_ref())
    }
}

/// The name of a module that is the same in every process: for `__main__` the name it was run
/// under, or the stem of its file.
pub(crate) fn module_name(py: Python<'_>, module: &str) -> PyResult<String> {
    if module != "__main__" {
        return Ok(module.to_owned());
    }
    let main = py.import("__main__")?;
    if let Ok(spec) = main.getattr("__spec__")
        && let Ok(name) = spec.getattr("name").and_then(|name| name.extract::<String>())
    {
        return Ok(name.strip_suffix(".__main__").unwrap_or(&name).to_owned());
    }
    let file = main.getattr("__file__").and_then(|file| file.extract::<std::path::PathBuf>());
    let stem = file.ok().and_then(|file| Some(file.file_stem()?.to_str()?.to_owned()));
    Ok(stem.unwrap_or_else(|| module.to_owned()))
}
