//! Shell patterns as the network backends use them for device and file names: `*`, `?`, `[a-z]`,
//! `[!a]`. Reference: fnmatch(3), without its flags.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::{names, under_root};

/// The paths below the root directory that match an absolute pattern, sorted; one without a wildcard
/// is itself. A wildcard fits no name that begins with a dot.
pub(crate) fn expand(root: &Path, pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = vec![PathBuf::from("/")];
    for part in pattern.components() {
        let part = match part {
            Component::Normal(part) => part,
            Component::ParentDir => {
                paths.iter_mut().for_each(|path| {
                    path.pop();
                });
                continue;
            }
            _ => continue,
        };
        let part = part.to_string_lossy();
        if !part.contains(['*', '?', '[']) {
            paths.iter_mut().for_each(|path| path.push(&*part));
            continue;
        }
        let mut found = Vec::new();
        for dir in paths {
            let names = names(&under_root(root, &dir))?;
            let fits = |known: &&String| matches(&part, known) && !known.starts_with('.');
            found.extend(names.iter().filter(fits).map(|known| dir.join(known)));
        }
        paths = found;
    }
    Ok(paths)
}

/// Whether the whole of `name` fits `pattern`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    fits(&pattern, &name)
}

fn fits(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|taken| fits(rest, &name[taken..])),
        ['?', rest @ ..] => !name.is_empty() && fits(rest, &name[1..]),
        ['[', rest @ ..] => match (rest.iter().skip(1).position(|c| *c == ']'), name) {
            (Some(end), [first, tail @ ..]) => {
                in_class(&rest[..=end], *first) && fits(&rest[end + 2..], tail)
            }
            _ => name.first() == Some(&'[') && fits(rest, &name[1..]),
        },
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            name.first() == Some(literal) && fits(rest, &name[1..])
        }
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, members) = match class {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut inside = false;
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            inside |= (members[at]..=members[at + 2]).contains(&c);
            at += 3;
        } else {
            inside |= members[at] == c;
            at += 1;
        }
    }
    inside != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_files_that_fit_it() {
        let root = tempfile::TempDir::new().unwrap();
        for file in ["a/x.d/1.conf", "a/x.d/.2.conf", "a/y.d/3.conf", "a/y.d/4"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let cases: [(&str, &[&str]); 5] = [
            ("/a/*.d/*.conf", &["/a/x.d/1.conf", "/a/y.d/3.conf"]),
            ("/a/y.d/[4-9]", &["/a/y.d/4"]),
            ("/a/missing", &["/a/missing"]),
            ("/a/./x.d/../y.d/4", &["/a/y.d/4"]),
            ("/missing/*", &[]),
        ];
        for (pattern, expected) in cases {
            let found = expand(root.path(), Path::new(pattern)).unwrap();
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn patterns_fit_whole_names() {
        let cases = [
            ("eth0", "eth0", true),
            ("eth0", "eth01", false),
            ("en*", "enp3s0", true),
            ("e*0", "enp3s0", true),
            ("eth?", "eth", false),
            ("eth[0-3]", "eth2", true),
            ("eth[!0-3]", "eth2", false),
            ("*", "", true),
            ("a[", "a[", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
