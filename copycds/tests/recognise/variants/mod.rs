//! What goes by the words of a release and is not that release: an imitation, an add-on, an unfinished or
//! specially built one, a label on a disc with nothing to install. Each has its own name, or is refused.

mod files;
mod names;
mod words;

use copycds::recognise::Evidence;

use crate::{RULES, answer, recognise, table, volume, with_file, with_names};

fn disk_info(line: &str) -> Evidence {
    Evidence::of_file(".disk/info", line)
}

/// A `.treeinfo` by family, version, architecture and variant, parted by `/`.
fn treeinfo(text: &str) -> Evidence {
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap_or_default();
    let text = format!(
        "[general]\nfamily = {}\nversion = {}\narch = {}\nvariant = {}\n",
        next(),
        next(),
        next(),
        next()
    );
    Evidence::of_file(".treeinfo", text)
}

fn with_release(evidence: Evidence, codename: &str, text: &str) -> Evidence {
    with_file(evidence, &format!("dists/{codename}/Release"), text)
}
