//! A docker host in a directory: its own files, sockets and daemon, beside any other.
//!
//! dockerd is the real one of this machine, started by a SysV script of the form that Debian ships,
//! with everything it keeps below the host's root. What a host of the test changes is gone with it.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::containerd;

/// Starts dockerd in the background, and fails when it does not come up.
const SCRIPT: &str = include_str!("docker.init");

/// One docker host.
pub(crate) struct Host {
    root: tempfile::TempDir,
    /// A network namespace that is the host's own, if it has one.
    namespace: Option<String>,
    /// Where its dockerd listens.
    pub(crate) listen: String,
}

impl Host {
    /// Makes a host whose engine runs as a package leaves it: on its own socket alone.
    pub(crate) fn new() -> Self {
        let host = Self::prepare(None, format!("127.0.0.1:{}", free_port()));
        host.start();
        host
    }

    /// Makes a host in a network namespace.
    pub(crate) fn inside(namespace: &str, listen: &str) -> Self {
        let host = Self::prepare(Some(namespace.to_owned()), listen.to_owned());
        host.start();
        host
    }

    /// Makes a host whose engine was never started.
    pub(crate) fn prepare(namespace: Option<String>, listen: String) -> Self {
        let root = tempfile::Builder::new()
            .prefix("dh")
            .tempdir_in("/tmp")
            .unwrap();
        let host = Self {
            root,
            namespace,
            listen,
        };
        for dir in [
            "etc/docker",
            "etc/init.d",
            "etc/default",
            "var/run",
            "var/log",
            "run",
            "usr/sbin",
        ] {
            fs::create_dir_all(host.path(dir)).unwrap();
        }
        symlink(dockerd().unwrap(), host.path("usr/sbin/dockerd")).unwrap();
        // `ip netns exec`, in which setupdockerhost runs, hides the control groups below a /sys of
        // its own: dockerd gets the mounts of this test.
        let mounts = format!("/proc/{}/ns/mnt", std::process::id());
        let inside = host.namespace.as_ref();
        let inside = inside.map(|name| format!("nsenter --mount={mounts} --net=/run/netns/{name}"));
        let script = SCRIPT
            .replace("@ROOT@", host.root.path().to_str().unwrap())
            .replace("@INSIDE@", inside.as_deref().unwrap_or(""))
            .replace("@CONTAINERD@", containerd::socket().to_str().unwrap());
        fs::write(host.path("etc/init.d/docker"), script).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(host.path("etc/init.d/docker"), mode).unwrap();
        host
    }

    pub(crate) fn start(&self) {
        // Its interpreter reads it: a program of another thread may still have the file open for writing.
        let output = Command::new("sh")
            .arg(self.path("etc/init.d/docker"))
            .arg("start")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}\n{}",
            text(&output.stdout),
            self.last_words()
        );
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("var/log/docker.log")).unwrap_or_default()
    }

    /// Returns what the daemon said last, for a message.
    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// Waits until no script of the host runs any more: one that was started goes on when the
    /// program that started it is killed.
    pub(crate) fn wait_for_script(&self) {
        let script = self.path("etc/init.d/docker");
        eventually("the script ends", || {
            let running = Command::new("pgrep")
                .arg("-f")
                .arg(&script)
                .status()
                .unwrap();
            !running.success()
        });
    }

    pub(crate) fn pid(&self) -> String {
        self.read("run/docker.pid")
    }

    /// Returns the command `setupdockerhost` for this host, listening where the host does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.args(["--listen", &self.listen]);
        command
    }

    /// Returns the command without `--listen`.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_setupdockerhost");
        let mut command = match &self.namespace {
            None => Command::new(binary),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name, binary]);
                command
            }
        };
        command.arg("--root").arg(self.root.path()).args(arguments);
        command
    }

    /// Runs `setupdockerhost`, which must succeed; returns what it printed on stdout.
    pub(crate) fn setup(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}\n{}",
            text(&output.stderr),
            self.last_words()
        );
        text(&output.stdout)
    }

    /// Runs it, which must fail with exit code 1; returns its last line on stderr.
    pub(crate) fn refuse(&self, arguments: &[&str]) -> String {
        failure(self.command(arguments).output().unwrap(), 1)
    }

    /// Runs the docker client on the host's own socket.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Output {
        let socket = format!("unix://{}", self.path("var/run/docker.sock").display());
        let mut command = Command::new("docker");
        command
            .env_remove("DOCKER_TLS_VERIFY")
            .args(["-H", &socket])
            .args(arguments);
        command.output().unwrap()
    }

    /// Runs the docker client over TCP with the client's bundle that `dir` holds.
    pub(crate) fn docker_tls(&self, dir: &Path, arguments: &[&str]) -> Output {
        let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let mut command = Command::new("docker");
        command.args([
            "--tlsverify",
            "--tlscacert",
            &file("ca.pem"),
            "--tlscert",
            &file("cert.pem"),
        ]);
        command.args([
            "--tlskey",
            &file("key.pem"),
            "-H",
            &format!("tcp://{}", self.listen),
        ]);
        command.args(arguments).output().unwrap()
    }

    /// Loads busybox as an image: no registry is needed.
    pub(crate) fn load_busybox(&self) {
        let dir = self.path("image/bin");
        fs::create_dir_all(&dir).unwrap();
        fs::copy(busybox().unwrap(), dir.join("busybox")).unwrap();
        let archive = self.path("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C")
            .arg(self.path("image"))
            .arg("-cf")
            .arg(&archive);
        assert!(tar.arg("bin").status().unwrap().success());
        let output = self.docker(&["import", archive.to_str().unwrap(), "busybox"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Starts a container of busybox that stays; returns its id.
    pub(crate) fn start_container(&self, name: &str, more: &[&str]) -> String {
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend(more);
        arguments.extend(["busybox", "/bin/busybox", "sleep", "600"]);
        let output = self.docker(&arguments);
        assert!(
            output.status.success(),
            "{}\n{}",
            text(&output.stderr),
            self.last_words()
        );
        text(&output.stdout).trim().to_owned()
    }

    /// Returns every file below `etc` and `var/lib/slipway` with its mode and bytes.
    pub(crate) fn contents(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let files = self.snapshot().into_iter();
        files
            .map(|(path, mode, _, _, bytes)| (path, mode, bytes))
            .collect()
    }

    /// Returns every file below `etc` and `var/lib/slipway` with its mode, time and bytes.
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, u32, i64, i64, Vec<u8>)> {
        let mut files = Vec::new();
        let mut dirs = vec![self.path("etc"), self.path("var/lib/slipway")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let meta = fs::symlink_metadata(entry.path()).unwrap();
                if meta.is_dir() {
                    dirs.push(entry.path());
                } else if !entry.path().ends_with("setupdockerhost/lock") {
                    let bytes = if meta.is_file() {
                        fs::read(entry.path()).unwrap()
                    } else {
                        Vec::new()
                    };
                    files.push((
                        entry.path(),
                        meta.mode(),
                        meta.mtime(),
                        meta.mtime_nsec(),
                        bytes,
                    ));
                }
            }
        }
        files.sort();
        files
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Containers first: with live-restore they outlive the daemon.
        let ids = text(&self.docker(&["ps", "-q"]).stdout);
        let ids: Vec<_> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            self.docker(&[&["rm", "-f"], ids.as_slice()].concat());
        }
        Command::new(self.path("etc/init.d/docker"))
            .arg("stop")
            .status()
            .ok();
        for mount in fs::read_to_string("/proc/mounts")
            .unwrap_or_default()
            .lines()
            .rev()
        {
            let target = mount.split_whitespace().nth(1).unwrap_or_default();
            if Path::new(target).starts_with(self.root.path()) {
                Command::new("umount").args(["-l", target]).status().ok();
            }
        }
    }
}

/// Asserts the exit code and returns the last line of stderr.
pub(crate) fn failure(output: Output, code: i32) -> String {
    let errors = text(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{errors}{}",
        text(&output.stdout)
    );
    errors.lines().last().unwrap_or_default().to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns a port that nobody listens on, that no other host of the tests was given, and that is none
/// of those that the kernel hands to clients.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until a condition holds, ten seconds at most.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns the real daemon of this machine.
pub(crate) fn dockerd() -> Option<PathBuf> {
    ["/usr/sbin/dockerd", "/usr/bin/dockerd"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
}

/// Returns a busybox that runs where there is no library: a static one.
pub(crate) fn busybox() -> Option<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| is_static(path))
}

/// Says whether a program asks for no loader, whose path stands near its beginning.
fn is_static(program: &Path) -> bool {
    let mut head = [0; 4096];
    let read = fs::File::open(program).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && !head.windows(4).any(|four| four == b"/ld-")
}
