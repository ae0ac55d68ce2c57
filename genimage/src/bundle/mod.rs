//! An osimage as one file, for another management node: written by `imgexport`, checked and taken in by `imgimport`.
//!
//! ```text
//! manifest (what is in it?) ─> export (one archive) ─> … ─> voucher (who vouches for it?)
//!      ─> import (checked) or xcat (as far as it carries over) ─> install (where does it go, under which name?)
//! ```
//!
//! Nothing of a bundle is believed before its digest was compared, and nothing is where anybody reads it before all of
//! it was.

pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod install;
mod manifest;
mod voucher;
mod xcat;

use definitions::Lock;
use serde_json::{Map, Value};

use crate::rootimg::record::RootImageRecord;
pub(crate) use manifest::NodeScripts;
pub(crate) use voucher::{ImportTrust, Voucher};

/// The most bytes of a list, a template or a script.
const MAX_FILE: u64 = 16 << 20;

/// The most bytes of a bundle, and of what one of xCAT's unpacks to.
const MAX_BYTES: u64 = 64 << 30;

/// What a bundle holds, once it was checked.
#[derive(Debug)]
pub(crate) struct Bundle {
    name: String,
    /// The attributes of the osimage, as `lsdef --json` prints them.
    attributes: Map<String, Value>,
    /// The install directory of where it comes from.
    installdir: Option<String>,
    files: Vec<BundleFile>,
    scripts: Option<NodeScripts>,
    image: Option<StagedImage>,
    voucher: Voucher,
    /// What does not carry over, a sentence each.
    left: Vec<String>,
}

/// A file that an attribute names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BundleFile {
    attribute: String,
    /// What the attribute says for it.
    value: String,
    bytes: Vec<u8>,
}

/// A root image whose files are beside where they go.
#[derive(Debug)]
struct StagedImage {
    record: RootImageRecord,
    staging: tempfile::TempDir,
    /// No other run works in the image's directory.
    lock: Lock,
}

/// The attributes that name files, which go along.
const FILE_ATTRIBUTES: [&str; 7] = [
    "template",
    "pkglist",
    "otherpkglist",
    "exlist",
    "postinstall",
    "synclists",
    "partitionfile",
];

/// Takes a path apart from what an attribute says before it: `s:/install/x` of a partitionfile.
fn split_value(value: &str) -> (&str, &str) {
    match value.split_at_checked(2) {
        Some((prefix, path)) if prefix.ends_with(':') && path.starts_with('/') => (prefix, path),
        _ => ("", value),
    }
}

/// The texts of an attribute, one or several.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A name of letters that every file system and every archive has.
fn plain(name: &str) -> String {
    let known = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    let name: String = name
        .chars()
        .map(|c| if known(c) { c } else { '_' })
        .collect();
    name.get(name.len().saturating_sub(40)..)
        .unwrap_or("file")
        .to_owned()
}
