//! Keys, signing requests and certificates: this and its parts alone know rcgen and x509-parser.
//!
//! Names come in, PEM text goes out; nothing here touches a disk, a clock other than the one it is
//! handed, or a socket. Keys are ECDSA P-256 (FIPS 186-5), which every dockerd from 20.10 on, Go's and
//! OpenSSL's clients and rustls accept; certificates follow RFC 5280 with the subject's names in
//! `subjectAltName` alone (RFC 6125 §6.4.4: nobody reads the common name any more).
//!
//! Keys and certificates that others made are read as tools write them: PKCS #8, PKCS #1 and SEC 1, with
//! explanations before the blocks; an authority may come with those above it.
//!
//! A key is made where it is used and leaves that host never: what travels is a request ([`SigningRequest`],
//! PKCS #10), and whoever signs ([`Authority`]) decides what the certificate may be used for.

mod chain;
mod issuer_rules;
mod key;
mod pem;
mod revocations;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use anyhow::{Context, Result};
use definitions::{SignedIdentity, hex};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::{FromDer, X509Certificate};

pub use key::KeyPem;
#[cfg(test)]
pub(crate) use revocations::tests as revocations_for_tests;
pub(crate) use revocations::{PresentedCertificate, RevocationList};

/// How long the certificate of a server or a client is valid.
///
/// Three years: every run of `setupdockerhost` renews it once a third is left, so that a host that is
/// visited once a year never meets the end, and a lost client key does not open the door for ever
/// (dockerd checks no revocation list).
pub const LEAF_LIFE: Duration = Duration::days(3 * 365);

/// How long a host's own authority is valid.
pub const AUTHORITY_LIFE: Duration = Duration::days(10 * 365);

/// From when on every certificate is valid: where the clock of a host without a battery starts, so
/// that such a host trusts them before its clock is set.
const NOT_BEFORE: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

/// A request to sign a public key (PKCS #10, RFC 2986), as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningRequest(String);

/// What a certificate may be used for; exactly one, so that a stolen server key opens no daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// To answer as a daemon: `serverAuth`.
    Server,
    /// To speak to a daemon: `clientAuth`.
    Client,
}

/// The names that a certificate speaks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct SubjectAltNames {
    /// DNS names.
    pub dns: BTreeSet<String>,
    /// IP addresses.
    pub addresses: BTreeSet<IpAddr>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The names in it.
    pub names: SubjectAltNames,
    /// When it begins.
    pub not_before: OffsetDateTime,
    /// When it ends.
    pub not_after: OffsetDateTime,
    /// The public key, DER (`SubjectPublicKeyInfo`).
    public_key: Vec<u8>,
    /// Who it is about, and who says so, DER.
    subject: Vec<u8>,
    issuer: Vec<u8>,
    /// A comment, where there is one.
    comment: Option<String>,
    /// The certificate itself, DER.
    der: Vec<u8>,
}

/// Whoever signs requests: the host itself, or a cluster's authority.
pub trait Authority {
    /// Returns the authority's certificate, PEM.
    fn certificate(&self) -> &str;

    /// Signs a request for one use until `not_after`; the names are those in the request. What comes
    /// back is the certificate, followed by the intermediate certificates.
    ///
    /// # Errors
    /// When the request is no request, is not signed by its own key, or the authority refuses.
    fn sign(
        &self,
        request: &SigningRequest,
        usage: Usage,
        not_after: OffsetDateTime,
    ) -> Result<String>;
}

/// An authority whose key is at hand.
pub struct LocalAuthority {
    certificate: String,
    /// Its other certificates, and those above it, in the order of [`chain`].
    above: Vec<String>,
    issuer: Issuer<'static, KeyPair>,
}

impl SigningRequest {
    /// Returns the PEM text.
    pub fn as_pem(&self) -> &str {
        &self.0
    }
}

impl SubjectAltNames {
    /// Says whether a certificate with these names speaks for all of `others`.
    pub fn cover(&self, others: &Self) -> bool {
        others.dns.is_subset(&self.dns) && others.addresses.is_subset(&self.addresses)
    }
}

impl LocalAuthority {
    /// Makes a new authority, with its key, that signs no other authority (`pathlen` 0).
    ///
    /// # Errors
    /// When the kernel hands out no random numbers.
    pub fn create(common_name: &str, now: OffsetDateTime) -> Result<(Self, KeyPem)> {
        let key = KeyPem::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(common_name);
        params.not_before = NOT_BEFORE;
        params.not_after = now + AUTHORITY_LIFE;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params
            .self_signed(&key.pair()?)
            .context("signing an authority")?
            .pem();
        Ok((Self::load(&certificate, &key)?, key))
    }

    /// Takes an authority that exists: its certificate, perhaps with those above it, and its key. Where it has several, one
    /// that it signed itself is its own, then the one that lasts longest.
    ///
    /// # Errors
    /// When they do not belong together, or the certificate is not one that may sign.
    pub fn load(certificates: &str, key: &KeyPem) -> Result<Self> {
        let mut above = chain::of(certificates, key)?;
        let certificate = above.remove(0);
        let issuer = Issuer::from_ca_cert_pem(&certificate, key.pair()?)
            .context("reading the authority's certificate")?;
        Ok(Self {
            certificate,
            above,
            issuer,
        })
    }

    /// Signs another authority's key, as which it is known by its own certificate.
    ///
    /// # Errors
    /// When it cannot be signed.
    #[cfg(test)]
    pub(crate) fn cross(&self, other: &Self) -> Result<String> {
        let described = CertificateInfo::parse(&other.certificate)?;
        let certificate = parsed(&described.der)?;
        let name = certificate.subject().iter_common_name().next();
        let name = name.and_then(|name| name.as_str().ok());
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name.context("it has no name")?);
        params.not_after = described.not_after;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signed = params.signed_by(other.issuer.key(), &self.issuer)?;
        Ok(signed.pem())
    }

    /// Returns the certificates of the authority and of those above it.
    pub fn chain(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.certificate)
            .chain(&self.above)
            .map(String::as_str)
    }

    /// Fails when it, or one above it, is not valid at this time.
    ///
    /// # Errors
    /// When one has ended, or has not begun.
    pub fn check_period(&self, now: OffsetDateTime) -> Result<()> {
        self.chain().try_for_each(|certificate| {
            issuer_rules::check_period(&CertificateInfo::parse(certificate)?, now)
        })
    }

    /// Fails when it, or one above it, may not sign for a server with one of these names.
    ///
    /// # Errors
    /// When name constraints do not permit one of them.
    pub fn check_names(&self, names: &SubjectAltNames) -> Result<()> {
        for certificate in self.chain() {
            let described = CertificateInfo::parse(certificate)?;
            issuer_rules::check_names(&parsed(&described.der)?, names)?;
        }
        Ok(())
    }

    /// Returns what goes with every certificate that it signs: all of its chain that a caller who trusts
    /// the last of it cannot know.
    pub fn intermediates(&self) -> impl Iterator<Item = &str> {
        self.chain().filter(|text| {
            let described = CertificateInfo::parse(text);
            !described.is_ok_and(|described| described.is_self_signed())
        })
    }
}

impl Authority for LocalAuthority {
    fn certificate(&self) -> &str {
        &self.certificate
    }

    fn sign(
        &self,
        request: &SigningRequest,
        usage: Usage,
        not_after: OffsetDateTime,
    ) -> Result<String> {
        let mut request = CertificateSigningRequestParams::from_pem(&request.0)
            .context("reading a signing request")?;
        let params = &mut request.params;
        params.not_before = NOT_BEFORE;
        params.not_after = not_after;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match usage {
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let signed = request.signed_by(&self.issuer);
        let mut signed = signed.context("signing a certificate")?.pem();
        signed.extend(self.intermediates());
        Ok(signed)
    }
}

impl fmt::Debug for LocalAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalAuthority")
            .field("certificate", &self.certificate)
            .finish()
    }
}

impl CertificateInfo {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// When there is none, or it is not what RFC 5280 says.
    pub fn parse(pem: &str) -> Result<Self> {
        let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
            .ok()
            .context("reading a certificate: it contains no PEM block")?;
        Self::of_der(&block.contents)
    }

    /// Reads a certificate, DER.
    ///
    /// # Errors
    /// When it is not what RFC 5280 says.
    pub fn of_der(der: &[u8]) -> Result<Self> {
        let certificate = parsed(der)?;
        Ok(Self {
            names: subject_alt_names_of(&certificate),
            not_before: certificate.validity().not_before.to_datetime(),
            not_after: certificate.validity().not_after.to_datetime(),
            public_key: certificate.public_key().raw.to_vec(),
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            comment: certificate.extensions().iter().find_map(comment_of),
            der: der.to_vec(),
        })
    }

    /// Says whether it names these keys of trees as those of its site.
    pub(crate) fn names_trees(&self, keys: &str) -> bool {
        let named = self.comment.as_deref();
        let named = named.and_then(|comment| comment.strip_prefix(SignedIdentity::TREES));
        named.is_some_and(|named| named == hex(&Sha256::digest(keys)))
    }

    /// Returns its SHA-256, in hexadecimal digits.
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.der))
    }

    /// Returns its subject, DER.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// Says whether its holder signed it with the same key: not so a certificate of a new key by the one before.
    pub fn is_self_signed(&self) -> bool {
        self.may_be_signed_by(self)
    }

    /// Says whether the other certificate is about whoever issued this one, by name.
    pub fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer == other.subject
    }

    /// Says whether the other certificate is about the same holder, by name and key.
    pub fn has_holder_of(&self, other: &Self) -> bool {
        self.subject == other.subject && self.public_key == other.public_key
    }

    /// Says whether the other certificate is about whoever issued this one, as far as that can be told: by name, and by the
    /// signature where it is of a kind that is known here.
    fn may_be_signed_by(&self, other: &Self) -> bool {
        let refuted = || -> Result<bool> {
            let issuer = parsed(&other.der)?;
            let checked = parsed(&self.der)?.verify_signature(Some(issuer.public_key()));
            Ok(matches!(
                checked,
                Err(X509Error::SignatureVerificationError)
            ))
        };
        self.is_issued_by(other) && refuted().is_ok_and(|refuted| !refuted)
    }

    /// Says whether the holder of the other certificate signed this one.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn is_signed_by(&self, authority: &Self) -> Result<bool> {
        let issuer = parsed(&authority.der)?;
        Ok(parsed(&self.der)?
            .verify_signature(Some(issuer.public_key()))
            .is_ok())
    }
}

/// Splits a text into its certificates, each as a PEM block with a line end.
pub fn certificates_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for block in pem::blocks(text) {
        if block.label == "CERTIFICATE" && !found.contains(&block.text) {
            found.push(block.text);
        }
    }
    found
}

/// Reads a DER certificate.
fn parsed(der: &[u8]) -> Result<X509Certificate<'_>> {
    let (_, certificate) = X509Certificate::from_der(der).context("reading a certificate")?;
    Ok(certificate)
}

fn comment_of(extension: &X509Extension<'_>) -> Option<String> {
    match extension.parsed_extension() {
        ParsedExtension::NsCertComment(comment) => Some((*comment).to_owned()),
        _ => None,
    }
}

fn subject_alt_names_of(certificate: &X509Certificate<'_>) -> SubjectAltNames {
    let mut names = SubjectAltNames::default();
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return names;
    };
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(name) => {
                names.dns.insert((*name).to_owned());
            }
            GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    names
}

/// Reads the four or sixteen bytes of an `iPAddress` name (RFC 5280 §4.2.1.6).
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// The longest common name (RFC 5280, appendix A.1: `ub-common-name`).
const COMMON_NAME: usize = 64;

fn subject(common_name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    let short: String = common_name.chars().take(COMMON_NAME).collect();
    subject.push(DnType::CommonName, short);
    subject
}

fn subject_alt_names(names: &SubjectAltNames) -> Result<Vec<SanType>> {
    let dns = names.dns.iter().map(|name| {
        let name = name.as_str().try_into();
        name.map(SanType::DnsName)
            .context("putting a DNS name into a certificate")
    });
    let addresses = names
        .addresses
        .iter()
        .map(|address| Ok(SanType::IpAddress(*address)));
    dns.chain(addresses).collect()
}

#[cfg(test)]
mod tests;
