//! The `content` file of SUSE media up to SLES 12, and the package list it vouches for.
//!
//! Text comes in; listed files go out. `content` has lines such as `HASH SHA256 HEX  boot/x86_64/root`
//! (paths from the root of the medium), `KEY …` (the same) and `META …` (paths from `DESCRDIR`). The
//! list `packages` under `DESCRDIR` has one stanza a package (`=Pkg:`, `=Cks:`, `=Loc:`), whose files
//! lie under `DATADIR`. Form: libzypp's susetags documentation.

use std::io::BufRead;

use anyhow::{Context, Result, anyhow};

use super::lines::Lines;
use super::listed::Listed;
use crate::digest::Digest;

/// What `content` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Every file that it lists, from the root of the medium.
    pub(super) files: Vec<Listed>,
    /// Where the packages lie.
    pub(super) data: String,
    /// Where the lists of packages lie.
    pub(super) descr: String,
}

pub(super) fn parse(text: &str) -> Result<Content> {
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
        let found = values.find(|rest| rest.starts_with([' ', '\t']));
        found.map_or_else(String::new, |value| value.trim().to_owned())
    };
    let (data, descr) = (value("DATADIR"), value("DESCRDIR"));
    let mut files = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.splitn(2, [' ', '\t']);
        let below = match words.next() {
            Some("META") => descr.as_str(),
            Some("HASH" | "KEY") => "",
            _ => continue,
        };
        let file = file(below, words.next().unwrap_or(""));
        files.push(file.map_err(|why| anyhow!("line {}: {why}", number + 1))?);
    }
    Ok(Content { files, data, descr })
}

/// Reads `SHA256 HEX  path`.
fn file(below: &str, rest: &str) -> Result<Listed, String> {
    let expected = || "expected an algorithm, a digest and a path".to_owned();
    let (algorithm, rest) = rest.trim().split_once([' ', '\t']).ok_or_else(expected)?;
    let (hex, path) = rest.trim().split_once([' ', '\t']).ok_or_else(expected)?;
    Ok(Listed {
        path: [below, "/", path.trim()].concat().into_bytes(),
        digest: Digest::parse(algorithm.parse()?, hex)?,
        size: None,
    })
}

/// Hands every package of the list to `visit`, with its path below `DATADIR`.
pub(super) fn packages(
    reader: impl BufRead,
    mut visit: impl FnMut(Listed) -> Result<()>,
) -> Result<()> {
    let mut lines = Lines::new(reader);
    let (mut arch, mut digest) = (String::new(), None);
    loop {
        let number = lines.number() + 1;
        let Some(line) = lines.next()? else {
            return Ok(());
        };
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("=Pkg:") => {
                digest = None;
                arch = words.nth(3).unwrap_or("").to_owned();
            }
            Some("=Cks:") => {
                let (algorithm, hex) = words.next().zip(words.next()).unwrap_or_default();
                let parsed = algorithm.parse().and_then(|kind| Digest::parse(kind, hex));
                digest = Some(parsed.map_err(|why| anyhow!("line {number}: {why}"))?);
            }
            Some("=Loc:") => {
                let name = words
                    .nth(1)
                    .with_context(|| format!("line {number}: expected a name"))?;
                let path = [words.next().unwrap_or(&arch), "/", name]
                    .concat()
                    .into_bytes();
                if let Some(digest) = digest.take() {
                    visit(Listed {
                        path,
                        digest,
                        size: None,
                    })?;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    #[test]
    fn each_keyword_lists_below_its_own_directory() {
        let hex = Digest::of(Algorithm::Sha1, b"");
        let text = format!(
            "VERSION 11.4-0\nDATADIR suse\nDESCRDIR suse/setup/descr\nMETA SHA1 {hex}  packages.gz\n\
             HASH SHA1 {hex}  boot/x86_64/root\nKEY SHA1 {hex}  gpg-pubkey-1.asc\nKEYWORDS x\n"
        );
        let content = parse(&text).unwrap();
        let paths: Vec<_> = content
            .files
            .iter()
            .map(|file| String::from_utf8_lossy(&file.path))
            .collect();
        assert_eq!(
            paths,
            [
                "suse/setup/descr/packages.gz",
                "/boot/x86_64/root",
                "/gpg-pubkey-1.asc"
            ]
        );
        assert_eq!(
            (content.data.as_str(), content.descr.as_str()),
            ("suse", "suse/setup/descr")
        );
        assert_eq!(
            parse("HASH MD5 12").unwrap_err().to_string(),
            "line 1: expected an algorithm, a digest and a path"
        );
    }

    #[test]
    fn a_package_lies_in_the_directory_of_its_architecture_or_in_the_one_it_names() {
        let hex = Digest::of(Algorithm::Sha256, b"");
        let text = format!(
            "=Ver: 2.0\n=Pkg: a 1 2 x86_64\n=Cks: SHA256 {hex}\n=Loc: 1 a-1-2.x86_64.rpm\n\
             =Pkg: b 1 2 i586\n=Cks: SHA256 {hex}\n=Loc: 2 b-1-2.i586.rpm x86_64\n=Pkg: c 1 2 noarch\n\
             =Loc: 1 c.rpm\n"
        );
        let mut paths = Vec::new();
        packages(text.as_bytes(), |file| {
            paths.push(String::from_utf8(file.path)?);
            Ok(())
        })
        .unwrap();
        assert_eq!(paths, ["x86_64/a-1-2.x86_64.rpm", "x86_64/b-1-2.i586.rpm"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((META|HASH|=Pkg:|=Cks:|=Loc:|DATADIR)?[ a-f0-9A-F]{0,40}\n){0,8}") {
            let _ = parse(&text);
            let _ = packages(text.as_bytes(), |_| Ok(()));
        }
    }
}
