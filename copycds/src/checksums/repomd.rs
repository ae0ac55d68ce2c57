//! rpm-md's `repomd.xml`: the root of a repository's chain of digests.
//!
//! Text comes in, the metadata files that it lists go out, each with its kind (`primary`, `filelists`
//! …). Form: the `repo` name space that createrepo_c writes; no entity but XML's own is expanded.

use anyhow::{Context, Result, bail};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::listed::Listed;
use super::xml::{attribute, digest, local, text};
use crate::digest::Digest;

/// One metadata file of a repository, relative to the repository's root.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) kind: String,
    pub(super) file: Listed,
}

/// What one `<data>` element has said so far.
#[derive(Default)]
struct Element {
    kind: String,
    href: Option<Vec<u8>>,
    digest: Option<Digest>,
    size: Option<u64>,
}

pub(super) fn parse(xml: &str) -> Result<Vec<Data>> {
    let mut reader = Reader::from_str(xml);
    let (mut found, mut data) = (Vec::new(), None);
    loop {
        match reader.read_event().context("reading it as XML")? {
            Event::Start(tag) if local(&tag) == "data" => {
                let kind = attribute(&tag, "type")?.unwrap_or_default();
                data = Some(Element {
                    kind,
                    ..Element::default()
                });
            }
            Event::End(tag) if tag.local_name().as_ref() == "data" => {
                found.extend(data.take().and_then(Element::finish));
            }
            Event::Start(tag) | Event::Empty(tag) => {
                let Some(data) = &mut data else { continue };
                match local(&tag) {
                    "checksum" => data.digest = Some(digest(&tag, &text(&mut reader, &tag)?)?),
                    "location" => data.href = attribute(&tag, "href")?.map(String::into_bytes),
                    "size" => data.size = text(&mut reader, &tag)?.trim().parse().ok(),
                    _ => {}
                }
            }
            Event::Eof if data.is_some() => bail!("it ends inside an element"),
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

impl Element {
    fn finish(self) -> Option<Data> {
        let (path, digest) = self.href.zip(self.digest)?;
        Some(Data {
            kind: self.kind,
            file: Listed {
                path,
                digest,
                size: self.size,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn every_data_element_lists_its_file() {
        let xml = format!(
            "<?xml version=\"1.0\"?><repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\
             <revision>1</revision><data type=\"primary\"><checksum type=\"sha256\">{EMPTY}</checksum>\
             <open-checksum type=\"sha256\">00</open-checksum><location href=\"repodata/a.xml.gz\"/>\
             <size>12</size><open-size>99</open-size></data><data type=\"odd\"/></repomd>"
        );
        let file = Listed {
            path: b"repodata/a.xml.gz".to_vec(),
            digest: Digest::of(Algorithm::Sha256, b""),
            size: Some(12),
        };
        assert_eq!(
            parse(&xml).unwrap(),
            [Data {
                kind: "primary".into(),
                file
            }]
        );
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let error = |xml| format!("{:#}", parse(xml).unwrap_err());
        assert_eq!(
            error("<repomd><data type=\"primary\">"),
            "it ends inside an element"
        );
        assert_eq!(
            error("<repomd><data><checksum type=\"sha256\">12</checksum></data></repomd>"),
            "'12' is no SHA-256 value"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|data|checksum|location| href=|\"|[a-z]|type=){0,40}") {
            let _ = parse(&text);
        }
    }
}
