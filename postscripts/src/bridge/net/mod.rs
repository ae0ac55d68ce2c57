//! The network of this host as values: what the kernel reports, and what is desired.
//!
//! [`HostKernel::load`] reads a [`NetState`]; [`plan()`] turns it and desired uplinks into [`Step`]s without
//! touching anything; [`apply()`] makes them happen, one by one, and [`undo()`] takes them back;
//! [`probe`] finds out whether other hosts still answer; [`differences()`] reports what is not as planned;
//! [`firewall`] finds the rules that would not match any more. An uplink may be connected to its bridge by an Open vSwitch
//! bridge, a [`Switch`].

mod announce;
mod apply;
mod echo;
pub mod firewall;
#[cfg(test)]
mod fixture;
mod kernel;
mod mac;
mod message;
mod openvswitch;
mod plan;
mod postcondition;
pub mod probe;
mod simulate;
mod state;
mod step;
mod switch;
mod sysctl;

pub use apply::{MadeMeanwhile, NoBridges, RefusedStep, apply, remove_again, restore_rules, undo};
pub use kernel::{HostKernel, may_change};
pub use mac::Mac;
pub use plan::{Plan, PlanRefusal, Uplink, plan};
pub use postcondition::{differences, other_link_locals};
pub use state::{
    Address, BridgeSettings, Hop, KernelRoute, Lifetimes, Link, LinkKind, Neighbour, NetState,
    NextHop, PolicyRule, PortObstacle, SocketProtocol,
};
pub use step::Step;
pub use switch::{Datapath, OpenVSwitch, Switch, SwitchPort, SwitchRequest, SwitchWiring};
pub(in crate::bridge) use switch::{bridge_end, rules_file};

pub use crate::netlink::NetlinkAttribute;
