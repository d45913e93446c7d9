//! What a computation leaves in the place of its token whose result is not stored, for those in other
//! processes who wait for it.
//!
//! Without it they would take over one after the other: ten processes that wait for a function that
//! fails after a second would fail after one to ten seconds. So a token that is given back after an error
//! becomes an *ending* for a few seconds, which tells them to compute side by side; and one after a `None` that
//! is not stored lets them have it.
//!
//! | what stands in the place of a token | is |
//! | --- | --- |
//! | 32 digits | a token |
//! | `!` letter digest, 32 digits | how the computation of the token with these digits ended |
//! | 32 digits, then such an ending | a token that took the place of an ending |
//!
//! The third lets those who waited for the old token still see how that ended. Every write removes all
//! of it, so an ending is never older than what was written. The digest is of the stamps (and the epoch)
//! that the computation began with: who waited compares them with those that it reads itself, after
//! the ending, so no invalidation lies in between.

use std::time::Duration;

use cachine_codec::stored::Stamp;

/// The length of a token.
const TOKEN: usize = 32;
/// The length of a digest.
const DIGEST: usize = 16;

/// How a computation ended whose result is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an error, or a result that is not to be stored or can't be: whoever waited computes, all at
    /// once.
    Alone,
    /// With nothing (`None`), which is not stored: whoever waited has nothing too.
    Nothing,
}

impl Ending {
    /// How long it stands: longer than those who wait pause between two looks. Those who compute side by
    /// side also tell by it, when they are done, that nothing was written meanwhile.
    pub(super) const fn life(self) -> Duration {
        match self {
            Self::Alone => Duration::from_secs(5),
            Self::Nothing => Duration::from_secs(1),
        }
    }
}

/// What stands in the place of a token, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The token of who computes now.
    pub(super) holder: Option<&'a [u8]>,
    /// How the computation before that ended.
    pub(super) ended: Option<Ended<'a>>,
}

/// An ending that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended<'a> {
    pub(super) how: Ending,
    digest: &'a [u8],
    /// The token of the computation that ended so.
    pub(super) token: &'a [u8],
}

impl<'a> Place<'a> {
    /// Takes it apart. What is neither is somebody's token, whoever wrote it.
    pub(super) fn of(value: &'a [u8]) -> Self {
        if let Some(ended) = Ended::of(value) {
            return Self { holder: None, ended: Some(ended) };
        }
        let (holder, rest) = value.split_at(value.len().min(TOKEN));
        match Ended::of(rest) {
            ended @ Some(_) => Self { holder: Some(holder), ended },
            None => Self { holder: Some(value), ended: None },
        }
    }
}

impl<'a> Ended<'a> {
    fn of(value: &'a [u8]) -> Option<Self> {
        let (first, rest) = value.split_first_chunk::<2>()?;
        let how = match first {
            b"!a" => Ending::Alone,
            b"!n" => Ending::Nothing,
            _ => return None,
        };
        (rest.len() == DIGEST + TOKEN).then(|| Self {
            how,
            digest: &rest[..DIGEST],
            token: &rest[DIGEST..],
        })
    }

    /// Whether that computation began with these stamps and this epoch.
    pub(super) fn began_with(&self, stamps: &[Stamp], epoch: Option<&[u8]>) -> bool {
        self.digest == digest(stamps, epoch)
    }
}

/// What is left of a token whose computation began with these stamps and this epoch; `None` for what is
/// no token of ours.
pub(super) fn ending(
    how: Ending,
    token: &[u8],
    stamps: &[Stamp],
    epoch: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let letter = match how {
        Ending::Alone => b'a',
        Ending::Nothing => b'n',
    };
    let token = token.get(..TOKEN)?;
    Some([&[b'!', letter], &digest(stamps, epoch)[..], token].concat())
}

/// Some stamps and an epoch in 16 digits, in whatever order the tags were named: FNV-1a. Nobody gains
/// by a collision who could not write the ending itself.
fn digest(stamps: &[Stamp], epoch: Option<&[u8]>) -> [u8; DIGEST] {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mix = |hash: u64, bytes: &[u8]| {
        bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
    };
    let start = 0xcbf2_9ce4_8422_2325;
    let sum = stamps.iter().fold(0_u64, |sum, Stamp { tag, stamp }| {
        sum.wrapping_add(mix(mix(start, tag.as_bytes()), &stamp.to_be_bytes()))
    });
    let hash = mix(mix(start, &sum.to_be_bytes()), epoch.unwrap_or_default());
    let mut digits = [0; DIGEST];
    for (digit, place) in digits.iter_mut().zip((0..DIGEST).rev()) {
        *digit = b"0123456789abcdef"[usize::try_from((hash >> (4 * place)) & 15).unwrap_or(0)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"0123456789abcdef0123456789abcdef";
    const TWO: &[u8] = b"ffffffffffffffffffffffffffffffff";

    fn stamp(tag: &str, stamp: u64) -> Stamp {
        Stamp { tag: tag.into(), stamp }
    }

    #[test]
    fn what_stands_in_the_place_of_a_token_is_told_apart() {
        assert_eq!(Place::of(ONE), Place { holder: Some(ONE), ended: None });
        for how in [Ending::Alone, Ending::Nothing] {
            let stamps = [stamp("t", 1), stamp("u", 2)];
            let left = ending(how, ONE, &stamps, Some(b"epoch")).unwrap();
            let Place { holder: None, ended: Some(ended) } = Place::of(&left) else { panic!() };
            assert_eq!((ended.how, ended.token), (how, ONE));
            let behind = [TWO, &left].concat();
            assert_eq!(Place::of(&behind), Place { holder: Some(TWO), ended: Some(ended) });
            assert!(ending(how, &behind, &[], None).unwrap().ends_with(TWO), "the newer one");
        }
        for foreign in [&b""[..], b"x", b"!", b"!n", b"a lock of somebody else, quite a long one"] {
            assert_eq!(Place::of(foreign), Place { holder: Some(foreign), ended: None });
        }
    }

    #[test]
    fn an_ending_knows_what_its_computation_began_with() {
        let stamps = [stamp("t", 1), stamp("u", 2)];
        let left = ending(Ending::Nothing, ONE, &stamps, Some(b"epoch")).unwrap();
        let ended = Place::of(&left).ended.unwrap();
        assert!(ended.began_with(&[stamp("u", 2), stamp("t", 1)], Some(b"epoch")));
        assert!(!ended.began_with(&stamps, Some(b"other")) && !ended.began_with(&stamps, None));
        for other in [vec![], vec![stamp("t", 1)], vec![stamp("t", 2), stamp("u", 1)]] {
            assert!(!ended.began_with(&other, Some(b"epoch")));
        }
    }
}
