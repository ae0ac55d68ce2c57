//! Lists such as `md5sum.txt`, `SHA256SUMS` and SUSE's `CHECKSUMS`.
//!
//! Bytes come in, listed files go out: the lines of coreutils' `md5sum` and `sha256sum` (`HEX  path`,
//! `HEX *path`, and with a leading backslash for names that hold a newline), and its `--tag` lines
//! (`SHA256 (path) = HEX`) that BSD tools write, as openssl does without the spaces (`SHA2-256(path)= HEX`). The number of
//! digits says which algorithm it is.

use anyhow::{Result, anyhow};
use repodata::ListedFile;

use crate::digest::{Algorithm, Digest};

/// Reads the lines one by one; a byte order mark, empty lines and comments are passed over.
pub(super) fn parse(text: &[u8]) -> impl Iterator<Item = Result<ListedFile>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|&byte| byte == b'\n').enumerate();
    lines.filter_map(|(number, line)| {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return None;
        }
        let wrong = |why| anyhow!("line {}: {why}", number + 1);
        Some(tagged(line).unwrap_or_else(|| plain(line)).map_err(wrong))
    })
}

/// Reads `HEX  path`.
fn plain(line: &[u8]) -> Result<ListedFile, String> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let end = line
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .unwrap_or(line.len());
    let (hex, rest) = line.split_at(end);
    let digest = Digest::parse_by_length(&String::from_utf8_lossy(hex))?;
    let path = match rest {
        [b' ', b' ' | b'*', path @ ..] | [b' ' | b'\t', path @ ..] if !path.is_empty() => path,
        _ => return Err("no path follows the digest".to_owned()),
    };
    let path = if escaped {
        unescape(path)
    } else {
        path.to_vec()
    };
    Ok(ListedFile {
        path,
        digest,
        size: None,
    })
}

/// Splits `SHA256 (path) = HEX` into its three parts; nothing when the line has another form.
pub(super) fn tag(line: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let open = line.iter().position(|&byte| byte == b'(')?;
    let algorithm = std::str::from_utf8(&line[..open]).ok()?.trim_end();
    let end = |sign: &[u8]| {
        let close = line.windows(sign.len()).rposition(|part| part == sign)?;
        Some((line.get(open + 1..close)?, &line[close + sign.len()..]))
    };
    let (path, hex) = end(b") = ").or_else(|| end(b")= "))?;
    Some((algorithm, path, hex))
}

/// Reads the name of an algorithm as a tag has it; openssl writes `SHA2-256` for SHA-256.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    name.replacen("SHA2-", "SHA", 1).parse().ok()
}

/// Reads `SHA256 (path) = HEX`; nothing when the line has another form.
fn tagged(line: &[u8]) -> Option<Result<ListedFile, String>> {
    let (algorithm, path, hex) = tag(line)?;
    let algorithm = self::algorithm(algorithm)?;
    let path = path.to_vec();
    let hex = String::from_utf8_lossy(hex).into_owned();
    let listed = |digest| ListedFile {
        path,
        digest,
        size: None,
    };
    Some(Digest::parse(algorithm, &hex).map(listed))
}

fn unescape(path: &[u8]) -> Vec<u8> {
    let mut bytes = path.iter().copied();
    let mut plain = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(other) => other,
                None => b'\\',
            },
            other => other,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_form_of_line_lists_its_file() {
        let hex = Digest::of(Algorithm::Md5, b"").to_string();
        for (line, path) in [
            (format!("{hex}  ./pool/a b.deb"), "./pool/a b.deb"),
            (
                format!("{hex} *isolinux/isolinux.bin\r"),
                "isolinux/isolinux.bin",
            ),
            (format!("{hex}\ta b"), "a b"),
            (format!("\\{hex}  a\\nb\\\\c"), "a\nb\\c"),
            (
                format!("MD5 (images/a (1).img) = {hex}"),
                "images/a (1).img",
            ),
            (format!("MD5(a (1).img)= {hex}"), "a (1).img"),
        ] {
            let text = format!("# a comment\n\n{line}\n");
            let listed: Vec<_> = parse(text.as_bytes()).collect::<Result<_>>().unwrap();
            assert_eq!(listed.len(), 1, "{line}");
            assert_eq!(String::from_utf8_lossy(&listed[0].path), path);
            assert_eq!(listed[0].digest, Digest::of(Algorithm::Md5, b""));
        }
        let marked = format!("\u{feff}{hex}  a.iso\r\n");
        let listed: Vec<_> = parse(marked.as_bytes()).flatten().collect();
        assert_eq!(listed[0].path, b"a.iso");
    }

    #[test]
    fn a_line_that_lists_nothing_is_an_error_with_its_number() {
        let error = |text: &str| {
            parse(text.as_bytes())
                .next()
                .unwrap()
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("\nabc  file"),
            "line 2: 3 characters are no digest known here"
        );
        let hex = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(error(hex), "line 1: no path follows the digest");
        assert_eq!(
            error(&format!("MD5 (a) = {}", &hex[1..])),
            format!("line 1: '{}' is no MD5 value", &hex[1..])
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text: Vec<u8>) {
            parse(&text).for_each(drop);
        }

        #[test]
        fn what_md5sum_prints_is_read_back(path in "[a-z./ ()*-]{1,20}[a-z]") {
            prop_assume!(!path.starts_with(' ') && !path.starts_with('*'));
            let text = format!("d41d8cd98f00b204e9800998ecf8427e  {path}\n");
            let listed = parse(text.as_bytes()).next().unwrap().unwrap();
            prop_assert_eq!(listed.path, path.into_bytes());
        }
    }
}
