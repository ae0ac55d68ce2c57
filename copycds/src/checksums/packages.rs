//! Debian's `Packages` and `Sources`: what lies in the pool.
//!
//! A stream of lines comes in (these indices have hundreds of megabytes on a full archive), and every
//! file that a stanza names goes to a visitor, with the best of the digests that this one author gives it.
//! Of a binary package that is `Filename` and `Size`; of a source package, every line of `Checksums-Sha256`
//! (or `-Sha1`, or `Files`, which is MD5) under its `Directory`. Form: Debian Policy §5, Debian repository format.

use std::io::BufRead;

use anyhow::{Context, Result, anyhow, ensure};

use super::lines::Lines;
use super::listed::{Listed, rank};
use crate::digest::{Algorithm, Digest};

/// No stanza lists more files; the largest source packages have some dozens.
const MOST_FILES: usize = 10_000;

/// What one stanza has said so far.
#[derive(Default)]
struct Stanza {
    filename: Option<Vec<u8>>,
    size: Option<u64>,
    digests: Vec<Digest>,
    directory: Vec<u8>,
    /// The field that the continuation lines belong to, when it lists files.
    section: Option<Algorithm>,
    files: Vec<Listed>,
}

/// Hands every file that the index lists to `visit`.
pub(super) fn parse(
    reader: impl BufRead,
    mut visit: impl FnMut(Listed) -> Result<()>,
) -> Result<()> {
    let mut lines = Lines::new(reader);
    let mut stanza = Stanza::default();
    loop {
        let number = lines.number() + 1;
        match lines.next()? {
            Some(line) if !line.is_empty() => {
                stanza
                    .line(line)
                    .with_context(|| format!("line {number}"))?;
            }
            end => {
                let last = end.is_none();
                std::mem::take(&mut stanza)
                    .files()
                    .into_iter()
                    .try_for_each(&mut visit)?;
                if last {
                    return Ok(());
                }
            }
        }
    }
}

impl Stanza {
    fn line(&mut self, line: &[u8]) -> Result<()> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return match self.section {
                Some(algorithm) => self.file(algorithm, line),
                None => Ok(()),
            };
        }
        self.section = None;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Ok(());
        };
        let value = line[colon + 1..].trim_ascii();
        match &line[..colon] {
            b"Filename" => self.filename = Some(value.to_vec()),
            b"Directory" => self.directory = value.to_vec(),
            b"Size" => self.size = Some(number(value)?),
            b"SHA256" => self.take(Algorithm::Sha256, value)?,
            b"SHA512" => self.take(Algorithm::Sha512, value)?,
            b"SHA1" => self.take(Algorithm::Sha1, value)?,
            b"MD5sum" => self.take(Algorithm::Md5, value)?,
            b"Checksums-Sha256" => self.section = Some(Algorithm::Sha256),
            b"Checksums-Sha512" => self.section = Some(Algorithm::Sha512),
            b"Checksums-Sha1" => self.section = Some(Algorithm::Sha1),
            b"Files" => self.section = Some(Algorithm::Md5),
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, algorithm: Algorithm, hex: &[u8]) -> Result<()> {
        let digest = digest(algorithm, hex)?;
        match self.digests.iter().find(|old| old.algorithm() == algorithm) {
            Some(old) => ensure!(*old == digest, "it says two {algorithm} of one file"),
            None => self.digests.push(digest),
        }
        Ok(())
    }

    /// Takes a line `HEX SIZE NAME` of a source package.
    fn file(&mut self, algorithm: Algorithm, line: &[u8]) -> Result<()> {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let mut word = || {
            words
                .next()
                .ok_or_else(|| anyhow!("expected a digest, a size and a name"))
        };
        let (hex, size, name) = (word()?, word()?, word()?);
        ensure!(
            self.files.len() < MOST_FILES,
            "its stanza lists more than {MOST_FILES} files"
        );
        self.files.push(Listed {
            path: name.to_vec(),
            digest: digest(algorithm, hex)?,
            size: Some(number(size)?),
        });
        Ok(())
    }

    /// Returns what the stanza lists, each file once; a source package's names stand in its directory.
    fn files(mut self) -> Vec<Listed> {
        if let Some(path) = self.filename {
            let size = self.size;
            let best = self.digests.into_iter().max_by_key(|digest| rank(*digest));
            let listed = best.map(|digest| Listed { path, digest, size });
            return listed.into_iter().collect();
        }
        self.files.sort_by(|one, two| {
            one.path
                .cmp(&two.path)
                .then(rank(two.digest).cmp(&rank(one.digest)))
        });
        self.files.dedup_by(|two, one| one.path == two.path);
        let within = |file: Listed| {
            let path = [self.directory.as_slice(), b"/", &file.path].concat();
            Listed { path, ..file }
        };
        self.files.into_iter().map(within).collect()
    }
}

fn digest(algorithm: Algorithm, hex: &[u8]) -> Result<Digest> {
    Digest::parse(algorithm, &String::from_utf8_lossy(hex)).map_err(|why| anyhow!(why))
}

fn number(digits: &[u8]) -> Result<u64> {
    let digits = String::from_utf8_lossy(digits);
    digits
        .parse()
        .with_context(|| format!("reading the size '{digits:.40}'"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        parse(text.as_bytes(), |file| {
            listed.push(file);
            Ok(())
        })?;
        Ok(listed)
    }

    fn empty(path: &str, algorithm: Algorithm) -> Listed {
        Listed {
            path: path.as_bytes().to_vec(),
            digest: Digest::of(algorithm, b""),
            size: Some(0),
        }
    }

    #[test]
    fn a_binary_package_is_one_file_with_its_best_digest() {
        let text = "Package: a\nDepends: b\n SHA256: no field\nFilename: pool/main/a/a_1_all.deb\nSize: 0\n\
                    MD5sum: d41d8cd98f00b204e9800998ecf8427e\n\
                    SHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
                    \nPackage: without-a-file\n";
        let expected = empty("pool/main/a/a_1_all.deb", Algorithm::Sha256);
        assert_eq!(all(text).unwrap(), [expected]);
    }

    #[test]
    fn a_source_package_is_every_file_of_its_directory() {
        let text = "Package: a\nFiles:\n d41d8cd98f00b204e9800998ecf8427e 0 a_1.dsc\n\
                    Directory: pool/main/a\nChecksums-Sha1:\n da39a3ee5e6b4b0d3255bfef95601890afd80709 0 a_1.dsc\n";
        let expected = empty("pool/main/a/a_1.dsc", Algorithm::Sha1);
        assert_eq!(all(text).unwrap(), [expected]);
    }

    #[test]
    fn a_stanza_without_end_is_refused() {
        let line = " d41d8cd98f00b204e9800998ecf8427e 0 a\n";
        let text = format!("Files:\n{}", line.repeat(MOST_FILES + 1));
        assert_eq!(
            format!("{:#}", all(&text).unwrap_err()),
            "line 10002: its stanza lists more than 10000 files"
        );
    }

    #[test]
    fn a_damaged_field_is_an_error_with_its_line() {
        let error = |text| format!("{:#}", all(text).unwrap_err());
        assert_eq!(
            error("Package: a\nSize: 1x\n"),
            "line 2: reading the size '1x': invalid digit found in string"
        );
        assert_eq!(error("SHA256: 12\n"), "line 1: '12' is no SHA-256 value");
        assert_eq!(
            error(
                "MD5sum: d41d8cd98f00b204e9800998ecf8427e\nMD5sum: 00000000000000000000000000000000\n"
            ),
            "line 2: it says two MD5 of one file"
        );
        assert_eq!(
            error("Files:\n 12\n"),
            "line 2: expected a digest, a size and a name"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((Files|Size|SHA256|Filename|Directory|x):? ?[0-9a-f ]{0,40}\n| [0-9a-f ]{0,40}\n|\n){0,12}") {
            let _ = all(&text);
        }
    }
}
