//! The osimages of a tree. Pure.

use std::path::Path;

use definitions::{Arch, Distro, InstallDir, OsImage, ProvMethod};

use super::MediumContents;

/// What nodes are for; each profile has its own osimages.
const PROFILES: [&str; 2] = ["compute", "dockerhost"];

/// Where a tree is and what it is a tree of.
#[derive(Debug, Clone, Copy)]
pub struct TreeLocation<'a> {
    /// The release.
    pub distro: &'a Distro,
    /// The architecture.
    pub arch: Arch,
    /// The tree itself.
    pub tree: &'a Path,
    /// The install directory.
    pub installdir: &'a InstallDir,
}

/// Returns the osimages that the tree can serve: those that install where its installer can run
/// unattended, those that boot over the network where it has packages to build a root image from.
pub fn images(location: TreeLocation<'_>, contents: &MediumContents) -> Vec<OsImage> {
    let methods = [
        (ProvMethod::Install, contents.installs()),
        (ProvMethod::Netboot, contents.packages > 0),
    ];
    let methods = methods.into_iter().filter(|(_, served)| *served);
    methods
        .flat_map(|(method, _)| PROFILES.map(|profile| image(location, method, profile)))
        .collect()
}

fn image(location: TreeLocation<'_>, method: ProvMethod, profile: &str) -> OsImage {
    OsImage {
        // The tree may be anywhere (-p).
        pkgdir: vec![location.tree.to_string_lossy().into_owned()],
        ..OsImage::of_tree(
            location.distro,
            location.arch,
            method,
            profile,
            location.installdir,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognise::MediumInstaller;

    fn names(installer: Option<MediumInstaller>, packages: usize) -> Vec<String> {
        let distro = "rocky9.4".parse().unwrap();
        let installdir = InstallDir::new("/i");
        let location = TreeLocation {
            distro: &distro,
            arch: Arch::X86_64,
            tree: Path::new("/i/t"),
            installdir: &installdir,
        };
        let images = images(
            location,
            &MediumContents {
                installer,
                packages,
                partial: false,
            },
        );
        images.into_iter().map(|image| image.name).collect()
    }

    #[test]
    fn a_tree_serves_what_it_holds() {
        let install = [
            "rocky9.4-x86_64-install-compute",
            "rocky9.4-x86_64-install-dockerhost",
        ];
        let netboot = [
            "rocky9.4-x86_64-netboot-compute",
            "rocky9.4-x86_64-netboot-dockerhost",
        ];
        assert_eq!(
            names(Some(MediumInstaller::Anaconda), 9),
            [install, netboot].concat()
        );
        assert_eq!(names(Some(MediumInstaller::Anaconda), 0), install);
        assert_eq!(names(None, 9), netboot);
        assert!(names(Some(MediumInstaller::LiveOs), 0).is_empty());
    }

    #[test]
    fn an_osimage_says_where_everything_of_its_release_lies() {
        let distro = "rocky9.4".parse().unwrap();
        let installdir = InstallDir::new("/i");
        let location = TreeLocation {
            distro: &distro,
            arch: Arch::X86_64,
            tree: Path::new("/t"),
            installdir: &installdir,
        };
        let expected = OsImage {
            name: "rocky9.4-x86_64-netboot-dockerhost".into(),
            imagetype: Some("linux".into()),
            provmethod: Some(ProvMethod::Netboot),
            profile: Some("dockerhost".into()),
            osname: Some("Linux".into()),
            osvers: Some(distro.clone()),
            osarch: Some(Arch::X86_64),
            osdistroname: Some("rocky9.4-x86_64".into()),
            pkgdir: vec!["/t".into()],
            otherpkgdir: vec!["/i/post/otherpkgs/rocky9.4/x86_64".into()],
            rootimgdir: Some("/i/netboot/rocky9.4/x86_64/dockerhost".into()),
            ..OsImage::default()
        };
        assert_eq!(image(location, ProvMethod::Netboot, "dockerhost"), expected);
    }
}
