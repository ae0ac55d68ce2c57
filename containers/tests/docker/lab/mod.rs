//! Four docker hosts behind a switch, each with its own network, engine and certificate; the switch is the management node.

mod certificates;
mod engine;
mod network;
mod release;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

pub(crate) use certificates::make_certificates;
use engine::{start_containerd, start_daemon};
use network::make_networks;
use release::{containerd_socket, mount_root};

/// The switch's address, which is the containers' router as well.
pub(crate) const ROUTER: &str = "10.73.0.254";
/// The names and addresses of the hosts.
pub(crate) const HOSTS: [(&str, &str); 4] = [
    ("host01", "10.73.0.5"),
    ("host02", "10.73.0.6"),
    (RESTARTED, "10.73.0.7"),
    ("host04", "10.73.0.8"),
];
/// The host whose engine a case may kill, while it holds the guard.
pub(crate) const RESTARTED: &str = "host03";
static RESTARTS: Mutex<()> = Mutex::new(());

/// Keeps other cases from the engine of that host.
pub(crate) fn restarts() -> MutexGuard<'static, ()> {
    RESTARTS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The release of Debian whose engine a host runs, where tests/media/engine has made it; else it is this machine's own.
pub(crate) const RELEASES: [(&str, &str); 2] = [(RESTARTED, "trixie"), ("host04", "testing")];

/// Finds the root of the engine of a host, as it was made.
pub(crate) fn made_root(host: &str) -> Option<PathBuf> {
    let (_, release) = RELEASES.iter().find(|(name, _)| *name == host)?;
    let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/media");
    let root = media.join(format!("engine-{release}"));
    root.join("usr/sbin/dockerd").exists().then_some(root)
}

/// All of it; started by the first case that needs it.
pub(crate) struct Lab {
    directory: tempfile::TempDir,
    /// By host; this machine's own has the name of none.
    containerds: Mutex<BTreeMap<&'static str, Child>>,
    daemons: Vec<Mutex<Child>>,
}

static LAB: OnceLock<Lab> = OnceLock::new();

/// Returns the lab, which is started when it is needed first.
pub(crate) fn lab() -> &'static Lab {
    LAB.get_or_init(Lab::start)
}

/// Takes the lab down.
pub(crate) fn end() {
    if let Some(lab) = LAB.get() {
        lab.end();
    }
}

/// Names a network namespace of this run.
fn namespace(name: &str) -> String {
    format!("cnt-{name}-{}", std::process::id())
}

impl Lab {
    fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("cnt")
            .tempdir_in("/tmp")
            .unwrap();
        let path = directory.path().to_owned();
        make_networks();
        make_certificates(&path);
        for (host, _) in HOSTS {
            fs::create_dir_all(path.join(host)).unwrap();
            if let Some(made) = made_root(host) {
                mount_root(&path, host, &made);
            }
        }
        let others = HOSTS.map(|(host, _)| host).into_iter();
        let others = others.filter(|host| made_root(host).is_some());
        let containerds: BTreeMap<_, _> = [""]
            .into_iter()
            .chain(others)
            .map(|host| (host, start_containerd(&path, host)))
            .collect();
        let daemons = HOSTS
            .map(|host| {
                let mounts_of = containerds.get(host.0).map(Child::id);
                Mutex::new(start_daemon(&path, host, mounts_of))
            })
            .into();
        let lab = Self {
            directory,
            containerds: Mutex::new(containerds),
            daemons,
        };
        let image = make_image(&path);
        for (host, address) in HOSTS {
            lab.wait_for(host);
            lab.make_docker_network(host, address);
            lab.docker(
                host,
                &["network", "create", "--subnet", "10.74.0.0/24", "back"],
            );
            let import = [
                "import",
                "--change",
                "VOLUME /kept",
                image.to_str().unwrap(),
                "busybox:1",
            ];
            lab.docker(host, &import);
        }
        lab
    }

    /// Makes the docker network on a host's bridge, as `setupdockerhost` does.
    pub(crate) fn make_docker_network(&self, host: &str, address: &str) {
        let line = format!(
            "network create --subnet 10.73.0.0/16 --gateway {ROUTER} --ip-range {ROUTER}/32 --aux-address host1={address} -o \
             com.docker.network.bridge.name=mydocker0 -o com.docker.network.bridge.inhibit_ipv4=true mydocker0"
        );
        self.docker(host, &words(&line));
    }

    /// Returns the directory of the client's certificate.
    pub(crate) fn client(&self) -> PathBuf {
        self.directory.path().join("client")
    }

    /// Returns a file of the lab.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Begins a command that runs where the engine of a host sees its files, and returns where they are seen from here.
    pub(crate) fn beside_engine(&self, host: &str) -> (Command, PathBuf) {
        let found = self.containerds.lock().unwrap().get(host).map(Child::id);
        let Some(id) = found else {
            return (Command::new("busybox"), PathBuf::from("/"));
        };
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{id}/ns/mnt"));
        command.arg("/run/busybox");
        (command, PathBuf::from(format!("/proc/{id}/root")))
    }

    /// Makes a command that runs in a namespace: `switch`, or a host.
    pub(crate) fn inside(&self, place: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", namespace(place)));
        command.arg(program);
        command
    }

    /// Runs docker's own client on a host, which must succeed; returns what it prints.
    pub(crate) fn docker(&self, host: &str, arguments: &[&str]) -> String {
        let output = self.try_docker(host, arguments);
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}\n{}",
            text(&output.stderr),
            self.last_words(host)
        );
        text(&output.stdout).trim().to_owned()
    }

    /// The same, whatever becomes of it.
    pub(crate) fn try_docker(&self, host: &str, arguments: &[&str]) -> Output {
        let socket = format!("unix://{}", self.path(host).join("docker.sock").display());
        let mut command = Command::new("docker");
        command
            .env_remove("DOCKER_TLS_VERIFY")
            .env_remove("DOCKER_CERT_PATH");
        command
            .args(["-H", &socket])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Asks the engine for one value of a container.
    pub(crate) fn inspect(&self, host: &str, container: &str, format: &str) -> String {
        self.docker(host, &["inspect", "-f", format, container])
    }

    /// Kills a host's engine; its containers go on.
    pub(crate) fn kill_daemon(&self, host: &str) {
        let mut daemon = self.daemon(host);
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Ends a host's engine and all that runs in its containers at once, as a switch does, and starts the engine again.
    pub(crate) fn reboot(&self, host: &str) {
        self.kill_daemon(host);
        let namespace = format!("{host}-{}", std::process::id());
        let ctr = |arguments: &[&str]| {
            let mut command = Command::new("ctr");
            command
                .arg("--address")
                .arg(containerd_socket(self.directory.path(), host));
            command.args(["--namespace", &namespace]).args(arguments);
            text(&command.output().unwrap().stdout)
        };
        for task in ctr(&["tasks", "list", "-q"]).split_whitespace() {
            ctr(&["tasks", "kill", "--all", "--signal", "SIGKILL", task]);
        }
        eventually("nothing runs there", || {
            !ctr(&["tasks", "list"]).contains("RUNNING")
        });
        self.start_daemon(host);
    }

    /// Starts it again.
    pub(crate) fn start_daemon(&self, host: &str) {
        let found = HOSTS.iter().find(|(name, _)| *name == host).unwrap();
        fs::remove_file(self.path(host).join("docker.pid")).ok();
        let mounts_of = self.containerds.lock().unwrap().get(host).map(Child::id);
        *self.daemon(host) = start_daemon(self.directory.path(), *found, mounts_of);
        self.wait_for(host);
    }

    fn daemon(&self, host: &str) -> MutexGuard<'_, Child> {
        let at = HOSTS.iter().position(|(name, _)| *name == host).unwrap();
        self.daemons[at]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn wait_for(&self, host: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.try_docker(host, &["version"]).status.success() {
            assert!(Instant::now() < deadline, "{}", self.last_words(host));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn last_words(&self, host: &str) -> String {
        let log = fs::read_to_string(self.path(host).join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    fn end(&self) {
        for (host, _) in HOSTS {
            let ids = text(&self.try_docker(host, &["ps", "-aq"]).stdout);
            let ids: Vec<_> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                self.try_docker(host, &[&["rm", "-f"], ids.as_slice()].concat());
            }
            let mut daemon = self.daemon(host);
            let id = daemon.id().to_string();
            Command::new("kill").arg(id).status().ok();
            daemon.wait().ok();
        }
        for containerd in self.containerds.lock().unwrap().values_mut() {
            containerd.kill().ok();
            containerd.wait().ok();
        }
        for target in self.mounts().iter().rev() {
            Command::new("umount").args(["-l", target]).status().ok();
        }
        for name in HOSTS.map(|(name, _)| name).into_iter().chain(["switch"]) {
            Command::new("ip")
                .args(["netns", "del", &namespace(name)])
                .status()
                .ok();
        }
        // What is still mounted there is somebody else's.
        if self.mounts().is_empty() {
            fs::remove_dir_all(self.directory.path()).ok();
        }
    }

    /// Lists what is mounted below the lab's directory.
    fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let targets = mounts
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1));
        let ours = targets.filter(|target| Path::new(target).starts_with(self.directory.path()));
        ours.map(str::to_owned).collect()
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Makes an image's file system of busybox alone.
fn make_image(path: &Path) -> PathBuf {
    let bin = path.join("image/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(busybox().unwrap(), bin.join("busybox")).unwrap();
    for name in ["sh", "sleep", "cat", "stty", "ping", "touch"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
    }
    let archive = path.join("image.tar");
    let tree = path.join("image");
    run(
        "tar",
        &[
            "-C",
            tree.to_str().unwrap(),
            "-cf",
            archive.to_str().unwrap(),
            "bin",
        ],
    );
    archive
}

/// Runs a program that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        text(&output.stderr)
    );
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until a condition holds, a minute at most: the machine may be busy.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "it did not come true: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns a busybox that runs where there is no library: a static one.
pub(crate) fn busybox() -> Option<PathBuf> {
    let is_static = |program: &PathBuf| {
        let mut head = [0; 4096];
        let read = fs::File::open(program).and_then(|mut file| file.read_exact(&mut head));
        read.is_ok() && !head.windows(4).any(|four| four == b"/ld-")
    };
    ["/bin/busybox", "/usr/bin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(is_static)
}
