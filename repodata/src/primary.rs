//! rpm-md's `primary.xml`: what packages a repository holds.
//!
//! A stream of XML comes in (hundreds of megabytes of a whole distribution), and every package is lent to a
//! visitor. Form: what createrepo_c writes.

use crate::error::ReadError;
use crate::repomd::checksum_type;
use crate::xml::{XmlItem, XmlStream, XmlTag};
use crate::{Digest, Input, ListedFile, MAX_ITEM};

/// A package of an rpm-md repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrimaryPackage {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// Its version as `version-release`, after `epoch:` where that is not 0.
    pub version: String,
    /// The path of its file, relative to the repository.
    pub href: Option<String>,
    /// Whether its file is on another disc: its location has a base (`xml:base="media://…#2"`).
    pub elsewhere: bool,
    /// The digest of its file.
    pub digest: Option<Digest>,
    /// The length of its file in bytes.
    pub size: Option<u64>,
    provides: Provides,
}

/// Names with versions, one after the other in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Provides {
    text: String,
    /// Where each name and each version ends.
    ends: Vec<(usize, usize)>,
}

/// What the text that comes next is.
enum PackageField {
    Name,
    Arch,
    /// `<checksum type="…">`, with its type.
    Checksum(String),
}

/// Lends every package to `visit`.
///
/// # Errors
/// What is no XML, a checksum that is none, a package without an end, and what `visit` returns.
pub fn read_primary<E: From<ReadError>>(
    input: Input<'_>,
    mut visit: impl FnMut(&PrimaryPackage) -> Result<(), E>,
) -> Result<(), E> {
    let mut document = XmlStream::new(input);
    let mut package = PrimaryPackage::default();
    let (mut field, mut in_package, mut in_provides) = (None, false, false);
    while let Some(item) = document.next()? {
        let read = match item {
            XmlItem::Start(2, tag) => {
                in_package = tag.name() == "package";
                package.clear();
                Ok(())
            }
            XmlItem::Start(3, tag) => package.element(&tag).map(|next| field = next),
            XmlItem::Start(4, tag) => {
                in_provides = tag.name() == "provides" && !tag.is_empty();
                Ok(())
            }
            XmlItem::Start(5, tag) if in_provides && tag.name() == "entry" => package.provide(&tag),
            XmlItem::Text(text) => match &field {
                Some(field) => package.text(field, text.trim()),
                None => Ok(()),
            },
            XmlItem::End(2) if in_package => {
                visit(&package)?;
                Ok(())
            }
            XmlItem::End(3) => {
                field = None;
                Ok(())
            }
            XmlItem::End(4) => {
                in_provides = false;
                Ok(())
            }
            _ => Ok(()),
        };
        read.map_err(|problem| document.error(problem))?;
    }
    Ok(())
}

impl PrimaryPackage {
    /// Returns what it provides beside itself, each with its version, which may be empty.
    pub fn provides(&self) -> impl Iterator<Item = (&str, &str)> {
        let Provides { text, ends } = &self.provides;
        let starts = std::iter::once(0).chain(ends.iter().map(|(_, end)| *end));
        let pairs = starts.zip(ends);
        let pairs = pairs.map(|(start, (name, end))| (&text[start..*name], &text[*name..*end]));
        pairs.filter(|(name, _)| *name != self.name)
    }

    /// Returns its file, if that is on this disc.
    pub fn file(&self) -> Option<ListedFile> {
        let listed = ListedFile {
            path: self.href.clone()?.into_bytes(),
            digest: self.digest?,
            size: self.size,
        };
        (!self.elsewhere).then_some(listed)
    }

    /// Empties it, and keeps its memory.
    fn clear(&mut self) {
        let mut provides = std::mem::take(&mut self.provides);
        provides.text.clear();
        provides.ends.clear();
        *self = Self {
            provides,
            ..Self::default()
        };
    }

    fn element(&mut self, tag: &XmlTag<'_>) -> Result<Option<PackageField>, String> {
        let mut field = None;
        match tag.name() {
            "name" if self.name.is_empty() => field = Some(PackageField::Name),
            "arch" if self.arch.is_empty() => field = Some(PackageField::Arch),
            "checksum" => field = Some(PackageField::Checksum(checksum_type(tag)?)),
            "version" => self.version = version(tag)?,
            "size" => self.size = tag.attribute("package")?.and_then(|size| size.parse().ok()),
            "location" => {
                self.href = tag.attribute("href")?;
                self.elsewhere = tag.attribute("xml:base")?.is_some();
            }
            _ => {}
        }
        Ok(field.filter(|_| !tag.is_empty()))
    }

    fn text(&mut self, field: &PackageField, text: &str) -> Result<(), String> {
        match field {
            PackageField::Name => self.name.push_str(text),
            PackageField::Arch => self.arch.push_str(text),
            PackageField::Checksum(algorithm) => {
                self.digest = Some(Digest::parse(algorithm.parse()?, text)?);
            }
        }
        Ok(())
    }

    fn provide(&mut self, tag: &XmlTag<'_>) -> Result<(), String> {
        let name = tag.attribute("name")?.unwrap_or_default();
        let version = tag.attribute("ver")?.unwrap_or_default();
        let Provides { text, ends } = &mut self.provides;
        if text.len() + name.len() + version.len() > MAX_ITEM {
            return Err(format!(
                "a package provides more than {MAX_ITEM} bytes of names"
            ));
        }
        text.push_str(&name);
        let name = text.len();
        text.push_str(&version);
        ends.push((name, text.len()));
        Ok(())
    }
}

/// Prints `version-release`, after `epoch:` where that is not 0.
fn version(tag: &XmlTag<'_>) -> Result<String, String> {
    let part = |name| tag.attribute(name).map(Option::unwrap_or_default);
    let (epoch, version, release) = (part("epoch")?, part("ver")?, part("rel")?);
    Ok(match epoch.as_str() {
        "" | "0" => format!("{version}-{release}"),
        _ => format!("{epoch}:{version}-{release}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    fn read(xml: &str) -> Result<Vec<PrimaryPackage>, ReadError> {
        let mut packages = Vec::new();
        read_primary(Input::plain("primary.xml", xml.as_bytes())?, |package| {
            packages.push(package.clone());
            Ok::<_, ReadError>(())
        })?;
        Ok(packages)
    }

    fn package(kind: &str, digest: &Digest, location: &str) -> String {
        format!(
            "<package type=\"rpm\"><name>a</name><checksum type=\"{kind}\" pkgid=\"YES\">{digest}</checksum>\
             <size package=\"7\" installed=\"9\" archive=\"8\"/><location {location}/>\
             <format><file>/etc/a</file></format></package>"
        )
    }

    #[test]
    fn every_file_of_this_disc_is_listed() {
        let [old, new] = [Algorithm::Sha1, Algorithm::Sha256].map(|kind| Digest::of(kind, b""));
        let xml = [
            "<metadata packages=\"3\">",
            &package("sha", &old, "href=\"Packages/a&amp;b.rpm\""),
            &package("sha256", &new, "href=\"Packages/c.rpm\""),
            &package(
                "sha256",
                &new,
                "xml:base=\"media://1.2#2\" href=\"Packages/d.rpm\"",
            ),
            "</metadata>",
        ]
        .concat();
        let listed = |path: &[u8], digest| ListedFile {
            path: path.to_vec(),
            digest,
            size: Some(7),
        };
        let files = read(&xml).unwrap();
        let files: Vec<_> = files.iter().map(PrimaryPackage::file).collect();
        assert_eq!(
            files,
            [
                Some(listed(b"Packages/a&b.rpm", old)),
                Some(listed(b"Packages/c.rpm", new)),
                None
            ]
        );
    }

    #[test]
    fn names_versions_and_provides_are_read() {
        let xml = r#"<?xml version="1.0"?><metadata xmlns:rpm="r" packages="2">
            <package type="rpm"><name>bash</name><arch>x86_64</arch><version epoch="0" ver="5.1.8" rel="9.el9"/>
            <format><rpm:provides><rpm:entry name="bash" flags="EQ" ver="5.1.8"/>
            <rpm:entry name="/bin/sh&amp;"/></rpm:provides>
            <rpm:requires><rpm:entry name="glibc"/></rpm:requires><file>/bin/sh</file></format></package>
            <package type="rpm"><name>patterns-base-base</name><arch>noarch</arch>
            <version epoch="1" ver="2" rel="3"/><format><rpm:provides>
            <rpm:entry name="pattern()" flags="EQ" ver="base"/></rpm:provides></format></package></metadata>"#;
        let packages = read(xml).unwrap();
        let [bash, base] = packages.as_slice() else {
            panic!("{packages:?}");
        };
        assert_eq!(
            (
                bash.name.as_str(),
                bash.arch.as_str(),
                bash.version.as_str()
            ),
            ("bash", "x86_64", "5.1.8-9.el9")
        );
        assert_eq!(bash.provides().collect::<Vec<_>>(), [("/bin/sh&", "")]);
        assert_eq!(base.version, "1:2-3");
        assert_eq!(base.provides().collect::<Vec<_>>(), [("pattern()", "base")]);
    }

    #[test]
    fn what_is_damaged_is_an_error_with_its_place() {
        let error = |xml| read(xml).unwrap_err().to_string();
        assert_eq!(
            error("<metadata><package type=\"rpm\">"),
            "byte 30: it ends inside an element"
        );
        assert_eq!(
            error("<metadata><package><checksum type=\"crc\">12</checksum></package></metadata>"),
            "byte 42: 'crc' is no hash algorithm known here"
        );
    }

    #[test]
    fn a_package_that_provides_without_end_is_refused() {
        let name = "a".repeat(MAX_ITEM / 2);
        let entry = format!("<entry name=\"{name}\"/>");
        let xml = format!("<m><package><format><provides>{}", entry.repeat(3));
        let problem = read(&xml).unwrap_err().problem;
        assert_eq!(
            problem,
            "a package provides more than 16777216 bytes of names"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|package|checksum|location| href=|\"|[a-z]|type=|&){0,40}") {
            let _ = read(&text);
            let _ = read(&format!("<metadata><package>{text}"));
        }
    }
}
