//! Whether a disk holds nothing: every byte that is read of it is zero. Pure but for reading.
//!
//! What somebody keeps on a disk is at its beginning, at its end, or leaves something in between: both ends are read, and places
//! all over it. A signature that is known gives what is there a name; it decides nothing.
//!
//! Reference: libblkid's `superblocks` and `partitions`; UEFI 2.10 §5.3 (GPT); the kernel's `Documentation/filesystems`.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

/// How much of each end is read: both headers of LUKS2 are within, whatever its size.
const EDGE: u64 = 4 << 20;
/// How many places between the ends are read, and how much of each.
const SAMPLES: u64 = 256;
const SAMPLE: u64 = 64 << 10;
/// Where btrfs keeps copies of its superblock.
const COPIES: [u64; 2] = [64 << 20, 256 << 30];

/// What a disk holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiskContent {
    /// Nothing was found.
    Nothing,
    /// What is known of it: `a partition table (GPT)`.
    Something(String),
}

impl fmt::Display for DiskContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.pad("nothing"),
            Self::Something(what) => f.pad(what),
        }
    }
}

/// Reads as much of a disk as tells whether it holds something.
///
/// # Errors
/// When it cannot be read.
pub(super) fn examine(disk: &mut (impl Read + Seek)) -> io::Result<DiskContent> {
    let size = disk.seek(SeekFrom::End(0))?;
    let tail = size.saturating_sub(EDGE);
    let mut places = vec![(0, EDGE.min(size)), (tail, size - tail)];
    let step = size / (SAMPLES + 1);
    let samples = (1..=SAMPLES).map(|at| (at * step) & !(SAMPLE - 1));
    // A device refuses to seek past its end (`blkdev_llseek`, block/fops.c); a file does not.
    for at in samples.chain(COPIES).filter(|at| *at < size) {
        places.push((at, SAMPLE.min(size - at)));
    }
    let mut buffer = Vec::new();
    for (index, (at, length)) in places.into_iter().enumerate() {
        disk.seek(SeekFrom::Start(at))?;
        buffer.resize(usize::try_from(length).unwrap_or_default(), 0);
        disk.read_exact(&mut buffer)?;
        let Some(first) = buffer.iter().position(|byte| *byte != 0) else {
            continue;
        };
        let known = match index {
            0 => at_start(&buffer),
            1 => at_end(&buffer, size),
            _ => None,
        };
        let what = known.map_or_else(
            || {
                format!(
                    "bytes that are not zero, from byte {} on",
                    at + first as u64
                )
            },
            str::to_owned,
        );
        return Ok(DiskContent::Something(what));
    }
    Ok(DiskContent::Nothing)
}

/// What is at the beginning of disks: offset, bytes, what it is; those that also have the mark of a partition table before it.
const START: [(usize, &[u8], &str); 31] = [
    (512, b"EFI PART", "a partition table (GPT)"),
    (4096, b"EFI PART", "a partition table (GPT)"),
    (0, b"LUKS\xba\xbe", "an encrypted volume (LUKS)"),
    (0x4000, b"SKUL\xba\xbe", "an encrypted volume (LUKS)"),
    (0, b"LABELONE", "a physical volume of LVM"),
    (512, b"LABELONE", "a physical volume of LVM"),
    (1024, b"LABELONE", "a physical volume of LVM"),
    (1536, b"LABELONE", "a physical volume of LVM"),
    (0, b"\xfc\x4e\x2b\xa9", "a member of a RAID (md)"),
    (4096, b"\xfc\x4e\x2b\xa9", "a member of a RAID (md)"),
    (0, b"XFSB", "a file system (XFS)"),
    (1080, b"\x53\xef", "a file system (ext)"),
    (0x1_0040, b"_BHRfS_M", "a file system (btrfs)"),
    (0x1_0034, b"ReIsEr", "a file system (ReiserFS)"),
    (0x8000, b"JFS1", "a file system (JFS)"),
    (1024, b"\x10\x20\xf5\xf2", "a file system (F2FS)"),
    (0x1_0000, b"\x01\x16\x19\x70", "a file system (GFS2)"),
    (3, b"NTFS    ", "a file system (NTFS)"),
    (3, b"EXFAT   ", "a file system (exFAT)"),
    (54, b"FAT", "a file system (FAT)"),
    (82, b"FAT32", "a file system (FAT)"),
    (0x8001, b"CD001", "a file system (ISO 9660)"),
    (4086, b"SWAPSPACE2", "swap space"),
    (4086, b"SWAP-SPACE", "swap space"),
    (16374, b"SWAPSPACE2", "swap space"),
    (65526, b"SWAPSPACE2", "swap space"),
    (
        4120,
        b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca",
        "a device of bcache",
    ),
    (0, b"bluestore block device", "a device of Ceph"),
    (0x200, b"!Stra0tis\x86\xff\x02", "a device of Stratis"),
    (0, b"\xc0\x3b\x39\x98", "a log (JBD)"),
    (510, b"\x55\xaa", "a partition table (MBR)"),
];

fn at_start(bytes: &[u8]) -> Option<&'static str> {
    let matching = START.iter();
    let mut matching = matching.filter(|(at, magic, _)| {
        let found = bytes.get(*at..at + magic.len());
        found == Some(*magic)
    });
    matching.next().map(|(_, _, what)| *what)
}

/// What is at the end of disks of which the beginning is empty. `size` is that of the disk.
fn at_end(bytes: &[u8], size: u64) -> Option<&'static str> {
    let begin = size - bytes.len() as u64;
    let has = |at: Option<u64>, magic: &[u8]| {
        let at = at.and_then(|at| usize::try_from(at.checked_sub(begin)?).ok());
        at.and_then(|at| bytes.get(at..at + magic.len())) == Some(magic)
    };
    let before = |length: u64| size.checked_sub(length);
    // md(4): version 0.90 is in the last 64 KiB that are aligned, 1.0 8 KiB before the end, aligned to 4 KiB
    let old = (size & !0xffff).checked_sub(0x1_0000);
    let new = before(8 << 10).map(|at| at & !0xfff);
    if has(before(512), b"EFI PART") || has(before(4096), b"EFI PART") {
        Some("the second half of a partition table (GPT)")
    } else if has(old, b"\xfc\x4e\x2b\xa9") || has(new, b"\xfc\x4e\x2b\xa9") {
        Some("a member of a RAID (md)")
    } else if has(before(1024), b"Intel Raid ISM") {
        Some("a member of a RAID (Intel)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const SIZE: usize = 12 << 20;

    /// A disk whose end is the end of all places, as a device's is.
    struct Device(Cursor<Vec<u8>>);

    impl Read for Device {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Seek for Device {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            match to {
                SeekFrom::Start(at) if at > self.0.get_ref().len() as u64 => {
                    Err(io::ErrorKind::InvalidInput.into())
                }
                to => self.0.seek(to),
            }
        }
    }

    fn of(at: usize, bytes: &[u8]) -> DiskContent {
        let mut disk = vec![0; SIZE];
        disk[at..at + bytes.len()].copy_from_slice(bytes);
        examine(&mut Cursor::new(disk)).unwrap()
    }

    #[test]
    fn what_is_known_is_named() {
        for (at, magic, what) in START {
            assert_eq!(of(at, magic).to_string(), what, "{at}");
        }
        let raid = "a member of a RAID (md)";
        for (at, magic, what) in [
            (
                SIZE - 512,
                &b"EFI PART"[..],
                "the second half of a partition table (GPT)",
            ),
            (SIZE - 0x1_0000, b"\xfc\x4e\x2b\xa9", raid),
            (SIZE - 0x2000, b"\xfc\x4e\x2b\xa9", raid),
            (
                SIZE - 1024,
                b"Intel Raid ISM Cfg",
                "a member of a RAID (Intel)",
            ),
        ] {
            assert_eq!(of(at, magic).to_string(), what);
        }
    }

    #[test]
    fn a_byte_that_nobody_knows_is_something_too() {
        let first = |at: usize| format!("bytes that are not zero, from byte {at} on");
        for at in [0, 5, 1 << 20, SIZE - 1, SIZE - (1 << 20)] {
            assert_eq!(of(at, b"\x01").to_string(), first(at));
        }
        // In between every place that is 64 KiB wide is seen where the disk is small.
        let step = SIZE / 257;
        for sample in [100, 128, 150] {
            let at = (sample * step) & !0xffff;
            assert_eq!(of(at + 0xffff, b"\x01").to_string(), first(at + 0xffff));
        }
    }

    #[test]
    fn a_disk_of_zeros_holds_nothing_and_one_that_ends_early_is_an_error() {
        for size in [0, 1, 512, 5 << 20, SIZE] {
            let found = examine(&mut Device(Cursor::new(vec![0; size]))).unwrap();
            assert_eq!(found, DiskContent::Nothing, "{size}");
        }
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("input/output error"))
            }
        }
        impl Seek for Failing {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(SIZE as u64)
            }
        }
        assert!(examine(&mut Failing).is_err());
    }
}
