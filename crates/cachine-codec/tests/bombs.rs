//! Small entries that would become large ones: refused, and before the memory is taken.
//!
//! They are put together by hand, because an honest compressor would need the large value first.

use cachine_codec::compression::Algorithm;
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_core::error::ErrorKind;

/// What each bomb becomes.
const EXPANDED: usize = 256 << 20;
/// More than the test process may ever take; a quarter of one bomb.
#[cfg(target_os = "linux")]
const MOST_KIB: u64 = 64 << 10;

/// An entry: the head of a frame of JSON, then compressed bytes.
fn entry(algorithm: Algorithm, length: u64, compressed: &[u8]) -> Vec<u8> {
    let number = match algorithm {
        Algorithm::Gzip => 1,
        Algorithm::Zlib => 2,
        Algorithm::Zstd => 3,
        _ => 4,
    };
    [&[0xC1, 1, 4, 0x10 | number], &length.to_be_bytes()[..], compressed].concat()
}

/// DEFLATE with its fixed codes: a zero, then copies of 258 zeros from one byte back (8 bits of length,
/// 5 of distance), then the end.
fn deflate(expanded: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u64, 0);
    let mut push = |value: u64, length: u32| {
        bits |= value << count;
        count += length;
        while count >= 8 {
            out.push(bits.to_le_bytes()[0]);
            bits >>= 8;
            count -= 8;
        }
    };
    // Final block, fixed codes; then the literal 0. Codes are written from their highest bit on.
    push(0b011, 3);
    push(0b0000_1100, 8);
    for _ in 1..expanded.div_ceil(258) {
        push(0b1010_0011, 8);
        push(0, 5);
    }
    push(0, 7);
    push(0, 7);
    out
}

fn zstd(expanded: usize) -> Vec<u8> {
    // Magic, a window of 8 MiB and no size; blocks that repeat one byte 128 KiB times; an empty last one.
    let block = [0x02, 0x00, 0x10, 0x00];
    [&[0x28, 0xB5, 0x2F, 0xFD, 0x00, 13 << 3], &block.repeat(expanded >> 17)[..], &[1, 0, 0]]
        .concat()
}

fn lz4(expanded: usize, xxhash: u32) -> Vec<u8> {
    // One literal and a copy from one byte back, whose length goes on in bytes of 255.
    let more = vec![0xFF; expanded / 255];
    [&[0x1F, 0, 1, 0], &more[..], &[0, 0x50, 0, 0, 0, 0, 0], &xxhash.to_le_bytes()].concat()
}

/// What its lengths add up to.
fn lengths_of_lz4(expanded: usize) -> usize {
    1 + 4 + 15 + 255 * (expanded / 255) + 5
}

struct Bomb {
    algorithm: Algorithm,
    compressed: Vec<u8>,
    becomes: usize,
}

/// Each with the checksums of DEFLATE's two wrappings, which stand behind what never gets that far.
fn bombs(expanded: usize, crc32: u32, adler32: u32, xxhash: u32) -> [Bomb; 4] {
    let (deflate, deflated) = (deflate(expanded), deflated(expanded));
    let size = u32::try_from(deflated).unwrap().to_le_bytes();
    let gzip =
        [&[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF], &deflate[..], &crc32.to_le_bytes(), &size]
            .concat();
    let zlib = [&[0x78, 0x9C], &deflate[..], &adler32.to_be_bytes()].concat();
    [
        Bomb { algorithm: Algorithm::Gzip, compressed: gzip, becomes: deflated },
        Bomb { algorithm: Algorithm::Zlib, compressed: zlib, becomes: deflated },
        Bomb { algorithm: Algorithm::Zstd, compressed: zstd(expanded), becomes: expanded },
        Bomb {
            algorithm: Algorithm::Lz4,
            compressed: lz4(expanded, xxhash),
            becomes: lengths_of_lz4(expanded),
        },
    ]
}

/// What DEFLATE makes of it: one zero, then as many copies as fit.
fn deflated(expanded: usize) -> usize {
    1 + (expanded.div_ceil(258) - 1) * 258
}

fn refused(steps: &Steps, stored: &[u8]) -> String {
    let error = steps.read(b"k", stored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deserialization);
    error.to_string()
}

/// The most memory that this process ever had, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// One test, because the peak is that of the whole process.
#[test]
fn a_bomb_is_refused_whatever_length_it_declares_and_takes_no_memory() {
    let bombs = bombs(EXPANDED, 0, 0, 0);
    for Bomb { algorithm, compressed, becomes } in &bombs {
        // The truth, which is over the limit, and more than anybody has.
        for length in [*becomes as u64, u64::MAX, 1 << 63, (64 << 20) + 1] {
            let message = refused(&Steps::default(), &entry(*algorithm, length, compressed));
            assert!(message.contains("max_decompressed_size"), "{message}");
        }
        // Lies: the limit is that of the lie.
        for length in [0, 1, 1000, 1 << 20] {
            let message = refused(&Steps::default(), &entry(*algorithm, length, compressed));
            assert!(message.contains(algorithm.name()), "{message}");
        }
        // A few bytes of it that declare what they can't become.
        for length in [1 << 20, 64 << 20] {
            let message = refused(&Steps::default(), &entry(*algorithm, length, &compressed[..10]));
            assert!(message.contains("can't become"), "{message}");
        }
    }
    #[cfg(target_os = "linux")]
    assert!(peak() < MOST_KIB, "{} KiB", peak());
}

/// The bombs are real: made small enough to be let through, each becomes what it is said to.
#[test]
fn a_bomb_that_is_small_enough_goes_off() {
    let expanded = 1 << 20;
    let zeros = vec![0_u8; deflated(expanded)];
    let crc32 = !zeros.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
    });
    // Of zeros: the first sum stays 1, the second counts them.
    let adler32 = u32::try_from(zeros.len() % 65521).unwrap() << 16 | 1;
    let zeros_of_lz4 = vec![0_u8; lengths_of_lz4(expanded)];
    let xxhash = twox_hash::XxHash32::oneshot(0, &zeros_of_lz4);
    for Bomb { algorithm, compressed, becomes } in bombs(expanded, crc32, adler32, xxhash) {
        let stored = entry(algorithm, becomes as u64, &compressed);
        let (_, payload) = Steps::default().read(b"k", &stored).unwrap();
        let Payload::Bytes { bytes, .. } = payload else { panic!("{algorithm} became an integer") };
        assert!(bytes.len() == becomes && bytes.iter().all(|byte| *byte == 0), "{algorithm}");
    }
}
