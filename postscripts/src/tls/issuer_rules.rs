//! Whether the certificates of an authority let it sign what dockerd and its clients take.
//!
//! Go's verifier (`crypto/x509`, `Certificate.Verify`) looks at more than others do: the extended key usages
//! of every certificate of a chain, also of its root, and the name constraints of all of them. References:
//! RFC 5280 §4.2.1.3, §4.2.1.9, §4.2.1.10 and §4.2.1.12.

use std::net::IpAddr;

use anyhow::{Result, bail};
use time::OffsetDateTime;
use x509_parser::extensions::{GeneralName, GeneralSubtree};
use x509_parser::prelude::X509Certificate;

use super::{CertificateInfo, SubjectAltNames, address};

/// The extensions that may be critical: others are a reason not to take a certificate.
const KNOWN: [&str; 6] = [
    "2.5.29.15", // keyUsage
    "2.5.29.17", // subjectAltName
    "2.5.29.19", // basicConstraints
    "2.5.29.30", // nameConstraints
    "2.5.29.31", // cRLDistributionPoints
    "2.5.29.37", // extendedKeyUsage
];

/// Fails unless a certificate is one that may sign for servers and clients, with `below` authorities between
/// them and it.
pub(super) fn check(certificate: &X509Certificate<'_>, below: usize) -> Result<()> {
    let Some(basic) = certificate.basic_constraints()?.filter(|it| it.value.ca) else {
        bail!("the certificate is no authority's: its basicConstraints do not say CA");
    };
    let subject = certificate.subject();
    if let Some(length) = basic.value.path_len_constraint
        && (length as usize) < below
    {
        bail!("{subject} has pathlen {length} and {below} other authorities below it");
    }
    if let Some(usage) = certificate.key_usage()?
        && !usage.value.key_cert_sign()
    {
        bail!("{subject} may sign no certificates: its keyUsage has no keyCertSign");
    }
    if let Some(usage) = certificate.extended_key_usage()? {
        let usage = usage.value;
        let fits = usage.any || (usage.server_auth && usage.client_auth);
        if !fits {
            bail!(
                "{subject} may not sign for both servers and clients: its extendedKeyUsage has not both \
                 serverAuth and clientAuth, and dockerd's clients hold what it signs to that"
            );
        }
    }
    let unknown = |oid: &String| !KNOWN.contains(&oid.as_str());
    let critical = certificate.extensions().iter().filter(|it| it.critical);
    if let Some(oid) = critical.map(|it| it.oid.to_id_string()).find(unknown) {
        bail!("{subject} has the critical extension {oid}, which dockerd does not know");
    }
    Ok(())
}

/// Fails unless a certificate of an authority is valid now.
pub(super) fn check_period(certificate: &CertificateInfo, now: OffsetDateTime) -> Result<()> {
    let CertificateInfo {
        not_before,
        not_after,
        ..
    } = certificate;
    if *not_after <= now {
        bail!(
            "its certificate ended on {}: renew it first",
            not_after.date()
        );
    }
    if *not_before > now {
        bail!(
            "its certificate begins at {not_before} and the clock of this host shows {now}: set the clock, or wait"
        );
    }
    Ok(())
}

/// Fails when the name constraints of a certificate keep those below it from having any of these names.
pub(super) fn check_names(
    certificate: &X509Certificate<'_>,
    names: &SubjectAltNames,
) -> Result<()> {
    let Some(constraints) = certificate.name_constraints()? else {
        return Ok(());
    };
    let subject = certificate.subject();
    let subtrees = |list: &Option<Vec<GeneralSubtree<'_>>>| -> Result<Vec<NameSubtree>> {
        let subtrees = list.iter().flatten().filter_map(NameSubtree::read);
        let subtrees: Option<Vec<_>> = subtrees.collect();
        match subtrees {
            Some(subtrees) => Ok(subtrees),
            None => bail!("{subject} has name constraints that dockerd does not know"),
        }
    };
    let permitted = subtrees(&constraints.value.permitted_subtrees)?;
    let excluded = subtrees(&constraints.value.excluded_subtrees)?;
    let dns = names.dns.iter().cloned().map(SubjectName::Dns);
    for name in dns.chain(names.addresses.iter().copied().map(SubjectName::Address)) {
        if let Some(subtree) = excluded
            .iter()
            .find(|subtree| subtree.holds(&name) == Some(true))
        {
            bail!("{subject} may not sign for {name}: its name constraints exclude {subtree}");
        }
        let mut of_kind = permitted.iter().filter_map(|subtree| subtree.holds(&name));
        if let Some(first) = of_kind.next()
            && !first
            && !of_kind.any(|holds| holds)
        {
            bail!(
                "{subject} may not sign for {name}: its name constraints do not permit it, and a certificate \
                 with a name that they do not permit is accepted by no client"
            );
        }
    }
    Ok(())
}

/// A name of a server.
enum SubjectName {
    Dns(String),
    Address(IpAddr),
}

impl std::fmt::Display for SubjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A set of names of one kind.
enum NameSubtree {
    Dns(String),
    Network { base: IpAddr, mask: IpAddr },
}

impl std::fmt::Display for NameSubtree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Network { base, mask } => write!(f, "{base}/{mask}"),
        }
    }
}

impl NameSubtree {
    /// Reads one; `None` where it is of a kind that no server has, and `Some(None)` where Go knows none such.
    fn read(subtree: &GeneralSubtree<'_>) -> Option<Option<Self>> {
        match &subtree.base {
            GeneralName::DNSName(name) => Some(Some(Self::Dns(name.to_lowercase()))),
            GeneralName::IPAddress(bytes) => {
                let (base, mask) = bytes.split_at(bytes.len() / 2);
                let network = address(base).zip(address(mask));
                Some(network.map(|(base, mask)| Self::Network { base, mask }))
            }
            GeneralName::RFC822Name(_) | GeneralName::URI(_) => None,
            _ => Some(None),
        }
    }

    /// Whether a name is in it; `None` where it is of another kind.
    fn holds(&self, name: &SubjectName) -> Option<bool> {
        match (self, name) {
            (Self::Dns(subtree), SubjectName::Dns(name)) => Some(match subtree.strip_prefix('.') {
                Some(_) => name.ends_with(subtree),
                None => {
                    let rest = name.strip_suffix(subtree);
                    subtree.is_empty()
                        || rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                }
            }),
            (Self::Network { base, mask }, SubjectName::Address(address)) => {
                let bits = |address: &IpAddr| match address {
                    IpAddr::V4(address) => u128::from(address.to_bits()),
                    IpAddr::V6(address) => address.to_bits(),
                };
                let inside = bits(base) & bits(mask) == bits(address) & bits(mask);
                Some(base.is_ipv4() == address.is_ipv4() && inside)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, ExtendedKeyUsagePurpose,
        GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    };

    use super::super::{KeyPem, LocalAuthority, SubjectAltNames, subject};

    /// Makes an authority and loads it.
    fn load(change: impl FnOnce(&mut CertificateParams)) -> Result<LocalAuthority, String> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = subject("site");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap().pem();
        let loaded = LocalAuthority::load(&certificate, &KeyPem::new(key.serialize_pem()));
        loaded.map_err(|error| error.to_string())
    }

    #[test]
    fn an_authority_that_go_would_not_take_is_refused() {
        use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
        let lacks = "CN=site may not sign for both servers and clients: its extendedKeyUsage has not both \
                     serverAuth and clientAuth, and dockerd's clients hold what it signs to that";
        for (usages, refusal) in [
            (vec![], None),
            (vec![ServerAuth, ClientAuth, CodeSigning], None),
            (vec![Any], None),
            (vec![ServerAuth], Some(lacks)),
            (vec![ClientAuth, CodeSigning], Some(lacks)),
            (vec![CodeSigning], Some(lacks)),
        ] {
            let loaded = load(|params| params.extended_key_usages = usages);
            assert_eq!(loaded.err().as_deref(), refusal);
        }
        for (usages, refusal) in [
            (vec![], None),
            (vec![KeyUsagePurpose::KeyCertSign], None),
            (
                vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign],
                Some("CN=site may sign no certificates: its keyUsage has no keyCertSign"),
            ),
        ] {
            let loaded = load(|params| params.key_usages = usages);
            assert_eq!(loaded.err().as_deref(), refusal);
        }
        let mut policies = CustomExtension::from_oid_content(
            &[2, 5, 29, 32],
            vec![0x30, 0x04, 0x30, 0x02, 0x06, 0],
        );
        policies.set_criticality(true);
        assert_eq!(
            load(|params| params.custom_extensions = vec![policies])
                .err()
                .as_deref(),
            Some("CN=site has the critical extension 2.5.29.32, which dockerd does not know")
        );
    }

    #[test]
    fn an_authority_is_valid_between_its_beginning_and_its_end() {
        let at = |seconds| time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let authority = load(|params| {
            params.not_before = at(1_800_000_000);
            params.not_after = at(1_900_000_000);
        });
        let authority = authority.unwrap();
        for (now, refusal) in [
            (
                1_799_999_999,
                Some(
                    "its certificate begins at 2027-01-15 8:00:00.0 +00:00:00 and the clock of this host shows \
                     2027-01-15 7:59:59.0 +00:00:00: set the clock, or wait",
                ),
            ),
            (1_800_000_000, None),
            (1_899_999_999, None),
            (
                1_900_000_000,
                Some("its certificate ended on 2030-03-17: renew it first"),
            ),
        ] {
            let checked = authority
                .check_period(at(now))
                .map_err(|error| error.to_string());
            assert_eq!(checked.err().as_deref(), refusal, "{now}");
        }
    }

    #[test]
    fn an_authority_above_is_the_one_that_signed() {
        let authority = |name: &str, issuer: Option<&Issuer<'_, KeyPair>>| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.distinguished_name = subject(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let certificate = match issuer {
                Some(issuer) => params.signed_by(&key, issuer),
                None => params.self_signed(&key),
            };
            (certificate.unwrap().pem(), key)
        };
        let (root, root_key) = authority("root", None);
        let (namesake, _) = authority("root", None);
        let issuer = Issuer::from_ca_cert_pem(&root, root_key).unwrap();
        let (below, key) = authority("below", Some(&issuer));
        let key = KeyPem::new(key.serialize_pem());
        let load = |texts: &[&String]| {
            let text: String = texts.iter().map(|text| text.as_str()).collect();
            let loaded = LocalAuthority::load(&text, &key);
            let chain = loaded.map(|loaded| loaded.chain().count());
            chain.map_err(|error| error.to_string())
        };
        let foreign = "1 more certificate(s) in the file are not above the authority's: remove them, because every one \
                       of them is trusted";
        assert_eq!(load(&[&below]), Ok(1));
        assert_eq!(load(&[&root, &below]), Ok(2));
        for texts in [
            &[&below, &namesake][..],
            &[&below, &namesake, &root],
            &[&root, &namesake, &below],
        ] {
            assert_eq!(load(texts), Err(foreign.to_owned()));
        }
    }

    #[test]
    fn a_name_that_an_authority_may_not_sign_for_is_told() {
        let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
        let network = |text: &str| {
            let (base, length) = text.split_once('/').unwrap();
            let base = base.parse().unwrap();
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(base, length.parse().unwrap()))
        };
        let unpermitted = |name: &str| {
            format!(
                "CN=site may not sign for {name}: its name constraints do not permit it, and a certificate \
                 with a name that they do not permit is accepted by no client"
            )
        };
        let excluded = |name: &str, subtree: &str| {
            format!("CN=site may not sign for {name}: its name constraints exclude {subtree}")
        };
        for (permitted, excludes, refusal) in [
            (vec![], vec![], None),
            (vec![dns("Lab.Example")], vec![], None),
            (vec![dns("example")], vec![dns("other.example")], None),
            (
                vec![dns(".lab.example")],
                vec![network("10.1.0.0/16")],
                None,
            ),
            (vec![dns("")], vec![], None),
            (
                vec![dns("other.example"), dns("host.lab.example")],
                vec![],
                None,
            ),
            (
                vec![dns("ab.example")],
                vec![],
                Some(unpermitted("host.lab.example")),
            ),
            (
                vec![dns(".host.lab.example")],
                vec![],
                Some(unpermitted("host.lab.example")),
            ),
            (
                vec![],
                vec![dns("lab.example")],
                Some(excluded("host.lab.example", "lab.example")),
            ),
            (
                vec![network("10.0.0.0/24"), network("fd00::/8")],
                vec![],
                None,
            ),
            (
                vec![network("10.0.0.0/24")],
                vec![],
                Some(unpermitted("fd00::5")),
            ),
            (
                vec![network("fd00::/8")],
                vec![],
                Some(unpermitted("10.0.0.5")),
            ),
            (
                vec![],
                vec![network("10.0.0.0/8")],
                Some(excluded("10.0.0.5", "10.0.0.0/255.0.0.0")),
            ),
            (
                vec![GeneralSubtree::Rfc822Name("example".to_owned())],
                vec![],
                None,
            ),
            (
                vec![GeneralSubtree::DirectoryName(subject("site"))],
                vec![],
                Some("CN=site has name constraints that dockerd does not know".to_owned()),
            ),
        ] {
            let authority = load(|params| {
                params.name_constraints = Some(NameConstraints {
                    permitted_subtrees: permitted,
                    excluded_subtrees: excludes,
                });
            });
            let names = SubjectAltNames {
                dns: ["host.lab.example".to_owned()].into(),
                addresses: ["10.0.0.5", "fd00::5"]
                    .map(|text| text.parse().unwrap())
                    .into(),
            };
            let checked = authority.unwrap().check_names(&names);
            assert_eq!(checked.err().map(|error| error.to_string()), refusal);
        }
    }
}
