//! Lists of what an authority revoked (RFC 5280 §5), and the certificates that a client shows.
//!
//! PEM comes in; what goes out of a list is what its authority signed.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use time::OffsetDateTime;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::{CertificateInfo, parsed, pem};

/// The list of one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RevocationList {
    /// Whose certificates these are, DER.
    issuer: Vec<u8>,
    /// Which list of that authority this is: a later one has a higher number.
    number: Number,
    /// When it was made.
    pub(crate) from: OffsetDateTime,
    /// Until when it says what is revoked.
    pub(crate) until: OffsetDateTime,
    serials: BTreeSet<Vec<u8>>,
}

/// A number of any length: its bytes without leading zeros, and before them how many these are.
type Number = (usize, Vec<u8>);

/// A certificate that a client shows; who let it in has verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PresentedCertificate {
    pub(crate) name: String,
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl RevocationList {
    /// Finds the list of an authority in a text.
    ///
    /// # Errors
    /// When there is none that it signed.
    pub(crate) fn find(text: &str, authority: &CertificateInfo) -> Result<Self> {
        let holder = parsed(&authority.der)?;
        for block in pem::blocks(text) {
            if block.label != "X509 CRL" {
                continue;
            }
            let reading = "reading a list of what is revoked";
            let (_, block) = x509_parser::pem::parse_x509_pem(block.text.as_bytes())
                .ok()
                .with_context(|| format!("{reading}: its PEM block is damaged"))?;
            let (_, list) =
                CertificateRevocationList::from_der(&block.contents).context(reading)?;
            let is_theirs = list.issuer().as_raw() == holder.subject().as_raw();
            if is_theirs && list.verify_signature(holder.public_key()).is_ok() {
                return Self::of(&list).context(reading);
            }
        }
        bail!(
            "there is no list that '{}' signed of what it revoked",
            holder.subject()
        )
    }

    fn of(list: &CertificateRevocationList<'_>) -> Result<Self> {
        let number = list.crl_number().context("it has no number")?;
        let until = list.next_update().context("it has no nextUpdate")?;
        let serials = list.iter_revoked_certificates();
        Ok(Self {
            issuer: list.issuer().as_raw().to_vec(),
            number: number_of(&number.to_bytes_be()),
            from: list.last_update().to_datetime(),
            until: until.to_datetime(),
            serials: serials
                .map(|revoked| number_of(revoked.raw_serial()).1)
                .collect(),
        })
    }

    /// Says whether it was made before the other one, of the same authority.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.number < other.number
    }

    /// Says whether it revokes what the other one revokes.
    pub(crate) fn revokes_the_same(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.serials == other.serials
    }

    /// Says whether its authority signed a certificate, by name.
    pub(crate) fn is_about(&self, certificate: &PresentedCertificate) -> bool {
        self.issuer == certificate.issuer
    }

    /// Says whether a certificate of its authority is revoked.
    pub(crate) fn revokes(&self, certificate: &PresentedCertificate) -> bool {
        self.serials.contains(&certificate.serial)
    }

    /// Returns how many certificates are revoked.
    pub(crate) fn len(&self) -> usize {
        self.serials.len()
    }
}

impl PresentedCertificate {
    /// Reads a certificate, PEM.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(pem: &[u8]) -> Result<Self> {
        let (_, block) = x509_parser::pem::parse_x509_pem(pem)
            .ok()
            .context("reading a certificate: it contains no PEM block")?;
        let certificate = parsed(&block.contents)?;
        let name = certificate.subject().iter_common_name().next();
        let name = name.and_then(|name| name.as_str().ok());
        Ok(Self {
            name: name.unwrap_or_default().to_owned(),
            issuer: certificate.issuer().as_raw().to_vec(),
            serial: number_of(certificate.raw_serial()).1,
        })
    }
}

fn number_of(bytes: &[u8]) -> Number {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes[zeros..].to_vec();
    (bytes.len(), bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    };
    use time::Duration;

    use super::*;
    use crate::tls::{LocalAuthority, subject};

    /// An authority that signs lists.
    pub(crate) struct ListAuthority {
        pub(crate) certificate: String,
        issuer: Issuer<'static, KeyPair>,
    }

    impl ListAuthority {
        pub(crate) fn new(name: &str) -> Self {
            let key = KeyPair::generate().unwrap();
            let certificate = Self::params(name).self_signed(&key).unwrap().pem();
            Self {
                issuer: Issuer::from_ca_cert_pem(&certificate, key).unwrap(),
                certificate,
            }
        }

        /// One that another signed.
        pub(crate) fn below(above: &LocalAuthority, name: &str) -> Self {
            let mut own = Self::new(name);
            let request = KeyPair::try_from(own.issuer.key().serialize_der()).unwrap();
            own.certificate = Self::params(name)
                .signed_by(&request, &above.issuer)
                .unwrap()
                .pem();
            own
        }

        fn params(name: &str) -> CertificateParams {
            let mut params = CertificateParams::default();
            params.distinguished_name = subject(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params
        }

        /// Signs a list that is valid for a week from a time on.
        pub(crate) fn list(&self, number: u64, serials: &[u64], from: OffsetDateTime) -> String {
            let revoked = serials.iter().map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: from,
                reason_code: None,
                invalidity_date: None,
            });
            let params = CertificateRevocationListParams {
                this_update: from,
                next_update: from + Duration::days(7),
                crl_number: SerialNumber::from(number),
                issuing_distribution_point: None,
                revoked_certs: revoked.collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(&self.issuer).unwrap().pem().unwrap()
        }

        /// Signs a client's certificate.
        pub(crate) fn client(&self, name: &str, serial: u64) -> String {
            let mut params = CertificateParams::default();
            params.distinguished_name = subject(name);
            params.serial_number = Some(SerialNumber::from(serial));
            let key = KeyPair::generate().unwrap();
            params.signed_by(&key, &self.issuer).unwrap().pem()
        }
    }

    #[test]
    fn a_list_counts_for_the_authority_that_signed_it() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let (own, other) = (ListAuthority::new("clients"), ListAuthority::new("clients"));
        let info = CertificateInfo::parse(&own.certificate).unwrap();
        let text = other.list(9, &[7], now) + &own.list(255, &[0x80, 300], now);
        let list = RevocationList::find(&text, &info).unwrap();
        assert_eq!((list.len(), list.from), (2, now));
        assert_eq!(list.until, now + Duration::days(7));
        let shown = |serial| PresentedCertificate::parse(own.client("alice", serial).as_bytes());
        for (serial, revoked) in [(0x80, true), (300, true), (7, false), (0x8000, false)] {
            let shown = shown(serial).unwrap();
            assert_eq!(
                (shown.name.as_str(), list.is_about(&shown)),
                ("alice", true)
            );
            assert_eq!(list.revokes(&shown), revoked, "{serial}");
        }
        let later = RevocationList::find(&own.list(256, &[300, 0x80], now), &info).unwrap();
        assert!(list.is_before(&later) && !later.is_before(&list) && !list.is_before(&list));
        assert!(later.revokes_the_same(&list));
        for text in ["", &other.list(9, &[7], now), &own.certificate] {
            assert_eq!(
                RevocationList::find(text, &info).unwrap_err().to_string(),
                "there is no list that 'CN=clients' signed of what it revoked"
            );
        }
    }
}
