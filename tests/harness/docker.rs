//! A docker host's engine, seen from the management node: what it must answer to whom.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{Machine, Outcome, Site, outcome, same};

/// A host whose uplink is in `mydocker0`, with an engine on it.
#[derive(Debug)]
pub struct DockerHost<'a> {
    site: &'a Site,
    /// The client's certificate, key and authority.
    bundle: PathBuf,
}

impl<'a> DockerHost<'a> {
    /// What the host runs to become one, in order: the containers' gateway is the management node, beyond
    /// the switch.
    pub const SCRIPTS: [&'static str; 2] = [
        "xHRM bridgeprereq eth0:mydocker0",
        "setupdockerhost mydocker0=10.77.0.0/24@10.77.0.1",
    ];
    /// What is on the management node's side.
    pub const TOOLS: &'static [&'static str] = &["busybox", "curl", "docker", "openssl", "tar"];
    /// The image that `start_container` makes.
    pub const IMAGE: &'static str = "busybox:1";
    /// The address of the container on the bridge.
    pub const CONTAINER: &'static str = "10.77.0.50";

    /// Fetches the client's certificate over ssh, from a host with an authority of its own.
    pub fn of(site: &'a Site, machine: &Machine) -> Result<Self> {
        let bundle = site.path("client");
        println!("$ scp -r root@host01:/etc/slipway/client .");
        machine.fetch("/etc/slipway/client", &bundle)?;
        Ok(Self::by(site, bundle))
    }

    /// Takes the client's certificate from a directory: the site signed it, and the host's.
    pub fn by(site: &'a Site, bundle: PathBuf) -> Self {
        let at = Machine::ADDRESS;
        println!(
            "$ export DOCKER_HOST=tcp://{at}:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=client"
        );
        Self { site, bundle }
    }

    /// Makes an image of busybox and starts a container of it, with an address of its own, for good.
    pub fn start_container(&self) -> Result<()> {
        let tree = self.site.path("image");
        fs::create_dir_all(tree.join("bin"))?;
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
        let busybox = busybox.iter().find(|path| path.exists());
        fs::copy(
            busybox.context("finding busybox")?,
            tree.join("bin/busybox"),
        )?;
        let (tree, archive) = (shown(&tree), shown(&self.site.path("image.tar")));
        self.site
            .succeed("tar", &["-C", &tree, "-cf", &archive, "bin"])?;
        self.docker(&["import", &archive, Self::IMAGE])?;
        let place = [
            "--network",
            "mydocker0",
            "--ip",
            Self::CONTAINER,
            "--restart",
            "always",
        ];
        // It ends on SIGTERM, as services do: `live-restore` leaves containers to a shutdown's end.
        let script = "trap exit TERM; /bin/busybox sleep 1000000 & wait";
        let what = [Self::IMAGE, "/bin/busybox", "sh", "-c", script];
        self.docker(&[&["run", "-d", "--name", "dh01c01"], &place[..], &what[..]].concat())?;
        Ok(())
    }

    /// What is true whenever somebody looks: the container answers from outside of the host, the engine
    /// answers its client and nobody else, the uplink's address is the bridge's, and a further run finds
    /// nothing to do.
    pub fn holds(&self, machine: &Machine) -> Result<()> {
        if !self.site.reaches(Self::CONTAINER, 120)? {
            let seen = "ip address; bridge link; iptables-save; journalctl -q -u docker -n 20";
            bail!(
                "{} does not answer: {:?}",
                Self::CONTAINER,
                machine.run(seen)?
            );
        }
        self.typed(
            "ping",
            &["-q", "-n", "-c", "3", "-i", "0.2", Self::CONTAINER],
        )?;
        self.answers_its_client_alone()?;
        let addresses = machine.succeed("ip -o -4 address show scope global")?;
        let has = |device: &str| {
            addresses
                .lines()
                .any(|line| line.contains(&format!(" {device} ")))
        };
        ensure!(
            addresses.contains(&format!(" mydocker0    inet {}/24 ", Machine::ADDRESS))
                && !has("eth0"),
            "addresses: {addresses}"
        );
        for script in Self::SCRIPTS {
            let said =
                machine.succeed(&format!("PATH=/opt/slipway/postscripts:$PATH; {script}"))?;
            same(&said.as_str(), &"nothing to do\n").context(script)?;
        }
        let drop_ins = machine.succeed("systemctl show -P DropInPaths docker.service")?;
        let drop_ins: Vec<_> = drop_ins.split_whitespace().collect();
        let ours = "/etc/systemd/system/docker.service.d/slipway";
        ensure!(
            drop_ins.last() == Some(&format!("{ours}.conf").as_str())
                && drop_ins.iter().all(|path| path.starts_with(ours)),
            "drop-ins: {drop_ins:?}"
        );
        let failed = machine.succeed("systemctl list-units --failed --plain --no-legend")?;
        same(&failed.as_str(), &"")
    }

    /// A client with the certificate is let in; one without, one of a foreign authority and one that
    /// speaks no TLS are not.
    fn answers_its_client_alone(&self) -> Result<()> {
        let version = self.docker(&["version", "--format", "{{.Server.Version}}"])?;
        ensure!(
            version.starts_with(|c: char| c.is_ascii_digit()),
            "a version: {version}"
        );
        let foreign = shown(&self.site.path("foreign.pem"));
        let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=me -days 2 -out";
        let words: Vec<_> = words
            .split(' ')
            .chain([foreign.as_str(), "-keyout", &foreign])
            .collect();
        self.site.succeed("openssl", &words)?;
        let url = format!("{}:2376/version", Machine::ADDRESS);
        let (tls, plain) = (format!("https://{url}"), format!("http://{url}"));
        let cases = [
            ("no certificate", vec!["--insecure", &tls]),
            (
                "a foreign certificate",
                vec!["--insecure", "--cert", &foreign, &tls],
            ),
            ("no TLS", vec![&plain]),
        ];
        for (what, asked) in cases {
            let words: Vec<_> = ["--silent", "--show-error", "--max-time", "30"]
                .into_iter()
                .chain(asked)
                .collect();
            let got = self.shown("curl", &words)?;
            ensure!(
                !got.stdout.contains("Version"),
                "with {what} one is let in: {got:?}"
            );
        }
        Ok(())
    }

    /// Runs the docker client with the certificate that was fetched; it must succeed.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        self.typed("docker", arguments)
    }

    /// Runs a program that must succeed, and shows it.
    fn typed(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let ended = self.shown(program, arguments)?;
        ensure!(ended.code == Some(0), "{program} {arguments:?}: {ended:?}");
        Ok(ended.stdout)
    }

    /// Runs a program as the administrator types it, and shows it and what it says.
    fn shown(&self, program: &str, arguments: &[&str]) -> Result<Outcome> {
        let here = shown(self.site.directory());
        let mut command: Command = self.site.command("timeout");
        command
            .args(["-k", "5", "180", program])
            .args(arguments)
            .env("DOCKER_HOST", format!("tcp://{}:2376", Machine::ADDRESS))
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", &self.bundle);
        let ended = outcome(&mut command).with_context(|| format!("running {program}"))?;
        let line = typed(program, arguments);
        let said = format!("{line}\n{}{}", ended.stdout, ended.stderr);
        print!("{}", said.replace(&format!("{here}/"), ""));
        Ok(ended)
    }
}

/// A command as a shell takes it.
pub fn typed(program: &str, arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|word| {
        let plain = word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c));
        if plain {
            format!(" {word}")
        } else if word.contains('\'') {
            format!(" \"{word}\"")
        } else {
            format!(" '{word}'")
        }
    });
    format!("$ {program}{}", quoted.collect::<String>())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
