//! rpm media: `repomd.xml` → `primary.xml` → packages, for every repository on the medium.

use anyhow::{Context, Result};
use repodata::{Input, Repomd, read_primary};

use super::collector::{Collector, Listing};
use super::locate::split;

const CHAIN: &str = "repomd → primary";

/// Follows every `repodata/repomd.xml`. Clients fetch what they need of the metadata it lists, so that
/// a disc may lack some; its `primary` is there, and all packages that this lists.
pub(super) fn gather(collector: &mut Collector<'_>) -> Result<()> {
    for root in collector.named(&["repomd.xml"]) {
        let reading = || format!("reading {}", root.path);
        let (directory, _) = split(root.path.as_bytes());
        let (base, b"repodata") = split(directory) else {
            continue;
        };
        let text = collector.read(root)?;
        let signature = collector.sibling(root, ".asc");
        let (source, text) = collector.add_signed_source(root, text, CHAIN, signature)?;
        let name = root.path.to_string();
        let repomd = Input::plain(&name, text.as_slice()).and_then(Repomd::read);
        for (kind, listed) in repomd.with_context(reading)?.listed() {
            let primary = kind == "primary";
            let listing = if primary {
                Listing::Medium
            } else {
                Listing::Set
            };
            let found = collector
                .add(source, base, listed, listing)
                .with_context(reading)?;
            let Some(index) = found.filter(|_| primary) else {
                continue;
            };
            let source = collector.add_indirect_source(source, index);
            collector.index(index, |collector, plain| {
                read_primary(plain, |package| match package.file() {
                    Some(listed) => collector
                        .add(source, base, listed, Listing::Medium)
                        .map(drop),
                    None => Ok(()),
                })
            })?;
        }
    }
    Ok(())
}
