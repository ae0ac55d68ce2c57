//! What hosts run, on a real machine: an installed disk is booted in qemu, becomes a docker host, is
//! rebooted, and still is one. All from the management node's side: over ssh, TLS and ping.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use e2e::{Disk, Machine, Need, Site, same, static_programs, story};
use libtest_mimic::Trial;

/// What a container on the bridge is given.
const CONTAINER: &str = "10.77.0.50";
/// The network of containers on the bridge; their gateway is the management node, behind the switch.
const NETWORK: &str = "mydocker0=10.77.0.0/24@10.77.0.1";

pub(crate) fn stories() -> Vec<Trial> {
    let machine = &[
        Need::Machines,
        Need::MachineDisk,
        Need::Tools(&["busybox", "curl", "docker", "openssl", "tar"]),
    ];
    vec![story(
        "boot::a_booted_host_becomes_a_docker_host_and_is_one_after_a_reboot",
        machine,
        becomes_a_docker_host,
    )]
}

fn becomes_a_docker_host() -> Result<()> {
    let site = Site::new()?;
    site.serve_addresses(&[])?;
    let disk = Disk::find(Disk::SUITE).context("finding the disk of a machine")?;
    let mut machine = Machine::boot(&site, "docker-host", &disk, &["sw"], "")?;
    machine.put(&static_programs()?, "/usr/local/sbin")?;
    machine.succeed("ln -s bridgeprereq /usr/local/sbin/xHRM")?;

    machine.succeed("xHRM bridgeprereq eth0:mydocker0")?;
    machine.succeed(&format!("setupdockerhost {NETWORK}"))?;
    let engine = Engine::of(&site, &machine)?;
    engine.start_container()?;
    holds(&machine, &engine)?;

    machine.reboot()?;
    holds(&machine, &engine).context("after a reboot")?;
    machine.power_off()
}

/// What is true of a docker host whenever somebody looks.
fn holds(machine: &Machine, engine: &Engine) -> Result<()> {
    if !engine.site.reaches(CONTAINER, 60)? {
        let seen = "ip address; ip route; bridge link; docker ps -a; nft list ruleset; journalctl -u docker -n 20";
        anyhow::bail!("{CONTAINER} does not answer: {:?}", machine.run(seen)?);
    }
    engine.answers_its_client_alone()?;
    let addresses =
        machine.succeed("ip -o -4 address show scope global | awk '{ print $2, $4 }'")?;
    ensure!(
        addresses.contains("mydocker0 10.77.0.11/24\n") && !addresses.contains("eth0"),
        "addresses: {addresses}"
    );
    for again in [
        "xHRM bridgeprereq eth0:mydocker0",
        &format!("setupdockerhost {NETWORK}"),
    ] {
        same(&machine.succeed(again)?.as_str(), &"nothing to do\n").context(again.to_owned())?;
    }
    let drop_ins = machine.succeed("systemctl show -P DropInPaths docker.service")?;
    same(
        &drop_ins.trim(),
        &"/etc/systemd/system/docker.service.d/slipway.conf",
    )?;
    let failed = machine.succeed("systemctl list-units --failed --plain --no-legend")?;
    same(&failed.as_str(), &"")
}

/// The engine of a docker host, seen from the management node.
struct Engine<'a> {
    site: &'a Site,
    /// The client's certificate, key and authority.
    bundle: PathBuf,
}

impl<'a> Engine<'a> {
    /// Fetches the client's bundle over ssh.
    fn of(site: &'a Site, machine: &Machine) -> Result<Self> {
        let bundle = site.path("client");
        machine.fetch("/etc/slipway/client", &bundle)?;
        Ok(Self { site, bundle })
    }

    /// A client with the certificate is let in; one without, one of a foreign authority and one that
    /// speaks no TLS are not.
    fn answers_its_client_alone(&self) -> Result<()> {
        let version = self.docker(&["version", "--format", "{{.Server.Version}}"])?;
        ensure!(
            version.starts_with(|c: char| c.is_ascii_digit()),
            "a version: {version}"
        );
        let foreign = self.site.path("foreign.pem").display().to_string();
        let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=me -days 2 -out";
        let mut words: Vec<_> = words
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
        for (who, asked) in cases {
            words = ["--silent", "--max-time", "20"]
                .into_iter()
                .chain(asked)
                .collect();
            let got = self.site.run("curl", &words)?;
            ensure!(
                !got.stdout.contains("Version"),
                "with {who} one is let in: {got:?}"
            );
        }
        Ok(())
    }

    /// Makes an image of busybox and starts a container of it, with an address of its own, for good.
    fn start_container(&self) -> Result<()> {
        let tree = self.site.path("image");
        fs::create_dir_all(tree.join("bin"))?;
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
        let busybox = busybox
            .iter()
            .find(|path| path.exists())
            .context("finding busybox")?;
        fs::copy(busybox, tree.join("bin/busybox"))?;
        let (tree, archive) = (
            tree.display().to_string(),
            self.site.path("image.tar").display().to_string(),
        );
        self.site
            .succeed("tar", &["-C", &tree, "-cf", &archive, "bin"])?;
        self.docker(&["import", &archive, "busybox"])?;
        let network = ["--network", "mydocker0", "--ip", CONTAINER];
        let what = [
            "--restart",
            "always",
            "busybox",
            "/bin/busybox",
            "sleep",
            "1000000",
        ];
        self.docker(&[&["run", "-d", "--name", "dh01c01"], &network[..], &what[..]].concat())?;
        Ok(())
    }

    /// Runs the docker client with the certificate that was fetched; it must succeed.
    fn docker(&self, arguments: &[&str]) -> Result<String> {
        let file = |name: &str| self.bundle.join(name).display().to_string();
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
