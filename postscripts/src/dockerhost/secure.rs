//! The change itself: write what differs, restart dockerd if it reads any of that, prove the result;
//! or put everything back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::engine::Engine;
use super::paths::Paths;
use super::plan::Plan;
use super::preflight::Installed;
use super::proof::{self, Door};
use super::report::Report;
use super::service;
use crate::files::{self, Changes, Wanted};
use crate::tls::{Authority, KeyPem};

/// How long dockerd may take to answer on its own socket.
const STARTING: Duration = Duration::from_secs(60);

/// Writes what differs, restarts dockerd if it reads any of that, proves the result; or puts
/// everything back.
pub(super) fn secure(
    paths: &Paths,
    installed: &Installed,
    engine: &Engine,
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let server = plan.trust.server.iter().chain(&plan.config);
    let differ = |wanted: &Wanted| wanted.differs();
    let changes_server = server
        .clone()
        .map(differ)
        .collect::<Result<Vec<_>>>()?
        .contains(&true);
    let changes_other = plan
        .trust
        .other
        .iter()
        .map(differ)
        .collect::<Result<Vec<_>>>()?
        .contains(&true);
    if !changes_server && !changes_other && !plan.unfinished && engine.version().is_ok() {
        return Ok(());
    }
    for dir in [paths.authority_dir(), paths.client_dir()] {
        files::ensure_dir(&dir, 0o700)?;
    }
    let socket = socket_mode(paths);
    let mut changes = Changes::default();
    changes.write(&Wanted::public(
        paths.pending(),
        "a run of setupdockerhost did not end\n",
    ))?;
    let outcome = (|| -> Result<()> {
        for wanted in plan.trust.other.iter().chain(server) {
            if changes.write(wanted)? {
                report.step(format!("wrote {}", wanted.path().display()));
            }
        }
        report.changed = true;
        validate(installed, paths)?;
        if changes_server || plan.unfinished || engine.version().is_err() {
            installed.service.restart()?;
            wait_for(engine)?;
            report.restarted = true;
            report.step("restarted dockerd".to_owned());
        }
        prove(paths, plan, report)?;
        if let Some(was) = socket
            && socket_mode(paths).is_some_and(|mode| mode & !was & 0o077 != 0)
        {
            bail!(
                "{} opened to more users than before",
                paths.socket().display()
            );
        }
        Ok(())
    })();
    match outcome {
        Ok(()) => {
            Changes::default().write(&Wanted::absent(paths.pending()))?;
            report
                .steps
                .splice(0..0, plan.trust.reasons.iter().cloned());
            Ok(())
        }
        Err(error) => Err(put_back(
            installed,
            engine,
            changes,
            report.restarted,
            error,
        )),
    }
}

/// Takes every change back; the error then says what failed, what dockerd said, and what stands now.
fn put_back(
    installed: &Installed,
    engine: &Engine,
    changes: Changes,
    restarted: bool,
    error: anyhow::Error,
) -> anyhow::Error {
    let words = installed.service.last_words();
    let undone = changes
        .undo()
        .and_then(|()| match restarted || engine.version().is_err() {
            true => installed.service.restart().and_then(|()| wait_for(engine)),
            false => Ok(()),
        });
    let said = if words.is_empty() {
        String::new()
    } else {
        format!("; dockerd said: {words}")
    };
    match undone {
        Ok(()) => anyhow::anyhow!("{error:#}{said}; what stood before was put back"),
        Err(undo) => anyhow::anyhow!("{error:#}{said}; putting back what stood before: {undo:#}"),
    }
}

/// Has dockerd read its own configuration where it can (`--validate`, from 23.0 on).
fn validate(installed: &Installed, paths: &Paths) -> Result<()> {
    let major = installed
        .version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major < Some(23) {
        return Ok(());
    }
    let mut command = Command::new(&installed.dockerd);
    command
        .arg("--validate")
        .arg("--config-file")
        .arg(paths.daemon_json());
    service::run(&mut command).context("having dockerd check its configuration")
}

fn wait_for(engine: &Engine) -> Result<()> {
    let deadline = Instant::now() + STARTING;
    while let Err(error) = engine.version() {
        if Instant::now() > deadline {
            return Err(error).context("waiting for dockerd to answer");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn prove(paths: &Paths, plan: &Plan, report: &mut Report) -> Result<()> {
    let text = |path: &Path| -> Result<String> {
        let (bytes, _) = files::load(path)?.with_context(|| format!("no {}", path.display()))?;
        String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))
    };
    let client = paths.client_dir();
    let authority = text(&client.join("ca.pem"))?;
    let client_certificate = text(&client.join("cert.pem"))?;
    let client_key = KeyPem::new(text(&client.join("key.pem"))?);
    let server_certificate = text(&paths.server_certificate())?;
    let server_key = KeyPem::new(text(&paths.server_key())?);
    let name = plan.names.dns.first().cloned();
    let name = name.or_else(|| plan.names.addresses.first().map(ToString::to_string));
    report.proof = proof::prove(&Door {
        address: dial(plan.listen),
        name: &name.context("this host has neither a name nor an address: give one with --san")?,
        authority: &authority,
        client: (&client_certificate, &client_key),
        server: (&server_certificate, &server_key),
        signer: plan
            .trust
            .authority
            .as_ref()
            .map(|authority| authority as &dyn Authority),
        now: plan.now,
    })?;
    for check in &report.proof {
        eprintln!("setupdockerhost: {}: {}", check.client, check.seen);
    }
    match report.proof.iter().find(|check| !check.holds) {
        Some(broken) => bail!(
            "proving that only trusted clients get in: {}: {}",
            broken.client,
            broken.seen
        ),
        None => Ok(()),
    }
}

/// Returns where a client on this host calls.
fn dial(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

fn socket_mode(paths: &Paths) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(paths.socket())
        .ok()
        .map(|meta| meta.mode())
}
