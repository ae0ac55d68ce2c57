//! The order of names in which one directory is searched. Pure.
//!
//! A profile, a release and an architecture come in; file names go out, the most particular first:
//! `PROFILE.RELEASE.ARCH.ENDING`, `PROFILE.RELEASE.ENDING` for the release itself, for its generation, for
//! every earlier release of the generation, for the releases that it is built like; then
//! `PROFILE.ARCH.ENDING`, `PROFILE.ENDING`. The order is xCAT's; `el9`, which the RHEL family shares, is
//! added.

use std::fmt;

use definitions::Distro;

use super::SearchTarget;
use crate::installer::{DistroFamily, InstallerKind};

/// A release whose last number is greater is not counted down: `7.9.2009` is a date.
const MAX_MINOR: u32 = 99;

/// One name that is searched for, and its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateName {
    /// The file's name: `dockerhost.rocky9.x86_64.pkglist`.
    pub name: String,
    /// The release in the name: `rocky9`.
    pub release: Option<String>,
    /// Whether the architecture is in the name.
    pub arch: bool,
}

impl fmt::Display for CandidateName {
    /// Says for what the file is: `for rocky9 on this architecture`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            Some(release) => write!(f, "for {release}")?,
            None => f.write_str("for every release")?,
        }
        f.write_str(if self.arch {
            " on this architecture"
        } else {
            " on every architecture"
        })
    }
}

/// Returns the names to look for, in order.
pub fn candidate_names(target: &SearchTarget<'_>, ending: &str) -> Vec<CandidateName> {
    let releases = releases(target.distro, target.installer);
    let (profile, arch) = (target.profile, target.arch);
    let mut candidate_names = Vec::new();
    for release in releases.into_iter().map(Some).chain([None]) {
        let dotted = release
            .as_ref()
            .map_or(String::new(), |name| format!(".{name}"));
        for (name, arch) in [
            (format!("{profile}{dotted}.{arch}.{ending}"), true),
            (format!("{profile}{dotted}.{ending}"), false),
        ] {
            let release = release.clone();
            candidate_names.push(CandidateName {
                name,
                release,
                arch,
            });
        }
    }
    candidate_names
}

/// Returns the names of releases whose files fit, in order, each once.
fn releases(distro: &Distro, installer: InstallerKind) -> Vec<String> {
    let mut names = vec![distro.to_string(), generation(distro, installer)];
    names.extend(earlier(distro));
    names.extend(family_base(distro));
    let mut once = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// Names the generation: `rocky9`, `rhels8` for everything of Red Hat's own, `subiquity` for Ubuntu with
/// its live installer.
fn generation(distro: &Distro, installer: InstallerKind) -> String {
    match distro.family() {
        _ if installer == InstallerKind::Autoinstall => "subiquity".to_owned(),
        family if family.starts_with("rhel") => format!("rhels{}", distro.major()),
        family => format!("{family}{}", distro.major()),
    }
}

/// Counts the version down: `9.2`, `9.1`, `9.0`, `9`. A number with a zero in front, as in `24.04`, ends
/// it; one of two digits is followed by those of one digit in both forms, `22.09` and `22.9`.
fn earlier(distro: &Distro) -> Vec<String> {
    let family = distro.family();
    let version = distro.version().split('-').next().unwrap_or_default();
    let mut parts: Vec<&str> = version.split('.').collect();
    let mut names = Vec::new();
    while let Some(last) = parts.pop() {
        let head: String = parts.iter().map(|part| format!("{part}.")).collect();
        names.push(format!("{family}{head}{last}"));
        let leading_zero = last.len() > 1 && last.starts_with('0');
        let number = last.parse().unwrap_or(0);
        if leading_zero || parts.is_empty() {
            break; // 24.04 inherits nothing from 24.03, nor rocky9 from rocky8
        }
        let below = if number > MAX_MINOR { 0 } else { number };
        for number in (0..below).rev() {
            if last.len() == 2 && number < 10 {
                names.push(format!("{family}{head}0{number}"));
            }
            names.push(format!("{family}{head}{number}"));
        }
    }
    names
}

/// Names what a release is built like: `el9` for the RHEL family, `sle15` for Leap 15.
fn family_base(distro: &Distro) -> Option<String> {
    let prefix = match DistroFamily::of(distro).ok()? {
        DistroFamily::Rh => "el",
        DistroFamily::Suse => "sle",
        DistroFamily::Debian | DistroFamily::Ubuntu | DistroFamily::Fedora => return None,
    };
    Some(format!("{prefix}{}", distro.major()))
}

#[cfg(test)]
mod tests {
    use definitions::Arch;

    use super::*;

    fn names(profile: &str, distro: &str, arch: Arch, ending: &str) -> Vec<String> {
        let distro: Distro = distro.parse().unwrap();
        let subiquity = distro.family() == "ubuntu" && distro.version() >= "20";
        let target = SearchTarget {
            profile,
            distro: &distro,
            arch,
            installer: if subiquity {
                InstallerKind::Autoinstall
            } else {
                InstallerKind::Preseed
            },
        };
        let candidate_names = candidate_names(&target, ending);
        candidate_names
            .into_iter()
            .map(|name_found| name_found.name)
            .collect()
    }

    /// The releases of a ladder, without the architecture's half.
    fn chain(distro: &str) -> String {
        let names = names("p", distro, Arch::X86_64, "e");
        let plain = names.iter().filter(|name| !name.contains("x86_64"));
        let releases = plain.filter_map(|name| name.strip_prefix("p.")?.strip_suffix(".e"));
        releases.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_worked_example_of_xcat_holds() {
        assert_eq!(
            names("dockerhost", "ubuntu22.04.3", Arch::X86_64, "pkglist"),
            [
                "dockerhost.ubuntu22.04.3.x86_64.pkglist",
                "dockerhost.ubuntu22.04.3.pkglist",
                "dockerhost.subiquity.x86_64.pkglist",
                "dockerhost.subiquity.pkglist",
                "dockerhost.ubuntu22.04.2.x86_64.pkglist",
                "dockerhost.ubuntu22.04.2.pkglist",
                "dockerhost.ubuntu22.04.1.x86_64.pkglist",
                "dockerhost.ubuntu22.04.1.pkglist",
                "dockerhost.ubuntu22.04.0.x86_64.pkglist",
                "dockerhost.ubuntu22.04.0.pkglist",
                "dockerhost.ubuntu22.04.x86_64.pkglist",
                "dockerhost.ubuntu22.04.pkglist",
                "dockerhost.x86_64.pkglist",
                "dockerhost.pkglist",
            ]
        );
    }

    #[test]
    fn a_release_inherits_from_earlier_ones_of_its_generation_and_from_no_other() {
        for (distro, expected) in [
            (
                "ubuntu24.04.1",
                "ubuntu24.04.1 subiquity ubuntu24.04.0 ubuntu24.04",
            ),
            (
                "ubuntu14.04.3",
                "ubuntu14.04.3 ubuntu14 ubuntu14.04.2 ubuntu14.04.1 ubuntu14.04.0 ubuntu14.04",
            ),
            (
                "rocky9.6",
                "rocky9.6 rocky9 rocky9.5 rocky9.4 rocky9.3 rocky9.2 rocky9.1 rocky9.0 el9",
            ),
            (
                "ubuntu22.10",
                "ubuntu22.10 subiquity ubuntu22.09 ubuntu22.9 ubuntu22.08 ubuntu22.8 ubuntu22.07 \
                 ubuntu22.7 ubuntu22.06 ubuntu22.6 ubuntu22.05 ubuntu22.5 ubuntu22.04 ubuntu22.4 \
                 ubuntu22.03 ubuntu22.3 ubuntu22.02 ubuntu22.2 ubuntu22.01 ubuntu22.1 ubuntu22.00 \
                 ubuntu22.0 ubuntu22",
            ),
            (
                "rhels8.2.0",
                "rhels8.2.0 rhels8 rhels8.2 rhels8.1 rhels8.0 el8",
            ),
            (
                "rhels7.1-alternate",
                "rhels7.1-alternate rhels7 rhels7.1 rhels7.0 el7",
            ),
            ("centos-stream9", "centos-stream9 el9"),
            (
                "debian12.1.0",
                "debian12.1.0 debian12 debian12.1 debian12.0",
            ),
            ("debiantesting", "debiantesting"),
            ("leap15.1", "leap15.1 leap15 leap15.0 sle15"),
            ("sles12.1", "sles12.1 sles12 sles12.0 sle12"),
            ("fedora42", "fedora42"),
            (
                "centos7.9.2009",
                "centos7.9.2009 centos7 centos7.9 centos7.8 centos7.7 centos7.6 \
             centos7.5 centos7.4 centos7.3 centos7.2 centos7.1 centos7.0 el7",
            ),
        ] {
            assert_eq!(
                chain(distro),
                expected.split_whitespace().collect::<Vec<_>>().join(" ")
            );
        }
    }
}
