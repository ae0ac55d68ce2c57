//! The nouns that two rooms of Slipway must agree on, and their text forms.
//!
//! What comes in is text (a command line, a TOML file, a stanza); what goes out is a value that cannot
//! be wrong: every name here is built by parsing and by nothing else. Nothing in this crate talks to a
//! network, starts a process or renders a template, and only the catalog touches the disk.

mod arch;
mod distro;
mod error;
mod installdir;

pub use arch::Arch;
pub use distro::Distro;
pub use error::Error;
pub use installdir::InstallDir;
