//! An archive that the kernel unpacks beside an initrd: cpio's form "newc", the same bytes for the same entries.
//!
//! Entries come in by path, mode and content; bytes go out: sorted by path, each parent before what is in it, all
//! owned by root, without a time. A path that leads out of the archive, is there twice, or is below something that is no
//! directory is refused when it is added. Nothing is read or written here. The kernel unpacks several archives one
//! after another (<https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>), and what a later one has takes
//! the place of what an earlier one had: keep to directories of one's own where the initrd is not ours.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Result, bail};

/// What a header begins with: newc, without a checksum.
const MAGIC: &str = "070701";

/// The name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// What an archive is padded to, as cpio(1) does.
const BLOCK: usize = 512;

/// The longest path that the kernel takes (`PATH_MAX`, its end included).
const MAX_PATH: usize = 4095;

/// The most that one entry holds: its size is written in eight hexadecimal digits.
const MAX_FILE: u64 = u32::MAX as u64;

/// The mode of a directory that was not added by itself.
const PARENT_MODE: u32 = 0o755;

/// What an entry is, with what it holds.
#[derive(Clone, PartialEq, Eq)]
enum Content {
    Directory,
    File(Vec<u8>),
    Link(String),
    CharacterDevice { major: u32, minor: u32 },
}

impl Content {
    /// The kind in the mode of an entry (inode(7)).
    fn kind(&self) -> u32 {
        match self {
            Self::Directory => 0o040_000,
            Self::File(_) => 0o100_000,
            Self::Link(_) => 0o120_000,
            Self::CharacterDevice { .. } => 0o020_000,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::File(bytes) => bytes,
            Self::Link(target) => target.as_bytes(),
            Self::Directory | Self::CharacterDevice { .. } => &[],
        }
    }

    fn device(&self) -> (u32, u32) {
        match self {
            Self::CharacterDevice { major, minor } => (*major, *minor),
            _ => (0, 0),
        }
    }
}

/// Shows sizes and not contents, which may be secret.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("Directory"),
            Self::File(bytes) => write!(f, "File({} bytes)", bytes.len()),
            Self::Link(target) => write!(f, "Link({target:?})"),
            Self::CharacterDevice { major, minor } => {
                write!(f, "CharacterDevice({major}:{minor})")
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    permissions: u32,
    content: Content,
    /// Whether it is there for what is in it alone.
    is_implied: bool,
}

/// The entries of an archive, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootArchive {
    entries: BTreeMap<String, Entry>,
}

impl BootArchive {
    /// Begins an archive without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory; those above it are there with mode 0755 unless they are added too.
    ///
    /// # Errors
    /// A path or mode that no entry may have, or that another entry has.
    pub fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        self.add(path, mode, Content::Directory)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// A path or mode that no entry may have, or that another entry has; a file that is too large.
    pub fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let bytes = bytes.into();
        if bytes.len() as u64 > MAX_FILE {
            bail!(
                "'{path}' is larger than the {MAX_FILE} bytes that an archive for the kernel can hold"
            );
        }
        self.add(path, mode, Content::File(bytes))
    }

    /// Adds a symbolic link; where it leads is not looked at.
    ///
    /// # Errors
    /// A path that no entry may have, or that another entry has; a target that no link may have.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        if target.is_empty() || target.len() > MAX_PATH || target.contains('\0') {
            bail!("'{path}' cannot be a link to '{}'", target.escape_debug());
        }
        self.add(path, 0o777, Content::Link(target.to_owned()))
    }

    /// Adds a character device, such as `dev/console`.
    ///
    /// # Errors
    /// A path or mode that no entry may have, or that another entry has.
    pub fn character_device(
        &mut self,
        path: &str,
        mode: u32,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        self.add(path, mode, Content::CharacterDevice { major, minor })
    }

    fn add(&mut self, path: &str, permissions: u32, content: Content) -> Result<()> {
        check_path(path)?;
        if permissions & !0o7777 != 0 {
            bail!("'{path}' cannot have the mode {permissions:o}: a mode has at most 7777");
        }
        let is_directory = content == Content::Directory;
        let taken = self.entries.get(path);
        if taken.is_some_and(|entry| !(entry.is_implied && is_directory)) {
            bail!("'{path}' is in the archive already");
        }
        let parents = || path.match_indices('/').map(|(at, _)| &path[..at]);
        for parent in parents() {
            let entry = self.entries.get(parent);
            if entry.is_some_and(|entry| entry.content != Content::Directory) {
                bail!("'{path}' cannot be in the archive: '{parent}' is no directory");
            }
        }
        for parent in parents() {
            let implied = || Entry {
                permissions: PARENT_MODE,
                content: Content::Directory,
                is_implied: true,
            };
            self.entries
                .entry(parent.to_owned())
                .or_insert_with(implied);
        }
        let entry = Entry {
            permissions,
            content,
            is_implied: false,
        };
        self.entries.insert(path.to_owned(), entry);
        Ok(())
    }

    /// Renders the archive: the same bytes for the same entries, in whichever order they were added.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let held =
            |(path, entry): (&String, &Entry)| 2 * BLOCK + path.len() + entry.content.bytes().len();
        let mut archive = Vec::with_capacity(self.entries.iter().map(held).sum::<usize>() + BLOCK);
        // a parent's path is shorter than that of what is in it, and so sorts before it
        for (inode, (path, entry)) in (1..).zip(&self.entries) {
            append(&mut archive, inode, path, entry);
        }
        let trailer = Entry {
            permissions: 0,
            content: Content::File(Vec::new()),
            is_implied: false,
        };
        append(&mut archive, 0, TRAILER, &trailer);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
        archive
    }
}

/// Refuses a path that an unpacker could take for another place.
fn check_path(path: &str) -> Result<()> {
    let reason = if path.is_empty() {
        "it is empty"
    } else if path.len() > MAX_PATH {
        "it is longer than the 4095 bytes that the kernel takes"
    } else if path.chars().any(char::is_control) {
        "it has a control character"
    } else if path == TRAILER {
        "this name ends an archive"
    } else if path.starts_with('/') {
        "it begins with '/': name it from the root, without one"
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "a part of it is empty, '.' or '..'"
    } else {
        return Ok(());
    };
    bail!(
        "'{}' is no path of an archive: {reason}",
        path.escape_debug()
    );
}

/// Appends a header, a path and what the entry holds, each padded to four bytes.
fn append(archive: &mut Vec<u8>, inode: u32, path: &str, entry: &Entry) {
    let content = &entry.content;
    let is_trailer = inode == 0;
    let mode = if is_trailer {
        0
    } else {
        content.kind() | entry.permissions
    };
    let links = if *content == Content::Directory { 2 } else { 1 };
    let (major, minor) = content.device();
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX); // both are bounded when they are added
    let fields = [
        inode,
        mode,
        0, // the owner
        0, // the group
        links,
        0, // the time
        length(content.bytes().len()),
        0, // where the archive was made
        0,
        major,
        minor,
        length(path.len() + 1),
        0, // the checksum, which this form has not
    ];
    archive.extend_from_slice(MAGIC.as_bytes());
    for field in fields {
        archive.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    archive.extend_from_slice(path.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(content.bytes());
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_sorted_and_parents_come_first_whatever_the_order_of_adding() {
        let mut one = BootArchive::new();
        one.file("slipway/lib/b", 0o644, "b").unwrap();
        one.file("preseed.cfg", 0o600, "p").unwrap();
        one.directory("slipway", 0o700).unwrap();
        let mut other = BootArchive::new();
        other.directory("slipway", 0o700).unwrap();
        other.file("preseed.cfg", 0o600, "p").unwrap();
        other.file("slipway/lib/b", 0o644, "b").unwrap();
        assert_eq!(one.render(), other.render());
        let paths: Vec<_> = one
            .entries
            .iter()
            .map(|(path, entry)| (path.as_str(), entry.permissions))
            .collect();
        assert_eq!(
            paths,
            [
                ("preseed.cfg", 0o600),
                ("slipway", 0o700),
                ("slipway/lib", 0o755),
                ("slipway/lib/b", 0o644)
            ]
        );
    }

    #[test]
    fn an_archive_is_the_bytes_that_the_kernel_documents() {
        let mut archive = BootArchive::new();
        archive.file("a", 0o644, "hello").unwrap();
        archive.character_device("c", 0o600, 5, 1).unwrap();
        let zeros = |count| "0".repeat(count);
        let header = |inode: &str, mode: &str, size: &str, device: &str, length: &str| {
            format!(
                "070701{inode}{mode}{}00000001{}{size}{}{device}{length}{}",
                zeros(16),
                zeros(8),
                zeros(16),
                zeros(8)
            )
        };
        let mut expected = String::new();
        expected += &header("00000001", "000081A4", "00000005", &zeros(16), "00000002");
        expected += "a\0hello\0\0\0";
        expected += &header(
            "00000002",
            "00002180",
            &zeros(8),
            "0000000500000001",
            "00000002",
        );
        expected += "c\0";
        expected += &header(&zeros(8), &zeros(8), &zeros(8), &zeros(16), "0000000B");
        expected += "TRAILER!!!\0\0\0\0";
        let rendered = String::from_utf8(archive.render()).unwrap();
        assert_eq!(
            rendered.trim_end_matches('\0'),
            expected.trim_end_matches('\0')
        );
        assert_eq!(rendered.len(), 512);
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        let long = "a".repeat(4096);
        for (path, reason) in [
            ("", "it is empty"),
            (
                "/etc/passwd",
                "it begins with '/': name it from the root, without one",
            ),
            ("etc/../passwd", "a part of it is empty, '.' or '..'"),
            ("./a", "a part of it is empty, '.' or '..'"),
            ("a//b", "a part of it is empty, '.' or '..'"),
            ("a/", "a part of it is empty, '.' or '..'"),
            ("a\nb", "it has a control character"),
            ("a\0b", "it has a control character"),
            ("TRAILER!!!", "this name ends an archive"),
            (
                &long,
                "it is longer than the 4095 bytes that the kernel takes",
            ),
        ] {
            let mut archive = BootArchive::new();
            assert_eq!(
                archive.file(path, 0o644, "").unwrap_err().to_string(),
                format!(
                    "'{}' is no path of an archive: {reason}",
                    path.escape_debug()
                )
            );
            assert_eq!(archive, BootArchive::new());
        }
    }

    #[test]
    fn nothing_takes_the_place_of_another_entry() {
        let mut archive = BootArchive::new();
        archive.file("etc/a", 0o644, "1").unwrap();
        archive.link("lib", "usr/lib").unwrap();
        let before = archive.clone();
        let refused = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(
            refused(archive.file("etc/a", 0o644, "2")),
            "'etc/a' is in the archive already"
        );
        assert_eq!(
            refused(archive.file("etc", 0o644, "2")),
            "'etc' is in the archive already"
        );
        assert_eq!(
            refused(archive.file("lib/modules/a", 0o644, "")),
            "'lib/modules/a' cannot be in the archive: 'lib' is no directory"
        );
        assert_eq!(
            refused(archive.directory("b", 0o100_755)),
            "'b' cannot have the mode 100755: a mode has at most 7777"
        );
        assert_eq!(refused(archive.link("c", "")), "'c' cannot be a link to ''");
        assert_eq!(archive, before);
        archive.directory("etc", 0o711).unwrap();
        assert_eq!(
            refused(archive.directory("etc", 0o711)),
            "'etc' is in the archive already"
        );
    }

    #[test]
    fn what_is_shown_of_an_archive_has_no_content() {
        let mut archive = BootArchive::new();
        archive.file("token", 0o600, "secret").unwrap();
        let shown = format!("{archive:?}");
        assert!(
            shown.contains("File(6 bytes)") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
