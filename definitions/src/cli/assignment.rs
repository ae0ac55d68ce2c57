//! Assignments: `attr=value` on a command line or in a stanza, and what they do to an object.

use std::str::FromStr;

use anyhow::{Result, anyhow, bail};

use crate::{AttributeShape, AttributeSpec, AttributeValue, Nodes, Object};

/// One `attr=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) attribute: String,
    pub(super) value: String,
}

/// What an assignment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Replaces what was there.
    Set,
    /// Adds to a list.
    Append,
    /// Takes from a list.
    Remove,
}

impl FromStr for Assignment {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let split = text.split_once('=').filter(|_| Self::is_one(text));
        let (attribute, value) =
            split.ok_or_else(|| anyhow!("'{text}' is not an assignment: expected attr=value"))?;
        Ok(Self {
            attribute: attribute.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl Assignment {
    /// Says whether an operand is an assignment; `attr==value` and its like choose nodes.
    pub(super) fn is_one(text: &str) -> bool {
        text.split_once('=').is_some_and(|(attribute, value)| {
            let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            let name = !attribute.is_empty() && attribute.chars().all(letters);
            name && !value.starts_with(['=', '~'])
        })
    }

    /// Does to an object what the mode says; returns what it could not remove.
    ///
    /// `nodes` has what a node inherits from its groups: a list is changed as it is seen, unless it is one
    /// to which groups add anyway.
    pub(super) fn apply(
        &self,
        object: &mut Object,
        mode: Mode,
        nodes: &Nodes,
    ) -> Result<Vec<String>> {
        if mode == Mode::Set {
            object.set(&self.attribute, &self.value)?;
            return Ok(Vec::new());
        }
        let attribute = object.kind().attribute(&self.attribute)?;
        if attribute.shape != AttributeShape::List {
            let option = if mode == Mode::Append { "-p" } else { "-m" };
            bail!(
                "'{}' holds one text and {option} changes lists: assign the whole text",
                attribute.name
            );
        }
        let given = attribute.parse(&self.value)?;
        let given = given.as_ref().map_or(&[][..], AttributeValue::entries);
        let seen = nodes.base(object, attribute.name);
        let mut entries = seen
            .as_ref()
            .map_or(&[][..], AttributeValue::entries)
            .to_vec();
        let missing: Vec<_> = given
            .iter()
            .filter(|entry| !entries.contains(entry))
            .cloned()
            .collect();
        if mode == Mode::Append {
            entries.extend(missing);
            write(object, attribute, entries)?;
            return Ok(Vec::new());
        }
        entries.retain(|entry| !given.contains(entry));
        write(object, attribute, entries)?;
        Ok(missing)
    }
}

fn write(
    object: &mut Object,
    attribute: &'static AttributeSpec,
    entries: Vec<String>,
) -> Result<()> {
    let value = attribute.accept(AttributeValue::List(entries))?;
    object.put(attribute, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_no_assignments() {
        for text in [
            "groups=all",
            "postbootscripts=a b:c=d",
            "nicips.eth0=10.0.0.1",
            "ip=",
        ] {
            assert!(Assignment::is_one(text), "{text}");
        }
        for text in [
            "os==debian12",
            "os!=debian12",
            "os=~deb",
            "os!~deb",
            "host01",
            "=x",
            "a b=c",
            "/x=y",
        ] {
            assert!(!Assignment::is_one(text), "{text}");
        }
    }
}
