//! `netboot`: the first program of a diskless node, which makes the root that all others run in.
//!
//! What comes in is the kernel's command line ([`definitions::NetbootParameters`]), the modules in the initrd, and the
//! files that the boot archive brought beside it; what goes out is a running system. The story is `kernel file systems
//! → drivers → the NIC and its address → the root image, fetched and verified → dm-verity → overlay → the archive's files
//! → state → init` ([`boot`]).
//!
//! Of the image nothing is used before the SHA-256 of all of it is the expected one, and afterwards the kernel checks what
//! it reads of it, where it has dm-verity. No shell runs, no name is looked
//! up, and no error ends the program: it is printed in words, reported, and the machine starts again after a minute,
//! with what the management node serves by then.

mod boot;
mod command;
mod console;
mod device_mapper;
mod dhcp;
mod download;
mod drivers;
mod empty;
mod files;
mod identity;
mod kept_path;
mod memory;
mod mounts;
mod nic;
mod overlay;
mod ram_disk;
mod root;
mod state;
mod state_disk;
mod superblock;
mod verity;

pub use command::main;
pub use state::mount_device;
