//! What a diskless node is told before it has a root: words of its kernel's command line, and files beside its initrd.
//!
//! `nodeset` prints [`NetbootParameters`] into `boot.ipxe`, the initrd's program `netboot` parses the same type from
//! `/proc/cmdline`. What only the node may have is in the boot archive: the files below [`FetchList::ROOT`] are copied into
//! the root, and [`FetchList::LIST`] names what is fetched into it. Pure.

#[macro_use]
mod words;

mod address;
mod files;
mod memory;
mod modules;
mod parameters;
mod paths;
mod state;
mod verity;

pub use address::{AddressSource, NetbootAddress};
pub use files::{FetchList, FetchedFile};
pub use memory::{MemoryBound, OverlayDevice};
pub use modules::ModuleIndex;
pub use parameters::{ImageSource, NetbootParameters, RootFsType};
pub use paths::StatePaths;
pub use state::{StateDisk, StateFallback, StateFsType, StateLabel, StateOnDisk};
pub use verity::VeritySource;
