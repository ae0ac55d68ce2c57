//! Certificates of a host that the site's authority signed: `enrol` has the identity, dockerd gets it.
//!
//! Nothing is signed here, and no authority's key is on the host. A host that had an authority of its own is moved over in two
//! runs: after the first, dockerd lets in the site's clients and those of before; the second one ends that, and erases the
//! authority and its client.

use anyhow::{Context, Result, bail};

use super::certificates::{CertificatePlan, CertificateRequest, PUBLIC, SECRET};
use super::paths::HostPaths;
use crate::files::{FileChange, load_text};
use crate::identity::HostIdentity;
use crate::tls::{CertificateInfo, KeyPem, LocalAuthority, certificates_in};

/// Plans the files.
///
/// # Errors
/// When the identity has ended.
pub(super) fn plan(
    paths: &HostPaths,
    identity: &HostIdentity,
    request: &CertificateRequest<'_>,
    certificates: &mut CertificatePlan,
) -> Result<()> {
    if identity.info.not_after <= request.now {
        bail!(
            "the identity that the site signed for this host ended on {}: run enrol, or let the host enrol again",
            identity.info.not_after.date()
        );
    }
    certificates.roots.clone_from(&identity.root);
    let present = load_text(&paths.server_certificate())?;
    if present.as_ref() != Some(&identity.certificate) {
        certificates
            .reasons
            .push("dockerd's certificate: the one that the site signed".to_owned());
    }
    let previous = previous_authorities(paths, identity)?;
    if !previous.is_empty() {
        certificates.reasons.push(
            "clients are the site's now: those of the previous authority get in until the next run"
                .to_owned(),
        );
    }
    certificates.has_client = !previous.is_empty() && takes_old_client(paths, certificates)?;
    if previous.is_empty() {
        erase(paths, certificates)?;
    }
    let bundle = identity.clients.clone() + &previous.concat();
    let server = [
        FileChange::write(paths.server_key(), identity.key.reveal(), SECRET),
        FileChange::write(paths.server_certificate(), &identity.certificate, PUBLIC),
        FileChange::write(paths.server_authorities(), bundle, PUBLIC),
    ];
    certificates.server.extend(server);
    Ok(())
}

/// Returns the authorities that dockerd trusted before it trusts the site's: none where it does already.
fn previous_authorities(paths: &HostPaths, identity: &HostIdentity) -> Result<Vec<String>> {
    let stored = load_text(&paths.server_authorities())?.unwrap_or_default();
    let stored = certificates_in(&stored);
    let own = certificates_in(&identity.clients);
    if own.iter().all(|own| stored.contains(own)) {
        return Ok(Vec::new());
    }
    Ok(stored
        .into_iter()
        .filter(|authority| !own.contains(authority))
        .collect())
}

/// Says whether a client of before is here, to prove that it still gets in; its authority then makes one that has expired.
fn takes_old_client(paths: &HostPaths, certificates: &mut CertificatePlan) -> Result<bool> {
    let client = paths.client_dir();
    for name in ["cert.pem", "key.pem"] {
        if load_text(&client.join(name))?.is_none() {
            return Ok(false);
        }
    }
    let authority = load_text(&paths.authority_certificate())?;
    if let (Some(authority), Some(key)) = (authority, load_text(&paths.authority_key())?) {
        let loaded = LocalAuthority::load(&authority, &KeyPem::new(key)).with_context(|| {
            format!(
                "loading the authority in {}",
                paths.authority_dir().display()
            )
        })?;
        certificates.authority = Some(loaded);
    }
    Ok(true)
}

/// Erases what a host of the site does not have: an authority's key, and a client of it. A client that somebody else signed is
/// not ours: a management node has one that speaks to all hosts.
fn erase(paths: &HostPaths, certificates: &mut CertificatePlan) -> Result<()> {
    let mut all = vec![paths.authority_key(), paths.authority_certificate()];
    if has_own_client(paths)? {
        let client = paths.client_dir();
        all.extend(["key.pem", "cert.pem", "ca.pem"].map(|name| client.join(name)));
    }
    for path in all {
        if load_text(&path)?.is_some() {
            certificates.reasons.push(format!(
                "the site's authority is in its place: {}",
                path.display()
            ));
            certificates.other.push(FileChange::remove(path));
        }
    }
    Ok(())
}

/// Says whether the client that is here is one of the host's own authority.
fn has_own_client(paths: &HostPaths) -> Result<bool> {
    let authority = load_text(&paths.authority_certificate())?;
    let client = load_text(&paths.client_dir().join("cert.pem"))?;
    let (Some(authority), Some(client)) = (authority, client) else {
        return Ok(false);
    };
    CertificateInfo::parse(&client)?.is_signed_by(&CertificateInfo::parse(&authority)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::dockerhost::certificates::{self, CertificateIssuer};
    use crate::tls::{Authority, SubjectAltNames, Usage};

    /// A host in a directory.
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

        fn paths(&self) -> HostPaths {
            HostPaths::new(self.root.path())
        }

        fn run(&self, issuer: &CertificateIssuer) -> Result<(Vec<String>, bool)> {
            let paths = self.paths();
            let names = SubjectAltNames::default();
            let request = CertificateRequest {
                names: &names,
                hostname: "host01",
                issuer,
                issuer_only: false,
                renew: false,
                now: self.now,
            };
            let planned = certificates::plan(&paths, &request)?;
            for change in planned.server.iter().chain(&planned.other) {
                match &change.text {
                    Some(text) => {
                        fs::create_dir_all(change.path.parent().unwrap()).unwrap();
                        fs::write(&change.path, text).unwrap();
                    }
                    None => fs::remove_file(&change.path).unwrap(),
                }
            }
            Ok((planned.reasons, planned.has_client))
        }

        fn trusts(&self) -> Vec<String> {
            certificates_in(&fs::read_to_string(self.paths().server_authorities()).unwrap())
        }

        fn own_files(&self) -> Vec<PathBuf> {
            let (paths, client) = (self.paths(), self.paths().client_dir());
            [
                paths.authority_key(),
                paths.authority_certificate(),
                client.join("key.pem"),
                client.join("cert.pem"),
                client.join("ca.pem"),
            ]
            .into_iter()
            .filter(|path| path.exists())
            .collect()
        }
    }

    /// An identity of a site whose authorities are alike.
    fn identity(now: OffsetDateTime, until: OffsetDateTime) -> (CertificateIssuer, String) {
        let (clients, _) = LocalAuthority::create("clients", now).unwrap();
        let (hosts, _) = LocalAuthority::create("hosts", now).unwrap();
        let key = KeyPem::generate().unwrap();
        let request = key.request("n1", &SubjectAltNames::default()).unwrap();
        let certificate = hosts.sign(&request, Usage::Server, until).unwrap();
        let clients = clients.certificate().to_owned();
        let identity = HostIdentity {
            trees: String::new(),
            key,
            info: CertificateInfo::parse(&certificate).unwrap(),
            certificate,
            root: hosts.certificate().to_owned(),
            clients: clients.clone(),
        };
        (CertificateIssuer::Site(Box::new(identity)), clients)
    }

    #[test]
    fn a_host_of_the_site_makes_no_authority_and_a_second_run_changes_nothing() {
        let host = TestHost::new();
        let (site, clients) = identity(host.now, host.now + Duration::days(30));
        let first = host.run(&site).unwrap();
        assert_eq!(
            first,
            (
                vec!["dockerd's certificate: the one that the site signed".to_owned()],
                false
            )
        );
        assert_eq!(host.run(&site).unwrap(), (Vec::new(), false));
        assert_eq!(host.own_files(), Vec::<PathBuf>::new());
        assert_eq!(host.trusts(), [clients]);
    }

    #[test]
    fn a_host_with_an_authority_of_its_own_is_moved_over_in_two_runs() {
        let host = TestHost::new();
        host.run(&CertificateIssuer::Own).unwrap();
        let own = host.trusts();
        assert_eq!((own.len(), host.own_files().len()), (1, 5));
        let (site, clients) = identity(host.now, host.now + Duration::days(30));

        // Both get in, and a client of before proves it.
        let (reasons, has_client) = host.run(&site).unwrap();
        assert!(has_client);
        assert_eq!(
            reasons,
            [
                "dockerd's certificate: the one that the site signed",
                "clients are the site's now: those of the previous authority get in until the next run"
            ]
        );
        assert_eq!(host.trusts(), [clients.clone(), own[0].clone()]);
        assert_eq!(host.own_files().len(), 5);

        let (reasons, has_client) = host.run(&site).unwrap();
        assert!(!has_client);
        let erased = "the site's authority is in its place: ";
        assert!(
            reasons.len() == 5 && reasons.iter().all(|reason| reason.starts_with(erased)),
            "{reasons:?}"
        );
        assert_eq!(host.own_files(), Vec::<PathBuf>::new());
        assert_eq!(host.trusts(), [clients]);
        assert_eq!(host.run(&site).unwrap(), (Vec::new(), false));
    }

    #[test]
    fn a_client_that_the_site_signed_stays_where_it_is() {
        let host = TestHost::new();
        let (site, _) = identity(host.now, host.now + Duration::days(30));
        let client = host.paths().client_dir();
        fs::create_dir_all(&client).unwrap();
        let CertificateIssuer::Site(identity) = &site else {
            unreachable!("it is the site's");
        };
        fs::write(client.join("cert.pem"), &identity.certificate).unwrap();
        host.run(&site).unwrap();
        assert_eq!(host.run(&site).unwrap(), (Vec::new(), false));
        assert!(client.join("cert.pem").exists());
    }

    #[test]
    fn another_authority_of_clients_is_taken_without_shutting_out_those_of_the_first() {
        let host = TestHost::new();
        let (first, old) = identity(host.now, host.now + Duration::days(30));
        host.run(&first).unwrap();
        let (second, new) = identity(host.now, host.now + Duration::days(30));
        host.run(&second).unwrap();
        assert_eq!(host.trusts(), [new.clone(), old]);
        host.run(&second).unwrap();
        assert_eq!(host.trusts(), std::slice::from_ref(&new));
        // while the site changes it, both are the site's
        let (mut third, newest) = identity(host.now, host.now + Duration::days(30));
        if let CertificateIssuer::Site(identity) = &mut third {
            identity.clients.insert_str(0, &new);
        }
        let (reasons, _) = host.run(&third).unwrap();
        assert_eq!(
            reasons,
            ["dockerd's certificate: the one that the site signed"]
        );
        assert_eq!(host.trusts(), [new, newest]);
    }

    #[test]
    fn an_identity_that_has_ended_is_not_given_to_dockerd() {
        let host = TestHost::new();
        let (site, _) = identity(host.now, host.now);
        assert_eq!(
            host.run(&site).unwrap_err().to_string(),
            "the identity that the site signed for this host ended on 2027-01-15: run enrol, or let the host enrol again"
        );
        assert!(!host.paths().server_key().exists());
    }
}
