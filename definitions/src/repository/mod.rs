//! Repositories and what is installed from them, as `genimage` prints them and `otherpkgs` reads them.
//!
//! Texts come in, values go out, and the other way round: an entry of `pkgdir` and `otherpkgdir`
//! ([`RepositoryEntry`]), the files that package managers read ([`AptSource`], [`RpmRepo`]), and the variables
//! of a package list ([`PackageChanges`]). Nothing here looks at a disk.

mod apt;
mod entry;
mod packages;
mod rpm;

pub use apt::{AptKey, AptSource};
pub use entry::{
    RepositoryEntry, RepositoryFormat, RepositoryLocation, RepositoryTrust, is_url_character,
};
pub use packages::{PackageChanges, PackageOrigin, RequestedPackage, foreign_architecture};
pub use rpm::{RpmRepo, RpmSignatures};
