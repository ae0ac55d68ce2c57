//! What makes a machine's root out of a container's: what is there for containers alone is taken back.
//!
//! A tree comes in, before packages are installed into it; the tree is changed, and what was done goes out, a sentence
//! each. Everything that is known of containers is in the tables here.

use std::collections::BTreeSet;

use super::super::tree::{Entry, Kind, Metadata, RootTree};

/// What images have for containers alone.
const CONTAINER_FILES: [&str; 12] = [
    ".dockerenv",
    ".dockerinit",
    "run/.containerenv",
    "usr/sbin/policy-rc.d",
    "sbin/policy-rc.d",
    "etc/apt/apt.conf.d/docker-autoremove-suggests",
    "etc/apt/apt.conf.d/docker-clean",
    "etc/apt/apt.conf.d/docker-gzip-indexes",
    "etc/apt/apt.conf.d/docker-no-languages",
    "etc/dpkg/dpkg.cfg.d/docker-apt-speedup",
    "etc/dpkg/dpkg.cfg.d/excludes",
    "etc/dpkg/dpkg.cfg.d/02apt-speedup",
];

/// Packages that only hold the place of others which no container needs.
pub(in crate::rootimg) const CONTAINER_PACKAGES: [&str; 1] = ["fakesystemd"];

/// Units that images mask because a container's are the host's business, and that a machine needs.
const MACHINE_UNITS: [&str; 26] = [
    "console-getty.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "kmod-static-nodes.service",
    "proc-sys-fs-binfmt_misc.automount",
    "proc-sys-fs-binfmt_misc.mount",
    "serial-getty@.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-journald.service",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-sysctl.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-update-utmp.service",
];

/// Programs of packages that images divert, so that nothing starts a service.
const DIVERTED: [&str; 7] = [
    "/sbin/initctl",
    "/sbin/init",
    "/usr/sbin/init",
    "/sbin/start-stop-daemon",
    "/usr/sbin/invoke-rc.d",
    "/usr/sbin/policy-rc.d",
    "/usr/bin/ischroot",
];

const DIVERSIONS: &str = "var/lib/dpkg/diversions";
/// Where passwords are, and the modes of these files: shadow(5), passwd(5).
const ACCOUNTS: [(&str, u32); 2] = [("etc/shadow", 0o640), ("etc/passwd", 0o644)];
/// What passwd(5) says for a password that shadow(5) has.
const IN_SHADOW: &str = "x";
/// The largest of these files.
const MAX_TEXT: u64 = 16 << 20;

/// Takes back what makes a tree a container's. Returns what was done.
pub(in crate::rootimg) fn take_back(tree: &mut RootTree) -> Vec<String> {
    let mut notes = Vec::new();
    let mut removed = Vec::new();
    for path in CONTAINER_FILES {
        if tree.entry(path.as_bytes()).is_some() {
            tree.remove(path.as_bytes());
            removed.push(format!("/{path}"));
        }
    }
    if !removed.is_empty() {
        notes.push(format!(
            "of the container image were removed: {}",
            removed.join(", ")
        ));
    }
    notes.extend(undivert(tree));
    notes.extend(unmask(tree));
    notes.extend(lock_accounts(tree));
    notes
}

/// Gives diverted programs their places back, and dpkg(1) its list without them.
fn undivert(tree: &mut RootTree) -> Option<String> {
    let text = tree.text(DIVERSIONS, MAX_TEXT)?;
    let lines: Vec<&str> = text.lines().collect();
    let (mut kept, mut undone) = (String::new(), Vec::new());
    // Three lines each: the program, where it is now, and the package that did that; `:` is an administrator.
    for group in lines.chunks(3) {
        match group {
            [path, place, ":"] if DIVERTED.contains(path) => {
                let from = tree.resolve(place.as_bytes());
                let to = tree.resolve(path.as_bytes());
                if let (Ok(from), Ok(to)) = (from, to) {
                    // One that was diverted before its package came has nothing to be put back.
                    if tree.rename(&from, &to).is_err() {
                        tree.remove(&to);
                    }
                    undone.push((*path).to_owned());
                }
            }
            other => other
                .iter()
                .for_each(|line| kept.push_str(&format!("{line}\n"))),
        }
    }
    if undone.is_empty() {
        return None;
    }
    put(tree, DIVERSIONS, kept, 0o644);
    Some(format!(
        "diverted programs of the container image are in their places again: {}",
        undone.join(", ")
    ))
}

/// Unmasks the units that a machine needs.
fn unmask(tree: &mut RootTree) -> Option<String> {
    let mut unmasked = Vec::new();
    for unit in MACHINE_UNITS {
        for directory in [
            "etc/systemd/system",
            "usr/lib/systemd/system",
            "lib/systemd/system",
        ] {
            let Ok(path) = tree.resolve(format!("{directory}/{unit}").as_bytes()) else {
                continue;
            };
            let masked = tree.entry(&path).map(|entry| &entry.kind);
            if masked == Some(&Kind::Link(b"/dev/null".to_vec())) {
                tree.remove(&path);
                unmasked.push(unit);
            }
        }
    }
    unmasked.dedup();
    (!unmasked.is_empty()).then(|| {
        format!(
            "units that the container image masks are not masked any more: {}",
            unmasked.join(", ")
        )
    })
}

/// Lets nobody in with a password that whoever has the image knows, or without one.
fn lock_accounts(tree: &mut RootTree) -> Option<String> {
    let mut locked = BTreeSet::new();
    for (path, mode) in ACCOUNTS {
        let Some(text) = tree.text(path, MAX_TEXT) else {
            continue;
        };
        let mut is_changed = false;
        let lines = text.lines().map(|line| {
            let mut fields: Vec<&str> = line.split(':').collect();
            if fields.len() > 2 && fields[1] != IN_SHADOW && !fields[1].starts_with(['*', '!']) {
                locked.insert(fields[0].escape_debug().to_string());
                fields[1] = "*";
                is_changed = true;
            }
            fields.join(":") + "\n"
        });
        let lines: String = lines.collect();
        if is_changed {
            put(tree, path, lines, mode);
        }
    }
    (!locked.is_empty()).then(|| {
        let locked: Vec<_> = locked.into_iter().collect();
        format!(
            "the container image has passwords that whoever has it knows; these accounts have none now: {}",
            locked.join(", ")
        )
    })
}

/// Puts a text in place of a file, with its owner.
fn put(tree: &mut RootTree, path: &str, text: String, mode: u32) {
    let Ok(place) = tree.resolve(path.as_bytes()) else {
        return;
    };
    let metadata = match tree.entry(&place) {
        Some(Entry {
            metadata,
            kind: Kind::File(_),
        }) => metadata.clone(),
        _ => Metadata::of_root(mode, 0),
    };
    tree.insert_file(&place, text.into_bytes(), metadata);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn tree(files: &[(&str, &str)], links: &[(&str, &str)]) -> RootTree {
        let mut tree = RootTree::default();
        for (path, text) in files {
            let metadata = Metadata::of_root(0o640, 7);
            tree.insert_file(path.as_bytes(), text.as_bytes().to_vec(), metadata);
        }
        for (path, target) in links {
            let metadata = Metadata::of_root(0o777, 7);
            let kind = Kind::Link(target.as_bytes().to_vec());
            tree.insert(path.as_bytes().to_vec(), Entry { metadata, kind });
        }
        tree
    }

    #[test]
    fn what_is_a_containers_alone_is_taken_back() {
        let diversions = "/sbin/initctl\n/sbin/initctl.distrib\n:\n/usr/bin/a\n/usr/bin/b\npackage\n\
                          /usr/bin/ischroot\n/usr/bin/ischroot.debianutils\n:\n";
        let mut tree = tree(
            &[
                (".dockerenv", ""),
                ("usr/sbin/policy-rc.d", "exit 101"),
                ("usr/sbin/initctl.distrib", "real"),
                ("var/lib/dpkg/diversions", diversions),
                (
                    "etc/shadow",
                    "root::1:0\nops:$y$x:1:0\nbin:*:1:0\nsync:!:1:0\n",
                ),
                ("etc/passwd", "root:x:0:0\nold::1:1\n"),
            ],
            &[
                ("sbin", "usr/sbin"),
                ("usr/sbin/initctl", "/bin/true"),
                ("usr/bin/ischroot", "/bin/true"),
                ("etc/systemd/system/systemd-udevd.service", "/dev/null"),
                ("etc/systemd/system/apt-daily.timer", "/dev/null"),
                (
                    "etc/systemd/system/getty.target",
                    "/usr/lib/systemd/system/multi-user.target",
                ),
            ],
        );
        assert_eq!(
            take_back(&mut tree),
            [
                "of the container image were removed: /.dockerenv, /usr/sbin/policy-rc.d",
                "diverted programs of the container image are in their places again: /sbin/initctl, /usr/bin/ischroot",
                "units that the container image masks are not masked any more: systemd-udevd.service",
                "the container image has passwords that whoever has it knows; these accounts have none now: old, ops, root",
            ]
        );
        assert_eq!(tree.text("usr/sbin/initctl", 10).as_deref(), Some("real"));
        assert_eq!(tree.entry(b"usr/bin/ischroot"), None);
        assert_eq!(tree.entry(b".dockerenv"), None);
        assert_eq!(
            tree.text(DIVERSIONS, 100).as_deref(),
            Some("/usr/bin/a\n/usr/bin/b\npackage\n")
        );
        assert_eq!(
            tree.text("etc/shadow", 100).as_deref(),
            Some("root:*:1:0\nops:*:1:0\nbin:*:1:0\nsync:!:1:0\n")
        );
        assert_eq!(
            tree.text("etc/passwd", 100).as_deref(),
            Some("root:x:0:0\nold:*:1:1\n")
        );
        assert_eq!(
            tree.entry(b"etc/shadow").map(|entry| entry.metadata.mode),
            Some(0o640)
        );
        assert!(tree.entry(b"etc/systemd/system/apt-daily.timer").is_some());
        assert_eq!(take_back(&mut tree), [""; 0]);
    }
}
