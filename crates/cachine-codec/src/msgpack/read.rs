//! Reads MessagePack, without recursion: however deep a payload is nested, the stack stays as it is.
//!
//! A length is only believed when so many bytes are left, so a header alone never costs memory.

use rmp::Marker;

use crate::build::{Build, DEEPEST, Malformed};
use crate::content::{Timestamp, to_little_endian};
use crate::kind::Kind;

/// Reads one value of MessagePack and tells `build` what is in it; afterwards its stack holds one
/// value more.
///
/// A [`Kind::BigInt`] arrives as `big_int`, like an unsigned integer beyond 63 bits; a
/// [`Kind::Timestamp`] of any length arrives as 12 bytes.
///
/// # Errors
///
/// What `build` refuses, and [`Malformed`] for a payload that ends too early or goes on after the
/// value, for the byte 0xC1, an unknown extension type, text that is no UTF-8, and nesting deeper than
/// [`DEEPEST`].
pub fn read<B: Build>(bytes: &[u8], build: &mut B) -> Result<(), B::Error> {
    let mut reader = Reader { bytes, at: 0, end: bytes.len(), open: Vec::new() };
    reader.read(build)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the innermost extension ends, or the payload.
    end: usize,
    open: Vec<Open>,
}

/// A container that is not complete yet.
enum Open {
    List {
        length: usize,
        left: usize,
    },
    /// Keys and values in turns: an even number `left` means that a key is next.
    Map {
        length: usize,
        left: usize,
    },
    /// `outer_end`: the end that holds again behind it.
    Extension {
        kind: Kind,
        length: usize,
        outer_end: usize,
    },
}

impl<'a> Reader<'a> {
    fn read<B: Build>(&mut self, build: &mut B) -> Result<(), B::Error> {
        self.value(build, false)?;
        while let Some(innermost) = self.open.last_mut() {
            match innermost {
                Open::List { length, left: 0 } => {
                    let length = *length;
                    self.open.pop();
                    build.list(length)?;
                }
                Open::Map { length, left: 0 } => {
                    let length = *length;
                    self.open.pop();
                    build.map(length)?;
                }
                Open::Extension { kind, length, outer_end } if self.at == self.end => {
                    let (kind, length) = (*kind, *length);
                    self.end = *outer_end;
                    self.open.pop();
                    build.nested(kind, length)?;
                }
                Open::List { left, .. } => {
                    *left -= 1;
                    self.value(build, false)?;
                }
                Open::Map { left, .. } => {
                    let is_key = *left % 2 == 0;
                    *left -= 1;
                    self.value(build, is_key)?;
                }
                Open::Extension { length, .. } => {
                    *length += 1;
                    self.value(build, false)?;
                }
            }
        }
        if self.at < self.bytes.len() {
            return Err(self.malformed("more after the value").into());
        }
        Ok(())
    }

    /// Reads a scalar, or what stands before the content of a container.
    #[inline]
    fn value<B: Build>(&mut self, build: &mut B, is_key: bool) -> Result<(), B::Error> {
        let marker = Marker::from_u8(self.byte()?);
        match marker {
            Marker::FixPos(value) => build.int(i64::from(value)),
            Marker::FixNeg(value) => build.int(i64::from(value)),
            Marker::Null => build.null(),
            Marker::False => build.bool(false),
            Marker::True => build.bool(true),
            Marker::F32 => build.float(f64::from(f32::from_be_bytes(self.array()?))),
            Marker::F64 => build.float(f64::from_be_bytes(self.array()?)),
            Marker::U8 => build.int(i64::from(u8::from_be_bytes(self.array()?))),
            Marker::U16 => build.int(i64::from(u16::from_be_bytes(self.array()?))),
            Marker::U32 => build.int(i64::from(u32::from_be_bytes(self.array()?))),
            Marker::U64 => {
                let value = u64::from_be_bytes(self.array()?);
                match i64::try_from(value) {
                    Ok(value) => build.int(value),
                    Err(_) => build.big_int(&u128::from(value).to_le_bytes()[..9]),
                }
            }
            Marker::I8 => build.int(i64::from(i8::from_be_bytes(self.array()?))),
            Marker::I16 => build.int(i64::from(i16::from_be_bytes(self.array()?))),
            Marker::I32 => build.int(i64::from(i32::from_be_bytes(self.array()?))),
            Marker::I64 => build.int(i64::from_be_bytes(self.array()?)),
            Marker::FixStr(length) => self.text(usize::from(length), build, is_key),
            Marker::Str8
            | Marker::Bin8
            | Marker::Str16
            | Marker::Bin16
            | Marker::Str32
            | Marker::Bin32 => self.sized(marker, build, is_key),
            Marker::FixArray(_)
            | Marker::Array16
            | Marker::Array32
            | Marker::FixMap(_)
            | Marker::Map16
            | Marker::Map32 => Ok(self.container(marker)?),
            Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32
            | Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16 => self.extension(marker, build),
            Marker::Reserved => {
                self.at -= 1;
                Err(self.malformed("the byte 0xC1, which means nothing").into())
            }
        }
    }

    fn sized<B: Build>(
        &mut self,
        marker: Marker,
        build: &mut B,
        is_key: bool,
    ) -> Result<(), B::Error> {
        let length = match marker {
            Marker::Str8 | Marker::Bin8 => usize::from(self.byte()?),
            Marker::Str16 | Marker::Bin16 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => self.length_of_32_bits()?,
        };
        if matches!(marker, Marker::Bin8 | Marker::Bin16 | Marker::Bin32) {
            return build.bytes(self.take(length)?);
        }
        self.text(length, build, is_key)
    }

    #[inline]
    fn text<B: Build>(
        &mut self,
        length: usize,
        build: &mut B,
        is_key: bool,
    ) -> Result<(), B::Error> {
        let Ok(text) = std::str::from_utf8(self.take(length)?) else {
            self.at -= length;
            return Err(self.malformed("text that is no UTF-8").into());
        };
        if is_key { build.key(text) } else { build.str(text) }
    }

    fn container(&mut self, marker: Marker) -> Result<(), Malformed> {
        let (length, is_map) = match marker {
            Marker::FixArray(length) => (usize::from(length), false),
            Marker::FixMap(length) => (usize::from(length), true),
            Marker::Array16 => (usize::from(u16::from_be_bytes(self.array()?)), false),
            Marker::Map16 => (usize::from(u16::from_be_bytes(self.array()?)), true),
            Marker::Array32 => (self.length_of_32_bits()?, false),
            _ => (self.length_of_32_bits()?, true),
        };
        self.check_depth()?;
        let left = if is_map { length.saturating_mul(2) } else { length };
        // Every value takes a byte at least.
        if left > self.end - self.at {
            return Err(self.malformed("an end that comes too early"));
        }
        self.open.push(if is_map {
            Open::Map { length, left }
        } else {
            Open::List { length, left }
        });
        Ok(())
    }

    fn extension<B: Build>(&mut self, marker: Marker, build: &mut B) -> Result<(), B::Error> {
        let length = match marker {
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => usize::from(self.byte()?),
            Marker::Ext16 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => self.length_of_32_bits()?,
        };
        let number = self.byte()?.cast_signed();
        let Some(kind) = Kind::from_number(number) else {
            self.at -= 1;
            return Err(self.malformed("an extension type that is unknown here").into());
        };
        if kind.is_nested() {
            return Ok(self.nested(kind, length)?);
        }
        let start = self.at;
        let content = self.take(length)?;
        let within = |error: Malformed| Malformed { at: start, ..error };
        match kind {
            Kind::BigInt => build.big_int(&to_little_endian(content).map_err(within)?),
            Kind::Timestamp => {
                build.extension(kind, &Timestamp::unpack(content).map_err(within)?.pack())
            }
            _ => build.extension(kind, content),
        }
    }

    fn nested(&mut self, kind: Kind, length: usize) -> Result<(), Malformed> {
        self.check_depth()?;
        if length > self.end - self.at {
            return Err(self.malformed("an end that comes too early"));
        }
        self.open.push(Open::Extension { kind, length: 0, outer_end: self.end });
        self.end = self.at + length;
        Ok(())
    }

    fn check_depth(&self) -> Result<(), Malformed> {
        if self.open.len() < DEEPEST {
            return Ok(());
        }
        Err(self.malformed("nesting that is too deep"))
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn length_of_32_bits(&mut self) -> Result<usize, Malformed> {
        let length = u32::from_be_bytes(self.array()?);
        // Only where addresses have fewer bits; then there are not so many bytes either.
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    #[inline]
    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Malformed> {
        match self.bytes[self.at..self.end].first_chunk() {
            Some(array) => {
                self.at += LENGTH;
                Ok(*array)
            }
            None => Err(self.malformed("an end that comes too early")),
        }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        match self.bytes[self.at..self.end].get(..length) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => Err(self.malformed("an end that comes too early")),
        }
    }

    #[cold]
    fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.at }
    }
}
