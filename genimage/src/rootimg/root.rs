//! An unpacked root image: `root.json` and the sorted tar from which every form is packed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use definitions::{hex, sync_directory, write_atomic};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::record::{FileRecord, RootImageDir, read_record};

/// The name of the record.
pub(super) const RECORD: &str = "root.json";

/// What was built, of what, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RootRecord {
    pub(super) osimage: String,
    /// The digest of all parts.
    pub(super) built_from: String,
    /// Everything that decides what is in it, with its digest.
    pub(super) parts: BTreeMap<String, String>,
    /// The packages in it, with their versions.
    pub(super) packages: BTreeMap<String, String>,
    pub(super) tar: FileRecord,
    pub(super) manifest: FileRecord,
    pub(super) kernel: FileRecord,
    pub(super) kernel_version: String,
    /// What of the kernel's configuration decides which images it reads; absent where the root has no configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kernel_options: Option<BTreeSet<String>>,
    pub(super) unpacked_bytes: u64,
    /// The newest time that a file has, in seconds.
    pub(super) epoch: u64,
}

impl RootRecord {
    fn files(&self) -> [&FileRecord; 3] {
        [&self.tar, &self.manifest, &self.kernel]
    }

    /// Reads the record; `None` when nothing was built yet.
    ///
    /// # Errors
    /// When it cannot be read, or what it names is not there.
    pub(super) fn load(directory: &RootImageDir) -> Result<Option<Self>> {
        let path = directory.path().join(RECORD);
        let Some(text) = read_record(&path, "genimage --rebuild")? else {
            return Ok(None);
        };
        let record: Self = serde_json::from_str(&text).with_context(|| {
            format!(
                "reading {}: genimage --rebuild writes a new one",
                path.display()
            )
        })?;
        directory.check(&path, record.files(), "genimage --rebuild")?;
        Ok(Some(record))
    }

    /// Publishes the record, whose files are there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self, directory: &RootImageDir) -> Result<()> {
        let path = directory.path().join(RECORD);
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_atomic(&path, text.as_bytes(), 0o644)
            .with_context(|| format!("writing {}", path.display()))
    }
}

/// A file that is hashed while it is written, and named by its digest.
#[derive(Debug)]
pub(super) struct DigestNamedFile {
    staged: tempfile::NamedTempFile,
    hasher: Sha256,
    bytes: u64,
}

impl DigestNamedFile {
    /// Begins a file in a staging directory.
    ///
    /// # Errors
    /// When there can be none.
    pub(super) fn create(staging: &Path) -> Result<Self> {
        let staged = tempfile::Builder::new()
            .prefix("part-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(staging)
            .with_context(|| format!("making a file in {}", staging.display()))?;
        staged
            .as_file()
            .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        Ok(Self {
            staged,
            hasher: Sha256::new(),
            bytes: 0,
        })
    }

    /// Publishes it in a directory under its stem, its digest and its ending.
    ///
    /// # Errors
    /// When it cannot be flushed or renamed.
    pub(super) fn publish(
        self,
        directory: &Path,
        stem: &str,
        ending: Option<&str>,
    ) -> Result<FileRecord> {
        let record = FileRecord::new(stem, ending, hex(&self.hasher.finalize()), self.bytes);
        let path = directory.join(&record.file);
        let publishing = || format!("publishing {}", path.display());
        self.staged.as_file().sync_all().with_context(publishing)?;
        self.staged.persist(&path).with_context(publishing)?;
        sync_directory(directory).with_context(publishing)?;
        Ok(record)
    }
}

impl Write for DigestNamedFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.staged.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.flush()
    }
}

/// Writes and publishes a file at once.
///
/// # Errors
/// When it cannot be written.
pub(super) fn publish_bytes(
    staging: &Path,
    directory: &Path,
    (stem, ending): (&str, Option<&str>),
    source: &mut dyn io::Read,
) -> Result<FileRecord> {
    let mut file = BufWriter::with_capacity(1 << 16, DigestNamedFile::create(staging)?);
    io::copy(source, &mut file).with_context(|| format!("writing {stem}"))?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.publish(directory, stem, ending)
}

/// Removes what an earlier run that was killed has left.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove_leftovers(directory: &Path, prefix: &str) -> Result<()> {
    for entry in
        fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?
    {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let path = entry.path();
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Opens a file to be read at any place.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn open(path: &Path) -> Result<std::sync::Arc<File>> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    Ok(std::sync::Arc::new(file))
}
