//! How much of a medium its own lists cover, in one line.

use std::fmt;

use super::{ExpectedDigests, ImageDigests};
use crate::media::{EntryKind, MediumEntry};

/// How many files which lists cover. Prints as one sentence: `verified 5 files (12 MB): …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Every file, whatever covers it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What covers how many of them, strongest first.
    pub by: Vec<Cover>,
    /// Those that no list names; what is said of the whole image covers them all.
    pub uncovered: u64,
    /// What is said of the whole image, and who signed that.
    pub image: Option<(String, Option<String>)>,
    /// Whether the whole image has an implanted MD5, which is checked for the sake of those.
    pub implanted: bool,
}

/// Files that are covered alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cover {
    /// How: `SHA-256 of Release → Packages`.
    pub how: String,
    /// Who signed that.
    pub signed_by: Option<String>,
    /// How many files.
    pub files: u64,
}

impl Coverage {
    /// Counts the files of a medium by what is said of them.
    pub fn of(
        checksums: &ExpectedDigests,
        image: Option<&ImageDigests>,
        entries: &[MediumEntry],
    ) -> Self {
        let mut coverage = Self {
            files: 0,
            bytes: 0,
            by: Vec::new(),
            uncovered: 0,
            image: image.map(ImageDigests::how),
            implanted: checksums.implanted().is_some(),
        };
        let mut strengths = Vec::new();
        for entry in entries {
            let EntryKind::File { size, .. } = entry.kind else {
                continue;
            };
            coverage.files += 1;
            coverage.bytes += size;
            let Some(expected) = checksums.of(&entry.path).first() else {
                coverage.uncovered += 1;
                continue;
            };
            let source = checksums.source(expected);
            let how = format!("{} of {}", expected.digest.algorithm(), source.chain);
            let alike = |cover: &Cover| cover.how == how && cover.signed_by == source.signed_by;
            let at = coverage.by.iter().position(alike).unwrap_or_else(|| {
                let signed_by = source.signed_by.clone();
                strengths.push(expected.digest.algorithm());
                coverage.by.push(Cover {
                    how: how.clone(),
                    signed_by,
                    files: 0,
                });
                coverage.by.len() - 1
            });
            coverage.by[at].files += 1;
        }
        let mut ranked: Vec<_> = coverage.by.into_iter().zip(strengths).collect();
        ranked.sort_by_key(|(cover, strength)| std::cmp::Reverse((*strength, cover.files)));
        coverage.by = ranked.into_iter().map(|(cover, _)| cover).collect();
        coverage
    }
}

impl Coverage {
    /// Says what covers how many files, one text each, and what nothing covers.
    pub fn lines(&self) -> Vec<String> {
        let proven = self.by.iter().map(|cover| match &cover.signed_by {
            Some(name) => format!("{} by {} (signed by {name})", cover.files, cover.how),
            None => format!("{} by {}", cover.files, cover.how),
        });
        let rest = match (self.uncovered, self.implanted) {
            _ if self.image.is_some() => None,
            (0, _) => None,
            (files, true) => Some(format!("{files} by the MD5 implanted in the image")),
            (files, false) => Some(format!("{files} by nothing")),
        };
        let image = self.image.as_ref().map(|(how, signed_by)| match signed_by {
            Some(name) => format!("all by {how} (signed by {name})"),
            None => format!("all by {how}"),
        });
        image.into_iter().chain(proven).chain(rest).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines();
        let plural = if self.files == 1 { "" } else { "s" };
        write!(
            f,
            "{} file{plural} ({})",
            self.files,
            HumanBytes(self.bytes)
        )?;
        if lines.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", lines.join(", "))
        }
    }
}

/// A number of bytes as people read it: `1.2 GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanBytes(
    /// The bytes themselves.
    pub u64,
);

impl fmt::Display for HumanBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
        match units.into_iter().find(|(_, unit)| self.0 >= *unit) {
            // Tenths are enough, and integers do not round up to a unit that is not reached.
            Some((name, unit)) => {
                write!(f, "{}.{} {name}", self.0 / unit, self.0 % unit * 10 / unit)
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_covers_what_and_what_nothing_covers() {
        let cover = |how: &str, signed: Option<&str>, files| Cover {
            how: how.to_owned(),
            signed_by: signed.map(str::to_owned),
            files,
        };
        let mut coverage = Coverage {
            files: 7,
            bytes: 1_234_567_890,
            by: vec![
                cover("SHA-256 of Release → Packages", Some("Ann"), 4),
                cover("MD5 of md5sum.txt", None, 2),
            ],
            uncovered: 1,
            image: None,
            implanted: false,
        };
        assert_eq!(
            coverage.to_string(),
            "7 files (1.2 GB): 4 by SHA-256 of Release → Packages (signed by Ann), 2 by MD5 of \
             md5sum.txt, 1 by nothing"
        );
        coverage.implanted = true;
        assert!(
            coverage
                .to_string()
                .ends_with(", 1 by the MD5 implanted in the image")
        );
        coverage.image = Some((
            "the SHA-256 of the image in SHA256SUMS".to_owned(),
            Some("Ann".to_owned()),
        ));
        assert_eq!(
            coverage.to_string(),
            "7 files (1.2 GB): all by the SHA-256 of the image in SHA256SUMS (signed by Ann), 4 by SHA-256 \
             of Release → Packages (signed by Ann), 2 by MD5 of md5sum.txt"
        );
    }

    #[test]
    fn bytes_print_in_the_unit_they_reach() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "1.5 kB"),
            (999_999, "999.9 kB"),
            (12_000_000, "12.0 MB"),
        ] {
            assert_eq!(HumanBytes(bytes).to_string(), text);
        }
    }
}
