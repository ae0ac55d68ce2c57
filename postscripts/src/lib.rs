//! What a host runs once it is installed: small static programs, each one step of the bring-up.
//!
//! `bridgeprereq` moves the host's uplink into a bridge as a transaction: [`bridge`] tells the story,
//! [`net`] reads what the kernel says as plain values and changes it, [`persist`] writes the same
//! into the files of whatever configures this host's network at boot. `setupdockerhost` gives the
//! host's dockerd a key, a certificate and clients that it trusts, and proves it: [`dockerhost`],
//! [`tls`] for all that is about certificates. Both change files by one journal (`files`): all or none,
//! and back by any later process; [`fault`] makes tests of that possible. `firstboot` runs them in the order that the node's
//! definition asks for, each once: [`firstboot`]. `otherpkgs` installs the osimage's extra packages:
//! [`otherpkgs`]. Nothing here runs a shell, resolves a name or asks a name service.

pub mod bridge;
pub mod dockerhost;
pub mod fault;
mod files;
pub mod firstboot;
mod http;
mod netlink;
pub mod otherpkgs;
mod owner;
mod program;
