//! Files that an administrator wrote and that are looked through: in whatever encoding, and beyond links
//! that root alone can have made.

use std::fs;
use std::path::{Path, PathBuf};

use super::{FileLookup, look_up_bytes, under_root};
use crate::owner;

/// What a program begins with, which nobody writes with an editor.
const ELF: &[u8] = b"\x7fELF";

/// A file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextFile {
    /// Where the file lies, as the host sees it, when a link leads there.
    pub(crate) target: Option<PathBuf>,
    /// Its content.
    pub(crate) text: String,
    /// Whether the text is the file's, byte for byte: it is UTF-8.
    pub(crate) is_exact: bool,
}

/// What is where somebody may have written a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inspected {
    /// A file.
    Text(TextFile),
    /// Nothing, or a directory.
    Nothing,
    /// Something that is not read, in words: `/etc/sysctl.d/a.conf is a named pipe: it is not read`.
    Unread(String),
}

/// Looks at the host's file at the absolute `path` of at most so many bytes.
pub(crate) fn inspect(root: &Path, path: &Path, limit: u64) -> Inspected {
    let unread = |why: &str| Inspected::Unread(format!("{} {why}: it is not read", path.display()));
    let place = under_root(root, path);
    let bytes = match look_up_bytes(&place, limit) {
        Ok(FileLookup::Text(bytes)) => bytes,
        Ok(FileLookup::Nothing) => return Inspected::Nothing,
        Ok(FileLookup::Odd(why)) => return unread(&why),
        Err(error) => return unread(&format!("cannot be opened ({})", error.root_cause())),
    };
    if bytes.starts_with(ELF) {
        return unread("is a program");
    }
    let is_link = fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_symlink());
    let target = match owner::check(root, path) {
        // what masks a file is empty
        _ if !is_link || bytes.is_empty() => None,
        Ok(target) => Some(target),
        Err(_) => return unread("is a link to a file that others may change"),
    };
    let text = String::from_utf8_lossy(&bytes);
    Inspected::Text(TextFile {
        target,
        is_exact: matches!(text, std::borrow::Cow::Borrowed(_)),
        text: text.into_owned(),
    })
}
