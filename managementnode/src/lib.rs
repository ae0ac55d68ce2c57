//! The service that nodes talk to before and while they install.
//!
//! Definitions come in; what dnsmasq reads goes out: the addresses, the names and the boot files of nodes
//! ([`dhcp`], [`dns`]); and what nodes and clients know each other by: the site's authorities and what they sign
//! ([`trust`]). The daemon that serves nodes their files, hears how they are and passes on what enrols is [`server`];
//! [`nodestat`] says what it heard. Nothing here renders an installer's file or changes a definition.
//! Reference: xCAT's makedhcp(8) and makedns(8), dnsmasq(8).

pub mod dhcp;
pub mod dns;
mod dnsmasq;
mod domains;
mod editor;
mod local;
mod nic;
pub mod nodestat;
mod replace;
mod report;
pub mod server;
mod states;
pub mod trust;
