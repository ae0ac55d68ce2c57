//! `otherpkgs`: the extra repositories and packages of the osimage, on a node that runs.
//!
//! What comes in is xCAT's environment (`OTHERPKGDIR`, `OTHERPKGS1` …); what goes out are repositories in the
//! form of this node's package manager, and what its lists name installed or removed, through apt, dnf, yum or
//! zypper. The story is `read → find keys and indices → ask the package manager whether all of it can be had
//! → write the repositories → install and remove`: nothing is changed before every name is resolved, and what
//! already is as it should be is left alone.
//!
//! It never upgrades what no list names, never takes a package without a signature unless the definition says
//! `trusted=yes`, and never removes what it was not told to.

mod apt;
mod cli;
mod command;
mod dnf;
mod inventory;
mod keys;
mod locks;
mod manager;
mod owner;
mod places;
mod report;
mod repository;
mod request;
mod run;
mod server;
mod standing;
mod trouble;
mod turn;
mod view;
mod work;
mod zypper;

pub use cli::Args;
pub use run::run;
