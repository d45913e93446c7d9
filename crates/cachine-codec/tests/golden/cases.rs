//! What the golden files hold.

use std::fmt::Write;

use cachine_codec::compression::{Algorithm, Compression};
use cachine_codec::encryption::Encryption;
use cachine_codec::format::Format;
use cachine_codec::payload::Payload;
use cachine_codec::steps::Steps;
use cachine_codec::stored::{Meta, Stamp};

/// What the manifest begins with.
pub(crate) const HEAD: &str = "\
# What the files of this directory hold: version 1 of the stored form.
# key: the physical key, in hex. secret, key_id: the encryption key and its name.
# stale_window: milliseconds. tags: name in hex, colon, stamp.
# integer: the value; otherwise format: the number that the frame names, and payload, in hex.
";

const JSON: &[u8] = b"{\"id\":1,\"name\":\"Zo\xC3\xAB\"}";
const SECRET: &str = "golden key, known to everybody";

/// An entry.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) key: &'static [u8],
    pub(crate) secret: Option<(&'static str, &'static str)>,
    pub(crate) algorithm: Option<Algorithm>,
    stale_window: Option<u64>,
    tags: Vec<(&'static str, u64)>,
    payload: Payload<'static>,
    pub(crate) as_read: Payload<'static>,
}

impl Case {
    fn new(name: &'static str, payload: Payload<'static>) -> Self {
        let as_read = match &payload {
            Payload::Bytes { bytes, .. } => Payload::Bytes { format: None, bytes: bytes.clone() },
            Payload::Integer(integer) => Payload::Integer(*integer),
        };
        let (secret, algorithm, stale_window, tags) = (None, None, None, Vec::new());
        Self { name, key: b"users:1", secret, algorithm, stale_window, tags, payload, as_read }
    }

    /// The frame names the format.
    fn named(mut self) -> Self {
        self.as_read = self.payload.clone();
        self
    }

    fn stale(mut self, window: u64) -> Self {
        self.stale_window = Some(window);
        self
    }

    fn tagged(mut self, tags: &[(&'static str, u64)]) -> Self {
        self.tags = tags.to_vec();
        self
    }

    fn packed(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self.named()
    }

    fn sealed(mut self, id: &'static str) -> Self {
        self.secret = Some((id, SECRET));
        self.named()
    }

    fn at(mut self, key: &'static [u8]) -> Self {
        self.key = key;
        self
    }

    pub(crate) fn meta(&self) -> Meta {
        let stamps =
            self.tags.iter().map(|(tag, stamp)| Stamp { tag: (*tag).into(), stamp: *stamp });
        Meta { stale_window: self.stale_window, stamps: stamps.collect() }
    }

    pub(crate) fn encryption(&self) -> Option<Encryption> {
        self.secret
            .map(|(id, secret)| Encryption::new(secret).and_then(|keys| keys.key_id(id)).unwrap())
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let compression = self.algorithm.map(|algorithm| Compression::new(algorithm).min_size(0));
        let steps = Steps { compression, encryption: self.encryption() };
        steps.write(self.key, &self.meta(), &self.payload).unwrap().bytes
    }

    /// Its part of the manifest.
    pub(crate) fn description(&self) -> String {
        let mut text = format!("\n[{}]\nkey = {}\n", self.name, hex(self.key));
        if let Some((id, secret)) = self.secret {
            writeln!(text, "secret = {secret}\nkey_id = {id}").unwrap();
        }
        if let Some(window) = self.stale_window {
            writeln!(text, "stale_window = {window}").unwrap();
        }
        if !self.tags.is_empty() {
            let tags: Vec<String> = self
                .tags
                .iter()
                .map(|(tag, stamp)| format!("{}:{stamp}", hex(tag.as_bytes())))
                .collect();
            writeln!(text, "tags = {}", tags.join(" ")).unwrap();
        }
        match &self.as_read {
            Payload::Integer(integer) => writeln!(text, "integer = {integer}").unwrap(),
            Payload::Bytes { format, bytes } => {
                if let Some(format) = format {
                    writeln!(text, "format = {}", *format as u8).unwrap();
                }
                writeln!(text, "{}", format!("payload = {}", hex(bytes)).trim_end()).unwrap();
            }
        }
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn payload(format: Format, bytes: &'static [u8]) -> Payload<'static> {
    Payload::Bytes { format: Some(format), bytes: bytes.into() }
}

fn json() -> Payload<'static> {
    payload(Format::Json, JSON)
}

/// JSON that gets smaller.
fn list() -> Payload<'static> {
    let rows: Vec<String> = (0..12).map(|id| format!("{{\"id\":{id},\"name\":\"Zoë\"}}")).collect();
    Payload::Bytes {
        format: Some(Format::Json),
        bytes: format!("[{}]", rows.join(",")).into_bytes().into(),
    }
}

/// New cases go behind the last one; none is ever changed or taken out.
pub(crate) fn cases() -> Vec<Case> {
    let tags: &[(&str, u64)] = &[("news", 0x0123_4567_89AB_CDEF), ("users", u64::MAX), ("é", 0)];
    vec![
        Case::new("integer", Payload::Integer(42)),
        Case::new("integer_least", Payload::Integer(i64::MIN)),
        Case::new("empty", payload(Format::Other, b"")),
        Case::new("json", json()),
        Case::new("messagepack", payload(Format::MessagePack, b"\x93\x01\xC0\xC4\x02\x00\xFF")),
        Case::new("pickle", payload(Format::Pickle, b"\x80\x05K\x01.")),
        Case::new("escaped_magic", payload(Format::Other, b"\xC1\x01\x04\x00x")).named(),
        Case::new("escaped_decimal", payload(Format::Json, b"42")).named(),
        Case::new("stale", json()).stale(5000),
        Case::new("tagged", json()).tagged(tags),
        Case::new("stale_tagged_integer", Payload::Integer(-7)).stale(u64::MAX).tagged(tags),
        Case::new("tagged_escaped_decimal", payload(Format::SignedPickle, b"0"))
            .tagged(tags)
            .named(),
        Case::new("gzip", list()).packed(Algorithm::Gzip),
        Case::new("zlib", list()).packed(Algorithm::Zlib),
        Case::new("zstd", list()).packed(Algorithm::Zstd),
        Case::new("lz4", list()).packed(Algorithm::Lz4),
        Case::new("stale_tagged_zstd", list()).stale(1).tagged(tags).packed(Algorithm::Zstd),
        Case::new("sealed", json()).sealed("v1"),
        Case::new("sealed_integer", Payload::Integer(42)).sealed("v1"),
        Case::new("sealed_empty", payload(Format::Pickle, b"")).sealed("v1").at(b""),
        Case::new("sealed_id", json()).sealed("2026 é").at(b"other:\xFF\x00"),
        Case::new("sealed_gzip", list()).packed(Algorithm::Gzip).sealed("v1"),
        Case::new("stale_tagged_sealed_zstd", list())
            .stale(5000)
            .tagged(tags)
            .packed(Algorithm::Zstd)
            .sealed("v1"),
    ]
}
