//! What is known of a root image: `rootimg.json`, and where its files are.
//!
//! The directory is `<installdir>/netboot/<osvers>/<arch>/<profile>/`, or what the osimage's `rootimgdir` says:
//!
//! | file | what |
//! |---|---|
//! | `rootimg.json` | this record: whatever it names exists, complete |
//! | `rootimg.<digest>.<ending>` | the image that nodes mount |
//! | `kernel.<digest>` | the kernel of the image |
//! | `initrd.<digest>` | the initrd that fetches and mounts the image |
//! | `rootimg.<digest>.sha256sums` | the SHA-256 of every file in the image |
//! | `rootimg.<digest>.verity` | the hash tree of dm-verity, of a squashfs or an erofs |
//!
//! The digest in a name is the first 16 digits of the file's SHA-256. So a name never has other content: a node
//! that boots while an image is replaced gets the one that its assets name.

mod directory;

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

pub use directory::RootImageDir;
pub(super) use directory::read_record;

/// How many digits of its SHA-256 a file has in its name.
const NAME_DIGITS: usize = 16;

/// How a root image is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// A read-only file system, mounted from memory.
    Squashfs,
    /// Another one, with faster reads.
    Erofs,
    /// An archive that is unpacked into memory.
    Cpio,
    /// The same, as `tar` reads it.
    Tar,
}

impl ImageFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Squashfs, Self::Erofs, Self::Cpio, Self::Tar];

    /// Returns the name that `packimage -m` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
            Self::Cpio => "cpio",
            Self::Tar => "tar",
        }
    }

    /// Whether it is mounted as it is; others are unpacked.
    pub fn is_filesystem(self) -> bool {
        matches!(self, Self::Squashfs | Self::Erofs)
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ImageFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| format!("expected one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// How a root image is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageCompression {
    /// Zstandard, level 3.
    Zstd,
    /// LZMA2.
    Xz,
    /// DEFLATE.
    Gzip,
    /// LZ4, of file systems alone.
    Lz4,
}

impl ImageCompression {
    /// Every compression.
    pub const ALL: [Self; 4] = [Self::Zstd, Self::Xz, Self::Gzip, Self::Lz4];

    /// Returns the name that `packimage -c` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
        }
    }

    /// Returns the ending of an archive that is compressed so: `zst`.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Xz => "xz",
            Self::Gzip => "gz",
            Self::Lz4 => "lz4",
        }
    }
}

impl fmt::Display for ImageCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ImageCompression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| format!("expected one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// A file of the directory, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Its name in the directory.
    pub file: String,
    /// Its SHA-256: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl FileRecord {
    /// Names a file by its content: `kernel.<digest>`, `rootimg.<digest>.squashfs`.
    pub fn new(stem: &str, ending: Option<&str>, sha256: String, bytes: u64) -> Self {
        let digest = sha256.get(..NAME_DIGITS).unwrap_or(&sha256);
        let file = match ending {
            Some(ending) => format!("{stem}.{digest}.{ending}"),
            None => format!("{stem}.{digest}"),
        };
        Self {
            file,
            sha256,
            bytes,
        }
    }

    fn check(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        ensure!(
            self.file.chars().all(plain) && !self.file.starts_with('.') && !self.file.is_empty(),
            "'{}' is not a file of the directory",
            self.file.escape_debug()
        );
        check_digest(&self.sha256).with_context(|| format!("the SHA-256 of {}", self.file))
    }
}

fn check_digest(text: &str) -> Result<()> {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    ensure!(
        text.len() == 64 && text.bytes().all(digit),
        "'{}' is not 64 lower-case hexadecimal digits",
        text.escape_debug()
    );
    Ok(())
}

/// What dm-verity needs beside the image: veritysetup(8). SHA-256, format 1, blocks of 4096 bytes, and the superblock
/// before the hash tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerityRecord {
    /// The hash tree.
    pub tree: FileRecord,
    /// The digest that vouches for the whole image.
    pub root_hash: String,
    /// The salt, hexadecimal.
    pub salt: String,
    /// How many blocks of 4096 bytes of the image are covered: all of them.
    pub data_blocks: u64,
}

/// A packed root image, with what boots it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootImageRecord {
    /// The osimage.
    pub osimage: String,
    /// The SHA-256 of everything that it was built from: lists, repositories, scripts.
    pub built_from: String,
    /// The SHA-256 of the sorted tar from which it was packed.
    pub packed_from: String,
    /// How it is packed.
    pub format: ImageFormat,
    /// How it is compressed; absent if it is not.
    pub compression: Option<ImageCompression>,
    /// The image.
    pub image: FileRecord,
    /// How many bytes its files have, unpacked: what a root in memory takes, without the files' metadata.
    pub unpacked_bytes: u64,
    /// The release of its kernel: `6.12.9-amd64`, a directory of `/usr/lib/modules`.
    pub kernel_version: String,
    /// The kernel.
    pub kernel: FileRecord,
    /// The initrd, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<FileRecord>,
    /// The SHA-256 of what the initrd was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd_from: Option<String>,
    /// The SHA-256 of every file in the image, as `sha256sum` prints them.
    pub manifest: FileRecord,
    /// What dm-verity needs; only of a squashfs or an erofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verity: Option<VerityRecord>,
}

impl RootImageRecord {
    /// Parses the text of a record.
    ///
    /// # Errors
    /// When it is not one, or names a file outside of its directory.
    pub fn parse(text: &str) -> Result<Self> {
        let record: Self = serde_json::from_str(text)?;
        for file in record.files() {
            file.check()?;
        }
        if let Some(verity) = &record.verity {
            check_digest(&verity.root_hash).context("the root hash of dm-verity")?;
            check_digest(&verity.salt).context("the salt of dm-verity")?;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || ".-_+~".contains(c);
        ensure!(
            record.kernel_version.chars().all(word)
                && record
                    .kernel_version
                    .starts_with(|c: char| c.is_ascii_digit()),
            "'{}' is not the release of a kernel",
            record.kernel_version.escape_debug()
        );
        Ok(record)
    }

    /// Returns the record as text.
    ///
    /// # Errors
    /// Never, for a record that was parsed or made here.
    pub fn render(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Returns every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &FileRecord> {
        let optional = [
            self.initrd.as_ref(),
            self.verity.as_ref().map(|verity| &verity.tree),
        ];
        [&self.image, &self.kernel, &self.manifest]
            .into_iter()
            .chain(optional.into_iter().flatten())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn file(stem: &str, ending: Option<&str>) -> FileRecord {
        FileRecord::new(stem, ending, "0123456789abcdef".repeat(4), 3)
    }

    pub(super) fn record() -> RootImageRecord {
        RootImageRecord {
            osimage: "debian12.9.0-x86_64-netboot-dockerhost".into(),
            built_from: "b".repeat(64),
            packed_from: "c".repeat(64),
            format: ImageFormat::Squashfs,
            compression: Some(ImageCompression::Zstd),
            image: file("rootimg", Some("squashfs")),
            unpacked_bytes: 12,
            kernel_version: "6.1.0-28-cloud-amd64".into(),
            kernel: file("kernel", None),
            initrd: None,
            initrd_from: None,
            manifest: file("rootimg", Some("sha256sums")),
            verity: None,
        }
    }

    #[test]
    fn a_record_that_is_printed_parses_to_the_same() {
        let mut record = record();
        assert_eq!(
            RootImageRecord::parse(&record.render().unwrap()).unwrap(),
            record
        );
        record.initrd = Some(file("initrd", None));
        record.verity = Some(VerityRecord {
            tree: file("rootimg", Some("verity")),
            root_hash: "d".repeat(64),
            salt: "e".repeat(64),
            data_blocks: 3,
        });
        assert_eq!(
            RootImageRecord::parse(&record.render().unwrap()).unwrap(),
            record
        );
        assert_eq!(record.files().count(), 5);
    }

    #[test]
    fn a_record_that_names_what_is_not_in_its_directory_is_refused() {
        for (name, expected) in [
            ("../shadow", "'../shadow' is not a file of the directory"),
            (".hidden", "'.hidden' is not a file of the directory"),
            ("a\nb", "'a\\nb' is not a file of the directory"),
            ("", "'' is not a file of the directory"),
        ] {
            let mut record = record();
            record.kernel.file = name.into();
            let refused = RootImageRecord::parse(&record.render().unwrap()).unwrap_err();
            assert_eq!(refused.to_string(), expected);
        }
        let mut other = record();
        other.verity = Some(VerityRecord {
            tree: file("rootimg", Some("verity")),
            root_hash: "d".repeat(64),
            salt: "; --help".into(),
            data_blocks: 3,
        });
        let refused = RootImageRecord::parse(&other.render().unwrap()).unwrap_err();
        assert_eq!(
            format!("{refused:#}"),
            "the salt of dm-verity: '; --help' is not 64 lower-case hexadecimal digits"
        );
        let mut other = record();
        other.kernel_version = "6 init=/bin/sh".into();
        let refused = RootImageRecord::parse(&other.render().unwrap()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "'6 init=/bin/sh' is not the release of a kernel"
        );
    }
}
