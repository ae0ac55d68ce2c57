//! A docker host's engine, seen from the management node: what it must answer to whom.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::{Machine, Site, same};

/// A host whose uplink is in `mydocker0`, with an engine on it.
#[derive(Debug)]
pub struct DockerHost<'a> {
    site: &'a Site,
    /// The client's certificate, key and authority.
    bundle: PathBuf,
}

impl<'a> DockerHost<'a> {
    /// What the host runs to become one, in order: the containers' gateway is the management node, behind
    /// the switch.
    pub const SCRIPTS: [&'static str; 2] = [
        "xHRM bridgeprereq eth0:mydocker0",
        "setupdockerhost mydocker0=10.77.0.0/24@10.77.0.1",
    ];
    /// What is on the management node's side.
    pub const TOOLS: &'static [&'static str] = &["busybox", "curl", "docker", "openssl", "tar"];
    /// The address of the container on the bridge.
    pub const CONTAINER: &'static str = "10.77.0.50";

    /// Fetches the client's certificate over ssh.
    pub fn of(site: &'a Site, machine: &Machine) -> Result<Self> {
        let bundle = site.path("client");
        machine.fetch("/etc/slipway/client", &bundle)?;
        Ok(Self { site, bundle })
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
        self.docker(&["import", &archive, "busybox"])?;
        let place = [
            "--network",
            "mydocker0",
            "--ip",
            Self::CONTAINER,
            "--restart",
            "always",
        ];
        // It ends when it is told to, as services do: `live-restore` leaves containers to a shutdown's end.
        let script = "trap exit TERM; /bin/busybox sleep 1000000 & wait";
        let what = ["busybox", "/bin/busybox", "sh", "-c", script];
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
        same(
            &drop_ins.trim(),
            &"/etc/systemd/system/docker.service.d/slipway.conf",
        )?;
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
            let words: Vec<_> = ["--silent", "--max-time", "30"]
                .into_iter()
                .chain(asked)
                .collect();
            let got = self.site.run("curl", &words)?;
            ensure!(
                !got.stdout.contains("Version"),
                "with {what} one is let in: {got:?}"
            );
        }
        Ok(())
    }

    /// Runs the docker client with the certificate that was fetched; it must succeed.
    pub fn docker(&self, arguments: &[&str]) -> Result<String> {
        let file = |name: &str| shown(&self.bundle.join(name));
        let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
        let host = format!("tcp://{}:2376", Machine::ADDRESS);
        let trusted = [
            "--tlsverify",
            "--tlscacert",
            &ca,
            "--tlscert",
            &cert,
            "--tlskey",
            &key,
            "-H",
            &host,
        ];
        self.site.succeed("docker", &[&trusted, arguments].concat())
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
