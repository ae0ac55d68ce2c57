//! What dockerd shows the site's image registries, and knows them by: `/etc/docker/certs.d/REGISTRY/`.
//!
//! The host's identity and the registries that the administrator names come in, files go out; nothing is written here. dockerd
//! reads them at each request, so that no change of them needs a restart. A directory is one of ours by the first line of its
//! `ca.crt`; what else is there is never touched. Reference: dockerd's "verify repository client with certificates".

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use definitions::host_name_fault;
use serde::Serialize;

use super::certificates::{PUBLIC, SECRET};
use super::cli::Args;
use super::engine::EngineClient;
use super::paths::HostPaths;
use crate::files::{self, FileChange, FileLookup};
use crate::identity::HostIdentity;

/// The first line of an authority's file that is ours; who reads PEM skips what is before it.
const MARK: &str = "# Made by setupdockerhost, which overwrites it.\n";
/// The files, by the names that dockerd looks for.
const AUTHORITY: &str = "ca.crt";
const CERTIFICATE: &str = "client.cert";
const KEY: &str = "client.key";

/// An image registry, as the names of its images begin: `10.1.0.1:5000`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RegistryAddress(String);

impl FromStr for RegistryAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected HOST:PORT such as 10.1.0.1:5000";
        let (host, port) = text.rsplit_once(':').ok_or(expected)?;
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
        if !is_number || port.parse::<u16>().is_err() {
            return Err(expected.to_owned());
        }
        let inside = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let fault = match inside {
            Some(inside) => inside
                .parse::<Ipv6Addr>()
                .err()
                .map(|_| "it has no IPv6 address in brackets"),
            None => host_name_fault(host),
        };
        match fault {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(format!("{expected}: {fault}")),
        }
    }
}

impl fmt::Display for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of the files.
#[derive(Debug, Default)]
pub(super) struct RegistryPlan {
    pub(super) changes: Vec<FileChange>,
    /// Why each of them changes, for people.
    pub(super) reasons: Vec<String>,
    /// The registries that dockerd knows then.
    pub(super) registries: BTreeSet<RegistryAddress>,
}

/// Whether a registry answered dockerd.
#[derive(Debug, Serialize)]
pub(super) struct RegistryAnswer {
    registry: RegistryAddress,
    answers: bool,
    seen: String,
}

/// Plans the files: of the registries that are named, else of those that an earlier run was given.
///
/// # Errors
/// When this host has no identity to show, or the files there are somebody else's.
pub(super) fn plan(
    paths: &HostPaths,
    args: &Args,
    identity: Option<&HostIdentity>,
) -> Result<RegistryPlan> {
    let ours = ours(paths)?;
    let wanted = match (&args.registry[..], args.no_registry) {
        ([], false) => ours.clone(),
        (named, _) => named.iter().cloned().collect::<BTreeSet<_>>(),
    };
    let mut plan = RegistryPlan::default();
    for registry in ours.iter().filter(|registry| !wanted.contains(registry)) {
        plan.reasons
            .push(format!("the registry {registry}: not to be used any more"));
        let gone = [CERTIFICATE, KEY, AUTHORITY].map(|name| directory(paths, registry).join(name));
        plan.changes.extend(gone.map(FileChange::remove));
    }
    let Some(identity) = identity else {
        // What an earlier identity left stays as long as nobody asks for more.
        if let [registry, ..] = &args.registry[..] {
            bail!(
                "--registry {registry}: this host has no identity of the site to show there: run enrol, or copy a client's \
                 certificate to {}",
                directory(paths, registry).display()
            );
        }
        return Ok(plan);
    };
    for registry in wanted {
        if !ours.contains(&registry) {
            refuse_foreign(&directory(paths, &registry))?;
        }
        let files = files_of(&directory(paths, &registry), identity);
        let mut due = files.iter().map(|change| change.is_due(Path::new("/")));
        if due.any(|due| !matches!(due, Ok(false))) {
            plan.reasons.push(format!(
                "the registry {registry}: dockerd shows it this host's identity"
            ));
        }
        plan.changes.extend(files);
        plan.registries.insert(registry);
    }
    Ok(plan)
}

/// Lists the registries whose files are ours.
pub(super) fn ours(paths: &HostPaths) -> Result<BTreeSet<RegistryAddress>> {
    let mut ours = BTreeSet::new();
    for name in files::names(&paths.registries())? {
        let authority = paths.registries().join(&name).join(AUTHORITY);
        if let (Ok(registry), FileLookup::Text(text)) = (name.parse(), files::look_up(&authority)?)
            && text.starts_with(MARK)
        {
            ours.insert(registry);
        }
    }
    Ok(ours)
}

/// Removes the directories of ours that have become empty; that one cannot go is no reason to fail.
pub(super) fn tidy(changes: &[FileChange]) {
    for change in changes.iter().filter(|change| change.text.is_none()) {
        if let (true, Some(above)) = (change.path.ends_with(AUTHORITY), change.path.parent()) {
            let _ = std::fs::remove_dir(above);
        }
    }
}

/// Has dockerd call each registry as it does for an image.
pub(super) fn ask(
    engine: &EngineClient,
    registries: &BTreeSet<RegistryAddress>,
) -> Vec<RegistryAnswer> {
    let one = |registry: &RegistryAddress| {
        let answer = engine.call_registry(&registry.0);
        RegistryAnswer {
            registry: registry.clone(),
            answers: answer.is_ok(),
            seen: answer.err().map_or_else(
                || "it lets this host in".to_owned(),
                |error| format!("{error:#}"),
            ),
        }
    };
    let answers: Vec<_> = registries.iter().map(one).collect();
    for RegistryAnswer { registry, seen, .. } in answers.iter().filter(|one| !one.answers) {
        error_line!(
            "setupdockerhost: the registry {registry} does not let this host in now: {seen}"
        );
    }
    answers
}

fn directory(paths: &HostPaths, registry: &RegistryAddress) -> PathBuf {
    paths.registries().join(&registry.0)
}

/// The files of one registry; the authority's is the last, and makes them ours.
fn files_of(directory: &Path, identity: &HostIdentity) -> [FileChange; 3] {
    let authority = format!("{MARK}{}", identity.root);
    [
        FileChange::write(directory.join(KEY), identity.key.reveal(), SECRET),
        FileChange::write(directory.join(CERTIFICATE), &identity.certificate, PUBLIC),
        FileChange::write(directory.join(AUTHORITY), authority, PUBLIC),
    ]
}

fn refuse_foreign(directory: &Path) -> Result<()> {
    for name in [AUTHORITY, CERTIFICATE, KEY] {
        let path = directory.join(name);
        if path.symlink_metadata().is_ok() {
            bail!(
                "{} is not of setupdockerhost: move it away, or leave --registry out",
                path.display()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_and_a_port_and_never_a_path() {
        for text in [
            "10.1.0.1:5000",
            "mn.cluster:5000",
            "mn:1",
            "[fd00::1]:65535",
        ] {
            assert_eq!(text.parse::<RegistryAddress>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "mn",
            "mn:",
            "mn:0",
            "mn:05",
            "mn:+5",
            "mn:65536",
            ":5000",
            "..:5000",
            "../x:5000",
            "a/b:5000",
            "fd00::1",
            "[fd00::1]",
            "[mn]:5000",
            "https://mn:5000",
            "mn:5000/app",
        ] {
            let fault = text.parse::<RegistryAddress>().unwrap_err();
            assert!(
                fault.starts_with("expected HOST:PORT such as 10.1.0.1:5000"),
                "{text}: {fault}"
            );
        }
    }
}
