//! Containers of two machines, as an administrator makes them from the management node: each has the address of its
//! definition, and they reach each other, also after one of the machines was rebooted.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Machine, Site, binary, outcome, same, typed};

/// The containers, each of the host at the same place, and their addresses.
const CONTAINERS: [(&str, &str); 2] = [("web01", "10.77.0.61"), ("web02", "10.77.0.62")];

/// How long a container may take to answer once its host is up, in seconds.
const SETTLING: u64 = 180;

/// Two docker hosts, and the management node's definitions of them and of their containers.
pub(crate) struct Neighbours<'a> {
    site: &'a Site,
    definitions: PathBuf,
    certificates: PathBuf,
}

impl<'a> Neighbours<'a> {
    /// Defines hosts and containers, and has the containers made and started, from an image that the first host has.
    pub(crate) fn start(site: &'a Site, hosts: [&Machine; 2], image: &str) -> Result<Self> {
        let neighbours = Self {
            site,
            definitions: site.path("config"),
            certificates: site.path("certificates"),
        };
        fs::create_dir_all(neighbours.definitions.join("nodes"))?;
        fs::create_dir_all(&neighbours.certificates)?;
        let mut nodes = format!(
            "[group.web]\nmgt = \"docker\"\nimage = \"{image}\"\nrestart = \"always\"\ninit = \"1\"\n\
             command = \"/bin/busybox sleep 1000000\"\n"
        );
        for (host, (container, address)) in hosts.into_iter().zip(CONTAINERS) {
            let (name, at) = (host.host(), host.address());
            nodes += &format!(
                "[node.{name}]\ngroups = [\"hosts\"]\nip = \"{at}\"\n\
                 [node.{container}]\ngroups = [\"web\"]\ndockerhost = \"{name}\"\nip = \"{address}\"\n"
            );
            host.fetch("/etc/slipway/client", &neighbours.certificates.join(name))?;
        }
        fs::write(neighbours.definitions.join("nodes/nodes.toml"), nodes)?;
        let (first, second) = (hosts[0].host(), hosts[1].host());
        neighbours.succeed("dockerimage", &["load", &second, image, "--from", &first])?;
        neighbours.succeed("mkdocker", &["web"])?;
        neighbours.succeed("rpower", &["web", "start"])?;
        let listed = neighbours.succeed("lsdocker", &["hosts"])?;
        for (container, _) in CONTAINERS {
            ensure!(listed.contains(container), "no {container}: {listed}");
        }
        Ok(neighbours)
    }

    /// Each container answers the management node, and the other one; and all is as declared.
    pub(crate) fn hold(&self, hosts: [&Machine; 2]) -> Result<()> {
        for (_, address) in CONTAINERS {
            ensure!(
                self.site.reaches(address, SETTLING)?,
                "{address} does not answer"
            );
        }
        let [first, second] = CONTAINERS;
        for (host, (container, _), (_, other)) in
            [(hosts[0], first, second), (hosts[1], second, first)]
        {
            let ping = [
                "exec",
                container,
                "/bin/busybox",
                "ping",
                "-q",
                "-c",
                "3",
                "-W",
                "5",
                other,
            ];
            let mut command = self.command("docker", &ping);
            command
                .env("DOCKER_HOST", format!("tcp://{}:2376", host.address()))
                .env("DOCKER_TLS_VERIFY", "1")
                .env("DOCKER_CERT_PATH", self.certificates.join(host.host()));
            succeeds("docker", &ping, &mut command)?;
        }
        let again = self.succeed("mkdocker", &["web"])?;
        // Each is told of as soon as it is done.
        let said: BTreeSet<_> = again.lines().map(str::to_owned).collect();
        let unchanged = CONTAINERS.map(|(container, _)| format!("{container}: unchanged"));
        same(&said, &BTreeSet::from(unchanged))
    }

    /// Runs a command of ours on the management node, which must succeed.
    fn succeed(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let program = binary("containers", name)?;
        let mut command = self.command(program, arguments);
        command
            .env("SLIPWAY_CONFIG", &self.definitions)
            .env("DOCKER_CERT_PATH", &self.certificates);
        succeeds(name, arguments, &mut command)
    }

    /// Prepares a program to run on the management node, for five minutes at most.
    fn command(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = self.site.command("timeout");
        command
            .args(["-k", "5", "300"])
            .arg(program)
            .args(arguments);
        command
    }
}

/// Runs what must succeed, and shows it as it is typed.
fn succeeds(name: &str, arguments: &[&str], command: &mut Command) -> Result<String> {
    let ended = outcome(command).with_context(|| format!("running {name}"))?;
    println!(
        "{}\n{}{}",
        typed(name, arguments),
        ended.stdout,
        ended.stderr
    );
    ensure!(ended.code == Some(0), "{name} {arguments:?}: {ended:?}");
    Ok(ended.stdout)
}
