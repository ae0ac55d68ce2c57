//! What makes a root file system one that many nodes boot: files of the site in, what is one machine's own out.
//!
//! A tree and the osimage's lists come in; the tree is changed, without a root and without touching a disk. Pure.

use anyhow::{Context, Result};

use super::spec::RootSpec;
use super::synclist::{SyncAction, merge_accounts};
use super::tree::{Entry, Kind, Metadata, RootTree};

/// What is never in an image that anybody may fetch, or would be the same on all of its nodes: with everything in it.
const OWN: [&str; 26] = [
    "etc/resolv.conf",
    "etc/hostname",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "etc/udev/rules.d/70-persistent-net.rules",
    "var/cache/ldconfig/aux-cache",
    "var/log/bootstrap.log",
    "etc/apt/sources.list",
    "usr/sbin/policy-rc.d",
    "root/.bash_history",
    "root/.ssh",
    "swapfile",
    // What package managers note of their own runs.
    "var/cache/dnf",
    "var/cache/libdnf5",
    "var/cache/zypp",
    "var/lib/dnf",
    "var/log/dnf.librepo.log",
    "var/log/dnf.log",
    "var/log/dnf.rpm.log",
    "var/log/hawkey.log",
    "var/log/zypp",
    // A shared-memory index of sqlite, which makes it again.
    "usr/lib/sysimage/rpm/rpmdb.sqlite-shm",
    "var/lib/rpm/rpmdb.sqlite-shm",
    "run/zypp.pid",
];

/// The same, of which the directory stays.
const EMPTIED: [&str; 10] = [
    "boot",
    "proc",
    "sys",
    "run",
    "tmp",
    "var/tmp",
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "etc/NetworkManager/system-connections",
    "etc/apt/sources.list.d",
];

/// The hosts that every machine knows.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";

/// The largest file that text is appended to.
const MAX_TEXT: u64 = 16 << 20;

/// Finishes a root.
///
/// # Errors
/// When a file to which something is added cannot be read as text.
pub(super) fn finish(tree: &mut RootTree, spec: &RootSpec) -> Result<()> {
    let epoch = spec.epoch();
    for path in OWN {
        tree.remove(path.as_bytes());
    }
    for path in EMPTIED {
        tree.remove_below(path.as_bytes());
    }
    remove_host_keys(tree);
    let mut put = |path: &str, text: &str| {
        let metadata = Metadata::of_root(0o644, epoch);
        tree.insert_file(path.as_bytes(), text.as_bytes().to_vec(), metadata);
    };
    put("etc/hosts", HOSTS);
    // Empty and there: systemd makes an id for each boot, machine-id(5).
    put("etc/machine-id", "");
    for (path, text) in &spec.sources {
        put(path, text);
    }
    synchronise(tree, spec)?;
    let excluded: Vec<_> = tree
        .entries()
        .map(|(path, _)| path.to_vec())
        .filter(|path| spec.exclude.excludes(&String::from_utf8_lossy(path)))
        .collect();
    for path in excluded.into_iter().rev() {
        // What is kept in it keeps the directory.
        if tree.names(&path).next().is_none() {
            tree.remove(&path);
        }
    }
    tree.clamp_times(epoch);
    updated(tree, epoch);
    Ok(())
}

/// ssh host keys are made at boot: one key for all nodes would be nobody's.
fn remove_host_keys(tree: &mut RootTree) {
    let names: Vec<Vec<u8>> = tree
        .names(b"etc/ssh")
        .filter(|name| name.starts_with(b"ssh_host_"))
        .map(|name| [b"etc/ssh/", name].concat())
        .collect();
    for path in names {
        tree.remove(&path);
    }
}

/// Says that the image was brought up to date when it was made, so that no boot does that again:
/// `ConditionNeedsUpdate` of systemd.unit(5).
fn updated(tree: &mut RootTree, epoch: u64) {
    for path in ["etc/.updated", "var/.updated"] {
        let text = format!("TIMESTAMP_NSEC={epoch}000000000\n").into_bytes();
        tree.insert_file(path.as_bytes(), text, Metadata::of_root(0o644, epoch));
    }
}

/// Puts the files of the synclists in.
fn synchronise(tree: &mut RootTree, spec: &RootSpec) -> Result<()> {
    for file in &spec.sync.files {
        let adding = || format!("adding to /{} of the image", file.destination);
        let path = tree
            .resolve(file.destination.as_bytes())
            .with_context(adding)?;
        let own = tree.entry(&path).cloned();
        let metadata = match (&own, file.action) {
            (Some(Entry { metadata, .. }), SyncAction::Append | SyncAction::Merge) => {
                metadata.clone()
            }
            _ => Metadata::of_root(file.mode, spec.epoch()),
        };
        let present = || match &own {
            None => Ok(String::new()),
            Some(Entry {
                kind: Kind::Directory,
                ..
            }) => anyhow::bail!("it is a directory"),
            Some(_) => tree
                .text(&file.destination, MAX_TEXT)
                .context("it is not a text of a sensible size"),
        };
        let bytes = match file.action {
            SyncAction::Put => file.bytes.clone(),
            SyncAction::Append => {
                let mut text = present().with_context(adding)?.into_bytes();
                text.extend(&file.bytes);
                text
            }
            SyncAction::Merge => {
                let more = std::str::from_utf8(&file.bytes).with_context(adding)?;
                merge_accounts(&present().with_context(adding)?, more).into_bytes()
            }
        };
        tree.insert_file(&path, bytes, metadata);
    }
    Ok(())
}
