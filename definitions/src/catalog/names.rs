//! The names that a change brings, compared with those that exist.
//!
//! A name is a node's or a group's and never both's, for a node range means one of them by it; and host
//! names that differ in case alone are one name (RFC 4343). What existed before the change is not judged.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, bail};

use crate::{AttributeValue, Group, Nodes, Object, ObjectKind};

/// The names that a change brings.
#[derive(Debug, Default)]
pub(super) struct Added {
    nodes: BTreeSet<String>,
    /// Those that are defined, and those that nodes name.
    groups: BTreeSet<String>,
}

impl Added {
    /// Notes what an object brings that was not there before.
    pub(super) fn note(&mut self, before: Option<&Object>, after: &Object) {
        let name = after.name().to_owned();
        match after.kind() {
            ObjectKind::Node if before.is_none() => drop(self.nodes.insert(name)),
            ObjectKind::Group if before.is_none() => drop(self.groups.insert(name)),
            _ => {}
        }
        let old = before.and_then(|before| before.value("groups"));
        if after.kind() == ObjectKind::Node && after.value("groups") != old {
            let old = old.map_or(&[][..], AttributeValue::entries);
            let groups = after
                .value("groups")
                .map_or(&[][..], AttributeValue::entries);
            let joined = groups.iter().filter(|group| !old.contains(group));
            for group in joined {
                if !self.groups.contains(group) {
                    self.groups.insert(group.clone());
                }
            }
        }
    }

    /// Says whether the change brings no name.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.groups.is_empty()
    }

    /// Holds the names against all that there are when the change is made.
    pub(super) fn check(&self, nodes: &Nodes) -> Result<()> {
        let mut hosts = HashMap::<String, &str>::new();
        for name in nodes.names() {
            let twin = hosts.insert(name.to_ascii_lowercase(), name);
            if let Some(twin) = twin
                && (self.nodes.contains(name) || self.nodes.contains(twin))
            {
                bail!(
                    "the nodes '{twin}' and '{name}' differ in case alone, which host names do not: name one otherwise"
                );
            }
        }
        let known = nodes.groups();
        let known = known.keys().copied().chain([Group::ALL, Group::EVERYONE]);
        let groups: HashMap<_, _> = known
            .map(|name| (name.to_ascii_lowercase(), name))
            .collect();
        let both = |node: &str, group: &str| -> Result<()> {
            bail!(
                "'{node}' is a node and '{group}' a group: a name is one or the other, since node ranges mean either by it; name one otherwise"
            )
        };
        for node in &self.nodes {
            if let Some(group) = groups.get(&node.to_ascii_lowercase()) {
                both(node, group)?;
            }
        }
        for group in &self.groups {
            if let Some(node) = hosts.get(&group.to_ascii_lowercase()) {
                both(node, group)?;
            }
        }
        Ok(())
    }
}
