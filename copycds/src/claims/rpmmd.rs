//! rpm media: `repomd.xml` → `primary.xml` → packages, for every repository on the medium.

use anyhow::{Context, Result};
use repodata::{Input, Repomd, read_primary};

use super::gathering::{Gathering, Listing};
use super::shelf::split;

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
        let name = root.path.to_string();
        let repomd = Input::plain(&name, text.as_slice()).and_then(Repomd::read);
        for (kind, listed) in repomd.with_context(reading)?.listed() {
            let primary = kind == "primary";
            let listing = if primary {
                Listing::Whole
            } else {
                Listing::Wider
            };
            let found = work
                .add(source, base, listed, listing)
                .with_context(reading)?;
            let Some(index) = found.filter(|_| primary) else {
                continue;
            };
            let source = work.below(source, index);
            work.index(index, |work, plain| {
                read_primary(plain, |package| match package.file() {
                    Some(listed) => work.add(source, base, listed, Listing::Whole).map(drop),
                    None => Ok(()),
                })
            })?;
        }
    }
    Ok(())
}
