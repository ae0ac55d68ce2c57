//! The disk of an installed machine, as `tests/machines/disk` built it.

use std::path::PathBuf;

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
        let entries = workspace().join("target/machines").read_dir().ok()?;
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                let of = name.and_then(|name| Some(name.rsplit_once('-')?.0));
                of == Some(suite.as_str()) && path.join("disk.raw").is_file()
            })
            .map(|dir| Self { dir })
    }

    /// Returns the key that lets root in.
    pub fn key(&self) -> PathBuf {
        self.dir.join("key")
    }
}
