//! systemd-networkd: `.network` files and their drop-ins, `.netdev` files.
//!
//! In: the files of networkd's directories, the one in force for the NIC, and the desired bridge. Out: the
//! NIC's file cut in two. `[Match]` and `[Link]` stay with the NIC, which gains `Bridge=`; every
//! other section goes, unchanged, to a file for the bridge. A file that covers more than the NIC,
//! or belongs to the vendor, is copied from and left alone, and the NIC gets a file that sorts
//! first. Reference: systemd.network(5), systemd.netdev(5), systemd.unit(5) on drop-ins.

mod matching;
pub(super) mod pair;
mod read;
mod split;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::ini::{Ini, IniSection};
use super::model::DesiredBridge;
use super::references;
use super::sources::Sources;
use crate::files::{self, Access, FileChange};
use matching::{MatchedDevice, file_name};

pub(super) use read::{read, read_bridge};
use split::split;

/// Where networkd reads, strongest last.
pub(super) const DIRS: [&str; 4] = [
    "/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/run/systemd/network",
    "/etc/systemd/network",
];
const ETC: &str = "/etc/systemd/network";
pub(super) fn wanted(name: &str) -> bool {
    name.ends_with(".network") || name.ends_with(".netdev")
}

/// A drop-in that keeps the DHCP identity of a NIC whose client made it from the NIC's name.
pub(super) fn identity(nic: &str, iaid: u32) -> String {
    format!(
        "# The bridge keeps the DHCP identity that {nic} had, and with it the leases.\n\
         [DHCPv4]\nIAID={iaid}\n\n[DHCPv6]\nIAID={iaid}\n"
    )
}

/// The file in force for the NIC and what it becomes.
struct Cut<'a> {
    /// The file that networkd reports.
    file: &'a Path,
    text: &'a str,
    dropins: Vec<(PathBuf, &'a str)>,
    desired: &'a DesiredBridge,
}

/// The files as they shall be; `file` is the one networkd uses for the NIC.
pub(super) fn rewrite(
    sources: &Sources,
    file: &Path,
    desired: &DesiredBridge,
) -> Result<Vec<FileChange>> {
    let text = sources
        .text(file)
        .with_context(|| format!("{} is gone", file.display()))?;
    let cut = Cut {
        file,
        text,
        dropins: dropins(sources, file),
        desired,
    };
    if pair::is_written(sources, desired) {
        return Ok(Vec::new());
    }
    if master(&cut).as_ref() == Some(&desired.bridge) && desired.switch.is_none() {
        return Ok(Vec::new());
    }
    cut.refuse_taken()?;
    // Written by an earlier run, though networkd has not read it yet.
    let written = |path: PathBuf| {
        let ini = sources.text(&path).map(Ini::parse);
        ini.is_some_and(|ini| ini.value("Network", "Bridge") == Some(&desired.bridge))
    };
    if matching::names(&desired.nic).any(written) {
        return Ok(Vec::new());
    }
    let mut after = sources.clone();
    let ours = matching::names(&desired.bridge).chain([bridge_netdev(desired)]);
    refuse_known(sources, ours, desired)?;
    after.insert(bridge_netdev(desired), netdev(desired));
    pair::insert(&mut after, desired)?;
    if cut.owned() {
        after.insert(file, cut.nic_text()?);
    } else {
        after.insert(
            matching::name_before(&desired.nic, Some(file))?,
            cut.nic_text()?,
        );
    }
    let network = matching::name_before(&desired.bridge, bridge_file(&after, desired))?;
    after.insert(&network, cut.bridge_text());
    if cut.owned() {
        cut.move_dropins(&mut after, file, &network);
    }
    carry_identity(&mut after, &network, desired)?;
    if let Some(iaid) = desired.iaid {
        after.insert(
            dropin_dir(&network).join("identity.conf"),
            identity(&desired.nic, iaid),
        );
    }
    Ok(sources.changes_to(&after, |path| {
        if path == bridge_netdev(desired) || pair::files(desired).any(|own| own == path) {
            Access::Mode(0o644)
        } else {
            Access::Like(file.to_owned())
        }
    }))
}

/// Refuses to write over files of ours that the NIC does not use.
fn refuse_known(
    sources: &Sources,
    mut ours: impl Iterator<Item = PathBuf>,
    desired: &DesiredBridge,
) -> Result<()> {
    match ours.find(|path| sources.holds(path)) {
        None => Ok(()),
        Some(known) => bail!(
            "{} exists already and {} does not use it: remove it first",
            known.display(),
            desired.nic
        ),
    }
}

/// Writes down what networkd would generate from the bridge's name.
fn carry_identity(after: &mut Sources, network: &Path, desired: &DesiredBridge) -> Result<()> {
    let own = dropin_dir(network);
    let files: Vec<PathBuf> = after
        .iter()
        .map(|(path, _)| path)
        .filter(|path| *path == network || path.parent() == Some(&own))
        .map(Path::to_owned)
        .collect();
    let written = files.iter().any(|path| {
        let ini = after.text(path).map(Ini::parse);
        ini.is_some_and(|ini| ini.value("DHCPv6", "IAID").is_some())
    });
    if desired.iaid.is_none() && !written {
        let nic = &desired.nic;
        let write = format!("write IAID= (networkctl status {nic} shows it) to [DHCPv6] there");
        let made = format!("networkd makes the IAID from the name of {nic}");
        desired.identity.refuse_leased(&made, &write, desired)?;
    }
    for path in files {
        let text = after.text(&path).unwrap_or_default();
        let new = references::lines(text, |line| {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            match (key.trim(), value.trim()) {
                ("Token" | "IPv6Token", value) if value.starts_with("prefixstable") => {
                    let token = desired.identity.token(desired)?;
                    Ok(token.map_or_else(|| line.to_owned(), |token| format!("{key}={token}")))
                }
                ("IPv6LinkLocalAddressGenerationMode", "stable-privacy") => {
                    desired.identity.refuse_link_local(line.trim(), desired)?;
                    Ok(line.to_owned())
                }
                _ => Ok(line.to_owned()),
            }
        })?;
        after.insert(path, new);
    }
    Ok(())
}

/// Moves what drop-ins of a file that netplan makes set for the addresses to those of the bridge's. What is the NIC's goes
/// to those of `port`, which is the same file where no other NIC has it.
pub(super) fn move_dropins(
    sources: &Sources,
    after: &mut Sources,
    [file, port, bridge]: [&str; 3],
    desired: &DesiredBridge,
) -> Result<()> {
    let path = |name: &str| Path::new(ETC).join(format!("10-netplan-{name}.network"));
    let file = path(file);
    let cut = Cut {
        file: &file,
        text: "",
        dropins: dropins(sources, &file),
        desired,
    };
    cut.refuse_taken()?;
    cut.move_dropins(after, &path(port), &path(bridge));
    Ok(())
}

impl Cut<'_> {
    /// Refuses a NIC that something else takes at the next boot.
    fn refuse_taken(&self) -> Result<()> {
        let (file, nic) = (self.file.display(), &self.desired.nic);
        if let Some(other) = master(self) {
            bail!("{file} puts {nic} into {other} already: take it out there first");
        }
        if let Some((key, upper)) = exclusive(self) {
            bail!(
                "{key}={upper} of {file} takes every frame of {nic}, which a port of a bridge cannot: remove it first"
            );
        }
        Ok(())
    }

    /// Cuts the drop-ins in two: the bridge's, and the port's, which are in place where its file is the same.
    fn move_dropins(&self, after: &mut Sources, port: &Path, bridge: &Path) {
        for (path, text) in &self.dropins {
            let mut ini = Ini::parse(text);
            let moved = split(&mut ini);
            let name = path.file_name().unwrap_or_default();
            let own = if port == self.file {
                path.clone()
            } else {
                dropin_dir(port).join(name)
            };
            if moved.is_empty() && own == *path {
                continue;
            }
            if ini.sections.is_empty() {
                after.remove(&own);
            } else {
                after.insert(own, ini.render());
            }
            if !moved.is_empty() {
                after.insert(dropin_dir(bridge).join(name), render(Vec::new(), moved));
            }
        }
    }

    /// Whether the file is the administrator's and for this NIC alone.
    fn owned(&self) -> bool {
        self.file.starts_with(ETC) && covers_one(&Ini::parse(self.text), self.desired)
    }

    /// The NIC's side: what matches it, its link, and the bridge it belongs to.
    fn nic_text(&self) -> Result<String> {
        let mut ini = Ini::parse(self.text);
        split(&mut ini);
        if !self.owned() {
            ini.preamble.clear();
            // its drop-ins are no longer the NIC's
            for (_, text) in &self.dropins {
                let mut dropin = Ini::parse(text);
                split(&mut dropin);
                ini.sections.extend(dropin.sections);
            }
            ini.sections.retain(|section| section.name != "Match");
            ini.sections.insert(0, IniSection::new("Match"));
        }
        // The bridge has the NIC's address: only the name distinguishes them.
        let desired = self.desired;
        let section = ini.section_mut("Match");
        if section.value("Name") != Some(desired.nic.as_str()) {
            section.set("Name", &desired.nic);
        }
        if desired.switch.is_some() {
            ini.section_mut("Link").set(pair::REQUIRED, "no");
        }
        let network = ini.section_mut("Network");
        network.add(match &desired.switch {
            None => format!("Bridge={}", desired.bridge),
            Some(_) => pair::KEEP_MASTER.to_owned(),
        });
        if !network.pairs().any(|(key, _)| key == "LinkLocalAddressing") {
            network.add("LinkLocalAddressing=no".to_owned());
        }
        Ok(ini.render())
    }

    /// The bridge's side: everything about addresses.
    fn bridge_text(&self) -> String {
        let desired = self.desired;
        let mut sections = vec![IniSection {
            name: "Match".to_owned(),
            lines: vec![format!("Name={}", desired.bridge)],
        }];
        sections.extend(split(&mut Ini::parse(self.text)));
        if !self.owned() {
            for (_, text) in &self.dropins {
                sections.extend(split(&mut Ini::parse(text)));
            }
        }
        let mut ini = Ini {
            preamble: Vec::new(),
            sections,
        };
        if let Some(address) = desired.address {
            ini.section_mut("Network").add(format!("Address={address}"));
        }
        let count = ini.sections.len();
        ini.sections
            .iter_mut()
            .take(count - 1)
            .for_each(IniSection::end_with_blank);
        ini.render()
    }
}

fn render(preamble: Vec<String>, sections: Vec<IniSection>) -> String {
    Ini { preamble, sections }.render()
}

/// Whether `[Match]` holds for nothing but the NIC.
fn covers_one(ini: &Ini, desired: &DesiredBridge) -> bool {
    let exact = |value: &str| !value.contains(['*', '?', '[', '!', ' ']);
    let mac = |value: &str| {
        value
            .parse::<crate::bridge::net::Mac>()
            .is_ok_and(|mac| mac == desired.mac)
    };
    ini.all("Match")
        .flat_map(IniSection::pairs)
        .any(|(key, value)| match key {
            "Name" => exact(value) && value == desired.nic,
            "MACAddress" | "PermanentMACAddress" => mac(value),
            "Path" => exact(value),
            _ => false,
        })
}

/// What takes every frame of the NIC below it, so that no bridge can.
fn exclusive(cut: &Cut<'_>) -> Option<(&'static str, String)> {
    const KEYS: [&str; 5] = ["MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "MACsec"];
    let texts = std::iter::once(cut.text).chain(cut.dropins.iter().map(|(_, text)| *text));
    texts.map(Ini::parse).find_map(|ini| {
        let value = |key| {
            ini.value("Network", key)
                .filter(|name: &&str| !name.is_empty())
        };
        let mut found = KEYS
            .into_iter()
            .filter_map(|key| Some((key, value(key)?.to_owned())));
        found.next()
    })
}

fn master(cut: &Cut<'_>) -> Option<String> {
    let texts = std::iter::once(cut.text).chain(cut.dropins.iter().map(|(_, text)| *text));
    texts
        .map(Ini::parse)
        .filter_map(|ini| {
            let master = ["Bridge", "Bond", "VRF", "BatmanAdvanced"]
                .into_iter()
                .find_map(|key| ini.value("Network", key));
            master.filter(|name| !name.is_empty()).map(str::to_owned)
        })
        .next_back()
}

/// Refuses where another file is read before `name`, which netplan makes, and covers the bridge.
pub(super) fn refuse_earlier(sources: &Sources, name: &str, desired: &DesiredBridge) -> Result<()> {
    match bridge_file(sources, desired) {
        Some(file) if file_name(file) < name => bail!(
            "{} covers {} too, and is read before {name}, which netplan makes: rename it or narrow its [Match] first",
            file.display(),
            desired.bridge
        ),
        _ => Ok(()),
    }
}

/// The file that networkd takes for the bridge, whatever its name.
pub(super) fn bridge_file<'a>(sources: &'a Sources, desired: &DesiredBridge) -> Option<&'a Path> {
    matching::in_force(sources, &MatchedDevice::bridge(desired))
}

fn bridge_netdev(desired: &DesiredBridge) -> PathBuf {
    Path::new(ETC).join(format!("10-{}.netdev", desired.bridge))
}

fn netdev(desired: &DesiredBridge) -> String {
    format!(
        "[NetDev]\nName={}\nKind=bridge\nMACAddress={}\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n",
        desired.bridge, desired.mac
    )
}

fn dropin_dir(file: &Path) -> PathBuf {
    let name = file_name(file);
    Path::new(ETC).join(format!("{name}.d"))
}

/// The drop-ins of a file, weakest first.
fn dropins<'a>(sources: &'a Sources, file: &Path) -> Vec<(PathBuf, &'a str)> {
    let name = file_name(file);
    let mut found: Vec<(PathBuf, &str)> = Vec::new();
    for dir in DIRS {
        let dir = Path::new(dir).join(format!("{name}.d"));
        for (path, text) in sources
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir.as_path()))
        {
            found.retain(|(known, _)| known.file_name() != path.file_name());
            found.push((path.to_owned(), text));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.file_name().cmp(&other.file_name()));
    found
}

/// Reads networkd's files and the drop-ins of every `.network` file.
pub(super) fn load(sources: &mut Sources, root: &Path) -> Result<()> {
    for dir in DIRS {
        let files = Sources::load(root, &[dir], wanted)?;
        files
            .iter()
            .for_each(|(path, text)| sources.insert(path, text));
        for name in files::names(&files::under_root(root, Path::new(dir)))? {
            if name.ends_with(".network.d") {
                let dropins = format!("{dir}/{name}");
                let more = Sources::load(root, &[&dropins], |name| name.ends_with(".conf"))?;
                more.iter()
                    .for_each(|(path, text)| sources.insert(path, text));
            }
        }
    }
    Ok(())
}
