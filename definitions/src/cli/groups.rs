//! Members of groups: nodes name their groups, so that to change a group's members is to change nodes.

use anyhow::Result;

use super::assignment::{Assignment, Mode};
use crate::catalog::CatalogEdit;
use crate::{AttributeValue, Group, Noderange, Nodes, Object, ObjectKind};

/// The attribute of groups that is no attribute of theirs.
pub(super) const MEMBERS: &str = "members";

/// Makes nodes members of a group, or takes them out.
pub(super) fn change_members(
    edit: &mut CatalogEdit<'_>,
    group: &str,
    mode: Mode,
    value: &str,
) -> Result<()> {
    let nodes = edit.nodes()?;
    let named = value.parse::<Noderange>()?.select(&nodes)?;
    let members = nodes.groups().remove(group).unwrap_or_default();
    let leaves = |name: &str| match mode {
        Mode::Set => !named.iter().any(|named| named == name),
        Mode::Append => false,
        Mode::Remove => named.iter().any(|named| named == name),
    };
    for name in members.into_iter().filter(|name| leaves(name)) {
        change_groups(edit, &nodes, name, Mode::Remove, group)?;
    }
    if mode != Mode::Remove {
        for name in &named {
            change_groups(edit, &nodes, name, Mode::Append, group)?;
        }
    }
    Ok(())
}

/// Writes another name into the groups of the members, or none.
pub(super) fn rename(edit: &mut CatalogEdit<'_>, group: &str, new: Option<&str>) -> Result<()> {
    let nodes = edit.nodes()?;
    for name in nodes.groups().remove(group).unwrap_or_default() {
        let Some(mut node) = nodes.own(name).cloned() else {
            continue;
        };
        let groups = node
            .value("groups")
            .map_or(&[][..], AttributeValue::entries);
        let groups = groups.iter().map(String::as_str);
        let groups = groups.filter_map(|name| if name == group { new } else { Some(name) });
        let groups = groups.collect::<Vec<_>>().join(",");
        node.set("groups", &groups)?;
        edit.put(&node)?;
    }
    Ok(())
}

/// Changes the groups of one node.
fn change_groups(
    edit: &mut CatalogEdit<'_>,
    nodes: &Nodes,
    name: &str,
    mode: Mode,
    group: &str,
) -> Result<()> {
    let Some(mut node) = nodes.own(name).cloned() else {
        return Ok(());
    };
    let change = Assignment {
        attribute: "groups".to_owned(),
        value: group.to_owned(),
    };
    change.apply(&mut node, mode, nodes)?;
    edit.put(&node)
}

/// Lists groups as they are shown: those defined and those that nodes name, with their members.
pub(super) fn shown(nodes: &Nodes) -> Result<Vec<Object>> {
    let mut shown = Vec::new();
    for (name, members) in nodes.groups() {
        let mut group = match nodes.group(name) {
            Some(group) => group.clone(),
            None => Object::new(ObjectKind::Group, name)?,
        };
        if !members.is_empty() {
            let members = members.into_iter().map(str::to_owned).collect();
            group
                .attributes_mut()
                .insert(MEMBERS, AttributeValue::List(members));
        }
        shown.push(group);
    }
    Ok(shown)
}

/// Says whether a group is one that exists without members and attributes.
pub(super) fn exists(nodes: &Nodes, name: &str) -> bool {
    name == Group::EVERYONE || nodes.groups().contains_key(name)
}
