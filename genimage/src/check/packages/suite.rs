//! An apt suite: its names, and which indices its `Release` names.
//!
//! apt opens an index only if `Release` names it, so one that lies there and is not named counts for nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use repodata::{AptRelease, Digest, Input};

/// What counts of a suite's `Release`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Suite {
    /// `Suite` and `Codename`, by which `name/release` in a list asks for it.
    pub(super) names: Vec<String>,
    /// Whether it keeps `Architecture: all` in an index of its own.
    pub(super) splits_all: bool,
    /// The files that it names, with the best digest of each that cannot be forged; none where it has no digests.
    files: Option<BTreeMap<String, Option<Digest>>>,
}

impl Suite {
    /// Reads the `InRelease` of a directory, or the `Release` where there is no other, as apt does; without either it says
    /// nothing.
    ///
    /// # Errors
    /// The file that cannot be read, and why.
    pub(super) fn load(directory: &Path) -> Result<Self, (PathBuf, anyhow::Error)> {
        for name in ["InRelease", "Release"] {
            let path = directory.join(name);
            let file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err((path, error.into())),
                Ok(file) => file,
            };
            let input = Input::plain(&path.display().to_string(), file);
            return match input.and_then(AptRelease::read) {
                Ok(release) => Ok(Self::of(release)),
                Err(error) => Err((path, error.into())),
            };
        }
        Ok(Self::default())
    }

    fn of(release: AptRelease) -> Self {
        let all = release.architectures.iter().any(|arch| arch == "all");
        let mut files: BTreeMap<String, Option<Digest>> = BTreeMap::new();
        for file in release.files {
            let path = String::from_utf8_lossy(&file.path);
            let known = files.entry(path.trim_start_matches("./").to_owned());
            let known = known.or_default();
            let is_better = known.is_none_or(|known| known.rank() < file.digest.rank());
            if file.digest.algorithm().is_strong() && is_better {
                *known = Some(file.digest);
            }
        }
        Self {
            names: release.suite.into_iter().chain(release.codename).collect(),
            splits_all: all && !release.all_is_merged,
            files: (!files.is_empty()).then_some(files),
        }
    }

    /// Says whether apt opens a file, by its path below the directory of the `Release`.
    pub(super) fn names_file(&self, path: &str) -> bool {
        self.files
            .as_ref()
            .is_none_or(|files| files.contains_key(path))
    }

    /// Returns the digest that it gives for a file, if that cannot be forged.
    pub(super) fn digest(&self, path: &str) -> Option<Digest> {
        *self.files.as_ref()?.get(path)?
    }

    /// Whether it has digests and none of this file that apt would take.
    pub(super) fn gives_only_weak(&self, path: &str) -> bool {
        let files = self.files.as_ref();
        files.is_some_and(|files| files.get(path).is_some_and(Option::is_none))
    }

    /// Whether it is the suite that is asked for; `bookworm/updates` is one of `bookworm`. One without names is any.
    pub(super) fn is_suite(&self, wanted: &str) -> bool {
        let is_it = |name: &String| {
            wanted
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.names.is_empty() || self.names.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use repodata::Algorithm;

    use super::*;

    fn suite(text: &str) -> Suite {
        let input = Input::plain("Release", text.as_bytes()).unwrap();
        Suite::of(AptRelease::read(input).unwrap())
    }

    #[test]
    fn suites_files_and_digests_are_read() {
        let [md5, sha256, sha512] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512]
            .map(|kind| Digest::of(kind, b""));
        let text = format!(
            "Origin: x\nSuite: stable\nCodename: bookworm\nArchitectures: all amd64\n\
             MD5Sum:\n {md5} 3 main/binary-amd64/Packages\n {md5} 3 main/binary-amd64/Packages.gz\n\
             SHA256:\n {sha256} 3 ./main/binary-amd64/Packages.gz\n\
             SHA512:\n {sha512} 3 main/binary-amd64/Packages.gz\n {sha512} 3 main/binary-amd64/Packages.xz\nDescription: a\n dd 3 no/file\n"
        );
        let release = suite(&text);
        assert_eq!(release.names, ["stable", "bookworm"]);
        assert!(release.splits_all);
        assert!(release.names_file("main/binary-amd64/Packages"));
        assert!(!release.names_file("main/binary-amd64/Packages.lz4"));
        assert!(!release.names_file("no/file"));
        let found = |name: &str| release.digest(&format!("main/binary-amd64/{name}"));
        assert_eq!(found("Packages.gz"), Some(sha256));
        assert_eq!(found("Packages.xz"), Some(sha512));
        assert_eq!(found("Packages"), None);
        let weak = |name: &str| release.gives_only_weak(&format!("main/binary-amd64/{name}"));
        assert_eq!(
            ["Packages", "Packages.gz", "Packages.lz4"].map(weak),
            [true, false, false]
        );
        for (wanted, expected) in [
            ("stable", true),
            ("bookworm/updates", true),
            ("bookworm-updates", false),
        ] {
            assert_eq!(release.is_suite(wanted), expected, "{wanted}");
        }
        assert!(suite("").is_suite("any"));
        let merged = suite("Architectures: all amd64\nNo-Support-for-Architecture-all: Packages\n");
        assert!(!merged.splits_all);
    }

    #[test]
    fn without_digests_every_file_counts() {
        assert!(Suite::default().names_file("Packages.xz"));
        assert!(suite("Suite: x\n").names_file("Packages"));
        assert!(suite("SHA256:\n").names_file("Packages"));
    }

    #[test]
    fn a_damaged_release_is_an_error_and_a_missing_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Suite::load(dir.path()).unwrap(), Suite::default());
        std::fs::write(dir.path().join("InRelease"), "Suite: x\nSHA256:\n aa 3 b\n").unwrap();
        let (path, why) = Suite::load(dir.path()).unwrap_err();
        assert_eq!(path, dir.path().join("InRelease"));
        assert_eq!(why.to_string(), "line 3: 'aa' is no SHA-256 value");
    }
}
