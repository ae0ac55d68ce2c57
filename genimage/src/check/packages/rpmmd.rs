//! rpm-md: `repomd.xml`, `primary.xml` and `comps.xml`, streamed.
//!
//! A primary of a whole distribution has hundreds of megabytes; of each package its name, its version
//! and its provides are kept. Entities other than XML's own are not expanded. Form: what createrepo_c
//! writes; comps.dtd of libcomps.

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::index::Gathered;

/// One metadata file of a repository.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Data {
    /// What it holds: `primary`, `group`, `group_gz`.
    pub(super) kind: String,
    /// Where it lies, beneath the repository.
    pub(super) href: String,
}

/// Reads `repomd.xml`.
pub(super) fn repomd(reader: impl BufRead) -> Result<Vec<Data>> {
    let mut reader = Reader::from_reader(reader);
    let (mut buffer, mut found) = (Vec::new(), Vec::<Data>::new());
    loop {
        buffer.clear();
        match reader
            .read_event_into(&mut buffer)
            .context("reading it as XML")?
        {
            Event::Start(tag) if local(&tag) == "data" => found.push(Data {
                kind: attribute(&tag, "type")?.unwrap_or_default(),
                href: String::new(),
            }),
            Event::Start(tag) | Event::Empty(tag) if local(&tag) == "location" => {
                if let Some(data) = found.last_mut() {
                    data.href = attribute(&tag, "href")?.unwrap_or_default();
                }
            }
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// Reads `primary.xml`.
pub(super) fn primary(reader: impl BufRead, gathered: &mut Gathered) -> Result<()> {
    let mut reader = Reader::from_reader(reader);
    let mut buffer = Vec::new();
    let (mut package, mut version, mut arch) = (String::new(), String::new(), String::new());
    let (mut inside, mut provides, mut named, mut of_arch) = (false, false, false, false);
    loop {
        buffer.clear();
        match reader
            .read_event_into(&mut buffer)
            .context("reading it as XML")?
        {
            Event::Start(tag) => match local(&tag) {
                "package" => {
                    inside = true;
                    package.clear();
                    version.clear();
                    arch.clear();
                }
                "arch" => of_arch = inside && arch.is_empty(),
                "name" => named = inside && package.is_empty(),
                "provides" => provides = true,
                _ => {}
            },
            Event::Text(text) if named => package.push_str(&text),
            Event::Text(text) if of_arch => arch.push_str(&text),
            Event::Empty(tag) if inside => match local(&tag) {
                "version" => version = evr(&tag)?,
                "entry" if provides => {
                    let name = attribute(&tag, "name")?.unwrap_or_default();
                    if name != package {
                        provide(&name, &tag, &package, gathered)?;
                    }
                }
                _ => {}
            },
            Event::End(tag) => match tag.local_name().into_inner() {
                "name" => named = false,
                "arch" => of_arch = false,
                "provides" => provides = false,
                "package" => {
                    inside = false;
                    let build = format!("{version}.{}", arch.trim());
                    gathered.packages.add(package.trim(), &build)?;
                }
                _ => {}
            },
            Event::Eof if inside => bail!("it ends inside an element"),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Takes what a package provides; `pattern() = base` makes it a pattern of SUSE.
fn provide(name: &str, tag: &BytesStart<'_>, package: &str, gathered: &mut Gathered) -> Result<()> {
    if name == "pattern()"
        && let Some(id) = attribute(tag, "ver")?
    {
        return gathered.groups.add(&id, package);
    }
    gathered.provides.add(name, package)
}

/// Writes `ver-rel`, behind `epoch:` where that is not 0.
fn evr(tag: &BytesStart<'_>) -> Result<String> {
    let part = |name| attribute(tag, name).map(Option::unwrap_or_default);
    let (epoch, ver, rel) = (part("epoch")?, part("ver")?, part("rel")?);
    Ok(match epoch.as_str() {
        "" | "0" => format!("{ver}-{rel}"),
        _ => format!("{epoch}:{ver}-{rel}"),
    })
}

/// Reads `comps.xml`: groups and environments, each with its id and its English name.
pub(super) fn comps(reader: impl BufRead, gathered: &mut Gathered) -> Result<()> {
    /// What one group has said so far.
    #[derive(Default)]
    struct Group {
        id: String,
        name: String,
    }
    /// Which of a group's own elements the text belongs to.
    enum Field {
        Id,
        Name,
    }
    let mut reader = Reader::from_reader(reader);
    let mut buffer = Vec::new();
    let mut group: Option<Group> = None;
    let (mut depth, mut field) = (0usize, None);
    loop {
        buffer.clear();
        match reader
            .read_event_into(&mut buffer)
            .context("reading it as XML")?
        {
            Event::Start(tag) => {
                match local(&tag) {
                    "group" | "environment" if depth == 1 => group = Some(Group::default()),
                    "id" if depth == 2 => field = Some(Field::Id),
                    "name" if depth == 2 && attribute(&tag, "xml:lang")?.is_none() => {
                        field = Some(Field::Name);
                    }
                    _ => {}
                }
                depth += 1;
            }
            Event::Text(text) => match (&mut group, &field) {
                (Some(group), Some(Field::Id)) => group.id.push_str(text.trim()),
                (Some(group), Some(Field::Name)) => group.name.push_str(&text),
                _ => {}
            },
            Event::GeneralRef(entity) => {
                if let (Some(group), Some(Field::Name), Ok(text)) =
                    (&mut group, &field, resolved(&entity))
                {
                    group.name.push_str(text);
                }
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                field = None;
                let into = match tag.local_name().into_inner() {
                    "group" if depth == 1 => &mut gathered.groups,
                    "environment" if depth == 1 => &mut gathered.environments,
                    _ => continue,
                };
                if let Some(group) = group.take() {
                    into.add(&group.id, &group.name)?;
                }
            }
            Event::Eof if depth > 0 => bail!("it ends inside an element"),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// Resolves XML's own entities.
fn resolved(entity: &str) -> Result<&'static str> {
    Ok(match entity {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        other => bail!("an entity '{other}' that is not XML's own"),
    })
}

/// Returns an element's name without its name space.
fn local<'a>(tag: &'a BytesStart<'_>) -> &'a str {
    tag.local_name().into_inner()
}

/// Returns an attribute's value, with XML's own entities resolved.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>> {
    let found = tag
        .try_get_attribute(name)
        .context("reading an attribute")?;
    let value = found.map(|attribute| {
        attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map(String::from)
    });
    value.transpose().context("reading an attribute")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::index::Index;
    use super::*;

    const PRIMARY: &str = r#"<?xml version="1.0"?><metadata xmlns:rpm="r" packages="2">
        <package type="rpm"><name>bash</name><arch>x86_64</arch><version epoch="0" ver="5.1.8" rel="9.el9"/>
        <format><rpm:provides><rpm:entry name="bash" flags="EQ" ver="5.1.8"/><rpm:entry name="/bin/sh&amp;"/></rpm:provides>
        <rpm:requires><rpm:entry name="glibc"/></rpm:requires><file>/bin/sh</file></format></package>
        <package type="rpm"><name>patterns-base-base</name><arch>noarch</arch><version epoch="1" ver="2" rel="3"/>
        <format><rpm:provides><rpm:entry name="pattern()" flags="EQ" ver="base"/></rpm:provides></format></package></metadata>"#;

    const COMPS: &str = r#"<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd"><comps>
        <group><id>core</id><name>Core</name><name xml:lang="de">Kern</name><packagelist>
        <packagereq type="mandatory">bash</packagereq></packagelist></group>
        <category><id>no-group</id><name>No Group</name></category>
        <group><id>dns</id><name>DNS &amp; more</name></group>
        <environment><id>minimal-environment</id><name>Minimal Install</name>
        <grouplist><groupid>core</groupid></grouplist></environment></comps>"#;

    fn read(text: &str, read: impl Fn(&[u8], &mut Gathered) -> Result<()>) -> Result<Index> {
        let mut gathered = Gathered::default();
        read(text.as_bytes(), &mut gathered)?;
        Ok(gathered.finish())
    }

    #[test]
    fn a_primary_tells_names_versions_provides_and_patterns() {
        let index = read(PRIMARY, |text, gathered| primary(text, gathered)).unwrap();
        let names: Vec<_> = index.packages.iter().collect();
        assert_eq!(names, ["bash", "patterns-base-base"]);
        let version = |name| index.packages.values(name).collect::<Vec<_>>().concat();
        assert_eq!(
            (version("bash"), version("patterns-base-base")),
            ("5.1.8-9.el9.x86_64".into(), "1:2-3.noarch".into())
        );
        assert_eq!(index.provides.iter().collect::<Vec<_>>(), ["/bin/sh&"]);
        let patterns: Vec<_> = index.groups.pairs().collect();
        assert_eq!(patterns, [("base", "patterns-base-base")]);
    }

    #[test]
    fn comps_tells_groups_and_environments_by_id_and_name() {
        let index = read(COMPS, |text, gathered| comps(text, gathered)).unwrap();
        let groups: Vec<_> = index.groups.pairs().collect();
        assert_eq!(groups, [("core", "Core"), ("dns", "DNS & more")]);
        let environments: Vec<_> = index.environments.pairs().collect();
        assert_eq!(environments, [("minimal-environment", "Minimal Install")]);
    }

    #[test]
    fn repomd_tells_where_the_files_lie() {
        let xml = "<repomd><revision>1</revision><data type=\"primary\"><checksum>0</checksum>\
                   <location href=\"repodata/p.xml.gz\"/></data><data type=\"group\">\
                   <location href=\"repodata/c.xml\"></location></data></repomd>";
        let data = |kind: &str, href: &str| Data {
            kind: kind.into(),
            href: href.into(),
        };
        let expected = [
            data("primary", "repodata/p.xml.gz"),
            data("group", "repodata/c.xml"),
        ];
        assert_eq!(repomd(xml.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let error = |index: Result<Index>| index.unwrap_err().to_string();
        let half = PRIMARY.split("<rpm:requires>").next().unwrap();
        let half = error(read(half, |text, gathered| primary(text, gathered)));
        assert_eq!(half, "it ends inside an element");
        let half = COMPS.split("<category>").next().unwrap();
        let half = error(read(half, |text, gathered| comps(text, gathered)));
        assert_eq!(half, "it ends inside an element");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|package|name|group|id|version|rpm:entry| name=|\"|[a-z]|&|;){0,40}") {
            let _ = repomd(text.as_bytes());
            let _ = read(&text, |text, gathered| primary(text, gathered));
            let _ = read(&text, |text, gathered| comps(text, gathered));
        }
    }
}
