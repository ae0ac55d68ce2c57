//! The system of another release, in which the engine of a host runs.

use std::fs;
use std::path::{Path, PathBuf};

use super::{busybox, run, words};

/// Where the engine of a host is rooted.
fn root_of(path: &Path, host: &str) -> PathBuf {
    path.join(format!("root-{host}"))
}

/// Makes a system of another release one in which an engine runs: with the kernel's file systems, and the lab's own
/// directory at the same path.
pub(super) fn mount_root(path: &Path, host: &str, made: &Path) {
    let root = root_of(path, host);
    fs::create_dir_all(&root).unwrap();
    let at = |below: &str| format!("{}{below}", root.display());
    let mount = |line: &str| run("mount", &words(line));
    mount(&format!(
        "--bind {} {}",
        made.canonicalize().unwrap().display(),
        at("")
    ));
    mount(&format!("-t proc proc {}", at("/proc")));
    mount(&format!("-t sysfs sys {}", at("/sys")));
    mount(&format!("--rbind /sys/fs/cgroup {}", at("/sys/fs/cgroup")));
    for below in ["/dev", "/run", "/tmp"] {
        mount(&format!("-t tmpfs none {}", at(below)));
    }
    for (name, minor) in [
        ("null", 3),
        ("zero", 5),
        ("full", 7),
        ("random", 8),
        ("urandom", 9),
    ] {
        let node = at(&format!("/dev/{name}"));
        run("mknod", &words(&format!("-m 666 {node} c 1 {minor}")));
    }
    // These systems have no umount.
    fs::copy(busybox().unwrap(), at("/run/busybox")).unwrap();
    // What hosts trust registries by is in dockerd's own directory.
    fs::create_dir_all("/etc/docker/certs.d").unwrap();
    for shared in [Path::new("/etc/docker"), path] {
        fs::create_dir_all(at(shared.to_str().unwrap())).unwrap();
        mount(&format!(
            "--bind {0} {1}",
            shared.display(),
            at(shared.to_str().unwrap())
        ));
    }
}

/// Begins a command that makes the system of a host its own root, in a mount namespace: in a chroot alone, what is
/// executed in a container would see the root of the namespace, which is this machine's.
pub(super) fn rooted(path: &Path, host: &str) -> Vec<String> {
    let root = root_of(path, host);
    if host.is_empty() || !root.exists() {
        return Vec::new();
    }
    let script = "cd \"$0\" && mkdir -p .before && pivot_root . .before && /run/busybox umount -l /.before && exec \"$@\"";
    [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        script,
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([root.display().to_string()])
    .collect()
}

/// The socket of the containerd that an engine uses: each release has its own.
pub(super) fn containerd_socket(path: &Path, host: &str) -> PathBuf {
    if !host.is_empty() && root_of(path, host).exists() {
        path.join(format!("containerd-{host}.sock"))
    } else {
        path.join("containerd.sock")
    }
}
