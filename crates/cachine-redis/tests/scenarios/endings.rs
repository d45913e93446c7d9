//! How computations have ended whose results are not stored, and whom that concerns.
//!
//! What stands in the place of a token is taken apart here once more, as `client/ending.rs` describes it:
//! the observer does not ask the client what it is to check.

use std::collections::HashMap;

use crate::scenario::{Shape, TAGS};
use crate::snapshot::Snapshot;

/// The length of a token, and of a digest.
const TOKEN: usize = 32;
const DIGEST: usize = 16;

/// How a computation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Alone,
    Nothing,
}

/// An ending, in the place of a token or behind one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended<'a> {
    pub(crate) how: How,
    digest: &'a [u8],
    /// The token of the computation that has ended.
    of: &'a [u8],
}

/// All endings of a run.
pub(crate) struct Endings {
    shape: Shape,
    /// Which call computes with a token.
    makers: HashMap<Vec<u8>, u64>,
    /// The calls whose computations came to nothing.
    nothings: Vec<u64>,
}

/// The token in a place, without the ending behind it.
pub(crate) fn holder(place: &[u8]) -> Option<&[u8]> {
    place.get(..TOKEN).filter(|_| place.first() != Some(&b'!'))
}

/// The ending in a place.
pub(crate) fn ended(place: &[u8]) -> Option<Ended<'_>> {
    let ending = if holder(place).is_some() { &place[TOKEN..] } else { place };
    let how = match ending.get(..2)? {
        b"!a" => How::Alone,
        b"!n" => How::Nothing,
        _ => return None,
    };
    let (digest, of) = ending[2..].split_at_checked(DIGEST)?;
    Some(Ended { how, digest, of })
}

/// Whether a place holds an ending, and nobody computes.
pub(crate) fn is_bare(place: &[u8]) -> bool {
    holder(place).is_none() && ended(place).is_some()
}

impl Endings {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self { shape: shape.clone(), makers: HashMap::new(), nothings: Vec::new() }
    }

    /// A call computes with the token in this place.
    pub(crate) fn made(&mut self, place: &[u8], id: u64) {
        self.makers.insert(holder(place).unwrap_or_default().to_vec(), id);
    }

    /// The computation whose ending is in this place.
    pub(crate) fn maker(&self, place: &[u8]) -> Option<u64> {
        self.makers.get(ended(place)?.of).copied()
    }

    /// A client has left this in the place of a token.
    pub(crate) fn left(&mut self, place: &[u8]) {
        let is_nothing = is_bare(place) && ended(place).is_some_and(|it| it.how == How::Nothing);
        self.nothings.extend(self.maker(place).filter(|_| is_nothing));
    }

    /// The calls whose computations have come to nothing so far.
    pub(crate) fn nothings(&self) -> Vec<u64> {
        self.nothings.clone()
    }

    /// What the ending in a place tells who has waited for that token; of one that came to nothing only
    /// while nothing was invalidated since.
    pub(crate) fn told(
        &self,
        key: usize,
        place: Option<&[u8]>,
        waited: Option<&[u8]>,
        now: &Snapshot,
    ) -> Option<How> {
        let ended = place.and_then(ended).filter(|ended| Some(ended.of) == waited)?;
        let is_current = || self.digest(key, now).is_some_and(|now| now.as_bytes() == ended.digest);
        (ended.how == How::Alone || is_current()).then_some(ended.how)
    }

    /// The digest of what a claim would read now, if it is all there.
    pub(crate) fn digest(&self, key: usize, now: &Snapshot) -> Option<String> {
        digest(&self.shape, key, |tag| now.stamp(tag), now.epoch())
    }
}

/// FNV-1a over the sum of the same of each tag and stamp, and over the epoch if the result names tags.
pub(crate) fn digest<'a>(
    shape: &Shape,
    key: usize,
    stamp: impl Fn(usize) -> Option<&'a [u8]>,
    epoch: Option<&[u8]>,
) -> Option<String> {
    let mix = |hash: u64, bytes: &[u8]| {
        bytes
            .iter()
            .fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    };
    let start = 0xcbf2_9ce4_8422_2325;
    let mut sum = 0_u64;
    for &tag in &shape.known[key] {
        sum = sum.wrapping_add(mix(mix(start, TAGS[tag].as_bytes()), stamp(tag)?));
    }
    let epoch = if shape.late[key].is_empty() { b"" } else { epoch? };
    Some(format!("{:016x}", mix(mix(start, &sum.to_be_bytes()), epoch)))
}
