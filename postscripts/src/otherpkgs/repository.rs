//! An entry of `OTHERPKGDIR`: an internet repository or a directory of the management node, with options.
//!
//! Text comes in, values go out. The form is xCAT's (`https://host/repo suite component`), with options in front
//! as sources.list(5) has them; `nodeset` has checked the same text more strictly. Pure.

use anyhow::{Result, bail};
use definitions::Arch;

/// Where packages come from, as the definition says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RepoEntry {
    /// The name that it gives the repository.
    pub(super) name: Option<String>,
    pub(super) place: SourceLocation,
    /// The suite of an apt repository; without it it is flat.
    pub(super) suite: Option<String>,
    pub(super) components: Vec<String>,
    pub(super) architectures: Vec<Arch>,
    /// Where its key is: a path, or an address that rpm reads. `None`: the keys count that the node has.
    pub(super) signed_by: Option<String>,
    /// The definition says in words that it needs no signature.
    pub(super) trusted: bool,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceLocation {
    /// On the internet.
    Net(String),
    /// A directory of the management node.
    Directory(String),
}

/// Parts a list at its commas, but for those within brackets.
pub(super) fn parse(text: &str) -> Result<Vec<RepoEntry>> {
    let mut entries = Vec::new();
    let (mut start, mut within) = (0, false);
    for (at, c) in text.char_indices().chain([(text.len(), ',')]) {
        match c {
            '[' => within = true,
            ']' => within = false,
            ',' if !within || at == text.len() => {
                let entry = text[start..at].trim();
                start = (at + 1).min(text.len());
                if !entry.is_empty() {
                    entries.push(parse_entry(entry)?);
                }
            }
            _ => {}
        }
    }
    Ok(entries)
}

fn parse_entry(text: &str) -> Result<RepoEntry> {
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        bail!(
            "the entry '{}' holds the control character {c:?}",
            text.escape_debug()
        );
    }
    let line = text.strip_prefix("deb ").unwrap_or(text).trim_start();
    let (options, rest) = match line.strip_prefix('[') {
        None => ("", line),
        Some(rest) => match rest.split_once(']') {
            Some(parts) => parts,
            None => bail!("the entry '{text}' opens '[' and does not close it"),
        },
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let Some(uri) = words.next() else {
        bail!("the entry '{text}' has options and no address");
    };
    let place = if uri.starts_with("http://") || uri.starts_with("https://") {
        SourceLocation::Net(uri)
    } else if uri.starts_with('/') && !uri.split('/').any(|part| part == "..") {
        SourceLocation::Directory(uri.trim_end_matches('/').to_owned())
    } else {
        bail!(
            "the entry '{text}' is neither an address of http:// or https:// nor the path of a directory"
        );
    };
    let mut entry = RepoEntry {
        name: None,
        place,
        suite: words.next(),
        components: words.collect(),
        architectures: Vec::new(),
        signed_by: None,
        trusted: false,
    };
    for option in options.split_whitespace() {
        take(&mut entry, text, option)?;
    }
    Ok(entry)
}

fn take(entry: &mut RepoEntry, text: &str, option: &str) -> Result<()> {
    match option.split_once('=') {
        Some(("signed-by" | "gpgkey", "distribution")) => entry.signed_by = None,
        Some(("signed-by" | "gpgkey", key)) if key.starts_with('/') => {
            entry.signed_by = Some(key.to_owned());
        }
        Some(("gpgkey", url)) if url.starts_with("https://") => {
            entry.signed_by = Some(url.to_owned());
        }
        Some((option @ ("signed-by" | "gpgkey"), key)) => bail!(
            "the entry '{text}' says {option}={key}, which is neither the absolute path of a key nor \
             'distribution'"
        ),
        Some(("arch", list)) => {
            for name in list.split(',') {
                match name.parse() {
                    Ok(arch) => entry.architectures.push(arch),
                    Err(error) => bail!("the entry '{text}': {error}"),
                }
            }
        }
        Some(("name", name)) => entry.name = Some(name.to_owned()),
        Some(("trusted", "yes")) => entry.trusted = true,
        Some(("trusted", "no")) => entry.trusted = false,
        _ => bail!(
            "the entry '{text}' has the option '{option}': known are signed-by=PATH, gpgkey=PATH, \
             arch=ARCH[,…], name=NAME and trusted=yes"
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(place: SourceLocation, suite: &str, components: &[&str]) -> RepoEntry {
        RepoEntry {
            name: None,
            place,
            suite: (!suite.is_empty()).then(|| suite.to_owned()),
            components: components.iter().map(|&c| c.to_owned()).collect(),
            architectures: Vec::new(),
            signed_by: None,
            trusted: false,
        }
    }

    #[test]
    fn entries_are_those_of_xcat_with_options_in_front() {
        let docker = "https://download.docker.com/linux/debian";
        let net = |suite: &str, components: &[&str]| {
            entry(SourceLocation::Net(docker.to_owned()), suite, components)
        };
        let directory = |path: &str, suite: &str, components: &[&str]| {
            entry(
                SourceLocation::Directory(path.to_owned()),
                suite,
                components,
            )
        };
        let amd64: Arch = "amd64".parse().unwrap();
        let signed = |by: &str| Some(by.to_owned());
        for (text, expected) in [
            (
                format!("{docker} bookworm stable"),
                net("bookworm", &["stable"]),
            ),
            (
                format!("deb {docker} bookworm stable"),
                net("bookworm", &["stable"]),
            ),
            (
                format!("[signed-by=distribution] {docker} ./"),
                net("./", &[]),
            ),
            (
                format!("[signed-by=/k/d.asc arch=amd64,x86_64 name=docker] {docker} a test"),
                RepoEntry {
                    name: signed("docker"),
                    signed_by: signed("/k/d.asc"),
                    architectures: vec![amd64, amd64],
                    ..net("a", &["test"])
                },
            ),
            (
                format!("[gpgkey=https://h/gpg] {docker}"),
                RepoEntry {
                    signed_by: signed("https://h/gpg"),
                    ..net("", &[])
                },
            ),
            (
                "[trusted=yes] /install/post/otherpkgs/debian12/x86_64/".to_owned(),
                RepoEntry {
                    trusted: true,
                    ..directory("/install/post/otherpkgs/debian12/x86_64", "", &[])
                },
            ),
            (
                "[gpgkey=/k.asc] /install/mirror noble main".to_owned(),
                RepoEntry {
                    signed_by: signed("/k.asc"),
                    ..directory("/install/mirror", "noble", &["main"])
                },
            ),
        ] {
            assert_eq!(
                parse(&text).unwrap(),
                std::slice::from_ref(&expected),
                "{text}"
            );
            let other = directory("/other", "", &[]);
            assert_eq!(
                parse(&format!(",{text} ,, /other")).unwrap(),
                [expected, other]
            );
        }
        assert_eq!(parse(" , ").unwrap(), []);
    }

    #[test]
    fn what_is_no_entry_is_said_in_a_sentence() {
        for (text, message) in [
            (
                "ftp://host/repo main",
                "the entry 'ftp://host/repo main' is neither an address of http:// or https:// nor the \
                 path of a directory",
            ),
            (
                "/install/../etc",
                "the entry '/install/../etc' is neither an address of http:// or https:// nor the path \
                 of a directory",
            ),
            (
                "[arch=amd64",
                "the entry '[arch=amd64' opens '[' and does not close it",
            ),
            (
                "[arch=amd64]",
                "the entry '[arch=amd64]' has options and no address",
            ),
            (
                "[signed-by=docker.asc] https://host/a b c",
                "the entry '[signed-by=docker.asc] https://host/a b c' says signed-by=docker.asc, which is \
                 neither the absolute path of a key nor 'distribution'",
            ),
            (
                "[allow-insecure=yes] https://host/a b c",
                "the entry '[allow-insecure=yes] https://host/a b c' has the option \
                 'allow-insecure=yes': known are signed-by=PATH, gpgkey=PATH, arch=ARCH[,…], \
                 name=NAME and trusted=yes",
            ),
            (
                "https://host/a\nb c",
                "the entry 'https://host/a\\nb c' holds the control character '\\n'",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn no_text_brings_it_down(text in "[\\[\\]a-z=/:, .\n]{0,60}") {
            let _ = parse(&text);
        }
    }
}
