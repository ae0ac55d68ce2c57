//! Where a host keeps the rules that it loads at boot, and which of these files name the NIC.
//!
//! Nothing here writes: what a firewall is at the next boot is its administrator's to say.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;

use super::Move;
use crate::files::beneath;

/// Files and directories of them, and whose they are.
const PLACES: [(&str, &str); 17] = [
    ("/etc/iptables/rules.v4", "netfilter-persistent"),
    ("/etc/iptables/rules.v6", "netfilter-persistent"),
    ("/etc/sysconfig/iptables", "iptables.service"),
    ("/etc/sysconfig/ip6tables", "ip6tables.service"),
    ("/etc/nftables.conf", "nftables.service"),
    ("/etc/sysconfig/nftables.conf", "nftables.service"),
    ("/etc/nftables", "nftables.service"),
    ("/etc/nftables.d", "nftables.service"),
    ("/etc/firewalld/zones", "firewalld"),
    ("/etc/firewalld/policies", "firewalld"),
    ("/etc/firewalld/direct.xml", "firewalld"),
    ("/etc/ufw", "ufw"),
    ("/etc/shorewall/interfaces", "shorewall"),
    ("/etc/shorewall6/interfaces", "shorewall6"),
    ("/etc/ferm", "ferm"),
    ("/etc/ebtables", "ebtables"),
    ("/etc/arptables.conf", "arptables"),
];
/// No file of rules is longer, and no directory of them has more.
const LONGEST: u64 = 4 << 20;
const MOST: usize = 256;

/// The lines that name a NIC in files that do not name its bridge, each with its place and its owner.
pub(super) fn find(root: &Path, moves: &[Move]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, owner) in PLACES {
        for path in files(root, Path::new(place)) {
            let Some(text) = read(&beneath(root, &path)) else {
                continue;
            };
            for one in moves {
                found.extend(look_through(&path, owner, &text, one));
            }
        }
    }
    found
}

fn look_through(path: &Path, owner: &str, text: &str, one: &Move) -> Vec<String> {
    let names = |device: &str| -> Vec<(usize, &str)> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let says = lines.filter(|(_, line)| !line.starts_with('#'));
        says.filter(|(_, line)| words(line).any(|word| covers(word, device)))
            .collect()
    };
    if !names(&one.bridge).is_empty() {
        return Vec::new();
    }
    let lines = names(&one.nic).into_iter();
    let shown = lines.map(|(number, line)| {
        let zone = path.file_stem().unwrap_or_default().to_string_lossy();
        let place = format!("{}, line {number}: {line}", path.display());
        match owner {
            "firewalld" if path.starts_with("/etc/firewalld/zones") => format!(
                "{place} (firewalld: firewall-cmd --permanent --zone={zone} --add-interface={})",
                one.bridge
            ),
            _ => format!("{place} ({owner}: the same for {})", one.bridge),
        }
    });
    shown.collect()
}

/// The words of a line that could be names of devices.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_.-+*@".contains(letter)))
}

/// Whether a word is a device's name: `eth+` and `eth*` are all that begin so.
fn covers(word: &str, device: &str) -> bool {
    match word.strip_suffix(['+', '*']) {
        Some(start) => !start.is_empty() && device.starts_with(start),
        None => word == device,
    }
}

/// The file itself, or those right below it.
fn files(root: &Path, place: &Path) -> Vec<PathBuf> {
    let real = beneath(root, place);
    let Ok(entries) = fs::read_dir(&real) else {
        return vec![place.to_owned()];
    };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let mut paths: Vec<_> = names.take(MOST).map(|name| place.join(name)).collect();
    paths.sort();
    paths
}

/// Reads a plain file; anything else says nothing.
fn read(path: &Path) -> Option<String> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
