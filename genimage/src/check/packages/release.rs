//! apt's `Release`: which suite it is, and which indices are its own.
//!
//! A text comes in, its fields and the digests of its files go out. apt opens an index only if `Release` names
//! it, so one that lies there and is not named counts for nothing. Reference: the Debian wiki's
//! DebianRepository/Format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// No `Release` of a repository is longer, in bytes; a mirror's has a few megabytes.
const MAX_BYTES: u64 = 32 << 20;

/// What a `Release` says, as far as it counts here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Release {
    /// `Suite` and `Codename`, by which `name/release` in a list asks for it.
    pub(super) names: Vec<String>,
    /// Whether it keeps `Architecture: all` in an index of its own. Most do not: Debian says so in the field
    /// `No-Support-for-Architecture-all`.
    pub(super) splits_all: bool,
    /// The files that it names, with their SHA-256 in lower case where it gives one; none where it has no digests.
    pub(super) files: Option<BTreeMap<String, Option<String>>>,
}

impl Release {
    /// Reads the `Release`, or the `InRelease` where there is no other, of a directory; what cannot be read says
    /// nothing.
    pub(super) fn load(directory: &Path) -> Self {
        let read = |name: &str| {
            let mut text = String::new();
            let file = File::open(directory.join(name)).ok()?;
            file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
            Some(text)
        };
        let text = read("Release").or_else(|| read("InRelease"));
        text.map(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut release = Self::default();
        let (mut all, mut unsplit) = (false, false);
        let mut section = "";
        for line in text.lines() {
            if line.starts_with(' ') {
                release.file(section, line);
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            section = name;
            match name {
                "Suite" | "Codename" => release.names.push(value.trim().to_owned()),
                "Architectures" => all = value.split_ascii_whitespace().any(|one| one == "all"),
                "No-Support-for-Architecture-all" => unsplit = true,
                _ => {}
            }
        }
        release.splits_all = all && !unsplit;
        release
    }

    /// Takes `digest size path` of one of the sections of digests.
    fn file(&mut self, section: &str, line: &str) {
        let is_sha256 = section == "SHA256";
        if !is_sha256 && !["MD5Sum", "SHA1", "SHA512"].contains(&section) {
            return;
        }
        let mut words = line.split_ascii_whitespace();
        if let (Some(digest), Some(_), Some(path)) = (words.next(), words.next(), words.next()) {
            let files = self.files.get_or_insert_default();
            let known = files.entry(path.trim_start_matches("./").to_owned());
            let known = known.or_default();
            if is_sha256 {
                *known = Some(digest.to_ascii_lowercase());
            }
        }
    }

    /// Says whether apt opens a file, by its path beneath the directory of the `Release`.
    pub(super) fn names_file(&self, path: &str) -> bool {
        self.files
            .as_ref()
            .is_none_or(|files| files.contains_key(path))
    }

    /// Returns the SHA-256 that it gives for a file.
    pub(super) fn sha256(&self, path: &str) -> Option<&str> {
        self.files.as_ref()?.get(path)?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_files_and_digests_are_read() {
        let text = "Origin: x\nSuite: stable\nCodename: bookworm\nArchitectures: all amd64\n\
            MD5Sum:\n aa 3 main/binary-amd64/Packages\n bb 3 main/binary-amd64/Packages.gz\n\
            SHA256:\n CC 3 ./main/binary-amd64/Packages.gz\nDescription: a\n dd 3 no/file\n";
        let release = Release::parse(text);
        assert_eq!(release.names, ["stable", "bookworm"]);
        assert!(release.splits_all);
        assert!(release.names_file("main/binary-amd64/Packages"));
        assert!(!release.names_file("main/binary-amd64/Packages.xz"));
        assert!(!release.names_file("no/file"));
        let sha256 = |name: &str| release.sha256(&format!("main/binary-amd64/{name}"));
        assert_eq!(sha256("Packages.gz"), Some("cc"));
        assert_eq!(sha256("Packages"), None);
        let unsplit =
            Release::parse("Architectures: all amd64\nNo-Support-for-Architecture-all: Packages\n");
        assert!(!unsplit.splits_all);
    }

    #[test]
    fn without_digests_every_file_counts() {
        assert!(Release::default().names_file("Packages.xz"));
        assert!(Release::parse("Suite: x\n").names_file("Packages"));
    }
}
