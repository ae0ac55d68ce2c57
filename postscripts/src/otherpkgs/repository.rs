//! An entry of `OTHERPKGDIR`: an internet repository or a directory of the management node, with options.
//!
//! Text comes in, values go out. The form is xCAT's (`https://host/repo suite component`), with apt's options
//! in front as sources.list(5) has them. Pure.

use anyhow::{Result, bail};

/// Where packages come from, as the definition says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    /// Where its key is.
    pub(super) signed_by: Option<String>,
    pub(super) architectures: Vec<String>,
    /// The definition says in words that it needs no signature.
    pub(super) trusted: bool,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On the internet. Without a suite it is flat.
    Net {
        uri: String,
        suite: Option<String>,
        components: Vec<String>,
    },
    /// A directory of the management node.
    Directory(String),
}

/// Parts a list at its commas, but for those within brackets.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>> {
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

fn parse_entry(text: &str) -> Result<Entry> {
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        bail!(
            "the entry '{}' holds the control character {c:?}",
            text.escape_debug()
        );
    }
    let (options, rest) = match text.strip_prefix('[') {
        None => ("", text),
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
        Place::Net {
            uri,
            suite: words.next(),
            components: words.by_ref().collect(),
        }
    } else if uri.starts_with('/') && !uri.split('/').any(|part| part == "..") {
        Place::Directory(uri.trim_end_matches('/').to_owned())
    } else {
        bail!(
            "the entry '{text}' is neither an address of http:// or https:// nor the path of a directory"
        );
    };
    if let Some(more) = words.next() {
        bail!("the entry '{text}' is a directory, so '{more}' behind it means nothing");
    }
    let mut entry = Entry {
        place,
        signed_by: None,
        architectures: Vec::new(),
        trusted: false,
    };
    for option in options.split_whitespace() {
        take(&mut entry, text, option)?;
    }
    Ok(entry)
}

fn take(entry: &mut Entry, text: &str, option: &str) -> Result<()> {
    match option.split_once('=') {
        Some(("signed-by", key)) if key.starts_with('/') => entry.signed_by = Some(key.to_owned()),
        Some(("signed-by", key)) => {
            bail!(
                "the entry '{text}' is signed by '{key}', which is no absolute path of a key file"
            )
        }
        Some(("arch", list)) => entry.architectures = list.split(',').map(str::to_owned).collect(),
        Some(("trusted", "yes")) => entry.trusted = true,
        Some(("trusted", "no")) => entry.trusted = false,
        _ => bail!(
            "the entry '{text}' has the option '{option}': known are signed-by=PATH, arch=ARCH[,…] and \
             trusted=yes"
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn entries_are_those_of_xcat_with_options_in_front() {
        let docker = "https://download.docker.com/linux/debian bookworm stable";
        let text = format!(
            "{docker}, [signed-by=/k/d.asc arch=amd64,arm64] {docker} test , [trusted=yes] \
             /install/post/otherpkgs/debian12/x86_64/,,http://10.1.0.1/flat ./"
        );
        let net = |uri: &str, suite: &str, components: &[&str]| Entry {
            place: Place::Net {
                uri: uri.to_owned(),
                suite: Some(suite.to_owned()),
                components: components.iter().map(|&c| c.to_owned()).collect(),
            },
            signed_by: None,
            architectures: Vec::new(),
            trusted: false,
        };
        let uri = "https://download.docker.com/linux/debian";
        let second = Entry {
            signed_by: Some("/k/d.asc".to_owned()),
            architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
            ..net(uri, "bookworm", &["stable", "test"])
        };
        let third = Entry {
            place: Place::Directory("/install/post/otherpkgs/debian12/x86_64".to_owned()),
            trusted: true,
            ..net("", "", &[])
        };
        assert_eq!(
            parse(&text).unwrap(),
            [
                net(uri, "bookworm", &["stable"]),
                second,
                third,
                net("http://10.1.0.1/flat", "./", &[])
            ]
        );
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
                "/install/a main",
                "the entry '/install/a main' is a directory, so 'main' behind it means nothing",
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
                "the entry '[signed-by=docker.asc] https://host/a b c' is signed by 'docker.asc', which \
                 is no absolute path of a key file",
            ),
            (
                "[allow-insecure=yes] https://host/a b c",
                "the entry '[allow-insecure=yes] https://host/a b c' has the option \
                 'allow-insecure=yes': known are signed-by=PATH, arch=ARCH[,…] and trusted=yes",
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
