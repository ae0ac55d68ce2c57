//! dockerd's authorization plugin on a host of the site: `dockerauthz`, which refuses clients that the site revoked.
//!
//! The order is `units → list → plugin answers → daemon.json → SIGHUP → dockerd asks it`: a dockerd whose plugin does not answer
//! refuses everything, and one that starts without it ends, so that `daemon.json` names it last. No restart of dockerd is
//! needed. Each of the two changes is one of its own: what is left of the first one alone is no harm.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::Runlist;
use serde_json::Value;

use super::apply::HostUpdate;
use super::daemon;
use super::engine::EngineClient;
use super::plan::Plan;
use super::report::Report;
use super::service::{self, ServiceManager};
use crate::files::{Access, FileChange, load_text};

/// What `daemon.json` names.
pub(super) const PLUGIN: &str = "slipway";

const PROGRAM: &str = "dockerauthz";
const SOCKET: &str = "/run/docker/plugins/slipway.sock";
const UNITS: &str = "/etc/systemd/system";
const SOCKET_UNIT: &str = "slipway-dockerauthz.socket";
const SERVICE_UNIT: &str = "slipway-dockerauthz.service";
const DROP_IN: &str = "docker.service.d/slipway-dockerauthz.conf";

/// How long dockerd may take to read its configuration and ask.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Has dockerd ask the plugin, or none where the host is none of the site.
pub(super) fn apply(host: &HostUpdate<'_>, plan: &Plan, report: &mut Report) -> Result<()> {
    let units = units(host, plan);
    let config = config(host, plan)?;
    if units.is_empty() && config.is_none() {
        return Ok(());
    }
    let doing = if plan.is_of_site {
        "having dockerd ask who is revoked"
    } else {
        "having dockerd ask no more who is revoked"
    };
    let changed = if plan.is_of_site {
        start(host, &units).and_then(|()| name(host, config.as_slice(), true))
    } else {
        name(host, config.as_slice(), false).and_then(|()| end(host, &units))
    };
    changed.context(doing)?;
    report.changed = true;
    report.step(if plan.is_of_site {
        "dockerd asks dockerauthz who is revoked".to_owned()
    } else {
        "dockerd asks no more who is revoked".to_owned()
    });
    Ok(())
}

/// Says what would be done.
pub(super) fn steps(host: &HostUpdate<'_>, plan: &Plan) -> Result<Vec<String>> {
    let units = units(host, plan);
    let mut steps: Vec<_> = units.iter().map(describe).collect();
    if let Some(config) = config(host, plan)? {
        steps.push(format!(
            "write {} and have dockerd read it: {} the authorization plugin {PLUGIN}",
            config.path.display(),
            if plan.is_of_site { "with" } else { "without" }
        ));
    }
    Ok(steps)
}

fn describe(change: &FileChange) -> String {
    let verb = match change.text {
        Some(_) => "write",
        None => "remove",
    };
    format!("{verb} {}", change.path.display())
}

/// Returns the units that are not yet as they have to be.
fn units(host: &HostUpdate<'_>, plan: &Plan) -> Vec<FileChange> {
    if host.installed.service.manager != ServiceManager::Systemd {
        return Vec::new();
    }
    let all = [
        (SOCKET_UNIT, socket_unit()),
        (SERVICE_UNIT, service_unit()),
        (DROP_IN, drop_in()),
    ];
    let changes = all.into_iter().map(|(name, text)| {
        let path = host.paths.at(UNITS).join(name);
        if plan.is_of_site {
            FileChange::write(path, text, Access::Exactly(0o644))
        } else {
            FileChange::remove(path)
        }
    });
    changes
        .filter(|change| change.is_due(Path::new("/")).unwrap_or(true))
        .collect()
}

/// Returns `daemon.json` with the plugin, or without, where it is not yet.
fn config(host: &HostUpdate<'_>, plan: &Plan) -> Result<Option<FileChange>> {
    let path = &host.installed.config;
    let is_there = host.installed.service.manager == ServiceManager::Systemd;
    let text = match plan.config_text(path) {
        Some(text) => text.to_owned(),
        None => load_text(path)?.unwrap_or_default(),
    };
    let text = daemon::with_plugin(&text, PLUGIN, plan.is_of_site && is_there)
        .with_context(|| format!("merging into {}", path.display()))?;
    Ok(text.map(|text| FileChange::write(path, text, Access::Mode(0o644))))
}

/// Has systemd listen for the plugin, with a list that holds; it answers then.
fn start(host: &HostUpdate<'_>, units: &[FileChange]) -> Result<()> {
    let program = beside()?;
    let changed = host.journal.apply(units).and_then(|()| {
        host.fault.part()?;
        systemctl(&["daemon-reload"])?;
        // a socket that dockerd asks on stays as it is
        systemctl(&["start", SOCKET_UNIT])?;
        systemctl(&["restart", SERVICE_UNIT])?;
        host.fault.part()?;
        service::run(&mut Command::new(&program))?;
        plugin(host).asked()?;
        host.journal.commit()
    });
    restored(host, changed, || systemctl(&["daemon-reload"]))
}

fn end(host: &HostUpdate<'_>, units: &[FileChange]) -> Result<()> {
    if units.is_empty() {
        return Ok(());
    }
    systemctl(&["stop", SOCKET_UNIT, SERVICE_UNIT])?;
    let changed = host
        .journal
        .apply(units)
        .and_then(|()| systemctl(&["daemon-reload"]))
        .and_then(|()| host.journal.commit());
    restored(host, changed, || systemctl(&["daemon-reload"]))
}

/// Has `daemon.json` name the plugin or not, dockerd read it, and proves that it asks, or does not.
fn name(host: &HostUpdate<'_>, config: &[FileChange], asks: bool) -> Result<()> {
    if config.is_empty() {
        return Ok(());
    }
    let plugin = plugin(host);
    let changed = host.journal.apply(config).and_then(|()| {
        host.fault.part()?;
        hang_up()?;
        host.fault.part()?;
        let end = Instant::now() + TIMEOUT;
        loop {
            let before = plugin.asked()?;
            host.engine.version()?;
            if (plugin.asked()? > before) == asks {
                break;
            }
            if Instant::now() > end {
                bail!("dockerd reads its configuration, and what it asks stays as it was");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        host.journal.commit()
    });
    restored(host, changed, hang_up)
}

/// Restores the files where a change failed, and has whoever read them read them again.
fn restored(
    host: &HostUpdate<'_>,
    changed: Result<()>,
    read_again: impl Fn() -> Result<()>,
) -> Result<()> {
    let Err(error) = changed else { return Ok(()) };
    let undone = host
        .journal
        .restore()
        .and_then(|_| read_again())
        .and_then(|()| host.journal.end());
    match undone {
        Ok(()) => Err(error.context("the previous state was restored")),
        Err(undo) => Err(error.context(format!("restoring the previous state: {undo:#}"))),
    }
}

fn hang_up() -> Result<()> {
    systemctl(&["kill", "--signal=HUP", "--kill-who=main", "docker.service"])
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    service::run(Command::new("systemctl").args(arguments)).map(drop)
}

/// The plugin, asked as dockerd asks it.
struct Plugin(EngineClient);

fn plugin(host: &HostUpdate<'_>) -> Plugin {
    Plugin(EngineClient::new(&host.paths.at(SOCKET)))
}

impl Plugin {
    /// Returns how often it was asked about a request.
    fn asked(&self) -> Result<u64> {
        let answer = self.0.post("/Slipway.Asked")?;
        answer["Asked"]
            .as_u64()
            .context("asking the plugin: it is another program")
    }
}

/// Returns the program's path: the directory of this one.
fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program's directory")?;
    let path = own.with_file_name(PROGRAM);
    if !path.exists() {
        bail!(
            "no dockerauthz beside {}: put both into one directory",
            own.display()
        );
    }
    Ok(path)
}

/// Says what the plugin knows, for `--status`; `None` where `daemon.json` does not name it.
pub(super) fn status(config: &Value) -> Option<Value> {
    let names = config["authorization-plugins"].as_array()?;
    if !names.iter().any(|name| name == PLUGIN) {
        return None;
    }
    let asked = beside().and_then(|program| {
        let output = Command::new(program)
            .args(["--status", "--json"])
            .output()
            .context("asking dockerauthz for its status")?;
        serde_json::from_slice(&output.stdout).context("reading the status of dockerauthz")
    });
    Some(asked.unwrap_or_else(|error| serde_json::json!({ "wrong": [format!("{error:#}")] })))
}

/// Refuses a plugin of the command line, which dockerd does not start with beside one of its file.
pub(super) fn check(host: &super::preflight::Installed) -> Result<()> {
    let mut flags = host.service.flags().iter();
    match flags.find(|flag| flag.name == "authorization-plugin") {
        None => Ok(()),
        Some(flag) => bail!(
            "{flag} is in {}, and dockerd has to ask {PLUGIN} too: remove it there, and put it into \
             \"authorization-plugins\" of {}",
            flag.origin,
            host.config.display()
        ),
    }
}

fn socket_unit() -> String {
    format!(
        "# Written by 'setupdockerhost'.
[Unit]
Description=Where dockerd asks who is revoked
Before=docker.service

[Socket]
ListenStream={SOCKET}
SocketMode=0600
DirectoryMode=0711

[Install]
WantedBy=sockets.target
"
    )
}

fn drop_in() -> String {
    format!(
        "# Written by 'setupdockerhost': dockerd does not start without its authorization plugin.
[Unit]
Wants={SOCKET_UNIT}
After={SOCKET_UNIT}
"
    )
}

/// It reads this host's identity and asks slipwayd: root without a capability, who writes its own list and nothing else.
fn service_unit() -> String {
    format!(
        "# Written by 'setupdockerhost'.
[Unit]
Description=Refuses clients of dockerd that the site revoked
Requires={SOCKET_UNIT}
After={SOCKET_UNIT}
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={}/{PROGRAM} --serve
StandardInput=socket
StandardOutput=journal
StandardError=journal
Restart=always
RestartSec=100ms
WatchdogSec=30
TimeoutStopSec=5
StateDirectory=slipway/dockerauthz
StateDirectoryMode=0700
RuntimeDirectory=slipway-dockerauthz
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077
OOMScoreAdjust=-900
MemoryMax=256M
TasksMax=64
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
",
        Runlist::PROGRAMS
    )
}
