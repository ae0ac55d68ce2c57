//! The `[checksums]` section of `.treeinfo` (productmd tree info, since 0.x): `path = sha256:HEX`.
//!
//! Text comes in, the files that it lists go out. Composes write this file before they cut discs from
//! the tree, so that it may list files that no disc holds (`images/boot.iso`).

use anyhow::{Result, anyhow};
use repodata::ListedFile;

use crate::digest::Digest;

/// Returns the files of the `[checksums]` section, which may be absent.
pub(super) fn parse(text: &str) -> Result<Vec<ListedFile>> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim()));
    let section = lines.skip_while(|(_, line)| *line != "[checksums]").skip(1);
    let body = section.take_while(|(_, line)| !line.starts_with('['));
    let files = body.filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';']));
    files
        .map(|(number, line)| file(line).map_err(|why| anyhow!("line {number}: {why}")))
        .collect()
}

fn file(line: &str) -> Result<ListedFile, String> {
    let expected = || format!("'{}' is no 'path = algorithm:digest'", line.escape_debug());
    let (path, value) = line.rsplit_once('=').ok_or_else(expected)?;
    let (algorithm, hex) = value.trim().split_once(':').ok_or_else(expected)?;
    Ok(ListedFile {
        path: path.trim().as_bytes().to_vec(),
        digest: Digest::parse(algorithm.parse()?, hex)?,
        size: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    #[test]
    fn only_the_checksums_section_lists_files() {
        let empty = Digest::of(Algorithm::Sha256, b"");
        let text = format!(
            "[general]\nname = Rocky Linux 9.4\n[checksums]\nimages/efiboot.img = sha256:{empty}\n\n\
             images/a=b.img = sha256:{empty}\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\n"
        );
        let paths: Vec<_> = parse(&text)
            .unwrap()
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(
            paths,
            [b"images/efiboot.img".to_vec(), b"images/a=b.img".to_vec()]
        );
        assert_eq!(parse("[general]\nname = x\n").unwrap(), []);
    }

    #[test]
    fn a_damaged_line_is_an_error_with_its_number() {
        let error = |line: &str| {
            parse(&format!("[checksums]\n{line}"))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("a = sha256"),
            "line 2: 'a = sha256' is no 'path = algorithm:digest'"
        );
        assert_eq!(
            error("a = crc:00"),
            "line 2: 'crc' is no hash algorithm known here"
        );
        assert_eq!(error("a = sha:00"), "line 2: '00' is no SHA-1 value");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse(&format!("[checksums]\n{text}"));
        }
    }
}
