//! Nodes and the groups that they are in.

use std::net::IpAddr;

use crate::schema::definition;
use crate::{Arch, Distro};

definition! {
    /// A machine or a container.
    pub struct Node: Node {
        /// The groups that the node is in; their attributes are its own unless it says otherwise.
        groups: Vec<String>,
        /// The address.
        ip: Option<IpAddr>,
        /// The hardware address, or several as `mac!host|mac2!host2`.
        mac: Option<String>,
        /// The architecture: `x86_64`.
        arch: Option<Arch>,
        /// The release: `ubuntu24.04.3`.
        os: Option<Distro>,
        /// A remark of the user.
        comments: Option<String>,
    }
}

definition! {
    /// A group of nodes; what it says, its members say unless they say otherwise.
    pub struct Group: Group {
        /// A remark of the user.
        comments: Option<String>,
    }
}
