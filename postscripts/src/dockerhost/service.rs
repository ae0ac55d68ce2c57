//! How dockerd is started on this host: systemd, OpenRC or a SysV script.
//!
//! Detected from what runs, never guessed. Every command is bounded in time; what it printed is in the
//! error when it fails.

use std::fs;
use std::io::{Read, Seek};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::dockerd_command::{DockerdCommandLine, Flag};
use super::dockerd_process::{self, DockerdProcess};
use super::environment::{Environment, specifiers};
use super::listener::{DEFAULT_SOCKET, ListenAddress};
use super::paths::HostPaths;
use super::unit::{self, Unit};
use crate::files::{Access, FileChange, glob};
use crate::program;

/// How long the service manager may take to restart dockerd.
const RESTART: Duration = Duration::from_secs(120);

/// What listens for docker.service.
const SOCKET: &str = "docker.socket";

const NO_ENGINE: &str = "put the engine there with the packages of an osimage's dockerhost profile \
                         (docker-ce, docker.io or moby-engine)";

/// How dockerd is started here, and with what.
#[derive(Debug)]
pub(super) struct DockerService {
    pub(super) manager: ServiceManager,
    /// What the service gives dockerd, ours left out.
    command: DockerdCommandLine,
    variables: Environment,
    /// The path of our drop-in, and the paths of former ones.
    drop_in: (PathBuf, Vec<PathBuf>),
    /// What systemd listens on for docker.service, ours left out.
    streams: Vec<SocketStream>,
    /// The path of our drop-in of docker.socket, and where it has systemd listen.
    socket_drop_in: (PathBuf, Option<SocketAddr>),
}

/// A socket that systemd listens on.
#[derive(Debug)]
struct SocketStream {
    address: String,
    /// The socket's unit, and the file of it that says so.
    unit: String,
    file: PathBuf,
}

/// What is restarted with dockerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Restart {
    /// Nothing: where systemd listens, it goes on.
    #[serde(rename = "dockerd is restarted")]
    Service,
    /// `docker.socket`, which listens elsewhere then.
    #[serde(rename = "docker.socket and dockerd are restarted")]
    WithSocket,
}

/// Who starts dockerd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ServiceManager {
    /// systemd, by `docker.service`.
    Systemd,
    /// OpenRC: `rc-service docker …`, which reads `/etc/conf.d/docker`.
    OpenRc { script: PathBuf },
    /// A script in `/etc/init.d`, which reads `/etc/default/docker`.
    Sysv { script: PathBuf, log: PathBuf },
}

impl DockerService {
    pub(super) fn detect(paths: &HostPaths) -> Result<Self> {
        if paths.at("/run/systemd/system").is_dir() {
            Self::of_systemd(paths)
        } else {
            Self::of_script(paths)
        }
    }

    fn of_systemd(paths: &HostPaths) -> Result<Self> {
        let missing = || format!("no systemd unit docker.service with an ExecStart: {NO_ENGINE}");
        let unit = Unit::load(paths, "docker.service")?.with_context(missing)?;
        // Without these systemd starts no service, and after a restart there would be none.
        for (names, _) in unit
            .values("Unit", "Requires")
            .into_iter()
            .chain(unit.values("Unit", "BindsTo"))
        {
            for name in names.split_whitespace() {
                Unit::load(paths, name).context("looking at what docker.service requires")?;
            }
        }
        let variables = variables(paths, &unit)?;
        let command = unit.values("Service", "ExecStart").pop();
        let (command, file) = command.with_context(missing)?;
        let mut command = DockerdCommandLine::parse(&command, file, &variables);
        if command.wrapper().is_some() || is_script(&paths.at(command.program())) {
            let dockerd_process = DockerdProcess::of(&ServiceManager::Systemd, paths)
                .and_then(DockerdProcess::arguments);
            let dockerd_process = dockerd_process.with_context(|| {
                format!(
                    "docker.service starts dockerd by {}, which may add options of its own: start docker \
                     first, so that they can be seen",
                    command.program()
                )
            })?;
            command = command.with_observed_arguments(&dockerd_process);
        }
        Ok(Self {
            manager: ServiceManager::Systemd,
            command,
            variables,
            drop_in: unit.own_drop_in(paths)?,
            streams: streams(paths)?,
            socket_drop_in: {
                let path = unit::socket_drop_in_path(paths);
                let listens = unit::listens_in(&unit::text_of(&path)?);
                (path, listens)
            },
        })
    }

    fn of_script(paths: &HostPaths) -> Result<Self> {
        let script = paths.at("/etc/init.d/docker");
        if !script.exists() {
            bail!(
                "no systemd runs here and {} does not exist: {NO_ENGINE}",
                script.display()
            );
        }
        let (manager, file) = if paths.at("/sbin/openrc-run").exists() {
            (ServiceManager::OpenRc { script }, "/etc/conf.d/docker")
        } else {
            let log = paths.at("/var/log/docker.log");
            (ServiceManager::Sysv { script, log }, "/etc/default/docker")
        };
        let file = paths.at(file);
        let mut variables = Environment::default();
        variables.read_file(&file, &unit::text_of(&file)?.replace("\nexport ", "\n"));
        Ok(Self {
            manager,
            command: DockerdCommandLine::parse("dockerd $DOCKER_OPTS", &file, &variables),
            variables,
            drop_in: Default::default(),
            streams: Vec::new(),
            socket_drop_in: Default::default(),
        })
    }

    /// Returns the options that the service gives dockerd.
    pub(super) fn flags(&self) -> &[Flag] {
        self.command.flags()
    }

    /// Returns dockerd's configuration: that of its command line, or the usual one.
    pub(super) fn config(&self, paths: &HostPaths) -> Result<PathBuf> {
        match self.command.value("config-file") {
            None => Ok(paths.daemon_json()),
            Some(file) if Path::new(file).is_absolute() => Ok(paths.at(file)),
            Some(file) => bail!(
                "dockerd's --config-file={file} is no absolute path: make it one, so that it is the same \
                 file for everybody"
            ),
        }
    }

    /// Returns the socket on which dockerd answers this host, of all that it listens on.
    pub(super) fn socket(&self, paths: &HostPaths, listeners: &[String]) -> PathBuf {
        let local = |text: &String| match ListenAddress::parse(text) {
            ListenAddress::Unix(path) => Some(path),
            ListenAddress::Activated => Some(paths.at(self.activated())),
            _ => None,
        };
        let mut local = listeners.iter().filter_map(local);
        let usual = |path: &PathBuf| is_usual(&path.to_string_lossy());
        // A path in a configuration is the whole path, also where the host is a directory of a test.
        match (local.clone().find(usual), local.next()) {
            (None, Some(path)) => path,
            _ => paths.at(DEFAULT_SOCKET),
        }
    }

    /// The path of the socket that systemd hands over.
    fn activated(&self) -> &str {
        let paths = self.streams.iter().map(|stream| stream.address.as_str());
        let mut paths = paths.filter(|stream| stream.starts_with('/'));
        let first = paths.clone().next();
        let usual = paths.find(|path| is_usual(path));
        usual.or(first).unwrap_or(DEFAULT_SOCKET)
    }

    /// Refuses TCP sockets that systemd hands over: dockerd serves them too.
    pub(super) fn refuse_activated_tcp(&self, listeners: &[String]) -> Result<()> {
        let hands_over = |text: &String| ListenAddress::parse(text) == ListenAddress::Activated;
        let is_path = |stream: &str| stream.starts_with(['/', '@']);
        let mut streams = self.streams.iter();
        let tcp = streams.find(|stream| !is_path(&stream.address));
        match tcp.filter(|_| listeners.iter().any(hands_over)) {
            None => Ok(()),
            Some(stream) => bail!(
                "ListenStream={} in {} has systemd hand dockerd a TCP socket beside its own: remove it, run \
                 'systemctl daemon-reload' and restart {}",
                stream.address,
                stream.file.display(),
                stream.unit
            ),
        }
    }

    /// Whether systemd can listen for trusted clients: where dockerd takes all that `docker.socket` listens on.
    pub(super) fn can_activate(&self, listeners: &[String]) -> bool {
        let has_socket = |stream: &SocketStream| stream.unit == SOCKET;
        self.streams.iter().any(has_socket)
            && listeners
                .iter()
                .any(|text| ListenAddress::is_all_activated(text))
    }

    /// Returns where systemd listens for trusted clients.
    pub(super) fn activated_listener(&self) -> Option<SocketAddr> {
        self.socket_drop_in.1
    }

    /// Says whether a change is one of what systemd listens on.
    pub(super) fn is_of_socket(&self, change: &FileChange) -> bool {
        change.path == self.socket_drop_in.0
    }

    /// Returns our drop-in of docker.socket as it has to be: systemd listens there, or nowhere.
    pub(super) fn socket_drop_in(&self, listen: Option<SocketAddr>) -> Option<FileChange> {
        let path = &self.socket_drop_in.0;
        (self.manager == ServiceManager::Systemd).then(|| match listen {
            Some(listen) => {
                let text = unit::socket_drop_in(listen);
                FileChange::write(path, text, Access::Exactly(0o644))
            }
            None => FileChange::remove(path),
        })
    }

    /// Returns our drop-in as it has to be.
    pub(super) fn drop_ins(&self) -> Vec<FileChange> {
        let (place, old) = &self.drop_in;
        let mut changes: Vec<_> = old.iter().map(FileChange::remove).collect();
        match self.command.without(|flag| flag.name == "host") {
            Some(command) => {
                let text = unit::drop_in(&command);
                changes.push(FileChange::write(place, text, Access::Exactly(0o644)));
            }
            None if self.manager == ServiceManager::Systemd => {
                changes.push(FileChange::remove(place))
            }
            None => {}
        }
        changes
    }

    /// Has the service manager read what was written or put back; dockerd itself runs on.
    pub(super) fn reload(&self) -> Result<()> {
        match self.manager {
            ServiceManager::Systemd => {
                run(Command::new("systemctl").arg("daemon-reload")).map(drop)
            }
            ServiceManager::OpenRc { .. } | ServiceManager::Sysv { .. } => Ok(()),
        }
    }

    /// Fails when the service manager would still give dockerd a listener, or would not listen itself where it has to:
    /// better now than by a dockerd that does not come back.
    pub(super) fn check_reloaded(&self, activated: Option<SocketAddr>) -> Result<()> {
        if self.manager != ServiceManager::Systemd {
            return Ok(());
        }
        if let Some(listen) = activated {
            let shown = run(Command::new("systemctl").args(["show", SOCKET, "-p", "Listen"]))?;
            let expected = format!("Listen={listen} (Stream)");
            if !shown.lines().any(|line| line == expected) {
                bail!(
                    "{SOCKET} does not listen on {listen}: something comes after {}, as 'systemctl cat {SOCKET}' shows",
                    self.socket_drop_in.0.display()
                );
            }
        }
        let shown =
            dockerd_process::property(Command::new("systemctl"), "docker.service", "ExecStart");
        let shown = shown.as_deref().and_then(argv_of);
        let Some(command) = shown else {
            bail!(
                "systemd does not say how it starts docker.service: has each of its drop-ins a name in UTF-8? See \
                 'systemctl cat docker.service'"
            );
        };
        let command =
            DockerdCommandLine::parse(command, Path::new("docker.service"), &self.variables);
        match command.flags().iter().find(|flag| flag.name == "host") {
            None => Ok(()),
            Some(flag) => bail!(
                "docker.service still gives dockerd {flag}: something comes after {}, as 'systemctl cat \
                 docker.service' shows",
                self.drop_in.0.display()
            ),
        }
    }

    /// Restarts dockerd, which must be running when this returns.
    pub(super) fn restart(&self, restart: Restart) -> Result<()> {
        match &self.manager {
            ServiceManager::Systemd => {
                let units: &[_] = match restart {
                    Restart::Service => &["docker.service"],
                    // Of one job, so that the service is stopped before its socket.
                    Restart::WithSocket => &[SOCKET, "docker.service"],
                };
                // A start limit that an earlier failure used up is no reason to fail now.
                run(Command::new("systemctl").arg("reset-failed").args(units)).ok();
                run(Command::new("systemctl").arg("restart").args(units))
            }
            ServiceManager::OpenRc { script } | ServiceManager::Sysv { script, .. } => {
                run(Command::new(script).arg("restart"))
            }
        }
        .context("restarting dockerd")
        .map(drop)
    }

    /// Returns the last lines of the daemon's log, joined.
    pub(super) fn recent_log(&self) -> String {
        let text = match &self.manager {
            ServiceManager::Systemd => {
                let journal = "-u docker.service -o cat --no-pager -n 8".split(' ');
                run(Command::new("journalctl").args(journal)).unwrap_or_default()
            }
            ServiceManager::OpenRc { .. } => tail_of(Path::new("/var/log/docker.log")),
            ServiceManager::Sysv { log, .. } => tail_of(log),
        };
        program::last_lines(&text)
    }
}

/// Whether that is where clients look for dockerd when nobody tells them.
fn is_usual(path: &str) -> bool {
    path == DEFAULT_SOCKET || path == "/run/docker.sock"
}

/// Whether a program is a script, which can do anything before it starts dockerd.
fn is_script(program: &Path) -> bool {
    let mut head = [0; 2];
    let read = fs::File::open(program).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head == *b"#!"
}

/// Reads the variables that a service has: systemd's for all of them, its own, and those of its files; the
/// last one wins.
fn variables(paths: &HostPaths, unit: &Unit) -> Result<Environment> {
    let mut variables = Environment::default();
    if paths.is_host() {
        variables.inherit(&run(Command::new("systemctl").arg("show-environment"))?);
        let passed = unit.values("Service", "PassEnvironment").into_iter();
        let passed: Vec<_> = passed.map(|(names, _)| names).collect();
        let own = fs::read("/proc/1/environ").unwrap_or_default();
        variables.pass(&String::from_utf8_lossy(&own), &passed.join(" "));
    }
    for (line, _) in unit.values("Service", "Environment") {
        variables.assign(&line);
    }
    for (named, by) in unit.values("Service", "EnvironmentFile") {
        let is_optional = named.starts_with('-');
        let named = specifiers(named.trim_start_matches('-'));
        let mut files = glob::expand(Path::new("/"), &paths.at(&named))?;
        files.retain(|file| file.exists());
        if files.is_empty() && !is_optional {
            bail!(
                "{} has docker.service read {named}, which is not there: systemd does not start it without",
                by.display()
            );
        }
        for file in files {
            variables.read_file(&file, &unit::text_of(&file)?);
        }
    }
    for (line, _) in unit.values("Service", "UnsetEnvironment") {
        variables.unset(&line);
    }
    Ok(variables)
}

/// Returns what systemd listens on for docker.service: by `docker.socket`, and by every other socket unit that
/// names that service, on a running host those alone that systemd has loaded.
fn streams(paths: &HostPaths) -> Result<Vec<SocketStream>> {
    let loaded = paths.is_host().then(|| {
        dockerd_process::property(Command::new("systemctl"), "docker.service", "TriggeredBy")
    });
    let is_loaded = |name: &str| match &loaded {
        None => true,
        Some(loaded) => loaded
            .as_deref()
            .is_some_and(|loaded| loaded.split_whitespace().any(|other| other == name)),
    };
    let mut streams = Vec::new();
    for name in unit::names(paths, ".socket")? {
        let own = name == SOCKET;
        if !own && !is_loaded(&name) {
            continue;
        }
        // A masked one has systemd listen nowhere.
        let Some(unit) = Unit::load(paths, &name).ok().flatten() else {
            continue;
        };
        let service = unit.values("Socket", "Service").pop();
        if own || service.is_some_and(|(service, _)| service == "docker.service") {
            let of_unit = unit.values("Socket", "ListenStream").into_iter();
            streams.extend(of_unit.map(|(address, file)| SocketStream {
                address,
                unit: name.clone(),
                file: file.to_owned(),
            }));
        }
    }
    Ok(streams)
}

/// Takes the command line out of what `systemctl show` prints of `ExecStart`.
fn argv_of(shown: &str) -> Option<&str> {
    let (_, argv) = shown.rsplit_once("argv[]=")?;
    argv.split(" ; ").next()
}

/// Returns the last 8 KiB of a file.
fn tail_of(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        let length = file.metadata().map(|meta| meta.len()).unwrap_or(0);
        file.seek(std::io::SeekFrom::Start(length.saturating_sub(8192)))
            .ok();
        file.take(8192).read_to_end(&mut bytes).ok();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a command that may take as long as a service does.
pub(super) fn run(command: &mut Command) -> Result<String> {
    program::run(command, Stdio::null(), RESTART)
}
