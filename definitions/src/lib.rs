//! The nouns that two rooms of Slipway must agree on, and their text forms.
//!
//! What comes in is text (a command line, a TOML file, a stanza); what goes out is a value that cannot
//! be wrong: every name here is built by parsing and by nothing else. Nothing in this crate talks to a
//! network, starts a process or renders a template, and only the catalog and its lock touch the disk, a
//! node range that names a file, and the list of the postscripts directory.
//!
//! What runs on hosts takes this crate with `command` and `lock` at most; `catalog` adds definitions on
//! disk and node ranges, `cli` the commands that list and change them.

mod arch;
#[cfg(feature = "catalog")]
mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "command")]
pub mod command;
mod container;
mod distro;
mod enrolment;
mod error;
#[cfg(feature = "files")]
mod files;
pub mod glob;
mod hardware;
mod hex;
mod hostname;
mod installdir;
#[cfg(feature = "lock")]
mod lock;
mod name;
mod nearest;
mod netboot;
mod network;
mod node;
#[cfg(feature = "catalog")]
mod noderange;
mod nodes;
mod object;
mod osimage;
#[cfg(feature = "catalog")]
mod parallel;
#[cfg(feature = "catalog")]
mod program;
mod repository;
mod runlist;
mod schema;
#[cfg(feature = "catalog")]
mod script_files;
mod secret;
mod site;
pub mod stanza;
#[cfg(feature = "states")]
pub mod states;
pub mod terminal;

pub use arch::Arch;
#[cfg(feature = "catalog")]
pub use catalog::{Catalog, CatalogEdit};
pub use container::{
    CapabilityChange, ContainerLink, ContainerUser, CpuLimit, DeviceMapping, DockerHost,
    DockerName, EngineOptions, HealthCheck, ImageReference, MemorySize, NamedValue,
    ProcessArguments, PublishedPort, RestartPolicy, Switch, VolumeMount,
};
pub use distro::Distro;
pub use enrolment::{
    EnrolmentOrder, EnrolmentRequest, EnrolmentToken, IdentityFiles, KNOWN_HOSTS, RenewalRequest,
    SignedIdentity,
};
pub use error::Error;
#[cfg(feature = "files")]
pub use files::{
    AtomicFile, boot_id, read_bounded, read_text, remove_staged, sync_directory, write_atomic,
};
pub use hardware::MacAddresses;
pub use hex::hex;
pub use hostname::host_name_fault;
pub use installdir::InstallDir;
#[cfg(feature = "lock")]
pub use lock::Lock;
pub use name::{GroupName, NodeName};
pub use nearest::{best_match, did_you_mean, nearest};
pub use netboot::{
    AddressSource, FetchList, FetchedFile, ImageSource, MemoryBound, ModuleIndex, NetbootAddress,
    NetbootParameters, OverlayDevice, RootFsType, StateDisk, StateFallback, StateFsType,
    StateLabel, StateOnDisk, StatePaths, VeritySource,
};
pub use network::{BridgePort, DockerNetwork, IfName, Network, NetworkFault};
pub use node::{Group, GroupType, Node};
#[cfg(feature = "catalog")]
pub use noderange::{Chosen, LIMIT as NODERANGE_LIMIT, Noderange, Selection, Universe};
pub use nodes::Nodes;
pub use object::{AttributeValue, Attributes, Object, ObjectKind};
pub use osimage::{OsImage, ProvMethod};
#[cfg(feature = "catalog")]
pub use parallel::in_parallel;
#[cfg(feature = "catalog")]
pub use program::program_path;
pub use repository::{
    AptKey, AptSource, PackageChanges, PackageOrigin, RepositoryEntry, RepositoryFormat,
    RepositoryLocation, RepositoryTrust, RequestedPackage, RpmRepo, RpmSignatures,
    foreign_architecture, is_url_character,
};
pub use runlist::{
    ProgramDigest, Results, Runlist, RunlistEntry, ScriptLine, ScriptOrigin, ScriptResult,
};
pub use schema::{AttributeShape, AttributeSpec, Definition};
#[cfg(feature = "catalog")]
pub use script_files::ScriptFiles;
pub use secret::{CryptedPassword, MASK, Secret, has_credential, looks_secret};
pub use site::{BootLevel, Site};
