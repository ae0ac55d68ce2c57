//! From an osimage and a node to what the node fetches while it installs and boots, checked before a
//! byte is written.
//!
//! ```text
//! definitions ─> library (which list, which template, who won?) ─> pkglist, repository (what is installed, from where?)
//!      ─> context (all that a template may say) ─> template (rendered, strictly) ─> check (what would the installer say?)
//!      ─> assets (written, only what changed)
//! ```
//!
//! Nothing here reaches a network, runs a program or needs root. A problem names file and line; all
//! problems of a run are reported together, and a node that has one gets nothing.

mod assets;
mod bootfiles;
mod brief;
pub mod check;
mod cli;
pub mod context;
mod environment;
pub mod genimage;
mod image;
pub mod installer;
mod kernelline;
pub mod library;
mod machine;
pub mod nodeset;
pub mod pkglist;
mod prepare;
pub mod problem;
mod published;
mod render;
mod report;
pub mod repository;
mod root;
mod scripts;
mod shipped;
pub mod template;
mod timezone;
