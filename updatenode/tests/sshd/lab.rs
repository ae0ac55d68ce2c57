//! A management node in a directory, and nodes served by one sshd.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use definitions::{ProgramDigest, Runlist, RunlistEntry, ScriptOrigin};

/// The postbootscripts of every node of the lab.
pub(crate) const LIST: [&str; 3] = ["xHRM bridgeprereq eth0:b0", "otherpkgs", "setupdockerhost"];

pub(crate) struct Lab {
    directory: tempfile::TempDir,
    sshd: Child,
    port: u16,
}

/// What a run did.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    /// With `T s` in place of every time.
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// The lines that say how a node ended, without its name and how long it took.
    pub(crate) fn ended(&self, node: &str) -> Vec<&str> {
        let name = format!("{node}: ");
        let lines = self.out.lines();
        lines
            .filter_map(|line| line.strip_prefix(&name)?.strip_suffix(" (T s)"))
            .collect()
    }
}

/// Names so many nodes, `n1` and so on, each with an address of a network of loopback such as `127.0.1`.
pub(crate) fn numbered(count: usize, network: &str) -> Vec<(String, String)> {
    let node = |number| (format!("n{number}"), format!("{network}.{number}"));
    (1..=count).map(node).collect()
}

impl Lab {
    /// Sets up nodes of these names and addresses, each with the assets that nodeset writes and with the program of
    /// the install directory in place.
    pub(crate) fn new(nodes: &[(impl AsRef<str>, impl AsRef<str>)]) -> Self {
        Self::serving(nodes, "")
    }

    /// Sets up nodes whose server has more options, such as those of a `Match LocalAddress`.
    pub(crate) fn serving(nodes: &[(impl AsRef<str>, impl AsRef<str>)], options: &str) -> Self {
        let lab = Self::with_server(options);
        let mut text = String::new();
        for (node, address) in nodes {
            let (node, address) = (node.as_ref(), address.as_ref());
            text += &format!("[node.{node}]\nip = \"{address}\"\n");
            lab.write_assets(node);
            lab.make_node(address);
        }
        fs::create_dir(lab.path("config/nodes")).unwrap();
        fs::write(lab.path("config/nodes/nodes.toml"), text).unwrap();
        lab
    }

    /// Sets up the management node and the server, and no node.
    pub(crate) fn bare() -> Self {
        Self::with_server("")
    }

    fn with_server(options: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for name in ["config", "install/postscripts", "nodes"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        let site = format!("installdir = \"{}\"\n", path.join("install").display());
        fs::write(path.join("config/site.toml"), site).unwrap();
        write_program(
            &path.join("install/postscripts/firstboot"),
            include_str!("firstboot"),
        );
        for name in [
            "xHRM",
            "bridgeprereq",
            "ospkgs",
            "otherpkgs",
            "setupdockerhost",
        ] {
            write_program(
                &path.join("install/postscripts").join(name),
                &format!("the program {name}\n"),
            );
        }
        for key in ["host", "client", "other", "authority"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path.join(key))
                .status();
            assert!(made.unwrap().success());
        }
        fs::copy(path.join("client.pub"), path.join("authorized")).unwrap();
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-I", "n1", "-h", "-n", "127.0.1.1", "-s"])
            .arg(path.join("authority"))
            .arg(path.join("host.pub"))
            .status();
        assert!(signed.unwrap().success());
        let node = include_str!("node").replace("@LAB@", &path.display().to_string());
        write_program(&path.join("node"), &node);
        let (sshd, port) = start_sshd(path, options);
        let lab = Self {
            directory,
            sshd,
            port,
        };
        lab.write_ssh_config("");
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Writes the user's ssh configuration; what is given goes first, and so goes before.
    pub(crate) fn write_ssh_config(&self, more: &str) {
        let lab = self.directory.path().display();
        let key = fs::read_to_string(self.path("host.pub")).unwrap();
        let known = format!("[127.*]:{} {key}", self.port);
        fs::write(self.path("known"), known).unwrap();
        let text = format!(
            "{more}\nHost *\n Port {}\n User root\n IdentityFile {lab}/client\n IdentitiesOnly yes\n \
             UserKnownHostsFile {lab}/known\n GlobalKnownHostsFile none\n StrictHostKeyChecking yes\n \
             KexAlgorithms curve25519-sha256\n",
            self.port
        );
        fs::write(self.path("ssh_config"), text).unwrap();
    }

    /// Makes the directory that is the node at an address, as it is after its installation.
    pub(crate) fn make_node(&self, address: &str) {
        let bin = self.path(&format!("nodes/{address}/opt/slipway/bin"));
        fs::create_dir_all(&bin).unwrap();
        fs::copy(
            self.path("install/postscripts/firstboot"),
            bin.join("firstboot"),
        )
        .unwrap();
    }

    /// Has a node do something, in shell, before it ends.
    pub(crate) fn behave(&self, address: &str, shell: &str) {
        fs::write(self.path(&format!("nodes/{address}/opt/behaviour")), shell).unwrap();
    }

    /// Returns a path on a node.
    pub(crate) fn on(&self, address: &str, name: &str) -> PathBuf {
        self.path(&format!("nodes/{address}/opt")).join(name)
    }

    /// Writes what nodeset writes, the digests of the programs yesterday's.
    pub(crate) fn write_assets(&self, node: &str) {
        let path = self.path(&format!("install/autoinst/{node}"));
        fs::create_dir_all(&path).unwrap();
        let list = serde_json::to_vec_pretty(&list(node)).unwrap();
        fs::write(path.join(Runlist::FILE), list).unwrap();
    }

    /// Prepares a run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_updatenode"));
        command
            .args(args)
            .arg("--ssh-config")
            .arg(self.path("ssh_config"))
            .env("SLIPWAY_CONFIG", self.path("config"))
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.finish(&mut self.command(args))
    }

    /// Runs a command to its end.
    pub(crate) fn finish(&self, command: &mut Command) -> Outcome {
        let output = command.output().unwrap();
        self.outcome(output.status.code(), &output.stdout, &output.stderr)
    }

    /// Takes out of what was said what differs from run to run.
    pub(crate) fn outcome(&self, code: Option<i32>, out: &[u8], err: &[u8]) -> Outcome {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            let text = text.replace(&format!("{}/", self.directory.path().display()), "");
            without_times(&text.replace(&self.port.to_string(), "PORT"))
        };
        Outcome {
            code,
            out: text(out),
            err: text(err),
        }
    }

    /// Returns what the server wrote into its log.
    pub(crate) fn server_log(&self) -> String {
        fs::read_to_string(self.path("sshd.log")).unwrap()
    }

    /// Lists the ssh processes of this lab that are there.
    pub(crate) fn processes(&self) -> Vec<String> {
        let config = self.path("ssh_config").display().to_string();
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").unwrap() {
            let path = process.unwrap().path().join("cmdline");
            let line = fs::read(path).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.starts_with("ssh ") && line.contains(&config) {
                found.push(line);
            }
        }
        found
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // With it goes its process namespace, and so every session and what it left running.
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

/// Returns a node's list as nodeset writes it.
pub(crate) fn list(node: &str) -> Runlist {
    let entry = |line: &&str| RunlistEntry {
        origin: ScriptOrigin::Osimage,
        line: line.parse().unwrap(),
    };
    let old = ProgramDigest {
        sha256: "0".repeat(64),
        size: 1,
    };
    let names = ["xHRM", "bridgeprereq", "otherpkgs", "setupdockerhost"];
    Runlist {
        node: node.to_owned(),
        osimage: "debian12.9.0-x86_64-install-dockerhost".to_owned(),
        source: "http://10.1.0.1/install/postscripts".to_owned(),
        environment: [("NODE".to_owned(), node.to_owned())].into(),
        postscripts: Vec::new(),
        postbootscripts: LIST.iter().map(entry).collect(),
        programs: names.map(|name| (name.to_owned(), old.clone())).into(),
    }
}

pub(crate) fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Starts a server on a free port of every loopback address.
fn start_sshd(lab: &Path, options: &str) -> (Child, u16) {
    // sshd wants the directory that its package makes at boot; it puts nothing there.
    fs::create_dir_all("/run/sshd").unwrap();
    let lab = lab.display();
    for _ in 0..10 {
        let port = TcpListener::bind(("0.0.0.0", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "Port {port}\nListenAddress 0.0.0.0\nHostKey {lab}/host\nHostCertificate {lab}/host-cert.pub\nAuthorizedKeysFile {lab}/authorized\n\
             ForceCommand {lab}/node\nPidFile none\nUsePAM no\nStrictModes no\nMaxStartups 2000\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nUseDNS no\n\
             PrintMotd no\nPrintLastLog no\nLogLevel VERBOSE\n{options}"
        );
        let config = config.replace("@LAB@", &lab.to_string());
        fs::write(format!("{lab}/sshd_config"), config).unwrap();
        // An empty home: what this machine's root has in its shell's files is nobody's business here.
        let script = "mount -t tmpfs none /root && exec /usr/sbin/sshd -D -E \"$1/sshd.log\" -f \"$1/sshd_config\"";
        let mut sshd = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                script,
                "sh",
                &lab.to_string(),
            ])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let log = || fs::read_to_string(format!("{lab}/sshd.log")).unwrap_or_default();
        until("sshd starts", || {
            log().contains("Server listening") || sshd.try_wait().unwrap().is_some()
        });
        if sshd.try_wait().unwrap().is_none() {
            return (sshd, port);
        }
    }
    panic!("sshd does not start");
}

/// Puts `T s` in place of times such as `1.2 s`.
fn without_times(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(" s") {
        let (before, after) = rest.split_at(at);
        let time = before
            .rfind(|c: char| !c.is_ascii_digit() && c != '.')
            .map_or(0, |at| at + 1);
        let is_time = before[time..].contains('.') && before[time..].len() >= 3;
        shown += if is_time { &before[..time] } else { before };
        shown += if is_time { "T s" } else { " s" };
        rest = &after[2..];
    }
    shown + rest
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
