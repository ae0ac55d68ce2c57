//! What runs at boot or from time to time and is no hook of the network: jobs of cron, init scripts, and the
//! administrator's scripts that these, units and hooks run.
//!
//! A line that gives the NIC routes, rules, addresses or settings would give them to the port, and is refused. What
//! else names the NIC may be about the link as well (a monitor, a capture), and is named. Rules of the firewall are
//! looked for elsewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::MAX_FILE_BYTES;
use crate::bridge::called_files::called_files;
use crate::bridge::persist::command::{self, CommandSubject};
use crate::bridge::persist::model::DesiredBridge;
use crate::bridge::persist::names::mentions;
use crate::files::{self, Inspected, glob};

const JOBS: [&str; 14] = [
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/cron.*/*",
    "/var/spool/cron/root",
    "/var/spool/cron/crontabs/root",
    "/var/spool/cron/tabs/root",
    "/etc/init.d/*",
    "/etc/rc.d/init.d/*",
    "/etc/local.d/*.start",
    "/etc/boot.d/*",
    "/etc/ppp/ip-up.d/*",
    "/etc/ppp/ip-up.local",
    "/etc/openvpn/*.conf",
    "/etc/wireguard/*.conf",
];
/// Files that are looked at themselves, and whose scripts count.
const CALLERS: [&str; 6] = [
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/*",
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.d/*.conf",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
];
/// What [`firewall`](crate::bridge::net) finds by itself.
const FIREWALL: [&str; 6] = [
    "iptables",
    "ip6tables",
    "arptables",
    "ebtables",
    "nft",
    "ipset",
];
/// Minute, hour, day, month, weekday and user of a job.
const FIELDS_OF_A_JOB: usize = 6;
/// No host has more scripts that others run.
const MAX_COUNT: usize = 256;

/// What was found: what keeps the change from being made, and what is worth a note.
#[derive(Debug, Default)]
pub(super) struct FoundJobs {
    pub(super) problems: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Looks through them all.
pub(super) fn find(root: &Path, desired: &DesiredBridge) -> Result<FoundJobs> {
    let mut found = FoundJobs::default();
    let mut seen = BTreeSet::new();
    let mut called = BTreeSet::new();
    for (patterns, is_job) in [(&JOBS[..], true), (&CALLERS[..], false)] {
        for pattern in patterns {
            for path in glob::expand(root, Path::new(pattern))? {
                let Some(text) = found.text(root, &path, is_job) else {
                    continue;
                };
                if is_job && seen.insert(path.clone()) {
                    found.look(&path, &text, desired);
                }
                let own = |path: &PathBuf| !seen.contains(path);
                called.extend(
                    code(&text)
                        .flat_map(|(_, line)| called_files(line))
                        .filter(own),
                );
            }
        }
    }
    for path in called
        .iter()
        .take(MAX_COUNT)
        .filter(|path| !seen.contains(*path))
    {
        let text = found.text(root, path, false);
        if let Some(text) = text.filter(|text| text.starts_with("#!")) {
            found.look(path, &text, desired);
        }
    }
    Ok(found)
}

/// The lines that are no comments, with their numbers.
pub(super) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    let lines = lines.map(|(number, line)| (number, line.split(" #").next().unwrap_or(line)));
    lines.filter(|(_, line)| !line.trim_start().starts_with(['#', ';']))
}

impl FoundJobs {
    fn text(&mut self, root: &Path, path: &Path, is_job: bool) -> Option<String> {
        match files::inspect(root, path, MAX_FILE_BYTES) {
            Inspected::Text(document) => Some(document.text),
            Inspected::Unread(what) if is_job => {
                self.notes.push(what);
                None
            }
            _ => None,
        }
    }

    fn look(&mut self, path: &Path, text: &str, desired: &DesiredBridge) {
        let DesiredBridge { nic, bridge, .. } = desired;
        // who names both has both in mind
        if mentions(text, bridge) {
            return;
        }
        for (number, line) in code(text).filter(|(_, line)| mentions(line, nic)) {
            let line = line.trim();
            let place = format!("{}:{number}: {line:?}", path.display());
            match about(line, nic) {
                CommandSubject::Addresses if runs_firewall(line) => {}
                CommandSubject::Addresses => self.problems.push(format!(
                    "{place} gives {nic} what {bridge} has to have: have it name {bridge} as well, or take it out first"
                )),
                CommandSubject::Unknown => self.notes.push(format!(
                    "{place} names {nic}: have it name {bridge} if it means the addresses"
                )),
                CommandSubject::Hardware | CommandSubject::Nothing => {}
            }
        }
    }
}

/// What a line is about, whether a command is all of it or follows a key or the times of a job.
fn about(line: &str, nic: &str) -> CommandSubject {
    let is_key = |key: &str| key.trim().bytes().all(|b| b.is_ascii_alphanumeric());
    let command = match line.split_once('=') {
        Some((key, command)) if is_key(key) => command,
        _ => line,
    };
    let is_timed = line.starts_with(['@', '*']) || line.starts_with(|c: char| c.is_ascii_digit());
    let skipped = 0..=if is_timed { FIELDS_OF_A_JOB } else { 0 };
    let starts = skipped.map(|count| {
        let mut rest = command.trim_start();
        for _ in 0..count {
            rest = rest
                .split_once(char::is_whitespace)
                .map_or("", |(_, rest)| rest.trim_start());
        }
        command::about(rest, &[nic])
    });
    let is_known = |about: &CommandSubject| {
        matches!(about, CommandSubject::Addresses | CommandSubject::Hardware)
    };
    starts
        .into_iter()
        .find(is_known)
        .unwrap_or(CommandSubject::Unknown)
}

fn runs_firewall(line: &str) -> bool {
    let mut words = line.split(|c: char| c.is_whitespace() || "/;|&'\"=".contains(c));
    words.any(|word| FIREWALL.iter().any(|tool| word.starts_with(tool)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_wherever_it_begins() {
        for (line, expected) in [
            (
                "ip route add 10.9.0.0/16 dev eth0",
                CommandSubject::Addresses,
            ),
            (
                "@reboot root /sbin/ip route add 10.9.0.0/16 dev eth0",
                CommandSubject::Addresses,
            ),
            (
                "*/5 * * * 1-5 root ip -4 addr add 10.0.0.9/24 dev eth0",
                CommandSubject::Addresses,
            ),
            (
                "17 * * * * sysctl -w net.ipv4.conf.eth0.rp_filter=2",
                CommandSubject::Addresses,
            ),
            (
                "PostUp = ip rule add iif eth0 table 7",
                CommandSubject::Addresses,
            ),
            (
                "@daily root ethtool -K eth0 gro off",
                CommandSubject::Hardware,
            ),
            ("@daily root vnstat -i eth0", CommandSubject::Unknown),
            ("IF=eth0", CommandSubject::Unknown),
            ("echo ip route add dev eth0", CommandSubject::Unknown),
        ] {
            assert_eq!(about(line, "eth0"), expected, "{line}");
        }
    }
}
