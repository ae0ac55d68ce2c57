//! The plain lists: SUSE's `CHECKSUMS` and `content`, `.treeinfo`, `SHA256SUMS`, `md5sum.txt`.

use anyhow::{Context, Result};
use repodata::{Compression, ListedFile, SuseContent, read_susetags};

use super::collector::{Collector, Listing};
use super::locate::{locate, split};
use super::{sums, treeinfo};
use crate::media::MediumEntry;

/// The lists that a medium may have at its root, of all its files, strongest first; in any case.
const SUMS: [&str; 16] = [
    "SHA256SUMS",
    "sha256sum.txt",
    "sha256sums.txt",
    "sha256sum",
    "SHA512SUMS",
    "sha512sum.txt",
    "sha512sums.txt",
    "sha512sum",
    "SHA1SUMS",
    "sha1sum.txt",
    "sha1sums.txt",
    "sha1sum",
    "md5sum.txt",
    "MD5SUMS",
    "md5sums.txt",
    "md5sum",
];

/// SUSE's `CHECKSUMS`, signed, at the root and in each module's directory. What is deeper may have
/// been made for more than this disc.
pub(super) fn checksums(collector: &mut Collector<'_>) -> Result<()> {
    for list in collector.named(&["CHECKSUMS"]) {
        let (base, _) = split(list.path.as_bytes());
        let signature = collector.sibling(list, ".asc");
        if !base.is_empty() && signature.is_none() {
            continue; // any package's documentation may have a file of this name
        }
        let listing = if base.is_empty() {
            Listing::Medium
        } else {
            Listing::Set
        };
        let text = collector.read(list)?;
        let (source, text) = collector.add_signed_source(list, text, "CHECKSUMS", signature)?;
        for listed in sums::parse(&text) {
            let added = listed.and_then(|listed| collector.add(source, base, listed, listing));
            added.with_context(|| format!("reading {}", list.path))?;
        }
    }
    Ok(())
}

/// SUSE's `content` and the packages that the list it vouches for names: those of every disc.
pub(super) fn content(collector: &mut Collector<'_>) -> Result<()> {
    let Some(root) = locate(collector.medium, b"", b"content")? else {
        return Ok(());
    };
    let reading = || format!("reading {}", root.path);
    let text = collector.read(root)?;
    let (source, text) =
        collector.add_signed_source(root, text, "content", collector.sibling(root, ".asc"))?;
    let name = root.path.to_string();
    let content =
        SuseContent::parse(&name, &String::from_utf8_lossy(&text)).with_context(reading)?;
    let index = format!("{}/packages", content.description_dir);
    let index = index.trim_start_matches('/');
    let is_index = |file: &ListedFile| {
        let path = String::from_utf8_lossy(&file.path);
        let ending = path.trim_start_matches('/').strip_prefix(index);
        ending.is_some_and(|ending| {
            let mut forms = Compression::ALL.iter();
            forms.any(|one| one.suffix() == ending)
        })
    };
    let index_listed = content.files.iter().any(is_index);
    for listed in content.files {
        collector
            .add(source, b"", listed, Listing::Set)
            .with_context(reading)?;
    }
    for compression in Compression::FOR_SLOW_MEDIA {
        let path = format!("{index}{}", compression.suffix());
        let Some(index) = locate(collector.medium, b"", path.as_bytes())? else {
            continue;
        };
        let source = collector.add_indirect_source(source, index);
        return collector.index(index, |collector, plain| {
            let base = content.data_dir.as_bytes();
            read_susetags(plain, |package| match package.file.clone() {
                Some(listed) => collector.add(source, base, listed, Listing::Set).map(drop),
                None => Ok(()),
            })
        });
    }
    if index_listed {
        collector.note_missing(source, index.as_bytes())?;
    }
    Ok(())
}

/// `.treeinfo`, which was made for the tree that the disc was cut from.
pub(super) fn treeinfo(collector: &mut Collector<'_>) -> Result<()> {
    let Some(entry) = locate(collector.medium, b"", b".treeinfo")? else {
        return Ok(());
    };
    let text = collector.read(entry)?;
    let source = collector.add_unsigned_source(entry, ".treeinfo");
    let listed = treeinfo::parse(&String::from_utf8_lossy(&text));
    for listed in listed.with_context(|| format!("reading {}", entry.path))? {
        let added = collector.add(source, b"", listed, Listing::Set);
        added.with_context(|| format!("reading {}", entry.path))?;
    }
    Ok(())
}

/// The lists at the root, strongest first.
pub(super) fn sums(collector: &mut Collector<'_>) -> Result<()> {
    for name in SUMS {
        let medium = collector.medium;
        let spellings = medium.entries().iter().filter(|entry| {
            let path = entry.path.as_str();
            path.is_some_and(|path| path.eq_ignore_ascii_case(name))
        });
        for spelling in spellings {
            if let Some(list) = locate(medium, b"", spelling.path.as_bytes())? {
                sums_in(collector, list, name)?;
            }
        }
    }
    Ok(())
}

fn sums_in(collector: &mut Collector<'_>, list: &MediumEntry, name: &'static str) -> Result<()> {
    let signature = [".gpg", ".sign", ".asc"]
        .iter()
        .find_map(|end| collector.sibling(list, end));
    let text = collector.read(list)?;
    let (source, text) = collector.add_signed_source(list, text, name, signature)?;
    for listed in sums::parse(&text) {
        let added = listed.and_then(|listed| collector.add(source, b"", listed, Listing::Medium));
        added.with_context(|| format!("reading {}", list.path))?;
    }
    Ok(())
}
