//! A layer of a container image over a tree: what it has, and what it takes away.
//!
//! An archive comes in; the tree is changed. `.wh.NAME` removes NAME of the layers below, `.wh..wh..opq` all that they
//! have in a directory; what the layer itself has stays. A device is in `/dev` alone.
//!
//! Reference: OCI image format 1.1, "Image Layer Filesystem Changeset".

use std::fs::File;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tar::EntryType;

use super::read::each;
use super::{Kind, MAX_LINKS, RootTree, parts, shown};

/// What the name of a file begins with that removes another one.
const WHITEOUT: &[u8] = b".wh.";
/// What the names of further files of the storage driver aufs begin with.
const RESERVED: &[u8] = b".wh..wh.";
/// The name that hides all that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Reads layers of a container image, the lowest first, as `genimage --from` does; returns the paths of what is there then.
///
/// # Errors
/// The first layer that is refused.
pub fn layer_paths(layers: Vec<File>) -> Result<Vec<Vec<u8>>> {
    let mut tree = RootTree::default();
    for layer in layers {
        tree.read_layer(&Arc::new(layer))?;
    }
    Ok(tree.entries().map(|(path, _)| path.to_vec()).collect())
}

impl RootTree {
    /// Puts a layer over what is there.
    ///
    /// # Errors
    /// When it is damaged, leads out of the root, removes what is no file, or has a device outside of `/dev`.
    pub(in crate::rootimg) fn read_layer(&mut self, archive: &Arc<File>) -> Result<()> {
        // What a layer removes is of lower layers, wherever in it that is said.
        each(archive, |path, _| self.remove_whited_out(path))?;
        each(archive, |path, entry| {
            if basename(path).starts_with(WHITEOUT) {
                return Ok(());
            }
            let kind = entry.header().entry_type();
            if matches!(kind, EntryType::Char | EntryType::Block) {
                let place = self.resolve(path)?;
                ensure!(
                    place.starts_with(b"dev/"),
                    "it is a device outside of /dev, which whoever may read it could use on the node"
                );
            }
            self.add(archive, path, entry)
        })
    }

    fn remove_whited_out(&mut self, path: &[u8]) -> Result<()> {
        let name = basename(path);
        let Some(removed) = name.strip_prefix(WHITEOUT) else {
            return Ok(());
        };
        let place = self.resolve(path)?;
        let directory = &place[..place.len().saturating_sub(name.len() + 1)];
        if name == OPAQUE {
            self.remove_below(directory);
        } else if !name.starts_with(RESERVED) {
            if matches!(removed, b"" | b"." | b"..") {
                bail!("it removes what is no file of the image");
            }
            self.remove(&join(directory, removed));
        }
        Ok(())
    }

    /// Says which entry has an owner that a namespace of so many ids does not know.
    ///
    /// # Errors
    /// The first one.
    pub(in crate::rootimg) fn check_owners(&self, ids: u32) -> Result<()> {
        let foreign = self.entries().find(|(_, entry)| {
            let metadata = &entry.metadata;
            metadata.uid.max(metadata.gid) >= u64::from(ids)
        });
        foreign.map_or(Ok(()), |(path, entry)| {
            bail!(
                "/{} is owned by {}:{}, and a root image is built with the ids 0 to {}",
                shown(path),
                entry.metadata.uid,
                entry.metadata.gid,
                ids - 1
            )
        })
    }

    /// Refuses links on a path that lead out of the root for whoever is not in it, as package managers are not.
    ///
    /// # Errors
    /// The first one, with where it leads.
    pub(in crate::rootimg) fn check_inside(&self, path: &str) -> Result<()> {
        let mut todo: Vec<&[u8]> = parts(path.as_bytes()).rev().collect();
        let mut done: Vec<&[u8]> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == b".." {
                ensure!(done.pop().is_some(), "/{path} of it leads out of the root");
                continue;
            }
            done.push(part);
            let Some(Kind::Link(target)) = self.entry(&done.join(&b'/')).map(|entry| &entry.kind)
            else {
                continue;
            };
            links += 1;
            ensure!(
                !target.starts_with(b"/") && links <= MAX_LINKS,
                "/{path} of it leads to {}, out of the root",
                shown(target)
            );
            done.pop();
            todo.extend(parts(target).rev());
        }
        Ok(())
    }

    /// Moves a file or a link to another path.
    ///
    /// # Errors
    /// When there is none, or it is a directory.
    pub(in crate::rootimg) fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let entry = self.entry(from).context("it is not there")?.clone();
        ensure!(entry.kind != Kind::Directory, "it is a directory");
        self.remove(from);
        self.insert(to.to_vec(), entry);
        Ok(())
    }
}

/// The name of what a path leads to, however it is written: `a/.wh.b/.` is a white-out, too.
fn basename(path: &[u8]) -> &[u8] {
    parts(path).next_back().unwrap_or_default()
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        name.to_vec()
    } else {
        [directory, b"/", name].concat()
    }
}
