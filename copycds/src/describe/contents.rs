//! What there is on a medium to install with and from.

use crate::media::{EntryKind, Medium};
use crate::recognise::{MediumIdentity, MediumInstaller};

/// What a medium holds that an osimage needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediumContents {
    /// Whether its installer can run unattended.
    pub installer: Option<MediumInstaller>,
    /// How many packages are on it.
    pub packages: usize,
    /// Whether those are known to be only a part of what an installation needs.
    pub partial: bool,
}

impl MediumContents {
    /// Looks at the names of a medium that was recognised.
    pub fn of(medium: &Medium, identity: &MediumIdentity) -> Self {
        let is_file =
            |entry: &&crate::media::MediumEntry| matches!(entry.kind, EntryKind::File { .. });
        let is_package = |path: &[u8]| path.ends_with(b".rpm") || path.ends_with(b".deb");
        let files = medium.entries().iter().filter(is_file);
        let packages = files
            .filter(|entry| is_package(entry.path.as_bytes()))
            .count();
        let netinst = identity
            .variant
            .as_deref()
            .is_some_and(|variant| variant.to_ascii_uppercase().contains("NETINST"));
        let session = matches!(
            identity.installer,
            Some(
                MediumInstaller::Subiquity
                    | MediumInstaller::Casper
                    | MediumInstaller::DebianLive
                    | MediumInstaller::LiveOs
            )
        );
        Self {
            installer: identity.installer,
            packages,
            partial: netinst || session,
        }
    }

    /// Whether the medium's own installer can run unattended.
    pub fn installs(&self) -> bool {
        use MediumInstaller::{Agama, Anaconda, DebianInstaller, Subiquity, Yast};
        matches!(
            self.installer,
            Some(DebianInstaller | Subiquity | Anaconda | Yast | Agama)
        )
    }

    /// Says what the medium cannot serve, and what to do about it.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        match self.installer {
            _ if self.installs() => {}
            Some(MediumInstaller::SelfInstall) => remarks.push(
                "it is a disk image that writes itself to a disk: no osimage installs from it".to_owned(),
            ),
            Some(_) => remarks.push(
                "it is a live session, whose installer cannot run unattended: no osimage installs from \
                 it"
                .to_owned(),
            ),
            None => remarks.push(
                "it holds no installer: import the disc of the set that does for osimages that install"
                    .to_owned(),
            ),
        }
        if self.packages == 0 {
            remarks.push(
                "it holds no packages: no root image can be built from it, and what it installs comes \
                 from a mirror that otherpkgdir or the template names"
                    .to_owned(),
            );
        } else if self.partial {
            remarks.push(format!(
                "its {} packages are a part of the release: the rest comes from a mirror that \
                 otherpkgdir or the template names",
                self.packages
            ));
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_medium_cannot_serve_is_noted() {
        let remarks = |installer, packages, partial| {
            let contents = MediumContents {
                installer,
                packages,
                partial,
            };
            let remarks = contents.remarks();
            remarks
                .iter()
                .map(|text| text.split(':').next().unwrap_or("").to_owned())
                .collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(remarks(Some(MediumInstaller::Anaconda), 9, false), none);
        assert_eq!(
            remarks(Some(MediumInstaller::Anaconda), 0, false),
            ["it holds no packages"]
        );
        assert_eq!(
            remarks(Some(MediumInstaller::Subiquity), 9, true),
            ["its 9 packages are a part of the release"]
        );
        assert_eq!(remarks(None, 9, false), ["it holds no installer"]);
        assert_eq!(
            remarks(Some(MediumInstaller::DebianLive), 0, true),
            [
                "it is a live session, whose installer cannot run unattended",
                "it holds no packages"
            ]
        );
        assert_eq!(
            remarks(Some(MediumInstaller::SelfInstall), 1, false),
            ["it is a disk image that writes itself to a disk"]
        );
    }
}
