//! In which of the 16,384 slots of a cluster a key lies, and how a record is put in a given one.
//!
//! A slot is the CRC16 (XMODEM: polynomial 0x1021, from 0) of a key, or of what stands between its
//! first `{` and the next `}`, modulo 16,384 (Redis Cluster Specification, "Hash tags"). A script may
//! only touch keys of one slot, so the records of an entry must share its slot whatever its key is;
//! `{key}` would not do for keys with braces. So there is a table: slot → four letters or digits.
//!
//! A CRC that starts at 0 is linear: `crc(a ^ b) = crc(a) ^ crc(b)` for texts of one length. That is
//! why all tags have the same length: the table then answers for any text before the tag as well.
//! (Shorter tags exist for most slots; they would save a byte or two a record.)

use std::sync::LazyLock;

/// How many slots there are.
pub(crate) const SLOTS: u16 = 1 << 14;
/// How long a tag is.
pub(crate) const LENGTH: usize = 4;

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const POLYNOMIAL: u16 = 0x1021;

/// What each byte does to a CRC.
static STEPS: [u16; 256] = steps();
/// The first tag of each slot. Made at the first use, in a few milliseconds.
static TAGS: LazyLock<Box<[[u8; LENGTH]]>> = LazyLock::new(tags);

const fn steps() -> [u16; 256] {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
            bit += 1;
        }
        steps[byte] = crc;
        byte += 1;
    }
    steps
}

/// The CRC of a text, going on from the CRC of what stands before it.
pub(crate) fn crc(before: u16, text: &[u8]) -> u16 {
    text.iter()
        .fold(before, |crc, byte| (crc << 8) ^ STEPS[usize::from(crc.to_be_bytes()[0] ^ byte)])
}

/// What counts of a key: what stands in its first braces, or else all of it.
pub(crate) fn counted(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let inner = &key[open + 1..];
    match inner.iter().position(|&byte| byte == b'}') {
        None | Some(0) => key,
        Some(close) => &inner[..close],
    }
}

/// The slot of a key.
pub(crate) fn of(key: &[u8]) -> u16 {
    crc(0, counted(key)) % SLOTS
}

/// The tag that puts a text in a slot when it ends in this tag and begins with what has the CRC
/// `before`.
pub(crate) fn tag(slot: u16, before: u16) -> [u8; LENGTH] {
    let shifted = crc(before, &[0; LENGTH]);
    TAGS[usize::from((slot ^ shifted) % SLOTS)]
}

fn tags() -> Box<[[u8; LENGTH]]> {
    let mut tags = vec![[0; LENGTH]; usize::from(SLOTS)].into_boxed_slice();
    let mut left = SLOTS;
    for number in 0.. {
        if left == 0 {
            break;
        }
        let mut rest: usize = number;
        let tag = [(); LENGTH].map(|()| {
            let letter = LETTERS[rest % LETTERS.len()];
            rest /= LETTERS.len();
            letter
        });
        let place = &mut tags[usize::from(of(&tag))];
        if *place == [0; LENGTH] {
            *place = tag;
            left -= 1;
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_one_of_the_specification() {
        assert_eq!(crc(0, b"123456789"), 0x31C3);
        assert_eq!(crc(crc(0, b"1234"), b"56789"), 0x31C3);
        // As `CLUSTER KEYSLOT` answers.
        for (key, slot) in [
            (&b"foo"[..], 12182),
            (b"somekey", 11058),
            (b"foo{hash_tag}", 2515),
            (b"bar{hash_tag}", 2515),
            (b"", 0),
        ] {
            assert_eq!(of(key), slot, "{key:?}");
        }
    }

    #[test]
    fn the_first_braces_count_unless_there_is_nothing_in_them() {
        for (key, inner) in [
            (&b"{user1000}.following"[..], &b"user1000"[..]),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"foo{bar", b"foo{bar"),
            (b"foo}bar{x}", b"x"),
        ] {
            assert_eq!(counted(key), inner);
        }
    }

    #[test]
    fn every_slot_has_a_tag_whatever_stands_before_it() {
        for before in [&b""[..], b"x", b"namespace:~cachine~t:"] {
            for slot in 0..SLOTS {
                let text = [before, &tag(slot, crc(0, before))].concat();
                assert_eq!(of(&text), slot);
                assert!(text[before.len()..].iter().all(u8::is_ascii_alphanumeric));
            }
        }
    }
}
