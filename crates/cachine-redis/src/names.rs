//! What keys are called in the server: entries, and the records beside them.
//!
//! | record | name behind the prefix of the namespace | in the slot of |
//! | --- | --- | --- |
//! | entry | the key | – |
//! | token of a fill | `~cachine~t:{TAG}:key` | its entry |
//! | stamp of a tag | `~cachine~s:{TAG}:tag` | the tag |
//! | index of a tag | `~cachine~i:{TAG}:tag` | the tag |
//! | epoch | `~cachine~x` | – |
//! | lock | `~cachine~l:{TAG}:name` | its name |
//! | last fencing token of a lock | `~cachine~f:{TAG}:name` | its name |
//!
//! So all names match `prefix*`, which is all that an access list has to allow. A namespace that
//! has braces in it itself would spoil `{TAG}`; `Shape` says where the tag goes then.

use cachine_core::key::{MARKER, Namespace};

use crate::slot;

/// The names of a namespace: of its entries, and of the records beside them.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: Box<str>,
    shape: Shape,
}

/// Where the tag of a slot goes in the name of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `~cachine~t:{TAG}:name`: the prefix has no brace, or whole ones that decide for all its keys.
    Braces,
    /// `~cachine~t:TAG}:name`: the prefix opens a brace and leaves it to us to close it. What stands
    /// in it before the record's own name has this CRC.
    Open(u16),
    /// `~cachine~t:name:TAG`: the prefix has `{}`, so all of a name counts.
    Whole,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The token of a fill.
    Token,
    /// The stamp of a tag.
    Stamp,
    /// The index of a tag.
    Index,
    /// A lock that is held.
    Lock,
    /// The last fencing token of a lock.
    Fence,
}

/// A name in the server that belongs to a record, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    prefix: &'a [u8],
    /// `None` for the epoch, and for what this release does not know.
    pub(crate) kind: Option<Kind>,
    /// The key, the tag or the name of a lock.
    pub(crate) name: &'a [u8],
}

impl Names {
    /// The names of a namespace.
    pub fn new(namespace: &Namespace) -> Self {
        let prefix = namespace.prefix();
        Self { prefix: prefix.into(), shape: Shape::of(prefix.as_bytes()) }
    }

    /// What stands before all of them.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of an entry.
    pub fn entry(&self, key: &str) -> Vec<u8> {
        [&*self.prefix, key].concat().into_bytes()
    }

    /// The token of an entry, in the entry's slot.
    pub fn token(&self, key: &str) -> Vec<u8> {
        let slot = slot::of(&self.entry(key));
        record(self.prefix.as_bytes(), self.shape, Kind::Token, key.as_bytes(), slot)
    }

    /// The stamp of a tag.
    pub fn stamp(&self, tag: &str) -> Vec<u8> {
        of_name(self.prefix.as_bytes(), self.shape, Kind::Stamp, tag.as_bytes())
    }

    /// The index of a tag, in the slot of its stamp.
    pub fn index(&self, tag: &str) -> Vec<u8> {
        of_name(self.prefix.as_bytes(), self.shape, Kind::Index, tag.as_bytes())
    }

    /// A lock, and the last of its fencing tokens in the slot of it.
    pub fn lock(&self, name: &str) -> [Vec<u8>; 2] {
        let name = name.as_bytes();
        [Kind::Lock, Kind::Fence]
            .map(|kind| of_name(self.prefix.as_bytes(), self.shape, kind, name))
    }

    /// The epoch of the namespace.
    pub fn epoch(&self) -> Vec<u8> {
        [&*self.prefix, MARKER, "x"].concat().into_bytes()
    }

    /// The pattern of `SCAN` for entries whose keys begin like this, and more.
    pub(crate) fn entries(&self, beginning: &str) -> Vec<u8> {
        let mut pattern = Vec::new();
        escape(self.prefix.as_bytes(), &mut pattern);
        escape(beginning.as_bytes(), &mut pattern);
        pattern.push(b'*');
        pattern
    }

    /// The pattern of `SCAN` for the tokens of this namespace and its children, and more.
    pub(crate) fn every_token(&self) -> Vec<u8> {
        let mut pattern = self.entries("");
        pattern.extend_from_slice(MARKER.as_bytes());
        pattern.extend_from_slice(b"t:*");
        pattern
    }

    /// The pattern of `SCAN` for the tokens of entries of this namespace whose keys begin like this.
    pub(crate) fn tokens(&self, beginning: &str) -> Vec<u8> {
        let mut pattern = Vec::new();
        escape(self.prefix.as_bytes(), &mut pattern);
        pattern.extend_from_slice(MARKER.as_bytes());
        pattern.extend_from_slice(match self.shape {
            Shape::Braces => b"t:{????}:",
            Shape::Open(_) => b"t:????}:",
            Shape::Whole => b"t:",
        });
        escape(beginning.as_bytes(), &mut pattern);
        pattern.push(b'*');
        pattern
    }
}

impl Shape {
    fn of(prefix: &[u8]) -> Self {
        let Some(open) = prefix.iter().position(|&byte| byte == b'{') else { return Self::Braces };
        let inner = &prefix[open + 1..];
        match inner.iter().position(|&byte| byte == b'}') {
            None => Self::Open(slot::crc(slot::crc(0, inner), MARKER.as_bytes())),
            Some(0) => Self::Whole,
            Some(_) => Self::Braces,
        }
    }
}

impl Kind {
    const ALL: [Self; 5] = [Self::Token, Self::Stamp, Self::Index, Self::Lock, Self::Fence];

    const fn letter(self) -> u8 {
        match self {
            Self::Token => b't',
            Self::Stamp => b's',
            Self::Index => b'i',
            Self::Lock => b'l',
            Self::Fence => b'f',
        }
    }
}

impl<'a> Record<'a> {
    /// The record that this name is of, in whatever namespace. No key and no namespace of a user has
    /// the marker at the beginning of a part, so its first place there decides.
    pub(crate) fn of(name: &'a [u8]) -> Option<Self> {
        let marker = MARKER.as_bytes();
        let begins =
            |at: usize| name[at..].starts_with(marker) && (at == 0 || name[at - 1] == b':');
        let (prefix, rest) = name.split_at((0..name.len()).find(|&at| begins(at))?);
        let rest = &rest[marker.len()..];
        let kind = Kind::ALL.into_iter().find(|kind| rest.starts_with(&[kind.letter(), b':']));
        let Some(kind) = kind else { return Some(Self { prefix, kind: None, name: rest }) };
        let rest = &rest[2..];
        let name = match Shape::of(prefix) {
            Shape::Braces => rest.get(slot::LENGTH + 3..),
            Shape::Open(_) => rest.get(slot::LENGTH + 2..),
            Shape::Whole => rest.len().checked_sub(slot::LENGTH + 1).map(|end| &rest[..end]),
        };
        let kind = name.is_some().then_some(kind);
        Some(Self { prefix, kind, name: name.unwrap_or(rest) })
    }

    /// The names of the stamp and the index, of the record of a tag.
    pub(crate) fn pair(&self) -> [Vec<u8>; 2] {
        let shape = Shape::of(self.prefix);
        [Kind::Stamp, Kind::Index].map(|kind| of_name(self.prefix, shape, kind, self.name))
    }
}

/// The record of a tag or a lock: in the slot that an entry of its name would have.
fn of_name(prefix: &[u8], shape: Shape, kind: Kind, name: &[u8]) -> Vec<u8> {
    record(prefix, shape, kind, name, slot::of(&[prefix, name].concat()))
}

fn record(prefix: &[u8], shape: Shape, kind: Kind, name: &[u8], slot: u16) -> Vec<u8> {
    let letter = &[kind.letter(), b':'][..];
    let start = [prefix, MARKER.as_bytes(), letter];
    let tag = |before| slot::tag(slot, before);
    match shape {
        Shape::Braces => [&start.concat()[..], b"{", &tag(0), b"}:", name].concat(),
        Shape::Open(crc) => {
            [&start.concat()[..], &tag(slot::crc(crc, letter)), b"}:", name].concat()
        }
        Shape::Whole => {
            let start = [&start.concat()[..], name, b":"].concat();
            let tag = tag(slot::crc(0, &start));
            [&start[..], &tag].concat()
        }
    }
}

/// A text that matches only itself in a pattern of Redis.
fn escape(text: &[u8], pattern: &mut Vec<u8>) {
    for &byte in text {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACES: [&str; 8] = ["", "a", "a:b", "{a}", "a{b", "a{}b", "}{", "a*b[c]?\\"];
    const KEYS: [&str; 9] = ["k", "{k}", "}k", "{}k", "a{b}c", "{", "}", "a:b:{c", "ключ"];

    fn names() -> impl Iterator<Item = Names> {
        NAMESPACES.iter().map(|name| Names::new(&Namespace::new(name).unwrap()))
    }

    #[test]
    fn a_token_lies_in_the_slot_of_its_entry_whatever_braces_there_are() {
        for names in names() {
            for key in KEYS {
                assert_eq!(
                    slot::of(&names.token(key)),
                    slot::of(&names.entry(key)),
                    "{names:?} {key}"
                );
                let [lock, fence] = names.lock(key);
                for (one, other) in [(names.stamp(key), names.index(key)), (lock, fence)] {
                    assert_eq!(slot::of(&one), slot::of(&other), "{names:?} {key}");
                }
            }
        }
    }

    #[test]
    fn the_names_are_as_they_are_documented() {
        let names = Names::new(&Namespace::new("a").unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(names.entry("k")), "a:k");
        assert_eq!(text(names.epoch()), "a:~cachine~x");
        let token = text(names.token("k{1}"));
        assert!(token.starts_with("a:~cachine~t:{") && token.ends_with("}:k{1}"), "{token}");
        assert_eq!(text(names.stamp("t")).replace("~s:", "~i:"), text(names.index("t")));
    }

    #[test]
    fn a_record_is_known_by_its_name() {
        for names in names() {
            for key in KEYS {
                let (token, stamp, index) = (names.token(key), names.stamp(key), names.index(key));
                let [lock, fence] = names.lock(key);
                let kinds = [
                    (&token, Kind::Token),
                    (&stamp, Kind::Stamp),
                    (&index, Kind::Index),
                    (&lock, Kind::Lock),
                    (&fence, Kind::Fence),
                ];
                for (name, kind) in kinds {
                    let record = Record::of(name).unwrap();
                    assert_eq!((record.kind, record.name), (Some(kind), key.as_bytes()));
                    assert_eq!(record.prefix, names.prefix.as_bytes());
                }
                assert_eq!(Record::of(&index).unwrap().pair(), [stamp, index]);
                assert_eq!(Record::of(&names.entry(key)), None);
            }
            assert_eq!(Record::of(&names.epoch()).unwrap().kind, None);
        }
        for short in ["~cachine~", "~cachine~t:", "a:~cachine~s:{12", "~cachine~?"] {
            assert_eq!(Record::of(short.as_bytes()).unwrap().kind, None);
        }
        assert_eq!(Record::of(b"a~cachine~t:{1234}:k"), None);
    }

    #[test]
    fn a_pattern_matches_nothing_but_what_it_was_made_of() {
        let names = Names::new(&Namespace::new("a*b[c]?\\").unwrap());
        assert_eq!(names.entries("d*"), b"a\\*b\\[c\\]\\?\\\\:d\\**");
        assert_eq!(names.tokens("d*"), b"a\\*b\\[c\\]\\?\\\\:~cachine~t:{????}:d\\**");
        assert_eq!(names.every_token(), b"a\\*b\\[c\\]\\?\\\\:*~cachine~t:*");
    }
}
