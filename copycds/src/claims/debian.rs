//! Debian and Ubuntu: `Release` → `Packages` and `Sources` → pool.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use repodata::{AptRelease, Compression, Input, read_stanzas};

use super::SourceId;
use super::gathering::{Gathering, Listing};
use super::shelf::{locate, split};
use crate::media::Entry;

const CHAIN: &str = "Release → Packages";

/// Follows every `Release` and `InRelease` on the medium. They list the indices of a whole archive,
/// of which a disc holds some; an index lists the packages of its own disc, all of which are there.
pub(super) fn gather(work: &mut Gathering<'_>) -> Result<()> {
    let mut followed = BTreeSet::new();
    // `InRelease` sorts first, and carries its signature with it.
    for root in work.named(&["InRelease", "Release"]) {
        let reading = || format!("reading {}", root.path);
        let text = work.read(root)?;
        let signature = work.beside(root, ".gpg");
        let (source, text) = work.signed(root, text, CHAIN, signature)?;
        let name = root.path.to_string();
        let release = Input::plain(&name, text.as_slice()).and_then(AptRelease::read);
        let base = split(root.path.as_bytes()).0;
        let (mut indices, mut lost) = (Vec::new(), None);
        for listed in release.with_context(reading)?.files {
            let is_index = stem(&listed.path).is_some();
            let path = is_index.then(|| listed.path.clone());
            let added = work.add(source, base, listed, Listing::Archive);
            match added.with_context(reading)? {
                Some(entry) if is_index => indices.push(entry),
                None if lost.is_none() => lost = path,
                _ => {}
            }
        }
        indices.sort_by(|one: &&Entry, two| one.path.cmp(&two.path));
        indices.dedup_by(|one, two| one.path == two.path);
        let pool = archive(base);
        if let Some(path) = lost.filter(|_| indices.is_empty() && has_packages(work, pool)) {
            let path = [base, b"/", &path].concat();
            work.lost(source, path.strip_prefix(b"/").unwrap_or(&path))?;
        }
        for index in indices {
            if cheapest(work, index)? && followed.insert(&index.path) {
                follow(work, source, pool, index)?;
            }
        }
    }
    Ok(())
}

/// Whether binary packages lie in an archive.
fn has_packages(work: &Gathering<'_>, archive: &[u8]) -> bool {
    work.medium.entries().iter().any(|entry| {
        let path = entry.path.as_bytes();
        path.starts_with(archive) && path.ends_with(b".deb")
    })
}

/// Returns the path of a package index without the ending of its compression.
fn stem(path: &[u8]) -> Option<&[u8]> {
    let mut suffixes = Compression::SUPPORTED.iter().map(|one| one.suffix());
    let suffix = suffixes.find(|suffix| path.ends_with(suffix.as_bytes()))?;
    let stem = &path[..path.len() - suffix.len()];
    let name = split(stem).1;
    (name == b"Packages" || name == b"Sources").then_some(stem)
}

/// Whether no other form of this index on the medium is cheaper to read.
fn cheapest(work: &Gathering<'_>, index: &Entry) -> Result<bool> {
    let Some(stem) = stem(index.path.as_bytes()) else {
        return Ok(false);
    };
    for compression in Compression::SUPPORTED {
        let path = [stem, compression.suffix().as_bytes()].concat();
        if let Some(entry) = locate(work.medium, b"", &path)? {
            return Ok(entry.path == index.path);
        }
    }
    Ok(false)
}

/// Returns the root of the archive, from which `Filename` counts: what holds `dists`, or, in a flat
/// repository, the directory of its `Release`.
fn archive(base: &[u8]) -> &[u8] {
    let mut at = base;
    while !at.is_empty() {
        let (parent, name) = split(at);
        if name == b"dists" {
            return parent;
        }
        at = parent;
    }
    base
}

fn follow<'a>(
    work: &mut Gathering<'a>,
    root: SourceId,
    archive: &[u8],
    index: &'a Entry,
) -> Result<()> {
    let source = work.below(root, index);
    work.index(index, |work, plain| {
        read_stanzas(plain, |stanza| {
            let files = match stanza.binary_file()? {
                Some(file) => vec![file],
                None => stanza.source_files()?,
            };
            for listed in files {
                work.add(source, archive, listed, Listing::Whole)?;
            }
            Ok(())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_count_from_what_holds_dists() {
        for (base, root) in [
            ("dists/bookworm", ""),
            ("debian/dists/bookworm/updates", "debian"),
            ("flat", "flat"),
            ("", ""),
        ] {
            assert_eq!(archive(base.as_bytes()), root.as_bytes());
        }
    }
}
