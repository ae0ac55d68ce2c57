//! Which distribution a tree has, and whether an osimage's packages are of it: os-release(5).

use anyhow::{Result, bail};
use definitions::Distro;

use super::super::tree::RootTree;

/// The largest such file.
const MAX_TEXT: u64 = 1 << 20;

/// What says which distribution a tree has: os-release(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OsRelease {
    id: String,
    version: String,
}

impl OsRelease {
    /// Reads it, if the tree has one.
    pub(super) fn of(tree: &RootTree) -> Option<Self> {
        let places = ["etc/os-release", "usr/lib/os-release"];
        let text = places.iter().find_map(|place| tree.text(place, MAX_TEXT))?;
        let field = |name: &str| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned())
        };
        Some(Self {
            id: field("ID")?,
            version: field("VERSION_ID").unwrap_or_default(),
        })
    }

    /// Whether its packages are those of a release.
    fn fits(&self, distro: &Distro) -> bool {
        // What copycds names, and what the distribution calls itself.
        let families: &[&str] = match self.id.as_str() {
            "rhel" => &["rhels", "rhel"],
            "almalinux" => &["alma", "almalinux"],
            "centos" => &["centos", "centos-stream"],
            "ol" => &["ol", "oraclelinux"],
            "sles" => &["sle", "sles"],
            "opensuse-leap" => &["leap", "opensuse", "opensuse-leap"],
            other => &[other],
        };
        let major = self.version.split('.').next().unwrap_or_default();
        // A testing release says no version.
        families.contains(&distro.family())
            && (major.is_empty() || !numeric(distro.major()) || major == distro.major())
    }
}

fn numeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Refuses an image whose packages are not those of the osimage's release.
///
/// # Errors
/// Which both are.
pub(in crate::rootimg) fn check_release(tree: &RootTree, distro: &Distro) -> Result<()> {
    match OsRelease::of(tree) {
        None => bail!(
            "the container image does not say which distribution it is: it has no /etc/os-release, and no package of \
             {distro} could be installed into it"
        ),
        Some(release) if release.fits(distro) => Ok(()),
        Some(OsRelease { id, version }) => bail!(
            "the container image is {} {}, and the osimage's packages are those of {distro}: take an image of that \
             release, or an osimage of this one",
            id.escape_debug(),
            version.escape_debug()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::tests::tree;
    use super::*;

    #[test]
    fn an_image_of_another_release_is_refused() {
        for (release, distro, expected) in [
            ("ID=debian\nVERSION_ID=\"12\"\n", "debian12.9.0", Ok(())),
            ("ID=debian\n", "debiantesting", Ok(())),
            ("ID=\"rocky\"\nVERSION_ID=\"9.4\"\n", "rocky9.6", Ok(())),
            ("ID=\"almalinux\"\nVERSION_ID=\"9.4\"\n", "alma9.4", Ok(())),
            (
                "ID=debian\nVERSION_ID=\"12\"\n",
                "debian13.1.0",
                Err(
                    "the container image is debian 12, and the osimage's packages are those of debian13.1.0: take an image \
                     of that release, or an osimage of this one",
                ),
            ),
            (
                "ID=alpine\nVERSION_ID=3.20\n",
                "debian13.1.0",
                Err(
                    "the container image is alpine 3.20, and the osimage's packages are those of debian13.1.0: take an \
                     image of that release, or an osimage of this one",
                ),
            ),
            (
                "",
                "debian13.1.0",
                Err(
                    "the container image does not say which distribution it is: it has no /etc/os-release, and no package \
                     of debian13.1.0 could be installed into it",
                ),
            ),
        ] {
            let tree = tree(&[("etc/os-release", release)], &[]);
            let checked = check_release(&tree, &distro.parse().unwrap());
            assert_eq!(
                checked.map_err(|error| error.to_string()),
                expected.map_err(str::to_owned),
                "{release}"
            );
        }
    }
}
