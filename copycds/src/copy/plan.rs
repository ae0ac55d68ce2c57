//! What an import will do, before anything is done.
//!
//! The entries of a medium and what stands published come in; a [`Plan`] goes out: the directories,
//! files and links that the new tree gets from the medium, and what it keeps of the old tree. Pure:
//! nothing here reads or writes a file, and every conflict that names alone can show is found here.
//!
//! **Several discs, one tree.** A disc that is not in the tree yet is merged: what both hold alike
//! stands once, and a file that differs is an error that names both discs. Files that speak of the
//! disc rather than of the release ([`is_disc_metadata`]) differ on every disc of a set: the disc that
//! was imported first keeps their places, and every later disc stands whole under
//! `.slipway/discs/N/`, with its own copies of them and links into the tree for all else, so that
//! its package index, which a signature covers, still finds its packages. A disc whose label is in the
//! tree already but whose fingerprint is new was built anew: its files replace the old ones.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::copier::LARGE;
use super::record::{DIR, Published};
use crate::digest::Digest;
use crate::media::{DataLocation, EntryKind, MediumEntry, MediumPath, Timestamp};

/// What an import will do.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// Directories to make, parents before children, with the times they get in the end.
    pub dirs: Vec<(MediumPath, Option<Timestamp>)>,
    /// Regular files: large ones first, else in the order their bytes lie on the medium.
    pub files: Vec<Step<'a>>,
    /// Symbolic links and what they say.
    pub links: BTreeMap<MediumPath, Vec<u8>>,
    /// What the new tree takes over from the old one, as it is.
    pub keep: Vec<MediumPath>,
    /// The place of this disc among the discs of the tree, counted from 0.
    pub disc: usize,
}

/// One regular file of the medium.
#[derive(Debug)]
pub struct Step<'a> {
    /// The file on the medium.
    pub entry: &'a MediumEntry,
    /// Its length.
    pub size: u64,
    /// Where it goes in the tree.
    pub path: MediumPath,
    /// What is done with it.
    pub act: FileAction,
}

/// What is done with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAction {
    /// It is copied.
    Copy,
    /// It stands in the tree already, from another disc: it is read and must be the same.
    Compare {
        /// The SHA-256 of what stands.
        digest: Digest,
        /// The disc it came from.
        disc: String,
    },
}

/// What stands published where the tree goes.
#[derive(Debug)]
pub struct OldTree {
    /// Its record and manifest.
    pub published: Published,
    /// Its directories, parents before children.
    pub dirs: Vec<MediumPath>,
    /// Everything else in it.
    pub others: BTreeSet<MediumPath>,
}

/// Names, in lower case, of files that speak of their disc: what is on it, how it boots, what it is
/// called. `isolinux.bin` has its own place on the disc written into it.
const ABOUT_A_DISC: &[&str] = &[
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

/// Directories that speak of their disc: Debian's `.disk`, and package indexes, which list what one
/// disc holds and are signed as a whole.
const ABOUT_A_DISC_DIRS: &[&[u8]] = &[b".disk", b"dists", b"repodata"];

/// Returns whether a file speaks of the disc it lies on rather than of the release, by its name.
pub fn is_disc_metadata(path: &MediumPath) -> bool {
    let mut parts = path.as_bytes().rsplit(|&byte| byte == b'/');
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    ABOUT_A_DISC.iter().any(|about| about.as_bytes() == name)
        || parts.any(|dir| ABOUT_A_DISC_DIRS.contains(&dir))
}

/// What another disc already brought to a path.
enum Owned<'a> {
    File(&'a Digest),
    Link(&'a [u8]),
}

impl<'a> Plan<'a> {
    /// Plans the import of a disc called `label` with these `entries` onto what stands, if anything.
    ///
    /// # Errors
    /// When the disc and the standing tree cannot become one tree; both discs and the path are named.
    pub fn new(
        entries: &'a [MediumEntry],
        label: &str,
        standing: Option<&OldTree>,
    ) -> Result<Self> {
        let mut plan = Self::default();
        let Some(standing) = standing else {
            for entry in entries.iter().filter(|entry| !is_own(&entry.path)) {
                plan.take(entry, entry.path.clone(), FileAction::Copy);
            }
            plan.sort();
            return Ok(plan);
        };
        let discs = &standing.published.manifest.discs;
        plan.disc = discs
            .iter()
            .position(|disc| disc.label == label)
            .unwrap_or(discs.len());
        let owned_by_others = owned_by_others(standing, plan.disc);
        let replaced = discs.get(plan.disc);
        let keeps = |path: &MediumPath| {
            let was_its = replaced
                .is_some_and(|old| old.files.contains_key(path) || old.links.contains_key(path));
            owned_by_others.contains_key(path) || !(was_its || is_record(path))
        };
        plan.keep = standing
            .others
            .iter()
            .filter(|path| keeps(path))
            .cloned()
            .collect();
        plan.dirs
            .extend(standing.dirs.iter().map(|dir| (dir.clone(), None)));
        let mut per_disc = BTreeSet::new();
        for entry in entries.iter().filter(|entry| !is_own(&entry.path)) {
            plan.merge(
                entry,
                label,
                standing,
                &owned_by_others,
                &keeps,
                &mut per_disc,
            )?;
        }
        plan.view(entries, &per_disc)?;
        plan.dirs.sort();
        plan.dirs.dedup_by(|one, two| {
            // Sorted, a directory without a time comes first: the medium's time wins.
            let same = one.0 == two.0;
            if same {
                two.1 = two.1.max(one.1);
            }
            same
        });
        plan.sort();
        Ok(plan)
    }

    /// Returns how many bytes are read from the medium.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|step| step.size).sum()
    }

    /// Returns the files that will be written.
    pub fn copied(&self) -> impl Iterator<Item = &Step<'a>> {
        self.files
            .iter()
            .filter(|step| step.act == FileAction::Copy)
    }

    fn take(&mut self, entry: &'a MediumEntry, path: MediumPath, act: FileAction) {
        match &entry.kind {
            EntryKind::Directory => self.dirs.push((path, entry.mtime)),
            EntryKind::Symlink { target } => {
                self.links.insert(path, target.clone());
            }
            EntryKind::File { size, .. } => {
                let size = *size;
                self.files.push(Step {
                    entry,
                    size,
                    path,
                    act,
                });
            }
        }
    }

    fn merge(
        &mut self,
        entry: &'a MediumEntry,
        label: &str,
        standing: &OldTree,
        owned_by_others: &BTreeMap<&MediumPath, (Owned<'_>, &str)>,
        keeps: &dyn Fn(&MediumPath) -> bool,
        per_disc: &mut BTreeSet<&'a MediumPath>,
    ) -> Result<()> {
        let path = &entry.path;
        let act = match (owned_by_others.get(path), &entry.kind) {
            (Some((Owned::Link(old), _)), EntryKind::Symlink { target }) if old == target => {
                return Ok(());
            }
            (Some(_), EntryKind::File { .. } | EntryKind::Symlink { .. })
                if is_disc_metadata(path) =>
            {
                per_disc.insert(path);
                return Ok(());
            }
            (Some((Owned::File(digest), disc)), EntryKind::File { .. }) => FileAction::Compare {
                digest: **digest,
                disc: (*disc).to_owned(),
            },
            (Some((_, disc)), _) => return Err(conflict(path, disc, label)),
            (None, EntryKind::Directory) => {
                ensure!(
                    !standing.others.contains(path) || !keeps(path),
                    foreign(path)
                );
                FileAction::Copy
            }
            (None, _) => {
                let already_imported = standing.others.contains(path) && keeps(path);
                ensure!(
                    !already_imported && standing.dirs.binary_search(path).is_err(),
                    foreign(path)
                );
                FileAction::Copy
            }
        };
        self.take(entry, path.clone(), act);
        Ok(())
    }

    /// Makes a later disc stand whole under `.slipway/discs/N/`: what is put aside lies there, and the
    /// largest subtrees without any of that are links into the tree.
    fn view(
        &mut self,
        entries: &'a [MediumEntry],
        per_disc: &BTreeSet<&'a MediumPath>,
    ) -> Result<()> {
        if per_disc.is_empty() {
            return Ok(());
        }
        let root = format!("{DIR}/discs/{}", self.disc + 1);
        let path = |tail: &[u8]| {
            let path = [root.as_bytes(), tail].join(&b'/');
            MediumPath::new(path).map_err(anyhow::Error::msg)
        };
        for dir in [DIR, ".slipway/discs", &root] {
            self.dirs
                .push((MediumPath::new(dir).map_err(anyhow::Error::msg)?, None));
        }
        let opened: BTreeSet<&[u8]> = per_disc
            .iter()
            .flat_map(|path| parents(path.as_bytes()))
            .collect();
        for entry in entries.iter().filter(|entry| !is_own(&entry.path)) {
            let bytes = entry.path.as_bytes();
            let parent = parents(bytes).next();
            if per_disc.contains(&entry.path) || opened.contains(bytes) {
                self.take(entry, path(bytes)?, FileAction::Copy);
            } else if parent.is_none_or(|parent| opened.contains(parent)) {
                let up = b"../".repeat(3 + parents(bytes).count());
                self.links.insert(path(bytes)?, [&up, bytes].concat());
            }
        }
        Ok(())
    }

    /// Large files first, so that none is left alone at the end; else in the order of their bytes.
    fn sort(&mut self) {
        self.files.sort_by_key(|step| {
            let first = match &step.entry.kind {
                EntryKind::File {
                    content: DataLocation::Extents(extents) | DataLocation::Zisofs(extents),
                    ..
                } => extents.first().map_or(0, |extent| extent.offset),
                _ => 0,
            };
            (step.size < LARGE, first)
        });
    }
}

/// Returns the directories above a path, nearest first.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut path = path;
    std::iter::from_fn(move || {
        let slash = path.iter().rposition(|&byte| byte == b'/')?;
        path = &path[..slash];
        Some(path)
    })
}

/// A medium that is itself a published tree has our record in it, which is no part of the disc.
fn is_own(path: &MediumPath) -> bool {
    let bytes = path.as_bytes();
    bytes == DIR.as_bytes() || bytes.starts_with(b".slipway/")
}

/// Our record and manifest are written anew each time.
fn is_record(path: &MediumPath) -> bool {
    is_own(path) && !path.as_bytes().starts_with(b".slipway/discs/")
}

fn owned_by_others(standing: &OldTree, but: usize) -> BTreeMap<&MediumPath, (Owned<'_>, &str)> {
    let mut owned_by_others = BTreeMap::new();
    let discs = standing.published.manifest.discs.iter().enumerate();
    for (_, disc) in discs.rev().filter(|(place, _)| *place != but) {
        let label = disc.label.as_str();
        let files = disc.files.iter();
        owned_by_others.extend(files.map(|(path, digest)| (path, (Owned::File(digest), label))));
        let links = disc.links.iter();
        owned_by_others.extend(links.map(|(path, to)| (path, (Owned::Link(to.as_slice()), label))));
    }
    owned_by_others
}

/// Says that two discs hold different things under one name.
pub(super) fn conflict(path: &MediumPath, one: &str, two: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "'{path}' is one thing on disc '{one}', which is in the tree, and another on disc '{two}': \
         they are not discs of one release; import one of them elsewhere (-p)"
    )
}

fn foreign(path: &MediumPath) -> String {
    format!(
        "'{path}' stands in the tree but came from no disc, and the medium holds something of that \
         name: move it away and run again"
    )
}
