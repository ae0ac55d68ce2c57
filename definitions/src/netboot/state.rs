//! Where a diskless node keeps its state: on a file system with a label, which may be made at the first boot, or in memory.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The label of the file system that keeps a diskless node's state: ext4 and XFS keep 12 bytes or more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StateLabel(String);

crate::name::text! { StateLabel }

impl FromStr for StateLabel {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if (1..=12).contains(&text.len()) && text.chars().all(plain) {
            return Ok(Self(text.to_owned()));
        }
        let expected = "1 to 12 letters, digits, '.', '_' and '-'";
        Err(Error::invalid("the label of a file system", text, expected))
    }
}

/// The disk on which the file system is made if there is none with the label, and if the disk holds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StateDisk {
    /// The only disk of the node that holds nothing.
    Empty,
    /// A disk or a partition as the kernel names it: `sda`, `nvme0n1p2`.
    Device(String),
}

impl fmt::Display for StateDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.pad("empty"),
            Self::Device(name) => f.pad(&format!("/dev/{name}")),
        }
    }
}

impl FromStr for StateDisk {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "empty" {
            return Ok(Self::Empty);
        }
        let name = text.strip_prefix("/dev/").unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if (1..=32).contains(&name.len()) && name.chars().all(plain) {
            return Ok(Self::Device(name.to_owned()));
        }
        let expected = "'empty', or a disk as the kernel names it, such as '/dev/sda' or '/dev/nvme0n1': links such as \
                        /dev/disk/by-id are not there yet when it is made";
        Err(Error::invalid("a disk for state", text, expected))
    }
}

words! {
    /// The file system that is made for state.
    StateFsType: "a file system for state", "'ext4' or 'xfs'";
    /// ext4, by mkfs.ext4 of e2fsprogs.
    #[default]
    Ext4 = "ext4",
    /// XFS, by mkfs.xfs of xfsprogs.
    Xfs = "xfs"
}

impl StateFsType {
    /// Returns the package whose program makes it.
    pub fn package(self) -> &'static str {
        match self {
            Self::Ext4 => "e2fsprogs",
            Self::Xfs => "xfsprogs",
        }
    }
}

words! {
    /// What becomes of a node whose state cannot be had: its disk is missing, holds something else, or fails.
    StateFallback: "what becomes of a node without its state", "'none' or 'memory'";
    /// It is not started.
    #[default]
    Refuse = "none",
    /// It is started with state in memory, and says so.
    Memory = "memory"
}

/// The file system that keeps a node's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateOnDisk {
    /// Its label.
    pub label: StateLabel,
    /// Where it is made, and as what, if there is none; without it none is made.
    pub made: Option<(StateDisk, StateFsType)>,
    /// What becomes of the node without it.
    pub fallback: StateFallback,
}

impl StateOnDisk {
    /// Puts together what a definition or a command line says; `None` where it names no label.
    ///
    /// # Errors
    /// When something is said of a file system that there is not.
    pub fn new(
        label: Option<StateLabel>,
        disk: Option<StateDisk>,
        fs_type: Option<StateFsType>,
        fallback: Option<StateFallback>,
    ) -> Result<Option<Self>, Error> {
        let alone = |word: &str, value: &dyn fmt::Display, other: &str| {
            let said = format!("{word}={value}");
            Err(Error::invalid("of any use by itself", said, other))
        };
        let Some(label) = label else {
            let other = "a statelabel too: the label of the file system that keeps state";
            return match (disk, fs_type, fallback) {
                (Some(disk), ..) => alone("statedisk", &disk, other),
                (_, Some(fs_type), _) => alone("statefs", &fs_type, other),
                (.., Some(fallback)) => alone("statefallback", &fallback, other),
                _ => Ok(None),
            };
        };
        let made = match (disk, fs_type) {
            (Some(disk), fs_type) => Some((disk, fs_type.unwrap_or_default())),
            (None, Some(fs_type)) => {
                return alone("statefs", &fs_type, "a statedisk too: where it is made");
            }
            (None, None) => None,
        };
        Ok(Some(Self {
            label,
            made,
            fallback: fallback.unwrap_or_default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_named_as_the_kernel_names_it() {
        for text in ["empty", "/dev/sda", "/dev/nvme0n1p2", "/dev/dm-0"] {
            assert_eq!(text.parse::<StateDisk>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "sda",
            "/dev/",
            "/dev/../sda",
            "/dev/disk/by-id/a",
            "/dev/a b",
            "Empty",
        ] {
            assert_eq!(
                text.parse::<StateDisk>().unwrap_err().to_string(),
                format!(
                    "'{text}' is not a disk for state: expected 'empty', or a disk as the kernel names it, such as \
                     '/dev/sda' or '/dev/nvme0n1': links such as /dev/disk/by-id are not there yet when it is made"
                )
            );
        }
    }

    #[test]
    fn what_is_said_of_a_file_system_that_there_is_not_is_refused() {
        let (disk, xfs) = (Some(StateDisk::Empty), Some(StateFsType::Xfs));
        let label = || "docker".parse::<StateLabel>().ok();
        let memory = Some(StateFallback::Memory);
        let refused = |made: Result<Option<StateOnDisk>, Error>| made.unwrap_err().to_string();
        let other = "expected a statelabel too: the label of the file system that keeps state";
        for (made, expected) in [
            (
                StateOnDisk::new(None, disk.clone(), xfs, memory),
                format!("'statedisk=empty' is not of any use by itself: {other}"),
            ),
            (
                StateOnDisk::new(None, None, xfs, None),
                format!("'statefs=xfs' is not of any use by itself: {other}"),
            ),
            (
                StateOnDisk::new(None, None, None, memory),
                format!("'statefallback=memory' is not of any use by itself: {other}"),
            ),
            (
                StateOnDisk::new(label(), None, xfs, None),
                "'statefs=xfs' is not of any use by itself: expected a statedisk too: where it is made".to_owned(),
            ),
        ] {
            assert_eq!(refused(made), expected);
        }
        assert_eq!(StateOnDisk::new(None, None, None, None).unwrap(), None);
        let made = StateOnDisk::new(label(), disk, None, None)
            .unwrap()
            .unwrap();
        assert_eq!(made.made, Some((StateDisk::Empty, StateFsType::Ext4)));
        assert_eq!(made.fallback, StateFallback::Refuse);
    }
}
