//! Where on a medium a text is that says what it is.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

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

/// The formats of files that describe a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReleaseFile {
    /// `.disk/info` (debian-cd, ubuntu-cdimage).
    DiskInfo,
    /// `README.diskdefines` (ubuntu-cdimage).
    DiskDefines,
    /// `.treeinfo` (productmd).
    Treeinfo,
    /// `.discinfo` (anaconda).
    Discinfo,
    /// `media.repo` (anaconda).
    MediaRepo,
    /// `content` (SUSE).
    SuseContent,
    /// `media.N/media` and `media.N/products` (SUSE).
    SuseMedia,
    /// `dists/*/Release` (apt).
    AptRelease,
}

impl ReleaseFile {
    /// Tells the format by the path, from the root of the medium or from `install/`, in whatever case: a medium
    /// without Rock Ridge has names in capitals.
    pub(super) fn at(path: &str) -> Option<Self> {
        let path = path.to_ascii_lowercase();
        Some(match path.strip_prefix("install/").unwrap_or(&path) {
            ".disk/info" => Self::DiskInfo,
            "readme.diskdefines" => Self::DiskDefines,
            ".treeinfo" | "treeinfo" => Self::Treeinfo,
            ".discinfo" => Self::Discinfo,
            "media.repo" => Self::MediaRepo,
            "content" => Self::SuseContent,
            name if name.starts_with("dists/") => Self::AptRelease,
            name if name.starts_with("media.") => Self::SuseMedia,
            _ => return None,
        })
    }

    /// Whether only Debian and what is built from it has such files.
    pub(super) fn is_of_debian(self) -> bool {
        matches!(self, Self::DiskInfo | Self::DiskDefines | Self::AptRelease)
    }
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
