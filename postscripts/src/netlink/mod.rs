//! Netlink: requests to this host's kernel and its answers (netlink(7), linux/netlink.h).
//!
//! In: a message's number, flags and body. Out: the bodies of the answers. [`attribute`] builds and reads
//! bodies, [`Connection`] talks about links, addresses, routes and sockets, [`netfilter`] about the
//! firewall. Nothing here knows what a message means; [`packet_route`] has types for those of rtnetlink.

pub(crate) mod attribute;
mod connection;
pub(crate) mod netfilter;
pub(crate) mod uapi;

use nix::libc;

pub use attribute::NetlinkAttribute;
pub(crate) use connection::Connection;
pub(crate) use rtnetlink::{packet_core, packet_route};

/// The families of addresses, as the one byte that a message's header has for them.
pub(crate) const AF_INET: u8 = libc::AF_INET as u8;
pub(crate) const AF_INET6: u8 = libc::AF_INET6 as u8;
