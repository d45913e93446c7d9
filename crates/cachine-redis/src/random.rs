//! Random numbers that nobody repeats: not another process, not the child of a fork, not a restart.
//!
//! A stamp or a token that came twice would bring back what was invalidated, so they come from the
//! operating system, never from a generator whose state a fork would copy.

use cachine_core::error::{Error, ErrorKind};

/// A stamp.
pub(crate) fn stamp(operation: &'static str) -> Result<u64, Error> {
    random(operation).map(u64::from_be_bytes)
}

/// A token or an epoch: 128 bits in hexadecimal.
pub(crate) fn token(operation: &'static str) -> Result<Box<[u8]>, Error> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = random::<16>(operation)?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits.map(|digit| DIGITS[usize::from(digit)]).collect())
}

fn random<const N: usize>(operation: &'static str) -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        let message = format!("the operating system gives no random bytes: {error}");
        Error::new(ErrorKind::Config, operation, message)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_32_digits_and_never_the_same() {
        let (one, other) = (token("claim").unwrap(), token("claim").unwrap());
        assert!(one.len() == 32 && one.iter().all(u8::is_ascii_hexdigit));
        assert_ne!(one, other);
        assert_ne!(stamp("set").unwrap(), stamp("set").unwrap());
    }
}
