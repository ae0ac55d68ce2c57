//! rpm-md's `primary.xml`: what packages a repository holds.
//!
//! A stream of XML comes in (a hundred megabytes on a full DVD), and every package goes to a visitor:
//! its file relative to the repository's root, the digest of the whole file and its size. A location
//! with a base of its own (`xml:base="media://…#2"`) lies on another disc and is passed over.

use std::io::BufRead;

use anyhow::{Context, Result, bail, ensure};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::bounded::Bounded;
use super::listed::Listed;
use super::xml::{attribute, digest, local};
use crate::digest::Digest;

/// Elements within each other; real ones stand five deep.
const DEEPEST: usize = 64;

/// What one `<package>` element has said so far.
#[derive(Default)]
struct Package {
    href: Option<Vec<u8>>,
    digest: Option<Digest>,
    size: Option<u64>,
    elsewhere: bool,
}

/// Hands every package to `visit`.
pub(super) fn parse(
    reader: impl BufRead,
    mut visit: impl FnMut(Listed) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::from_reader(Bounded::new(reader));
    let (mut buffer, mut package) = (Vec::new(), None::<Package>);
    let (mut checksum, mut depth) = (None, 0_usize);
    loop {
        buffer.clear();
        reader.get_mut().begin();
        let event = reader
            .read_event_into(&mut buffer)
            .context("reading it as XML")?;
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        ensure!(
            depth <= DEEPEST,
            "its elements stand more than {DEEPEST} deep in each other"
        );
        match event {
            Event::Start(tag) if local(&tag) == "package" => package = Some(Package::default()),
            Event::Start(tag) if local(&tag) == "checksum" => checksum = Some(tag.into_owned()),
            Event::Start(tag) | Event::Empty(tag) => {
                if let Some(package) = &mut package {
                    package.element(&tag)?;
                }
            }
            Event::Text(hex) => {
                if let Some((tag, package)) = checksum.take().zip(package.as_mut()) {
                    package.digest = Some(digest(&tag, &hex)?);
                }
            }
            Event::End(tag) if tag.local_name().as_ref() == "package" => {
                let listed = package.take().and_then(Package::finish);
                listed.into_iter().try_for_each(&mut visit)?;
            }
            Event::Eof if package.is_some() => bail!("it ends inside an element"),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

impl Package {
    fn element(&mut self, tag: &BytesStart<'_>) -> Result<()> {
        match local(tag) {
            "size" => self.size = attribute(tag, "package")?.and_then(|size| size.parse().ok()),
            "location" => {
                self.href = attribute(tag, "href")?.map(String::into_bytes);
                self.elsewhere = attribute(tag, "xml:base")?.is_some();
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Option<Listed> {
        let (path, digest) = self.href.zip(self.digest)?;
        (!self.elsewhere).then_some(Listed {
            path,
            digest,
            size: self.size,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    fn all(xml: &str) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        parse(xml.as_bytes(), |file| {
            listed.push(file);
            Ok(())
        })?;
        Ok(listed)
    }

    fn package(kind: &str, digest: &Digest, location: &str) -> String {
        format!(
            "<package type=\"rpm\"><name>a</name><checksum type=\"{kind}\" pkgid=\"YES\">{digest}</checksum>\
             <size package=\"7\" installed=\"9\" archive=\"8\"/><location {location}/>\
             <format><file>/etc/a</file></format></package>"
        )
    }

    #[test]
    fn every_package_of_this_disc_is_listed() {
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
        let listed = |path: &[u8], digest| Listed {
            path: path.to_vec(),
            digest,
            size: Some(7),
        };
        let expected = [
            listed(b"Packages/a&b.rpm", old),
            listed(b"Packages/c.rpm", new),
        ];
        assert_eq!(all(&xml).unwrap(), expected);
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let error = |xml| format!("{:#}", all(xml).unwrap_err());
        assert_eq!(
            error("<metadata><package type=\"rpm\">"),
            "it ends inside an element"
        );
        assert_eq!(
            error("<package><checksum type=\"crc\">12</checksum></package>"),
            "'crc' is no hash algorithm known here"
        );
    }

    #[test]
    fn a_text_without_end_is_refused() {
        let xml = format!("<metadata><package><name>{}", "a".repeat(2 << 20));
        assert_eq!(
            format!("{:#}", all(&xml).unwrap_err()),
            "reading it as XML: I/O error: one of its elements is longer than 1048576 bytes: one of its \
             elements is longer than 1048576 bytes"
        );
    }

    #[test]
    fn elements_within_each_other_without_end_are_refused() {
        assert_eq!(
            all(&"<a>".repeat(100)).unwrap_err().to_string(),
            "its elements stand more than 64 deep in each other"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|package|checksum|location| href=|\"|[a-z]|type=|&){0,40}") {
            let _ = all(&text);
        }
    }
}
