//! What a medium holds, as values that are safe to act upon.

use std::fmt;
use std::path::Path;

/// A path on a medium: relative, `/`-separated, never empty, with no component that is empty, `.` or
/// `..` and no NUL byte. Bytes, because media of every age are in every encoding.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediumPath(Vec<u8>);

/// One file, directory or link of a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumEntry {
    /// Where it is.
    pub path: MediumPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits (the lower twelve of `st_mode`); what a medium without Rock Ridge gets is
    /// 0755 for directories and 0644 for files.
    pub mode: u32,
    /// When it was last modified, if the medium says.
    pub mtime: Option<Timestamp>,
}

/// What an entry is. Devices, sockets and pipes do not belong on install media and are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its length in bytes, as a reader sees it.
        size: u64,
        /// Where those bytes are.
        content: DataLocation,
    },
    /// A symbolic link and its target, byte for byte; the target is not checked, only stored.
    Symlink {
        /// What the link says.
        target: Vec<u8>,
    },
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataLocation {
    /// In the image, in this order; the lengths add up to the file's size. Checked to be inside the
    /// image.
    Extents(Vec<Extent>),
    /// In a directory medium, at the entry's own path.
    InPlace,
    /// In the image as zisofs blocks (RRIP `ZF`), to be inflated on the way.
    Zisofs(Vec<Extent>),
}

/// A run of bytes in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte, counted from the start of the image.
    pub offset: u64,
    /// How many bytes.
    pub len: u64,
}

/// Seconds since 1970-01-01 00:00:00 UTC; negative before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Takes a date and time of the Gregorian calendar, `offset` seconds east of Greenwich; absent
    /// when there is no such date.
    pub(super) fn from_civil(
        year: i64,
        [month, day, hour, minute, second]: [u8; 5],
        offset: i64,
    ) -> Option<Self> {
        let possible = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        // Days since 1970-03-01 by counting years from March, so that a leap day comes last.
        let (month, day) = (i64::from(month), i64::from(day));
        let shifted = if month > 2 { year } else { year - 1 };
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = 365 * shifted + shifted.div_euclid(4) - shifted.div_euclid(100)
            + shifted.div_euclid(400)
            + day_of_year
            - 719_468;
        let time = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        possible.then_some(Self(days * 86_400 + time - offset))
    }
}

/// What firmware would boot from an image (El Torito).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootImage {
    /// Whose firmware it is for.
    pub platform: BootPlatform,
    /// Whether it is marked bootable.
    pub bootable: bool,
    /// What the firmware pretends that it is.
    pub emulation: Emulation,
    /// Where it begins and how much of it the firmware loads, which may be less than the whole boot
    /// file: isolinux has only its first 2048 bytes loaded. Zero bytes mean that the firmware decides.
    pub extent: Extent,
}

/// The firmware that a boot image is for (El Torito 1.0 figure 2; UEFI 2.10 §13.3.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootPlatform {
    /// PC BIOS.
    Bios,
    /// Open Firmware on PowerPC.
    PowerPc,
    /// Old Macintosh.
    Mac,
    /// UEFI, of any architecture.
    Efi,
    /// Any other number.
    Other(u8),
}

/// What a boot image is presented as (El Torito 1.0 figure 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emulation {
    /// Itself.
    None,
    /// A diskette, whole.
    Diskette,
    /// A hard disk.
    HardDisk,
}

/// The identifiers in the volume descriptor (ECMA-119 §8.4), without their padding; all empty for a
/// directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeIds {
    /// Volume identifier, at most 32 characters on disc, often cut.
    pub volume: String,
    /// System identifier.
    pub system: String,
    /// Publisher identifier.
    pub publisher: String,
    /// Application identifier.
    pub application: String,
    /// Volume space size in logical blocks of 2048 bytes.
    pub blocks: u64,
}

impl MediumPath {
    /// Checks and takes a path.
    ///
    /// # Errors
    /// Says in words what is wrong with it.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self, String> {
        let path = path.into();
        match path.split(|&byte| byte == b'/').find(|part| is_bad(part)) {
            Some(part) => Err(format!(
                "'{}' is not a valid name on a medium",
                part.escape_ascii()
            )),
            None => Ok(Self(path)),
        }
    }

    /// Returns the path of `name` in the directory `parent`, or in the root of the medium.
    ///
    /// # Errors
    /// Says in words what is wrong with the name.
    pub(super) fn join(parent: Option<&Self>, name: &[u8]) -> Result<Self, String> {
        if is_bad(name) || name.contains(&b'/') {
            return Err(format!(
                "'{}' is not a valid name on a medium",
                name.escape_ascii()
            ));
        }
        let parent = parent.map_or(&b""[..], Self::as_bytes);
        let mut path = Vec::with_capacity(parent.len() + 1 + name.len());
        path.extend_from_slice(parent);
        if !parent.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Ok(Self(path))
    }

    /// Whether it is in the directory `other`, at any depth.
    pub(super) fn is_inside(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(&other.0[..]);
        rest.is_some_and(|rest| rest.first() == Some(&b'/'))
    }

    /// Returns the bytes, as they are on the medium.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns it as a relative path of this system.
    pub fn as_path(&self) -> &Path {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(&self.0))
    }

    /// Returns it as text when it is UTF-8, which every name that recognition looks for is.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

/// Whether a component could lead out of its directory, or nowhere.
fn is_bad(part: &[u8]) -> bool {
    matches!(part, b"" | b"." | b"..") || part.contains(&0)
}

/// Prints one line whatever the medium says.
impl fmt::Display for MediumPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0);
        f.pad(&text.replace('\n', "\\n").replace('\r', "\\r"))
    }
}

impl fmt::Debug for MediumPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_seconds_from_1970() {
        for (year, fields, offset, expected) in [
            (1970, [1, 1, 0, 0, 0], 0, Some(0)),
            (2000, [2, 29, 12, 0, 0], 0, Some(951_825_600)),
            (2024, [8, 27, 15, 30, 5], 7200, Some(1_724_765_405)),
            (1969, [12, 31, 23, 59, 59], 0, Some(-1)),
            (1999, [0, 1, 0, 0, 0], 0, None),
            (1999, [1, 1, 24, 0, 0], 0, None),
        ] {
            let stamp = Timestamp::from_civil(year, fields, offset);
            assert_eq!(stamp, expected.map(Timestamp), "{year} {fields:?}");
        }
    }

    #[test]
    fn a_path_that_could_leave_the_tree_is_refused() {
        for path in [
            "",
            "/etc/passwd",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a/",
            "a\0b",
        ] {
            assert!(MediumPath::new(path).is_err(), "{path:?}");
        }
        assert_eq!(
            MediumPath::new("a/b.c").unwrap().as_path(),
            Path::new("a/b.c")
        );
    }
}
