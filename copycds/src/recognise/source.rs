//! Where on a medium a text is that says what it is.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::release_files::ReleaseFile;

/// Where a text is on a medium. Prints as a user is shown it: `.treeinfo`, `volume id`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum FindingSource {
    /// The volume identifier of the volume descriptor.
    VolumeId,
    /// Its application identifier.
    ApplicationId,
    /// Its publisher identifier.
    PublisherId,
    /// Its system identifier.
    SystemId,
    /// The path of a file or a directory.
    #[default]
    Name,
    /// The file name of a package.
    Package,
    /// The file at this path.
    File(String),
}

impl FindingSource {
    /// Returns it as a user is shown it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::VolumeId => "volume id",
            Self::ApplicationId => "application id",
            Self::PublisherId => "publisher id",
            Self::SystemId => "system id",
            Self::Name => "the name",
            Self::Package => "the package",
            Self::File(path) => path,
        }
    }

    /// Returns the format of the file that it is, if it is one that describes a release.
    pub(super) fn file(&self) -> Option<ReleaseFile> {
        match self {
            Self::File(path) => ReleaseFile::at(path),
            _ => None,
        }
    }

    /// Whether it is a label that whoever makes an image may choose.
    pub(super) fn is_label(&self) -> bool {
        matches!(self, Self::VolumeId | Self::ApplicationId)
    }
}

impl fmt::Display for FindingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// In the order of what a user is shown.
impl Ord for FindingSource {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for FindingSource {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<FindingSource> for String {
    fn from(source: FindingSource) -> Self {
        source.as_str().to_owned()
    }
}

impl From<String> for FindingSource {
    fn from(text: String) -> Self {
        let named = [
            Self::VolumeId,
            Self::ApplicationId,
            Self::PublisherId,
            Self::SystemId,
            Self::Name,
            Self::Package,
        ];
        let known = named.into_iter().find(|source| source.as_str() == text);
        known.unwrap_or(Self::File(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_read_back_from_what_it_prints() {
        for source in [
            FindingSource::VolumeId,
            FindingSource::ApplicationId,
            FindingSource::PublisherId,
            FindingSource::SystemId,
            FindingSource::Name,
            FindingSource::Package,
            FindingSource::File("dists/bookworm/Release".to_owned()),
        ] {
            assert_eq!(FindingSource::from(String::from(source.clone())), source);
        }
    }
}
