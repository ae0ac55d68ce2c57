//! xCAT's stanza form, in and out, so that definitions move between the two with one pipe.
//!
//! ```text
//! # <xCAT data object stanza file>
//!
//! host01:
//!     objtype=node
//!     groups=docker,all
//! ```
//!
//! A text comes in and blocks go out, each still a list of `attr=value`, since the reader decides whether
//! they make an object or change one; objects come in and a text goes out. A comment takes a whole line,
//! `default-<type>:` holds what the objects after it have unless they have their own, and an object has
//! one block. A value may be in double quotes. Reference: xCAT's `xcatstanzafile(5)`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::{Error, Object, ObjectKind};

/// The first line of a stanza file.
const HEADER: &str = "# <xCAT data object stanza file>";

/// One block: an object's kind, its name, and its attributes, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaBlock {
    /// The kind that `objtype` names.
    pub kind: ObjectKind,
    /// The object's name.
    pub name: String,
    /// Each attribute once, with its text; defaults first.
    pub attributes: Vec<(String, String)>,
}

/// Parses a stanza file.
///
/// # Errors
/// [`Error::Stanza`] with the line: for a line that is neither `name:` nor `attr=value`, for a block
/// without `objtype` or with an attribute twice, or an object with two blocks.
pub fn parse(text: &str) -> Result<Vec<StanzaBlock>, Error> {
    let mut blocks = Vec::new();
    let mut defaults = BTreeMap::<ObjectKind, Vec<(String, String)>>::new();
    let mut seen = BTreeSet::new();
    for raw in raw_blocks(text)? {
        if let Some(kind) = raw.name.strip_prefix("default-") {
            let kind = kind
                .parse()
                .map_err(|error: Error| raw.wrong(error.to_string()))?;
            merge(defaults.entry(kind).or_default(), raw.attributes);
            continue;
        }
        let kind = raw.kind()?;
        if !seen.insert((kind, raw.name)) {
            return Err(raw.wrong(format!("the {kind} '{}' has another block above", raw.name)));
        }
        let mut attributes = defaults.get(&kind).cloned().unwrap_or_default();
        let name = raw.name.to_owned();
        merge(&mut attributes, raw.attributes);
        attributes.retain(|(attribute, _)| attribute != "objtype");
        blocks.push(StanzaBlock {
            kind,
            name,
            attributes,
        });
    }
    Ok(blocks)
}

/// Writes objects as a stanza file.
pub fn render<'a>(objects: impl IntoIterator<Item = &'a Object>) -> String {
    let mut text = format!("{HEADER}\n");
    for object in objects {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{}:\n    objtype={}\n",
            object.name(),
            object.kind()
        );
        for (name, value) in object.attributes() {
            let value = quoted(value.to_string());
            let _ = writeln!(text, "    {name}={value}");
        }
    }
    text
}

/// Writes a value so that it is read back: one that is in quotes itself gets another pair.
fn quoted(value: String) -> String {
    match unquoted(&value) {
        same if same == value => value,
        _ => format!("\"{value}\""),
    }
}

/// Removes the pair of double quotes around a value.
fn unquoted(value: &str) -> &str {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// A block as it is in the text.
struct RawStanza<'t> {
    line: usize,
    name: &'t str,
    attributes: Vec<(String, String)>,
}

impl RawStanza<'_> {
    /// Reads the kind that `objtype` names.
    fn kind(&self) -> Result<ObjectKind, Error> {
        let mut kinds = self.attributes.iter().filter(|(name, _)| name == "objtype");
        match kinds.next_back() {
            Some((_, kind)) => kind
                .parse()
                .map_err(|error: Error| self.wrong(error.to_string())),
            None => Err(self.wrong(format!("'{}' lacks its 'objtype=…'", self.name))),
        }
    }

    /// Makes an error that names the line of the block's name.
    fn wrong(&self, message: String) -> Error {
        Error::Stanza {
            line: self.line,
            message,
        }
    }
}

/// Parts a text into blocks.
fn raw_blocks(text: &str) -> Result<Vec<RawStanza<'_>>, Error> {
    let mut blocks = Vec::<RawStanza<'_>>::new();
    let text = text.trim_start_matches('\u{feff}');
    for (at, raw) in text.lines().enumerate() {
        let line = at + 1;
        let raw = raw.trim();
        if raw.is_empty() || raw.starts_with('#') {
            continue;
        }
        let wrong = |message: String| Error::Stanza { line, message };
        match (raw.split_once('='), raw.strip_suffix(':')) {
            (Some((name, value)), _) => match blocks.last_mut() {
                Some(block) => {
                    let (name, value) = (name.trim(), unquoted(value.trim()).to_owned());
                    if block.attributes.iter().any(|(known, _)| known == name) {
                        let message = format!("'{}' has '{name}' twice", block.name);
                        return Err(wrong(message));
                    }
                    block.attributes.push((name.to_owned(), value));
                }
                None => return Err(wrong(format!("'{raw}' comes before the first 'name:'"))),
            },
            (None, Some(name)) => blocks.push(RawStanza {
                line,
                name: name.trim(),
                attributes: Vec::new(),
            }),
            (None, None) => {
                return Err(wrong(format!(
                    "'{raw}' is neither 'name:' nor 'attr=value'"
                )));
            }
        }
    }
    Ok(blocks)
}

/// Lets later attributes replace earlier ones of the same name.
fn merge(attributes: &mut Vec<(String, String)>, later: Vec<(String, String)>) {
    for (name, value) in later {
        match attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => attributes.push((name, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{AttributeShape, AttributeValue};

    fn object(block: &StanzaBlock) -> Object {
        let mut object = Object::new(block.kind, block.name.as_str()).unwrap();
        for (name, value) in &block.attributes {
            object.set(name, value).unwrap();
        }
        object
    }

    #[test]
    fn an_object_is_written_as_xcat_writes_it() {
        let mut node = Object::new(ObjectKind::Node, "host01c01").unwrap();
        for (name, value) in [
            ("mgt", "docker"),
            ("groups", "docker, all"),
            ("ip", "10.20.7.52"),
            ("dockerhost", "host01:2375"),
        ] {
            node.set(name, value).unwrap();
        }
        assert_eq!(
            render([&node]),
            "# <xCAT data object stanza file>\n\
             \n\
             host01c01:\n    \
                 objtype=node\n    \
                 dockerhost=host01:2375\n    \
                 groups=docker,all\n    \
                 ip=10.20.7.52\n    \
                 mgt=docker\n"
        );
    }

    #[test]
    fn defaults_add_up_and_give_way() {
        let text = "# <xCAT data object stanza file>\n\
            default-node:\n  groups=all\n  mgt=ipmi\n\
            n1:\n objtype=node\n mgt = kvm \n# a remark\n\
            default-node:\n  arch=x86_64\n\
            net:\n\tobjtype=network\n\
            n2:\n objtype=node\n groups=a=b,c\n";
        let pairs = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect::<Vec<_>>()
        };
        let block = |kind, name: &str, attributes| StanzaBlock {
            kind,
            name: name.to_owned(),
            attributes: pairs(attributes),
        };
        assert_eq!(
            parse(text).unwrap(),
            [
                block(ObjectKind::Node, "n1", &[("groups", "all"), ("mgt", "kvm")]),
                block(ObjectKind::Network, "net", &[]),
                block(
                    ObjectKind::Node,
                    "n2",
                    &[("groups", "a=b,c"), ("mgt", "ipmi"), ("arch", "x86_64")]
                ),
            ]
        );
    }

    #[test]
    fn quotes_around_values_byte_order_marks_and_dos_line_ends_are_no_part_of_them() {
        let text = "\u{feff}# <xCAT data object stanza file>\r\nn1:\r\n  objtype=\"node\"\r\n  groups = \"all,rack1\"\r\n  \
            usercomment=\"\"in\" and \"out\"\"\r\n  room=\"\r\n  rack=\"\"\r\n";
        let blocks = parse(text).unwrap();
        assert_eq!(blocks[0].kind, ObjectKind::Node);
        let values: Vec<_> = blocks[0]
            .attributes
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(values, ["all,rack1", "\"in\" and \"out\"", "\"", ""]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("a=b", "line 1: 'a=b' comes before the first 'name:'"),
            (
                "n1:\n  objtype=node\n  what\n",
                "line 3: 'what' is neither 'name:' nor 'attr=value'",
            ),
            (
                "\nn1:\n  ip=10.0.0.1\n",
                "line 2: 'n1' lacks its 'objtype=…'",
            ),
            (
                "n1:\n  objtype=nod\n",
                "line 1: 'nod' is not a type of object: expected one of group, network, node, osimage, site",
            ),
            (
                "n1:\n objtype=node\n room=1\n room=2",
                "line 4: 'n1' has 'room' twice",
            ),
            (
                "n1:\n objtype=node\nn1:\n objtype=node\n",
                "line 3: the node 'n1' has another block above",
            ),
            (
                "@ Network Servers\nn1:\n objtype=node\n",
                "line 1: '@ Network Servers' is neither 'name:' nor 'attr=value'",
            ),
            (
                "n1:objtype=node\n",
                "line 1: 'n1:objtype=node' comes before the first 'name:'",
            ),
            (
                "n1:\n objtype=host\n",
                "line 1: 'host' is not a type of object: expected one of group, network, node, osimage, site",
            ),
            (
                "n1:\n objtype=node\n\0",
                "line 3: '\0' is neither 'name:' nor 'attr=value'",
            ),
            (
                "default-x:\n",
                "line 1: 'x' is not a type of object: expected one of group, network, node, osimage, site",
            ),
        ] {
            assert_eq!(
                parse(text).unwrap_err().to_string(),
                format!("the stanza, {expected}")
            );
        }
    }

    /// Any object with texts that its attributes accept.
    fn objects() -> impl Strategy<Value = Object> {
        let kind = proptest::sample::select(vec![
            ObjectKind::Node,
            ObjectKind::Group,
            ObjectKind::Network,
            ObjectKind::OsImage,
        ]);
        let texts = proptest::collection::vec(
            (any::<proptest::sample::Index>(), "\"?\\PC{1,20}\"?"),
            0..12,
        );
        (kind, "[a-z_][a-zA-Z0-9_-]{0,12}x", texts).prop_map(|(kind, name, texts)| {
            let mut object = Object::new(kind, name).unwrap();
            for (index, text) in texts {
                let attribute = &kind.attributes()[index.index(kind.attributes().len())];
                let text = match attribute.shape {
                    AttributeShape::Text => text,
                    AttributeShape::List => format!("{text}, x=y:,{text}"),
                };
                // Some attributes take no such text; they stay unset.
                let _ = object.set(attribute.name, &text);
            }
            object
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(object_ in objects()) {
            let blocks = parse(&render([&object_])).unwrap();
            prop_assert_eq!(blocks.len(), 1);
            prop_assert_eq!(object(&blocks[0]), object_);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-z=:# \n-]{0,60}|\\PC{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_value_is_empty_or_loses_its_form(object in objects()) {
            for (name, value) in object.attributes() {
                prop_assert!(!value.to_string().is_empty(), "{}", name);
                if let AttributeValue::List(entries) = value {
                    prop_assert!(entries.iter().all(|entry| !entry.contains(',')));
                }
            }
        }
    }
}
