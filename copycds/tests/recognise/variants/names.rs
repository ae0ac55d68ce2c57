//! What the names on a medium say: an installer, trees in directories, packages.

use copycds::recognise::{ROOT, RequestedRelease, identify};
use definitions::Arch;

use super::{RULES, answer, recognise, volume, with_names};

#[test]
fn a_label_alone_names_no_disc_without_an_installer_or_a_repository() {
    let rows: [(&[&str], &str); 14] = [
        (&[ROOT], "not-an-install-medium"),
        (
            &[ROOT, "DCIM", "DCIM/IMG_0001.JPG"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "disk.img.gz", "home.tar.xz"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "boot/vmlinuz-5.14.0", "boot/initrd.img-5.14.0"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "rpms/acme-1.0-1.noarch.rpm"],
            "not-an-install-medium",
        ),
        (&[ROOT, "linux/kernel/notes.txt"], "not-an-install-medium"),
        (
            &[ROOT, "images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"],
            "rhels9.4 x86_64",
        ),
        (&[ROOT, "images/install.img"], "rhels9.4 x86_64"),
        (
            &[
                ROOT,
                "BaseOS/repodata/repomd.xml",
                "BaseOS/Packages/b/bash-5.1.8-9.el9.x86_64.rpm",
            ],
            "rhels9.4 x86_64",
        ),
        (
            &[ROOT, "IMAGES/PXEBOOT/VMLINUZ", "IMAGES/PXEBOOT/INITRD.IMG"],
            "rhels9.4 x86_64",
        ),
        (
            &[ROOT, "backup/vmlinuz", "backup/initrd.img"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "install.amd/vmlinuz", "install.amd/initrd.gz"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "repodata", "repodata/repomd.xml"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "LiveOS", "isolinux", "ppc"],
            "not-an-install-medium",
        ),
    ];
    for (names, expected) in rows {
        let medium = with_names(volume("RHEL-9-4-0-BaseOS-x86_64"), names);
        assert_eq!(answer(&medium), expected, "{names:?}");
    }
    let photos = with_names(volume("RHEL-9-4-0-BaseOS-x86_64"), &[ROOT, "DCIM/1.JPG"]);
    assert_eq!(
        recognise(&photos).unwrap_err().to_string(),
        "this calls itself rhels9.4 and holds nothing to install: no installer and no repository of \
         packages among its 1 names: volume id says 'RHEL-9-4-0-BaseOS-x86_64': rhels 9.4 x86_64"
    );
    let packages = with_names(
        volume("RHEL-9-4-0-BaseOS-x86_64"),
        &[ROOT, "a-1-1.noarch.rpm"],
    );
    let text = recognise(&packages).unwrap_err().to_string();
    assert!(
        text.ends_with("; to import its packages all the same, name it with -n rhels9.4"),
        "{text}"
    );
}

#[test]
fn a_refusal_names_the_trees_in_directories() {
    let medium = |names: &[&str]| with_names(volume("MYLAB"), names);
    let text = |names: &[&str]| recognise(&medium(names)).unwrap_err().to_string();
    let unknown = "no rule knows this medium: volume id says 'MYLAB'; to import it all the same, name it with -n (and \
                   -a), or add a rule to media.d";
    assert_eq!(text(&[ROOT, "BaseOS", "a/b/.treeinfo"]), unknown);
    assert_eq!(
        text(&[ROOT, "BaseOS/.treeinfo"]),
        format!(
            "{unknown}; there is a tree in a directory of it (BaseOS/.treeinfo): to import a tree alone, give copycds its \
             directory, here BaseOS of the mounted medium"
        )
    );
    assert_eq!(
        text(&[
            ROOT,
            "a/.treeinfo",
            "b/.TREEINFO",
            "c/treeinfo",
            "d/.treeinfo",
            "e/.treeinfo"
        ]),
        format!(
            "{unknown}; there is a tree in a directory of it (a/.treeinfo, b/.TREEINFO, c/treeinfo and 2 more): to import \
             a tree alone, give copycds its directory, here a of the mounted medium"
        )
    );
}

#[test]
fn a_release_package_of_another_product_counts_against_the_base_release() {
    let redhat = "Packages/r/redhat-release-9.4-0.5.el9.x86_64.rpm";
    let centos = "Packages/centos-release-7-9.2009.0.el7.centos.x86_64.rpm";
    let rocky = "Packages/r/rocky-release-9.4-1.2.el9.noarch.rpm";
    let rhel = "RHEL-9-4-0-BaseOS-x86_64";
    let modules =
        "Module-Basesystem/x86_64/sle-module-basesystem-release-15.4-150400.58.2.x86_64.rpm";
    for (label, own, rows) in [
        (
            rhel,
            redhat,
            &[
                ("", "rhels9.4 x86_64"),
                ("Packages/a/acme-release-9.4-1.el9.noarch.rpm", "conflict"),
                ("Packages/r/release-acme-9.4-1.el9.noarch.rpm", "conflict"),
                (
                    "Packages/a/acme-release-server-9.4-1.el9.x86_64.rpm",
                    "conflict",
                ),
            ][..],
        ),
        (
            "MYLAB",
            redhat,
            &[("acme-os-release-1-1.x86_64.rpm", "unknown")],
        ),
        (
            "MYLAB",
            centos,
            &[
                ("Packages/acme-release-7-1.noarch.rpm", "conflict"),
                ("Packages/release-acme-7-1.noarch.rpm", "conflict"),
                ("Packages/acme_release-7-1.noarch.rpm", "conflict"),
                ("PACKAGES/ACME-RELEASE-7-1.NOARCH.RPM", "conflict"),
                ("Packages/epel-release-7-14.noarch.rpm", "centos7.9 x86_64"),
                ("Packages/lsb_release-3.3-1.noarch.rpm", "centos7.9 x86_64"),
                (
                    "Packages/centos-release-scl-rh-2-3.el7.centos.noarch.rpm \
                     Packages/maven-release-2.2.1-7.el7.noarch.rpm \
                     Packages/maven-release-plugin-2.2.1-7.el7.noarch.rpm",
                    "centos7.9 x86_64",
                ),
            ],
        ),
        (
            "MYLAB",
            rocky,
            &[
                ("Packages/a/Acme_HCI-release-2.1-1.noarch.rpm", "conflict"),
                (
                    "Packages/e/elrepo-release-9.4-1.el9.noarch.rpm \
                     Packages/r/rpmfusion-free-release-9-1.noarch.rpm \
                     Packages/t/texlive-pressrelease-2021.189-1.noarch.rpm \
                     Packages/a/acme-release-notes-9.4-1.noarch.rpm",
                    "rocky9.4 -",
                ),
            ],
        ),
        (
            "SLE-15-SP4-Full-x86_64",
            modules,
            &[(
                "Module-Basesystem/noarch/release-notes-sles-15.4.20220610-150400.1.2.noarch.rpm",
                "sle15.4 x86_64",
            )],
        ),
    ] {
        for (others, expected) in rows {
            let repository = [own, "repodata/repomd.xml"];
            let names: Vec<_> = others.split_whitespace().chain(repository).collect();
            let medium = with_names(volume(label), &names);
            assert_eq!(answer(&medium), *expected, "{label} {names:?}");
        }
    }
    let medium = with_names(
        volume(rhel),
        &[redhat, "Packages/a/acme-release-9.4-1.el9.noarch.rpm"],
    );
    assert_eq!(
        recognise(&medium).unwrap_err().to_string(),
        "the medium contradicts itself about the distribution: volume id says 'RHEL-9-4-0-BaseOS-x86_64': rhels 9.4 \
         x86_64, but the package says 'acme-release-9.4-1.el9.noarch.rpm': not a release that a rule knows; the package \
         says 'redhat-release-9.4-0.5.el9.x86_64.rpm': a hint of rhels 9.4 x86_64; to import it all the same, name it \
         with -n"
    );
}

#[test]
fn packages_for_other_machines_count_against_the_architecture_of_a_label() {
    let rocky = |package: &str| {
        with_names(
            volume("Rocky-9-4-x86_64-dvd"),
            &[
                ROOT,
                "images/pxeboot/vmlinuz",
                "Packages/rocky-release-9.4-1.7.el9.noarch.rpm",
                "Packages/bash-5.1.8-9.el9.noarch.rpm",
                package,
            ],
        )
    };
    for (package, expected) in [
        ("Packages/glibc-2.34-100.el9.x86_64.rpm", "rocky9.4 x86_64"),
        ("Packages/glibc-2.34-100.el9.aarch64.rpm", "conflict"),
        ("Packages/glibc-2.34-100.el9.i686.rpm", "conflict"),
        ("Packages/glibc-2.34-100.el9.x86_64_v2.rpm", "other-arch"),
        ("Packages/glibc-2.34-100.el9.src.rpm", "rocky9.4 x86_64"),
    ] {
        assert_eq!(answer(&rocky(package)), expected, "{package}");
    }
    assert_eq!(
        recognise(&rocky("Packages/glibc-2.34-100.el9.aarch64.rpm"))
            .unwrap_err()
            .to_string(),
        "the medium contradicts itself about the architecture: volume id says 'Rocky-9-4-x86_64-dvd': rocky 9.4 \
         x86_64, but the package says 'glibc-2.34-100.el9.aarch64.rpm': a hint of aarch64; the package says \
         'rocky-release-9.4-1.7.el9.noarch.rpm': rocky 9.4; say which with -a aarch64 or -a x86_64"
    );
    for (package, name, arch, expected) in [
        ("aarch64", None, Arch::X86_64, Some("x86_64")),
        ("aarch64", None, Arch::Aarch64, Some("aarch64")),
        ("aarch64", None, Arch::S390x, None),
        ("x86_64_v2", None, Arch::X86_64, None),
        ("x86_64_v2", Some("rocky9.4"), Arch::X86_64, Some("x86_64")),
    ] {
        let requested = RequestedRelease {
            name: name.map(|name: &str| name.parse().unwrap()),
            arch: Some(arch),
        };
        let medium = rocky(&format!("Packages/glibc-2.34-100.el9.{package}.rpm"));
        let found = identify(&medium, &RULES, &requested).ok();
        let found = found.map(|identity| identity.arch.map_or("-", Arch::name));
        assert_eq!(found, expected, "{package} {name:?} {arch}");
    }
    let hint = with_names(
        volume("MYLAB"),
        &[
            ROOT,
            "install.amd/vmlinuz",
            "dists/bookworm/Release",
            "pool/main/b/bash/bash_5.2_arm64.deb",
        ],
    );
    assert_eq!(answer(&hint), "debian12 -");
}

#[test]
fn names_of_packages_alone_are_no_medium_without_their_repository() {
    let release = "BaseOS/Packages/r/rocky-release-9.4-1.7.el9.noarch.rpm";
    let rows: [(&[&str], &str); 5] = [
        (&[ROOT, release, "photo.jpg"], "not-an-install-medium"),
        (
            &[
                ROOT,
                release,
                "BaseOS/Packages/b/bash-5.1.8-9.el9.x86_64.rpm",
            ],
            "not-an-install-medium",
        ),
        (&[ROOT, release, "BaseOS/repodata/repomd.xml"], "rocky9.4 -"),
        (&[ROOT, release, "images/pxeboot/vmlinuz"], "rocky9.4 -"),
        // a copy of a tree in a directory
        (
            &[
                ROOT,
                "server/.treeinfo",
                "server/rocky-release-9.4-1.7.el9.noarch.rpm",
                "server/repodata/repomd.xml",
            ],
            "not-an-install-medium",
        ),
    ];
    for (names, expected) in rows {
        let medium = with_names(volume("BACKUP"), names);
        assert_eq!(answer(&medium), expected, "{names:?}");
    }
}

#[test]
fn a_label_of_another_machine_than_the_boot_loaders_is_refused() {
    let kernel = "images/pxeboot/vmlinuz";
    for (label, loaders, expected) in [
        (
            "Rocky-9-4-x86_64-dvd",
            "EFI/BOOT/BOOTX64.EFI",
            "rocky9.4 x86_64",
        ),
        ("Rocky-9-4-x86_64-dvd", "EFI/BOOT/BOOTAA64.EFI", "conflict"),
        ("Rocky-9-4-aarch64-dvd", "EFI/BOOT/BOOTX64.EFI", "conflict"),
        (
            "Rocky-9-4-x86_64-dvd",
            "EFI/BOOT/BOOTAA64.EFI EFI/BOOT/BOOTX64.EFI",
            "rocky9.4 x86_64",
        ),
        ("CentOS-6.10-i386", "EFI/BOOT/BOOTX64.EFI", "centos6.10 x86"),
        ("CentOS-7-ppc64", "boot/ppc64le/linux", "centos7 ppc64"),
    ] {
        let names: Vec<&str> = [ROOT, kernel]
            .into_iter()
            .chain(loaders.split(' '))
            .collect();
        let medium = with_names(volume(label), &names);
        assert_eq!(answer(&medium), expected, "{label} {loaders}");
    }
}
