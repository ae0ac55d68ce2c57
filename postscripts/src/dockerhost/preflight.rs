//! What must hold before anything is touched: root, a plausible clock, an engine that is new enough,
//! a service manager, the bridge, a free port.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use time::OffsetDateTime;

use super::daemon;
use super::dockerd_process::DockerdProcess;
use super::engine::EngineClient;
use super::listener::ListenAddress;
use super::paths::HostPaths;
use super::service::DockerService;
use crate::{files, owner, program};

/// Where packages put the daemon.
const DAEMONS: [&str; 3] = [
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/local/bin/dockerd",
];

/// The oldest engine whose API (1.41) and configuration we rely on.
const MIN_VERSION: (u32, u32) = (20, 10);

/// How long dockerd may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(60);

/// 2026-01-01: no clock is right that is before the year in which this program was written.
const MIN_TIME: i64 = 1_767_225_600;

/// The engine of this host.
#[derive(Debug)]
pub(super) struct Installed {
    pub(super) dockerd: PathBuf,
    /// The first number of its version.
    pub(super) major: u32,
    pub(super) service: DockerService,
    /// Its configuration.
    pub(super) config: PathBuf,
    /// Where it answers this host.
    pub(super) socket: PathBuf,
}

/// Finds the engine, its version and its service.
pub(super) fn check(paths: &HostPaths) -> Result<Installed> {
    if !nix::unistd::geteuid().is_root() {
        bail!("this changes the host: run it as root");
    }
    let dockerd = DAEMONS
        .iter()
        .map(|path| paths.at(path))
        .find(|path| path.exists());
    let dockerd = dockerd.with_context(|| missing(paths))?;
    let asking = || format!("asking {} for its version", dockerd.display());
    owner::check(Path::new("/"), &dockerd).with_context(asking)?;
    let mut asked = Command::new(&dockerd);
    let text = program::run(asked.arg("--version"), Stdio::null(), VERSION_TIMEOUT);
    let text = text.with_context(asking)?;
    let version = parse_version(&text)
        .with_context(|| format!("{} prints no version: {text:?}", dockerd.display()))?;
    let (major, minor) = (version.1, version.2);
    if (major, minor) < MIN_VERSION {
        bail!(
            "dockerd is {}: 20.10 is the oldest that this works with",
            version.0
        );
    }
    let service = DockerService::detect(paths)?;
    let config = service.config(paths)?;
    let text = files::load_text(&config)?.unwrap_or_default();
    let listeners = daemon::listeners(&text, service.flags());
    service.refuse_activated_tcp(&listeners)?;
    Ok(Installed {
        dockerd,
        major,
        socket: service.socket(paths, &listeners),
        service,
        config,
    })
}

/// Says what to do about an engine that is not where packages put it.
fn missing(paths: &HostPaths) -> &'static str {
    if paths.at("/snap/docker").exists() {
        "docker is a snap here, which reads its configuration elsewhere and sees no other keys: remove \
         it ('snap remove docker') and put the engine there with the packages of an osimage's dockerhost \
         profile (docker-ce, docker.io or moby-engine)"
    } else {
        "no dockerd on this host: put it there with the packages of an osimage's dockerhost profile \
         (docker-ce, docker.io or moby-engine)"
    }
}

/// Returns the time, when it can be the time.
pub(super) fn clock() -> Result<OffsetDateTime> {
    plausible(OffsetDateTime::now_utc())
}

fn plausible(now: OffsetDateTime) -> Result<OffsetDateTime> {
    if now.unix_timestamp() < MIN_TIME {
        bail!(
            "the clock shows {}: certificates made now would be wrong; set it (chronyc makestep) first",
            now.date()
        );
    }
    Ok(now)
}

/// Fails unless the bridge is there; `class` is `/sys/class/net`.
pub(super) fn bridge(class: &Path, name: &str) -> Result<()> {
    let device = class.join(name);
    if device.join("bridge").is_dir() {
        return Ok(());
    }
    if device.exists() {
        bail!("{name} is no bridge: name another network, or remove that device")
    } else {
        bail!("there is no bridge {name}: make it with 'bridgeprereq NIC:{name}' first")
    }
}

/// Fails when a program other than dockerd has the port.
pub(super) fn port(listen: SocketAddr, dockerd: Option<DockerdProcess>) -> Result<()> {
    match TcpListener::bind(listen) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if dockerd.is_some_and(|dockerd| dockerd.has_port(listen)) {
                return Ok(());
            }
            bail!(
                "{listen} is in use by another program: stop it, or give another port with --listen"
            )
        }
        Err(error) => Err(error).with_context(|| format!("listening on {listen}")),
    }
}

/// Fails when dockerd has to make a socket in a directory that does not exist: it makes none.
pub(super) fn socket_directories(listeners: &[String]) -> Result<()> {
    for listener in listeners {
        if let ListenAddress::Unix(path) = ListenAddress::parse(listener)
            && let Some(dir) = path.parent().filter(|dir| !dir.is_dir())
        {
            bail!(
                "dockerd has to listen on {listener}, and there is no directory {}: make it, also at each boot where it is \
                 below /run (tmpfiles.d), or remove that listener",
                dir.display()
            );
        }
    }
    Ok(())
}

/// Fails when a container is reached by the port: its packets never come to dockerd, and where no program listens for
/// the container, dockerd itself has the port.
pub(super) fn published_port(listen: SocketAddr, engine: &EngineClient) -> Result<()> {
    // One that does not answer runs no containers that can be asked for.
    let Ok(Some(container)) = engine.publisher(listen.port()) else {
        return Ok(());
    };
    bail!(
        "the container {container} publishes port {}: have it publish another one, or give another port with --listen",
        listen.port()
    )
}

/// Reads `Docker version 20.10.24+dfsg1, build 5d6db84`.
fn parse_version(text: &str) -> Option<(String, u32, u32)> {
    let version = text
        .split("version ")
        .nth(1)?
        .split([',', ' ', '\n'])
        .next()?;
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((
        version.to_owned(),
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_packager_are_read() {
        for (text, version) in [
            (
                "Docker version 20.10.24+dfsg1, build 5d6db84\n",
                ("20.10.24+dfsg1", 20, 10),
            ),
            ("Docker version 29.0.1, build eedd969\n", ("29.0.1", 29, 0)),
            (
                "Docker version 26.1.5-ce, build 411e817\n",
                ("26.1.5-ce", 26, 1),
            ),
        ] {
            let (full, major, minor) = parse_version(text).unwrap();
            assert_eq!((full.as_str(), major, minor), version);
        }
        assert_eq!(parse_version("moby"), None);
    }

    #[test]
    fn a_missing_bridge_and_another_device_are_told_apart() {
        let class = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(class.path().join("br0/bridge")).unwrap();
        std::fs::create_dir_all(class.path().join("eth0")).unwrap();
        assert!(bridge(class.path(), "br0").is_ok());
        for (name, message) in [
            (
                "eth0",
                "eth0 is no bridge: name another network, or remove that device",
            ),
            (
                "br1",
                "there is no bridge br1: make it with 'bridgeprereq NIC:br1' first",
            ),
        ] {
            assert_eq!(bridge(class.path(), name).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_refused() {
        for seconds in [0, MIN_TIME - 1] {
            let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let message = format!(
                "the clock shows {}: certificates made now would be wrong; set it (chronyc makestep) first",
                now.date()
            );
            assert_eq!(plausible(now).unwrap_err().to_string(), message);
        }
        let now = OffsetDateTime::from_unix_timestamp(MIN_TIME).unwrap();
        assert_eq!(plausible(now).unwrap(), now);
    }

    #[test]
    fn a_socket_needs_its_directory() {
        let listeners =
            |list: &[&str]| -> Vec<String> { list.iter().map(|&it| it.to_owned()).collect() };
        let fine = ["fd://", "unix:///run/docker.sock", "tcp://0.0.0.0:2376"];
        assert!(socket_directories(&listeners(&fine)).is_ok());
        let refused = socket_directories(&listeners(&["unix:///nowhere/ci/docker.sock"]));
        assert_eq!(
            refused.unwrap_err().to_string(),
            "dockerd has to listen on unix:///nowhere/ci/docker.sock, and there is no directory /nowhere/ci: make it, also \
             at each boot where it is below /run (tmpfiles.d), or remove that listener"
        );
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(
            port(address, None).unwrap_err().to_string(),
            format!(
                "{address} is in use by another program: stop it, or give another port with --listen"
            )
        );
    }
}
