//! The administrator's side: programs, definitions, trees and keys in a directory of their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{
    DockerHost, Installed, Machine, Site, binary, commands, outcome, same, static_programs, typed,
    workspace,
};
use tempfile::TempDir;

/// A management node's files.
pub(crate) struct ManagementNode {
    dir: TempDir,
}

impl ManagementNode {
    /// Installs the programs below a prefix, and makes a key.
    pub(crate) fn open(medium: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("management-node")
            .tempdir()?;
        let management_node = Self { dir };
        let (bin, shipped) = (
            management_node.path("usr/bin"),
            management_node.path("usr/share/slipway/postscripts"),
        );
        for directory in [
            &bin,
            &shipped,
            &management_node.path("config/keyrings"),
            &management_node.path("root/.ssh"),
            &management_node.installdir(),
        ] {
            fs::create_dir_all(directory)?;
        }
        for Installed { package, name, .. } in commands()? {
            fs::copy(binary(package, name)?, bin.join(name))?;
        }
        static_programs()?;
        for entry in fs::read_dir(workspace().join("target/postscripts"))? {
            let entry = entry?;
            fs::copy(entry.path(), shipped.join(entry.file_name()))?;
        }
        // Whoever has a medium of Debian has Debian's keys; this one is signed with a key of its own.
        let keyring = medium.with_file_name("keyring.gpg");
        if keyring.exists() {
            fs::copy(keyring, management_node.path("config/keyrings/medium.gpg"))?;
        }
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "administrator", "-f"])
            .arg(management_node.key())
            .status()?;
        ensure!(made.success(), "ssh-keygen: {made}");
        let installdir = format!("installdir={}", management_node.installdir().display());
        let mut site = management_node.program("chdef");
        let set = outcome(site.args(["-t", "site", "clustersite", &installdir]))?;
        ensure!(set.code == Some(0), "chdef: {}", set.stderr);
        println!(
            "# A management node whose / is {}.",
            management_node.dir.path().display()
        );
        Ok(management_node)
    }

    /// Imports the medium; returns the osimage of its docker hosts.
    pub(crate) fn import(&self, medium: &Path) -> Result<String> {
        let link = "debian.iso";
        symlink(medium, self.path(link)).context("linking the medium")?;
        self.typed("copycds", &[link])?;
        let images = self.typed("lsdef", &["-t", "osimage"])?;
        let image = images
            .split_whitespace()
            .find(|word| word.ends_with("-install-dockerhost"))
            .context("copycds defines no osimage for docker hosts")?;
        println!(
            "# This medium is signed by a key of its own, which no installer knows: the site signs the tree."
        );
        Ok(image.to_owned())
    }

    /// Defines the site, its network and the node, and makes the site's authorities.
    pub(crate) fn define(&self) -> Result<()> {
        let keys = format!("authorizedkeys={}.pub", self.key().display());
        let master = format!("master={}", Site::ADDRESS);
        self.typed(
            "chdef",
            &[
                "-t",
                "site",
                "clustersite",
                &master,
                "domain=cluster",
                &keys,
            ],
        )?;
        let network = ["net=10.77.0.0", "mask=255.255.255.0", "gateway=10.77.0.1"];
        self.typed(
            "mkdef",
            &[&["-t", "network", "cluster"], &network[..]].concat(),
        )?;
        let ip = format!("ip={}", Machine::ADDRESS);
        let node = [
            "groups=all",
            &ip,
            "mac=52:54:00:77:00:01",
            "serialport=0",
            "addkcmdline=R::net.ifnames=0",
        ];
        self.typed("mkdef", &[&["-t", "node", "host01"], &node[..]].concat())?;
        for script in DockerHost::SCRIPTS {
            self.typed(
                "chdef",
                &["host01", "-p", &format!("postbootscripts={script}")],
            )?;
        }
        self.typed("slipway-trust", &["init"]).map(drop)
    }

    /// Has the node boot what the site signed, and nothing else.
    pub(crate) fn build_ipxe(&self) -> Result<()> {
        let source = std::env::var("IPXE_SOURCE").unwrap_or_else(|_| "apt".to_owned());
        let build = ["ipxe", "--firmware", "bios", "--source", &source];
        self.typed("slipway-trust", &build)?;
        self.typed("chdef", &["-t", "site", "clustersite", "bootlevel=2"])
            .map(drop)
    }

    /// Renders what the node fetches.
    pub(crate) fn render(&self, osimage: &str) -> Result<()> {
        self.typed("nodeset", &["host01", &format!("osimage={osimage}")])
            .map(drop)
    }

    /// Serves addresses and boot files by what `makedhcp` and `makedns` write, and all else by `slipwayd`.
    pub(crate) fn serve(&self, site: &Site) -> Result<()> {
        let settings = self.path("dnsmasq.d");
        fs::create_dir_all(&settings)?;
        let (directory, pid) = (shown(&settings), shown(&self.path("dnsmasq.pid")));
        let options = ["--directory", &directory, "--pid-file", &pid];
        for (name, what) in [("makedhcp", "-n"), ("makedhcp", "-a"), ("makedns", "-n")] {
            let program = site.command(self.path("usr/bin").join(name));
            self.shown(program, name, &[&[what], &options[..]].concat())?;
        }
        let mut server = site.command("dnsmasq");
        server
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--user=root",
                "--no-hosts",
            ])
            .arg(format!("--conf-dir={directory}"))
            .arg(format!("--pid-file={pid}"))
            .arg(format!(
                "--dhcp-leasefile={}",
                self.path("leases").display()
            ))
            .arg(format!(
                "--log-facility={}",
                self.path("dnsmasq.log").display()
            ));
        server.spawn().context("starting dnsmasq")?;
        let socket = shown(&self.path("signer.sock"));
        let (state, trust) = (self.path("state"), shown(&self.path("config/trust")));
        fs::create_dir_all(&state)?;
        let at = |port: u16| format!("{}:{port}", Site::ADDRESS);
        let daemon = [
            "--http",
            &at(80),
            "--tls",
            &at(8443),
            "--reports",
            &at(3002),
            "--signer",
            &socket,
            "--credentials",
            &trust,
            "--state",
            &shown(&state),
        ]
        .map(str::to_owned);
        for (name, arguments) in [
            (
                "slipway-trust",
                vec!["signer".to_owned(), "--socket".to_owned(), socket.clone()],
            ),
            ("slipwayd", daemon.to_vec()),
        ] {
            println!(
                "$ {name} {}    # by its unit",
                arguments.join(" ").replace(&shown(self.dir.path()), "")
            );
            let log = fs::File::create(self.path(&format!("{name}.log")))?;
            let mut server = site.command(self.path("usr/bin").join(name));
            server
                .args(&arguments)
                .env("SLIPWAY_CONFIG", self.path("config"))
                .stderr(log);
            server.spawn().with_context(|| format!("starting {name}"))?;
        }
        Ok(())
    }

    /// Has the site sign a client for docker hosts; returns its directory.
    pub(crate) fn client(&self) -> Result<PathBuf> {
        self.typed(
            "slipway-trust",
            &["issue", "administrator", "--out", "client"],
        )?;
        Ok(self.path("client"))
    }

    /// A container that is a node: made, started, listed and entered from here; it stays.
    pub(crate) fn run_container(&self, site: &Site) -> Result<()> {
        let node = [
            "groups=web",
            "mgt=docker",
            "dockerhost=host01",
            "ip=10.77.0.51",
            "image=busybox:latest",
            "command=/bin/busybox sh -c 'trap exit TERM; /bin/busybox sleep 1000000 & wait'",
            "restart=unless-stopped",
        ];
        self.typed("mkdef", &[&["-t", "node", "web01"], &node[..]].concat())?;
        let typed = |name: &str, arguments: &[&str]| {
            let program = site.command(self.path("usr/bin").join(name));
            self.shown(program, name, arguments)
        };
        for (name, arguments, expected) in [
            ("mkdocker", &["web01"][..], "web01: success\n"),
            ("mkdocker", &["web01"], "web01: unchanged\n"),
            ("rpower", &["web01", "start"], "web01: success\n"),
            (
                "rpower",
                &["web01", "start"],
                "web01: container already started\n",
            ),
            ("rpower", &["web01", "state"], "web01: running\n"),
        ] {
            same(&typed(name, arguments)?.as_str(), &expected)?;
        }
        let listed = typed("lsdocker", &["host01"])?;
        ensure!(listed.contains(" /web01\n"), "lsdocker: {listed}");
        // It is for people: a program that has a terminal for it types nothing, and the exit code is the shell's.
        let line = "rcons web01 --exec '/bin/busybox sh -c \"echo here; exit 7\"'";
        let line = format!("{}/{line}", shown(&self.path("usr/bin")));
        let script = "script -q -e -c \"$0\" /dev/null </dev/null; test $? = 7";
        let said = self.shown(site.command("sh"), "sh", &["-c", script, &line])?;
        ensure!(said.contains("here"), "rcons: {said}");
        Ok(())
    }

    /// The container of [`Self::run_container`] runs again, and is as it is declared.
    pub(crate) fn has_its_container(&self, site: &Site) -> Result<()> {
        for (name, arguments, expected) in [
            ("rpower", &["web01", "state"][..], "web01: running\n"),
            ("mkdocker", &["web01"], "web01: unchanged\n"),
        ] {
            let program = site.command(self.path("usr/bin").join(name));
            same(&self.shown(program, name, arguments)?.as_str(), &expected)?;
        }
        ensure!(site.reaches("10.77.0.51", 120)?, "web01 does not answer");
        Ok(())
    }

    /// The node is known by what the site signed, has no authority's key, and renews by itself.
    pub(crate) fn has_enrolled(&self, machine: &Machine) -> Result<()> {
        machine.succeed(
            "test -s /etc/slipway/identity/cert.pem && test ! -e /etc/slipway/authority/ca-key.pem",
        )?;
        machine.succeed(
            "test ! -e /var/lib/slipway/enrolment.json && systemctl is-enabled slipway-enrol.timer",
        )?;
        self.typed(
            "nodestat",
            &["host01", "--state", &shown(&self.path("state"))],
        )?;
        Ok(())
    }

    /// Has the node run `setupdockerhost` again, which finds nothing to do.
    pub(crate) fn update(&self, site: &Site) -> Result<()> {
        let config = self.path("ssh_config");
        let text = format!(
            "Host *\n User root\n IdentityFile {}\n IdentitiesOnly yes\n UserKnownHostsFile {}\n",
            self.key().display(),
            self.path("known_hosts").display()
        );
        fs::write(&config, text)?;
        let program = site.command(self.path("usr/bin/updatenode"));
        let config = format!("--ssh-config={}", config.display());
        let said = self.shown(
            program,
            "updatenode",
            &["host01", "-P", "setupdockerhost", &config],
        )?;
        ensure!(
            said.contains("host01: nothing to do\n"),
            "a further run says: {said}"
        );
        Ok(())
    }

    /// Returns the directory of trees and assets.
    pub(crate) fn installdir(&self) -> PathBuf {
        self.path("install")
    }

    /// Returns the administrator's key.
    pub(crate) fn key(&self) -> PathBuf {
        self.path("root/.ssh/id_ed25519")
    }

    /// Returns a path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs one of our commands, which must succeed, and shows it and what it prints.
    fn typed(&self, name: &str, arguments: &[&str]) -> Result<String> {
        self.shown(self.program(name), name, arguments)
    }

    /// Prepares one of our commands.
    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.path("usr/bin").join(name));
        program.env("SLIPWAY_CONFIG", self.path("config"));
        program
    }

    fn shown(&self, mut program: Command, name: &str, arguments: &[&str]) -> Result<String> {
        program
            .args(arguments)
            .current_dir(self.dir.path())
            .env("SLIPWAY_CONFIG", self.path("config"))
            .env("DOCKER_CERT_PATH", self.path("client"));
        let ended = outcome(&mut program).with_context(|| format!("running {name}"))?;
        let here = self.dir.path().display().to_string();
        let said = format!("{}\n{}", typed(name, arguments), ended.stdout);
        print!("{}", said.replace(&here, ""));
        ensure!(ended.code == Some(0), "{name}: {}", ended.stderr);
        Ok(ended.stdout)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
