//! The signature behind a pickle: HMAC-SHA256 (RFC 2104), so that only who has the key is unpickled.

use std::fmt;

use cachine_core::error::{Error, ErrorKind};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What the signature is for; a signature made for anything else under the same key is none here.
const PURPOSE: &[u8] = b"cachine pickle 1";

/// Signs bytes and checks signatures. Shows nothing of its key, and wipes it when dropped.
#[derive(Clone)]
pub struct Signer {
    // The state after key and purpose: the key itself is not kept.
    keyed: Hmac<Sha256>,
}

impl Signer {
    /// A signer with this key, which may have any length.
    ///
    /// # Errors
    ///
    /// `Config` for an empty key.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        let empty = || {
            Error::new(
                ErrorKind::Config,
                "signing",
                "the signing key is empty; pass at least one byte, better 32 random ones",
            )
        };
        if key.is_empty() {
            return Err(empty());
        }
        let mut keyed = Hmac::<Sha256>::new_from_slice(key).map_err(|_| empty())?;
        keyed.update(PURPOSE);
        Ok(Self { keyed })
    }

    /// The signature of these bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 32] {
        self.keyed.clone().chain_update(bytes).finalize().into_bytes().into()
    }

    /// Whether this is the signature of these bytes. Takes as long for a wrong one as for a right one.
    pub fn verify(&self, bytes: &[u8], signature: &[u8]) -> bool {
        self.keyed.clone().chain_update(bytes).verify_slice(signature).is_ok()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::digest::block_api::{Buffer, CoreProxy};
    use hmac::digest::zeroize::ZeroizeOnDrop;
    use sha2::Digest;

    /// RFC 2104, section 2, word by word; for keys of at most a block.
    fn by_the_book(key: &[u8], text: &[u8]) -> [u8; 32] {
        let padded = |fill: u8| {
            let mut block = [fill; 64];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            block
        };
        let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
        Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
    }

    fn signer(key: &[u8]) -> Signer {
        Signer::new(key).expect("a key")
    }

    #[test]
    fn the_signature_is_hmac_of_the_purpose_and_the_bytes() {
        for (key, bytes) in [(&b"k"[..], &b""[..]), (&[7; 64], b"a pickle"), (b"key", &[0; 1000])] {
            let expected = by_the_book(key, &[b"cachine pickle 1", bytes].concat());
            assert_eq!(signer(key).sign(bytes), expected);
            // Not that of the bytes alone: what signs something else with this key signs no pickle.
            assert_ne!(signer(key).sign(bytes), by_the_book(key, bytes));
        }
    }

    #[test]
    fn one_changed_bit_of_bytes_signature_or_key_is_refused() {
        let bytes = b"a pickle";
        let signature = signer(b"key").sign(bytes);
        assert!(signer(b"key").verify(bytes, &signature));
        for bit in 0..signature.len() * 8 {
            let mut wrong = signature;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!signer(b"key").verify(bytes, &wrong));
        }
        for bit in 0..bytes.len() * 8 {
            let mut wrong = *bytes;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!signer(b"key").verify(&wrong, &signature));
        }
        assert!(!signer(b"kex").verify(bytes, &signature));
    }

    #[test]
    fn a_part_of_a_signature_is_none() {
        let signature = signer(b"key").sign(b"a pickle");
        for length in 0..signature.len() {
            assert!(!signer(b"key").verify(b"a pickle", &signature[..length]));
        }
        assert!(!signer(b"key").verify(b"a pickle", &[&signature[..], &[0]].concat()));
    }

    #[test]
    fn an_empty_key_is_an_error_of_configuration() {
        assert_eq!(Signer::new(b"").map(drop).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn a_signer_shows_nothing_of_its_key() {
        assert_eq!(format!("{:?}", signer(b"secret")), "Signer(..)");
    }

    #[test]
    fn what_a_signer_keeps_is_wiped_when_it_is_dropped() {
        // The state is made of these; that they wipe themselves depends on features of their crates.
        const fn wipes_itself<T: ZeroizeOnDrop>() {}
        type Core = <Sha256 as CoreProxy>::Core;
        wipes_itself::<Core>();
        wipes_itself::<Buffer<Core>>();
    }
}
