//! The disk of an installed machine, as `tests/machines/disk` built it, and the root image of one without, of
//! `tests/machines/rootimg`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::bin::workspace;

/// The disk of an installed machine, and what boots it.
#[derive(Debug, Clone)]
pub struct Disk {
    pub(crate) dir: PathBuf,
}

impl Disk {
    /// Finds the disk that `tests/machines/disk` built, if it did: of the suite that `MACHINE_SUITE` names,
    /// else of the one that it builds unasked.
    pub fn find() -> Option<Self> {
        let suite = std::env::var("MACHINE_SUITE").unwrap_or_else(|_| "trixie".to_owned());
        built(&suite, "disk.raw").map(|dir| Self { dir })
    }

    /// Returns the key that lets root in.
    pub fn key(&self) -> PathBuf {
        self.dir.join("key")
    }

    /// Returns its kernel.
    pub fn kernel(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }
}

/// The root image of a machine without a disk, and the site that it is of.
#[derive(Debug, Clone)]
pub struct RootImage {
    dir: PathBuf,
}

impl RootImage {
    /// Finds what `tests/machines/rootimg` built, if it did.
    pub fn find() -> Option<Self> {
        // The one that is built last.
        let record = "install/netboot/debian13/x86_64/contained/root.json";
        built("rootimg-trixie", record).map(|dir| Self { dir })
    }

    /// Returns a path of the site's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Finds its kernel, once packimage published one; qemu boots it to find out how it runs machines here.
    ///
    /// # Errors
    /// When there is none.
    pub fn kernel(&self) -> Result<PathBuf> {
        let directory = self.path("install/netboot/debian13/x86_64/dockerhost");
        for entry in directory.read_dir()? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("kernel.") {
                return Ok(entry.path());
            }
        }
        bail!("no kernel in {}", directory.display())
    }

    /// Returns the key that lets root in.
    pub fn key(&self) -> PathBuf {
        self.path("key")
    }

    /// Puts the programs for hosts where nodes and packimage find them.
    ///
    /// # Errors
    /// When they cannot be read, or not be written there.
    pub fn serve_programs(&self) -> Result<()> {
        let served = self.path("install/postscripts");
        fs::create_dir_all(&served)?;
        for entry in fs::read_dir(workspace().join("target/postscripts"))? {
            let entry = entry?;
            fs::copy(entry.path(), served.join(entry.file_name()))?;
        }
        Ok(())
    }
}

/// Finds the directory below `target/machines` that is named after this and a key, once it holds a file.
fn built(name: &str, file: &str) -> Option<PathBuf> {
    let entries = workspace().join("target/machines").read_dir().ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let own = path.file_name().and_then(|own| own.to_str());
            let of = own.and_then(|own| Some(own.rsplit_once('-')?.0));
            of == Some(name) && path.join(file).is_file()
        })
}
