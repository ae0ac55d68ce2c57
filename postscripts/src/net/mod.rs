//! The network of this host as values: what the kernel says, and what shall be.

mod state;

pub use state::{
    Address, Attribute, BridgeSettings, Hop, Kind, Lifetimes, Link, Mac, Neighbour, NetState,
    NextHop, Route, Rule,
};
