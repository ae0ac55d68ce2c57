//! Whose key signed a package of rpm's.
//!
//! A file comes in; the key ids and fingerprints that its signatures name go out. Nothing is verified: that is for the
//! node's dnf, which asks for a signature of each package and for none of the index.
//!
//! Reference: rpm's file format, version 4: a lead of 96 bytes, then the signature header; tags of `rpmtag.h`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signature;

/// Bytes of the lead, which tells nothing that is used here.
const LEAD: usize = 96;
/// Bytes of a header before its index, and of an entry of that.
const INTRODUCTION: usize = 16;
const ENTRY: usize = 16;
/// No signature header is longer, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// Signatures: of the header (RSA, DSA), of header and payload (RSA, DSA).
const SIGNATURES: [u32; 4] = [268, 267, 1002, 1005];
/// Signatures since rpm 4.20, in base64, a string each.
const OPENPGP: u32 = 278;

/// Returns whose signatures a package has; of one that is not signed, none.
///
/// # Errors
/// What keeps the file from being a package of rpm's.
pub(super) fn issuers(path: &Path) -> Result<Vec<String>, String> {
    let cannot = |err: std::io::Error| format!("cannot be read: {err}");
    let mut file = File::open(path).map_err(cannot)?;
    let mut head = [0; LEAD + INTRODUCTION];
    file.read_exact(&mut head).map_err(cannot)?;
    let (lead, introduction) = head.split_at(LEAD);
    if !lead.starts_with(&[0xed, 0xab, 0xee, 0xdb])
        || !introduction.starts_with(&[0x8e, 0xad, 0xe8])
    {
        return Err("is not a package of rpm's".to_owned());
    }
    let entries = number(introduction, 8).and_then(|count| count.checked_mul(ENTRY));
    let data = number(introduction, 12);
    let (Some(entries), Some(data)) = (entries, data) else {
        return Err("is damaged".to_owned());
    };
    if entries.saturating_add(data) > MAX_BYTES {
        return Err(format!(
            "has a signature header of more than {MAX_BYTES} bytes"
        ));
    }
    let mut header = vec![0; entries + data];
    file.read_exact(&mut header).map_err(cannot)?;
    let (index, data) = header.split_at(entries);
    let mut found = Vec::new();
    for entry in index.chunks_exact(ENTRY) {
        found.extend(of_entry(entry, data).unwrap_or_default());
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Reads the signatures of one entry of the index: its tag, type, offset and count.
fn of_entry(entry: &[u8], data: &[u8]) -> Option<Vec<String>> {
    let tag = u32::try_from(number(entry, 0)?).ok()?;
    let (rest, count) = (data.get(number(entry, 8)?..)?, number(entry, 12)?);
    if SIGNATURES.contains(&tag) {
        return signature::issuers(rest.get(..count)?).ok();
    }
    if tag != OPENPGP {
        return None;
    }
    let texts = rest.split(|&byte| byte == 0).take(count);
    let decoded = texts.filter_map(|text| STANDARD.decode(text).ok());
    let issuers = decoded.filter_map(|packet| signature::issuers(&packet).ok());
    Some(issuers.flatten().collect())
}

/// Reads four bytes at an offset.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = <[u8; 4]>::try_from(bytes.get(at..at.checked_add(4)?)?).ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::signature::tests::packet_of;
    use super::*;

    /// A package with a signature header of these tags and values.
    pub(in crate::repository) fn package(values: &[(u32, Vec<u8>, usize)]) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, value, count) in values {
            let fields = [
                *tag,
                7,
                u32::try_from(data.len()).unwrap(),
                u32::try_from(*count).unwrap(),
            ];
            index.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
            data.extend(value);
        }
        let mut file = vec![0xed, 0xab, 0xee, 0xdb];
        file.resize(LEAD, 0);
        file.extend([0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]);
        file.extend(u32::try_from(values.len()).unwrap().to_be_bytes());
        file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        [file, index, data].concat()
    }

    /// A package that a key signed.
    pub(in crate::repository) fn signed_by(issuer: &str) -> Vec<u8> {
        let packet = packet_of(issuer);
        let len = packet.len();
        package(&[(1000, vec![0; 4], 1), (268, packet, len)])
    }

    fn issuers_of(bytes: &[u8]) -> Result<Vec<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        issuers(file.path())
    }

    #[test]
    fn the_signatures_of_a_package_name_their_keys() {
        let key = "7E9133288ED2DAC35AAB03F975B575F9CE6876AD";
        assert_eq!(issuers_of(&signed_by(key)).unwrap(), [key]);
        let text = [STANDARD.encode(packet_of(key)).as_bytes(), b"\0"].concat();
        assert_eq!(issuers_of(&package(&[(278, text, 1)])).unwrap(), [key]);
        assert_eq!(issuers_of(&package(&[])).unwrap(), [""; 0]);
        assert_eq!(
            issuers_of(&[0; 200]).unwrap_err(),
            "is not a package of rpm's"
        );
        let mut cut = signed_by(key);
        cut.truncate(130);
        assert!(
            issuers_of(&cut)
                .unwrap_err()
                .starts_with("cannot be read: ")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = issuers_of(&[&package(&[])[..LEAD + 8], &bytes].concat());
        }
    }
}
