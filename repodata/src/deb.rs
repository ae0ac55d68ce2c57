//! apt's `Packages` and `Sources`, stanza by stanza.
//!
//! A stream comes in (these indices have hundreds of megabytes on a full archive) and every stanza is lent to a
//! visitor, which asks it for what it wants: nothing else is parsed. Form: Debian Policy §5 and §7.5 (virtual
//! packages), Debian repository format.

use crate::digest::{Algorithm, Digest};
use crate::error::{Location, ReadError};
use crate::{Input, ListedFile, MAX_ITEM};

/// One stanza of an index.
#[derive(Debug, Clone, Copy)]
pub struct DebStanza<'a> {
    file: &'a str,
    /// The number of its first line.
    first: u64,
    text: &'a [u8],
}

/// A field's first line, with its number.
type NumberedField<'a> = (u64, &'a [u8]);

/// Lends every stanza of an index to `visit`.
///
/// # Errors
/// A stream that cannot be read, a stanza without an end, and what `visit` returns.
pub fn read_stanzas<E: From<ReadError>>(
    input: Input<'_>,
    mut visit: impl FnMut(DebStanza<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let file = input.name.clone();
    let (mut text, mut first) = (Vec::new(), 1);
    input.each_line(|file, number, line| -> Result<(), E> {
        if line.is_empty() {
            if !text.is_empty() {
                let text = text.as_slice();
                visit(DebStanza { file, first, text })?;
            }
            text.clear();
            first = number + 1;
            return Ok(());
        }
        if text.len() + line.len() >= MAX_ITEM {
            let error = ReadError {
                file: file.to_owned(),
                location: Location::Line(number),
                problem: format!("its stanza is longer than {MAX_ITEM} bytes"),
            };
            return Err(error.into());
        }
        text.extend_from_slice(line);
        text.push(b'\n');
        Ok(())
    })?;
    if text.is_empty() {
        Ok(())
    } else {
        visit(DebStanza {
            file: &file,
            first,
            text: &text,
        })
    }
}

impl<'a> DebStanza<'a> {
    /// Returns the text of a field of one line, if the stanza has it.
    ///
    /// # Errors
    /// When it is no UTF-8 text.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, ReadError> {
        let Some((number, value)) = self.fields(name).next() else {
            return Ok(None);
        };
        let text = std::str::from_utf8(value).map(Some);
        text.map_err(|_| self.error(number, format!("the field {name} is no UTF-8 text")))
    }

    /// Returns the names of what the package provides beside itself.
    ///
    /// # Errors
    /// When the field is no UTF-8 text.
    pub fn provides(&self) -> Result<impl Iterator<Item = &'a str>, ReadError> {
        let provides = self.text("Provides")?.unwrap_or_default().split(',');
        let name = |provided: &'a str| {
            let end = provided.find(['(', ':']).unwrap_or(provided.len());
            provided[..end].trim()
        };
        Ok(provides.map(name).filter(|name| !name.is_empty()))
    }

    /// Returns the file of a binary package, with the best of the digests that the stanza gives it.
    ///
    /// # Errors
    /// A digest or a size that is none, and two digests of one file.
    pub fn binary_file(&self) -> Result<Option<ListedFile>, ReadError> {
        let mut digests: Vec<Digest> = Vec::new();
        for (name, algorithm) in [
            ("SHA256", Algorithm::Sha256),
            ("SHA512", Algorithm::Sha512),
            ("SHA1", Algorithm::Sha1),
            ("MD5sum", Algorithm::Md5),
        ] {
            for (number, hex) in self.fields(name) {
                let digest = self.digest(number, algorithm, hex)?;
                match digests.iter().find(|old| old.algorithm() == algorithm) {
                    Some(old) if *old != digest => {
                        return Err(self
                            .error(number, format!("it has two {algorithm} values of one file")));
                    }
                    Some(_) => {}
                    None => digests.push(digest),
                }
            }
        }
        let size = self.fields("Size").last();
        let size = size
            .map(|(number, size)| self.size(number, size))
            .transpose()?;
        let path = self.fields("Filename").last();
        let best = digests.into_iter().max_by_key(|digest| digest.rank());
        Ok(path.zip(best).map(|((_, path), digest)| ListedFile {
            path: path.to_vec(),
            digest,
            size,
        }))
    }

    /// Returns the MD5 that the stanza gives a binary package, which may have better digests beside it.
    ///
    /// # Errors
    /// When it is none.
    pub fn binary_md5(&self) -> Result<Option<Digest>, ReadError> {
        let field = self.fields("MD5sum").last();
        field
            .map(|(number, hex)| self.digest(number, Algorithm::Md5, hex))
            .transpose()
    }

    /// Returns the files of a source package, each once with the best of its digests, in its directory.
    ///
    /// # Errors
    /// A line that is no digest, size and name.
    pub fn source_files(&self) -> Result<Vec<ListedFile>, ReadError> {
        let mut files: Vec<ListedFile> = Vec::new();
        let mut section = None;
        for (number, line) in self.lines() {
            if !is_continuation(line) {
                let name = line.split(|byte| *byte == b':').next();
                section = match name.unwrap_or_default() {
                    b"Checksums-Sha256" => Some(Algorithm::Sha256),
                    b"Checksums-Sha512" => Some(Algorithm::Sha512),
                    b"Checksums-Sha1" => Some(Algorithm::Sha1),
                    b"Files" => Some(Algorithm::Md5),
                    _ => None,
                };
            } else if let Some(algorithm) = section {
                files.push(self.source_file(number, algorithm, line)?);
            }
        }
        files.sort_by(|one, two| {
            let rank = |file: &ListedFile| std::cmp::Reverse(file.digest.rank());
            one.path.cmp(&two.path).then(rank(one).cmp(&rank(two)))
        });
        files.dedup_by(|two, one| one.path == two.path);
        let directory = self
            .fields("Directory")
            .last()
            .map_or(&b""[..], |(_, value)| value);
        for file in &mut files {
            file.path = [directory, b"/", &file.path].concat();
        }
        Ok(files)
    }

    /// Reads a line `HEX SIZE NAME`.
    fn source_file(
        &self,
        number: u64,
        algorithm: Algorithm,
        line: &[u8],
    ) -> Result<ListedFile, ReadError> {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let (Some(hex), Some(size), Some(name)) = (words.next(), words.next(), words.next()) else {
            return Err(self.error(number, "expected a digest, a size and a name".to_owned()));
        };
        Ok(ListedFile {
            path: name.to_vec(),
            digest: self.digest(number, algorithm, hex)?,
            size: Some(self.size(number, size)?),
        })
    }

    /// Returns every field of a name, in order.
    fn fields(&self, name: &str) -> impl Iterator<Item = NumberedField<'a>> {
        let value = move |(number, line): (u64, &'a [u8])| {
            let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
            Some((number, value.trim_ascii()))
        };
        self.lines().filter_map(value)
    }

    fn lines(&self) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let text = self.text.strip_suffix(b"\n").unwrap_or(self.text);
        (self.first..).zip(text.split(|byte| *byte == b'\n'))
    }

    fn digest(&self, number: u64, algorithm: Algorithm, hex: &[u8]) -> Result<Digest, ReadError> {
        let digest = Digest::parse(algorithm, &String::from_utf8_lossy(hex));
        digest.map_err(|why| self.error(number, why))
    }

    fn size(&self, number: u64, digits: &[u8]) -> Result<u64, ReadError> {
        let digits = String::from_utf8_lossy(digits);
        let size = digits.parse();
        size.map_err(|why| self.error(number, format!("reading the size '{digits:.40}': {why}")))
    }

    fn error(&self, number: u64, problem: String) -> ReadError {
        ReadError {
            file: self.file.to_owned(),
            location: Location::Line(number),
            problem,
        }
    }
}

fn is_continuation(line: &[u8]) -> bool {
    line.starts_with(b" ") || line.starts_with(b"\t")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files(text: &str) -> Result<Vec<ListedFile>, ReadError> {
        let mut files = Vec::new();
        read_stanzas(Input::plain("Packages", text.as_bytes())?, |stanza| {
            files.extend(stanza.binary_file()?);
            files.extend(stanza.source_files()?);
            Ok::<_, ReadError>(())
        })?;
        Ok(files)
    }

    fn empty(path: &str, algorithm: Algorithm) -> ListedFile {
        ListedFile {
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
        assert_eq!(files(text).unwrap(), [expected]);
        let mut beside = Vec::new();
        let input = Input::plain("Packages", text.as_bytes()).unwrap();
        read_stanzas(input, |stanza| {
            beside.push(stanza.binary_md5()?);
            Ok::<_, ReadError>(())
        })
        .unwrap();
        assert_eq!(beside, [Some(Digest::of(Algorithm::Md5, b"")), None]);
    }

    #[test]
    fn a_source_package_is_every_file_of_its_directory() {
        let text = "Package: a\nFiles:\n d41d8cd98f00b204e9800998ecf8427e 0 a_1.dsc\n\
                    Directory: pool/main/a\nChecksums-Sha1:\n da39a3ee5e6b4b0d3255bfef95601890afd80709 0 a_1.dsc\n";
        let expected = empty("pool/main/a/a_1.dsc", Algorithm::Sha1);
        assert_eq!(files(text).unwrap(), [expected]);
    }

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let text = "\r\nPackage: exim4-daemon-light\r\nProvides: mail-transport-agent, default-mta (= 1), x:any\n\
                    Version: 4.96-15\nDescription: a\n Package: not-one\nTask: mail-server\n\n\n\
                    Package: task-ssh-server\nProvided: no";
        let mut seen = Vec::new();
        read_stanzas(
            Input::plain("Packages", text.as_bytes()).unwrap(),
            |stanza| {
                let provides: Vec<_> = stanza.provides()?.map(str::to_owned).collect();
                seen.push((
                    stanza.text("Package")?.map(str::to_owned),
                    stanza.text("Task")?.map(str::to_owned),
                    provides.join(" "),
                ));
                Ok::<_, ReadError>(())
            },
        )
        .unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            seen,
            [
                (
                    some("exim4-daemon-light"),
                    some("mail-server"),
                    "mail-transport-agent default-mta x".to_owned()
                ),
                (some("task-ssh-server"), None, String::new()),
            ]
        );
    }

    #[test]
    fn a_stanza_without_end_is_refused() {
        let line = format!(" {}\n", "x".repeat(MAX_ITEM / 4));
        let text = format!("Files:\n{}", line.repeat(4));
        assert_eq!(
            files(&text).unwrap_err().to_string(),
            "line 5: its stanza is longer than 16777216 bytes"
        );
    }

    #[test]
    fn a_damaged_field_is_an_error_with_its_line() {
        let error = |text| files(text).unwrap_err().to_string();
        assert_eq!(
            error("\nPackage: a\nSize: 1x\n"),
            "line 3: reading the size '1x': invalid digit found in string"
        );
        assert_eq!(error("SHA256: 12\n"), "line 1: '12' is no SHA-256 value");
        assert_eq!(
            error(
                "MD5sum: d41d8cd98f00b204e9800998ecf8427e\nMD5sum: 00000000000000000000000000000000\n"
            ),
            "line 2: it has two MD5 values of one file"
        );
        assert_eq!(
            error("Files:\n 12\n"),
            "line 2: expected a digest, a size and a name"
        );
        let input = Input::plain("Packages", &b"A: b\nPackage: \xff\n"[..]).unwrap();
        let error = read_stanzas(input, |stanza| stanza.text("Package").map(drop)).unwrap_err();
        assert_eq!(
            (error.file.as_str(), error.location),
            ("Packages", Location::Line(2))
        );
        assert_eq!(error.problem, "the field Package is no UTF-8 text");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((Files|Size|SHA256|Filename|Directory|Provides|x):? ?[0-9a-f, (:é]{0,40}\r?\n| [0-9a-f ]{0,40}\n|\n){0,12}") {
            let _ = files(&text);
            let _ = read_stanzas(Input::plain("a", text.as_bytes()).unwrap(), |stanza| {
                stanza.provides().map(|names| names.for_each(drop))
            });
        }
    }
}
