//! Which package manager a node has.

use anyhow::{Result, bail};

use super::apt::Apt;
use super::dnf::Dnf;
use super::package_manager::PackageManager;
use super::zypper::Zypper;

/// Finds it from os-release(5): some systems have another family's tools too.
pub(super) fn detect(
    os_release: &str,
    has: &dyn Fn(&str) -> bool,
) -> Result<&'static dyn PackageManager> {
    let mut words = Vec::new();
    for line in os_release.lines() {
        if let Some(("ID" | "ID_LIKE", value)) = line.split_once('=') {
            words.extend(value.trim_matches(['"', '\'']).split_whitespace());
        }
    }
    let is = |names: &[&str]| words.iter().any(|word| names.contains(word));
    let dnf_or_yum = if has("dnf") { &Dnf::Dnf } else { &Dnf::Yum };
    let manager: &dyn PackageManager = if is(&["debian", "ubuntu"]) {
        &Apt
    } else if is(&["suse", "sles", "opensuse", "sle"]) {
        &Zypper
    } else if is(&["rhel", "fedora", "centos"]) {
        dnf_or_yum
    } else if has("apt-get") {
        &Apt
    } else if has("zypper") {
        &Zypper
    } else {
        dnf_or_yum
    };
    if !has(manager.program()) {
        bail!("this node has none of apt-get, dnf, yum and zypper that fits its system");
    }
    Ok(manager)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_which_package_manager_it_has() {
        let all: &[&str] = &["apt-get", "dnf", "zypper"];
        for (os_release, has, expected) in [
            ("ID=debian\n", all, Ok("apt-get")),
            ("NAME=x\nID=ubuntu\nID_LIKE=debian\n", all, Ok("apt-get")),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                all,
                Ok("dnf"),
            ),
            (
                "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\n",
                &["yum"],
                Ok("yum"),
            ),
            (
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
                all,
                Ok("zypper"),
            ),
            ("ID='sles'\n", &["zypper"], Ok("zypper")),
            ("ID=other\n", &["zypper"], Ok("zypper")),
            ("", &["yum"], Ok("yum")),
            (
                "ID=debian\n",
                &["dnf"],
                Err("this node has none of apt-get, dnf, yum and zypper that fits its system"),
            ),
        ] {
            let found = detect(os_release, &|name| has.contains(&name));
            assert_eq!(
                found
                    .map(PackageManager::program)
                    .map_err(|e| e.to_string()),
                expected.map_err(str::to_owned)
            );
        }
    }
}
