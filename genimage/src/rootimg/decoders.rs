//! Which compressions of a root image its kernel can read: by the kernel's own configuration, or by its release where the
//! root has none. Pure.
//!
//! Reference: the files `fs/squashfs/Kconfig` and `fs/erofs/Kconfig` of Linux, and the releases that added their options.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use super::record::ImageCompression::{self, Gzip, Lz4, Xz, Zstd};
use super::record::ImageFormat::{self, Erofs, Squashfs};

/// What decides whether a kernel reads a compression.
struct Decoder {
    format: ImageFormat,
    compression: ImageCompression,
    /// The option of its configuration, without `CONFIG_`.
    option: &'static str,
    /// The first release that has it.
    since: (u32, u32),
}

const fn decoder(
    format: ImageFormat,
    compression: ImageCompression,
    option: &'static str,
    since: (u32, u32),
) -> Decoder {
    Decoder {
        format,
        compression,
        option,
        since,
    }
}

/// Every decoder, of each file system the one first that is taken where nobody asks for another.
const DECODERS: [Decoder; 8] = [
    decoder(Squashfs, Zstd, "SQUASHFS_ZSTD", (4, 14)),
    // an option of its own since 3.18, which is on by default
    decoder(Squashfs, Gzip, "SQUASHFS", (2, 6)),
    decoder(Squashfs, Lz4, "SQUASHFS_LZ4", (3, 19)),
    decoder(Squashfs, Xz, "SQUASHFS_XZ", (2, 6)),
    decoder(Erofs, Zstd, "EROFS_FS_ZIP_ZSTD", (6, 10)),
    decoder(Erofs, Gzip, "EROFS_FS_ZIP_DEFLATE", (6, 6)),
    decoder(Erofs, Lz4, "EROFS_FS_ZIP", (5, 4)),
    decoder(Erofs, Xz, "EROFS_FS_ZIP_LZMA", (5, 16)),
];

/// Finds the options of a kernel's configuration that decide, where they are on.
pub(super) fn options_of(config: &str) -> BTreeSet<String> {
    let on = config.lines().filter_map(|line| {
        let (option, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
        ["y", "m"].contains(&value.trim()).then_some(option)
    });
    on.filter(|option| DECODERS.iter().any(|decoder| decoder.option == *option))
        .map(str::to_owned)
        .collect()
}

/// A kernel that is to read an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImageReader<'a> {
    /// Its release: `6.1.0-28-cloud-amd64`.
    pub(super) release: &'a str,
    /// The options of its configuration that decide, where it is known.
    pub(super) options: Option<&'a BTreeSet<String>>,
}

impl ImageReader<'_> {
    /// Chooses the compression of an image: the one that is asked for, else the best one that the kernel reads.
    ///
    /// # Errors
    /// When the kernel does not read it, or the form does not have it.
    pub(super) fn choose(
        self,
        format: ImageFormat,
        wanted: Option<ImageCompression>,
    ) -> Result<ImageCompression> {
        if !format.is_filesystem() {
            // what is unpacked is unpacked by other programs
            let compression = wanted.unwrap_or(Zstd);
            ensure!(
                compression != Lz4,
                "an archive is compressed as zstd, xz or gzip, and not as {compression}"
            );
            return Ok(compression);
        }
        let decoders = || DECODERS.iter().filter(|decoder| decoder.format == format);
        let readable: Vec<_> = decoders()
            .filter(|decoder| self.has(decoder))
            .map(|decoder| decoder.compression)
            .collect();
        let release = self.release;
        let Some(best) = readable.first() else {
            bail!("the kernel {release} of the image reads no {format} that is compressed");
        };
        let wanted = wanted.unwrap_or(*best);
        let decoder = decoders().find(|decoder| decoder.compression == wanted);
        if let Some(decoder) = decoder.filter(|decoder| !self.has(decoder)) {
            let names: Vec<_> = readable.iter().map(|one| one.name()).collect();
            let Decoder { option, since, .. } = decoder;
            bail!(
                "the kernel {release} of the image does not read {format} with {wanted} (CONFIG_{option}, which Linux has \
                 since {}.{}): it reads {}",
                since.0,
                since.1,
                names.join(", ")
            );
        }
        Ok(wanted)
    }

    fn has(self, decoder: &Decoder) -> bool {
        match self.options {
            Some(options) => options.contains(decoder.option),
            None => version_of(self.release) >= decoder.since,
        }
    }
}

/// Reads `6.12` of `6.12.9-amd64`.
fn version_of(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    (next().unwrap_or(0), next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(
        release: &str,
        config: Option<&str>,
        format: ImageFormat,
        wanted: Option<ImageCompression>,
    ) -> Result<ImageCompression, String> {
        let options = config.map(options_of);
        let reader = ImageReader {
            release,
            options: options.as_ref(),
        };
        let chosen = reader.choose(format, wanted);
        chosen.map_err(|error| error.to_string())
    }

    #[test]
    fn an_image_is_compressed_so_that_its_kernel_reads_it() {
        const EL9: &str = "CONFIG_SQUASHFS=m\nCONFIG_SQUASHFS_ZSTD=y\n# CONFIG_EROFS_FS_ZIP_LZMA is not set\n\
                           CONFIG_EROFS_FS=m\nCONFIG_EROFS_FS_ZIP=y\n";
        for (release, config, format, wanted, expected) in [
            // by the release
            ("6.12.9-amd64", None, Squashfs, None, Ok(Zstd)),
            ("6.12.9-amd64", None, Erofs, None, Ok(Zstd)),
            ("6.8.0-31-generic", None, Erofs, None, Ok(Gzip)),
            ("6.1.0-28-amd64", None, Erofs, None, Ok(Lz4)),
            ("6.1.0-28-amd64", None, Erofs, Some(Xz), Ok(Xz)),
            ("3.10.0-1160.el7.x86_64", None, Squashfs, None, Ok(Gzip)),
            // by the configuration, whatever the release
            ("5.14.0-503.el9.x86_64", Some(EL9), Erofs, None, Ok(Lz4)),
            ("5.14.0-503.el9.x86_64", Some(EL9), Squashfs, None, Ok(Zstd)),
            (
                "6.12.9-amd64",
                Some(EL9),
                Erofs,
                Some(Zstd),
                Err(
                    "the kernel 6.12.9-amd64 of the image does not read erofs with zstd (CONFIG_EROFS_FS_ZIP_ZSTD, which \
                     Linux has since 6.10): it reads lz4",
                ),
            ),
            (
                "3.10.0-1160.el7.x86_64",
                None,
                Squashfs,
                Some(Zstd),
                Err(
                    "the kernel 3.10.0-1160.el7.x86_64 of the image does not read squashfs with zstd (CONFIG_SQUASHFS_ZSTD, \
                     which Linux has since 4.14): it reads gzip, xz",
                ),
            ),
            (
                "4.18.0-553.el8.x86_64",
                Some("CONFIG_SQUASHFS=m\n"),
                Erofs,
                None,
                Err(
                    "the kernel 4.18.0-553.el8.x86_64 of the image reads no erofs that is compressed",
                ),
            ),
            // what no kernel reads
            ("3.10.0", None, ImageFormat::Cpio, None, Ok(Zstd)),
            (
                "6.12.9-amd64",
                None,
                ImageFormat::Tar,
                Some(Lz4),
                Err("an archive is compressed as zstd, xz or gzip, and not as lz4"),
            ),
        ] {
            let found = chosen(release, config, format, wanted);
            assert_eq!(found, expected.map_err(str::to_owned), "{release} {format}");
        }
    }

    #[test]
    fn a_release_begins_with_two_numbers() {
        for (release, expected) in [
            ("6.12.9-amd64", (6, 12)),
            ("6.8-rc1", (6, 8)),
            ("7", (7, 0)),
            ("", (0, 0)),
        ] {
            assert_eq!(version_of(release), expected, "{release}");
        }
    }
}
