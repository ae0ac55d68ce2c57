//! From an osimage and a node to what the node fetches while it installs and boots, checked before a
//! byte is written.
//!
//! ```text
//! definitions ─> library (which list, which template?) ─> pkglist, repository (what is installed, from where?)
//!      ─> context (all that a template may use) ─> template (rendered, strictly) ─> check (what would the installer say?)
//!      ─> assets (written, only what changed)
//! ```
//!
//! Nothing here but [`rootimg`] reaches a network or runs a program, and nothing needs root. A problem names file and line; all
//! problems of a run are reported together, and a node that has one gets nothing.

mod address_book;
mod arming;
mod assets;
pub mod boot_archive;
mod bootfiles;
mod bundle;
pub mod check;
mod cli;
mod cmdline;
pub mod context;
mod environment;
pub mod genimage;
mod image;
pub mod imgexport;
pub mod imgimport;
pub mod initrd;
mod initrd_record;
pub mod installer;
pub mod library;
mod netboot;
mod node_archive;
mod node_context;
pub mod nodeset;
pub mod packimage;
mod packing;
pub mod pkglist;
pub mod problem;
mod published;
mod render;
mod report;
pub mod repository;
mod root_access;
pub mod rootimg;
mod scripts;
mod secrets;
mod shipped;
mod site_context;
mod site_values;
pub mod template;
mod timezone;
mod vouch;
