//! A private key, of the forms that tools write.
//!
//! A PEM text comes in, PKCS #8, PKCS #1 (RFC 8017) or SEC 1 (RFC 5915), with explanations before its block; a request
//! or the key as rcgen has it goes out. The text is never printed.

use std::fmt;

use anyhow::{Context, Result, bail};
use rcgen::{CertificateParams, KeyPair};

use super::{CertificateInfo, SigningRequest, SubjectAltNames, pem, subject, subject_alt_names};

/// A private key, as PEM. Prints as nothing, so that no log ever holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPem(String);

impl KeyPem {
    /// Makes a new key.
    ///
    /// # Errors
    /// When the kernel hands out no random numbers.
    pub fn generate() -> Result<Self> {
        Ok(Self(
            KeyPair::generate()
                .context("making a P-256 key")?
                .serialize_pem(),
        ))
    }

    /// Wraps a key that was read from a file.
    pub fn new(pem: impl Into<String>) -> Self {
        Self(pem.into())
    }

    /// Returns the PEM text; for the one file that holds it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Makes the request that asks for a certificate over this key.
    ///
    /// # Errors
    /// When the key is no P-256 key or a name is no DNS name.
    pub fn request(&self, common_name: &str, names: &SubjectAltNames) -> Result<SigningRequest> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(common_name);
        params.subject_alt_names = subject_alt_names(names)?;
        let request = params
            .serialize_request(&self.pair()?)
            .context("making a signing request")?;
        Ok(SigningRequest(
            request.pem().context("writing a signing request")?,
        ))
    }

    /// Says whether a certificate is over this key.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn belongs_to(&self, certificate: &CertificateInfo) -> Result<bool> {
        use rcgen::PublicKeyData;
        Ok(self.pair()?.subject_public_key_info() == certificate.public_key)
    }

    /// Reads the key.
    pub(super) fn pair(&self) -> Result<KeyPair> {
        let reading = "reading a private key";
        let blocks = pem::blocks(&self.0);
        let key = blocks
            .iter()
            .find(|block| block.label.ends_with("PRIVATE KEY"));
        let key = key.context(reading)?;
        // PKCS #8 says it in the label, the older forms in a header (RFC 1421 §4.6.1.1).
        if key.label.starts_with("ENCRYPTED") || key.text.contains("Proc-Type: 4,ENCRYPTED") {
            bail!(
                "{reading}: it is encrypted, and this program asks for no pass phrase; decrypt a copy with \
                 'openssl pkey -in FILE -out FILE'"
            );
        }
        let (_, decoded) = x509_parser::pem::parse_x509_pem(key.text.as_bytes())
            .ok()
            .with_context(|| format!("{reading}: its PEM block is damaged"))?;
        let der = match key.label.as_str() {
            "RSA PRIVATE KEY" => Some(pem::pkcs8_of_rsa(&decoded.contents)),
            "EC PRIVATE KEY" => pem::pkcs8_of_ec(&decoded.contents),
            _ => Some(decoded.contents),
        };
        let pair = der.and_then(|der| KeyPair::try_from(der.as_slice()).ok());
        pair.with_context(|| {
            format!("{reading}: it is not an RSA (2048 bits or more), P-256, P-384 or Ed25519 key")
        })
    }
}

impl fmt::Debug for KeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPem(not shown)")
    }
}
