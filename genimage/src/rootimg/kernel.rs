//! The kernel of a root: the one that has modules.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::decoders;
use super::tree::RootTree;

/// The largest configuration of a kernel, in bytes.
const MAX_CONFIG: u64 = 4 << 20;

/// The kernel of a root.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) version: String,
    pub(super) path: Vec<u8>,
}

impl Kernel {
    /// Finds the kernels that have modules, by their releases.
    pub(super) fn all(tree: &RootTree) -> BTreeMap<String, Vec<u8>> {
        let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for modules in ["usr/lib/modules", "lib/modules"] {
            for name in tree.names(modules.as_bytes()) {
                let Ok(version) = std::str::from_utf8(name) else {
                    continue;
                };
                let places = [
                    format!("boot/vmlinuz-{version}"),
                    format!("boot/vmlinux-{version}"),
                    format!("boot/Image-{version}"),
                    format!("{modules}/{version}/vmlinuz"),
                ];
                let path = places
                    .iter()
                    .find(|path| tree.open(path.as_bytes()).is_some());
                if let Some(path) = path {
                    found.insert(version.to_owned(), path.clone().into_bytes());
                }
            }
        }
        found
    }

    /// Finds the one kernel that has modules, or the one that is named.
    ///
    /// # Errors
    /// When there is none, or several that could be meant.
    pub(super) fn find(tree: &RootTree, wanted: Option<&str>) -> Result<Self> {
        let mut found = Self::all(tree);
        let all = || found.keys().cloned().collect::<Vec<_>>().join(", ");
        let version = match (wanted, found.len()) {
            (Some(wanted), _) if found.contains_key(wanted) => wanted.to_owned(),
            (Some(wanted), 0) => bail!("the image has no kernel, and kernelver asks for {wanted}"),
            (Some(wanted), _) => bail!(
                "the image has no kernel {wanted}, which kernelver asks for: it has {}",
                all()
            ),
            (None, 0) => bail!(
                "the image has no kernel with its modules: name its package in pkglist, such as linux-image-amd64 or \
                 kernel"
            ),
            (None, 1) => all(),
            (None, _) => bail!(
                "the image has several kernels ({}): name one as kernelver",
                all()
            ),
        };
        let path = found.remove(&version).context("finding the kernel")?;
        Ok(Self { version, path })
    }

    /// Returns which options of its configuration decide what images it reads; `None` where the root does not have it.
    pub(super) fn options(&self, tree: &RootTree) -> Option<BTreeSet<String>> {
        let version = &self.version;
        let places = [
            format!("boot/config-{version}"),
            format!("usr/lib/modules/{version}/config"),
            format!("lib/modules/{version}/config"),
        ];
        let config = places.iter().find_map(|path| tree.text(path, MAX_CONFIG));
        Some(decoders::options_of(&config?))
    }
}
