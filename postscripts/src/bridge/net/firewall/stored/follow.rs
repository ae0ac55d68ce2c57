//! Files of rules that something else loads: what hooks of the network, units and init scripts give to
//! `iptables-restore` and `nft -f`, and scripts of the administrator's that they run.
//!
//! No shell is understood: a path counts where it is written out, in the line of the loader or as the
//! value of a variable of the same file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::statements::{self, RuleStatement, words};
use super::{MAX_COUNT, Search};
use crate::bridge::called_files::called_files;
use crate::files::{Inspected, inspect};

/// What runs at boot, or when the network comes up.
const CALLERS: [&str; 24] = [
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/*",
    "/etc/network/if-*.d/*",
    "/etc/dhcp/dhclient-*-hooks",
    "/etc/dhcp/dhclient-*-hooks.d/*",
    "/etc/dhcpcd.*-hook",
    "/etc/networkd-dispatcher/*.d/*",
    "/etc/NetworkManager/dispatcher.d/*",
    "/etc/NetworkManager/dispatcher.d/*.d/*",
    "/etc/sysconfig/network/scripts/*",
    "/etc/sysconfig/network/if-*.d/*",
    "/sbin/ifup-local",
    "/sbin/ifup-pre-local",
    "/etc/wireguard/*.conf",
    "/etc/systemd/system/*.service",
    "/etc/systemd/system/*.d/*.conf",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/*",
    "/etc/local.d/*.start",
    "/etc/crontab",
    "/etc/cron.d/*",
    "/etc/boot.d/*",
    "/etc/init.d/boot.local",
];
/// Programs that change rules.
const TOOLS: [&str; 8] = [
    "iptables",
    "ip6tables",
    "arptables",
    "ebtables",
    "nft",
    "iptables-legacy",
    "ip6tables-legacy",
    "ipset",
];

impl Search<'_> {
    /// Follows what runs at boot.
    pub(super) fn callers(&mut self) {
        let mut callers: BTreeSet<PathBuf> = BTreeSet::new();
        let mut patterns: Vec<PathBuf> = CALLERS.iter().map(PathBuf::from).collect();
        while let Some(pattern) = patterns.pop() {
            for path in self.expand(&pattern) {
                if !callers.insert(path.clone()) {
                    continue;
                }
                // persistence names those that it does not read
                let found = inspect(self.root, &path, super::MAX_BYTES);
                let Inspected::Text(document) = found else {
                    continue;
                };
                self.loaded(&path, &document.text);
                if path.starts_with("/etc/network") {
                    patterns.extend(sourced(&document.text));
                }
                if path.starts_with("/etc/init.d") {
                    self.script(&path, "an init script");
                }
                let called = statements::read(&document.text).into_iter();
                for script in called
                    .flat_map(|it| called_files(&it.shown))
                    .take(MAX_COUNT)
                {
                    self.script(&script, &format!("run by {}", path.display()));
                }
            }
        }
    }

    /// Looks through the files that a text has loaded.
    fn loaded(&mut self, path: &Path, text: &str) {
        let statements = statements::read(text);
        if !statements.iter().any(loads) {
            return;
        }
        let named = statements.iter().filter(|it| loads(it) || it.assigns());
        for file in named.flat_map(|it| called_files(&it.shown)) {
            self.rules(&file, &format!("loaded by {}", path.display()));
        }
    }

    /// Looks through a script that changes rules itself.
    fn script(&mut self, path: &Path, owner: &str) {
        let found = inspect(self.root, path, super::MAX_BYTES);
        let Inspected::Text(document) = found else {
            return;
        };
        if !document.text.starts_with("#!") || !self.seen.insert(path.to_owned()) {
            return;
        }
        self.loaded(path, &document.text);
        let changes = |it: &RuleStatement| it.runs(|word| TOOLS.contains(&word));
        let mut statements = statements::read(&document.text);
        if statements.iter().any(changes) {
            statements.retain(|it| changes(it) || it.assigns());
            self.report(path, owner, &statements);
        }
    }
}

/// Whether it loads a file of rules.
fn loads(statement: &RuleStatement) -> bool {
    let is_restore = |word: &str| word.contains("tables") && word.ends_with("-restore");
    let is_file = |word: &str| {
        word == "--file" || (word.starts_with('-') && !word.starts_with("--") && word.contains('f'))
    };
    statement.runs(is_restore)
        || statement.runs(|word| word == "iptables-apply")
        || (statement.runs(|word| word == "nft") && words(&statement.shown).any(is_file))
}

/// The patterns of files that `interfaces` reads too.
fn sourced(text: &str) -> Vec<PathBuf> {
    let lines = text
        .lines()
        .filter_map(|line| line.trim().split_once(char::is_whitespace));
    let patterns = lines.filter_map(|(word, rest)| {
        let path = Path::new("/etc/network").join(rest.trim());
        match word {
            "source" => Some(path),
            "source-directory" => Some(path.join("*")),
            _ => None,
        }
    });
    patterns.collect()
}

/// The commands among the settings of wg-quick, each in its line.
pub(super) fn commands_of_wireguard(text: &str) -> String {
    let commands = text.lines().map(|line| match line.split_once('=') {
        Some((key, command))
            if ["preup", "postup", "predown", "postdown"]
                .contains(&key.trim().to_ascii_lowercase().as_str()) =>
        {
            command
        }
        _ => "",
    });
    commands.collect::<Vec<_>>().join("\n")
}
