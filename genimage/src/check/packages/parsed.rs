//! One index: what it holds, parsed or as it was kept.
//!
//! A path comes in; what is in the file goes out, with the digest of the very bytes that were parsed where one is asked
//! for. A large index is hashed first, and parsed only where the store has nothing for its digest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use anyhow::Result;
use repodata::{Algorithm, Digest, Hasher, Input};

use super::index::Gathered;
use super::index_file::IndexKind;
use super::store::{IndexKey, IndexStore, MIN_BYTES};

/// What became of an index.
#[derive(Debug)]
pub(super) enum ParsedIndex {
    /// What it holds, as far as it could be parsed, and why it could not be parsed to its end.
    Read(Gathered, Option<anyhow::Error>),
    /// Its bytes are not those that were expected.
    Differs,
}

impl ParsedIndex {
    /// Reads an index.
    pub(super) fn load(
        path: &Path,
        kind: IndexKind,
        expected: Option<Digest>,
        store: &IndexStore,
    ) -> Self {
        let mut gathered = Gathered::default();
        let read = read(path, kind, expected, store, &mut gathered);
        read.unwrap_or_else(|error| Self::Read(gathered, Some(error)))
    }
}

/// Parses an index, or returns what was kept of it.
fn read(
    path: &Path,
    kind: IndexKind,
    expected: Option<Digest>,
    store: &IndexStore,
    gathered: &mut Gathered,
) -> Result<ParsedIndex> {
    let mut file = File::open(path)?;
    let is_kept = store.is_there() && file.metadata()?.len() >= MIN_BYTES;
    if is_kept {
        let (digest, differs) = HashedIndex::new(&file, expected).finish()?;
        if differs {
            return Ok(ParsedIndex::Differs);
        }
        if let Some(kept) = store.load(IndexKey { digest, kind }) {
            return Ok(ParsedIndex::Read(kept, None));
        }
        file.rewind()?;
    }
    let name = path.display().to_string();
    if is_kept || expected.is_some() {
        let mut hashed = HashedIndex::new(&file, expected);
        let parsed = Input::open(&name, &mut hashed).map_err(anyhow::Error::from);
        let parsed = parsed.and_then(|input| kind.read(input, gathered));
        let (digest, differs) = hashed.finish()?;
        if differs {
            return Ok(ParsedIndex::Differs); // which says more than that it cannot be parsed
        }
        parsed?;
        if is_kept {
            gathered.sort();
            store.keep(IndexKey { digest, kind }, gathered);
        }
    } else {
        kind.read(Input::open(&name, file)?, gathered)?;
    }
    Ok(ParsedIndex::Read(std::mem::take(gathered), None))
}

/// Hashes what is read: by SHA-256, under which indices are kept, and by the algorithm of the digest that it must have.
struct HashedIndex<R> {
    inner: R,
    hasher: Hasher,
    expected: Option<(Digest, Hasher)>,
}

impl<R: Read> HashedIndex<R> {
    fn new(inner: R, expected: Option<Digest>) -> Self {
        Self {
            inner,
            hasher: Hasher::new(Algorithm::Sha256),
            expected: expected.map(|digest| (digest, Hasher::new(digest.algorithm()))),
        }
    }

    /// Reads what is left, and returns the digest of everything, and whether it differs from the expected one.
    fn finish(mut self) -> io::Result<(Digest, bool)> {
        let mut rest = BufReader::with_capacity(64 << 10, &mut self);
        loop {
            let length = rest.fill_buf()?.len();
            if length == 0 {
                let differs = self
                    .expected
                    .is_some_and(|(digest, hasher)| hasher.finish() != digest);
                return Ok((self.hasher.finish(), differs));
            }
            rest.consume(length);
        }
    }
}

impl<R: Read> Read for HashedIndex<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        if let Some((_, hasher)) = &mut self.expected {
            hasher.update(&buffer[..length]);
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_index_is_parsed_once_and_one_with_another_digest_never() {
        let dir = tempfile::tempdir().unwrap();
        let store = IndexStore::new(dir.path().join("indices"), 64 << 20);
        let path = dir.path().join("Packages");
        let large = |name: &str| {
            let padding = "x".repeat(usize::try_from(MIN_BYTES).unwrap());
            format!("Package: {name}\nVersion: 1\nDescription: {padding}\n")
        };
        let digest = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes());
        let load = |expected: Option<&str>| {
            let expected = expected.map(digest);
            match ParsedIndex::load(&path, IndexKind::Apt, expected, &store) {
                ParsedIndex::Differs => "differs".to_owned(),
                ParsedIndex::Read(parsed, error) => {
                    let index = parsed.finish();
                    let names: Vec<_> = index.packages.iter().collect();
                    let error = error.map_or(String::new(), |error| format!("{error:#}"));
                    names.join(" ") + &error
                }
            }
        };
        let kept = || {
            let entries = std::fs::read_dir(dir.path().join("indices"));
            entries.map_or(0, |entries| entries.count())
        };
        let small = "Package: ash\nVersion: 1\n";
        std::fs::write(&path, small).unwrap();
        assert_eq!((load(None), kept()), ("ash".to_owned(), 0));
        assert_eq!(load(Some(small)), "ash");
        assert_eq!(load(Some("")), "differs");

        let (bash, zsh) = (large("bash"), large("zsh"));
        std::fs::write(&path, &bash).unwrap();
        assert_eq!((load(Some(&zsh)), kept()), ("differs".to_owned(), 0));
        assert_eq!((load(Some(&bash)), kept()), ("bash".to_owned(), 1));
        // what is kept is what is read from then on
        let key = IndexKey {
            digest: digest(&bash),
            kind: IndexKind::Apt,
        };
        let mut other = Gathered::default();
        other.packages.add("kept", "1").unwrap();
        store.keep(key, &other);
        assert_eq!(load(Some(&bash)), "kept");
        assert_eq!(load(Some(&zsh)), "differs");
        std::fs::write(&path, &zsh).unwrap();
        assert_eq!((load(None), kept()), ("zsh".to_owned(), 2));
        let damaged = [bash.as_bytes(), b"\nPackage: \xff\n"].concat();
        std::fs::write(&path, damaged).unwrap();
        assert!(load(None).starts_with("bash") && load(None) != "bash");
        assert_eq!(kept(), 2);
    }
}
