//! rpm media: `repomd.xml` → `primary.xml` → packages, for every repository on the medium.

use anyhow::{Context, Result};

use super::gathering::{Gathering, Listing};
use super::shelf::split;
use super::{primary, repomd};

const CHAIN: &str = "repomd → primary";

/// Follows every `repodata/repomd.xml`. Clients fetch what they need of the metadata it lists, so that
/// a disc may lack some; its `primary` is there, and all packages that this lists.
pub(super) fn gather(work: &mut Gathering<'_>) -> Result<()> {
    for root in work.named(&["repomd.xml"]) {
        let reading = || format!("reading {}", root.path);
        let (directory, _) = split(root.path.as_bytes());
        let (base, b"repodata") = split(directory) else {
            continue;
        };
        let text = work.read(root)?;
        let signature = work.beside(root, ".asc");
        let (source, text) = work.signed(root, text, CHAIN, signature)?;
        let text = String::from_utf8_lossy(&text);
        for data in repomd::parse(&text).with_context(reading)? {
            let primary = data.kind == "primary";
            let listing = if primary {
                Listing::Whole
            } else {
                Listing::Wider
            };
            let found = work
                .add(source, base, data.file, listing)
                .with_context(reading)?;
            let Some(index) = found.filter(|_| primary) else {
                continue;
            };
            let source = work.below(source, index);
            work.index(index, |work, plain| {
                primary::parse(plain, |listed| {
                    work.add(source, base, listed, Listing::Whole).map(drop)
                })
            })?;
        }
    }
    Ok(())
}
