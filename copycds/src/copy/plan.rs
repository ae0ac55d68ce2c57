//! What an import will do, before anything is done.
//!
//! The entries of a medium and the tree that is published come in; a [`Plan`] goes out: the directories,
//! files and links that the new tree gets from the medium, and what it keeps of the old tree. Pure:
//! nothing here reads or writes a file, and every conflict that names alone can show is found here.
//!
//! **Several discs, one tree.** A disc that is not in the tree yet is merged: what both hold alike
//! is there once, and a file that differs is an error that names both discs. Files that describe the
//! disc rather than the release ([`is_disc_metadata`]) differ on every disc of a set: the disc that
//! was imported first keeps their paths, and every later disc is complete under
//! `.slipway/discs/N/`, with its own copies of them and links into the tree for all else, so that
//! its package index, which a signature covers, still finds its packages. A disc whose label is in the
//! tree already but whose fingerprint is new was built anew: its files replace the old ones.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::disc_metadata::is_disc_metadata;
use super::manifest::DiscManifest;
use super::published_tree::TreeContents;
use super::record::DIR;
use crate::digest::Digest;
use crate::media::{DataLocation, EntryKind, MediumEntry, MediumPath, Timestamp};

/// From this size on a file is hashed beside its copy.
pub(super) const LARGE: u64 = 32 << 20;

/// What an import will do.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// Directories to make, parents before children, with the times they get in the end.
    pub dirs: Vec<(MediumPath, Option<Timestamp>)>,
    /// Regular files: large ones first, else in the order of their bytes on the medium.
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
    pub action: FileAction,
}

/// What is done with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAction {
    /// It is copied.
    Copy,
    /// It is in the tree already, from another disc: it is read and must be the same.
    Compare {
        /// The SHA-256 of the file in the tree.
        digest: Digest,
        /// The disc it came from.
        disc: String,
    },
}

/// What another disc already brought to a path.
enum Owned<'t> {
    File(&'t Digest),
    Link(&'t [u8]),
}

/// A disc that joins a published tree: what the tree has, and which of it came from other discs.
struct Merge<'t> {
    label: &'t str,
    tree: &'t TreeContents,
    /// The earlier build of this disc, which it replaces.
    replaced: Option<&'t DiscManifest>,
    /// What other discs brought, and which of them did.
    owned: BTreeMap<&'t MediumPath, (Owned<'t>, &'t str)>,
}

/// What becomes of one entry of a disc that joins a tree.
enum Placement {
    /// It goes to its own path in the tree.
    InTree(FileAction),
    /// The tree has another disc's file there; it goes to the disc's own directory.
    PerDisc,
    /// The tree has the same already.
    Present,
}

impl<'a> Plan<'a> {
    /// Plans the import of a disc called `label` with these `entries` into the tree that is published,
    /// if there is one.
    ///
    /// # Errors
    /// When the disc and the tree cannot become one tree; both discs and the path are named.
    pub fn new(
        entries: &'a [MediumEntry],
        label: &str,
        tree: Option<&TreeContents>,
    ) -> Result<Self> {
        let mut plan = Self::default();
        let on_disc = || entries.iter().filter(|entry| !is_own(&entry.path));
        let Some(tree) = tree else {
            for entry in on_disc() {
                plan.add(entry, entry.path.clone(), FileAction::Copy);
            }
            plan.sort();
            return Ok(plan);
        };
        let discs = &tree.manifest.discs;
        plan.disc = discs
            .iter()
            .position(|disc| disc.label == label)
            .unwrap_or(discs.len());
        let merge = Merge::new(label, tree, plan.disc);
        let others = tree.others.iter();
        plan.keep = others.filter(|path| merge.keeps(path)).cloned().collect();
        plan.dirs
            .extend(tree.dirs.iter().map(|dir| (dir.clone(), None)));
        let mut per_disc = BTreeSet::new();
        for entry in on_disc() {
            match merge.place(entry)? {
                Placement::InTree(action) => plan.add(entry, entry.path.clone(), action),
                Placement::PerDisc => drop(per_disc.insert(&entry.path)),
                Placement::Present => {}
            }
        }
        plan.add_per_disc(entries, &per_disc)?;
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
            .filter(|step| step.action == FileAction::Copy)
    }

    fn add(&mut self, entry: &'a MediumEntry, path: MediumPath, action: FileAction) {
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
                    action,
                });
            }
        }
    }

    /// Makes a later disc complete under `.slipway/discs/N/`: its own copies of the files in `per_disc`
    /// are there, and the largest subtrees without any of them are links into the tree.
    fn add_per_disc(
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
                self.add(entry, path(bytes)?, FileAction::Copy);
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

impl<'t> Merge<'t> {
    /// Looks at a tree for the disc that has this place in it.
    fn new(label: &'t str, tree: &'t TreeContents, place: usize) -> Self {
        let mut owned = BTreeMap::new();
        let discs = tree.manifest.discs.iter().enumerate();
        for (_, disc) in discs.rev().filter(|(other, _)| *other != place) {
            let label = disc.label.as_str();
            let files = disc.files.iter();
            owned.extend(files.map(|(path, digest)| (path, (Owned::File(digest), label))));
            let links = disc.links.iter();
            owned.extend(links.map(|(path, to)| (path, (Owned::Link(to.as_slice()), label))));
        }
        Self {
            label,
            tree,
            replaced: tree.manifest.discs.get(place),
            owned,
        }
    }

    /// Whether the new tree takes over a path of the old one.
    fn keeps(&self, path: &MediumPath) -> bool {
        let was_its = self
            .replaced
            .is_some_and(|old| old.files.contains_key(path) || old.links.contains_key(path));
        self.owned.contains_key(path) || !(was_its || is_record(path))
    }

    /// Decides where one entry of the disc goes.
    fn place(&self, entry: &MediumEntry) -> Result<Placement> {
        let path = &entry.path;
        let is_file_in_tree = || self.tree.others.contains(path) && self.keeps(path);
        Ok(match (self.owned.get(path), &entry.kind) {
            (Some((Owned::Link(old), _)), EntryKind::Symlink { target }) if old == target => {
                Placement::Present
            }
            (Some(_), EntryKind::File { .. } | EntryKind::Symlink { .. })
                if is_disc_metadata(path) =>
            {
                Placement::PerDisc
            }
            (Some((Owned::File(digest), disc)), EntryKind::File { .. }) => {
                Placement::InTree(FileAction::Compare {
                    digest: **digest,
                    disc: (*disc).to_owned(),
                })
            }
            (Some((_, disc)), _) => return Err(conflict(path, disc, self.label)),
            (None, kind) => {
                let is_dir_in_tree =
                    *kind != EntryKind::Directory && self.tree.dirs.binary_search(path).is_ok();
                ensure!(!is_file_in_tree() && !is_dir_in_tree, foreign(path));
                Placement::InTree(FileAction::Copy)
            }
        })
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

/// Says that two discs hold different things under one name.
pub(super) fn conflict(path: &MediumPath, one: &str, two: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "'{path}' on disc '{one}', which is in the tree, differs from '{path}' on disc '{two}': they are \
         not discs of one release; import one of them elsewhere (-p)"
    )
}

fn foreign(path: &MediumPath) -> String {
    format!(
        "'{path}' is in the tree but came from no disc, and the medium has something of that name: \
         move it away and run again"
    )
}
