//! Writes values as MessagePack.

use std::convert::Infallible;

use rmp::Marker;
use rmp::encode::{self, ByteBuf, ValueWriteError};

use crate::build::DEEPEST;
use crate::content::{Timestamp, shortest_little_endian, to_big_endian};
use crate::kind::Kind;
use crate::sink::{Refused, Sink, Taken};

/// Which extension types a sink writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extensions {
    /// Timestamps, datetimes and big integers: all else is left to the types of MessagePack.
    Plain,
    /// Every [`Kind`].
    All,
}

/// Writes one value as MessagePack. After a refusal what it holds is of no use.
#[derive(Debug)]
pub struct MessagePackSink {
    bytes: ByteBuf,
    extensions: Extensions,
    depth: usize,
}

/// Bytes before the content of an extension of up to 255 bytes that has no length of its own.
const SHORT_HEADER: usize = 3;

/// Room for a small value, so that it is written without growing.
const FIRST_CAPACITY: usize = 128;

impl MessagePackSink {
    /// An empty one.
    pub fn new(extensions: Extensions) -> Self {
        Self { bytes: ByteBuf::with_capacity(FIRST_CAPACITY), extensions, depth: 0 }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_vec()
    }

    fn begin(&mut self) -> Taken {
        if self.depth == DEEPEST {
            return Err(Refused::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }

    fn check_kind(&self, kind: Kind) -> Taken {
        match (self.extensions, kind) {
            (Extensions::All, _)
            | (Extensions::Plain, Kind::BigInt | Kind::Timestamp | Kind::DateTime) => Ok(()),
            (Extensions::Plain, _) => Err(Refused::Kind),
        }
    }

    fn put_extension(&mut self, kind: Kind, content: &[u8]) -> Taken {
        let length = length(content.len())?;
        written(&encode::write_ext_meta(&mut self.bytes, length, kind as i8));
        self.bytes.as_mut_vec().extend_from_slice(content);
        Ok(())
    }
}

/// Writing to a vector can't fail.
fn written<T>(result: &Result<T, ValueWriteError<Infallible>>) {
    match result {
        Ok(_) => {}
        Err(
            ValueWriteError::InvalidMarkerWrite(never) | ValueWriteError::InvalidDataWrite(never),
        ) => match *never {},
    }
}

/// A length as MessagePack knows it.
fn length(length: usize) -> Result<u32, Refused> {
    u32::try_from(length).map_err(|_| Refused::TooLong)
}

impl Sink for MessagePackSink {
    #[inline]
    fn null(&mut self) -> Taken {
        self.bytes.as_mut_vec().push(Marker::Null.to_u8());
        Ok(())
    }

    #[inline]
    fn bool(&mut self, value: bool) -> Taken {
        let marker = if value { Marker::True } else { Marker::False };
        self.bytes.as_mut_vec().push(marker.to_u8());
        Ok(())
    }

    #[inline]
    fn int(&mut self, value: i64) -> Taken {
        written(&encode::write_sint(&mut self.bytes, value));
        Ok(())
    }

    fn big_int(&mut self, bytes: &[u8]) -> Taken {
        let shortest = shortest_little_endian(bytes);
        let is_negative = shortest.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if is_negative { 0xff } else { 0x00 }; 8];
        // Without the ninth byte of an unsigned integer, which is 0.
        let magnitude = match shortest {
            [eight @ .., 0] if eight.len() == 8 => eight,
            _ => shortest,
        };
        let Some(place) = wide.get_mut(..magnitude.len()) else {
            self.check_kind(Kind::BigInt)?;
            return self.put_extension(Kind::BigInt, &to_big_endian(shortest));
        };
        place.copy_from_slice(magnitude);
        if is_negative {
            written(&encode::write_sint(&mut self.bytes, i64::from_le_bytes(wide)));
        } else {
            written(&encode::write_uint(&mut self.bytes, u64::from_le_bytes(wide)));
        }
        Ok(())
    }

    #[inline]
    fn float(&mut self, value: f64) -> Taken {
        written(&encode::write_f64(&mut self.bytes, value));
        Ok(())
    }

    #[inline]
    fn str(&mut self, value: &str) -> Taken {
        written(&encode::write_str_len(&mut self.bytes, length(value.len())?));
        self.bytes.as_mut_vec().extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn bytes(&mut self, value: &[u8]) -> Taken {
        written(&encode::write_bin_len(&mut self.bytes, length(value.len())?));
        self.bytes.as_mut_vec().extend_from_slice(value);
        Ok(())
    }

    #[inline]
    fn begin_list(&mut self, items: usize) -> Taken {
        self.begin()?;
        written(&encode::write_array_len(&mut self.bytes, length(items)?));
        Ok(())
    }

    #[inline]
    fn next_item(&mut self, _is_first: bool) {}

    #[inline]
    fn end_list(&mut self) {
        self.depth -= 1;
    }

    #[inline]
    fn begin_map(&mut self, pairs: usize, _has_text_keys: bool) -> Taken {
        self.begin()?;
        written(&encode::write_map_len(&mut self.bytes, length(pairs)?));
        Ok(())
    }

    #[inline]
    fn next_key(&mut self, _is_first: bool) {}

    #[inline]
    fn next_value(&mut self) {}

    #[inline]
    fn end_map(&mut self) {
        self.depth -= 1;
    }

    fn extension(&mut self, kind: Kind, content: &[u8]) -> Taken {
        self.check_kind(kind)?;
        if kind != Kind::Timestamp {
            return self.put_extension(kind, content);
        }
        let timestamp = Timestamp::unpack(content).map_err(|_| Refused::Kind)?;
        let (shortest, length) = timestamp.shortest();
        self.put_extension(kind, &shortest[..length])
    }

    fn begin_extension(&mut self, kind: Kind) -> Result<usize, Refused> {
        self.check_kind(kind)?;
        self.begin()?;
        let mark = self.bytes.as_slice().len();
        // The length is known at the end; until then this is a header of the usual size.
        let header = [Marker::Ext8.to_u8(), 0, (kind as i8).cast_unsigned()];
        self.bytes.as_mut_vec().extend_from_slice(&header);
        Ok(mark)
    }

    fn end_extension(&mut self, mark: usize) -> Taken {
        self.depth -= 1;
        let bytes = self.bytes.as_mut_vec();
        let start = mark + SHORT_HEADER;
        let length = length(bytes.len() - start)?;
        let kind = bytes[start - 1].cast_signed();
        if let Ok(short) = u8::try_from(length)
            && !matches!(short, 1 | 2 | 4 | 8 | 16)
        {
            bytes[mark + 1] = short;
            return Ok(());
        }
        let mut header = ByteBuf::new();
        written(&encode::write_ext_meta(&mut header, length, kind));
        bytes.splice(mark..start, header.into_vec());
        Ok(())
    }
}
