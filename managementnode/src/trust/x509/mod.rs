//! Keys, requests and certificates: this and its part alone know rcgen and x509-parser.
//!
//! Names come in, PEM text goes out; nothing here touches a disk or a socket. Keys are ECDSA P-256 (FIPS 186-5), which
//! dockerd, Go's and OpenSSL's clients and rustls take; those of what nodes boot are RSA, as no iPXE before 2026 checks
//! others. A request (PKCS #10, RFC 2986) gives its public key and
//! nothing else: every word of a certificate is ours. Reference: RFC 5280.

mod params;

use std::fmt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CustomExtension, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    PublicKeyData, RevokedCertParams, SanType, SerialNumber, SigningKey as _, SubjectPublicKeyInfo,
};
use time::{Duration, OffsetDateTime};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, X509Certificate};

use self::params::{BACKDATED, authority, serial_number, subject, usages};
use super::cms;
use super::statement::{AuthorityStatement, Serial, Statement};

/// The extension that holds a comment, which nobody but its reader heeds.
const NETSCAPE_COMMENT: &[u64] = &[2, 16, 840, 1, 113_730, 1, 13];

/// The longest request that is read.
const MAX_REQUEST: usize = 16 << 10;

/// A private key, as PEM (PKCS #8). Prints as nothing, so that no log ever holds it.
#[derive(Clone)]
pub(crate) struct PrivateKey(String);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(not shown)")
    }
}

/// A public key that came with proof that its owner has the private one.
#[derive(Debug)]
pub(crate) struct RequestedKey {
    info: SubjectPublicKeyInfo,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certified {
    pub(crate) subject: String,
    pub(crate) from: OffsetDateTime,
    pub(crate) until: OffsetDateTime,
    /// The certificate, DER.
    pub(crate) der: Vec<u8>,
    public_key: Vec<u8>,
}

/// An authority that can sign: its certificate and its key.
pub(crate) struct Signer {
    certificate: String,
    /// What follows it, PEM: another root's word for the one above it.
    cross: String,
    described: Certified,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("certificate", &self.described.subject)
            .finish()
    }
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// When the kernel hands out no random numbers.
    pub(crate) fn generate() -> Result<Self> {
        let pair = KeyPair::generate().context("making a P-256 key")?;
        Ok(Self(pair.serialize_pem()))
    }

    /// Makes a new RSA key, by OpenSSL, which whoever builds iPXE has.
    ///
    /// # Errors
    /// When there is no openssl, or it makes none.
    pub(crate) fn generate_rsa() -> Result<Self> {
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA"])
            .args(["-pkeyopt", "rsa_keygen_bits:3072"])
            .stdin(Stdio::null())
            .output()
            .context("making an RSA key: running openssl")?;
        match String::from_utf8(made.stdout) {
            Ok(pem) if made.status.success() => Ok(Self(pem)),
            _ => bail!("making an RSA key: openssl ended with {}", made.status),
        }
    }

    /// Takes a key that is in a file.
    pub(crate) fn new(pem: String) -> Self {
        Self(pem)
    }

    /// Returns the PEM text; for the one file that holds it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the public key, to be certified.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub(crate) fn public(&self) -> Result<RequestedKey> {
        let info = SubjectPublicKeyInfo::from_der(&self.pair()?.subject_public_key_info());
        Ok(RequestedKey {
            info: info.context("reading a public key")?,
        })
    }

    fn pair(&self) -> Result<KeyPair> {
        if self.0.contains("ENCRYPTED") {
            bail!(
                "the key is encrypted, and nobody is asked for a pass phrase here: openssl pkey -in FILE -out FILE"
            );
        }
        KeyPair::from_pem(&self.0)
            .context("reading a private key: expected PKCS #8 as PEM, P-256, Ed25519 or RSA")
    }
}

impl RequestedKey {
    /// Takes the public key of a signing request, PEM, that is signed by its own key.
    ///
    /// # Errors
    /// When it is no request, or whoever made it does not have the key.
    pub(crate) fn parse(request: &str) -> Result<Self> {
        if request.len() > MAX_REQUEST {
            bail!("reading a signing request: it has more than {MAX_REQUEST} bytes");
        }
        let (_, block) = x509_parser::pem::parse_x509_pem(request.as_bytes())
            .ok()
            .context("reading a signing request: there is no PEM block")?;
        if !block.label.ends_with("CERTIFICATE REQUEST") {
            bail!(
                "reading a signing request: the PEM block is a {}",
                block.label.escape_debug()
            );
        }
        let (rest, request) = X509CertificationRequest::from_der(&block.contents)
            .ok()
            .context("reading a signing request: it is damaged")?;
        if !rest.is_empty() {
            bail!("reading a signing request: bytes follow it");
        }
        request
            .verify_signature()
            .ok()
            .context("reading a signing request: it is not signed by its own key")?;
        let key = request.certification_request_info.subject_pki.raw;
        let info = SubjectPublicKeyInfo::from_der(key)
            .ok()
            .filter(|info| [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519].contains(&info.algorithm()));
        Ok(Self {
            info: info
                .context("reading a signing request: its key is neither P-256 nor Ed25519")?,
        })
    }

    /// Returns the key, DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.info.subject_public_key_info()
    }
}

impl Certified {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn parse(pem: &str) -> Result<Self> {
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .ok()
            .context("reading a certificate: there is no PEM block")?;
        let (_, certificate) = X509Certificate::from_der(&block.contents)
            .ok()
            .context("reading a certificate: it is damaged")?;
        let name = certificate.subject().iter_common_name().next();
        let name = name.and_then(|name| name.as_str().ok()).unwrap_or_default();
        Ok(Self {
            subject: name.to_owned(),
            from: certificate.validity().not_before.to_datetime(),
            until: certificate.validity().not_after.to_datetime(),
            public_key: certificate.public_key().raw.to_vec(),
            der: block.contents.clone(),
        })
    }

    /// Reads all certificates of a PEM text.
    ///
    /// # Errors
    /// When one is damaged.
    pub(crate) fn parse_all(pem: &str) -> Result<Vec<Self>> {
        let end = "-----END CERTIFICATE-----";
        let blocks = pem
            .split_inclusive(end)
            .filter(|block| block.ends_with(end));
        blocks.map(Self::parse).collect()
    }

    /// Says whether the certificate is over a key.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub(crate) fn is_over(&self, key: &PrivateKey) -> Result<bool> {
        Ok(key.pair()?.subject_public_key_info() == self.public_key)
    }
}

impl Signer {
    /// Puts an authority's certificate and its key together.
    ///
    /// # Errors
    /// When they do not belong together.
    pub(crate) fn load(certificate: &str, key: &PrivateKey) -> Result<Self> {
        let described = Certified::parse(certificate)?;
        if !described.is_over(key)? {
            bail!(
                "the key does not belong to the certificate of '{}'",
                described.subject
            );
        }
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(certificate, key.pair()?)
                .context("reading an authority")?,
            certificate: certificate.to_owned(),
            cross: String::new(),
            described,
        })
    }

    /// Has another root's word for the one above this authority follow whatever it signs.
    pub(crate) fn followed_by(self, cross: &str) -> Self {
        Self {
            cross: cross.to_owned(),
            ..self
        }
    }

    /// Returns what follows whatever it signs, PEM.
    pub(crate) fn chain(&self) -> String {
        format!("{}{}", self.certificate, self.cross)
    }

    /// Returns who it is.
    pub(crate) fn subject(&self) -> &str {
        &self.described.subject
    }

    /// Returns the SHA-256 of its certificate.
    pub(crate) fn digest(&self) -> String {
        super::secret::digest(&self.described.der)
    }

    /// Signs another root's key, as which it is known by its own certificate.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(crate) fn cross(&self, statement: &AuthorityStatement, other: &Self) -> Result<String> {
        let mut params = authority(statement);
        params.not_after = statement.until.min(self.described.until);
        let signed = params
            .signed_by(other.issuer.key(), &self.issuer)
            .context("signing another root")?;
        Ok(signed.pem())
    }

    /// Makes the root: its certificate, signed by its own key.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub(crate) fn root(statement: &AuthorityStatement, key: &PrivateKey) -> Result<String> {
        let params = authority(statement);
        let signed = params
            .self_signed(&key.pair()?)
            .context("signing the root")?;
        Ok(signed.pem())
    }

    /// Signs another authority; its end is not after this one's own.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub(crate) fn authority(
        &self,
        statement: &AuthorityStatement,
        key: &PrivateKey,
    ) -> Result<String> {
        let mut params = authority(statement);
        params.not_after = statement.until.min(self.described.until);
        let signed = params
            .signed_by(&key.pair()?, &self.issuer)
            .context("signing an authority")?;
        Ok(signed.pem())
    }

    /// Signs a statement about a key; its end is not after the authority's own. What follows the certificate is the
    /// authority's, which a caller needs to get to the root.
    ///
    /// # Errors
    /// When a name can be in no certificate.
    pub(crate) fn sign(&self, statement: &Statement, key: &RequestedKey) -> Result<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&statement.subject);
        params.serial_number = Some(serial_number(&statement.serial));
        params.not_before = (statement.from - BACKDATED).max(self.described.from);
        params.not_after = statement.until.min(self.described.until);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages(statement.purpose);
        for name in &statement.domains {
            let name = name.as_str().try_into();
            params
                .subject_alt_names
                .push(SanType::DnsName(name.context("writing a name")?));
        }
        let addresses = statement.addresses.iter().copied();
        params
            .subject_alt_names
            .extend(addresses.map(SanType::IpAddress));
        if let Some(comment) = &statement.comment {
            let text = yasna::construct_der(|writer| writer.write_ia5_string(comment));
            let comment = CustomExtension::from_oid_content(NETSCAPE_COMMENT, text);
            params.custom_extensions.push(comment);
        }
        let signed = params
            .signed_by(&key.info, &self.issuer)
            .context("signing a certificate")?;
        Ok(signed.pem() + &self.chain())
    }

    /// Signs bytes that nodes boot, as their signer: a certificate of that name over the authority's own key, the same one
    /// each time, so that a signature is the same too. `above` are the certificates up to the root, PEM.
    ///
    /// # Errors
    /// When the name can be in no certificate, or the key cannot sign.
    pub(crate) fn sign_boot_file(&self, name: &str, above: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name);
        let number = super::secret::short_digest(&[name.as_bytes(), &self.described.der].concat());
        params.serial_number = Some(serial_number(&Serial::new(number)));
        params.not_before = self.described.from;
        params.not_after = self.described.until;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let signed = params
            .signed_by(self.issuer.key(), &self.issuer)
            .context("signing a certificate")?;
        let own = signed.der();
        let (_, certificate) = X509Certificate::from_der(own)
            .ok()
            .context("reading a certificate: it is damaged")?;
        let signature = self
            .issuer
            .key()
            .sign(bytes)
            .context("signing a boot file")?;
        let above = Certified::parse(above)?.der;
        Ok(cms::signed_data(&cms::SignatureParts {
            certificates: &[own, &self.described.der, &above],
            issuer: certificate.issuer().as_raw(),
            serial: certificate.raw_serial(),
            signature: &signature,
        }))
    }

    /// Signs the list of what is revoked.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(crate) fn revocations(
        &self,
        revoked: &[(Serial, OffsetDateTime)],
        number: i64,
        now: OffsetDateTime,
    ) -> Result<String> {
        let revoked = revoked.iter().map(|(serial, time)| RevokedCertParams {
            serial_number: serial_number(serial),
            revocation_time: *time,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update: now + Duration::days(7),
            crl_number: SerialNumber::from(number.to_be_bytes().to_vec()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = params
            .signed_by(&self.issuer)
            .context("signing a list of revocations")?;
        signed.pem().context("writing a list of revocations")
    }

    /// Says until when it can sign.
    pub(crate) fn until(&self) -> OffsetDateTime {
        self.described.until
    }
}

/// Whom a certificate is about, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateHolder {
    pub(crate) name: String,
    pub(crate) serial: String,
}

/// Returns the holder of a certificate, DER: for whoever has verified it.
pub(crate) fn holder(der: &[u8]) -> Option<CertificateHolder> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    Some(CertificateHolder {
        name: name.as_str().ok()?.to_owned(),
        serial: definitions::hex(certificate.raw_serial()),
    })
}
