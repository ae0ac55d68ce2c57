//! The MD5 that `implantisomd5` writes into an image, over nearly all of the image.
//!
//! The application-use area of the primary volume descriptor comes in; what it says goes out, and
//! can be checked. The sum covers the volume without its last `SKIPSECTORS` sectors, with that area
//! itself read as blanks, since it could not know its own text. It is the weakest of all, and
//! one stream of MD5: checked only when nothing else covers some file. Reference: isomd5sum
//! `libimplantisomd5.c`, ECMA-119 §8.4.32.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail, ensure};

use crate::digest::{Algorithm, Digest, Hasher};

/// Where the application-use area is in an image (ECMA-119 §8.4.32: byte 884 of sector 16), and
/// how long it is.
const AREA: std::ops::Range<u64> = 16 * SECTOR + 883..16 * SECTOR + 883 + 512;
const SECTOR: u64 = 2048;

/// What an image says of itself as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImplantedMd5 {
    /// The MD5 of its first bytes.
    pub digest: Digest,
    /// How many bytes those are.
    pub len: u64,
}

/// Reads the application-use area; nothing when no sum is implanted there.
pub(super) fn parse(area: &[u8], blocks: u64) -> Option<ImplantedMd5> {
    let text = std::str::from_utf8(area).ok()?;
    let value = |key: &str| {
        let (_, rest) = text.split_once(key)?;
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        Some(rest.split(';').next()?.trim())
    };
    let digest = Digest::parse(Algorithm::Md5, value("ISO MD5SUM")?).ok()?;
    let skip: u64 = value("SKIPSECTORS")?.parse().ok()?;
    let len = blocks.checked_sub(skip)?.checked_mul(SECTOR)?;
    Some(ImplantedMd5 { digest, len })
}

impl ImplantedMd5 {
    /// Looks for a sum in an image of so many blocks.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn load(image: &File, blocks: u64) -> Result<Option<Self>> {
        let mut area = [0; 512];
        image
            .read_exact_at(&mut area, AREA.start)
            .context("reading the volume descriptor")?;
        Ok(parse(&area, blocks))
    }

    /// Compares the image with its sum; `go_on` is asked after every megabyte.
    ///
    /// # Errors
    /// When they differ, when the image cannot be read, or when `go_on` says no.
    pub fn check(&self, image: &File, mut go_on: impl FnMut() -> bool) -> Result<()> {
        let mut hasher = Hasher::new(Algorithm::Md5);
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        while at < self.len {
            ensure!(go_on(), "interrupted");
            let wanted = (self.len - at).min(buffer.len() as u64);
            let wanted = usize::try_from(wanted).context("sizing a buffer")?;
            let chunk = &mut buffer[..wanted];
            image
                .read_exact_at(chunk, at)
                .context("reading the image for its implanted MD5")?;
            for (byte, place) in chunk.iter_mut().zip(at..) {
                if place >= AREA.end {
                    break;
                }
                if AREA.contains(&place) {
                    *byte = b' ';
                }
            }
            hasher.update(chunk);
            at += wanted as u64;
        }
        let found = hasher.finish();
        if found != self.digest {
            bail!(
                "the image does not have the MD5 that was implanted in it ({} instead of {}): it is \
                 damaged; fetch it again",
                found,
                self.digest
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_area_says_a_sum_and_how_many_sectors_it_leaves_out() {
        let area = b"ISO MD5SUM = d41d8cd98f00b204e9800998ecf8427e;SKIPSECTORS = 15;RHLISOSTATUS=1;\
                     FRAGMENT SUMS = 0123;FRAGMENT COUNT = 20;THIS IS NOT THE SAME AS RUNNING MD5SUM ON THIS ISO!!";
        let expected = ImplantedMd5 {
            digest: Digest::of(Algorithm::Md5, b""),
            len: 85 * 2048,
        };
        assert_eq!(parse(area, 100), Some(expected));
        assert_eq!(
            parse(area, 14),
            None,
            "more sectors left out than there are"
        );
        assert_eq!(parse(&[b' '; 512], 100), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(area: Vec<u8>, blocks: u64) {
            let _ = parse(&area, blocks);
        }
    }
}
