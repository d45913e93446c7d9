//! Values as JSON text.

use cachine_codec::format::Format;
use cachine_core::error::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::encoded::misfit::Misfit;
use crate::encoded::serializer::unwritable;
use crate::encoded::strict::Rules;

/// Where `serde_json` stops reading: a value with more containers in one another stays unread.
const DEEPEST: usize = 127;

/// The longest decimal of 64 bits, sign included.
const LONGEST_INTEGER: usize = 20;

pub(super) fn write<T: Serialize + ?Sized>(
    operation: &'static str,
    value: &T,
) -> Result<Vec<u8>, Error> {
    let rules = Rules::new(true, DEEPEST);
    let mut bytes = Vec::with_capacity(128);
    match rules.write(value, &mut serde_json::Serializer::new(&mut bytes)) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(unwritable::<T>(operation, Format::Json, &rules, error)),
    }
}

pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Misfit> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column, message) = (error.line(), error.column(), error.to_string());
        let misfit = match error.classify() {
            Category::Data => {
                let place = format!(" at line {line} column {column}");
                Misfit::of_serde(message.strip_suffix(&place).unwrap_or(&message))
            }
            Category::Syntax => Misfit::known("it is no JSON"),
            Category::Eof | Category::Io => Misfit::known("it ends too early"),
        };
        misfit.at(line, column)
    })
}

/// The number, where the text is nothing but an integer of 64 bits.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    if text.len() > LONGEST_INTEGER || text == b"-0" {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
