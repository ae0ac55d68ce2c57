//! What this host should have, found out before anything is changed.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result, bail};
use time::OffsetDateTime;

use super::certificates::{self, CertificateIssuer, CertificatePlan};
use super::cli::Args;
use super::dockerd_command::Flag;
use super::dockerd_process::DockerdProcess;
use super::engine::EngineClient;
use super::listener::{DEFAULT_SOCKET, ListenAddress};
use super::paths::HostPaths;
use super::preflight::{self, Installed};
use super::registries::{self, RegistryAddress};
use super::service::ServiceManager;
use super::{authorization, daemon, host_names, unique_keys, validation};
use crate::files::{self, Access, FileChange, load_text};
use crate::identity::HostIdentity;
use crate::owner;
use crate::tls::{KeyPem, LocalAuthority, SubjectAltNames};
use crate::tls_client::is_usable_name;

/// The port that Docker's clients expect TLS on (IANA `docker-s`).
const PORT: u16 = 2376;

/// Everything that is known before the first change.
pub(super) struct Plan {
    pub(super) names: SubjectAltNames,
    /// One of them that clients can ask for.
    pub(super) name: String,
    pub(super) listen: SocketAddr,
    /// Whether systemd listens there for dockerd.
    pub(super) is_activated: bool,
    pub(super) certificates: CertificatePlan,
    /// What dockerd or its service manager reads, changed or not.
    pub(super) config: Vec<FileChange>,
    /// What becomes of the host's own settings.
    pub(super) notes: Vec<String>,
    /// Whether the site signed for this host.
    pub(super) is_of_site: bool,
    /// The registries that dockerd has this host's identity for.
    pub(super) registries: BTreeSet<RegistryAddress>,
    /// Whether the engine is a node of a swarm.
    pub(super) swarm: bool,
    pub(super) now: OffsetDateTime,
}

impl Plan {
    /// Why anything changes, for people.
    pub(super) fn reasons(&self) -> impl Iterator<Item = String> {
        self.certificates.reasons.iter().chain(&self.notes).cloned()
    }

    /// Returns a file of the configuration as it has to be.
    pub(super) fn config_text(&self, path: &Path) -> Option<&str> {
        let change = self.config.iter().find(|change| change.path == path);
        change?.text.as_deref()
    }

    /// The files that differ from the plan, and whether dockerd reads any of them.
    pub(super) fn due(&self) -> Result<(Vec<FileChange>, bool)> {
        let due = |changes: &mut dyn Iterator<Item = &FileChange>| -> Result<Vec<FileChange>> {
            let mut due = Vec::new();
            for change in changes {
                if change.is_due(Path::new("/"))? {
                    due.push(change.clone());
                }
            }
            Ok(due)
        };
        let server = due(&mut self.certificates.server.iter().chain(&self.config))?;
        let mut all = due(&mut self.certificates.other.iter())?;
        let dockerd_reads_it = !server.is_empty();
        all.extend(server);
        Ok((all, dockerd_reads_it))
    }
}

/// Plans.
pub(super) fn plan(
    paths: &HostPaths,
    installed: &Installed,
    engine: &EngineClient,
    args: &Args,
) -> Result<Plan> {
    let now = preflight::clock()?;
    let identity = HostIdentity::load(&args.root)?;
    let registries = registries::plan(paths, args, identity.as_ref())?;
    let issuer = issuer(args, identity, now)?;
    let is_of_site = matches!(issuer, CertificateIssuer::Site(_));
    if is_of_site && installed.service.manager == ServiceManager::Systemd {
        authorization::check(installed)?;
    }
    let names = match &issuer {
        // what the node's definition says
        CertificateIssuer::Site(identity) => identity.info.names.clone(),
        _ => host_names::load(&paths.at("/etc/hosts"), &args.san)?,
    };
    let left_out = host_names::left_out()?;
    let name = match (reachable_name(&names), &left_out) {
        (Err(error), Some(why)) => bail!("{error}: {why}"),
        (name, _) => name?,
    };
    let hostname = names.dns.iter().min_by_key(|name| name.len()).cloned();
    let request = certificates::CertificateRequest {
        names: &names,
        hostname: hostname.as_deref().unwrap_or("docker host"),
        issuer: &issuer,
        issuer_only: args.issuer_only,
        renew: args.renew,
        now,
    };
    let mut certificates = certificates::plan(paths, &request)?;
    if let CertificateIssuer::Cluster(cluster) = issuer {
        certificates.authority = Some(*cluster);
    }
    certificates.other.extend(registries.changes);
    certificates.reasons.extend(registries.reasons);

    let text = load_text(&installed.config)?.unwrap_or_default();
    let flags = installed.service.flags();
    let present = installed.service.activated_listener();
    let present = present.or_else(|| daemon::listens_on(&text));
    let listeners = daemon::listeners(&text, flags);
    let listen = listen_address(present, &listeners, args.listen);
    let is_activated = installed.service.can_activate(&listeners);
    if present != Some(listen) {
        let dockerd = DockerdProcess::of(&installed.service.manager, paths);
        preflight::published_port(listen, engine)?;
        preflight::port(listen, dockerd)?;
    }
    let swarm = in_swarm(paths, &text, flags, engine)?;
    let merged = daemon::merge(
        &text,
        flags,
        &daemon::DaemonSettings {
            local: &format!("unix://{}", paths.at(DEFAULT_SOCKET).display()),
            remote: &format!("tcp://{listen}"),
            is_activated,
            authorities: &paths.server_authorities(),
            certificate: &paths.server_certificate(),
            key: &paths.server_key(),
            live_restore: !swarm,
        },
    );
    let merged = merged.with_context(|| format!("merging into {}", installed.config.display()))?;
    preflight::socket_directories(&daemon::listeners(&merged.text, &[]))?;
    validation::check_text(installed, &merged.text)?;
    let mut config = installed.service.drop_ins();
    let mut notes = merged.notes;
    config.push(FileChange::write(
        &installed.config,
        merged.text,
        Access::Mode(0o644),
    ));
    // last, and first on the way back: dockerd has to require certificates of whoever systemd hands over
    let activated = is_activated.then_some(listen);
    if let Some(change) = installed.service.socket_drop_in(activated) {
        if change.is_due(Path::new("/"))? && is_activated {
            notes.push(format!(
                "systemd has {listen} from now on (docker.socket): a restart of dockerd refuses no connection"
            ));
        }
        config.push(change);
    }
    Ok(Plan {
        names,
        name,
        listen,
        is_activated,
        certificates,
        config,
        notes: notes.into_iter().chain(left_out).collect(),
        is_of_site,
        registries: registries.registries,
        swarm,
        now,
    })
}

/// Returns a name or an address that a client can ask for: without one no client could verify this host.
fn reachable_name(names: &SubjectAltNames) -> Result<String> {
    let addresses = names.addresses.iter().map(ToString::to_string);
    let mut names = names.dns.iter().cloned().chain(addresses);
    names
        .find(|name| is_usable_name(name))
        .context("this host has neither a name nor an address: give one with --san")
}

/// Says whether the engine is a node of a swarm; where it does not run, its state does.
fn in_swarm(
    paths: &HostPaths,
    config: &str,
    flags: &[Flag],
    engine: &EngineClient,
) -> Result<bool> {
    if let Ok(info) = engine.info() {
        if info.rootless {
            bail!(
                "the dockerd on {} runs as an ordinary user (rootless), where no setting of this host \
                 reaches it: stop that one, and start docker.service",
                engine.socket().display()
            );
        }
        return Ok(info.swarm);
    }
    let config = unique_keys::parse(config).unwrap_or_default();
    let root = flags.iter().rev().find(|flag| flag.name == "data-root");
    let root = root.map(|flag| flag.value.as_str());
    let root = root.or(config["data-root"].as_str());
    let root = paths.at(root.unwrap_or("/var/lib/docker"));
    // With userns-remap it keeps its state in a directory for each mapping.
    let mapped = files::names(&root)?.into_iter();
    let mapped = mapped.filter(|name| name.contains('.'));
    let mut roots = mapped.map(|name| root.join(name)).chain([root.clone()]);
    Ok(roots.any(|root| root.join("swarm/docker-state.json").exists()))
}

/// Returns where dockerd shall listen: where it was asked for, where it does already, or everywhere.
fn listen_address(
    present: Option<SocketAddr>,
    listeners: &[String],
    requested: Option<SocketAddr>,
) -> SocketAddr {
    let has_v6 = Path::new("/proc/net/if_inet6").exists();
    let everywhere = if has_v6 {
        (Ipv6Addr::UNSPECIFIED, PORT).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, PORT).into()
    };
    let mut given = listeners
        .iter()
        .filter_map(|text| match ListenAddress::parse(text) {
            ListenAddress::Tcp(address) => address.filter(|address| address.port() == PORT),
            _ => None,
        });
    let configured = present.or_else(|| given.next());
    // A kernel that no longer has IPv6 has no such address either.
    let configured = configured.map(|address| {
        if address.ip() == Ipv6Addr::UNSPECIFIED && !has_v6 {
            (Ipv4Addr::UNSPECIFIED, address.port()).into()
        } else {
            address
        }
    });
    requested.or(configured).unwrap_or(everywhere)
}

/// Says who signs: whom an option names, else the site where it has signed an identity for this host.
fn issuer(
    args: &Args,
    identity: Option<HostIdentity>,
    now: OffsetDateTime,
) -> Result<CertificateIssuer> {
    if let Some(dir) = args.ca.as_deref() {
        return Ok(CertificateIssuer::Cluster(Box::new(load_authority(
            dir, now,
        )?)));
    }
    let Some(identity) = identity else {
        return Ok(CertificateIssuer::Own);
    };
    if !args.san.is_empty() {
        bail!(
            "--san: the site signs the names and addresses of this node's definition: add it there (hostnames, nicips), \
             and run enrol --renew"
        );
    }
    if args.renew {
        bail!(
            "--renew: the site signs for this host: run enrol --renew, which has dockerd take what it gets"
        );
    }
    Ok(CertificateIssuer::Site(Box::new(identity)))
}

fn load_authority(dir: &Path, now: OffsetDateTime) -> Result<LocalAuthority> {
    let loading = || format!("loading the authority in {}", dir.display());
    let part = |name: &str| -> Result<String> {
        let path = dir.join(name);
        let text = load_text(&path)?.with_context(|| format!("no {name} there"))?;
        // Whoever can change it chooses who is root on this host.
        owner::check(Path::new("/"), &std::path::absolute(&path)?)?;
        Ok(text)
    };
    let load = || -> Result<LocalAuthority> {
        let key = KeyPem::new(part("ca-key.pem")?);
        let authority = LocalAuthority::load(&part("ca.pem")?, &key)?;
        authority.check_period(now)?;
        Ok(authority)
    };
    load().with_context(loading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_asked_for_by_a_name_that_is_one() {
        let names = |dns: &[&str], addresses: &[&str]| SubjectAltNames {
            dns: dns.iter().map(|name| (*name).to_owned()).collect(),
            addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        };
        for (names, requested) in [
            (names(&["host01"], &["10.0.0.5"]), "host01"),
            (names(&["1"], &["10.0.0.5"]), "10.0.0.5"),
            (names(&[], &["fd00::5"]), "fd00::5"),
        ] {
            assert_eq!(reachable_name(&names).unwrap(), requested);
        }
        assert_eq!(
            reachable_name(&names(&[], &[])).unwrap_err().to_string(),
            "this host has neither a name nor an address: give one with --san"
        );
    }
}
