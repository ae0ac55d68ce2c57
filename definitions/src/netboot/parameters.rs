//! The words of a kernel's command line that a diskless node boots by.
//!
//! | word | what |
//! |---|---|
//! | `BOOTIF=01-52-54-00-00-00-01` | the hardware address of the NIC, in the form of PXELINUX |
//! | `slipway.ip=10.1.0.5/24@10.1.0.1` | its address, and the router if there is one; `dhcp`: it asks for one |
//! | `slipway.image=http://10.1.0.1/install/netboot/…` | where the root image is |
//! | `slipway.type=squashfs` | the file system that it is |
//! | `slipway.bytes=173510656` | how many bytes it has |
//! | `slipway.sha256=…` | their SHA-256 |
//! | `slipway.verity=…` | the root hash by which dm-verity checks each block when it is read, where the image has a tree |
//! | `slipway.salt=…` | the salt of all its hashes |
//! | `slipway.tree=http://10.1.0.1/install/netboot/…` | where the hash tree is; `slipway.treebytes=`, `slipway.treesha256=` |
//! | `slipway.state=docker` | the label of the file system that keeps state; without it state is in memory |
//! | `slipway.statedisk=/dev/sda` | the disk on which it is made, if there is none with the label; `slipway.statefs=ext4` |
//! | `slipway.statefallback=memory` | what becomes of the node without it |
//! | `slipway.statepaths=/var/log,/srv` | further directories that are kept there |
//! | `slipway.statememory=50%` | how much memory state may take, where it is in memory |
//! | `slipway.overlay=zram` | what keeps, in memory, what is written to the root; `tmpfs` without it |
//! | `slipway.overlaymemory=25%` | how much memory that may take |
//!
//! The kernel takes a word with a '.' for a parameter of a module, and so passes none of them to init. Other words are
//! those of others.

use std::fmt;
use std::str::FromStr;

use super::{
    AddressSource, MemoryBound, OverlayDevice, StateFallback, StateOnDisk, StatePaths, VeritySource,
};
use crate::{Error, MacAddresses};

/// What a diskless node boots by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetbootParameters {
    /// The hardware address of its NIC.
    pub mac: MacAddresses,
    /// Its address.
    pub address: AddressSource,
    /// Its root image.
    pub image: ImageSource,
    /// The file system that keeps its state; without one, state is in memory.
    pub state: Option<StateOnDisk>,
    /// Further directories that are kept there.
    pub state_paths: Option<StatePaths>,
    /// How much memory state may take, where it is in memory.
    pub state_memory: Option<MemoryBound>,
    /// What keeps, in memory, what is written to its root.
    pub overlay: OverlayDevice,
    /// How much memory that may take.
    pub overlay_memory: Option<MemoryBound>,
}

/// Where a root image is, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    /// Its address: `http://10.1.0.1/install/netboot/…`.
    pub url: String,
    /// The file system that it is.
    pub fs_type: RootFsType,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its hash tree, where it has one.
    pub verity: Option<VeritySource>,
}

/// A read-only file system that a root image can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootFsType {
    /// Squashfs.
    Squashfs,
    /// EROFS.
    Erofs,
}

impl RootFsType {
    /// Every type.
    pub const ALL: [Self; 2] = [Self::Squashfs, Self::Erofs];

    /// Returns its name, which mount(2) takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
        }
    }
}

impl fmt::Display for RootFsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for RootFsType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| {
            Error::invalid(
                "a file system of root images",
                text,
                "'squashfs' or 'erofs'",
            )
        })
    }
}

impl fmt::Display for NetbootParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImageSource {
            url,
            fs_type,
            bytes,
            sha256,
            verity,
        } = &self.image;
        let mac = self.mac.first().replace(':', "-");
        write!(f, "BOOTIF=01-{mac} slipway.ip={}", self.address)?;
        write!(f, " slipway.image={url} slipway.type={fs_type}")?;
        write!(f, " slipway.bytes={bytes} slipway.sha256={sha256}")?;
        if let Some(verity) = verity {
            write!(f, " {verity}")?;
        }
        if let Some(state) = &self.state {
            write!(f, " slipway.state={}", state.label)?;
            if let Some((disk, fs_type)) = &state.made {
                write!(f, " slipway.statedisk={disk} slipway.statefs={fs_type}")?;
            }
            if state.fallback != StateFallback::default() {
                write!(f, " slipway.statefallback={}", state.fallback)?;
            }
        }
        if let Some(paths) = &self.state_paths {
            write!(f, " slipway.statepaths={paths}")?;
        }
        if let Some(memory) = &self.state_memory {
            write!(f, " slipway.statememory={memory}")?;
        }
        if self.overlay != OverlayDevice::default() {
            write!(f, " slipway.overlay={}", self.overlay)?;
        }
        match &self.overlay_memory {
            Some(memory) => write!(f, " slipway.overlaymemory={memory}"),
            None => Ok(()),
        }
    }
}

impl FromStr for NetbootParameters {
    type Err = Error;

    /// Parses a whole command line; words of others are passed over.
    fn from_str(line: &str) -> Result<Self, Error> {
        for word in line.split_ascii_whitespace() {
            let name = word.split_once('=').map_or(word, |(name, _)| name);
            if name.starts_with("slipway.") && !WORDS.contains(&name) {
                let expected = format!("one of {}", WORDS.join(", "));
                return Err(Error::invalid("a word of netboot", word, expected));
            }
        }
        let bootif = required(line, "BOOTIF")?;
        let mac = bootif
            .strip_prefix("01-")
            .ok_or_else(|| malformed("BOOTIF", bootif, "01-52-54-00-00-00-01"))?;
        Ok(Self {
            mac: mac.parse()?,
            address: required(line, "slipway.ip")?.parse()?,
            image: ImageSource {
                url: required(line, "slipway.image")?.to_owned(),
                fs_type: required(line, "slipway.type")?.parse()?,
                bytes: number(line, "slipway.bytes")?,
                sha256: digest(line, "slipway.sha256")?,
                verity: VeritySource::parse(line)?,
            },
            state: StateOnDisk::new(
                parsed(line, "slipway.state")?,
                parsed(line, "slipway.statedisk")?,
                parsed(line, "slipway.statefs")?,
                parsed(line, "slipway.statefallback")?,
            )?,
            state_paths: parsed(line, "slipway.statepaths")?,
            state_memory: parsed(line, "slipway.statememory")?,
            overlay: parsed(line, "slipway.overlay")?.unwrap_or_default(),
            overlay_memory: parsed(line, "slipway.overlaymemory")?,
        })
    }
}

/// The words that are ours.
const WORDS: [&str; 18] = [
    "slipway.ip",
    "slipway.image",
    "slipway.type",
    "slipway.bytes",
    "slipway.sha256",
    "slipway.verity",
    "slipway.salt",
    "slipway.tree",
    "slipway.treebytes",
    "slipway.treesha256",
    "slipway.state",
    "slipway.statedisk",
    "slipway.statefs",
    "slipway.statefallback",
    "slipway.statepaths",
    "slipway.statememory",
    "slipway.overlay",
    "slipway.overlaymemory",
];

fn malformed(word: &str, value: &str, expected: &str) -> Error {
    Error::invalid(
        "what the kernel's command line must have",
        format!("{word}={value}"),
        format!("{word}={expected}"),
    )
}

/// Returns a number of bytes.
pub(super) fn number(line: &str, name: &str) -> Result<u64, Error> {
    let value = required(line, name)?;
    let bytes = value.parse().ok().filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| malformed(name, value, "a number of bytes"))
}

/// Returns a digest: 64 lower-case hexadecimal digits.
pub(super) fn digest(line: &str, name: &str) -> Result<String, Error> {
    let value = required(line, name)?;
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if value.len() != 64 || !value.bytes().all(digit) {
        return Err(malformed(name, value, "64 lower-case hexadecimal digits"));
    }
    Ok(value.to_owned())
}

/// Returns the value of a word, which may be there once.
pub(super) fn one<'a>(line: &'a str, name: &str) -> Result<Option<&'a str>, Error> {
    let mut values = line
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let first = values.next();
    match values.next() {
        Some(second) if Some(second) != first => Err(malformed(name, second, "… once")),
        _ => Ok(first),
    }
}

fn parsed<T: FromStr<Err = Error>>(line: &str, name: &str) -> Result<Option<T>, Error> {
    one(line, name)?.map(str::parse).transpose()
}

pub(super) fn required<'a>(line: &'a str, name: &str) -> Result<&'a str, Error> {
    one(line, name)?.ok_or_else(|| malformed(name, "", "…, as nodeset writes it into boot.ipxe"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::StateFsType;
    use super::*;

    fn parameters() -> NetbootParameters {
        NetbootParameters {
            mac: "52:54:00:00:00:01".parse().unwrap(),
            address: "10.1.0.5/24@10.1.0.1".parse().unwrap(),
            image: ImageSource {
                url: "http://10.1.0.1/install/netboot/a/rootimg.0123.squashfs".to_owned(),
                fs_type: RootFsType::Squashfs,
                bytes: 4096,
                sha256: "ab".repeat(32),
                verity: None,
            },
            state: StateOnDisk::new("docker".parse().ok(), None, None, None).unwrap(),
            state_paths: None,
            state_memory: None,
            overlay: OverlayDevice::Tmpfs,
            overlay_memory: None,
        }
    }

    #[test]
    fn words_of_others_are_passed_over() {
        let line = format!("quiet console=ttyS0,115200 {} panic=60\n", parameters());
        assert_eq!(line.parse::<NetbootParameters>().unwrap(), parameters());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let whole = parameters().to_string();
        for (from, to, message) in [
            (
                " slipway.ip=10.1.0.5/24@10.1.0.1",
                "",
                "'slipway.ip=' is not what the kernel's command line must have: expected slipway.ip=…, as nodeset \
                 writes it into boot.ipxe",
            ),
            (
                "BOOTIF=01-",
                "BOOTIF=",
                "'BOOTIF=52-54-00-00-00-01' is not what the kernel's command line must have: expected \
                 BOOTIF=01-52-54-00-00-00-01",
            ),
            (
                "bytes=4096",
                "bytes=0",
                "'slipway.bytes=0' is not what the kernel's command line must have: expected slipway.bytes=a number of \
                 bytes",
            ),
            (
                "type=squashfs",
                "type=ext4",
                "'ext4' is not a file system of root images: expected 'squashfs' or 'erofs'",
            ),
            (
                "state=docker",
                "state=a/b",
                "'a/b' is not the label of a file system: expected 1 to 12 letters, digits, '.', '_' and '-'",
            ),
            (
                "slipway.state",
                "slipway.stat",
                "'slipway.stat=docker' is not a word of netboot: expected one of slipway.ip, slipway.image, \
                 slipway.type, slipway.bytes, slipway.sha256, slipway.verity, slipway.salt, slipway.tree, \
                 slipway.treebytes, slipway.treesha256, slipway.state, slipway.statedisk, slipway.statefs, \
                 slipway.statefallback, slipway.statepaths, slipway.statememory, slipway.overlay, slipway.overlaymemory",
            ),
            (
                "slipway.state=docker",
                "slipway.verity=--help",
                "'slipway.verity=--help' is not what the kernel's command line must have: expected slipway.verity=64 \
                 lower-case hexadecimal digits",
            ),
            (
                "slipway.state=docker",
                "slipway.tree=http://10.1.0.1/a.verity",
                "'slipway.verity=' is not what the kernel's command line must have: expected slipway.verity=…, as \
                 nodeset writes it into boot.ipxe",
            ),
            (
                "slipway.state=docker",
                "slipway.statedisk=empty",
                "'statedisk=empty' is not of any use by itself: expected a statelabel too: the label of the file system \
                 that keeps state",
            ),
            (
                "slipway.state=docker",
                "slipway.overlay=brd",
                "'brd' is not memory for what is written to the root: expected 'tmpfs' or 'zram'",
            ),
            (
                "slipway.state=docker",
                "slipway.bytes=1",
                "'slipway.bytes=1' is not what the kernel's command line must have: expected slipway.bytes=… once",
            ),
        ] {
            let error = whole.replace(from, to).parse::<NetbootParameters>();
            assert_eq!(error.unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(
            mac in "[0-9a-f][02468ace](:[0-9a-f]{2}){5}",
            path in "[!-~]{0,40}",
            bytes in 1u64..,
            sha256 in "[0-9a-f]{64}",
            erofs: bool,
            tree in proptest::option::of(("[!-~]{0,40}", 1u64.., "[0-9a-f]{64}", "[0-9a-f]{64}", "[0-9a-f]{64}")),
            state in proptest::option::of("[a-zA-Z0-9_.-]{1,12}"),
            disk in proptest::option::of("empty|/dev/[a-z0-9]{1,12}"),
            xfs: bool,
            dhcp: bool,
            in_memory: bool,
            memory in proptest::option::of("[1-9][0-9]?[MG]|[1-8][0-9]%"),
            paths in proptest::option::of("/srv/[a-z]{1,9}(,/opt/[A-Z0-9_@+-]{1,9})?"),
            zram: bool,
            written in proptest::option::of("[1-9][0-9]?[MG]|[1-8][0-9]%"),
        ) {
            let mut wanted = parameters();
            wanted.mac = mac.parse().unwrap();
            wanted.image = ImageSource {
                url: format!("http://10.1.0.1/{path}"),
                fs_type: if erofs { RootFsType::Erofs } else { RootFsType::Squashfs },
                bytes,
                sha256,
                verity: tree.map(|(path, bytes, sha256, root_hash, salt)| VeritySource {
                    url: format!("http://10.1.0.1/{path}"),
                    bytes,
                    sha256,
                    root_hash,
                    salt,
                }),
            };
            let label = state.map(|state| state.parse().unwrap());
            let disk = disk.filter(|_| label.is_some()).map(|disk| disk.parse().unwrap());
            let fs_type = disk.is_some().then_some(if xfs { StateFsType::Xfs } else { StateFsType::Ext4 });
            let fallback = (in_memory && label.is_some()).then_some(StateFallback::Memory);
            wanted.state = StateOnDisk::new(label, disk, fs_type, fallback).unwrap();
            if dhcp {
                wanted.address = AddressSource::Dhcp;
            }
            wanted.state_memory = memory.map(|memory| memory.parse().unwrap());
            wanted.state_paths = paths.map(|paths| paths.parse().unwrap());
            wanted.overlay = if zram { OverlayDevice::Zram } else { OverlayDevice::Tmpfs };
            wanted.overlay_memory = written.map(|memory| memory.parse().unwrap());
            prop_assert_eq!(wanted.to_string().parse::<NetbootParameters>().unwrap(), wanted);
        }
    }
}
