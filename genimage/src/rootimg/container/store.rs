//! Blobs of an image, wherever it is: each is copied, hashed and compared before anything reads it.
//!
//! A name comes in; a file that nobody else can change goes out, or that its digest is another. What a layer unpacks to
//! has a bound.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};

use super::super::tree::RootTree;
use super::source::BlobDigest;

/// The most bytes of a manifest or a configuration.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;

/// What has the blobs of an image.
pub(super) trait BlobStore: Debug {
    /// Opens a file of the image: `index.json`, `blobs/sha256/…`.
    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>>;

    /// Opens a manifest or an index, which some stores have at another place.
    fn open_manifest(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        self.open(name)
    }
}

/// A blob by its name in the store, and by the digest that it must have, unless another one vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlobName {
    pub(super) name: String,
    pub(super) digest: Option<BlobDigest>,
    pub(super) size: Option<u64>,
}

impl BlobName {
    pub(super) fn of_digest(digest: &BlobDigest, size: Option<u64>) -> Self {
        Self {
            name: format!("blobs/sha256/{}", digest.digits()),
            digest: Some(digest.clone()),
            size,
        }
    }
}

/// A directory in the OCI image layout.
#[derive(Debug)]
pub(super) struct LayoutDirectory(pub(super) PathBuf);

impl BlobStore for LayoutDirectory {
    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(open_regular(&self.0.join(name))?))
    }
}

/// Opens a file that is no link, no pipe and no device.
pub(crate) fn open_regular(path: &Path) -> Result<File> {
    let opening = || format!("opening {}", path.display());
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .with_context(opening)?;
    let found = file.metadata().with_context(opening)?;
    ensure!(found.is_file(), "{}: it is not a file", opening());
    Ok(file)
}

/// An archive that was read: its files are found by their paths in it, and nothing is unpacked.
#[derive(Debug)]
pub(super) struct ArchiveFiles(pub(super) RootTree);

impl BlobStore for ArchiveFiles {
    fn open(&self, name: &str) -> Result<Box<dyn Read + '_>> {
        let found = self.0.open(name.as_bytes());
        let (_, reader) =
            found.with_context(|| format!("the archive has no {}", name.escape_debug()))?;
        Ok(Box::new(reader))
    }
}

/// Reads a small file that was opened, and compares its digest.
///
/// # Errors
/// When it is missing, larger than such files are, or another one.
pub(super) fn document(
    opened: Result<Box<dyn Read + '_>>,
    blob: &BlobName,
) -> Result<(Vec<u8>, BlobDigest)> {
    let reading = || format!("reading {}", blob.name.escape_debug());
    let mut bytes = Vec::new();
    let mut reader = opened.with_context(reading)?.take(MAX_DOCUMENT + 1);
    reader.read_to_end(&mut bytes).with_context(reading)?;
    ensure!(
        bytes.len() as u64 <= MAX_DOCUMENT,
        "{}: it has more than {MAX_DOCUMENT} bytes",
        reading()
    );
    let digest = BlobDigest::of(&Sha256::digest(&bytes));
    check(blob, &digest).with_context(reading)?;
    Ok((bytes, digest))
}

fn check(blob: &BlobName, digest: &BlobDigest) -> Result<()> {
    match &blob.digest {
        Some(expected) if expected != digest => {
            anyhow::bail!("it is another file: its digest is {digest}, and should be {expected}")
        }
        _ => Ok(()),
    }
}

/// Copies a layer, compares its digest, unpacks it, and compares the digest of what it unpacks to.
///
/// # Errors
/// When it is missing, another one, or larger than `limit`.
pub(super) fn layer(
    store: &dyn BlobStore,
    blob: &BlobName,
    diff_id: &BlobDigest,
    staging: &Path,
    limit: u64,
) -> Result<Arc<File>> {
    let reading = || format!("reading the layer {}", blob.name.escape_debug());
    let mut source = store.open(&blob.name).with_context(reading)?;
    let most = blob.size.unwrap_or(limit).min(limit);
    let (packed, digest) = spool(&mut source, staging, most).with_context(reading)?;
    check(blob, &digest).with_context(reading)?;
    let (unpacked, digest) = match packing(&packed).with_context(reading)? {
        LayerPacking::Plain => (packed, digest),
        LayerPacking::Gzip => {
            let mut reader = MultiGzDecoder::new(BufReader::with_capacity(1 << 18, packed));
            spool(&mut reader, staging, limit).with_context(reading)?
        }
        LayerPacking::Zstd => {
            let mut reader = zstd::Decoder::new(packed).with_context(reading)?;
            spool(&mut reader, staging, limit).with_context(reading)?
        }
    };
    ensure!(
        digest == *diff_id,
        "{}: it unpacks to {digest}, and the configuration says {diff_id}",
        reading()
    );
    Ok(Arc::new(unpacked))
}

/// How a file is packed, by how it begins: media types are what a server says they are.
#[derive(Debug, PartialEq, Eq)]
enum LayerPacking {
    Plain,
    Gzip,
    Zstd,
}

fn packing(file: &File) -> Result<LayerPacking> {
    let mut begin = [0; 4];
    let mut from = file;
    let read = from.take(4).read(&mut begin)?;
    from.rewind()?;
    Ok(match &begin[..read] {
        [0x1f, 0x8b, ..] => LayerPacking::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => LayerPacking::Zstd,
        _ => LayerPacking::Plain,
    })
}

/// Unpacks an archive into a file of its own, if it is packed.
///
/// # Errors
/// When it cannot be read, or has more than `limit` bytes.
pub(crate) fn unpacked(file: File, staging: &Path, limit: u64) -> Result<Arc<File>> {
    let unpacked = match packing(&file)? {
        LayerPacking::Plain => file,
        LayerPacking::Gzip => {
            let mut reader = MultiGzDecoder::new(BufReader::new(file));
            spool(&mut reader, staging, limit)?.0
        }
        LayerPacking::Zstd => spool(&mut zstd::Decoder::new(file)?, staging, limit)?.0,
    };
    Ok(Arc::new(unpacked))
}

/// Copies into a file that has no name, and hashes.
pub(crate) fn spool(from: &mut dyn Read, staging: &Path, limit: u64) -> Result<(File, BlobDigest)> {
    let file = tempfile::tempfile_in(staging)
        .with_context(|| format!("making a file in {}", staging.display()))?;
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut left = limit;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        left = left
            .checked_sub(read as u64)
            .with_context(|| format!("it has more than {limit} bytes"))?;
        hash.update(&buffer[..read]);
        out.write_all(&buffer[..read])?;
    }
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok((file, BlobDigest::of(&hash.finalize())))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::read::GzEncoder;

    use super::*;

    /// One blob, whatever it is asked for.
    #[derive(Debug)]
    struct OneBlob(Vec<u8>);

    impl BlobStore for OneBlob {
        fn open(&self, _: &str) -> Result<Box<dyn Read + '_>> {
            Ok(Box::new(self.0.as_slice()))
        }
    }

    fn digest(bytes: &[u8]) -> BlobDigest {
        BlobDigest::of(&Sha256::digest(bytes))
    }

    #[test]
    fn a_layer_is_verified_packed_and_unpacked_and_has_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let plain = vec![0; 8 << 20];
        let mut gzip = Vec::new();
        let mut encoder = GzEncoder::new(plain.as_slice(), Compression::fast());
        encoder.read_to_end(&mut gzip).unwrap();
        let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
        for bytes in [plain.clone(), gzip, zstd] {
            let store = OneBlob(bytes.clone());
            let blob = BlobName::of_digest(&digest(&bytes), Some(bytes.len() as u64));
            let read = |blob: &BlobName, diff_id: &BlobDigest, limit| {
                let read = layer(&store, blob, diff_id, dir.path(), limit);
                let read = read.map(|file| file.metadata().unwrap().len());
                read.map_err(|error| format!("{error:#}"))
            };
            assert_eq!(read(&blob, &digest(&plain), 8 << 20), Ok(8 << 20));
            let begin = format!("reading the layer {}: ", blob.name);
            assert_eq!(
                read(&blob, &digest(&plain), 1 << 20).unwrap_err(),
                format!("{begin}it has more than 1048576 bytes")
            );
            assert_eq!(
                read(&blob, &digest(b"other"), 8 << 20).unwrap_err(),
                format!(
                    "{begin}it unpacks to {}, and the configuration says {}",
                    digest(&plain),
                    digest(b"other")
                )
            );
            let other = BlobName {
                digest: Some(digest(b"other")),
                ..blob.clone()
            };
            assert_eq!(
                read(&other, &digest(&plain), 8 << 20).unwrap_err(),
                format!(
                    "{begin}it is another file: its digest is {}, and should be {}",
                    digest(&bytes),
                    digest(b"other")
                )
            );
            let shorter = BlobName {
                size: Some(9),
                ..blob.clone()
            };
            assert_eq!(
                read(&shorter, &digest(&plain), 8 << 20).unwrap_err(),
                format!("{begin}it has more than 9 bytes")
            );
        }
    }

    #[test]
    fn what_is_no_file_of_a_layout_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let store = LayoutDirectory(dir.path().to_owned());
        let opened = |name| {
            store
                .open(name)
                .map(drop)
                .map_err(|error| format!("{error:#}"))
        };
        let path = dir.path().display();
        for (name, expected) in [
            (
                "link",
                format!("opening {path}/link: Too many levels of symbolic links (os error 40)"),
            ),
            ("pipe", format!("opening {path}/pipe: it is not a file")),
            (
                "none",
                format!("opening {path}/none: No such file or directory (os error 2)"),
            ),
        ] {
            assert_eq!(opened(name), Err(expected));
        }
    }
}
