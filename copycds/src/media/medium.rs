//! The medium itself: opens whatever a path names and answers for it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::confine::confine;
use super::directory::MediumDir;
use super::entry::{BootImage, DataLocation, EntryKind, MediumEntry, VolumeIds};
use super::image::{Extents, ImageFile};
use super::iso9660::{self, Descriptors, IsoVolume, NamingScheme};
use super::{bridge, sessions, sniff, udf, zisofs};

/// One disc of a distribution, opened and read through: its tree is known, its files are not read.
#[derive(Debug)]
pub struct Medium {
    path: PathBuf,
    source: MediumSource,
    ids: VolumeIds,
    entries: Vec<MediumEntry>,
    left_out: Vec<MediumEntry>,
    boot: Vec<BootImage>,
    names_cut: bool,
}

/// Where the bytes come from.
#[derive(Debug)]
enum MediumSource {
    Image(ImageFile),
    Directory(MediumDir),
}

impl Medium {
    /// Opens an image file, a block device or a directory and reads its whole tree.
    ///
    /// # Errors
    /// Says what `path` is, when it is no medium, and what is wrong with it, when it is a damaged one.
    pub fn open(path: &Path) -> Result<Self> {
        let opening = || format!("opening {}", path.display());
        let kind = fs::metadata(path).with_context(opening)?.file_type();
        if kind.is_dir() {
            let root = MediumDir::open(path).with_context(opening)?;
            let entries = root
                .entries()
                .with_context(|| format!("reading {}", path.display()))?;
            let (entries, left_out) = confine(entries);
            return Ok(Self {
                path: path.to_owned(),
                source: MediumSource::Directory(root),
                ids: VolumeIds::default(),
                entries,
                left_out,
                boot: Vec::new(),
                names_cut: false,
            });
        }
        ensure!(
            kind.is_file() || kind.is_block_device(),
            "{} is neither an image file, a block device nor a directory",
            path.display()
        );
        Self::from_file(path, File::open(path).with_context(opening)?)
    }

    /// Reads an image that is open already; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`Medium::open`].
    pub fn from_file(path: &Path, file: File) -> Result<Self> {
        Self::parse(path, file).with_context(|| format!("reading {}", path.display()))
    }

    fn parse(path: &Path, file: File) -> Result<Self> {
        let image = ImageFile::new(file).context("finding its end")?;
        let descriptors = iso9660::descriptors(&image)?;
        let (ids, entries, names_cut) = tree(&image, &descriptors)?;
        let (entries, left_out) = confine(entries);
        let boot = match descriptors.boot_catalog {
            Some(sector) => iso9660::boot_images(&image, sector)?,
            None => Vec::new(),
        };
        Ok(Self {
            path: path.to_owned(),
            source: MediumSource::Image(image),
            ids,
            entries,
            left_out,
            boot,
            names_cut,
        })
    }

    /// Returns the path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the identifiers of the volume.
    pub fn ids(&self) -> &VolumeIds {
        &self.ids
    }

    /// Returns everything on the medium but links that lead out of it, parents before their children, sorted by path.
    pub fn entries(&self) -> &[MediumEntry] {
        &self.entries
    }

    /// Returns the links that lead out of the medium; they are not among its entries.
    pub fn left_out(&self) -> &[MediumEntry] {
        &self.left_out
    }

    /// Returns the entry at a path such as `.disk/info`; links are not followed.
    pub fn find(&self, path: &str) -> Option<&MediumEntry> {
        let by_path = |entry: &MediumEntry| entry.path.as_bytes().cmp(path.as_bytes());
        let at = self.entries.binary_search_by(by_path).ok()?;
        self.entries.get(at)
    }

    /// Returns what firmware would boot from the medium, as far as its boot catalog says.
    pub fn boot(&self) -> &[BootImage] {
        &self.boot
    }

    /// Returns whether the names of the files are those of plain ISO 9660, which has few characters and cuts names.
    pub fn has_cut_names(&self) -> bool {
        self.names_cut
    }

    /// Returns the image that [`DataLocation::Extents`] count in, unless the medium is a directory.
    pub fn image(&self) -> Option<&File> {
        match &self.source {
            MediumSource::Image(image) => Some(image.file()),
            MediumSource::Directory(_) => None,
        }
    }

    /// Makes sure that the image is what it was when it was opened: what was read of it early and what was
    /// read late is then of one image. The files of a directory are compared with their metadata one by one.
    ///
    /// # Errors
    /// When somebody has written to it, or its state cannot be read.
    pub fn ensure_unchanged(&self) -> Result<()> {
        let MediumSource::Image(image) = &self.source else {
            return Ok(());
        };
        let name = self.path.display();
        let unchanged = image.is_unchanged();
        ensure!(
            unchanged.with_context(|| format!("looking at {name}"))?,
            "{name} was written to while it was read: let nobody write to it and run again"
        );
        Ok(())
    }

    /// Reads a whole file of at most `limit` bytes.
    ///
    /// # Errors
    /// Says which file cannot be read, or is larger.
    pub fn read(&self, entry: &MediumEntry, limit: u64) -> Result<Vec<u8>> {
        let size = size(entry)?;
        ensure!(
            size <= limit,
            "reading {}: it has {size} bytes, more than {limit}",
            entry.path
        );
        let mut bytes = Vec::new();
        self.reader(entry)?
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading {}", entry.path))?;
        ensure!(
            bytes.len() as u64 == size,
            "reading {}: it has {} bytes instead of {size}",
            entry.path,
            bytes.len()
        );
        Ok(bytes)
    }

    /// Returns a stream of the file's bytes, inflated where the medium has them compressed.
    ///
    /// # Errors
    /// Says which file cannot be opened, or is not a file.
    pub fn reader<'a>(&'a self, entry: &'a MediumEntry) -> Result<Box<dyn Read + 'a>> {
        let size = size(entry)?;
        Ok(match (&self.source, extents_of(entry)) {
            (MediumSource::Image(image), Some((extents, false))) => {
                Box::new(Extents::new(image, extents))
            }
            (MediumSource::Image(image), Some((extents, true))) => {
                let packed = Extents::new(image, extents);
                let reader = zisofs::Inflated::new(packed, size);
                Box::new(reader.with_context(|| format!("inflating {}", entry.path))?)
            }
            _ => Box::new(self.open_entry(entry)?),
        })
    }

    /// Opens a file of a directory medium, below its root and through no link.
    ///
    /// # Errors
    /// Says which file cannot be opened; every file of an image, which has no files of its own.
    pub fn open_entry(&self, entry: &MediumEntry) -> Result<File> {
        match &self.source {
            MediumSource::Directory(root) => root.open_file(&entry.path),
            MediumSource::Image(_) => bail!("opening {}: it is in an image", entry.path),
        }
    }
}

fn size(entry: &MediumEntry) -> Result<u64> {
    match entry.kind {
        EntryKind::File { size, .. } => Ok(size),
        EntryKind::Directory => bail!("reading {}: it is a directory", entry.path),
        EntryKind::Symlink { .. } => bail!("reading {}: it is a link", entry.path),
    }
}

/// Returns the extents of a file in an image and whether they are compressed.
fn extents_of(entry: &MediumEntry) -> Option<(&[super::entry::Extent], bool)> {
    match &entry.kind {
        EntryKind::File {
            content: DataLocation::Extents(extents),
            ..
        } => Some((extents, false)),
        EntryKind::File {
            content: DataLocation::Zisofs(extents),
            ..
        } => Some((extents, true)),
        _ => None,
    }
}

/// Reads the best tree that an image has: Rock Ridge, which alone has POSIX names, modes and links;
/// though UDF may know a length better; else UDF, whose names are whole and which is where discs with an empty shell of ISO 9660 have
/// everything; else Joliet, which cuts names at 64 characters; else plain ISO 9660, and whether it was that.
fn tree(image: &ImageFile, found: &Descriptors) -> Result<(VolumeIds, Vec<MediumEntry>, bool)> {
    let names = match &found.primary {
        Some(primary) => {
            ensure!(
                primary.space <= image.len(),
                "the image is truncated: it holds {} of {} bytes",
                image.len(),
                primary.space
            );
            sessions::ensure_one(image, primary.space)?;
            iso9660::names(image, primary)?
        }
        None => NamingScheme::Plain,
    };
    let ids = |primary: &IsoVolume| primary.ids.clone();
    Ok(match (names, &found.primary, &found.joliet) {
        (NamingScheme::Plain, primary, _) if found.udf => {
            let volume = udf::UdfVolume::find(image).context("reading its UDF volume")?;
            let entries = udf::entries(image, &volume).context("reading its UDF tree")?;
            (primary.as_ref().map_or(volume.ids, ids), entries, false)
        }
        (NamingScheme::Plain, Some(primary), Some(joliet)) => (
            ids(primary),
            iso9660::entries(image, joliet, NamingScheme::Joliet)?,
            false,
        ),
        (names, Some(primary), _) => {
            let mut entries = iso9660::entries(image, primary, names)?;
            if found.udf {
                bridge::reconcile_trees(image, &mut entries)?;
            }
            (ids(primary), entries, names == NamingScheme::Plain)
        }
        (_, None, _) => bail!(
            "it is not an ISO 9660 or UDF image ({})",
            sniff::describe(image)?
        ),
    })
}
