//! The service that nodes talk to before and while they install.
//!
//! Definitions come in; what dnsmasq reads goes out: the addresses, the names and the boot files of nodes
//! ([`dhcp`], [`dns`]). Nothing here renders an installer's file or changes a definition.
//! Reference: xCAT's makedhcp(8) and makedns(8), dnsmasq(8).

pub mod dhcp;
pub mod dns;
mod dnsmasq;
mod nic;
mod replace;
mod report;
mod subnet;
