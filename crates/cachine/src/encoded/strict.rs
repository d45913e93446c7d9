//! A serializer around that of a format, which refuses what the format would not give back.
//!
//! Serde's data model is larger than that of a format, and what does not fit is often written as
//! something else without a word: JSON makes `null` of NaN, and every format makes of `Some(None)`
//! what it makes of `None`. Such a value would come back as another one. So it is refused before it
//! is stored, like one that is nested deeper than a reader follows.

use std::cell::Cell;
use std::fmt::Display;

use serde::ser::{Serialize, Serializer};
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

/// What a format gives back.
pub(super) struct Rules {
    /// It has no NaN and no infinities.
    pub(super) finite: bool,
    /// It is read down to so many containers in one another.
    pub(super) deepest: usize,
    /// What was refused.
    refused: Cell<Option<&'static str>>,
}

/// Writes one value by the rules.
struct Strict<'r, S> {
    inner: S,
    at: Place<'r>,
}

/// The items of a container by the rules.
struct Items<'r, C> {
    inner: C,
    at: Place<'r>,
}

/// A value inside another one.
struct Part<'r, 'v, T: ?Sized> {
    value: &'v T,
    at: Place<'r>,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct Place<'r> {
    rules: &'r Rules,
    depth: usize,
    /// Directly in a `Some`.
    in_some: bool,
}

impl Rules {
    pub(super) const fn new(finite: bool, deepest: usize) -> Self {
        Self { finite, deepest, refused: Cell::new(None) }
    }

    /// Writes a value, or says why the format would not give it back.
    pub(super) fn write<T: Serialize + ?Sized, S: Serializer>(
        &self,
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let at = Place { rules: self, depth: 0, in_some: false };
        value.serialize(Strict { inner: serializer, at })
    }

    /// Which rule a value broke, if it was one of these.
    pub(super) fn refused(&self) -> Option<&'static str> {
        self.refused.get()
    }
}

impl Place<'_> {
    fn refuse<T, E: serde::ser::Error>(self, what: &'static str) -> Result<T, E> {
        self.rules.refused.set(Some(what));
        Err(E::custom(what))
    }

    fn float<E: serde::ser::Error>(self, is_finite: bool) -> Result<(), E> {
        if is_finite || !self.rules.finite {
            return Ok(());
        }
        self.refuse("there is a NaN or an infinity in it, which JSON does not have")
    }

    fn nothing<E: serde::ser::Error>(self) -> Result<(), E> {
        if self.in_some {
            return self
                .refuse("there is a `Some` of nothing in it, which would come back as `None`");
        }
        Ok(())
    }

    /// The place of the items of a container, `by` containers further in.
    fn inside<E: serde::ser::Error>(self, by: usize) -> Result<Self, E> {
        let depth = self.depth + by;
        if depth > self.rules.deepest {
            return self.refuse("it is nested deeper than it could be read");
        }
        Ok(Self { depth, in_some: false, ..self })
    }
}

impl<T: Serialize + ?Sized> Serialize for Part<'_, '_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Strict { inner: serializer, at: self.at })
    }
}

/// Scalars that every format gives back.
macro_rules! as_it_is {
    ($($name:ident($kind:ty))*) => {
        $(#[inline]
        fn $name(self, value: $kind) -> Result<S::Ok, S::Error> {
            self.inner.$name(value)
        })*
    };
}

impl<'r, S: Serializer> Serializer for Strict<'r, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Items<'r, S::SerializeSeq>;
    type SerializeTuple = Items<'r, S::SerializeTuple>;
    type SerializeTupleStruct = Items<'r, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Items<'r, S::SerializeTupleVariant>;
    type SerializeMap = Items<'r, S::SerializeMap>;
    type SerializeStruct = Items<'r, S::SerializeStruct>;
    type SerializeStructVariant = Items<'r, S::SerializeStructVariant>;

    as_it_is! {
        serialize_bool(bool) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_i128(i128) serialize_u128(u128)
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.at.float(value.is_finite())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.at.float(value.is_finite())?;
        self.inner.serialize_f64(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.at.nothing()?;
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Part { value, at: Place { in_some: true, ..self.at } })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.at.nothing()?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.at.nothing()?;
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Part { value, at: self.at })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = Part { value, at: self.at.inside(1)? };
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        Ok(Items { at: self.at.inside(1)?, inner: self.inner.serialize_seq(length)? })
    }

    fn serialize_tuple(self, length: usize) -> Result<Self::SerializeTuple, S::Error> {
        Ok(Items { at: self.at.inside(1)?, inner: self.inner.serialize_tuple(length)? })
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        Ok(Items {
            at: self.at.inside(1)?,
            inner: self.inner.serialize_tuple_struct(name, length)?,
        })
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let at = self.at.inside(2)?;
        Ok(Items { at, inner: self.inner.serialize_tuple_variant(name, index, variant, length)? })
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        Ok(Items { at: self.at.inside(1)?, inner: self.inner.serialize_map(length)? })
    }

    fn serialize_struct(
        self,
        name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        Ok(Items { at: self.at.inside(1)?, inner: self.inner.serialize_struct(name, length)? })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let at = self.at.inside(2)?;
        Ok(Items { at, inner: self.inner.serialize_struct_variant(name, index, variant, length)? })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'r, C> Items<'r, C> {
    const fn part<'v, T: ?Sized>(&self, value: &'v T) -> Part<'r, 'v, T> {
        Part { value, at: self.at }
    }
}

/// Containers of items without names.
macro_rules! items {
    ($($kind:ident :: $item:ident),*) => {
        $(impl<C: $kind> $kind for Items<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let part = self.part(value);
                self.inner.$item(&part)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })*
    };
}

/// Containers of items with names.
macro_rules! fields {
    ($($kind:ident),*) => {
        $(impl<C: $kind> $kind for Items<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let part = self.part(value);
                self.inner.serialize_field(name, &part)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.inner.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        })*
    };
}

items!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);
fields!(SerializeStruct, SerializeStructVariant);

impl<C: SerializeMap> SerializeMap for Items<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let part = self.part(key);
        self.inner.serialize_key(&part)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let part = self.part(value);
        self.inner.serialize_value(&part)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
