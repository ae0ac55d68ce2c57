//! Keeps links within the medium.
//!
//! The sorted entries of a medium come in; the same without the links that lead out of it go out, and those
//! links. A link is followed as the kernel would (path_resolution(7)), through other links, with
//! the root of the medium in the place of `/` at the beginning and no way above it. An absolute link leads
//! out: once published, it would name a file of the machine that serves the tree. One that leads to nothing
//! stays, unless `..` follows what is not there: another disc of the tree could put anything there.

use super::entry::{EntryKind, MediumEntry};

/// Steps and links on the way of one link; the kernel follows 40 links.
const MAX_STEPS: usize = 512;
const MAX_LINKS: usize = 40;

/// Takes the links that lead out away from the entries.
pub(super) fn confine(entries: Vec<MediumEntry>) -> (Vec<MediumEntry>, Vec<MediumEntry>) {
    let out: Vec<bool> = entries
        .iter()
        .map(|entry| leads_out(&entries, entry))
        .collect();
    let (mut kept, mut left_out) = (Vec::with_capacity(entries.len()), Vec::new());
    for (entry, out) in entries.into_iter().zip(out) {
        if out {
            left_out.push(entry);
        } else {
            kept.push(entry);
        }
    }
    (kept, left_out)
}

fn leads_out(entries: &[MediumEntry], link: &MediumEntry) -> bool {
    let EntryKind::Symlink { target } = &link.kind else {
        return false;
    };
    let path = link.path.as_bytes();
    let parent = path
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(&b""[..], |slash| &path[..slash]);
    let mut at: Vec<&[u8]> = parts(parent).collect();
    let mut todo: Vec<&[u8]> = Vec::new();
    let (mut steps, mut links, mut gone) = (0, 1, false);
    if target.starts_with(b"/") {
        return true;
    }
    todo.extend(parts(target).rev());
    while let Some(part) = todo.pop() {
        steps += 1;
        if steps > MAX_STEPS {
            return true;
        }
        if part == b".." {
            if gone || at.pop().is_none() {
                return true;
            }
            continue;
        }
        at.push(part);
        let entry = if gone {
            None
        } else {
            find(entries, &at.join(&b'/'))
        };
        match entry.map(|entry| &entry.kind) {
            None => gone = true,
            Some(EntryKind::Symlink { target }) => {
                links += 1;
                if target.starts_with(b"/") {
                    return true;
                }
                if links > MAX_LINKS {
                    // The kernel gives up as well: nobody gets anywhere through it.
                    return false;
                }
                at.pop();
                todo.extend(parts(target).rev());
            }
            Some(_) => {}
        }
    }
    false
}

fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
}

fn find<'a>(entries: &'a [MediumEntry], path: &[u8]) -> Option<&'a MediumEntry> {
    let at = entries
        .binary_search_by(|entry| entry.path.as_bytes().cmp(path))
        .ok()?;
    entries.get(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::entry::{DataLocation, MediumPath};

    fn entry(path: &str, kind: EntryKind) -> MediumEntry {
        MediumEntry {
            path: MediumPath::new(path).unwrap(),
            kind,
            mode: 0o755,
            mtime: None,
        }
    }

    /// Builds a medium of directories (`d/`), files and links (`l -> target`).
    fn medium(lines: &[&str]) -> Vec<MediumEntry> {
        let parsed = lines.iter().map(|line| match line.split_once(" -> ") {
            Some((path, target)) => entry(
                path,
                EntryKind::Symlink {
                    target: target.into(),
                },
            ),
            None => match line.strip_suffix('/') {
                Some(path) => entry(path, EntryKind::Directory),
                None => {
                    let content = DataLocation::InPlace;
                    entry(line, EntryKind::File { size: 0, content })
                }
            },
        });
        let mut entries: Vec<_> = parsed.collect();
        entries.sort_by(|one, two| one.path.cmp(&two.path));
        entries
    }

    fn left_out(lines: &[&str]) -> Vec<String> {
        let (_, left) = confine(medium(lines));
        left.iter().map(|link| link.path.to_string()).collect()
    }

    #[test]
    fn links_within_the_medium_stay_and_those_that_leave_it_do_not() {
        let base = ["d/", "d/e/", "d/e/f", "here -> .", "deep -> d/e"];
        for (link, stays) in [
            ("l -> d/e/f", true),
            ("l -> ./d//e/../e/f", true),
            ("l -> none", true),
            ("l -> l", true),
            ("d/l -> ../d/e", true),
            ("d/l -> ../../etc", false),
            ("l -> /etc", false),
            ("l -> //d/e", false),
            ("l -> ..", false),
            ("l -> deep/../../d", true),
            ("l -> deep/../../..", false),
            // Each step by its letters alone would stay within.
            ("l -> here/here/here/../../../etc", false),
            ("l -> none/../d", false),
        ] {
            let found = left_out(&[&base[..], &[link]].concat());
            assert_eq!(found.is_empty(), stays, "{link}: {found:?}");
        }
        let through = ["bad -> /etc", "l -> bad/passwd"];
        assert_eq!(
            left_out(&through),
            ["bad", "l"],
            "through one that leads out"
        );
    }

    proptest! {
        /// The kernel is asked where each link leads.
        #[test]
        fn what_stays_leads_nowhere_else(targets in proptest::collection::vec("(\\.\\./|d/|e/|a/|b/|c/|\\./){1,5}", 3)) {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("medium");
            std::fs::create_dir_all(root.join("d/e")).unwrap();
            let mut lines = vec!["d/".to_owned(), "d/e/".to_owned()];
            for (name, target) in ["a", "d/b", "d/e/c"].iter().zip(&targets) {
                let target = target.trim_end_matches('/');
                std::os::unix::fs::symlink(target, root.join(name)).unwrap();
                lines.push(format!("{name} -> {target}"));
            }
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let (kept, _) = confine(medium(&lines));
            let root = root.canonicalize().unwrap();
            for entry in kept {
                if let Ok(real) = root.join(entry.path.as_path()).canonicalize() {
                    prop_assert!(real.starts_with(&root), "{:?} of {lines:?}", entry.path);
                }
            }
        }
    }
}
