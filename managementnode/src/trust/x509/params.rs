//! What certificates say, as rcgen takes it.
//!
//! Statements come in, parameters of rcgen go out; pure. Reference: RFC 5280.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SerialNumber,
};
use time::Duration;

use super::super::statement::{AuthorityStatement, Purpose, Scope, Serial};

/// Certificates are valid from so long before they are made: clocks of nodes differ.
pub(super) const BACKDATED: Duration = Duration::hours(1);

/// Describes an authority.
pub(super) fn authority(statement: &AuthorityStatement) -> CertificateParams {
    let scope = &statement.scope;
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(&statement.subject);
    params.serial_number = Some(serial_number(&statement.serial));
    params.not_before = statement.from - BACKDATED;
    params.not_after = statement.until;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let levels = match scope {
        // One more than there are below it: while the authority changes, another root is.
        Scope::Root => 2,
        Scope::Boot => 1,
        Scope::Hosts { .. } | Scope::Clients | Scope::BootFiles => 0,
    };
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(levels));
    match scope {
        Scope::Root => {}
        // Without constraints of names: iPXE refuses a critical extension that it does not know.
        Scope::Boot | Scope::BootFiles => {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        }
        Scope::Hosts { domains, networks } => {
            params.extended_key_usages = usages(Purpose::Host);
            let names = domains.iter().cloned().map(GeneralSubtree::DnsName);
            let addresses = networks
                .iter()
                .map(|network| subnet(network.network(), network.prefix()));
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: names.chain(addresses).collect(),
                excluded_subtrees: Vec::new(),
            });
        }
        Scope::Clients => {
            params.extended_key_usages = usages(Purpose::Client);
            let every = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
            let every = every.map(|address| subnet(address, 0));
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: Vec::new(),
                excluded_subtrees: [GeneralSubtree::DnsName(String::new())]
                    .into_iter()
                    .chain(every)
                    .collect(),
            });
        }
    }
    params
}

/// Writes a serial as certificates hold it.
pub(super) fn serial_number(serial: &Serial) -> SerialNumber {
    SerialNumber::from(serial.bytes())
}

fn subnet(address: IpAddr, prefix: u8) -> GeneralSubtree {
    GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix))
}

pub(super) fn usages(purpose: Purpose) -> Vec<ExtendedKeyUsagePurpose> {
    match purpose {
        Purpose::Host => vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ],
        Purpose::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
    }
}

/// The longest common name (RFC 5280, appendix A.1: `ub-common-name`).
const MAX_COMMON_NAME: usize = 64;

pub(super) fn subject(common_name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    let short: String = common_name.chars().take(MAX_COMMON_NAME).collect();
    subject.push(DnType::CommonName, short);
    subject
}
