//! Files that are packed for those who fetch them: gzip (RFC 1952). Pure.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

/// Packs bytes, without a name or a time in the header: the same bytes for the same content.
pub(crate) fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes)?;
    packed.finish()
}

/// Says whether packed bytes hold a content and nothing after it; to unpack takes a fifth of the time of packing.
pub(crate) fn unpacks_to(packed: &[u8], content: &[u8]) -> bool {
    let mut unpacking = GzDecoder::new(packed);
    let mut unpacked = Vec::with_capacity(content.len() + 1);
    // one byte more, so that the end is read, and with it the checksum
    let bound = content.len() as u64 + 1;
    let read = unpacking.by_ref().take(bound).read_to_end(&mut unpacked);
    read.is_ok() && unpacked == content && unpacking.into_inner().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bytes_hold_what_was_packed_and_nothing_else() {
        for content in [&b""[..], b"abc", &[b'x'; 100_000]] {
            let packed = pack(content).unwrap();
            assert_eq!(packed, pack(content).unwrap());
            assert!(unpacks_to(&packed, content));
            assert!(!unpacks_to(&packed, &[content, b"y"].concat()));
            assert!(!unpacks_to(&packed, &content[content.len().min(1)..]) || content.is_empty());
            assert!(!unpacks_to(&[&packed[..], b"y"].concat(), content));
            assert!(!unpacks_to(&[&packed[..], &packed].concat(), content));
            assert!(!unpacks_to(&packed[..packed.len() - 1], content));
            let mut damaged = packed.clone();
            let checksum = damaged.len() - 8;
            damaged[checksum] ^= 1;
            assert!(!unpacks_to(&damaged, content));
        }
    }
}
