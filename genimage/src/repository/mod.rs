//! Where packages come from: the tree, local directories and repositories of the internet.
//!
//! What comes in are the tree on disk ([`of_tree`]) and the entries of `otherpkgdir` ([`extra()`]); what goes
//! out is what a node is given. Keys are read on the management node and handed on armoured, so that a node
//! has to trust nobody else. What has no key is refused unless the definition says explicitly that it is trusted.
//! Nothing here reaches a network.

mod extra;
mod file;
pub(crate) mod key;
mod local;
pub(crate) mod packing;
mod rpm_signature;
pub(crate) mod signature;
mod tree;
mod validity;

use std::path::{Path, PathBuf};

use definitions::{Arch, Distro, InstallDir, RepositoryFormat, is_url_character};
use repodata::Compression;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::installer::DistroFamily;
use crate::problem::Problem;

pub use extra::{OsimageRepositories, ResolveContext, extra, of_image};
pub(crate) use tree::RECORD;
pub use tree::{accepted_unsigned, codename, expired, of_tree, unsigned};

/// What the repositories of a tree are called, with their part of it after a `-`.
const TREE: &str = "tree";

/// What those of the further discs of a set are called, with the number of the disc.
const DISC: &str = "disc";

/// Returns the format of a family's repositories.
pub fn format_of(family: DistroFamily) -> RepositoryFormat {
    match family {
        DistroFamily::Debian | DistroFamily::Ubuntu => RepositoryFormat::Apt,
        DistroFamily::Rh | DistroFamily::Fedora => RepositoryFormat::Dnf,
        DistroFamily::Suse => RepositoryFormat::Zypper,
    }
}

/// A repository. Templates see its fields, and more: `file_name` and `file`, the name and the text of the file that
/// tells a node of it ([`Repository::file`]), `index_key_file`, which that file names, and `fingerprints` of the key of
/// its index, where zypper reads it: the installers of SUSE know keys by them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// A short name of letters, digits, `-` and `_`: `tree`, `extra1`.
    pub name: String,
    /// Whose form it has.
    pub form: RepositoryFormat,
    /// What a node reaches it by.
    pub uri: String,
    /// Where it lies on the management node, where it does: only then can its packages be looked up.
    pub directory: Option<String>,
    /// The suite of an apt repository: `bookworm`, or a path that ends in `/`.
    pub suite: Option<String>,
    /// The components of an apt repository: `main`.
    pub components: Vec<String>,
    /// The armoured OpenPGP key that signs it, where the definition names one. Without one, the keys that
    /// the distribution brings count.
    pub key: Option<String>,
    /// Where a node reaches the key as a file.
    pub key_url: Option<String>,
    /// The armoured key that the site signed the index with, where packages are signed by another: that of rpm trees.
    pub index_key: Option<String>,
    /// Whether no signature is asked for: the definition says so explicitly.
    pub trusted: bool,
    /// The architectures of an apt repository, where the definition limits them.
    pub architectures: Vec<String>,
}

impl Repository {
    /// Whether it is the tree, or a part of it.
    pub fn is_tree(&self) -> bool {
        self.name == TREE || self.name.starts_with("tree-")
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Repository", 15)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("form", &self.form)?;
        fields.serialize_field("uri", &self.uri)?;
        serialize_optional(&mut fields, "directory", &self.directory)?;
        serialize_optional(&mut fields, "suite", &self.suite)?;
        fields.serialize_field("components", &self.components)?;
        serialize_optional(&mut fields, "key", &self.key)?;
        serialize_optional(&mut fields, "key_url", &self.key_url)?;
        serialize_optional(&mut fields, "index_key", &self.index_key)?;
        fields.serialize_field("index_key_file", Self::INDEX_KEY)?;
        fields.serialize_field("trusted", &self.trusted)?;
        fields.serialize_field("architectures", &self.architectures)?;
        let zypper = (self.index_key.as_deref().or(self.key.as_deref()))
            .filter(|_| self.form == RepositoryFormat::Zypper);
        let fingerprints = zypper.map(key::fingerprints);
        fields.serialize_field("fingerprints", &fingerprints.unwrap_or_default())?;
        fields.serialize_field("file_name", &self.file_name())?;
        fields.serialize_field("file", &self.file())?;
        fields.end()
    }
}

/// Leaves out what is absent: a template would write it as nothing, and say nothing.
fn serialize_optional<S: SerializeStruct>(
    fields: &mut S,
    name: &'static str,
    value: &Option<String>,
) -> Result<(), S::Error> {
    match value {
        Some(value) => fields.serialize_field(name, value),
        None => fields.skip_field(name),
    }
}

/// What a repository is served from and for.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// The install directory on the management node.
    pub installdir: &'a InstallDir,
    /// Where nodes reach it: `http://10.1.0.1/install`.
    pub url: &'a str,
    /// The release.
    pub distro: &'a Distro,
    /// The architecture.
    pub arch: Arch,
    /// The armoured key that the site signs trees with, where it has one.
    pub tree_key: Option<&'a str>,
}

impl Served<'_> {
    /// Returns where nodes reach a path of the management node, if it lies below the install directory.
    ///
    /// # Errors
    /// A path that is not served, or that has characters not allowed in a URL.
    fn url(&self, path: &Path) -> Result<String, String> {
        let relative = path.strip_prefix(self.installdir.path()).map_err(|_| {
            format!(
                "{} is not below {}, and so nodes cannot fetch it: move it there",
                path.display(),
                self.installdir.path().display()
            )
        })?;
        let relative = relative
            .to_str()
            .filter(|text| text.chars().all(is_url_character));
        let relative = relative.ok_or_else(|| {
            format!(
                "{} contains characters that are not allowed in a URL: use letters, digits and . _ + ~ - /",
                path.display()
            )
        })?;
        let url = self.url.trim_end_matches('/');
        Ok(if relative.is_empty() {
            url.to_owned()
        } else {
            format!("{url}/{relative}")
        })
    }
}

/// Whether a directory has an index of this name, packed or not.
fn has_index(directory: &Path, name: &str) -> bool {
    let packed = |one: &Compression| is_file(directory, &format!("{name}{}", one.suffix()));
    Compression::ALL.iter().any(packed)
}

/// A file of a directory, if it is one.
fn is_file(directory: &Path, name: &str) -> bool {
    directory.join(name).is_file()
}

/// Lists the directories below one, in the order of their names; links are left out.
///
/// # Errors
/// A directory that cannot be read.
fn directories(directory: &Path) -> Result<Vec<PathBuf>, Problem> {
    let cannot = |err: std::io::Error| {
        Problem::new(format!("{}: cannot be read: {err}", directory.display()))
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if entry.file_type().map_err(cannot)?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
