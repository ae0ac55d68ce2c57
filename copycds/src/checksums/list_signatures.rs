//! Who signed a list of images: signatures beside it, in it, or in a copy of it.
//!
//! The path of a list and its text come in; what was signed of it and by whom goes out. Every signature beside a list is
//! looked at: a bad one spoils the list, and of the others one that counts is enough. Some publishers keep a list that is
//! signed as a whole beside the plain one (`sha256sum.txt.asc` of CentOS), which is a list of its own and no signature.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use repodata::{is_clear_signed, signed_text};

use super::UnverifiedPolicy;
use super::image_lists::read;
use super::keyrings::{Keys, Signature};

/// Endings of a signature beside its list.
const SIGNATURES: [&str; 4] = [".sign", ".gpg", ".asc", ".sig"];

/// A list as far as it is to be read.
#[derive(Debug)]
pub(super) struct CheckedList {
    /// What was signed; all of it where nothing was, or where that is accepted.
    pub(super) text: Vec<u8>,
    /// Who signed it.
    pub(super) by: Option<String>,
    /// Why a signature that was accepted does not count.
    pub(super) note: Option<String>,
}

/// Checks the signatures of a list.
///
/// # Errors
/// When a signature is not of this list, cannot be read, or does not count and is not to be accepted.
pub(super) fn check(
    list: &Path,
    text: Vec<u8>,
    keys: &Keys,
    unverified: UnverifiedPolicy,
) -> Result<CheckedList> {
    let mut signatures = Vec::new();
    for path in beside(list) {
        let bytes = read(&path).with_context(|| format!("reading {}", path.display()))?;
        if !is_clear_signed(&bytes) {
            signatures.push((path, Some(bytes)));
        }
    }
    if signatures.is_empty() && is_clear_signed(&text) {
        signatures.push((list.to_owned(), None));
    }
    let (mut good, mut refused) = (None, None);
    for (path, bytes) in &signatures {
        let shown = path.display();
        match keys.check(&text, bytes.as_deref())? {
            Signature::Good { by, text } => good = good.or(Some((by, text))),
            Signature::Bad { by } => bail!(
                "{shown} is not a signature of what {} holds now (signed by {by}): fetch both again",
                list.display()
            ),
            Signature::NotAccepted { reason } => {
                let why = format!("the signature {shown} does not count: {reason}");
                refused = refused.or(Some(why));
            }
        }
    }
    if let Some((by, text)) = good {
        let (by, note) = (Some(by), None);
        return Ok(CheckedList { text, by, note });
    }
    match refused {
        Some(why) if unverified == UnverifiedPolicy::Refuse => bail!(
            "{why}; put the publisher's key into <config>/keyrings, or give the image's digest (--sha256), or import it as \
             unsigned (--accept-unsigned)"
        ),
        note => {
            let (text, by) = (signed_text(text), None);
            Ok(CheckedList { text, by, note })
        }
    }
}

/// Returns what is beside a list under the name of a signature, whatever it is.
fn beside(list: &Path) -> impl Iterator<Item = PathBuf> {
    let with = |ending: &str| {
        let mut name = list.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let paths = SIGNATURES.map(with).into_iter();
    paths.filter(|path| fs::symlink_metadata(path).is_ok())
}

/// Returns the copy of a list that is signed as a whole, beside it.
pub(super) fn signed_copy(list: &Path) -> Option<PathBuf> {
    beside(list).find(|path| is_signed_list(path))
}

/// Returns the list of a signature beside it, when it is the signature that was named.
pub(super) fn list_of(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    let list = SIGNATURES
        .iter()
        .find_map(|ending| text.strip_suffix(ending));
    let list = list.map(PathBuf::from).filter(|list| list.is_file());
    list.filter(|_| !is_signed_list(path))
        .unwrap_or_else(|| path.to_owned())
}

fn is_signed_list(path: &Path) -> bool {
    read(path).is_ok_and(|bytes| is_clear_signed(&bytes))
}
