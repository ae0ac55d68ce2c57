//! `otherpkgs`: the extra repositories and packages of the osimage, on a node that runs.
//!
//! What comes in is xCAT's environment (`OTHERPKGDIR`, `OTHERPKGS1` …); what goes out are repositories in the
//! form of this node's package manager, and what its lists name installed or removed, through apt, dnf, yum or
//! zypper. The order is `read → find keys and indices → have the package manager simulate everything → write the
//! repositories → install and remove`: nothing is changed before every name is resolved, and what is already as it
//! should be is left alone. [`package_manager::PackageManager`] is what the four package managers differ in.
//!
//! It never upgrades what no list names, never installs a package without a signature unless the definition says
//! `trusted=yes`, and never removes what no list removes.

mod apt;
mod architectures;
mod cli;
mod command;
mod detect;
mod dnf;
mod existing;
mod failure;
mod installation;
mod inventory;
mod keys;
mod locks;
mod package_manager;
mod repo_files;
mod report;
mod request;
mod rpm;
mod run;
mod runner;
mod server;
mod sources;
mod zypper;

pub use cli::Args;
pub use run::run;
