//! Repositories that the node has from elsewhere: from its installer, which is taken over, or from an
//! administrator, which is left alone.
//!
//! apt refuses to work at all when two files name one repository with different keys. So a file that the
//! installer wrote for the same entry makes room for ours, and what any other file names is left to it.

use std::fs;
use std::path::{Path, PathBuf};

use super::manager::Manager;
use super::places::{Found, Source};
use super::request::Subject;

/// Takes out of `found` what other files of the node name, with a note; returns the files that make room.
pub(super) fn settle(manager: Manager, subject: Subject, found: &mut Found) -> Vec<PathBuf> {
    let files = files(manager, subject);
    let mut room = Vec::new();
    let mut kept = Vec::new();
    for source in std::mem::take(&mut found.sources) {
        let named: Vec<_> = files
            .iter()
            .filter(|(_, text)| names(manager, text, &source))
            .collect();
        let other = named
            .iter()
            .find(|(path, _)| !is_installers(path, &source.installers));
        if let Some((path, _)) = other.filter(|_| manager == Manager::Apt) {
            let uri = &source.uri;
            found.notes.push(format!(
                "{uri} is named by {} already: it is left to that",
                path.display()
            ));
            continue;
        }
        for (path, _) in named
            .into_iter()
            .filter(|(path, _)| is_installers(path, &source.installers))
        {
            if !room.contains(path) {
                room.push(path.clone());
            }
        }
        kept.push(source);
    }
    let is_used = |path: &str| {
        kept.iter()
            .any(|source| source.key.as_deref() == Some(path))
    };
    found.keys.retain(|(path, _)| is_used(path));
    found.sources = kept;
    room
}

/// Returns the node's files of repositories, but for ours, with their texts.
fn files(manager: Manager, subject: Subject) -> Vec<(PathBuf, String)> {
    let (home, extension, _) = manager.homes();
    let mut paths = match manager {
        Manager::Apt => vec![PathBuf::from("/etc/apt/sources.list")],
        _ => Vec::new(),
    };
    let ours = format!("{}.{extension}", subject.stem());
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        let path = entry.path();
        let read = path
            .extension()
            .is_some_and(|e| e == extension || e == "list" && manager == Manager::Apt);
        if read && path.file_name().is_some_and(|name| name != ours.as_str()) {
            paths.push(path);
        }
    }
    paths.sort();
    let text = |path: PathBuf| fs::read_to_string(&path).ok().map(|text| (path, text));
    paths.into_iter().filter_map(text).collect()
}

/// Says whether a file is the one that an installer wrote for an entry.
fn is_installers(path: &Path, name: &str) -> bool {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let rest = stem.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Says whether a text names a repository.
fn names(manager: Manager, text: &str, source: &Source) -> bool {
    let same = |uri: &str| uri.trim_end_matches('/') == source.uri.trim_end_matches('/');
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    if manager != Manager::Apt {
        return lines
            .filter_map(|line| line.split_once('='))
            .any(|(key, value)| key.trim() == "baseurl" && same(value.trim()));
    }
    let suite = source.suite.as_deref().unwrap_or("./");
    // A line of a .list, or the fields of a stanza between empty lines.
    let lines: Vec<_> = lines.collect();
    let stanzas = lines
        .split(|line| line.trim().is_empty())
        .map(|stanza| stanza.join(" "));
    let one_line = lines
        .iter()
        .filter(|line| line.trim_start().starts_with("deb"))
        .map(|line| (*line).to_owned());
    stanzas
        .filter(|stanza| stanza.contains("URIs:"))
        .chain(one_line)
        .any(|unit| {
            let words: Vec<_> = unit.split_whitespace().collect();
            words.iter().any(|word| same(word)) && words.contains(&suite)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_known_again_in_every_form() {
        let source = Source {
            uri: "https://h/debian".to_owned(),
            suite: Some("bookworm".to_owned()),
            ..Source::default()
        };
        for (text, expected) in [
            (
                "deb [signed-by=/k] https://h/debian bookworm stable\n",
                true,
            ),
            ("deb https://h/debian/ bookworm stable\n", true),
            ("# deb https://h/debian bookworm stable\n", false),
            ("deb https://h/debian trixie stable\n", false),
            ("deb https://h/debian2 bookworm stable\n", false),
            (
                "Types: deb\nURIs: https://h/debian\nSuites: trixie bookworm\nSigned-By:\n -----\n",
                true,
            ),
            (
                "URIs: https://h/debian\nSuites: trixie\n\nURIs: https://x\nSuites: bookworm\n",
                false,
            ),
        ] {
            assert_eq!(names(Manager::Apt, text, &source), expected, "{text}");
        }
        let flat = Source {
            suite: None,
            ..source.clone()
        };
        assert!(names(Manager::Apt, "deb https://h/debian ./\n", &flat));
        for (text, expected) in [
            ("[a]\nbaseurl = https://h/debian/\n", true),
            ("[a]\n#baseurl=https://h/debian\nbaseurl=https://h\n", false),
        ] {
            assert_eq!(names(Manager::Dnf, text, &flat), expected, "{text}");
        }
    }

    #[test]
    fn an_installers_file_has_the_entrys_name() {
        for (path, name, expected) in [
            ("/etc/apt/sources.list.d/extra1.sources", "extra1", true),
            ("/etc/apt/sources.list.d/extra1-sub.sources", "extra1", true),
            ("/etc/apt/sources.list.d/extra10.sources", "extra1", false),
            ("/etc/yum.repos.d/docker-ce.repo", "docker-ce", true),
        ] {
            assert_eq!(is_installers(Path::new(path), name), expected, "{path}");
        }
    }
}
