//! The change itself: write what differs, restart dockerd if it reads any of that, prove the result;
//! or put everything back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::engine::EngineClient;
use super::paths::HostPaths;
use super::plan::Plan;
use super::preflight::Installed;
use super::registries;
use super::report::Report;
use super::service::Restart;
use super::tls_check::{self, TlsEndpoint};
use super::validation;
use crate::fault::Fault;
use crate::files::{self, FileJournal};
use crate::tls::{Authority, KeyPem};

/// How long dockerd may take to answer on its own socket.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The host that is changed, and what keeps the change whole.
pub(super) struct HostUpdate<'a> {
    pub(super) paths: &'a HostPaths,
    pub(super) installed: &'a Installed,
    pub(super) engine: &'a EngineClient,
    pub(super) journal: FileJournal,
    pub(super) fault: &'a Fault,
}

impl HostUpdate<'_> {
    /// Writes what differs, restarts dockerd if it reads any of that, proves the result; or puts
    /// everything back.
    pub(super) fn apply(&self, plan: &Plan, report: &mut Report) -> Result<()> {
        let (due, dockerd_reads_it) = plan.due()?;
        let moves = due
            .iter()
            .any(|change| self.installed.service.is_of_socket(change));
        let restart = match (moves, dockerd_reads_it || self.engine.version().is_err()) {
            (true, _) => Some(Restart::WithSocket),
            (false, true) => Some(Restart::Service),
            (false, false) => None,
        };
        if due.is_empty() && restart.is_none() {
            return Ok(());
        }
        let socket = socket_mode(self.engine.socket());
        for note in &plan.notes {
            error_line!("setupdockerhost: {note}");
        }
        self.journal.apply(&due)?;
        report.changed = true;
        for change in &due {
            let did = change.text.as_ref().map_or("removed", |_| "wrote");
            report.step(format!("{did} {}", change.path.display()));
        }
        let changed = self.apply_to_dockerd(restart, plan, report).and_then(|()| {
            self.fault.part()?;
            check_endpoint(self.paths, plan, report)?;
            check_socket_mode(self.engine.socket(), socket)?;
            self.journal.commit()
        });
        if let Err(error) = changed {
            return Err(self.explain_and_roll_back(error));
        }
        registries::tidy(&due);
        report.steps.splice(0..0, plan.reasons());
        Ok(())
    }

    /// Has dockerd check its configuration and, where it must, read it.
    fn apply_to_dockerd(
        &self,
        restart: Option<Restart>,
        plan: &Plan,
        report: &mut Report,
    ) -> Result<()> {
        for dir in [self.paths.authority_dir(), self.paths.client_dir()] {
            files::restrict(&dir, 0o700)?;
        }
        self.fault.part()?;
        validation::check_file(self.installed)?;
        let Some(restart) = restart else {
            return Ok(());
        };
        self.installed.service.reload()?;
        let activated = plan.is_activated.then_some(plan.listen);
        self.installed.service.check_reloaded(activated)?;
        if let Some(containers_that_stop) = containers_that_stop(self.engine, plan) {
            report.step(containers_that_stop);
        }
        self.journal.note(&restart)?;
        self.fault.part()?;
        self.restart(restart)?;
        self.fault.part()?;
        report.restarted = true;
        report.step("restarted dockerd".to_owned());
        Ok(())
    }

    fn restart(&self, restart: Restart) -> Result<()> {
        self.installed.service.restart(restart)?;
        let deadline = Instant::now() + START_TIMEOUT;
        while let Err(error) = self.engine.version() {
            if Instant::now() > deadline {
                return Err(error).context("waiting for dockerd to answer");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Restores the files of the journal, and restarts dockerd if it has read others or does not run. The
    /// change is over then, whether dockerd started or not: it may not have run with the previous files
    /// either.
    pub(super) fn roll_back(&self) -> Result<()> {
        if !self.journal.restore()? {
            return Ok(());
        }
        let noted = self.journal.noted::<Restart>()?;
        let reloaded = self.installed.service.reload();
        let restarted = reloaded.and_then(|()| match noted {
            Some(restart) => self.restart(restart),
            None if self.engine.version().is_err() => self.restart(Restart::Service),
            None => Ok(()),
        });
        self.journal.end()?;
        restarted
    }

    /// Undoes every change; the error then says what failed, what dockerd reported, whether the files were
    /// restored, and whether dockerd runs.
    fn explain_and_roll_back(&self, error: anyhow::Error) -> anyhow::Error {
        let words = self.installed.service.recent_log();
        let undone = self.roll_back();
        let said = match words.as_str() {
            "" => String::new(),
            words => format!("; dockerd reported: {words}"),
        };
        let rollback = match undone {
            Ok(()) => "the previous state was restored".to_owned(),
            Err(undo) => format!("restoring the previous state: {undo:#}"),
        };
        let runs = match self.engine.version() {
            Ok(_) => "dockerd runs",
            Err(_) => "dockerd does not run: fix what it reported, and start it",
        };
        anyhow!("{error:#}{said}; {rollback}; {runs}")
    }
}

/// Says which containers a restart of dockerd ends.
pub(super) fn containers_that_stop(engine: &EngineClient, plan: &Plan) -> Option<String> {
    let count = engine.info().ok()?.containers_that_stop();
    let why = if plan.swarm {
        "in swarm mode it cannot leave them running"
    } else {
        "which had live-restore off; later ones leave them running"
    };
    (count > 0)
        .then(|| format!("{count} running container(s) end with this restart of dockerd, {why}"))
}

fn check_endpoint(paths: &HostPaths, plan: &Plan, report: &mut Report) -> Result<()> {
    let text = |path: &Path| -> Result<String> {
        files::load_text(path)?.with_context(|| format!("no {}", path.display()))
    };
    let client = paths.client_dir();
    let client = if plan.certificates.has_client {
        let key = KeyPem::new(text(&client.join("key.pem"))?);
        Some((text(&client.join("cert.pem"))?, key))
    } else {
        None
    };
    let trusted = text(&paths.server_authorities())?;
    let server_certificate = text(&paths.server_certificate())?;
    let server_key = KeyPem::new(text(&paths.server_key())?);
    report.proof = tls_check::check(&TlsEndpoint {
        address: connect_address(plan.listen),
        name: &plan.name,
        authority: &plan.certificates.roots,
        trusted: &trusted,
        client: client
            .as_ref()
            .map(|(certificate, key)| (certificate.as_str(), key)),
        server: (&server_certificate, &server_key),
        signer: plan
            .certificates
            .authority
            .as_ref()
            .map(|authority| authority as &dyn Authority),
        now: plan.now,
    })?;
    for check in &report.proof {
        error_line!("setupdockerhost: {}: {}", check.client, check.seen);
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
fn connect_address(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

fn socket_mode(socket: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(socket).ok().map(|meta| meta.mode())
}

/// Fails when the daemon's own socket is open to more users than before.
fn check_socket_mode(socket: &Path, was: Option<u32>) -> Result<()> {
    match (was, socket_mode(socket)) {
        (Some(was), Some(mode)) if mode & !was & 0o077 != 0 => {
            bail!("{} opened to more users than before", socket.display())
        }
        _ => Ok(()),
    }
}
