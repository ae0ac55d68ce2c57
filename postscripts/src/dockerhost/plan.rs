//! What should stand on this host, found out before anything is touched.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use time::OffsetDateTime;

use super::cli::Args;
use super::paths::Paths;
use super::preflight::{self, Installed};
use super::trust::{self, Trust};
use super::{daemon, names};
use crate::files::{Access, Change, load_text};
use crate::tls::{KeyPem, LocalAuthority, Names};

/// The port that Docker's clients expect TLS on (IANA `docker-s`).
const PORT: u16 = 2376;

/// Everything that is known before the first change.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) listen: SocketAddr,
    pub(super) trust: Trust,
    /// What dockerd or its service manager reads, changed or not.
    pub(super) config: Vec<Change>,
    pub(super) now: OffsetDateTime,
}

impl Plan {
    /// What differs from what should stand there: all of it, and whether dockerd reads any of that.
    pub(super) fn due(&self) -> Result<(Vec<Change>, bool)> {
        let due = |changes: &mut dyn Iterator<Item = &Change>| -> Result<Vec<Change>> {
            let mut due = Vec::new();
            for change in changes {
                if change.is_due(Path::new("/"))? {
                    due.push(change.clone());
                }
            }
            Ok(due)
        };
        let server = due(&mut self.trust.server.iter().chain(&self.config))?;
        let mut all = due(&mut self.trust.other.iter())?;
        let dockerd_reads_it = !server.is_empty();
        all.extend(server);
        Ok((all, dockerd_reads_it))
    }
}

/// Plans.
pub(super) fn plan(paths: &Paths, installed: &Installed, args: &Args) -> Result<Plan> {
    let now = preflight::clock()?;
    let names = names::load(&paths.at("/etc/hosts"), &args.san)?;
    let hostname = names.dns.iter().min_by_key(|name| name.len()).cloned();
    let cluster = args.ca.as_deref().map(load_authority).transpose()?;
    let wish = trust::Wish {
        names: &names,
        hostname: hostname.as_deref().unwrap_or("docker host"),
        cluster: cluster.as_ref(),
        renew: args.renew,
        now,
    };
    let mut trust = trust::plan(paths, &wish)?;
    trust.authority = trust.authority.or(cluster);

    let text = load_text(&paths.daemon_json())?.unwrap_or_default();
    let listen = args
        .listen
        .or_else(|| daemon::listens_on(&text))
        .unwrap_or_else(everywhere);
    if daemon::listens_on(&text) != Some(listen) {
        preflight::port(listen)?;
    }
    let local = installed.service.local_host(paths);
    let merged = daemon::merge(
        &text,
        &daemon::Wanted {
            local: &local,
            remote: &format!("tcp://{listen}"),
            authorities: &paths.server_authorities(),
            certificate: &paths.server_certificate(),
            key: &paths.server_key(),
        },
    );
    let merged =
        merged.with_context(|| format!("merging into {}", paths.daemon_json().display()))?;
    let config = vec![
        Change::write(paths.daemon_json(), merged, Access::Mode(0o644)),
        match installed.service.drop_in() {
            Some(text) => Change::write(paths.drop_in(), text, Access::Exactly(0o644)),
            None => Change::remove(paths.drop_in()),
        },
    ];
    Ok(Plan {
        names,
        listen,
        trust,
        config,
        now,
    })
}

fn load_authority(dir: &Path) -> Result<LocalAuthority> {
    let loading = || format!("loading the authority in {}", dir.display());
    let part = |name: &str| -> Result<String> {
        load_text(&dir.join(name))?.with_context(|| format!("no {name} there"))
    };
    let certificate = part("ca.pem").with_context(loading)?;
    let key = KeyPem::new(part("ca-key.pem").with_context(loading)?);
    LocalAuthority::load(certificate, &key).with_context(loading)
}

/// Every address of the host: a wildcard of IPv6 takes IPv4 too (ipv6(7)), where there is IPv6.
fn everywhere() -> SocketAddr {
    match Path::new("/proc/net/if_inet6").exists() {
        true => (Ipv6Addr::UNSPECIFIED, PORT).into(),
        false => (Ipv4Addr::UNSPECIFIED, PORT).into(),
    }
}
