//! Names where there is no Rock Ridge: Joliet's, and those of plain ISO 9660.

use anyhow::{Result, anyhow, ensure};

/// Decodes a Joliet identifier: UCS-2, high byte first (Joliet 1, "Joliet Directory Record"); surrogate
/// pairs are taken as newer writers mean them. The version `;1` is cut off, as Linux does.
pub(super) fn joliet_name(identifier: &[u8]) -> Result<Vec<u8>> {
    ensure!(
        identifier.len().is_multiple_of(2),
        "a Joliet name of {} bytes is cut",
        identifier.len()
    );
    let units = identifier
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let name = char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .map_err(|err| anyhow!("a Joliet name is no text: {err}"))?;
    Ok(name.strip_suffix(";1").unwrap_or(&name).into())
}

/// Decodes an identifier of ECMA-119 §7.5 as Linux shows it by default (`fs/isofs/dir.c`, mount option
/// `map=normal`), so that an image and a mount of it give one tree: capital letters become small, `;1`
/// is cut off, with the `.` before it when nothing follows that, and every other `;` becomes `.`.
pub(super) fn plain_name(identifier: &[u8]) -> Vec<u8> {
    let name = identifier
        .strip_suffix(b".;1")
        .or_else(|| identifier.strip_suffix(b";1"))
        .unwrap_or(identifier);
    let map = |&byte: &u8| match byte {
        b';' => b'.',
        _ => byte.to_ascii_lowercase(),
    };
    name.iter().map(map).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }

    #[test]
    fn joliet_names_are_utf_16_without_version() {
        for (raw, name) in [
            ("Packages.gz;1", "Packages.gz"),
            ("Überraschung 💿", "Überraschung 💿"),
            ("a;2", "a;2"),
        ] {
            assert_eq!(joliet_name(&utf16(raw)).unwrap(), name.as_bytes());
        }
        assert_eq!(
            joliet_name(b"\0a\0").unwrap_err().to_string(),
            "a Joliet name of 3 bytes is cut"
        );
        assert_eq!(
            joliet_name(b"\xd8\0").unwrap_err().to_string(),
            "a Joliet name is no text: unpaired surrogate found: d800"
        );
    }

    #[test]
    fn plain_names_are_shown_as_linux_shows_them() {
        for (raw, name) in [
            ("README.TXT;1", "readme.txt"),
            ("VMLINUZ.;1", "vmlinuz"),
            ("BOOT", "boot"),
            ("A.B;2", "a.b.2"),
        ] {
            assert_eq!(plain_name(raw.as_bytes()), name.as_bytes(), "{raw}");
        }
    }
}
