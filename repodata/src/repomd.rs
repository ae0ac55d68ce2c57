//! rpm-md's `repomd.xml`: the root of a repository's chain of digests.
//!
//! XML comes in, the metadata files that it lists go out. Form: the `repo` name space that createrepo_c writes.

use crate::error::ReadError;
use crate::xml::{XmlItem, XmlStream, XmlTag};
use crate::{Digest, Input, ListedFile};

/// What `repomd.xml` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repomd {
    /// The metadata files of the repository.
    pub files: Vec<RepomdFile>,
}

/// A metadata file of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepomdFile {
    /// What it holds: `primary`, `filelists`, `group_gz`.
    pub kind: String,
    /// Its path, relative to the repository.
    pub href: String,
    /// Its digest, if it is given one.
    pub digest: Option<Digest>,
    /// Its length in bytes.
    pub size: Option<u64>,
}

/// What the text that comes next is.
enum RepomdField {
    /// `<checksum type="…">`, with its type.
    Checksum(String),
    Size,
}

impl Repomd {
    /// Reads `repomd.xml`.
    ///
    /// # Errors
    /// What is no XML, and a checksum that is none.
    pub fn read(input: Input<'_>) -> Result<Self, ReadError> {
        let mut document = XmlStream::new(input.document());
        let (mut repomd, mut field) = (Self::default(), None);
        loop {
            let read = match document.next()? {
                None => return Ok(repomd),
                Some(XmlItem::Start(2, tag)) if tag.name() == "data" => repomd.start(&tag),
                Some(XmlItem::Start(3, tag)) => repomd.element(&tag).map(|next| field = next),
                Some(XmlItem::Text(text)) => match field.take() {
                    Some(field) => repomd.text(&field, text.trim()),
                    None => Ok(()),
                },
                Some(_) => Ok(()),
            };
            read.map_err(|problem| document.error(problem))?;
        }
    }

    /// Returns the files of a kind that state a digest.
    pub fn listed(&self) -> impl Iterator<Item = (&str, ListedFile)> {
        self.files.iter().filter_map(|file| {
            let listed = ListedFile {
                path: file.href.clone().into_bytes(),
                digest: file.digest?,
                size: file.size,
            };
            (!file.href.is_empty()).then_some((file.kind.as_str(), listed))
        })
    }

    fn start(&mut self, tag: &XmlTag<'_>) -> Result<(), String> {
        self.files.push(RepomdFile {
            kind: tag.attribute("type")?.unwrap_or_default(),
            ..RepomdFile::default()
        });
        Ok(())
    }

    fn element(&mut self, tag: &XmlTag<'_>) -> Result<Option<RepomdField>, String> {
        let Some(file) = self.files.last_mut() else {
            return Ok(None);
        };
        Ok(match tag.name() {
            "location" => {
                file.href = tag.attribute("href")?.unwrap_or_default();
                None
            }
            "checksum" => Some(RepomdField::Checksum(checksum_type(tag)?)),
            "size" => Some(RepomdField::Size),
            _ => None,
        })
    }

    fn text(&mut self, field: &RepomdField, text: &str) -> Result<(), String> {
        let Some(file) = self.files.last_mut() else {
            return Ok(());
        };
        match field {
            RepomdField::Checksum(algorithm) => {
                file.digest = Some(Digest::parse(algorithm.parse()?, text)?);
            }
            RepomdField::Size => file.size = text.parse().ok(),
        }
        Ok(())
    }
}

/// Returns the type of a `<checksum>`.
pub(crate) fn checksum_type(tag: &XmlTag<'_>) -> Result<String, String> {
    let algorithm = tag.attribute("type")?;
    algorithm.ok_or_else(|| "a checksum has no type".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(xml: &str) -> Result<Repomd, ReadError> {
        Repomd::read(Input::plain("repomd.xml", xml.as_bytes())?)
    }

    #[test]
    fn every_data_element_is_a_file() {
        let xml = format!(
            "<?xml version=\"1.0\"?><repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\
             <revision>1</revision><data type=\"primary\"><checksum type=\"sha256\">{EMPTY}</checksum>\
             <open-checksum type=\"sha256\">00</open-checksum><location href=\"repodata/a.xml.gz\"/>\
             <size>12</size><open-size>99</open-size></data><data type=\"group\">\
             <location href=\"repodata/c.xml\"></location></data><data type=\"odd\"/></repomd>"
        );
        let repomd = read(&xml).unwrap();
        let kinds: Vec<_> = repomd.files.iter().map(|file| file.kind.as_str()).collect();
        assert_eq!(kinds, ["primary", "group", "odd"]);
        assert_eq!(repomd.files[1].href, "repodata/c.xml");
        let primary = ListedFile {
            path: b"repodata/a.xml.gz".to_vec(),
            digest: Digest::of(Algorithm::Sha256, b""),
            size: Some(12),
        };
        assert_eq!(repomd.listed().collect::<Vec<_>>(), [("primary", primary)]);
    }

    #[test]
    fn what_is_damaged_is_an_error_with_its_place() {
        let error = |xml| read(xml).unwrap_err().to_string();
        assert_eq!(
            error("<repomd><data type=\"primary\">"),
            "byte 29: it ends inside an element"
        );
        assert_eq!(
            error("<repomd><data><checksum type=\"sha256\">12</checksum></data></repomd>"),
            "byte 40: '12' is no SHA-256 value"
        );
        assert_eq!(
            error("<repomd><data><checksum>12</checksum></data></repomd>"),
            "byte 24: a checksum has no type"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|data|checksum|location| href=|\"|[a-z]|type=){0,40}") {
            let _ = read(&text);
            let _ = read(&format!("<repomd><data>{text}"));
        }
    }
}
