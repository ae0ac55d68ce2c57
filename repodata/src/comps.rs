//! rpm-md's `comps.xml`: groups of packages, and environments, which are groups of groups.
//!
//! XML comes in, and every group is lent to a visitor with its id and its English name. Form: comps.dtd of
//! libcomps.

use crate::error::ReadError;
use crate::xml::{XmlItem, XmlStream};
use crate::{Input, MAX_ITEM};

/// A group or an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompsGroup {
    /// Whether it is an environment, chosen by `@^`.
    pub is_environment: bool,
    /// Its id: `core`.
    pub id: String,
    /// Its English name: `Core`.
    pub name: String,
}

/// What the text that comes next is.
#[derive(Clone, Copy)]
enum GroupField {
    Id,
    Name,
}

/// Lends every group and environment to `visit`.
///
/// # Errors
/// What is no XML, and what `visit` returns.
pub fn read_comps<E: From<ReadError>>(
    input: Input<'_>,
    mut visit: impl FnMut(&CompsGroup) -> Result<(), E>,
) -> Result<(), E> {
    let mut document = XmlStream::new(input);
    let mut group: Option<CompsGroup> = None;
    let mut field = None;
    while let Some(item) = document.next()? {
        match item {
            XmlItem::Start(2, tag) => {
                let is_environment = tag.name() == "environment";
                let counts = is_environment || tag.name() == "group";
                group = counts.then(|| CompsGroup {
                    is_environment,
                    ..CompsGroup::default()
                });
            }
            XmlItem::Start(3, tag) if !tag.is_empty() => {
                let translated = tag.attribute("xml:lang").map(|lang| lang.is_some());
                field = match (tag.name(), translated) {
                    (_, Err(problem)) => return Err(document.error(problem).into()),
                    ("id", Ok(_)) => Some(GroupField::Id),
                    ("name", Ok(false)) => Some(GroupField::Name),
                    _ => None,
                };
            }
            XmlItem::Start(..) => field = None,
            XmlItem::Text(text) => {
                if let (Some(group), Some(field)) = (&mut group, field) {
                    let into = match field {
                        GroupField::Id => &mut group.id,
                        GroupField::Name => &mut group.name,
                    };
                    if into.len() + text.len() > MAX_ITEM {
                        let problem = format!("a name is longer than {MAX_ITEM} bytes");
                        return Err(document.error(problem).into());
                    }
                    into.push_str(&text);
                }
            }
            XmlItem::End(2) => {
                if let Some(mut group) = group.take() {
                    group.id = group.id.trim().to_owned();
                    visit(&group)?;
                }
            }
            XmlItem::End(_) => field = None,
            XmlItem::Other => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMPS: &str = r#"<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd"><comps>
        <group><id>core</id><name>Core</name><name xml:lang="de">Kern</name><packagelist>
        <packagereq type="mandatory">bash</packagereq></packagelist></group>
        <category><id>no-group</id><name>No Group</name></category>
        <group><id>dns</id><name>DNS &amp; more</name></group>
        <environment><id>minimal-environment</id><name>Minimal Install</name>
        <grouplist><groupid>core</groupid></grouplist></environment></comps>"#;

    fn read(xml: &str) -> Result<Vec<CompsGroup>, ReadError> {
        let mut groups = Vec::new();
        read_comps(Input::plain("comps.xml", xml.as_bytes())?, |group| {
            groups.push(group.clone());
            Ok::<_, ReadError>(())
        })?;
        Ok(groups)
    }

    #[test]
    fn groups_and_environments_have_an_id_and_a_name() {
        let groups = read(COMPS).unwrap();
        let seen: Vec<_> = groups
            .iter()
            .map(|group| (group.is_environment, group.id.as_str(), group.name.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (false, "core", "Core"),
                (false, "dns", "DNS & more"),
                (true, "minimal-environment", "Minimal Install")
            ]
        );
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let half = COMPS.split("<category>").next().unwrap();
        assert_eq!(read(half).unwrap_err().problem, "it ends inside an element");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|group|name|id| xml:lang=|\"|[a-z]|&|;){0,40}") {
            let _ = read(&text);
            let _ = read(&format!("<comps><group>{text}"));
        }
    }
}
