//! TLS as the settings want it: whom to trust, and who this client is.

use std::path::Path;
use std::sync::Arc;

use cachine_core::error::{Error, ErrorKind};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::settings::Tls;

/// Whether everything that the settings name is there and readable.
///
/// # Errors
///
/// [`ErrorKind::Config`] with the file that is missing, empty or not PEM.
pub fn check(tls: &Tls) -> Result<(), Error> {
    configuration(tls).map(drop)
}

/// The settings as rustls wants them.
pub(crate) fn configuration(tls: &Tls) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(format!("TLS can't be set up: {error}")))?;
    let builder = if tls.is_unverified {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    } else {
        builder.with_root_certificates(roots(tls.ca_certs.as_deref())?)
    };
    let configuration = match (&tls.certfile, &tls.keyfile) {
        (None, None) => builder.with_no_client_auth(),
        (None, Some(key)) => {
            let key = key.display();
            return Err(wrong(format!("keyfile {key} is of no use without a certfile")));
        }
        // Certificate and key may be in one file.
        (Some(certificate), key) => {
            let key_path = key.as_deref().unwrap_or(certificate);
            let key = PrivateKeyDer::from_pem_file(key_path)
                .map_err(|error| unreadable(key_path, "private key", &error))?;
            let chain = certificates(certificate)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                let (certificate, key) = (certificate.display(), key_path.display());
                wrong(format!("certificate {certificate} and key {key} can't be used: {error}"))
            })?
        }
    };
    Ok(Arc::new(configuration))
}

/// Whom to trust: a file, or else what the system trusts.
fn roots(file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = file {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| {
                wrong(format!("a certificate in {} can't be trusted: {error}", path.display()))
            })?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    // A system has certificates that no TLS library takes; the others are enough.
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        let what = "the system has no certificates to trust, name a file of them as ca_certs";
        return Err(wrong(format!("{what}{why}")));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            let error = rustls::pki_types::pem::Error::NoItemsFound;
            Err(unreadable(path, "certificate", &error))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable(path, "certificate", &error)),
    }
}

fn unreadable(path: &Path, what: &str, error: &rustls::pki_types::pem::Error) -> Error {
    use rustls::pki_types::pem::Error as Pem;
    // The other texts repeat lines of the file, which may be those of a key.
    let why = match error {
        Pem::Io(error) => error.to_string(),
        Pem::NoItemsFound => "there is none in it".to_owned(),
        _ => "it is not PEM".to_owned(),
    };
    wrong(format!("no {what} can be read from {}: {why}", path.display()))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Config, "connect", message)
}

/// Takes any certificate, because the settings say so.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
