//! The keys by which the site signs trees, where the package managers of this host look for them.
//!
//! What the site has now and what it had before come in; apt's sources with such a key in them, and the file of rpm's, go out
//! with those of now. A source with any other key is somebody else's, and stays as it is. Reference: sources.list(5),
//! `Signed-By`; RFC 9580 §6 (armour).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use definitions::IdentityFiles;

use crate::files::{self, load_text, under_root};
use crate::identity::directory;
use crate::owner::load_state_text;
use crate::program;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Where apt's sources are.
const SOURCES: &str = "/etc/apt/sources.list.d";
/// The file that `genimage` names in repositories of rpm's.
const RPM_KEYS: &str = "/etc/pki/rpm-gpg/RPM-GPG-KEY-slipway-trees";
/// zypper verifies by the keys of rpm's own database.
const ZYPPER: &str = "/etc/zypp";

/// How long rpm may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Has this host verify trees by these keys, and keeps them; where the site has none, nothing changes.
///
/// # Errors
/// When a file cannot be written; another run begins anew.
pub(super) fn apply(root: &Path, keys: &str) -> Result<()> {
    let kept = directory(root).join(IdentityFiles::TREES);
    let before = load_state_text(&kept)?.unwrap_or_default();
    let given = blocks(keys);
    if given.is_empty() {
        return Ok(());
    }
    let known = [blocks(&before), given.clone()].concat();
    let sources = under_root(root, Path::new(SOURCES));
    for name in files::names(&sources)? {
        let path = sources.join(&name);
        // one that apt cannot read either is nobody's
        let text = load_text(&path).ok().flatten();
        let Some(text) = text.filter(|_| name.ends_with(".sources")) else {
            continue;
        };
        write(&path, &text, &with_keys(&text, &known, &given))?;
    }
    let path = under_root(root, Path::new(RPM_KEYS));
    if let Some(text) = load_text(&path)?
        && write(&path, &text, keys)?
    {
        import(root)?;
    }
    write(&kept, &before, keys).map(drop)
}

/// Says whether a text was another one, and is written.
fn write(path: &Path, before: &str, text: &str) -> Result<bool> {
    if before == text {
        return Ok(false);
    }
    files::replace(path, text.as_bytes(), 0o644)
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(true)
}

fn import(root: &Path) -> Result<()> {
    let has_zypper = under_root(root, Path::new(ZYPPER)).is_dir();
    let Some(rpm) = program::find("rpm").filter(|_| has_zypper && root == Path::new("/")) else {
        return Ok(());
    };
    let mut command = Command::new(rpm);
    program::run(command.args(["--import", RPM_KEYS]), Stdio::null(), TIMEOUT)
        .context("giving rpm the keys of trees")
        .map(drop)
}

/// Returns what each block of a text holds; one that is damaged is left out.
fn blocks(text: &str) -> Vec<Vec<u8>> {
    let mut lines = text.lines().map(str::trim);
    let mut found = Vec::new();
    while lines.any(|line| line == BEGIN) {
        let block = lines.by_ref().take_while(|line| *line != END);
        found.extend(decoded(block));
    }
    found
}

/// Returns what a block holds whose lines these are, between its first and its last.
fn decoded<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    // headers end at an empty line, which is a dot in apt's sources
    let body = lines.skip_while(|line| !matches!(*line, "" | "."));
    let body = body.skip(1).filter(|line| !line.starts_with('='));
    BASE64_STANDARD.decode(body.collect::<String>()).ok()
}

/// Puts keys in the place of each block of a source that holds known ones alone.
fn with_keys(text: &str, known: &[Vec<u8>], keys: &[Vec<u8>]) -> String {
    let mut out = String::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        if line.trim() != BEGIN {
            out.push_str(line);
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut block = vec![line];
        for line in lines.by_ref() {
            block.push(line);
            if line.trim() == END {
                break;
            }
        }
        let inner = block.iter().skip(1).map(|line| line.trim());
        let held = decoded(inner.take_while(|line| *line != END));
        match held {
            Some(held) if is_made_of(&held, known) => {
                for line in armoured(keys) {
                    out.push_str(&format!("{indent}{line}\n"));
                }
            }
            _ => out.extend(block),
        }
    }
    out
}

fn is_made_of(mut held: &[u8], known: &[Vec<u8>]) -> bool {
    let is_some = !held.is_empty();
    while !held.is_empty() {
        let next = known.iter().filter(|key| !key.is_empty());
        let mut rest = next.filter_map(|key| held.strip_prefix(key.as_slice()));
        let Some(rest) = rest.next() else {
            return false;
        };
        held = rest;
    }
    is_some
}

/// Returns the lines of one block with all keys, which is what apt reads in a source. Its checksum may be left out.
fn armoured(keys: &[Vec<u8>]) -> Vec<String> {
    let base64 = BASE64_STANDARD.encode(keys.concat());
    let body = base64.as_bytes().chunks(64);
    let body = body.map(|row| String::from_utf8_lossy(row).into_owned());
    let (begin, end) = ([BEGIN.to_owned(), ".".to_owned()], [END.to_owned()]);
    begin.into_iter().chain(body).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Keys that are as long as others are not, so that their armour has other line ends when they follow each other.
    const ONE: &[u8] = b"the first key of the site, which is long";
    const TWO: &[u8] = b"the second";
    const FOREIGN: &[u8] = b"somebody's";

    fn key(keys: &[&[u8]]) -> String {
        armoured(&keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>())
            .join("\n")
            .replace("\n.\n", "\n\n")
            + "\n"
    }

    fn source(keys: &[&[u8]]) -> String {
        let lines = armoured(&keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>());
        format!(
            "Types: deb\nURIs: http://10.1.0.1/install\nSuites: trixie\nSigned-By:\n {}\nEnabled: yes\n",
            lines.join("\n ")
        )
    }

    fn host() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for directory in [
            "etc/apt/sources.list.d",
            "etc/pki/rpm-gpg",
            "etc/slipway/identity",
        ] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        root
    }

    #[test]
    fn sources_of_the_site_follow_its_keys_and_no_others_do() {
        let host = host();
        let path = |name: &str| host.path().join(name);
        let (tree, other) = (
            path("etc/apt/sources.list.d/tree.sources"),
            path("etc/apt/sources.list.d/other.sources"),
        );
        let rpm = path(RPM_KEYS.trim_start_matches('/'));
        fs::write(&tree, source(&[ONE])).unwrap();
        let foreign = source(&[ONE, FOREIGN]);
        fs::write(&other, &foreign).unwrap();
        fs::write(&rpm, key(&[ONE])).unwrap();
        let both = key(&[ONE]) + &key(&[TWO]);
        for (keys, expected) in [
            (key(&[ONE]), &[ONE][..]),
            (both.clone(), &[ONE, TWO]),
            // a site without a key says nothing
            (String::new(), &[ONE, TWO]),
            (key(&[TWO]) + &key(&[ONE]), &[TWO, ONE]),
            (key(&[TWO]), &[TWO]),
        ] {
            for _ in 0..2 {
                apply(host.path(), &keys).unwrap();
                assert_eq!(fs::read_to_string(&tree).unwrap(), source(expected));
                let each: String = expected.iter().map(|one| key(&[one])).collect();
                assert_eq!(fs::read_to_string(&rpm).unwrap(), each);
                let kept = fs::read_to_string(path("etc/slipway/identity/trees.asc"));
                assert_eq!(kept.unwrap(), each);
                assert_eq!(fs::read_to_string(&other).unwrap(), foreign);
            }
        }
    }

    #[test]
    fn a_host_that_was_away_for_a_whole_change_knows_its_source_by_what_it_kept() {
        let host = host();
        let tree = host.path().join("etc/apt/sources.list.d/tree.sources");
        fs::write(&tree, source(&[ONE])).unwrap();
        apply(host.path(), &key(&[ONE])).unwrap();
        apply(host.path(), &key(&[TWO])).unwrap();
        assert_eq!(fs::read_to_string(&tree).unwrap(), source(&[TWO]));
    }

    #[test]
    fn what_is_no_source_with_a_key_stays_as_it_is() {
        let known = [ONE.to_vec()];
        for text in [
            "",
            "Types: deb\nSigned-By: /k.asc",
            &source(&[ONE]).replace(END, ""),
            &source(&[ONE]).replace("dGhl", "!"),
            &source(&[]),
        ] {
            assert_eq!(with_keys(text, &known, &known), text);
        }
    }
}
