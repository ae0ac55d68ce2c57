//! A tree as one sorted archive, with the digest of each file.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::{Context, Result};
use definitions::hex;
use sha2::{Digest, Sha256};
use tar::Builder;

use super::content::{ContentReader, HashingReader};
use super::header::Record;
use super::{Kind, RootTree, shown};

/// What was written of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rootimg) struct WrittenTree {
    /// The bytes of all files, each once.
    pub(in crate::rootimg) unpacked: u64,
    /// The SHA-256 of every file, as sha256sum(1) prints them.
    pub(in crate::rootimg) manifest: String,
}

impl RootTree {
    /// Writes the tree as one sorted archive, the same bytes for the same tree.
    ///
    /// # Errors
    /// When it cannot be written, or a content is cut short.
    pub(in crate::rootimg) fn write(&self, out: impl Write) -> Result<WrittenTree> {
        let mut builder = Builder::new(out);
        let mut first: BTreeMap<usize, &[u8]> = BTreeMap::new();
        let mut written = WrittenTree {
            unpacked: 0,
            manifest: String::new(),
        };
        for (path, entry) in self.entries() {
            let mut record = Record::new(path, entry);
            let Kind::File(number) = entry.kind else {
                record.finish(&mut builder, io::empty())?;
                continue;
            };
            if let Some(target) = first.get(&number) {
                record.hard_link(target);
                record.finish(&mut builder, io::empty())?;
                continue;
            }
            first.insert(number, path);
            let content = self.contents.get(number).context("finding a content")?;
            record.header.set_size(content.size());
            let mut reader = HashingReader {
                inner: ContentReader { content, at: 0 },
                hasher: Sha256::new(),
            };
            record
                .finish(&mut builder, &mut reader)
                .with_context(|| format!("writing '{}'", shown(path)))?;
            written.unpacked += content.size();
            manifest_line(&mut written.manifest, &reader.hasher.finalize(), path);
        }
        builder.finish().context("ending an archive")?;
        Ok(written)
    }
}

/// Adds a line as sha256sum(1) does: a name with a newline or a backslash is escaped, and the line says so.
pub(super) fn manifest_line(manifest: &mut String, digest: &[u8], path: &[u8]) {
    let name = String::from_utf8_lossy(path);
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n");
    if escaped != name {
        manifest.push('\\');
    }
    manifest.push_str(&format!("{}  {escaped}\n", hex(digest)));
}
