//! A root file system as the entries of archives: what is read from one is never unpacked.
//!
//! A tar comes in, of a package manager or of a layer of a container image; entries by path go out, sorted, with owners,
//! modes, extended attributes, devices and hard links as they are. Contents stay where they are, in the archive's file.
//! A path that leads out of the root is refused, a link in it is followed within the root alone, and whatever can grow has
//! a bound. The only file here that knows tar.
//!
//! Reference: pax(1), tar(5) of libarchive for `SCHILY.xattr`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use definitions::hex;
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

/// The most entries that a root has.
const MAX_COUNT: usize = 4_000_000;
/// The longest path, and the longest target of a link: `PATH_MAX`.
const MAX_PATH: usize = 4096;
/// The most bytes of extended attributes that an entry has.
const MAX_XATTRS: usize = 1 << 20;
/// How many links are followed on one path, as the kernel does: `MAXSYMLINKS`.
const MAX_LINKS: usize = 40;
/// What pax records of extended attributes begin with.
const XATTR: &str = "SCHILY.xattr.";

/// Who owns an entry, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The permissions, with the set-id bits.
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: u64,
    /// Extended attributes: `security.capability`.
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
}

impl Metadata {
    /// Of what root owns.
    pub(super) fn of_root(mode: u32, mtime: u64) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: BTreeMap::new(),
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// A file, by the number of its content: entries of one number are hard links of each other.
    File(usize),
    Link(Vec<u8>),
    Character(u32, u32),
    Block(u32, u32),
    Fifo,
}

/// An entry of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) metadata: Metadata,
    pub(super) kind: Kind,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
enum Content {
    Stored {
        archive: Arc<File>,
        offset: u64,
        size: u64,
    },
    Bytes(Vec<u8>),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::Stored { size, .. } => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

/// Reads a stored content.
struct ContentReader<'a> {
    content: &'a Content,
    at: u64,
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.content.size() - self.at;
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = match self.content {
            Content::Stored {
                archive, offset, ..
            } => archive.read_at(&mut buffer[..wanted], offset + self.at)?,
            Content::Bytes(bytes) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX);
                buffer[..wanted].copy_from_slice(&bytes[at..at + wanted]);
                wanted
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

/// A root file system: entries by path, without a `/` at either end. The root itself is the empty path.
#[derive(Debug, Default)]
pub(super) struct RootTree {
    entries: BTreeMap<Vec<u8>, Entry>,
    contents: Vec<Content>,
}

/// What was written of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WrittenTree {
    /// The bytes of all files, each once.
    pub(super) unpacked: u64,
    /// The SHA-256 of every file, as sha256sum(1) prints them.
    pub(super) manifest: String,
}

impl RootTree {
    /// Puts an archive over what is there.
    ///
    /// # Errors
    /// When it is damaged, leads out of the root, or grows without a bound.
    pub(super) fn read(&mut self, archive: &Arc<File>) -> Result<()> {
        let mut reader = Archive::new(io::BufReader::new(ReadAt {
            file: Arc::clone(archive),
            at: 0,
        }));
        for entry in reader.entries().context("reading an archive")? {
            let mut entry = entry.context("reading an archive")?;
            let path = entry.path_bytes().into_owned();
            self.add(archive, &path, &mut entry)
                .with_context(|| format!("reading '{}' of an archive", shown(&path)))?;
        }
        Ok(())
    }

    fn add<R: Read>(
        &mut self,
        archive: &Arc<File>,
        path: &[u8],
        entry: &mut tar::Entry<'_, R>,
    ) -> Result<()> {
        let path = self.resolve(path)?;
        ensure!(
            self.entries.len() < MAX_COUNT,
            "it has more than {MAX_COUNT} entries"
        );
        let kind = entry.header().entry_type();
        let target = entry.link_name_bytes().map(|name| name.into_owned());
        let metadata = metadata(entry)?;
        let header = entry.header();
        let device = || -> Result<(u32, u32)> {
            let major = header.device_major()?.context("a device has no number")?;
            let minor = header.device_minor()?.context("a device has no number")?;
            Ok((major, minor))
        };
        let kind = match kind {
            EntryType::Regular | EntryType::Continuous => {
                let end = entry.raw_file_position().checked_add(entry.size());
                let whole = archive.metadata()?.len();
                ensure!(
                    end.is_some_and(|end| end <= whole),
                    "the archive is cut short"
                );
                self.contents.push(Content::Stored {
                    archive: Arc::clone(archive),
                    offset: entry.raw_file_position(),
                    size: entry.size(),
                });
                Kind::File(self.contents.len() - 1)
            }
            EntryType::Link => {
                let target = self.resolve(&target.context("a hard link has no target")?)?;
                match self.entries.get(&target) {
                    Some(found) if found.kind != Kind::Directory => {
                        let found = found.clone();
                        self.insert(path, found);
                        return Ok(());
                    }
                    _ => bail!(
                        "it is a hard link to '{}', which is no file before it",
                        shown(&target)
                    ),
                }
            }
            EntryType::Symlink => {
                let target = target.context("a link has no target")?;
                ensure!(
                    !target.is_empty() && target.len() < MAX_PATH && !target.contains(&0),
                    "its target is not a path"
                );
                Kind::Link(target)
            }
            EntryType::Directory => Kind::Directory,
            EntryType::Char => device().map(|(major, minor)| Kind::Character(major, minor))?,
            EntryType::Block => device().map(|(major, minor)| Kind::Block(major, minor))?,
            EntryType::Fifo => Kind::Fifo,
            EntryType::XGlobalHeader => return Ok(()),
            other => bail!(
                "it is of a kind ('{}') that no root file system has",
                char::from(other.as_byte()).escape_debug()
            ),
        };
        self.insert(path, Entry { metadata, kind });
        Ok(())
    }

    /// Returns a path of an archive as a path of the root, links in its directories followed within it.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Vec<u8>> {
        ensure!(
            path.len() < MAX_PATH && !path.contains(&0),
            "it is not a path"
        );
        let mut todo: Vec<Vec<u8>> = parts(path).rev().map(<[u8]>::to_vec).collect();
        ensure!(
            !todo.iter().any(|part| part == b".."),
            "it leads out of its directory"
        );
        let mut done: Vec<Vec<u8>> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == b".." {
                done.pop(); // of a link: the root's parent is the root
                continue;
            }
            done.push(part);
            if todo.is_empty() {
                break; // what is at the path itself is replaced, be it a link
            }
            let here = done.join(&b'/');
            if let Some(Entry {
                kind: Kind::Link(target),
                ..
            }) = self.entries.get(&here)
            {
                links += 1;
                ensure!(links <= MAX_LINKS, "its directories are a loop of links");
                done.pop();
                if target.starts_with(b"/") {
                    done.clear();
                }
                todo.extend(parts(target).rev().map(<[u8]>::to_vec));
            }
        }
        Ok(done.join(&b'/'))
    }

    /// Puts an entry at a path, in place of what is there, with the directories above it.
    pub(super) fn insert(&mut self, path: Vec<u8>, entry: Entry) {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let above = &path[..at];
            let is_directory = self
                .entries
                .get(above)
                .is_some_and(|entry| entry.kind == Kind::Directory);
            if !is_directory {
                let metadata = Metadata::of_root(0o755, entry.metadata.mtime);
                let kind = Kind::Directory;
                self.entries
                    .insert(above.to_vec(), Entry { metadata, kind });
            }
        }
        if entry.kind != Kind::Directory {
            self.remove_below(&path);
        }
        self.entries.insert(path, entry);
    }

    /// Puts a file of bytes at a path.
    pub(super) fn insert_file(&mut self, path: &[u8], bytes: Vec<u8>, metadata: Metadata) {
        self.contents.push(Content::Bytes(bytes));
        let kind = Kind::File(self.contents.len() - 1);
        self.insert(path.to_vec(), Entry { metadata, kind });
    }

    /// Removes what is in a directory.
    pub(super) fn remove_below(&mut self, path: &[u8]) {
        let below = [path, b"/"].concat();
        let from = if path.is_empty() { &b"\0"[..] } else { &below };
        let names: Vec<_> = self
            .entries
            .range(from.to_vec()..)
            .map(|(name, _)| name)
            .take_while(|name| path.is_empty() || name.starts_with(&below))
            .cloned()
            .collect();
        for name in names {
            self.entries.remove(&name);
        }
    }

    /// Removes what is at a path, with everything in it.
    pub(super) fn remove(&mut self, path: &[u8]) {
        self.remove_below(path);
        self.entries.remove(path);
    }

    /// Returns the entry at a path.
    pub(super) fn entry(&self, path: &[u8]) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Returns every entry, sorted.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        let entries = self.entries.iter();
        entries.map(|(path, entry)| (path.as_slice(), entry))
    }

    /// Returns the names in a directory.
    pub(super) fn names<'a>(&'a self, directory: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let below = [directory, b"/"].concat();
        let length = below.len();
        self.entries
            .range(below.clone()..)
            .take_while(move |(name, _)| name.starts_with(&below))
            .map(move |(name, _)| &name[length..])
            .filter(|name| !name.contains(&b'/'))
    }

    /// Lets no file be newer than a time, in seconds, so that it does not say when it was built.
    pub(super) fn clamp_times(&mut self, latest: u64) {
        for entry in self.entries.values_mut() {
            entry.metadata.mtime = entry.metadata.mtime.min(latest);
        }
    }

    /// Removes the extended attributes that a form does not hold, and returns whose they were.
    pub(super) fn keep_xattrs(&mut self, holds: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lost = Vec::new();
        for (path, entry) in &mut self.entries {
            let before = entry.metadata.xattrs.len();
            entry.metadata.xattrs.retain(|name, _| holds(name));
            if entry.metadata.xattrs.len() < before {
                lost.push(format!("/{}", shown(path)));
            }
        }
        lost
    }

    /// Opens the file at a path, links followed within the root; `None` when there is none.
    pub(super) fn open(&self, path: &[u8]) -> Option<(u64, impl Read)> {
        let mut path = self.resolve(path).ok()?;
        for _ in 0..MAX_LINKS {
            match &self.entries.get(&path)?.kind {
                Kind::File(number) => return self.content(*number),
                Kind::Link(target) if target.starts_with(b"/") => {
                    path = self.follow(b"", target)?
                }
                Kind::Link(target) => {
                    let at = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                    path = self.follow(&path[..at], target)?;
                }
                _ => return None,
            }
        }
        None
    }

    /// Opens a content by its number.
    pub(super) fn content(&self, number: usize) -> Option<(u64, impl Read)> {
        let content = self.contents.get(number)?;
        Some((content.size(), ContentReader { content, at: 0 }))
    }

    /// Returns where a link in a directory leads.
    fn follow(&self, directory: &[u8], target: &[u8]) -> Option<Vec<u8>> {
        let mut done: Vec<&[u8]> = parts(directory).collect();
        for part in parts(target) {
            if part == b".." {
                done.pop();
            } else {
                done.push(part);
            }
        }
        self.resolve(&done.join(&b'/')).ok()
    }

    /// Reads a file of at most so many bytes as text.
    pub(super) fn text(&self, path: &str, limit: u64) -> Option<String> {
        let (size, mut reader) = self.open(path.as_bytes())?;
        let mut text = String::new();
        (size <= limit && reader.read_to_string(&mut text).is_ok()).then_some(text)
    }

    /// Writes the tree as one sorted archive, the same bytes for the same tree.
    ///
    /// # Errors
    /// When it cannot be written, or a content is cut short.
    pub(super) fn write(&self, out: impl Write) -> Result<WrittenTree> {
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
fn manifest_line(manifest: &mut String, digest: &[u8], path: &[u8]) {
    let name = String::from_utf8_lossy(path);
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n");
    if escaped != name {
        manifest.push('\\');
    }
    manifest.push_str(&format!("{}  {escaped}\n", hex(digest)));
}

/// Reads owner, mode and attributes.
fn metadata<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Metadata> {
    let mut xattrs = BTreeMap::new();
    let mut total = 0;
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let key = String::from_utf8_lossy(extension.key_bytes()).into_owned();
            ensure!(
                !key.starts_with("GNU.sparse"),
                "it is a sparse file: pack it without holes"
            );
            if let Some(name) = key.strip_prefix(XATTR) {
                total += name.len() + extension.value_bytes().len();
                ensure!(
                    total <= MAX_XATTRS,
                    "it has more than {MAX_XATTRS} bytes of attributes"
                );
                xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
            }
        }
    }
    let header = entry.header();
    Ok(Metadata {
        mode: header.mode()? & 0o7777,
        uid: header.uid()?,
        gid: header.gid()?,
        mtime: header.mtime()?,
        xattrs,
    })
}

/// The parts of a path that say something.
fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
}

/// Shows a path of somebody else's.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().to_string()
}

/// An entry that is being written.
struct Record {
    header: Header,
    pax: Vec<(String, Vec<u8>)>,
}

impl Record {
    fn new(path: &[u8], entry: &Entry) -> Self {
        let mut header = Header::new_ustar();
        let metadata = &entry.metadata;
        header.set_mode(metadata.mode);
        header.set_mtime(metadata.mtime);
        header.set_size(0);
        let mut record = Self {
            header,
            pax: Vec::new(),
        };
        record.owner(metadata);
        let (kind, device) = match &entry.kind {
            Kind::Directory => (EntryType::Directory, None),
            Kind::File(_) => (EntryType::Regular, None),
            Kind::Link(target) => {
                record.link(target);
                (EntryType::Symlink, None)
            }
            Kind::Character(major, minor) => (EntryType::Char, Some((major, minor))),
            Kind::Block(major, minor) => (EntryType::Block, Some((major, minor))),
            Kind::Fifo => (EntryType::Fifo, None),
        };
        record.header.set_entry_type(kind);
        if let Some((major, minor)) = device {
            // A header in this form has both fields.
            let _ = record.header.set_device_major(*major);
            let _ = record.header.set_device_minor(*minor);
        }
        let mut name = [b"./", path].concat();
        if entry.kind == Kind::Directory && !path.is_empty() {
            name.push(b'/');
        }
        record.name("path", &name, |header| &mut header.as_mut_bytes()[..100]);
        for (name, value) in &metadata.xattrs {
            record.pax.push((format!("{XATTR}{name}"), value.clone()));
        }
        record
    }

    fn owner(&mut self, metadata: &Metadata) {
        let fits = |id: u64| id <= 0o7_777_777;
        for (key, id) in [("uid", metadata.uid), ("gid", metadata.gid)] {
            if !fits(id) {
                self.pax.push((key.to_owned(), id.to_string().into_bytes()));
            }
        }
        self.header
            .set_uid(if fits(metadata.uid) { metadata.uid } else { 0 });
        self.header
            .set_gid(if fits(metadata.gid) { metadata.gid } else { 0 });
    }

    fn link(&mut self, target: &[u8]) {
        self.name("linkpath", target, |header| {
            &mut header.as_mut_bytes()[157..257]
        });
    }

    /// Makes it a hard link to what was written before.
    fn hard_link(&mut self, target: &[u8]) {
        self.header.set_entry_type(EntryType::Link);
        self.pax.retain(|(key, _)| !key.starts_with(XATTR));
        self.link(&[b"./", target].concat());
    }

    /// Writes a name into its field of 100 bytes, and beside it where it is longer.
    fn name(&mut self, key: &str, name: &[u8], field: fn(&mut Header) -> &mut [u8]) {
        let field = field(&mut self.header);
        let length = name.len().min(field.len());
        field[..length].copy_from_slice(&name[..length]);
        if name.len() > length {
            self.pax.push((key.to_owned(), name.to_vec()));
        }
    }

    fn finish<W: Write>(mut self, builder: &mut Builder<W>, content: impl Read) -> Result<()> {
        self.header.set_cksum();
        if !self.pax.is_empty() {
            let pairs = self.pax.iter();
            builder.append_pax_extensions(
                pairs.map(|(key, value)| (key.as_str(), value.as_slice())),
            )?;
        }
        Ok(builder.append(&self.header, content)?)
    }
}

/// Reads a file that others read too.
struct ReadAt {
    file: Arc<File>,
    at: u64,
}

impl Read for ReadAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Hashes what is read.
struct HashingReader<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use proptest::prelude::*;

    use super::*;

    /// An archive as somebody else writes it: kind, name, target or content.
    fn archive(entries: &[(EntryType, &str, &str)]) -> Arc<File> {
        let mut builder = Builder::new(tempfile::tempfile().unwrap());
        for (kind, name, text) in entries {
            let mut header = Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_uid(1000);
            header.set_gid(7);
            header.set_mtime(1);
            let content = if *kind == EntryType::Regular {
                *text
            } else {
                ""
            };
            header.set_size(content.len() as u64);
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
            }
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        Arc::new(builder.into_inner().unwrap())
    }

    fn read(entries: &[(EntryType, &str, &str)]) -> Result<RootTree> {
        let mut tree = RootTree::default();
        tree.read(&archive(entries))?;
        Ok(tree)
    }

    fn paths(tree: &RootTree) -> Vec<String> {
        tree.entries().map(|(path, _)| shown(path)).collect()
    }

    const FILE: EntryType = EntryType::Regular;
    const DIR: EntryType = EntryType::Directory;
    const LINK: EntryType = EntryType::Symlink;
    const HARD: EntryType = EntryType::Link;

    #[test]
    fn nothing_leads_out_of_the_root() {
        for (entries, expected) in [
            (
                &[(FILE, "../etc/shadow", "x")][..],
                "reading '../etc/shadow' of an archive: it leads out of its directory",
            ),
            (
                &[(FILE, "a/../../b", "x")],
                "reading 'a/../../b' of an archive: it leads out of its directory",
            ),
            (
                &[(HARD, "a", "/etc/passwd")],
                "reading 'a' of an archive: it is a hard link to 'etc/passwd', which is no file before it",
            ),
            (
                &[(DIR, "d", ""), (HARD, "a", "d")],
                "reading 'a' of an archive: it is a hard link to 'd', which is no file before it",
            ),
            (
                &[(LINK, "a", "b"), (LINK, "b", "a"), (FILE, "a/x", "")],
                "reading 'a/x' of an archive: its directories are a loop of links",
            ),
            (
                &[(EntryType::new(b'V'), "volume", "")],
                "reading 'volume' of an archive: it is of a kind ('V') that no root file system has",
            ),
        ] {
            let refused = read(entries).map(|tree| paths(&tree)).unwrap_err();
            assert_eq!(format!("{refused:#}"), expected);
        }
    }

    #[test]
    fn a_link_in_a_path_is_followed_within_the_root() {
        let tree = read(&[
            (LINK, "lib", "usr/lib"),
            (LINK, "out", "../../../etc"),
            (LINK, "abs", "/var"),
            (FILE, "lib/a", "1"),
            (FILE, "out/b", "2"),
            (FILE, "/abs/c", "3"),
        ])
        .unwrap();
        let expected = [
            "abs",
            "etc",
            "etc/b",
            "lib",
            "out",
            "usr",
            "usr/lib",
            "usr/lib/a",
            "var",
            "var/c",
        ];
        assert_eq!(paths(&tree), expected);
        assert_eq!(tree.text("lib/a", 10).as_deref(), Some("1"));
        assert_eq!(tree.text("abs/c", 10).as_deref(), Some("3"));
        assert_eq!(tree.text("abs/c", 0), None);
    }

    #[test]
    fn what_is_no_directory_takes_the_place_of_one() {
        let mut tree = read(&[(FILE, "a/b/c", ""), (FILE, "a-b", "")]).unwrap();
        tree.read(&archive(&[(FILE, "a", "now a file")])).unwrap();
        assert_eq!(paths(&tree), ["a", "a-b"]);
        tree.read(&archive(&[(FILE, "a/d", "")])).unwrap();
        assert_eq!(paths(&tree), ["a", "a-b", "a/d"]);
    }

    #[test]
    fn hard_links_devices_long_names_and_attributes_are_written_as_they_were() {
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
        let mut tree = read(&[(FILE, "z", "same"), (HARD, "y", "z"), (LINK, "l", "t")]).unwrap();
        let mut metadata = Metadata::of_root(0o4755, 9);
        metadata.uid = 3_000_000_000;
        metadata
            .xattrs
            .insert("security.capability".into(), vec![1, 0, 2]);
        tree.insert_file(long.as_bytes(), b"long".to_vec(), metadata.clone());
        let kind = Kind::Character(10, 200);
        let tun = Entry {
            metadata: Metadata::of_root(0o600, 1),
            kind: kind.clone(),
        };
        tree.insert(b"dev/tun".to_vec(), tun);
        let mut file = tempfile::tempfile().unwrap();
        let written = tree.write(&mut file).unwrap();
        assert_eq!(written.unpacked, 8);
        assert_eq!(written.manifest.lines().count(), 2);
        file.rewind().unwrap();
        let mut again = RootTree::default();
        again.read(&Arc::new(file)).unwrap();
        assert_eq!(again.entry(long.as_bytes()).unwrap().metadata, metadata);
        assert_eq!(again.entry(b"dev/tun").unwrap().kind, kind);
        // The first of them in order has the content.
        assert_eq!(
            again.entry(b"y").unwrap().kind,
            again.entry(b"z").unwrap().kind
        );
        assert_eq!(again.text("z", 10).as_deref(), Some("same"));
        let mut second = Vec::new();
        assert_eq!(again.write(&mut second).unwrap(), written);
    }

    #[test]
    fn a_name_with_a_newline_is_escaped_as_sha256sum_does() {
        let mut manifest = String::new();
        manifest_line(&mut manifest, &[0xab], b"a\nb\\c");
        assert_eq!(manifest, "\\ab  a\\nb\\\\c\n");
    }

    #[test]
    fn an_archive_that_is_cut_short_is_refused() {
        let whole = archive(&[(FILE, "a", &"x".repeat(2000))]);
        let mut bytes = vec![0; 1500];
        whole.read_exact_at(&mut bytes, 0).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let refused = RootTree::default().read(&Arc::new(file)).unwrap_err();
        assert_eq!(
            format!("{refused:#}"),
            "reading 'a' of an archive: the archive is cut short"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..2048), valid: bool) {
            if valid && bytes.len() >= 512 {
                let mut header = Header::new_gnu();
                header.as_mut_bytes().copy_from_slice(&bytes[..512]);
                header.set_cksum();
                bytes[..512].copy_from_slice(header.as_bytes());
            }
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let _ = RootTree::default().read(&Arc::new(file));
        }

        #[test]
        fn every_path_stays_in_the_root(parts in proptest::collection::vec("(\\.|\\.\\.|a|b|l)", 1..6)) {
            let tree = read(&[(LINK, "l", "../a"), (DIR, "a", ""), (LINK, "a/b", "/../..")]).unwrap();
            if let Ok(path) = tree.resolve(parts.join("/").as_bytes()) {
                prop_assert!(!path.split(|byte| *byte == b'/').any(|part| part == b".."));
            }
        }
    }
}
