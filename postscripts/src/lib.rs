//! What a host runs once it is installed: small static programs, each one step of the bring-up.
//!
//! Seven equal modules, one a program. `bridgeprereq` moves the host's uplink into a bridge as a transaction:
//! [`bridge`]. `setupdockerhost` gives the host's dockerd a key, a certificate and clients that it trusts,
//! and proves it: [`dockerhost`]. `dockerauthz` is asked by that dockerd about each request, and refuses clients that the
//! site revoked: [`dockerauthz`]. `firstboot` runs them in
//! the order that the node's definition asks for, each once: [`firstboot`]. `otherpkgs` installs the
//! osimage's extra packages: [`otherpkgs`]. `enrol` gets the host an identity that the site's authority signs: [`enrol`].
//! `netboot` is the first program of a node without a disk: it fetches the root image that all others run in: [`netboot`].
//!
//! Below them, and never above: `files` (changes to files, all or none, and back by any later process),
//! `owner` (what root alone can have made), `netlink` (how the kernel is asked), `nftables` (what its firewall does to
//! a packet), `lines` (what is printed), `program`, `timed_stream`, `http`, `tls_client` and
//! `slipwayd`;
//! [`fault`] makes tests of interrupted runs possible. Nothing here runs a shell, resolves a name or asks a
//! name service.

#![deny(clippy::print_stderr, clippy::print_stdout)]

#[macro_use]
mod lines;

pub mod bridge;
pub mod dockerauthz;
pub mod dockerhost;
pub mod enrol;
pub mod fault;
mod files;
pub mod firstboot;
mod http;
mod identity;
pub mod netboot;
mod netlink;
mod nftables;
pub mod otherpkgs;
mod owner;
mod program;
mod slipwayd;
mod timed_stream;
pub mod tls;
mod tls_client;
