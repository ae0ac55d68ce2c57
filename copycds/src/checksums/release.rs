//! Debian's `Release` and `InRelease`: the root of an archive's chain of digests.
//!
//! Text comes in; the index files that it lists go out. The form is Debian Policy §5.1 and the
//! Debian repository format: the fields `MD5Sum`, `SHA1`, `SHA256` and `SHA512` hold one indented
//! line a file (`HEX SIZE PATH`), relative to the directory of the `Release`. `InRelease` is the same text
//! in a clear signature (RFC 4880 §7), whose armour is taken off here and checked elsewhere.

use anyhow::{Context, Result, anyhow};

use super::listed::Listed;
use crate::digest::{Algorithm, Digest};

/// Hands every file that a `Release` lists to `visit`, once for each algorithm.
pub(super) fn parse(text: &str, mut visit: impl FnMut(Listed) -> Result<()>) -> Result<()> {
    let mut algorithm = None;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with([' ', '\t']) {
            if let Some(algorithm) = algorithm {
                let file = file(algorithm, line).with_context(|| format!("line {}", number + 1))?;
                visit(file)?;
            }
        } else {
            let field = line.split_once(':').map_or("", |(field, _)| field);
            algorithm = section(field);
        }
    }
    Ok(())
}

fn section(field: &str) -> Option<Algorithm> {
    match field.to_ascii_lowercase().as_str() {
        "md5sum" => Some(Algorithm::Md5),
        hash @ ("sha1" | "sha256" | "sha512") => hash.parse().ok(),
        _ => None,
    }
}

fn file(algorithm: Algorithm, line: &str) -> Result<Listed> {
    let mut words = line.split_ascii_whitespace();
    let mut word = || {
        words
            .next()
            .ok_or_else(|| anyhow!("expected a digest, a size and a path"))
    };
    let (hex, size, path) = (word()?, word()?, word()?);
    Ok(Listed {
        path: path.as_bytes().to_vec(),
        digest: Digest::parse(algorithm, hex).map_err(|why| anyhow!(why))?,
        size: Some(
            size.parse()
                .with_context(|| format!("reading the size '{size:.40}'"))?,
        ),
    })
}

/// What a clear-signed text begins with.
const ARMOUR: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// Whether a text is clear-signed: lines may go before the armour, and gpgv(1) passes over them.
pub(super) fn is_signed(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'\n').any(is_armour)
}

fn is_armour(line: &[u8]) -> bool {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    line.trim_ascii_end() == ARMOUR.as_bytes()
}

/// Takes the armour off a clear-signed text; a text without any is returned as it is.
pub(super) fn signed_text(text: Vec<u8>) -> Vec<u8> {
    if !is_signed(&text) {
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
            assert!(is_signed(&text), "{before:?}");
            assert_eq!(signed_text(text), b"Suite: x\n-----\n", "{before:?}");
        }
        assert!(!is_signed(b"see -----BEGIN PGP SIGNED MESSAGE-----\n"));
    }

    fn all(text: &str) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        parse(text, |file| {
            listed.push(file);
            Ok(())
        })?;
        Ok(listed)
    }

    #[test]
    fn every_hash_field_lists_files_and_no_other_field_does() {
        let listed = all(RELEASE).unwrap();
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
        let error = |text| format!("{:#}", all(text).unwrap_err());
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
            let _ = all(&text);
            let _ = all(&format!("SHA256:\n {text}"));
        }
    }
}
