//! What nodes are once their groups have had their say.
//!
//! Nodes and groups come in, each with the attributes that are its own; what a node *has* goes out:
//!
//! 1. What the node says itself beats everything.
//! 2. Then its groups, in the order in which `groups` names them.
//! 3. Then the group `xcatdefaults`, which every node is in without naming it.
//!
//! `postscripts` and `postbootscripts` are not beaten but joined, as those who set defaults for everyone
//! expect: first those of `xcatdefaults`, then of each group in order, then the node's own; a script
//! that was there already is not run twice. Nothing here touches a disk, but for a file that a node
//! range names.

use std::collections::BTreeMap;

use crate::{AttributeValue, Attributes, Definition, Error, Group, Node, Object, ObjectKind};

/// Lists that groups and nodes add to.
const JOINED: [&str; 2] = ["postbootscripts", "postscripts"];

/// What a group says of itself and not of its members.
const OF_THE_GROUP: [&str; 2] = ["grouptype", "usercomment"];

/// Nodes and their groups.
#[derive(Debug, Clone, Default)]
pub struct Nodes {
    nodes: BTreeMap<String, Object>,
    groups: BTreeMap<String, Object>,
}

impl Nodes {
    /// Puts nodes and groups together; objects of other kinds are left out.
    pub fn new(objects: impl IntoIterator<Item = Object>) -> Self {
        let mut nodes = Self::default();
        for object in objects {
            let by_name = match object.kind() {
                ObjectKind::Node => &mut nodes.nodes,
                ObjectKind::Group => &mut nodes.groups,
                _ => continue,
            };
            by_name.insert(object.name().to_owned(), object);
        }
        nodes
    }

    /// Takes nodes and groups that are by their names already.
    #[cfg(feature = "catalog")]
    pub(crate) fn by_name(
        nodes: BTreeMap<String, Object>,
        groups: BTreeMap<String, Object>,
    ) -> Self {
        Self { nodes, groups }
    }

    /// Lists the nodes' names, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// Returns a node with the attributes that are its own.
    pub fn own(&self, name: &str) -> Option<&Object> {
        self.nodes.get(name)
    }

    /// Returns a group with the attributes that are its own.
    pub fn group(&self, name: &str) -> Option<&Object> {
        self.groups.get(name)
    }

    /// Lists the groups that are defined or that a node names, each with its members, sorted.
    pub fn groups(&self) -> BTreeMap<&str, Vec<&str>> {
        let defined = self.groups.keys().map(|name| (name.as_str(), Vec::new()));
        let mut groups: BTreeMap<_, _> = defined.collect();
        for (name, node) in &self.nodes {
            for group in groups_of(node) {
                let members: &mut Vec<&str> = groups.entry(group).or_default();
                if members.last() != Some(&name.as_str()) {
                    members.push(name);
                }
            }
        }
        groups
    }

    /// Returns one attribute of a node, by the rules above.
    pub fn value(&self, node: &Object, attribute: &str) -> Option<AttributeValue> {
        if JOINED.contains(&attribute) {
            return self.joined(node, attribute);
        }
        if let Some(value) = node.value(attribute) {
            return Some(value.clone());
        }
        if OF_THE_GROUP.contains(&attribute) {
            return None;
        }
        self.inherited_from(node)
            .find_map(|group| group.value(attribute))
            .cloned()
    }

    /// Returns the value that a change to a list begins with: what is seen, unless groups add to it.
    pub fn base(&self, object: &Object, attribute: &str) -> Option<AttributeValue> {
        match object.value(attribute) {
            None if object.kind() == ObjectKind::Node && !JOINED.contains(&attribute) => {
                self.value(object, attribute)
            }
            own => own.cloned(),
        }
    }

    /// Returns a node with all that it has.
    pub fn effective(&self, name: &str) -> Option<Object> {
        Some(self.complete(self.nodes.get(name)?.clone()))
    }

    /// Returns a node with the attributes that are its own, and leaves its name here.
    #[cfg(feature = "cli")]
    pub(crate) fn take(&mut self, name: &str) -> Option<Object> {
        let node = self.nodes.get_mut(name)?;
        let bare = Object::new(ObjectKind::Node, name).ok()?;
        Some(std::mem::replace(node, bare))
    }

    /// Returns a node with all that it has, and leaves its name here.
    #[cfg(feature = "cli")]
    pub(crate) fn take_effective(&mut self, name: &str) -> Option<Object> {
        let node = self.take(name)?;
        Some(self.complete(node))
    }

    /// Gives a node what its groups say.
    fn complete(&self, mut node: Object) -> Object {
        for (name, value) in JOINED.map(|name| (name, self.joined(&node, name))) {
            if let Some(value) = value {
                node.replace(name, value);
            }
        }
        for group in self.inherited_from(&node) {
            let inherited = group.attributes().iter();
            for (name, value) in inherited.filter(|(name, _)| !OF_THE_GROUP.contains(*name)) {
                node.inherit(name, value);
            }
        }
        node
    }

    /// Gives nodes what they reported of themselves: it counts more than what a definition says of their status.
    #[cfg(feature = "states")]
    pub fn report<'r>(
        &mut self,
        reports: impl IntoIterator<Item = &'r crate::states::StateReport>,
    ) {
        for report in reports {
            if let Some(node) = self.nodes.get_mut(&report.node) {
                for (name, value) in report.attributes() {
                    node.replace(name, value);
                }
            }
        }
    }

    /// Returns a node with all that it has, typed.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the nearest name that exists.
    pub fn node(&self, name: &str) -> Result<Node, Error> {
        let missing = || Error::not_found(ObjectKind::Node, name, self.names());
        Node::from_object(&self.effective(name).ok_or_else(missing)?)
    }

    /// Lists the groups that a node inherits from, the one that takes precedence first.
    fn inherited_from<'a>(&'a self, node: &Object) -> impl Iterator<Item = &'a Object> + use<'a> {
        let named = groups_of(node).filter(|name| *name != Group::EVERYONE);
        let groups = named
            .chain([Group::EVERYONE])
            .filter_map(|name| self.groups.get(name));
        groups.collect::<Vec<_>>().into_iter()
    }

    /// Joins a list of a node with those of its groups.
    fn joined(&self, node: &Object, attribute: &str) -> Option<AttributeValue> {
        let everyone = self.groups.get(Group::EVERYONE);
        let named = groups_of(node)
            .filter(|name| *name != Group::EVERYONE)
            .filter_map(|name| self.groups.get(name));
        let mut joined = Vec::<String>::new();
        for object in everyone.into_iter().chain(named).chain([node]) {
            for entry in object
                .value(attribute)
                .map_or(&[][..], AttributeValue::entries)
            {
                if !joined.contains(entry) {
                    joined.push(entry.clone());
                }
            }
        }
        (!joined.is_empty()).then_some(AttributeValue::List(joined))
    }
}

/// Lists the groups that a node names.
fn groups_of(node: &Object) -> impl Iterator<Item = &str> {
    let groups = node
        .value("groups")
        .map_or(&[][..], AttributeValue::entries);
    groups.iter().map(String::as_str)
}

/// What only [`Nodes`] may do to an object: it moves values between kinds that share their attributes.
impl Object {
    fn inherit(&mut self, name: &'static str, value: &AttributeValue) {
        let attributes: &mut Attributes = self.attributes_mut();
        attributes.entry(name).or_insert_with(|| value.clone());
    }

    fn replace(&mut self, name: &'static str, value: AttributeValue) {
        self.attributes_mut().insert(name, value);
    }
}

/// No file of a node range (`^/path`) is longer, in bytes.
#[cfg(feature = "catalog")]
const MAX_LIST: u64 = 1 << 20;

/// Node ranges choose by what nodes have.
#[cfg(feature = "catalog")]
impl crate::Universe for Nodes {
    fn nodes(&self) -> Vec<&str> {
        self.names().collect()
    }

    fn groups(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut groups = self.groups();
        for everyone in [Group::EVERYONE, Group::ALL] {
            groups.insert(everyone, self.names().collect());
        }
        groups
    }

    fn selects(&self, node: &str, selection: &crate::Selection) -> bool {
        let node = self.nodes.get(node);
        let value = node.and_then(|node| self.value(node, selection.attribute()));
        selection.selects(value.as_ref())
    }

    fn file(&self, path: &str) -> Result<String, String> {
        crate::read_text(std::path::Path::new(path), MAX_LIST)
            .map_err(|error| format!("reading {path}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes an object from `attr=value` texts.
    fn object(kind: ObjectKind, name: &str, attributes: &[&str]) -> Object {
        let mut object = Object::new(kind, name).unwrap();
        for attribute in attributes {
            let (attribute, value) = attribute.split_once('=').unwrap();
            object.set(attribute, value).unwrap();
        }
        object
    }

    fn nodes() -> Nodes {
        Nodes::new([
            object(
                ObjectKind::Node,
                "n1",
                &["groups=rack1,docker", "arch=x86_64"],
            ),
            object(
                ObjectKind::Node,
                "n2",
                &[
                    "groups=docker,rack1,docker",
                    "postbootscripts=mine,otherpkgs",
                ],
            ),
            object(
                ObjectKind::Group,
                "rack1",
                &["os=debian12", "profile=compute", "usercomment=left"],
            ),
            object(
                ObjectKind::Group,
                "docker",
                &[
                    "os=rocky9.4",
                    "arch=aarch64",
                    "postbootscripts=setupdockerhost",
                ],
            ),
            object(
                ObjectKind::Group,
                "xcatdefaults",
                &["postbootscripts=otherpkgs", "profile=all", "netboot=xnba"],
            ),
        ])
    }

    fn listing(object: &Object) -> Vec<String> {
        let attributes = object.attributes().iter();
        attributes
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[test]
    fn a_node_beats_its_groups_and_an_earlier_group_a_later_one() {
        let nodes = nodes();
        assert_eq!(
            listing(&nodes.effective("n1").unwrap()),
            [
                "arch=x86_64",
                "groups=rack1,docker",
                "netboot=xnba",
                "os=debian12",
                "postbootscripts=otherpkgs,setupdockerhost",
                "profile=compute",
            ]
        );
        let n2 = nodes.effective("n2").unwrap();
        assert_eq!(n2.value("os").unwrap().to_string(), "rocky9.4");
    }

    #[test]
    fn scripts_are_joined_from_everyone_to_the_node_and_none_runs_twice() {
        let n2 = nodes().effective("n2").unwrap();
        assert_eq!(
            n2.value("postbootscripts").unwrap().to_string(),
            "otherpkgs,setupdockerhost,mine"
        );
    }

    #[test]
    fn one_value_is_what_the_whole_node_says() {
        let nodes = nodes();
        for name in ["n1", "n2"] {
            let (own, effective) = (nodes.own(name).unwrap(), nodes.effective(name).unwrap());
            for attribute in ObjectKind::Node.attributes() {
                let value = nodes.value(own, attribute.name);
                assert_eq!(
                    value.as_ref(),
                    effective.value(attribute.name),
                    "{}",
                    attribute.name
                );
            }
        }
    }

    #[test]
    fn a_typed_node_has_what_its_groups_say() {
        let node = nodes().node("n1").unwrap();
        assert_eq!(node.os, Some("debian12".parse().unwrap()));
        assert_eq!(node.postbootscripts, ["otherpkgs", "setupdockerhost"]);
        assert_eq!(
            nodes().node("node1").unwrap_err().to_string(),
            "Could not find an object named 'node1' of type 'node'."
        );
    }

    #[test]
    fn groups_are_those_defined_and_those_named() {
        let mut named = nodes();
        named.groups.remove("docker");
        assert_eq!(
            named.groups(),
            BTreeMap::from([
                ("docker", vec!["n1", "n2"]),
                ("rack1", vec!["n1", "n2"]),
                ("xcatdefaults", vec![]),
            ])
        );
    }
}
