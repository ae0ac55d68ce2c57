//! What is left of `/etc`: files that no other rule looks at and that name the NIC as well, for a note each.
//!
//! A program that is not known may mean the addresses or the hardware, so that nothing is changed or refused for it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bridge::persist::model::DesiredBridge;
use crate::bridge::persist::names::mentions;
use crate::files::{self, Inspected, glob, under_root};

/// What other rules look at, or the firewall's do, or no daemon reads.
const ELSEWHERE: [&str; 31] = [
    "/etc/netplan/*",
    "/etc/network/*",
    "/etc/NetworkManager/*",
    "/etc/systemd/network/*",
    "/etc/sysconfig/network*",
    "/etc/sysconfig/ip*tables*",
    "/etc/cloud/*",
    "/etc/dhcp/dhclient*",
    "/etc/dhclient*",
    "/etc/dhcpcd*",
    "/etc/sysctl*",
    "/etc/udev/*",
    "/etc/networkd-dispatcher/*",
    "/etc/tmpfiles.d/*",
    "/etc/rc.*",
    "/etc/init.d/*",
    "/etc/cron*",
    "/etc/anacrontab",
    "/etc/cni/*",
    "/etc/wireguard/*",
    "/etc/openvpn/*",
    "/etc/ppp/ip-up*",
    "/etc/iptables*",
    "/etc/nftables*",
    "/etc/ufw/*",
    "/etc/firewalld/*",
    "/etc/shorewall*",
    "/etc/ferm/*",
    "/etc/ssl/*",
    "/etc/pki/*",
    "/etc/alternatives/*",
];
/// No configuration that somebody writes is larger.
const MAX_FILE_BYTES: u64 = 256 << 10;
/// No more files are looked at, no deeper, and no more notes are made.
const MAX_FILES: usize = 8192;
const MAX_DEPTH: usize = 5;
const MAX_NOTES: usize = 20;

/// A note for the first line of each file that names the NIC and not the bridge; `seen` are looked at by other rules.
pub(super) fn notes(root: &Path, desired: &DesiredBridge, seen: &[&str]) -> Vec<String> {
    let mut search = EtcSearch {
        root,
        left: MAX_FILES,
        found: Vec::new(),
    };
    search.walk(Path::new("/etc"), MAX_DEPTH, seen);
    let DesiredBridge { nic, bridge, .. } = desired;
    let mut notes = Vec::new();
    let mut unsaid = 0;
    for path in search.found {
        let Inspected::Text(document) = files::inspect(root, &path, MAX_FILE_BYTES) else {
            continue;
        };
        if !document.is_exact || document.text.contains('\0') || mentions(&document.text, bridge) {
            continue;
        }
        let mut named = super::jobs::code(&document.text).filter(|(_, line)| mentions(line, nic));
        match named.next() {
            Some(_) if notes.len() == MAX_NOTES => unsaid += 1,
            Some((number, line)) => notes.push(format!(
                "{}:{number}: {:?} names {nic}: have it name {bridge} if it means the addresses",
                path.display(),
                line.trim()
            )),
            None => {}
        }
    }
    if unsaid > 0 {
        notes.push(format!("{unsaid} more files below /etc name {nic}"));
    }
    notes
}

struct EtcSearch<'a> {
    root: &'a Path,
    left: usize,
    found: Vec<PathBuf>,
}

impl EtcSearch<'_> {
    /// Collects the regular files below a directory that no rule looks at, by name.
    fn walk(&mut self, dir: &Path, depth: usize, seen: &[&str]) {
        let Ok(mut names) = files::names(&under_root(self.root, dir)) else {
            return;
        };
        names.sort();
        for name in names.iter().filter(|name| !name.starts_with('.')) {
            let path = dir.join(name);
            let shown = path.display().to_string();
            let fits = |pattern: &&str| glob::matches(pattern, &shown);
            // those that other rules look at are in that directory and not below it
            let depth_of = |path: &str| path.matches('/').count();
            let mut looked_at = seen.iter().filter(|one| depth_of(one) == depth_of(&shown));
            if self.left == 0 || ELSEWHERE.iter().any(fits) || looked_at.any(fits) {
                continue;
            }
            let Ok(meta) = fs::symlink_metadata(under_root(self.root, &path)) else {
                continue;
            };
            if meta.is_dir() && depth > 0 {
                self.walk(&path, depth - 1, seen);
            } else if meta.is_file() && meta.len() <= MAX_FILE_BYTES {
                self.left -= 1;
                self.found.push(path);
            }
        }
    }
}
