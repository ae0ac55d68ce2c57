//! The first file of a bundle: what is in it, each with its digest.
//!
//! A text comes in and a manifest goes out, or the reverse. Pure.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{FILE_ATTRIBUTES, MAX_FILE, split_value, texts};
use crate::rootimg::record::RootImageRecord;

/// The form that is written, and the only one that is read.
const FORMAT: u32 = 1;
/// The most files that a bundle has.
const MAX_COUNT: usize = 10_000;
/// The most bytes of a root image's file.
const MAX_IMAGE: u64 = 64 << 30;

/// The name of the manifest in a bundle.
pub(super) const MANIFEST: &str = "manifest.json";
/// The name of its signature, which follows it.
pub(super) const SIGNATURE: &str = "manifest.json.asc";
/// The most bytes of a manifest.
pub(super) const MAX_MANIFEST: u64 = 16 << 20;

/// The scripts of a node, which `-p` takes along.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeScripts {
    pub(super) postscripts: Vec<String>,
    pub(super) postbootscripts: Vec<String>,
}

/// A file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    /// Its path in the bundle.
    pub(super) path: String,
    pub(super) sha256: String,
    pub(super) bytes: u64,
    /// Which attribute names it, and what that says; of a file of the root image there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) named: Option<Named>,
}

/// See [`Member::named`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) attribute: String,
    pub(super) value: String,
}

/// What a bundle says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BundleManifest {
    format: u32,
    pub(super) osimage: String,
    pub(super) attributes: Map<String, Value>,
    pub(super) installdir: String,
    pub(super) members: Vec<Member>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scripts: Option<NodeScripts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<RootImageRecord>,
}

impl BundleManifest {
    /// Begins one of an osimage.
    pub(super) fn new(osimage: &str, attributes: Map<String, Value>, installdir: &str) -> Self {
        Self {
            format: FORMAT,
            osimage: osimage.to_owned(),
            attributes,
            installdir: installdir.to_owned(),
            members: Vec::new(),
            scripts: None,
            image: None,
        }
    }

    /// Parses a manifest.
    ///
    /// # Errors
    /// When it is not one, names a file that no bundle has, or one twice, or without the root image's own digests.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(bytes).context("parsing the manifest")?;
        ensure!(
            manifest.format == FORMAT,
            "the bundle has the form {}, and this version reads {FORMAT}",
            manifest.format
        );
        ensure!(
            manifest.members.len() <= MAX_COUNT,
            "the bundle has more than {MAX_COUNT} files"
        );
        let mut paths = BTreeSet::new();
        for member in &manifest.members {
            member
                .check()
                .with_context(|| format!("the member '{}'", member.path.escape_debug()))?;
            ensure!(
                paths.insert(member.path.as_str()),
                "the manifest names {} twice",
                member.path
            );
        }
        manifest.check_named()?;
        manifest.check_image()?;
        Ok(manifest)
    }

    /// A path that an attribute says is of a file of the bundle: what is already here may be a secret of this machine.
    fn check_named(&self) -> Result<()> {
        for attribute in FILE_ATTRIBUTES {
            for value in texts(self.attributes.get(attribute)) {
                let named = self
                    .members
                    .iter()
                    .filter_map(|member| member.named.as_ref());
                let mut named = named.filter(|named| named.attribute == attribute);
                let has_path = value
                    .split(',')
                    .any(|one| split_value(one.trim()).1.starts_with('/'));
                ensure!(
                    !has_path || named.any(|named| named.value == value),
                    "the {attribute} '{}' is not in the bundle",
                    value.escape_debug()
                );
            }
        }
        Ok(())
    }

    /// The files of the root image are those that its record names, and no others.
    fn check_image(&self) -> Result<()> {
        let members = self.members.iter().filter(|member| member.named.is_none());
        let stated: BTreeSet<(String, &str, u64)> = members
            .map(|member| (member.path.clone(), member.sha256.as_str(), member.bytes))
            .collect();
        let image = self.image.as_ref();
        if let Some(image) = image {
            RootImageRecord::parse(&image.render()?).context("reading the root image's record")?;
        }
        let expected: BTreeSet<_> = image
            .iter()
            .flat_map(|image| image.files())
            .map(|file| (image_path(&file.file), file.sha256.as_str(), file.bytes))
            .collect();
        ensure!(
            stated == expected,
            "the manifest names other files than the root image has"
        );
        Ok(())
    }
}

/// Returns the path of a file of the root image.
pub(super) fn image_path(file: &str) -> String {
    format!("rootimg/{file}")
}

impl Member {
    fn check(&self) -> Result<()> {
        let plain = |part: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(known)
        };
        ensure!(
            self.path.split('/').all(plain)
                && ![MANIFEST, SIGNATURE].contains(&self.path.as_str())
                && self.path.len() < 100,
            "it is not the path of a file of a bundle"
        );
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        ensure!(
            self.sha256.len() == 64 && self.sha256.bytes().all(digit),
            "its SHA-256 is not 64 lower-case hexadecimal digits"
        );
        let most = if self.named.is_some() {
            MAX_FILE
        } else {
            MAX_IMAGE
        };
        ensure!(self.bytes <= most, "it has more than {most} bytes");
        if let Some(named) = &self.named {
            ensure!(
                FILE_ATTRIBUTES.contains(&named.attribute.as_str()),
                "the attribute '{}' names no files that go along",
                named.attribute.escape_debug()
            );
        }
        Ok(())
    }
}
