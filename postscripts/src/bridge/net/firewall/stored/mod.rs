//! Where a host keeps the rules that it loads at boot, and which of these files name the NIC.
//!
//! In: known places below the root directory, files that nftables includes, and files that hooks and
//! units give to `iptables-restore` or `nft`. Out: the [`StoredRules`] lines that name a NIC without one beside
//! them that is the same about its bridge. Nothing here writes: what a firewall is at the next boot is its
//! administrator's decision.

mod follow;
mod statements;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Move;
use crate::files::{Inspected, glob, inspect, under_root};
use statements::RuleStatement;

/// Files, directories of them, and patterns, and whose they are.
const PLACES: [(&str, &str); 17] = [
    ("/etc/iptables", "netfilter-persistent"),
    ("/etc/ip*tables*rules*", "iptables-restore"),
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
    ("/etc/shorewall*", "shorewall"),
    ("/etc/ferm", "ferm"),
    ("/etc/ebtables", "ebtables"),
    ("/etc/arptables.conf", "arptables"),
    (WIREGUARD, WG_QUICK),
];
/// Files of settings, among them commands.
const WIREGUARD: &str = "/etc/wireguard/*.conf";
const WG_QUICK: &str = "wg-quick";
/// No file of rules is longer, no directory of them has more, or is nested deeper.
const MAX_BYTES: u64 = 4 << 20;
const MAX_COUNT: usize = 256;
const MAX_DEPTH: usize = 4;

/// The result for the files of the next boot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StoredRules {
    /// Lines that name a NIC and not its bridge, each with its place and its owner.
    pub(super) lines: Vec<String>,
    /// What is not read, and why.
    pub(super) unread: Vec<String>,
}

/// Looks through the files for the next boot.
pub(super) fn find(root: &Path, moves: &[Move]) -> StoredRules {
    let mut search = Search {
        root,
        moves,
        seen: BTreeSet::new(),
        stored: StoredRules::default(),
    };
    for (place, owner) in PLACES {
        for path in search.expand(Path::new(place)) {
            search.place(&path, owner, MAX_DEPTH);
        }
    }
    search.callers();
    search.stored
}

struct Search<'a> {
    root: &'a Path,
    moves: &'a [Move],
    /// Files that were looked at.
    seen: BTreeSet<PathBuf>,
    stored: StoredRules,
}

impl Search<'_> {
    /// A file of rules, or all that lie below a directory.
    fn place(&mut self, path: &Path, owner: &str, depth: usize) {
        let Ok(entries) = fs::read_dir(under_root(self.root, path)) else {
            return self.rules(path, owner);
        };
        let entries = entries.filter_map(|entry| Some(path.join(entry.ok()?.file_name())));
        let mut below: Vec<_> = entries.take(MAX_COUNT + 1).collect();
        if below.len() > MAX_COUNT || depth == 0 {
            let many = match depth {
                0 => "is nested too deep".to_owned(),
                _ => format!("has more than {MAX_COUNT} files"),
            };
            let all = format!("{} {many}: not all of it is read", path.display());
            self.stored.unread.push(all);
        }
        below.sort();
        below.truncate(if depth == 0 { 0 } else { MAX_COUNT });
        for path in below.iter().filter(|path| !is_copy(path)) {
            self.place(path, owner, depth - 1);
        }
    }

    /// A file of rules, and those that it includes.
    fn rules(&mut self, path: &Path, owner: &str) {
        let Some(text) = self.read(path) else {
            return;
        };
        let text = match owner {
            WG_QUICK => follow::commands_of_wireguard(&text),
            _ => text,
        };
        let statements = statements::read(&text);
        self.report(path, owner, &statements);
        for pattern in statements.iter().filter_map(RuleStatement::included) {
            for file in self.expand(&Path::new("/etc").join(pattern)) {
                self.rules(&file, &format!("included by {}", path.display()));
            }
        }
    }

    /// Adds the statements about a NIC that have none about its bridge beside them.
    fn report(&mut self, path: &Path, owner: &str, statements: &[RuleStatement]) {
        for one in self.moves {
            for statement in statements.iter().filter(|it| it.is_left(one, statements)) {
                let zone = path.file_stem().unwrap_or_default().to_string_lossy();
                let (number, line) = (statement.number, &statement.shown);
                let place = format!("{}, line {number}: {line}", path.display());
                let bridge = &one.bridge;
                self.stored.lines.push(match owner {
                    "firewalld" if path.starts_with("/etc/firewalld/zones") => format!(
                        "{place} (firewalld: firewall-cmd --permanent --zone={zone} --add-interface={bridge})"
                    ),
                    _ if statement.excludes(&one.nic) => {
                        format!("{place} ({owner}: it has to leave out {bridge} too)")
                    }
                    _ => format!("{place} ({owner}: the same for {bridge})"),
                });
            }
        }
    }

    /// Reads a file once; what is there and cannot be read is remembered.
    fn read(&mut self, path: &Path) -> Option<String> {
        if !self.seen.insert(path.to_owned()) {
            return None;
        }
        match inspect(self.root, path, MAX_BYTES) {
            Inspected::Text(document) => Some(document.text),
            Inspected::Nothing => None,
            Inspected::Unread(what) => {
                self.stored.unread.push(what);
                None
            }
        }
    }

    /// The paths that match a pattern; a directory that cannot be listed has none.
    fn expand(&mut self, pattern: &Path) -> Vec<PathBuf> {
        let found = glob::expand(self.root, pattern);
        found.unwrap_or_else(|error| {
            self.stored.unread.push(format!("{error:#}"));
            Vec::new()
        })
    }
}

/// What editors and package managers leave beside a file, which nothing loads.
fn is_copy(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = ["~", ".bak", ".old", ".orig", ".save", ".swp"];
    ends.iter().any(|end| name.ends_with(end)) || name.contains(".dpkg-") || name.contains(".rpm")
}
