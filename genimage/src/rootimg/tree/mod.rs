//! A root file system as the entries of archives: what is read from one is never unpacked.
//!
//! A tar comes in, of a package manager or of a layer of a container image; entries by path go out, sorted, with owners,
//! modes, extended attributes, devices and hard links as they are. Contents stay where they are, in the archive's file.
//! A path that leads out of the root is refused, a link in it is followed within the root alone, and whatever can grow has
//! a bound. The only module here that knows tar.
//!
//! Reference: pax(1), tar(5) of libarchive for `SCHILY.xattr`.

mod content;
mod header;
mod layer;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Result, ensure};

use content::{Content, ContentReader};
pub use layer::layer_paths;

/// The longest path, and the longest target of a link: `PATH_MAX`.
const MAX_PATH: usize = 4096;
/// How many links are followed on one path, as the kernel does: `MAXSYMLINKS`.
const MAX_LINKS: usize = 40;
/// What pax records of extended attributes begin with.
const XATTR: &str = "SCHILY.xattr.";

/// Who owns an entry, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
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
pub(crate) enum Kind {
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
pub(crate) struct Entry {
    pub(super) metadata: Metadata,
    pub(super) kind: Kind,
}

/// A root file system: entries by path, without a `/` at either end. The root itself is the empty path.
#[derive(Debug, Default)]
pub(crate) struct RootTree {
    entries: BTreeMap<Vec<u8>, Entry>,
    contents: Vec<Content>,
}

impl RootTree {
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
    pub(crate) fn entry(&self, path: &[u8]) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Returns every entry, sorted.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
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
    pub(crate) fn open<'a>(&'a self, path: &[u8]) -> Option<(u64, impl Read + use<'a>)> {
        match &self.entries.get(&self.real_path(path)?)?.kind {
            Kind::File(number) => self.content(*number),
            _ => None,
        }
    }

    /// Returns the path at which links end, followed within the root; `None` when nothing is there.
    pub(super) fn real_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut path = self.resolve(path).ok()?;
        for _ in 0..MAX_LINKS {
            match &self.entries.get(&path)?.kind {
                Kind::Link(target) if target.starts_with(b"/") => {
                    path = self.follow(b"", target)?
                }
                Kind::Link(target) => {
                    let at = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                    path = self.follow(&path[..at], target)?;
                }
                _ => return Some(path),
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
    pub(crate) fn text(&self, path: &str, limit: u64) -> Option<String> {
        let (size, mut reader) = self.open(path.as_bytes())?;
        let mut text = String::new();
        (size <= limit && reader.read_to_string(&mut text).is_ok()).then_some(text)
    }
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
