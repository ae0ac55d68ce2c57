//! What else on this context names the NIC: settings that belong to neither backend, by the NIC's name.
//!
//! In: known places below the root directory. Out: the files as they have to become, so that what held
//! for the NIC holds for the bridge, or an error that names each line for which no rule is known; and
//! what is not read (a program, a pipe, a link to what others may change) or may be about the NIC as such. Only the name as a word of its
//! own counts, and no comment.

mod jobs;
mod lines;
mod link;
mod manager;
mod rest;
mod sysctl;
mod tmpfiles;
mod udev;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::backend::Backend;
use super::model::DesiredBridge;
use crate::files::{self, Access, FileChange, Inspected, TextFile, glob, under_root};

/// No configuration file is larger.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Files of one kind, and how they are looked at.
struct SearchedFiles {
    /// Where they are, strongest first; the last part may be a pattern. A file hides those of its
    /// name in later directories.
    files: &'static [&'static str],
    /// What they have to become; the lines that no rule is known for go to the findings.
    rewrite: RewriteFn,
}

type RewriteFn = fn(&str, &RewriteContext<'_>) -> std::result::Result<String, Vec<UnclearLine>>;

/// What the rules know of the context.
struct RewriteContext<'a> {
    desired: &'a DesiredBridge,
    /// The NIC's type as udev knows it: `ether`, `bond`, `vlan` …
    link_type: String,
    /// Whether NetworkManager may bring the bridge up.
    is_networkmanagers: bool,
}

/// What names the NIC and cannot be moved: where in the file, and what to do.
struct UnclearLine {
    line: usize,
    what: String,
}

const SEARCHED: [SearchedFiles; 10] = [
    SearchedFiles {
        files: &[
            "/etc/NetworkManager/NetworkManager.conf",
            "/etc/NetworkManager/conf.d/*.conf",
            "/run/NetworkManager/conf.d/*.conf",
            "/usr/lib/NetworkManager/conf.d/*.conf",
        ],
        rewrite: manager::rewrite,
    },
    SearchedFiles {
        files: &[
            "/etc/tmpfiles.d/*.conf",
            "/run/tmpfiles.d/*.conf",
            "/usr/local/lib/tmpfiles.d/*.conf",
            "/usr/lib/tmpfiles.d/*.conf",
        ],
        rewrite: tmpfiles::rewrite,
    },
    SearchedFiles {
        files: &[
            "/etc/sysctl.d/*.conf",
            "/run/sysctl.d/*.conf",
            "/usr/local/lib/sysctl.d/*.conf",
            "/usr/lib/sysctl.d/*.conf",
            "/lib/sysctl.d/*.conf",
        ],
        rewrite: sysctl::rewrite,
    },
    SearchedFiles {
        files: &["/etc/lldpd.conf", "/etc/lldpd.d/*.conf"],
        rewrite: lines::lldp,
    },
    SearchedFiles {
        // what cloud-init runs, at each boot or the first
        files: &["/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/*.cfg"],
        rewrite: lines::commands,
    },
    SearchedFiles {
        files: &["/etc/sysctl.conf", "/etc/sysconfig/network/ifsysctl"],
        rewrite: sysctl::rewrite,
    },
    SearchedFiles {
        files: &[
            "/etc/systemd/network/*.link",
            "/run/systemd/network/*.link",
            "/usr/local/lib/systemd/network/*.link",
            "/usr/lib/systemd/network/*.link",
            "/lib/systemd/network/*.link",
            "/etc/systemd/network/*.link.d/*.conf",
            "/run/systemd/network/*.link.d/*.conf",
            "/usr/local/lib/systemd/network/*.link.d/*.conf",
            "/usr/lib/systemd/network/*.link.d/*.conf",
            "/lib/systemd/network/*.link.d/*.conf",
        ],
        rewrite: link::rewrite,
    },
    SearchedFiles {
        files: &[
            "/etc/udev/rules.d/*.rules",
            "/usr/local/lib/udev/rules.d/*.rules",
            "/usr/lib/udev/rules.d/*.rules",
            "/lib/udev/rules.d/*.rules",
        ],
        rewrite: udev::rewrite,
    },
    SearchedFiles {
        files: &[
            "/etc/systemd/system/*.service",
            "/etc/systemd/system/*.socket",
            "/etc/systemd/system/*.d/*.conf",
            "/usr/local/lib/systemd/system/*.service",
            "/usr/local/lib/systemd/system/*.socket",
            "/usr/lib/systemd/system/*.service",
            "/usr/lib/systemd/system/*.socket",
            "/lib/systemd/system/*.service",
            "/lib/systemd/system/*.socket",
        ],
        rewrite: lines::unit,
    },
    SearchedFiles {
        files: &[
            "/etc/network/if-pre-up.d/*",
            "/etc/network/if-up.d/*",
            "/etc/network/if-down.d/*",
            "/etc/network/if-post-down.d/*",
            "/etc/networkd-dispatcher/*.d/*",
            "/usr/lib/networkd-dispatcher/*.d/*",
            "/etc/NetworkManager/dispatcher.d/*",
            "/etc/NetworkManager/dispatcher.d/*.d/*",
            "/usr/lib/NetworkManager/dispatcher.d/*",
            "/usr/lib/NetworkManager/dispatcher.d/*.d/*",
            "/etc/sysconfig/network/scripts/*",
            "/etc/sysconfig/network/if-up.d/*",
            "/etc/sysconfig/network/if-down.d/*",
            "/sbin/ifup-local",
            "/sbin/ifup-pre-local",
            "/sbin/ifdown-local",
            "/sbin/ifdown-pre-local",
            "/etc/dhcp/dhclient-*-hooks",
            "/etc/dhcp/dhclient-*-hooks.d/*",
            "/etc/dhcp/dhclient.d/*",
            "/etc/dhclient-*-hooks",
            "/etc/dhcpcd.*-hook",
            "/etc/udhcpc/*",
            "/lib/dhcpcd/dhcpcd-hooks/*",
            "/usr/lib/dhcpcd/dhcpcd-hooks/*",
            "/libexec/dhcpcd-hooks/*",
            "/usr/libexec/dhcpcd-hooks/*",
            "/etc/rc.local",
            "/etc/rc.d/rc.local",
            "/etc/init.d/boot.local",
            "/etc/init.d/after.local",
        ],
        rewrite: lines::script,
    },
];

/// The files that have to change, and what is not read; an error names all that cannot be moved.
pub(super) fn changes(
    root: &Path,
    backend: &Backend,
    desired: &DesiredBridge,
) -> Result<(Vec<FileChange>, Vec<String>)> {
    let context = RewriteContext {
        desired,
        link_type: link::type_of(root, &desired.nic)?,
        is_networkmanagers: backend.may_be_networkmanagers(),
    };
    let (mut changes, mut skipped): (Vec<FileChange>, _) = Default::default();
    let mut problems = units_for(root, desired)?;
    let jobs = jobs::find(root, desired)?;
    let searched = SEARCHED.iter().map(|place| (place.files, place.rewrite));
    let mut look =
        |pattern: &[&str], rewrite: &dyn Fn(&str, &RewriteContext<'_>) -> _| -> Result<()> {
            for (path, document) in documents(root, pattern, &mut skipped)? {
                let kept: std::result::Result<String, Vec<UnclearLine>> =
                    rewrite(&document.text, &context);
                match kept {
                    Ok(new) if new == document.text => {}
                    Ok(new) => match rewritten(&path, &document, new) {
                        // one file may be reached by several links
                        Ok(change) if changes.contains(&change) => {}
                        Ok(change) => changes.push(change),
                        Err(problem) => problems.push(problem),
                    },
                    Err(findings) => problems.extend(findings.into_iter().map(|finding| {
                        format!("{}:{}: {}", path.display(), finding.line, finding.what)
                    })),
                }
            }
            Ok(())
        };
    for (files, rewrite) in searched {
        look(files, &rewrite)?;
    }
    for keyed in &lines::KEYED {
        look(keyed.files, &|text, context| keyed.rewrite(text, context))?;
    }
    problems.extend(jobs.problems);
    skipped.extend(jobs.notes);
    let searched = SEARCHED.iter().map(|place| place.files);
    let keyed = lines::KEYED.iter().map(|keyed| keyed.files);
    let seen: Vec<&str> = searched.chain(keyed).flatten().copied().collect();
    skipped.extend(rest::notes(root, desired, &seen));
    if !problems.is_empty() {
        bail!(
            "{} is named in other files for what {} will have: {}",
            desired.nic,
            desired.bridge,
            problems.join("; ")
        );
    }
    Ok((changes, skipped))
}

/// Units that are started at boot for the NIC by its name.
fn units_for(root: &Path, desired: &DesiredBridge) -> Result<Vec<String>> {
    const DIR: &str = "/etc/systemd/system";
    /// Those that look after the hardware.
    const FINE: [&str; 3] = ["wpa_supplicant", "ethtool", "sys-subsystem-net-devices"];
    let instance = format!("@{}.service", desired.nic);
    let mut found = Vec::new();
    for dir in files::names(&under_root(root, Path::new(DIR)))? {
        if !dir.ends_with(".wants") && !dir.ends_with(".requires") {
            continue;
        }
        for name in files::names(&under_root(root, &Path::new(DIR).join(&dir)))? {
            if let Some(unit) = name.strip_suffix(&instance)
                && !FINE.iter().any(|fine| unit.starts_with(fine))
            {
                found.push(format!(
                    "{DIR}/{dir}/{name}: it is started at boot: disable it, and enable {unit}@{}.service instead",
                    desired.bridge
                ));
            }
        }
    }
    Ok(found)
}

/// Where a file of the vendor's or of this boot is overridden.
fn in_etc(path: &Path) -> PathBuf {
    let kept = ["/run", "/usr/local/lib", "/usr/lib", "/lib"];
    let below = kept.iter().find_map(|dir| path.strip_prefix(dir).ok());
    below.map_or_else(|| path.to_owned(), |below| Path::new("/etc").join(below))
}

/// The files in a place by their paths; none that is hidden by another, none twice.
fn documents(
    root: &Path,
    patterns: &[&str],
    skipped: &mut Vec<String>,
) -> Result<Vec<(PathBuf, TextFile)>> {
    let mut found: BTreeMap<PathBuf, Option<(PathBuf, TextFile)>> = BTreeMap::new();
    for pattern in patterns {
        for path in glob::expand(root, Path::new(pattern))? {
            let target = in_etc(&path);
            if found.contains_key(&target) {
                continue;
            }
            match files::inspect(root, &path, MAX_FILE_BYTES) {
                Inspected::Text(document) => {
                    found.insert(target, Some((path, document)));
                }
                Inspected::Unread(what) => {
                    found.insert(target, None);
                    skipped.push(what);
                }
                Inspected::Nothing => {}
            }
        }
    }
    Ok(found.into_values().flatten().collect())
}

/// The change that gives a file another text; the error is the reason why it cannot be made.
fn rewritten(
    path: &Path,
    document: &TextFile,
    new: String,
) -> std::result::Result<FileChange, String> {
    let shown = path.display();
    if !document.is_exact {
        return Err(format!(
            "{shown}: it has to change, and is not written in UTF-8: convert it first (iconv -t UTF-8)"
        ));
    }
    match &document.target {
        Some(target) if target.starts_with("/etc") => {
            let access = Access::Like(target.clone());
            Ok(FileChange::write(target.clone(), new, access))
        }
        Some(target) => Err(format!(
            "{shown}: it has to change, and is a link to {}: put a file of its own there first",
            target.display()
        )),
        None if path.starts_with("/run") => Err(format!(
            "{shown}: it is generated at each boot: change its generator first"
        )),
        None => Ok(FileChange::write(
            in_etc(path),
            new,
            Access::Like(path.to_owned()),
        )),
    }
}

impl UnclearLine {
    fn unclear(number: usize, line: &str, context: &RewriteContext<'_>) -> Self {
        Self {
            line: number + 1,
            what: super::references::unclear(line.trim(), context.desired).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn desired() -> DesiredBridge {
        DesiredBridge {
            nic: "eth0".to_owned(),
            bridge: "br0".to_owned(),
            mac: "52:54:00:12:34:56".parse().unwrap(),
            iaid: None,
            identity: Default::default(),
            address: None,
            switch: None,
        }
    }

    pub(super) fn context(desired: &DesiredBridge) -> RewriteContext<'_> {
        RewriteContext {
            desired,
            link_type: "ether".to_owned(),
            is_networkmanagers: true,
        }
    }
}
