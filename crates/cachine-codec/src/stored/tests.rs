//! Stored bytes, rewritten without a look at the payload.

use super::*;
use crate::compression::{Algorithm, Compression};
use crate::encryption::Encryption;
use crate::payload::Payload;
use crate::steps::Steps;

fn stamp(tag: &str, stamp: u64) -> Stamp {
    Stamp { tag: tag.into(), stamp }
}

fn tagged() -> Meta {
    Meta { stale_window: Some(5000), stamps: vec![stamp("b", 2), stamp("a", 1)] }
}

fn bytes(format: Option<Format>, bytes: &[u8]) -> Payload<'_> {
    Payload::Bytes { format, bytes: bytes.into() }
}

fn write(meta: &Meta, payload: &Payload<'_>) -> Vec<u8> {
    Steps::default().write(b"k", meta, payload).unwrap().bytes
}

fn malformed(stored: &[u8]) {
    for error in [
        meta(stored).unwrap_err(),
        with_meta(stored, &Meta::default()).unwrap_err(),
        count(stored, 1).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Deserialization, "{stored:?}: {error}");
    }
    assert_eq!(Steps::default().read(b"k", stored).unwrap_err().kind(), ErrorKind::Deserialization);
}

#[test]
fn a_payload_that_can_stand_alone_does() {
    for alone in
        [&b""[..], b"{}", b"\x80\x05N.", b"\xC0", b"007", b"9223372036854775808", b"-", b"\xC2"]
    {
        assert_eq!(write(&Meta::default(), &bytes(Some(Format::Json), alone)), alone);
    }
    assert_eq!(write(&Meta::default(), &Payload::Integer(i64::MIN)), b"-9223372036854775808");
}

#[test]
fn a_payload_that_would_be_mistaken_has_four_bytes_before_it() {
    for (format, mistaken) in
        [(Format::Pickle, &b"\xC1\x01"[..]), (Format::Other, b"42"), (Format::Json, b"0")]
    {
        let stored = write(&Meta::default(), &bytes(Some(format), mistaken));
        assert_eq!(stored[..4], [0xC1, 1, 4, (format as u8) << 4]);
        assert_eq!(&stored[4..], mistaken);
    }
}

#[test]
fn the_layout_of_metadata_is_as_it_is_documented() {
    let stored = write(&tagged(), &bytes(None, b"[1]"));
    let expected = b"\xC1\x01\x03\0\0\0\0\0\0\x13\x88\0\x02\0\x01a\0\0\0\0\0\0\0\x01\0\x01b\0\0\0\0\0\0\0\x02[1]";
    assert_eq!(stored, expected);
    let sorted = Meta { stale_window: Some(5000), stamps: vec![stamp("a", 1), stamp("b", 2)] };
    assert_eq!(meta(&stored).unwrap(), sorted);
}

#[test]
fn metadata_comes_and_goes_and_the_payload_stays() {
    for payload in [
        bytes(None, b"[1]"),
        bytes(Some(Format::Pickle), b"12"),
        Payload::Integer(12),
        bytes(None, b""),
    ] {
        let bare = write(&Meta::default(), &payload);
        let framed = with_meta(&bare, &tagged()).unwrap();
        assert_eq!(framed, write(&tagged(), &payload));
        assert_eq!(with_meta(&framed, &Meta::default()).unwrap(), bare);
    }
}

#[test]
fn a_head_is_known_from_the_first_bytes_that_hold_it_and_from_no_fewer() {
    let long =
        Meta { stale_window: None, stamps: vec![stamp(&"x".repeat(9000), 7), stamp("y", 8)] };
    for meta in [tagged(), long, Meta { stale_window: Some(1), stamps: Vec::new() }] {
        for payload in
            [bytes(None, b"[1]"), bytes(Some(Format::Pickle), b"12"), Payload::Integer(3)]
        {
            let stored = write(&meta, &payload);
            let whole = head(&stored).unwrap().unwrap();
            for length in 0..stored.len() {
                let expected = (length >= whole.length() || length == 0).then_some(());
                let found = head(&stored[..length]).unwrap();
                assert_eq!(found.as_ref().map(|_| ()), expected, "{length}");
                assert!(length == 0 || found.is_none_or(|found| found == whole));
            }
        }
    }
    assert_eq!(head(b"").unwrap().unwrap().length(), 0);
    assert_eq!(head(b"[1]").unwrap().unwrap(), Head::default());
}

#[test]
fn what_begins_no_frame_has_no_head() {
    for wrong in
        [&b"\xC1\x02"[..], b"\xC1\x01\x00", b"\xC1\x01\x10", b"\xC1\x01\x08", b"\xC1\x01\x02\0\0"]
    {
        assert_eq!(head(wrong).unwrap_err().kind(), ErrorKind::Deserialization, "{wrong:?}");
    }
}

#[test]
fn metadata_that_can_not_be_read_back_is_not_written() {
    let long = "x".repeat(1 << 16);
    let many = (0..=u16::MAX).map(|n| stamp(&n.to_string(), 0)).chain([stamp("one more", 0)]);
    for stamps in [
        vec![stamp("", 1)],
        vec![stamp("a", 1), stamp("a", 2)],
        vec![stamp(&long, 1)],
        many.collect(),
    ] {
        let refused = Meta { stale_window: None, stamps };
        let error = with_meta(b"[1]", &refused).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization);
        assert!(Steps::default().write(b"k", &refused, &bytes(None, b"")).is_err());
    }
    let most = Meta { stale_window: Some(u64::MAX), stamps: vec![stamp(&long[1..], u64::MAX)] };
    assert_eq!(meta(&with_meta(b"[1]", &most).unwrap()).unwrap(), most);
}

#[test]
fn a_window_of_nothing_is_no_window() {
    let none = Meta { stale_window: Some(0), stamps: Vec::new() };
    assert_eq!(with_meta(b"[1]", &none).unwrap(), b"[1]");
}

#[test]
fn counting_keeps_the_metadata() {
    assert_eq!(count(b"41", 1).unwrap(), (42, b"42".to_vec()));
    assert_eq!(count(b"-1", i64::MIN + 1).unwrap().0, i64::MIN);
    let framed = write(&tagged(), &Payload::Integer(-5));
    let (sum, stored) = count(&framed, 6).unwrap();
    assert_eq!((sum, stored), (1, write(&tagged(), &Payload::Integer(1))));
    // As another writer may frame it.
    assert_eq!(count(b"\xC1\x01\x04\x507", 1).unwrap(), (8, b"8".to_vec()));
}

#[test]
fn what_is_no_integer_is_not_counted_and_the_error_says_why() {
    let encrypted = Steps { encryption: Some(Encryption::new("a").unwrap()), ..Steps::default() };
    let sealed = encrypted.write(b"k", &tagged(), &Payload::Integer(1)).unwrap().bytes;
    let zeros = vec![0; 5000];
    let packing =
        Steps { compression: Some(Compression::new(Algorithm::Zstd)), ..Steps::default() };
    let packed = packing.write(b"k", &Meta::default(), &bytes(None, &zeros)).unwrap().bytes;
    let text = write(&Meta::default(), &bytes(Some(Format::Json), b"1"));
    for (stored, why) in [
        (&sealed[..], "is encrypted"),
        (&packed, "is not an integer"),
        (&text, "is not an integer"),
        (b"[1]", "is not an integer"),
        (b"", "is not an integer"),
    ] {
        let error = count(stored, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Serialization);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_counter_that_would_overflow_is_refused_and_not_shown() {
    for (stored, delta) in
        [(&b"9223372036854775807"[..], 1), (b"-77", i64::MIN), (b"9223372036854775806", 2)]
    {
        let error = count(stored, delta).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overflow);
        assert!(!error.to_string().contains(str::from_utf8(stored).unwrap()), "{error}");
    }
}

#[test]
fn a_frame_that_no_writer_writes_is_refused() {
    let head = |flags: u8, rest: &[u8]| [&[0xC1, 1, flags], rest].concat();
    let tag = |name: &[u8]| [&[0, u8::try_from(name.len()).unwrap()], name, &[0; 8]].concat();
    let tags = |count: u8, names: &[&[u8]]| {
        let list: Vec<u8> = names.iter().flat_map(|name| tag(name)).collect();
        head(2, &[&[0, count], &list[..]].concat())
    };
    let sealed = |id: &[u8], rest: usize| {
        head(12, &[&[0x10, u8::try_from(id.len()).unwrap()], id, &vec![0; rest]].concat())
    };
    let frames = [
        vec![0xC1],
        vec![0xC1, 1],
        vec![0xC1, 0, 4, 0],
        vec![0xC1, 2, 4, 0],
        vec![0xC1, 255, 4, 0],
        head(0, b"[1]"),
        head(16, b""),
        head(0xFF, &[0; 99]),
        head(8, &[0; 99]),
        head(1, &[0; 8]),
        head(1, &[0; 7]),
        head(1, &[0, 0, 0, 0, 0, 0, 0, 1, 0xC1]),
        tags(0, &[]),
        tags(2, &[b"a"]),
        tags(1, &[b""]),
        tags(2, &[b"a", b"a"]),
        tags(2, &[b"b", b"a"]),
        tags(1, &[b"\xFF"]),
        head(2, &[0xFF; 30]),
        head(4, b""),
        head(4, &[0x60]),
        head(4, &[0xF0]),
        head(4, &[0x05]),
        head(4, &[0x0F]),
        head(4, &[0x13, 0, 0, 0, 0, 0, 0, 0]),
        head(4, &[0x53, 0, 0, 0, 0, 0, 0, 0, 1, b'1']),
        sealed(b"", 40),
        sealed(b"\xFF", 40),
        sealed(b"v1", 39),
        sealed(b"v1", 3),
    ];
    for frame in frames {
        malformed(&frame);
    }
    // Of the right form, but with content that is none.
    let error = Steps::default().read(b"k", &head(4, b"\x50x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deserialization);
}
