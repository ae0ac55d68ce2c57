//! The lease that goes along: the NIC's, written where the client on the bridge looks for it.
//!
//! The files are those of the client's own directories alone, reached without a link, and root's. What is
//! left over of a move that is taken back is a lease that is found out of date.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::arguments::MovedArguments;
use super::names::rename;
use super::options::ClientKind;
use crate::owner::RootOnlyDirectory;

/// Where clients keep what they know.
fn directories(kind: ClientKind) -> &'static [&'static str] {
    match kind {
        ClientKind::Dhclient => &[
            "/var/lib/dhcp",
            "/var/lib/dhcp3",
            "/var/lib/dhclient",
            "/var/db",
            "/run",
        ],
        ClientKind::Dhcpcd => &["/var/lib/dhcpcd", "/var/lib/dhcpcd5", "/var/db/dhcpcd"],
        ClientKind::Udhcpc => &[],
    }
}

/// A file of leases, for the NIC and for the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lease {
    directory: PathBuf,
    from: String,
    to: String,
}

impl Lease {
    /// Those of a client, where they stand.
    ///
    /// # Errors
    /// When a client keeps one anywhere but in its own directories.
    pub(super) fn plan(
        kind: ClientKind,
        moved: &MovedArguments,
        nic: &str,
        bridge: &str,
    ) -> Result<Vec<Self>> {
        let lease = |directory: &Path, from: &str| Self {
            directory: directory.to_owned(),
            from: from.to_owned(),
            to: rename(from, nic, bridge),
        };
        let directories = directories(kind);
        let named = moved.states.iter().map(|(option, path)| {
            let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
                bail!(
                    "its option {option} names {}, which is not a file",
                    path.display()
                );
            };
            if !directories.iter().any(|own| Path::new(own) == directory) {
                bail!(
                    "its option {option} names {}, and leases are taken along from {} alone",
                    path.display(),
                    directories.join(", ")
                );
            }
            Ok(lease(directory, &name.to_string_lossy()))
        });
        let named = named.collect::<Result<Vec<_>>>()?;
        let by_default: &[String] = match kind {
            ClientKind::Dhclient if named.is_empty() => &["dhclient.leases".to_owned()],
            ClientKind::Dhcpcd => &[
                format!("{nic}.lease"),
                format!("{nic}.lease6"),
                format!("dhcpcd-{nic}.lease"),
                format!("dhcpcd-{nic}.lease6"),
            ],
            _ => &[],
        };
        let by_default = directories.iter().flat_map(|directory| {
            let names = by_default.iter();
            names.map(|name| lease(Path::new(directory), name))
        });
        Ok(named.iter().cloned().chain(by_default).collect())
    }

    /// Takes the NIC's lease along, where there is one.
    ///
    /// # Errors
    /// When the file is not root's alone, or cannot be written.
    pub(super) fn carry(
        &self,
        root: &Path,
        kind: ClientKind,
        nic: &str,
        bridge: &str,
    ) -> Result<()> {
        let Some(directory) = RootOnlyDirectory::open(root, &self.directory)? else {
            return Ok(());
        };
        let Some(bytes) = directory.read(&self.from)? else {
            return Ok(());
        };
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        match (kind, self.from == self.to) {
            // One file for all devices gains the bridge's lease.
            (ClientKind::Dhclient, true) => {
                directory.append(&self.to, own_leases(&text(), nic, bridge).as_bytes())
            }
            (ClientKind::Dhclient, false) => {
                directory.replace(&self.to, for_bridge(&text(), nic, bridge).as_bytes())
            }
            (ClientKind::Dhcpcd | ClientKind::Udhcpc, _) => directory.replace(&self.to, &bytes),
        }
    }
}

fn for_bridge(text: &str, nic: &str, bridge: &str) -> String {
    text.replace(
        &format!("interface \"{nic}\";"),
        &format!("interface \"{bridge}\";"),
    )
}

/// The NIC's leases in a file of all devices, as the bridge's; none where the bridge has them already.
fn own_leases(text: &str, nic: &str, bridge: &str) -> String {
    let of = |device: &str| format!("interface \"{device}\";");
    let mut leases: Vec<String> = Vec::new();
    for line in text.lines() {
        match leases.last_mut() {
            Some(lease) if !lease.ends_with("\n}\n") => *lease += &format!("{line}\n"),
            _ if line.starts_with("lease") => leases.push(format!("{line}\n")),
            _ => {}
        }
    }
    let whole = |lease: &&String| lease.ends_with("\n}\n") && lease.contains(&of(nic));
    let moved = leases.iter().filter(whole);
    moved
        .map(|lease| for_bridge(lease, nic, bridge))
        .filter(|lease| !text.contains(lease.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_all_devices_gains_the_bridges_leases_once() {
        let lease = |device: &str| {
            format!("lease {{\n  interface \"{device}\";\n  fixed-address 10.0.0.50;\n}}\n")
        };
        let text = format!(
            "default-duid \"x\";\n{}{}lease {{\n  interface \"eth0\";\n",
            lease("eth0"),
            lease("eth1")
        );
        let gained = own_leases(&text, "eth0", "br0");
        assert_eq!(gained, lease("br0"));
        assert_eq!(own_leases(&(lease("br0") + &text), "eth0", "br0"), "");
        let own = for_bridge(&text, "eth0", "br0");
        assert_eq!(own, text.replace("eth0", "br0"));
    }

    #[test]
    fn a_lease_elsewhere_is_refused() {
        let moved = |path: &str| MovedArguments {
            states: vec![("-lf".to_owned(), path.into())],
            ..MovedArguments::default()
        };
        for (path, message) in [
            (
                "/tmp/eth0.leases",
                "its option -lf names /tmp/eth0.leases, and leases are taken along from /var/lib/dhcp, \
                 /var/lib/dhcp3, /var/lib/dhclient, /var/db, /run alone",
            ),
            (
                "/var/lib/dhcp/../../../etc/cron.d/eth0",
                "its option -lf names /var/lib/dhcp/../../../etc/cron.d/eth0, and leases are taken along from \
                 /var/lib/dhcp, /var/lib/dhcp3, /var/lib/dhclient, /var/db, /run alone",
            ),
        ] {
            let refused =
                Lease::plan(ClientKind::Dhclient, &moved(path), "eth0", "br0").unwrap_err();
            assert_eq!(refused.to_string(), message);
        }
    }
}
