//! One containerd for the daemons of all hosts, as packages have it: a dockerd that has to start and end
//! its own takes a second longer.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::host::eventually;

static SOCKET: OnceLock<PathBuf> = OnceLock::new();

/// It runs, in a directory of its own, until this is dropped or the process ends.
pub(crate) struct Containerd {
    child: Child,
    _dir: tempfile::TempDir,
}

impl Containerd {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let socket = SOCKET.get_or_init(|| dir.path().join("containerd.sock"));
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "containerd", "--address"])
            .arg(socket)
            .arg("--root")
            .arg(dir.path().join("root"))
            .arg("--state")
            .arg(dir.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("containerd answers", || {
            std::os::unix::net::UnixStream::connect(socket).is_ok()
        });
        Self { child, _dir: dir }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Where it listens.
pub(crate) fn socket() -> &'static Path {
    SOCKET.get().unwrap()
}
