//! Finds the file on a medium that metadata means.

use anyhow::{Result, bail};

use crate::media::{EntryKind, Medium, MediumEntry};

/// No path leads through more links.
const MAX_LINKS: usize = 40;

/// Returns the file that `path` names when read from the directory `base`, through links that stay on
/// the medium; nothing when no file is there.
///
/// # Errors
/// When the path leads out of the medium: no honest metadata says so.
pub(super) fn locate<'a>(
    medium: &'a Medium,
    base: &[u8],
    path: &[u8],
) -> Result<Option<&'a MediumEntry>> {
    let parts = |path: &[u8]| {
        path.split(|byte| *byte == b'/')
            .map(<[u8]>::to_vec)
            .rev()
            .collect()
    };
    let mut todo: Vec<Vec<u8>> = parts(&[base, b"/", path].concat());
    let mut at: Vec<Vec<u8>> = Vec::new();
    let (mut hops, mut found) = (0, None);
    while let Some(part) = todo.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                if at.pop().is_none() {
                    bail!("'{}' leads out of the medium", path.escape_ascii());
                }
                found = entry(medium, &at.join(&b'/'));
                continue;
            }
            _ => at.push(part),
        }
        found = entry(medium, &at.join(&b'/'));
        match found.map(|entry| &entry.kind) {
            None => return Ok(None),
            Some(EntryKind::Symlink { target }) => {
                hops += 1;
                if hops > MAX_LINKS || target.starts_with(b"/") {
                    return Ok(None);
                }
                at.pop();
                todo.extend::<Vec<_>>(parts(target));
            }
            Some(_) => {}
        }
    }
    Ok(found.filter(|entry| matches!(entry.kind, EntryKind::File { .. })))
}

fn entry<'a>(medium: &'a Medium, path: &[u8]) -> Option<&'a MediumEntry> {
    let entries = medium.entries();
    let at = entries
        .binary_search_by(|entry| entry.path.as_bytes().cmp(path))
        .ok()?;
    entries.get(at)
}

/// Parts a path into its directory (empty at the root) and its name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_is_followed_through_links_and_never_out_of_the_medium() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("Packages/a")).unwrap();
        fs::create_dir(root.join("Server")).unwrap();
        fs::write(root.join("Packages/a/a.rpm"), "a").unwrap();
        symlink("../Packages", root.join("Server/Packages")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/etc", root.join("etc")).unwrap();
        let medium = Medium::open(root).unwrap();
        let found = |base: &str, path: &str| {
            let entry = locate(&medium, base.as_bytes(), path.as_bytes()).unwrap();
            entry.map(|entry| entry.path.to_string())
        };
        let there = Some("Packages/a/a.rpm".to_owned());
        assert_eq!(found("", "./Packages/a/a.rpm"), there);
        assert_eq!(found("Server", "Packages/a/a.rpm"), there);
        assert_eq!(found("Server", "../Packages//a/a.rpm"), there);
        for (base, path) in [
            ("", "Packages"),
            ("", "a.rpm"),
            ("", "loop"),
            ("", "etc/passwd"),
        ] {
            assert_eq!(found(base, path), None, "{path}");
        }
        let error = locate(&medium, b"Server", b"../../etc/passwd").unwrap_err();
        assert_eq!(
            error.to_string(),
            "'../../etc/passwd' leads out of the medium"
        );
    }
}
