//! What follows the installer's initrd of one node: its installer file, its list of scripts and the site's root.
//!
//! A node's assets come in, the archive goes out, packed: the kernel takes a packed archive wherever the one before it
//! ends, and a plain one at a multiple of four bytes alone, which not every boot loader pads to. Nothing is read or written
//! here.

use anyhow::{Result, anyhow};
use definitions::Runlist;

use crate::assets::Assets;
use crate::boot_archive::BootArchive;
use crate::installer::InstallerKind;
use crate::repository::key;

/// The directory of an archive for what no installer knows.
const DIRECTORY: &str = "slipway";

/// Where an installer finds the keys by which it verifies what it installs from, if it looks for them anywhere:
/// debian-installer for its own parts and the base system (net-retriever, bootstrap-base); YaST takes every `/*.gpg` for a key
/// that is trusted (`ImportGPGKeys` of yast-packager).
fn keyring(installer: InstallerKind) -> Option<&'static str> {
    match installer {
        InstallerKind::Preseed => Some("usr/share/keyrings/archive.gpg"),
        InstallerKind::Autoyast => Some("slipway-trees.gpg"),
        InstallerKind::Autoinstall
        | InstallerKind::Kickstart
        | InstallerKind::Agama
        | InstallerKind::Netboot => None,
    }
}

/// What the archive of a node is made from, beside its assets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeArchive<'a> {
    pub(crate) installer: InstallerKind,
    /// The certificate of the site's root, PEM, where the site has one.
    pub(crate) root: Option<&'a str>,
    /// The armoured key that signs what is installed from, where it is not the distribution's.
    pub(crate) key: Option<&'a str>,
}

impl NodeArchive<'_> {
    /// The archive's name among a node's assets.
    pub(crate) const FILE: &'static str = "boot.cpio.gz";
    /// That of a node that boots a root image.
    pub(crate) const OF_ROOT_IMAGE: &'static str = "boot.cpio";

    /// What a node boots of its own: its script, and its archive of either name.
    pub(crate) const BOOTED: [&'static str; 3] = ["boot.ipxe", Self::FILE, Self::OF_ROOT_IMAGE];

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
        if let (Some(keyring), Some(key)) = (keyring(self.installer), self.key) {
            let keys = key::binary(key).map_err(|why| anyhow!("the key of its tree {why}"))?;
            archive.file(keyring, 0o644, keys)?;
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
            key: None,
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
    fn an_archive_has_the_keys_by_which_installers_verify_the_tree() {
        const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQABAQ==\n-----END PGP PUBLIC KEY BLOCK-----\n";
        let archive = |installer, key| NodeArchive {
            installer,
            root: None,
            key,
        };
        let plain = |archive: NodeArchive<'_>, main: &str| {
            let mut assets = Assets::default();
            assets.add(main, "x");
            archive.add(&mut assets)?;
            anyhow::Ok(assets.file(NodeArchive::FILE).unwrap().to_vec())
        };
        let holds = |plain: &[u8], name: &str| {
            let mut parts = plain.windows(name.len());
            parts.any(|part| part == name.as_bytes())
        };
        for (installer, main, keyring) in [
            (
                InstallerKind::Preseed,
                "preseed.cfg",
                "usr/share/keyrings/archive.gpg",
            ),
            (InstallerKind::Autoyast, "autoinst.xml", "slipway-trees.gpg"),
        ] {
            let keys = plain(archive(installer, Some(KEY)), main).unwrap();
            assert!(holds(&keys, keyring));
            assert!(keys.windows(4).any(|part| part == [0x99, 0, 1, 1]));
        }
        for other in [
            plain(archive(InstallerKind::Preseed, None), "preseed.cfg").unwrap(),
            plain(archive(InstallerKind::Kickstart, Some(KEY)), "ks.cfg").unwrap(),
        ] {
            assert!(!holds(&other, ".gpg"));
        }
        let error = plain(
            archive(InstallerKind::Preseed, Some("no key")),
            "preseed.cfg",
        );
        assert_eq!(
            format!("{:#}", error.unwrap_err()),
            "the key of its tree is not an OpenPGP public key"
        );
    }

    #[test]
    fn an_archive_is_kept_as_what_it_holds() {
        let group = nix::unistd::getegid();
        let mut assets = assets();
        assets.restrict("preseed.cfg", group);
        let archive = NodeArchive {
            installer: InstallerKind::Preseed,
            root: None,
            key: None,
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
            key: None,
        };
        archive.add(&mut assets).unwrap();
        assert_eq!(assets.file(NodeArchive::FILE), None);
    }
}
