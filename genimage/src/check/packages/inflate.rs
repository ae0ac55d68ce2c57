//! Opens an index in the compressions that repositories use, and never lets it grow without bound.
//!
//! A path that was found on disk comes in; a stream of at most [`LARGEST`] bytes goes out. Debian packs
//! with gzip and xz, rpm-md with gzip, xz (EL 7) and zstd (EL 10, Fedora).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use crate::repository::packing::{Packing, Packings};

/// No index inflates to more; the largest real ones have some hundred megabytes.
const LARGEST: u64 = 1 << 30;

/// No decoder's window is larger: `xz -9` needs 64 MiB.
const WINDOW_KIB: u32 = 96 << 10;

const BUFFER: usize = 256 << 10;

/// Where an index lies, packed as it may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It can be read, here and by the node.
    Readable(PathBuf),
    /// The node can read it, and nothing here can.
    NotHere(PathBuf),
    /// The node's package manager cannot read it.
    NotByNode(PathBuf),
    /// It is nowhere.
    Missing,
}

/// Finds an index among the files that `counts` lets in, the cheapest form to read first.
pub(super) fn find(plain: &Path, packings: Packings, counts: impl Fn(&Path) -> bool) -> Found {
    let all = Packing::ALL.iter().map(|packing| {
        let mut path = plain.as_os_str().to_owned();
        path.push(packing.ending());
        (*packing, PathBuf::from(path))
    });
    let there: Vec<_> = all
        .filter(|(_, path)| path.is_file() && counts(path))
        .collect();
    let mut first = Found::Missing;
    for (packing, path) in there {
        match (packings.has(packing), packing.is_read_here()) {
            (true, true) => return Found::Readable(path),
            (true, false) => first = Found::NotHere(path),
            (false, _) if first == Found::Missing => first = Found::NotByNode(path),
            (false, _) => {}
        }
    }
    first
}

/// Says who can read a file, by its name alone.
pub(super) fn of_name(path: PathBuf, packings: Packings) -> Found {
    let packing = Packing::of(&path);
    match packing {
        _ if !path.is_file() => Found::Missing,
        Some(packing) if !packings.has(packing) => Found::NotByNode(path),
        Some(packing) if packing.is_read_here() => Found::Readable(path),
        _ => Found::NotHere(path),
    }
}

/// Opens a file that is packed as its name says.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    unpack(
        path.extension().and_then(|ending| ending.to_str()),
        File::open(path)?,
    )
}

fn unpack(ending: Option<&str>, packed: impl Read + 'static) -> io::Result<Box<dyn BufRead>> {
    let packed = BufReader::with_capacity(BUFFER, packed);
    let plain: Box<dyn Read> = match ending {
        Some("gz") => Box::new(MultiGzDecoder::new(packed)),
        Some("xz") => Box::new(XzReader::new_mem_limit(packed, true, WINDOW_KIB)),
        Some("zst") => {
            let limit = u64::from(WINDOW_KIB) << 10;
            let decoder = StreamingDecoder::new_with_max_window_size(packed, limit);
            Box::new(decoder.map_err(io::Error::other)?)
        }
        _ => Box::new(packed),
    };
    let left = LARGEST;
    Ok(Box::new(BufReader::with_capacity(
        BUFFER,
        Limited { plain, left },
    )))
}

/// Errors, where `Take` would silently end.
struct Limited<R> {
    plain: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.plain.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("it inflates to more than {LARGEST} bytes")))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn what_is_packed_is_read_back_and_half_a_file_is_an_error() {
        let plain: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain).unwrap();
        let packed = encoder.finish().unwrap();
        let read = |packed: Vec<u8>| {
            let mut read = Vec::new();
            unpack(Some("gz"), io::Cursor::new(packed))?.read_to_end(&mut read)?;
            io::Result::Ok(read)
        };
        assert_eq!(read(packed.clone()).unwrap(), plain);
        assert!(read(packed[..packed.len() / 2].to_vec()).is_err());
    }

    #[test]
    fn what_grows_without_bound_is_an_error() {
        let plain = io::repeat(0);
        let error = Limited { plain, left: 3 }.read(&mut [0; 8]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it inflates to more than 1073741824 bytes"
        );
    }

    #[test]
    fn the_cheapest_form_that_the_node_can_read_is_found_first() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("Packages");
        let all = Packings::ALL;
        let old = Packings::WITHOUT_ZSTD;
        let every = |_: &Path| true;
        let at = |ending: &str| directory.path().join(format!("Packages{ending}"));
        assert_eq!(find(&plain, all, every), Found::Missing);
        std::fs::write(at(".zst"), "").unwrap();
        assert_eq!(find(&plain, all, every), Found::Readable(at(".zst")));
        assert_eq!(find(&plain, old, every), Found::NotByNode(at(".zst")));
        std::fs::write(at(".bz2"), "").unwrap();
        assert_eq!(find(&plain, old, every), Found::NotHere(at(".bz2")));
        for ending in [".xz", ".gz", ""] {
            std::fs::write(at(ending), "").unwrap();
            assert_eq!(find(&plain, old, every), Found::Readable(at(ending)));
        }
        let packed = |path: &Path| path != plain;
        assert_eq!(find(&plain, old, packed), Found::Readable(at(".gz")));
    }

    #[test]
    fn a_file_is_known_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let all = Packings::ALL;
        for (name, found) in [
            ("1-primary.xml.gz", Found::Readable as fn(PathBuf) -> Found),
            ("1-comps.xml", Found::Readable),
            ("1-primary.xml.bz2", Found::NotHere),
            ("1-comps.xml.zck", Found::NotHere),
        ] {
            let path = directory.path().join(name);
            assert_eq!(of_name(path.clone(), all), Found::Missing, "{name}");
            std::fs::write(&path, "").unwrap();
            assert_eq!(of_name(path.clone(), all), found(path), "{name}");
        }
        let zst = directory.path().join("1-primary.xml.zst");
        std::fs::write(&zst, "").unwrap();
        let found = of_name(zst.clone(), Packings::WITHOUT_ZSTD);
        assert_eq!(found, Found::NotByNode(zst));
    }
}
