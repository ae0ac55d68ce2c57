//! Whether a tree can be the root of a machine, and what it lacks.
//!
//! A tree comes in; what a machine needs goes out, with what of it is there, or which package brings it. Pure.

use definitions::RepositoryFormat;

use super::super::kernel::Kernel;
use super::super::tree::{RootTree, shown};
use super::network::network_service;

/// What a machine needs, one after the other as a boot does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rootimg) struct BootNeed {
    what: &'static str,
    /// Where it is; or which package brings it.
    found: Result<String, &'static str>,
    /// Whether nothing starts without it.
    must: bool,
}

impl BootNeed {
    /// Whether a machine does not start for want of it.
    pub(in crate::rootimg) fn prevents_boot(&self) -> bool {
        self.must && self.found.is_err()
    }

    /// Whether it is the kernel, which is a file beside an image that was built.
    pub(in crate::rootimg) fn is_kernel(&self) -> bool {
        self.what == KERNEL
    }

    /// Says it in a line.
    pub(in crate::rootimg) fn sentence(&self) -> String {
        let what = self.what;
        match &self.found {
            Ok(place) => format!("has {what}: {place}"),
            Err(package) => format!("lacks {what}: {package} in pkglist brings it"),
        }
    }
}

/// What a kernel is called here.
const KERNEL: &str = "a kernel with its modules";

/// Programs that are no init although `/sbin/init` is one of them.
const NO_INIT: [&str; 9] = [
    "sh",
    "bash",
    "dash",
    "busybox",
    "true",
    "tini",
    "dumb-init",
    "docker-init",
    "catatonit",
];

/// Looks for everything.
pub(in crate::rootimg) fn boot_needs(tree: &RootTree, form: RepositoryFormat) -> Vec<BootNeed> {
    let is_apt = form == RepositoryFormat::Apt;
    let package = |apt: &'static str, other: &'static str| if is_apt { apt } else { other };
    let zypper = form == RepositoryFormat::Zypper;
    let first = |places: &[&str]| {
        let mut places = places.iter();
        let found = places.find(|place| tree.open(place.as_bytes()).is_some());
        found.map(|place| format!("/{place}"))
    };
    let need = |what, must, found: Option<String>, package| BootNeed {
        what,
        must,
        found: found.ok_or(package),
    };
    let kernel_package = if zypper {
        "kernel-default"
    } else {
        package("linux-image", "kernel")
    };
    let udev = if zypper || is_apt {
        "udev"
    } else {
        "systemd-udev"
    };
    let kernels = Kernel::all(tree);
    let kernel = kernels.values().next();
    let kernel = kernel.map(|path| format!("/{}", shown(path)));
    let network = network_service(tree).map(str::to_owned);
    vec![
        need(KERNEL, true, kernel, kernel_package),
        need(
            "an init",
            true,
            init(tree),
            package("systemd-sysv", "systemd"),
        ),
        need(
            "udev",
            true,
            first(&[
                "usr/lib/systemd/systemd-udevd",
                "lib/systemd/systemd-udevd",
                "usr/bin/udevadm",
            ]),
            udev,
        ),
        need(
            "a program that loads modules",
            true,
            first(&["sbin/modprobe", "usr/sbin/modprobe", "usr/bin/kmod"]),
            "kmod",
        ),
        need(
            "a network service that is enabled",
            false,
            network,
            package("systemd", "NetworkManager"),
        ),
        need(
            "an ssh server",
            false,
            first(&["usr/sbin/sshd", "usr/bin/sshd"]),
            "openssh-server",
        ),
        need(
            "an engine",
            false,
            first(&["usr/bin/dockerd", "usr/sbin/dockerd"]),
            package("docker.io", "docker-ce"),
        ),
    ]
}

/// Finds the init, which is a program of its own and no shell.
fn init(tree: &RootTree) -> Option<String> {
    let place = tree.real_path(b"sbin/init")?;
    tree.open(&place)?;
    let shown = shown(&place);
    let name = shown.rsplit('/').next().unwrap_or_default();
    (!NO_INIT.contains(&name)).then(|| format!("/{shown}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::tree::{Entry, Kind, Metadata};
    use super::*;

    fn tree(files: &[&str], init: &str) -> RootTree {
        let mut tree = RootTree::default();
        for path in files {
            tree.insert_file(path.as_bytes(), Vec::new(), Metadata::of_root(0o755, 0));
        }
        let kind = Kind::Link(init.as_bytes().to_vec());
        let metadata = Metadata::of_root(0o777, 0);
        tree.insert(b"sbin/init".to_vec(), Entry { metadata, kind });
        tree
    }

    fn sentences(tree: &RootTree) -> Vec<String> {
        let needs = boot_needs(tree, RepositoryFormat::Apt);
        needs.iter().map(BootNeed::sentence).collect()
    }

    #[test]
    fn what_a_machine_needs_is_found_or_named() {
        let files = [
            "usr/lib/modules/6.12-test/modules.dep",
            "usr/lib/modules/6.12-test/vmlinuz",
            "usr/lib/systemd/systemd",
            "usr/lib/systemd/systemd-udevd",
            "usr/sbin/modprobe",
            "usr/sbin/sshd",
            "usr/bin/dockerd",
        ];
        let complete = tree(&files, "../usr/lib/systemd/systemd");
        assert_eq!(
            sentences(&complete),
            [
                "has a kernel with its modules: /usr/lib/modules/6.12-test/vmlinuz",
                "has an init: /usr/lib/systemd/systemd",
                "has udev: /usr/lib/systemd/systemd-udevd",
                "has a program that loads modules: /usr/sbin/modprobe",
                "lacks a network service that is enabled: systemd in pkglist brings it",
                "has an ssh server: /usr/sbin/sshd",
                "has an engine: /usr/bin/dockerd",
            ]
        );
        assert!(
            !boot_needs(&complete, RepositoryFormat::Apt)
                .iter()
                .any(BootNeed::prevents_boot)
        );
    }

    #[test]
    fn a_shell_or_a_containers_init_is_no_init() {
        for (files, link, is_init) in [
            (&["usr/bin/busybox"][..], "/usr/bin/busybox", false),
            (&["usr/bin/docker-init"], "/usr/bin/docker-init", false),
            (&[], "/usr/lib/systemd/systemd", false),
            (&["usr/sbin/openrc-init"], "/usr/sbin/openrc-init", true),
        ] {
            assert_eq!(init(&tree(files, link)).is_some(), is_init, "{link}");
        }
    }
}
