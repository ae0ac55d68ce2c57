//! Containers as nodes, on every docker host of the cluster, over the Engine API.
//!
//! A node range comes in, and the definitions; what became of each container goes out, a line each in xCAT's form or one
//! JSON document. One module a step:
//!
//! ```text
//! cluster (which containers, on which hosts, who is the client?) ─> address (has anybody else theirs?)
//!      ─> declaration (a definition in the engine's words) ─> fanout (which host, when?)
//!      ─> converge, with difference (what is, what is to be?) ─> engine (one call) ─> report
//! ```
//!
//! Nothing here sets up a host, schedules a container, touches one that it did not make unless it is told to, or speaks to
//! an engine in the clear. Reference: xCAT's mkdocker(1), rmdocker(1), lsdocker(1) and rpower(1); the Engine API.

mod address;
pub mod attach;
mod client_certificate;
mod cluster;
mod converge;
mod declaration;
mod difference;
mod engine;
mod fanout;
pub mod foreign;
pub mod image;
mod images;
mod labels;
pub mod list;
mod locks;
mod logs;
mod macvlan;
pub mod make;
mod names;
mod networks;
pub mod power;
mod registries;
pub mod registry;
pub mod remove;
mod replace;
mod report;
mod transfer;
