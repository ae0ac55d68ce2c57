//! One disc of a distribution, opened for reading: an ISO image, an optical device or a directory.
//!
//! A [`Medium`] hands out its volume identifiers, its whole tree as [`MediumEntry`] values, and for every
//! file *where its bytes are* ([`DataLocation`]), so that the copy can move them inside the kernel. It
//! never writes, never follows a link out of the medium, and never trusts a length, an offset or a
//! name that the medium gives: what it hands out has been checked.

mod bridge;
mod bytes;
mod confine;
mod directory;
mod entry;
mod entry_list;
mod image;
mod iso9660;
mod medium;
mod sessions;
mod sniff;
mod udf;
mod zisofs;

pub use entry::{
    BootImage, BootPlatform, DataLocation, Emulation, EntryKind, Extent, MediumEntry, MediumPath,
    Timestamp, VolumeIds,
};
pub use medium::Medium;
