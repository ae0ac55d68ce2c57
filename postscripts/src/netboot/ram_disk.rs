//! The block device in memory that holds the root image: `/dev/ram0`, of the kernel's module `brd`.
//!
//! It needs no loop device and no file below it: what is written to it is there once, and is not copied when it is
//! mounted. Reference: Documentation/admin-guide/blockdev/ramdisk.rst.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::drivers::Drivers;

/// How many written bytes may wait in the page cache: they are there a second time until they are in the device.
const MAX_UNWRITTEN: u64 = 32 << 20;
/// The size of a sector, which is what `/sys` counts in.
const SECTOR: u64 = 512;

/// The device.
#[derive(Debug)]
pub(super) struct RamDisk {
    file: File,
    unwritten: u64,
}

impl RamDisk {
    /// Its path.
    pub(super) const PATH: &'static str = "/dev/ram0";

    /// Makes the device, with room for so many bytes.
    ///
    /// # Errors
    /// When the kernel has none, or one that is too small.
    pub(super) fn create(drivers: &Drivers, bytes: u64) -> Result<Self> {
        drivers.insert("brd", &parameters(bytes))?;
        let size = Path::new("/sys/class/block/ram0/size");
        let size =
            fs::read_to_string(size).with_context(|| format!("reading {}", size.display()))?;
        check_size(&size, bytes)?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(Self::PATH);
        Ok(Self {
            file: file.with_context(|| format!("opening {}", Self::PATH))?,
            unwritten: 0,
        })
    }

    /// Moves what was written from the page cache into the device.
    fn settle(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.unwritten = 0;
        Ok(posix_fadvise(
            &self.file,
            0,
            0,
            PosixFadviseAdvice::POSIX_FADV_DONTNEED,
        )?)
    }
}

/// One device, as large as the image, in KiB.
fn parameters(bytes: u64) -> String {
    format!("rd_nr=1 rd_size={} max_part=0", bytes.div_ceil(1024))
}

fn check_size(sectors: &str, bytes: u64) -> Result<()> {
    let sectors = sectors.trim().parse::<u64>().unwrap_or(0);
    if sectors.saturating_mul(SECTOR) < bytes {
        bail!(
            "{} has {} KiB and the root image {}: the kernel has it built in, so add ramdisk_size={} to the osimage's \
             addkcmdline",
            RamDisk::PATH,
            sectors.saturating_mul(SECTOR) / 1024,
            bytes.div_ceil(1024),
            bytes.div_ceil(1024)
        );
    }
    Ok(())
}

impl Write for RamDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unwritten += written as u64;
        if self.unwritten >= MAX_UNWRITTEN {
            self.settle()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.settle()
    }
}

impl Seek for RamDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_room_for_the_image() {
        assert_eq!(parameters(4097), "rd_nr=1 rd_size=5 max_part=0");
        assert!(check_size("8\n", 4096).is_ok());
        assert_eq!(
            check_size("8\n", 5000).unwrap_err().to_string(),
            "/dev/ram0 has 4 KiB and the root image 5: the kernel has it built in, so add ramdisk_size=5 to the osimage's \
             addkcmdline"
        );
    }
}
