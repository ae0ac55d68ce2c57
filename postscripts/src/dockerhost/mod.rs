//! `setupdockerhost`: a dockerd that only trusted clients reach, proven.
//!
//! What comes in is a host with an engine on it, and what the administrator asks for; what goes out
//! is a host whose dockerd speaks TLS to trusted clients over TCP and stays as it was for the host
//! itself. The order is `preflight → plan → apply → restart → check → network`: nothing is changed
//! before the plan is complete, nothing is written that is already right, and when dockerd does not
//! start again or accepts the wrong client, every file is restored and dockerd is started with those; after
//! an interrupted run the next one begins with that.
//!
//! No secret is ever printed, copied or sent, no vendor file edited, no name looked up.

mod apply;
mod authorization;
mod certificates;
mod cli;
mod daemon;
mod dockerd_command;
mod dockerd_process;
mod engine;
mod environment;
mod forwarding;
mod host_names;
mod iptables;
mod listener;
mod network;
mod nftables;
mod paths;
mod plan;
mod preflight;
mod registries;
mod report;
mod service;
mod setup;
mod site;
mod status;
mod tls_check;
mod unique_keys;
mod unit;
mod uplink;
mod validation;

pub use cli::Args;
pub use host_names::San;
pub use registries::RegistryAddress;
pub use setup::run;
