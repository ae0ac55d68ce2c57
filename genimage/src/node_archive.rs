//! What follows the installer's initrd of one node: its installer file, its list of scripts and the site's root.
//!
//! A node's assets come in, the archive goes out, packed: the kernel takes a packed archive wherever the one before it
//! ends, and a plain one at a multiple of four bytes alone, which not every boot loader pads to. Nothing is read or written
//! here.

use anyhow::Result;
use definitions::Runlist;

use crate::assets::Assets;
use crate::boot_archive::BootArchive;
use crate::installer::InstallerKind;

/// The directory of an archive for what no installer knows.
const DIRECTORY: &str = "slipway";

/// What the archive of a node is made from, beside its assets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeArchive<'a> {
    pub(crate) installer: InstallerKind,
    /// The certificate of the site's root, PEM, where the site has one.
    pub(crate) root: Option<&'a str>,
}

impl NodeArchive<'_> {
    /// The archive's name among a node's assets.
    pub(crate) const FILE: &'static str = "boot.cpio.gz";
    /// That of a node that boots a root image.
    pub(crate) const OF_ROOT_IMAGE: &'static str = "boot.cpio";

    /// Returns the name of the archive that a node of an installer is given, if it is given one.
    pub(crate) fn name(installer: InstallerKind) -> Option<&'static str> {
        match installer {
            InstallerKind::Netboot => Some(Self::OF_ROOT_IMAGE),
            other => other.archive_path().map(|_| Self::FILE),
        }
    }

    /// Adds the archive to the assets that it is made from, for the group that what it holds is kept for.
    ///
    /// # Errors
    /// When it cannot be packed.
    pub(crate) fn add(self, assets: &mut Assets) -> Result<()> {
        let Some(path) = self.installer.archive_path() else {
            return Ok(());
        };
        let main = self.installer.files()[0].name;
        let mut archive = BootArchive::new();
        archive.directory(DIRECTORY, 0o700)?;
        archive.file(path, 0o600, assets.file(main).unwrap_or_default())?;
        if let Some(list) = assets.file(Runlist::FILE) {
            archive.file(&format!("{DIRECTORY}/{}", Runlist::FILE), 0o600, list)?;
        }
        if let Some(root) = self.root {
            archive.file(&format!("{DIRECTORY}/root.crt"), 0o644, root)?;
        }
        let group = assets.group(main);
        assets.add_packed(Self::FILE, archive.render());
        if let Some(group) = group {
            assets.restrict(Self::FILE, group);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assets() -> Assets {
        let mut assets = Assets::default();
        assets.add("preseed.cfg", "d-i a b\n");
        assets.add(Runlist::FILE, "{}\n");
        assets
    }

    #[test]
    fn an_archive_has_the_installer_s_file_where_it_is_looked_for() {
        let archive = NodeArchive {
            installer: InstallerKind::Preseed,
            root: Some("root\n"),
        };
        let (mut one, mut other) = (assets(), assets());
        archive.add(&mut one).unwrap();
        archive.add(&mut other).unwrap();
        assert_eq!(one, other);
        let mut expected = BootArchive::new();
        expected.directory("slipway", 0o700).unwrap();
        expected.file("preseed.cfg", 0o600, "d-i a b\n").unwrap();
        expected
            .file("slipway/postscripts.json", 0o600, "{}\n")
            .unwrap();
        expected.file("slipway/root.crt", 0o644, "root\n").unwrap();
        let expected = expected.render();
        assert_eq!(one.file(NodeArchive::FILE), Some(expected.as_slice()));
    }

    #[test]
    fn an_archive_is_kept_as_what_it_holds() {
        let group = nix::unistd::getegid();
        let mut assets = assets();
        assets.restrict("preseed.cfg", group);
        let archive = NodeArchive {
            installer: InstallerKind::Preseed,
            root: None,
        };
        archive.add(&mut assets).unwrap();
        assert_eq!(assets.group(NodeArchive::FILE), Some(group));
    }

    #[test]
    fn an_installer_that_has_left_its_initrd_gets_none() {
        let mut assets = assets();
        let archive = NodeArchive {
            installer: InstallerKind::Autoinstall,
            root: None,
        };
        archive.add(&mut assets).unwrap();
        assert_eq!(assets.file(NodeArchive::FILE), None);
    }
}
