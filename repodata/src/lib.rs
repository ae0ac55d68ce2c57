//! Readers of what package repositories say of themselves.
//!
//! A stream of bytes and the name that it has come in; what the metadata states goes out: packages, what they
//! provide, and files with their digests. Of apt that is `Release`, `Packages` and `Sources`; of rpm-md
//! `repomd.xml`, `primary.xml` and `comps.xml`; of SUSE's older media `content` and `packages`.
//!
//! Every byte here is foreign. An [`Input`] bounds what it inflates to; no line, stanza or element is longer
//! than [`MAX_ITEM`]; an error names the file and the place in it. Nothing here opens a file, follows a path
//! or decides what to trust.

mod comps;
mod deb;
mod decompress;
pub mod digest;
mod error;
mod input;
mod listed;
mod lz4;
mod primary;
mod release;
mod repomd;
mod susetags;
mod xml;

pub use comps::{CompsGroup, read_comps};
pub use deb::{DebStanza, read_stanzas};
pub use decompress::{Compression, Decompressor};
pub use digest::{Algorithm, Digest, Hasher};
pub use error::{Location, ReadError};
pub use input::Input;
pub use listed::ListedFile;
pub use primary::{PrimaryPackage, read_primary};
pub use release::{AptRelease, is_clear_signed, signed_text};
pub use repomd::{Repomd, RepomdFile};
pub use susetags::{SuseContent, SusetagsPackage, read_susetags};

/// No line, stanza or element of any metadata is longer, in bytes. The longest real ones, what a kernel
/// provides, have about one million.
pub const MAX_ITEM: usize = 16 << 20;

/// No metadata inflates to more, in bytes; the largest real indices have some hundred million.
pub const MAX_BYTES: u64 = 1 << 30;
