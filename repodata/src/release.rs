//! apt's `Release` and `InRelease`: which suite it is, and the root of an archive's chain of digests.
//!
//! A text comes in; its fields and the files that it lists go out. Form: Debian Policy §5.1 and the Debian
//! repository format: the fields `MD5Sum`, `SHA1`, `SHA256` and `SHA512` hold one indented line a file (`HEX SIZE
//! PATH`), relative to the directory of the `Release`. `InRelease` is the same text in a clear signature (RFC 9580
//! §7), which is stripped here and checked elsewhere.

use crate::digest::{Algorithm, Digest};
use crate::error::{Location, ReadError};
use crate::{Input, ListedFile};

/// What a `Release` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AptRelease {
    /// The name by which sources ask for it: `stable`.
    pub suite: Option<String>,
    /// Its code name: `bookworm`.
    pub codename: Option<String>,
    /// Until when it counts, where it says so.
    pub valid_until: Option<String>,
    /// The architectures that it has indices of.
    pub architectures: Vec<String>,
    /// Whether indices of an architecture hold the packages of `all` too (`No-Support-for-Architecture-all`).
    pub all_is_merged: bool,
    /// The files that it lists, once for each algorithm.
    pub files: Vec<ListedFile>,
}

impl AptRelease {
    /// Reads a `Release`, or an `InRelease` with its signature.
    ///
    /// # Errors
    /// A line of a section of digests that is no digest, size and path.
    pub fn read(input: Input<'_>) -> Result<Self, ReadError> {
        let mut release = Self::default();
        let mut section = None;
        input.document().each_line(|file, number, line| {
            let line = String::from_utf8_lossy(line);
            if !line.starts_with([' ', '\t']) {
                section = release.field(&line);
            } else if let Some(algorithm) = section {
                let listed = listed(algorithm, &line).map_err(|problem| ReadError {
                    file: file.to_owned(),
                    location: Location::Line(number),
                    problem,
                })?;
                release.files.push(listed);
            }
            Ok(())
        })?;
        Ok(release)
    }

    /// Reads a field; returns the algorithm when it is a section of digests.
    fn field(&mut self, line: &str) -> Option<Algorithm> {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "suite" => self.suite = Some(value.to_owned()),
            "codename" => self.codename = Some(value.to_owned()),
            "valid-until" => self.valid_until = Some(value.to_owned()),
            "architectures" => {
                self.architectures = value.split_whitespace().map(str::to_owned).collect();
            }
            "no-support-for-architecture-all" => self.all_is_merged = true,
            "md5sum" | "sha1" | "sha256" | "sha512" => {
                let algorithm = name.strip_suffix("sum").unwrap_or(&name);
                return algorithm.parse().ok();
            }
            _ => {}
        }
        None
    }
}

/// Reads `HEX SIZE PATH`.
fn listed(algorithm: Algorithm, line: &str) -> Result<ListedFile, String> {
    let mut words = line.split_ascii_whitespace();
    let (Some(hex), Some(size), Some(path)) = (words.next(), words.next(), words.next()) else {
        return Err("expected a digest, a size and a path".to_owned());
    };
    let parsed = size.parse();
    Ok(ListedFile {
        path: path.as_bytes().to_vec(),
        digest: Digest::parse(algorithm, hex)?,
        size: Some(parsed.map_err(|why| format!("reading the size '{size:.40}': {why}"))?),
    })
}

/// What a clear-signed text begins with.
const ARMOUR: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// Whether a text is clear-signed: lines may go before the armour, and gpgv(1) passes over them.
pub fn is_clear_signed(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n').any(is_armour)
}

fn is_armour(line: &[u8]) -> bool {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    line.trim_ascii_end() == ARMOUR.as_bytes()
}

/// Takes the armour off a clear-signed text; a text without any is returned as it is.
pub fn signed_text(text: Vec<u8>) -> Vec<u8> {
    if !is_clear_signed(&text) {
        return text;
    }
    let text = String::from_utf8_lossy(&text);
    let lines = text
        .lines()
        .skip_while(|line| !is_armour(line.as_bytes()))
        .skip(1)
        .skip_while(|line| !line.trim_end().is_empty())
        .skip(1);
    let body = lines.take_while(|line| !line.starts_with("-----BEGIN PGP SIGNATURE-----"));
    let plain = body.flat_map(|line| [line.strip_prefix("- ").unwrap_or(line), "\n"]);
    plain.collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RELEASE: &str = "\
Origin: Debian
Codename: bookworm
MD5Sum:
 d41d8cd98f00b204e9800998ecf8427e        0 main/binary-amd64/Packages
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 17 main/binary-amd64/Packages.gz
Description: the fields after it
 12 are not files
";

    #[test]
    fn a_clear_signed_text_is_one_whatever_goes_before_its_armour() {
        let signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nSuite: x\n- -----\n\
                      -----BEGIN PGP SIGNATURE-----\n\nwsF=\n-----END PGP SIGNATURE-----\n";
        for before in ["", "\n", "# fetched today\n", "\u{feff}"] {
            let text = format!("{before}{signed}").into_bytes();
            assert!(is_clear_signed(&text), "{before:?}");
            assert_eq!(signed_text(text), b"Suite: x\n-----\n", "{before:?}");
        }
        assert!(!is_clear_signed(
            b"see -----BEGIN PGP SIGNED MESSAGE-----\n"
        ));
    }

    fn read(text: &str) -> Result<AptRelease, ReadError> {
        AptRelease::read(Input::plain("Release", text.as_bytes())?)
    }

    #[test]
    fn every_hash_field_lists_files_and_no_other_field_does() {
        let release = read(RELEASE).unwrap();
        let listed = release.files;
        let expected = [
            (Algorithm::Md5, "main/binary-amd64/Packages", 0),
            (Algorithm::Sha256, "main/binary-amd64/Packages.gz", 17),
        ];
        assert_eq!(listed.len(), 2);
        for (listed, (algorithm, path, size)) in listed.iter().zip(expected) {
            assert_eq!(listed.path, path.as_bytes());
            assert_eq!(listed.digest, Digest::of(algorithm, b""));
            assert_eq!(listed.size, Some(size));
        }
    }

    #[test]
    fn a_damaged_line_is_an_error_with_its_number() {
        let error = |text| format!("{:#}", read(text).unwrap_err());
        assert_eq!(
            error("SHA256:\n abc 1 x"),
            "line 2: 'abc' is no SHA-256 value"
        );
        assert_eq!(
            error("SHA1:\n x"),
            "line 2: expected a digest, a size and a path"
        );
    }

    #[test]
    fn fields_say_which_suite_it_is() {
        let release = read(
            "Suite: stable\nCodename: bookworm\nArchitectures: all amd64\n\
             No-Support-for-Architecture-all: Packages\nDescription: x\n Suite: no\n",
        )
        .unwrap();
        assert_eq!(release.suite.as_deref(), Some("stable"));
        assert_eq!(release.codename.as_deref(), Some("bookworm"));
        assert_eq!(release.architectures, ["all", "amd64"]);
        assert!(release.all_is_merged && release.files.is_empty());
    }

    #[test]
    fn a_clear_signed_release_reads_like_a_plain_one() {
        let signed = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{RELEASE}- -----dashes\n\
             -----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n"
        );
        let plain = |text: &str| String::from_utf8(signed_text(text.into())).unwrap();
        assert_eq!(plain(&signed), format!("{RELEASE}-----dashes\n"));
        assert_eq!(plain(RELEASE), RELEASE);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let armoured = [ARMOUR, &text].concat();
            signed_text(armoured.into_bytes());
            let _ = read(&text);
            let _ = read(&format!("SHA256:\n {text}"));
        }
    }
}
