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

/// No index inflates to more; the largest real ones have some hundred megabytes.
const LARGEST: u64 = 1 << 30;

/// No decoder's window is larger: `xz -9` needs 64 MiB.
const WINDOW_KIB: u32 = 96 << 10;

const BUFFER: usize = 256 << 10;

/// Endings that can be opened, the cheapest to read first.
const ENDINGS: [&str; 4] = ["", ".gz", ".zst", ".xz"];

/// Finds an index under the first ending that lies on disk.
pub(super) fn find(plain: &Path) -> Option<PathBuf> {
    ENDINGS
        .iter()
        .map(|ending| {
            let mut path = plain.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        })
        .find(|path| path.is_file())
}

/// Whether a file can be opened, by its name alone.
pub(super) fn is_known(name: &str) -> bool {
    match name
        .rsplit('/')
        .next()
        .and_then(|file| file.rsplit_once('.'))
    {
        Some((_, ending)) => matches!(ending, "gz" | "xz" | "zst" | "xml"),
        None => true,
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
    fn the_cheapest_ending_is_found_first() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("Packages");
        assert_eq!(find(&plain), None);
        for (ending, found) in [("xz", "Packages.xz"), ("gz", "Packages.gz")] {
            std::fs::write(plain.with_extension(ending), "").unwrap();
            assert_eq!(find(&plain), Some(directory.path().join(found)));
        }
        std::fs::write(&plain, "").unwrap();
        assert_eq!(find(&plain), Some(plain));
    }

    #[test]
    fn bzip2_and_sqlite_are_not_opened() {
        for (name, known) in [
            ("repodata/1-primary.xml.gz", true),
            ("repodata/1-comps.xml", true),
            ("repodata/1-primary.xml.bz2", false),
            ("repodata/1-comps.xml.zck", false),
        ] {
            assert_eq!(is_known(name), known, "{name}");
        }
    }
}
