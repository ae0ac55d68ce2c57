//! `setupdockerhost`: a dockerd that only trusted clients reach, proven.
//!
//! What comes in is a host with an engine on it, and what the administrator asks for; what goes out
//! is a host whose dockerd speaks TLS to trusted clients over TCP and stays as it was for the host
//! itself. The story is `preflight → plan → write → restart → prove → network`: nothing is touched
//! before the plan is whole, nothing is written that is already right, and when dockerd does not come
//! back or lets the wrong client in, every file is put back and dockerd is started with those; when the
//! run itself is cut off, the next one begins with that.
//!
//! No secret is ever printed, copied or sent, no vendor file edited, no name looked up.

mod cli;
mod command;
mod daemon;
mod engine;
mod environment;
mod forwarding;
mod iptables;
mod listener;
mod names;
mod network;
mod nftables;
mod paths;
mod plan;
mod preflight;
mod proof;
mod report;
mod running;
mod secure;
mod service;
mod setup;
mod status;
mod trust;
mod unit;
mod uplink;
mod validation;

pub use cli::Args;
pub use names::San;
pub use setup::run;
