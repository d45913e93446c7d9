//! Which entries belong to a tag, and which tags an entry has.
//!
//! Every membership stands in two lists, that of its entry and that of its tag, so that an entry
//! leaves its tags and a tag loses its entries without a search.
//!
//! A tag can hold an *anchor*: a value that lives as long as the tag has entries. It is how an
//! entry keeps alive what its key only names by number, such as an argument that is compared by
//! identity.
//!
//! # Invariants
//!
//! 1. A tag exists exactly while it has members.
//! 2. An entry is a member of a tag at most once.
//!
//! # Cost
//!
//! 20 bytes and about 35 ns a membership.

use crate::entry::Garbage;
use crate::index::Index;
use crate::slab::{NIL, Slab};

/// A tag as the engine knows it, and what its entries keep alive.
#[derive(Clone, Debug)]
pub struct Tag<V> {
    /// The full name, namespace included.
    pub name: Box<str>,
    /// Kept while the tag has entries; the first anchor that arrives stays.
    pub anchor: Option<V>,
}

/// All tags of a store.
#[derive(Debug)]
pub(crate) struct Tags<V> {
    names: Index,
    known: Slab<Known<V>>,
    memberships: Slab<Membership>,
}

#[derive(Debug)]
struct Known<V> {
    name: Box<str>,
    hash: u32,
    first: u32,
    anchor: Option<V>,
}

#[derive(Debug)]
struct Membership {
    entry: u32,
    tag: u32,
    next_of_entry: u32,
    previous_in_tag: u32,
    next_in_tag: u32,
}

impl<V> Tags<V> {
    pub(crate) fn new() -> Self {
        Self { names: Index::new(), known: Slab::new(), memberships: Slab::new() }
    }

    fn find(&self, name: &str, hash: u32) -> Option<u32> {
        self.names.find(hash, |tag| *self.known[tag].name == *name)
    }

    /// Makes an entry a member of a tag; `head` is the first membership of the entry.
    ///
    /// Returns the anchor back when the tag has one already.
    pub(crate) fn attach(
        &mut self,
        entry: u32,
        head: &mut u32,
        tag: Tag<V>,
        hash: u32,
    ) -> Option<V> {
        let Tag { name, anchor } = tag;
        let (number, unused) = match self.find(&name, hash) {
            Some(number) if self.is_member(*head, number) => return anchor,
            Some(number) => (number, anchor),
            None => (self.create(name, hash, anchor), None),
        };
        let first = self.known[number].first;
        let membership = self.memberships.insert(Membership {
            entry,
            tag: number,
            next_of_entry: *head,
            previous_in_tag: NIL,
            next_in_tag: first,
        });
        if first != NIL {
            self.memberships[first].previous_in_tag = membership;
        }
        self.known[number].first = membership;
        *head = membership;
        unused
    }

    fn create(&mut self, name: Box<str>, hash: u32, anchor: Option<V>) -> u32 {
        let number = self.known.insert(Known { name, hash, first: NIL, anchor });
        self.names.insert(hash, number);
        number
    }

    fn is_member(&self, head: u32, tag: u32) -> bool {
        self.of_entry(head).any(|membership| membership.tag == tag)
    }

    fn of_entry(&self, head: u32) -> impl Iterator<Item = &Membership> {
        std::iter::successors(self.memberships.get(head), |membership| {
            self.memberships.get(membership.next_of_entry)
        })
    }

    /// Takes an entry out of all its tags.
    pub(crate) fn detach(&mut self, mut head: u32, garbage: &mut Garbage<V>) {
        while head != NIL {
            let gone = self.memberships.remove(head);
            head = gone.next_of_entry;
            if gone.next_in_tag != NIL {
                self.memberships[gone.next_in_tag].previous_in_tag = gone.previous_in_tag;
            }
            if gone.previous_in_tag != NIL {
                self.memberships[gone.previous_in_tag].next_in_tag = gone.next_in_tag;
                continue;
            }
            self.known[gone.tag].first = gone.next_in_tag;
            if gone.next_in_tag == NIL {
                // Invariant 1: the last member has left.
                let tag = self.known.remove(gone.tag);
                self.names.remove(tag.hash, gone.tag);
                tag.anchor.into_iter().for_each(|anchor| garbage.push(anchor));
            }
        }
    }

    /// A member of this tag, if there is one.
    pub(crate) fn any_member(&self, name: &str, hash: u32) -> Option<u32> {
        let first = self.known[self.find(name, hash)?].first;
        Some(self.memberships[first].entry)
    }

    /// How many entries have this tag.
    pub(crate) fn count(&self, name: &str, hash: u32) -> usize {
        let first = self.find(name, hash).map_or(NIL, |tag| self.known[tag].first);
        let next = |membership: &&Membership| self.memberships.get(membership.next_in_tag);
        std::iter::successors(self.memberships.get(first), next).count()
    }

    /// All anchors, for the garbage collector of the host.
    pub(crate) fn anchors(&self) -> impl Iterator<Item = &V> {
        self.known.iter().filter_map(|(_, tag)| tag.anchor.as_ref())
    }

    /// How many tags and memberships there are.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.known.len(), self.memberships.len())
    }

    /// The tag names of an entry, sorted: for the self-check and tests.
    pub(crate) fn names_of(&self, head: u32) -> Vec<&str> {
        let mut names: Vec<_> =
            self.of_entry(head).map(|membership| &*self.known[membership.tag].name).collect();
        names.sort_unstable();
        names
    }

    /// Checks both lists of every membership against each other; returns their number.
    pub(crate) fn check(&self, mut head_of: impl FnMut(u32) -> u32) -> usize {
        let mut seen = 0;
        for (number, tag) in self.known.iter() {
            assert_eq!(self.find(&tag.name, tag.hash), Some(number));
            assert_ne!(tag.first, NIL, "invariant 1");
            let (mut previous, mut at) = (NIL, tag.first);
            while at != NIL {
                let membership = &self.memberships[at];
                assert_eq!((membership.tag, membership.previous_in_tag), (number, previous));
                let head = head_of(membership.entry);
                let same = self.of_entry(head).filter(|other| other.tag == number).count();
                assert_eq!(same, 1, "invariant 2");
                seen += 1;
                (previous, at) = (at, membership.next_in_tag);
            }
        }
        assert_eq!(seen, self.memberships.len());
        assert_eq!(self.names.len(), self.known.len());
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str, anchor: Option<&'static str>) -> Tag<&'static str> {
        Tag { name: name.into(), anchor }
    }

    #[test]
    fn a_tag_and_its_anchor_live_exactly_as_long_as_its_members() {
        let mut tags = Tags::new();
        let mut heads = [NIL; 2];
        assert_eq!(tags.attach(0, &mut heads[0], tag("a", Some("kept")), 1), None);
        assert_eq!(tags.attach(1, &mut heads[1], tag("a", Some("back")), 1), Some("back"));
        assert_eq!(tags.attach(1, &mut heads[1], tag("b", None), 2), None);
        assert_eq!(tags.attach(1, &mut heads[1], tag("b", Some("twice")), 2), Some("twice"));
        assert_eq!(tags.check(|entry| heads[entry as usize]), 3);
        assert_eq!(tags.names_of(heads[1]), ["a", "b"]);

        let mut garbage = Garbage::new();
        tags.detach(std::mem::replace(&mut heads[1], NIL), &mut garbage);
        assert_eq!(tags.counts(), (1, 1));
        assert_eq!(tags.anchors().collect::<Vec<_>>(), [&"kept"]);
        assert_eq!((tags.any_member("a", 1), tags.any_member("b", 2)), (Some(0), None));
        tags.detach(std::mem::replace(&mut heads[0], NIL), &mut garbage);
        assert_eq!(tags.counts(), (0, 0));
    }
}
