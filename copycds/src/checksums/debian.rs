//! Debian and Ubuntu: `Release` → `Packages` and `Sources` → pool.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use repodata::{AptRelease, Compression, Input, read_stanzas};

use super::SourceId;
use super::collector::{Collector, Listing};
use super::locate::{locate, split};
use crate::media::MediumEntry;

const CHAIN: &str = "Release → Packages";

/// Follows every `Release` and `InRelease` on the medium. They list the indices of a whole archive,
/// of which a disc holds some; an index lists the packages of its own disc, all of which are there.
pub(super) fn gather(collector: &mut Collector<'_>) -> Result<()> {
    let mut followed = BTreeSet::new();
    // `InRelease` sorts first, and carries its signature with it.
    for root in collector.named(&["InRelease", "Release"]) {
        let reading = || format!("reading {}", root.path);
        let text = collector.read(root)?;
        let signature = collector.sibling(root, ".gpg");
        let (source, text) = collector.add_signed_source(root, text, CHAIN, signature)?;
        let name = root.path.to_string();
        let release = Input::plain(&name, text.as_slice()).and_then(AptRelease::read);
        let base = split(root.path.as_bytes()).0;
        let (mut indices, mut note_missing) = (Vec::new(), None);
        for listed in release.with_context(reading)?.files {
            let is_index = stem(&listed.path).is_some();
            let path = is_index.then(|| listed.path.clone());
            let added = collector.add(source, base, listed, Listing::Archive);
            match added.with_context(reading)? {
                Some(entry) if is_index => indices.push(entry),
                None if note_missing.is_none() => note_missing = path,
                _ => {}
            }
        }
        indices.sort_by(|one: &&MediumEntry, two| one.path.cmp(&two.path));
        indices.dedup_by(|one, two| one.path == two.path);
        let pool = archive(base);
        if let Some(path) =
            note_missing.filter(|_| indices.is_empty() && has_packages(collector, pool))
        {
            let path = [base, b"/", &path].concat();
            collector.note_missing(source, path.strip_prefix(b"/").unwrap_or(&path))?;
        }
        for index in indices {
            if cheapest(collector, index)? && followed.insert(&index.path) {
                follow(collector, source, pool, index)?;
            }
        }
    }
    Ok(())
}

/// Whether binary packages are in an archive.
fn has_packages(collector: &Collector<'_>, archive: &[u8]) -> bool {
    collector.medium.entries().iter().any(|entry| {
        let path = entry.path.as_bytes();
        path.starts_with(archive) && path.ends_with(b".deb")
    })
}

/// Returns the path of a package index without the ending of its compression.
fn stem(path: &[u8]) -> Option<&[u8]> {
    let mut suffixes = Compression::FOR_SLOW_MEDIA.iter().map(|one| one.suffix());
    let suffix = suffixes.find(|suffix| path.ends_with(suffix.as_bytes()))?;
    let stem = &path[..path.len() - suffix.len()];
    let name = split(stem).1;
    (name == b"Packages" || name == b"Sources").then_some(stem)
}

/// Whether no other form of this index on the medium is cheaper to read.
fn cheapest(collector: &Collector<'_>, index: &MediumEntry) -> Result<bool> {
    let Some(stem) = stem(index.path.as_bytes()) else {
        return Ok(false);
    };
    for compression in Compression::FOR_SLOW_MEDIA {
        let path = [stem, compression.suffix().as_bytes()].concat();
        if let Some(entry) = locate(collector.medium, b"", &path)? {
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
    collector: &mut Collector<'a>,
    root: SourceId,
    archive: &[u8],
    index: &'a MediumEntry,
) -> Result<()> {
    let source = collector.add_indirect_source(root, index);
    collector.index(index, |collector, plain| {
        read_stanzas(plain, |stanza| {
            let Some(listed) = stanza.binary_file()? else {
                for listed in stanza.source_files()? {
                    collector.add(source, archive, listed, Listing::Medium)?;
                }
                return Ok(());
            };
            let digest = listed.digest;
            let added = collector.add(source, archive, listed, Listing::Medium)?;
            if let Some((entry, md5)) = added.zip(stanza.binary_md5()?) {
                collector
                    .checksums
                    .add_md5(&entry.path, source, digest, md5);
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
