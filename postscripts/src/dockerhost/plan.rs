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
use crate::files::{self, Wanted};
use crate::tls::{KeyPem, LocalAuthority, Names};

/// The port that Docker's clients expect TLS on (IANA `docker-s`).
const PORT: u16 = 2376;

/// Everything that is known before the first change.
pub(super) struct Plan {
    pub(super) names: Names,
    pub(super) listen: SocketAddr,
    pub(super) trust: Trust,
    /// What dockerd or its service manager reads, changed or not.
    pub(super) config: Vec<Wanted>,
    /// A run before this one did not come to its end.
    pub(super) unfinished: bool,
    pub(super) now: OffsetDateTime,
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

    let (text, mode) = files::load(&paths.daemon_json())?.unwrap_or((Vec::new(), 0o644));
    let merging = || format!("merging into {}", paths.daemon_json().display());
    let text = String::from_utf8(text)
        .ok()
        .context("reading it: no text")
        .with_context(merging)?;
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
    let mut config =
        vec![Wanted::public(paths.daemon_json(), merged.with_context(merging)?).with_mode(mode)];
    config.push(match installed.service.drop_in() {
        Some(text) => Wanted::public(paths.drop_in(), text),
        None => Wanted::absent(paths.drop_in()),
    });
    Ok(Plan {
        names,
        listen,
        trust,
        config,
        unfinished: paths.pending().exists(),
        now,
    })
}

fn load_authority(dir: &Path) -> Result<LocalAuthority> {
    let loading = || format!("loading the authority in {}", dir.display());
    let part = |name: &str| -> Result<String> {
        let (bytes, _) =
            files::load(&dir.join(name))?.with_context(|| format!("no {name} there"))?;
        String::from_utf8(bytes).with_context(|| format!("{name} is no text"))
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
