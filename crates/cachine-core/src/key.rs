//! What a key may be, how a namespace goes before it, and how tags are named.
//!
//! The physical key is `namespace:key` and nothing else, so that other programs can read a shared
//! store. What the library keeps beside the entries of a namespace lives under `namespace:` and
//! [`MARKER`], which no key of a user may begin with.

use crate::error::{Error, ErrorKind};

/// The reserved beginning of what is not an entry.
pub const MARKER: &str = "~cachine~";

/// A physical key is at most this long, in bytes; Redis could take 512 MiB.
pub const LONGEST: usize = 1 << 20;

/// A prefix that separates the keys of one cache from those of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Empty, or ending in `:`.
    prefix: Box<str>,
}

/// Checks a key before it is written.
///
/// # Errors
///
/// [`ErrorKind::InvalidKey`] when it is empty, too long, or would stand among the library's own.
#[inline]
pub fn validate(key: &str, operation: &'static str) -> Result<(), Error> {
    if key.is_empty() {
        let message = "the key is an empty string: give it at least one character";
        return Err(Error::new(ErrorKind::InvalidKey, operation, message));
    }
    if key.len() > LONGEST {
        let message = format!(
            "the key is {} bytes long: {LONGEST} is the most, use a digest of it",
            key.len()
        );
        return Err(Error::new(ErrorKind::InvalidKey, operation, message));
    }
    if key.contains('~') && is_reserved(key) {
        let message = format!(
            "the key has a part that begins with {MARKER:?}, which is reserved for the records \
             of the library: choose another name"
        );
        return Err(Error::new(ErrorKind::InvalidKey, operation, message));
    }
    Ok(())
}

#[cold]
fn is_reserved(key: &str) -> bool {
    key.split(':').any(|part| part.starts_with(MARKER))
}

impl Namespace {
    /// The namespace of this name; an empty name is no namespace.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the name is reserved.
    pub fn new(name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Ok(Self::default());
        }
        if is_reserved(name) {
            let message = format!("the namespace {name:?} uses the reserved {MARKER:?}");
            return Err(Error::new(ErrorKind::Config, "namespace", message));
        }
        Ok(Self { prefix: format!("{name}:").into() })
    }

    /// The namespace `name` inside this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when the name is empty or reserved.
    pub fn child(&self, name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            let message = "a namespace inside a cache needs a name of at least one character";
            return Err(Error::new(ErrorKind::Config, "with_namespace", message));
        }
        Self::new(&format!("{}{name}", self.prefix))
    }

    /// Its name, `None` for no namespace.
    pub fn name(&self) -> Option<&str> {
        self.prefix.strip_suffix(':')
    }

    /// What stands before its keys: empty, or ending in `:`.
    #[inline]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The physical key of `key`.
    pub fn key(&self, key: &str) -> String {
        [self.prefix(), key].concat()
    }

    /// The full name of a lock of this namespace, which is that of no other: `b:c` of `a` is not `c` of `a:b`.
    pub fn lock(&self, name: &str) -> String {
        [self.prefix(), MARKER, name].concat()
    }

    /// The full name of a tag of this namespace. The length keeps `a` + `b:c` and `a:b` + `c`
    /// apart.
    pub fn tag(&self, name: &str) -> Box<str> {
        format!("tag {}:{}{name}", self.prefix.len(), self.prefix).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_empty_too_long_or_reserved_are_refused() {
        let kind = |key: &str| validate(key, "set").map_err(|error| error.kind());
        assert_eq!(kind(""), Err(ErrorKind::InvalidKey));
        assert_eq!(kind(&"x".repeat(LONGEST + 1)), Err(ErrorKind::InvalidKey));
        assert_eq!(kind("~cachine~"), Err(ErrorKind::InvalidKey));
        assert_eq!(kind("a:~cachine~b"), Err(ErrorKind::InvalidKey));
        for fine in ["a", "\0", "~", "a~cachine~", ":", "~cachin", "ключ"] {
            assert_eq!(kind(fine), Ok(()));
        }
    }

    #[test]
    fn a_namespace_with_a_colon_is_a_child_of_what_stands_before() {
        let parent = Namespace::new("a").unwrap();
        assert_eq!(parent.child("b").unwrap(), Namespace::new("a:b").unwrap());
        assert_eq!(parent.key("k"), "a:k");
        assert_eq!(Namespace::default().key("k"), "k");
        assert_eq!((parent.name(), Namespace::default().name()), (Some("a"), None));
        assert!(Namespace::new("x:~cachine~").is_err());
        assert!(parent.child("").is_err());
    }

    #[test]
    fn the_tags_of_two_namespaces_never_meet() {
        let (a, ab) = (Namespace::new("a").unwrap(), Namespace::new("a:b").unwrap());
        assert_ne!(a.tag("b:c"), ab.tag("c"));
        assert_ne!(a.tag("t"), Namespace::default().tag("a:t"));
    }
}
