//! Root images of diskless nodes: built from an osimage's lists and repositories, packed, and recorded.
//!
//! ```text
//! spec (of what?) ─> container, base (into which container image, if any?) ─> stage, namespace (where?)
//!       ─> inside, apt, rpm (by whom?) ─> tree, finish (what is in it?) ─> root (one sorted tar)
//!       ─> pack, verity (in which form?) ─> record (what do nodes get?)
//! ```
//!
//! Packages and scripts run in a user namespace, as nobody whom this machine knows, and in memory. From there on a
//! root is the entries of archives: nothing is unpacked, and nothing needs root.

mod apt;
mod base;
pub(crate) mod build;
pub(crate) mod container;
mod decoders;
mod exlist;
mod finish;
mod initrd_file;
pub(crate) mod inside;
mod kernel;
mod keys;
mod namespace;
pub(crate) mod pack;
mod plan;
pub(crate) mod publish;
pub mod record;
mod repositories;
mod root;
mod rpm;
pub(crate) mod spec;
mod stage;
mod synclist;
mod tree;
mod verity;

pub use tree::layer_paths;
