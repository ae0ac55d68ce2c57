//! Which keys and certificates this host should have, and why any of them changes.
//!
//! The host's names, its authority and the present files come in; the files that it should have go out,
//! with the reasons. Nothing is written here. A certificate that is still valid is never issued again, so
//! that a second run changes nothing.

use anyhow::{Context, Result, bail};
use time::OffsetDateTime;

use super::paths::HostPaths;
use super::site;
use crate::files::{Access, FileChange, load_text};
use crate::identity::HostIdentity;
use crate::tls::{
    Authority, CertificateInfo, KeyPem, LEAF_LIFE, LocalAuthority, SubjectAltNames, Usage,
    certificates_in,
};

/// A certificate is made again when this much of [`LEAF_LIFE`] is left.
pub(super) const RENEW_WITHIN: time::Duration = time::Duration::days(365);

/// What anyone may read, and what its owner alone may in a directory that is open.
pub(super) const PUBLIC: Access = Access::Exactly(0o644);
pub(super) const SECRET: Access = Access::Exactly(0o600);

/// What the certificates must hold.
#[derive(Debug)]
pub(super) struct CertificateRequest<'a> {
    /// The names that the server's certificate must speak for.
    pub(super) names: &'a SubjectAltNames,
    /// The host's short name, for people who read certificates.
    pub(super) hostname: &'a str,
    /// Who signs.
    pub(super) issuer: &'a CertificateIssuer,
    /// Of those above a cluster's authority, trust none to name clients.
    pub(super) issuer_only: bool,
    /// Make everything but the authority anew.
    pub(super) renew: bool,
    /// The time.
    pub(super) now: OffsetDateTime,
}

/// Who signs this host's certificates, and its clients'.
#[derive(Debug)]
pub(super) enum CertificateIssuer {
    /// The host's own authority.
    Own,
    /// A cluster's authority, whose key is at hand.
    Cluster(Box<LocalAuthority>),
    /// The site's: it signed the identity that `enrol` keeps, and its key is elsewhere.
    Site(Box<HostIdentity>),
}

/// The files that the host should have.
pub(super) struct CertificatePlan {
    /// The files that dockerd reads.
    pub(super) server: Vec<FileChange>,
    /// The authority's and the client's files.
    pub(super) other: Vec<FileChange>,
    /// Why each of them changes, for people.
    pub(super) reasons: Vec<String>,
    /// What the proof needs to try a client that dockerd must refuse; absent when nothing is made.
    pub(super) authority: Option<LocalAuthority>,
    /// What clients verify dockerd by, PEM.
    pub(super) roots: String,
    /// Whether a client's key is here, to prove that it gets in.
    pub(super) has_client: bool,
}

/// A key and its certificate, as two files hold them.
struct StoredCertificate {
    certificate: Option<CertificateInfo>,
    /// The intermediate certificates that follow it.
    intermediates: Vec<String>,
    key: Option<KeyPem>,
}

/// Plans the files.
pub(super) fn plan(paths: &HostPaths, request: &CertificateRequest<'_>) -> Result<CertificatePlan> {
    let mut certificates = CertificatePlan {
        server: Vec::new(),
        other: Vec::new(),
        reasons: Vec::new(),
        authority: None,
        roots: String::new(),
        has_client: true,
    };
    let mut own = None;
    let authority: &LocalAuthority = match request.issuer {
        CertificateIssuer::Site(identity) => {
            site::plan(paths, identity, request, &mut certificates)?;
            return Ok(certificates);
        }
        CertificateIssuer::Cluster(cluster) => cluster,
        CertificateIssuer::Own => &*own.insert(own_authority(paths, request, &mut certificates)?),
    };
    authority
        .check_names(request.names)
        .context("having the authority sign for this host")?;
    let bundle = trusted_authorities(paths, authority, request, &mut certificates)?;
    plan_server(paths, request, authority, &mut certificates)?;
    certificates.server.push(FileChange::write(
        paths.server_authorities(),
        bundle,
        PUBLIC,
    ));
    plan_client(paths, request, authority, &mut certificates)?;
    certificates.roots = authority.chain().collect();
    certificates.authority = own;
    Ok(certificates)
}

/// Loads the host's own authority, or makes one where there is none or where it ends before the next
/// certificate would.
fn own_authority(
    paths: &HostPaths,
    request: &CertificateRequest<'_>,
    certificates: &mut CertificatePlan,
) -> Result<LocalAuthority> {
    let certificate = load_text(&paths.authority_certificate())?;
    let key = load_text(&paths.authority_key())?;
    if let (Some(certificate), Some(key)) = (&certificate, key) {
        let loading = || {
            format!(
                "loading the authority in {}",
                paths.authority_dir().display()
            )
        };
        let authority =
            LocalAuthority::load(certificate, &KeyPem::new(key)).with_context(loading)?;
        if CertificateInfo::parse(certificate)?.not_after - request.now > LEAF_LIFE {
            return Ok(authority);
        }
        certificates
            .reasons
            .push("the host's authority ends soon: a new one".to_owned());
    } else if load_text(&paths.server_certificate())?.is_some() && certificate.is_none() {
        bail!(
            "{} was signed by an authority whose key is not here: name it with --ca, or remove that \
             file to let this host have an authority of its own",
            paths.server_certificate().display()
        );
    } else {
        certificates
            .reasons
            .push("the host's own authority: none yet".to_owned());
    }
    let name = format!(
        "{} docker authority {}",
        request.hostname,
        request.now.date()
    );
    let (authority, key) = LocalAuthority::create(&name, request.now)?;
    certificates.other.push(FileChange::write(
        paths.authority_key(),
        key.reveal(),
        Access::Private,
    ));
    certificates.other.push(FileChange::write(
        paths.authority_certificate(),
        authority.certificate(),
        PUBLIC,
    ));
    Ok(authority)
}

/// Returns the authorities whose clients dockerd trusts: the present one with those above it, unless it
/// alone is wanted, and while a change of authority lasts, the one before it. `--renew` without a change
/// ends that.
fn trusted_authorities(
    paths: &HostPaths,
    authority: &LocalAuthority,
    request: &CertificateRequest<'_>,
    certificates: &mut CertificatePlan,
) -> Result<String> {
    let stored = load_text(&paths.server_authorities())?.unwrap_or_default();
    let stored = certificates_in(&stored);
    let is_there = |present: &str| stored.iter().any(|block| block == present);
    let changes = !stored.is_empty() && !is_there(authority.certificate());
    if changes {
        certificates
            .reasons
            .push("the authority changed: the previous one stays trusted too".to_owned());
    }
    let present = if request.issuer_only { 1 } else { usize::MAX };
    let mut bundle: String = authority.chain().take(present).collect();
    if changes || !request.renew {
        let before = stored
            .iter()
            .filter(|block| !authority.chain().any(|own| own == block.as_str()));
        let mut last: Option<CertificateInfo> = None;
        for block in before {
            let described = CertificateInfo::parse(block)?;
            if last.is_some_and(|last| !last.is_issued_by(&described)) {
                break;
            }
            bundle.push_str(block);
            last = Some(described);
        }
    }
    Ok(bundle)
}

fn plan_server(
    paths: &HostPaths,
    request: &CertificateRequest<'_>,
    authority: &LocalAuthority,
    certificates: &mut CertificatePlan,
) -> Result<()> {
    let stored = StoredCertificate::load(&paths.server_certificate(), &paths.server_key())?;
    let reason = match stored.renewal_reason(request, authority)? {
        None => match &stored.certificate {
            Some(certificate) if !certificate.names.cover(request.names) => Some(format!(
                "not all of {} is in it",
                joined_names(request.names)
            )),
            _ => None,
        },
        renewal_reason => renewal_reason,
    };
    let Some(reason) = reason else { return Ok(()) };
    certificates
        .reasons
        .push(format!("dockerd's certificate: {reason}"));
    let (key, certificate) = issue(authority, request, request.names, Usage::Server)?;
    certificates
        .server
        .push(FileChange::write(paths.server_key(), key.reveal(), SECRET));
    certificates.server.push(FileChange::write(
        paths.server_certificate(),
        certificate,
        PUBLIC,
    ));
    Ok(())
}

fn plan_client(
    paths: &HostPaths,
    request: &CertificateRequest<'_>,
    authority: &LocalAuthority,
    certificates: &mut CertificatePlan,
) -> Result<()> {
    let dir = paths.client_dir();
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    if let Some(reason) =
        StoredCertificate::load(&certificate, &key)?.renewal_reason(request, authority)?
    {
        certificates
            .reasons
            .push(format!("the client's certificate: {reason}"));
        let (new_key, new) = issue(
            authority,
            request,
            &SubjectAltNames::default(),
            Usage::Client,
        )?;
        let of_client = |path, text: &str| FileChange::write(path, text, Access::Private);
        certificates.other.push(of_client(key, new_key.reveal()));
        certificates.other.push(of_client(certificate, &new));
    }
    certificates.other.push(FileChange::write(
        dir.join("ca.pem"),
        authority.chain().collect::<String>(),
        Access::Private,
    ));
    Ok(())
}

/// Makes a key here and has the authority sign its request.
fn issue(
    authority: &dyn Authority,
    request: &CertificateRequest<'_>,
    names: &SubjectAltNames,
    usage: Usage,
) -> Result<(KeyPem, String)> {
    let key = KeyPem::generate()?;
    let signing_request = key.request(request.hostname, names)?;
    let end = CertificateInfo::parse(authority.certificate())?.not_after;
    let certificate = authority.sign(&signing_request, usage, end.min(request.now + LEAF_LIFE))?;
    Ok((key, certificate))
}

impl StoredCertificate {
    fn load(certificate: &std::path::Path, key: &std::path::Path) -> Result<Self> {
        let text = load_text(certificate)?.unwrap_or_default();
        Ok(Self {
            // One that cannot be read is as good as none: it is made again.
            certificate: CertificateInfo::parse(&text).ok(),
            intermediates: certificates_in(&text).into_iter().skip(1).collect(),
            key: load_text(key)?.map(KeyPem::new),
        })
    }

    /// Says why the pair no longer serves, if it does not.
    fn renewal_reason(
        &self,
        request: &CertificateRequest<'_>,
        authority: &LocalAuthority,
    ) -> Result<Option<String>> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(Some("none yet".to_owned()));
        };
        let signer = CertificateInfo::parse(authority.certificate())?;
        Ok(if request.renew {
            Some("asked for with --renew".to_owned())
        } else if !key.belongs_to(certificate).unwrap_or(false) {
            Some("it does not match its key".to_owned())
        } else if !certificate.is_signed_by(&signer)? {
            Some("another authority signed it".to_owned())
        } else if !self.intermediates.iter().eq(authority.intermediates()) {
            Some("its intermediate certificates are missing".to_owned())
        } else if certificate.not_after - request.now < RENEW_WITHIN
            // No new one would last longer than who signs it.
            && certificate.not_after < signer.not_after
        {
            Some(format!("it ends on {}", certificate.not_after.date()))
        } else {
            None
        })
    }
}

fn joined_names(names: &SubjectAltNames) -> String {
    let addresses = names.addresses.iter().map(ToString::to_string);
    names
        .dns
        .iter()
        .cloned()
        .chain(addresses)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::tls::AUTHORITY_LIFE;

    /// A host in a directory whose clock moves.
    struct TestHost {
        root: tempfile::TempDir,
        now: OffsetDateTime,
    }

    impl TestHost {
        fn new() -> Self {
            Self {
                root: tempfile::tempdir().unwrap(),
                now: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(),
            }
        }

        /// Plans, puts everything in place and returns the reasons.
        fn run(&self, renew: bool) -> Vec<String> {
            let paths = HostPaths::new(self.root.path());
            let names = SubjectAltNames {
                dns: ["host01".to_owned()].into(),
                ..SubjectAltNames::default()
            };
            let request = CertificateRequest {
                names: &names,
                hostname: "host01",
                issuer: &CertificateIssuer::Own,
                issuer_only: false,
                renew,
                now: self.now,
            };
            let certificates = plan(&paths, &request).unwrap();
            for change in certificates.server.iter().chain(&certificates.other) {
                std::fs::create_dir_all(change.path.parent().unwrap()).unwrap();
                std::fs::write(&change.path, change.text.as_ref().unwrap()).unwrap();
            }
            certificates.reasons
        }

        fn trusted_authorities(&self) -> usize {
            let bundle = HostPaths::new(self.root.path()).server_authorities();
            certificates_in(&std::fs::read_to_string(bundle).unwrap()).len()
        }
    }

    #[test]
    fn certificates_are_renewed_when_a_third_of_their_life_is_left_and_not_before() {
        let mut host = TestHost::new();
        assert_eq!(
            host.run(false),
            [
                "the host's own authority: none yet",
                "dockerd's certificate: none yet",
                "the client's certificate: none yet"
            ]
        );
        let end = (host.now + LEAF_LIFE).date();
        host.now += LEAF_LIFE - RENEW_WITHIN;
        assert_eq!(host.run(false), Vec::<String>::new());
        host.now += Duration::seconds(1);
        assert_eq!(
            host.run(false),
            [
                format!("dockerd's certificate: it ends on {end}"),
                format!("the client's certificate: it ends on {end}")
            ]
        );
        assert_eq!(host.run(false), Vec::<String>::new());
    }

    #[test]
    fn an_authority_is_followed_before_it_would_end_what_it_signs() {
        let mut host = TestHost::new();
        host.run(false);
        host.now += AUTHORITY_LIFE - LEAF_LIFE - Duration::seconds(1);
        assert!(!host.run(false)[0].contains("authority"));
        host.now += Duration::seconds(1);
        assert_eq!(
            host.run(false),
            [
                "the host's authority ends soon: a new one",
                "the authority changed: the previous one stays trusted too",
                "dockerd's certificate: another authority signed it",
                "the client's certificate: another authority signed it"
            ]
        );
        assert_eq!(host.trusted_authorities(), 2);
        assert_eq!(host.run(false), Vec::<String>::new());
        assert_eq!(host.trusted_authorities(), 2);
        assert_eq!(
            host.run(true),
            [
                "dockerd's certificate: asked for with --renew",
                "the client's certificate: asked for with --renew"
            ]
        );
        assert_eq!(host.trusted_authorities(), 1);
    }
}
