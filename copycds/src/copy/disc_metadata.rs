//! Files that describe their disc rather than the release: they differ on every disc of a set.
//!
//! A path comes in, and an answer by its names goes out. Nothing is read.

use crate::media::MediumPath;

/// Names, in lower case, of files that describe their disc: what is on it, how it boots, what it is
/// called. The place of `isolinux.bin` on its disc is written into it.
const DISC_METADATA: &[&str] = &[
    ".discinfo",
    ".treeinfo",
    "archives.gz",
    "autorun.inf",
    "boot.cat",
    "boot.catalog",
    "checksums",
    "checksums.asc",
    "content",
    "content.asc",
    "directory.yast",
    "efi.img",
    "efiboot.img",
    "index.gz",
    "isolinux.bin",
    "ls-lr.gz",
    "md5sum.txt",
    "media.repo",
    "readme",
    "readme.diskdefines",
    "readme.html",
    "readme.txt",
    "sha256sums",
    "sha256sums.gpg",
    "trans.tbl",
    "treeinfo",
];

/// Directories that describe their disc: Debian's `.disk`, and package indexes, which list what one
/// disc holds and are signed as a whole.
const DISC_METADATA_DIRS: &[&[u8]] = &[b".disk", b"dists", b"repodata"];

/// Returns whether a file describes the disc it is on rather than belonging to the release, by its name.
pub fn is_disc_metadata(path: &MediumPath) -> bool {
    let mut parts = path.as_bytes().rsplit(|&byte| byte == b'/');
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    DISC_METADATA
        .iter()
        .any(|metadata| metadata.as_bytes() == name)
        || parts.any(|dir| DISC_METADATA_DIRS.contains(&dir))
}
