//! The network of this host as values: what the kernel says, and what shall be.
//!
//! [`Kernel::load`] reads a [`NetState`]; [`plan()`] turns it and a wish into [`Step`]s without
//! touching anything; [`apply()`] makes them happen, one by one, and [`undo()`] takes them back;
//! [`probe`] finds out whether the world still answers; [`differences()`] says what is not as planned;
//! [`firewall`] finds the rules that would not match any more.

mod announce;
mod apply;
mod echo;
pub mod firewall;
mod kernel;
mod message;
mod model;
mod plan;
mod postcondition;
pub mod probe;
mod state;
mod step;
mod sysctl;

pub use apply::{NoBridges, apply, undo};
pub use kernel::{Kernel, may_change};
pub use plan::{Plan, Refusal, Uplink, plan};
pub use postcondition::{differences, other_link_locals};
pub use state::{
    Address, BridgeSettings, Hop, Kind, Lifetimes, Link, Mac, Neighbour, NetState, NextHop,
    Obstacle, Route, Rule,
};
pub use step::Step;

pub use crate::netlink::Attribute;
