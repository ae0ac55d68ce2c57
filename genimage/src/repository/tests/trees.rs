//! Trees, and all repositories of an osimage.

use std::fs;

use definitions::{InstallDir, OsImage};

use super::{KEY, Scene};
use crate::problem::Problem;
use crate::repository::signature::tests::signed_by;
use crate::repository::{
    Repository, Served, accepted_unsigned, codename, key, of_image, of_tree, unsigned,
};

#[test]
fn a_tree_says_itself_what_repositories_it_has() {
    for (distro, files, expected) in [
        (
            "debian12.9.0",
            &[
                "t/dists/bookworm/Release",
                "t/dists/bookworm/InRelease",
                "t/dists/bookworm/main/binary-amd64/Packages.gz",
                "t/dists/bookworm/contrib/binary-amd64/Packages",
                "t/dists/bookworm/non-free/binary-arm64/Packages",
                "t/dists/bookworm/main/debian-installer/binary-amd64/Packages",
            ][..],
            &["tree: http://10.1.0.1/install/t bookworm main contrib"][..],
        ),
        (
            "ubuntu14.04.6",
            &[
                "t/dists/trusty/Release",
                "t/dists/trusty/Release.gpg",
                "t/dists/trusty/main/binary-amd64/Packages.gz",
                "t/dists/trusty/restricted/binary-amd64/Packages.gz",
                "t/dists/trusty-updates/Release",
                "t/dists/trusty-updates/InRelease",
                "t/dists/trusty-updates/main/binary-amd64/Packages.xz",
            ],
            &[
                "tree: http://10.1.0.1/install/t trusty main restricted",
                "tree-trusty-updates: http://10.1.0.1/install/t trusty-updates main",
            ],
        ),
        (
            "rocky8.9",
            &[
                "t/AppStream/repodata/repomd.xml",
                "t/BaseOS/repodata/repomd.xml",
                "t/images/pxeboot/vmlinuz",
            ],
            &[
                "tree-BaseOS: http://10.1.0.1/install/t/BaseOS",
                "tree-AppStream: http://10.1.0.1/install/t/AppStream",
            ],
        ),
        (
            "centos7.9",
            &["t/repodata/repomd.xml", "t/Packages/a.rpm"],
            &["tree: http://10.1.0.1/install/t"],
        ),
        (
            "sle15.5",
            &[
                "t/Product-SLES/repodata/repomd.xml",
                "t/Product-SLED/repodata/repomd.xml",
                "t/Module-SAP-Applications/repodata/repomd.xml",
                "t/Module-Containers/repodata/repomd.xml",
                "t/Module-Basesystem/repodata/repomd.xml",
            ],
            &[
                "tree-Module-Basesystem: http://10.1.0.1/install/t/Module-Basesystem",
                "tree-Module-Containers: http://10.1.0.1/install/t/Module-Containers",
                "tree-Product-SLES: http://10.1.0.1/install/t/Product-SLES",
            ],
        ),
        (
            "sle16.0",
            &["t/install/repodata/repomd.xml"],
            &["tree-install: http://10.1.0.1/install/t/install"],
        ),
        (
            "sles12.5",
            &["t/content", "t/suse/x86_64/a.rpm"],
            &["tree: http://10.1.0.1/install/t"],
        ),
    ] {
        let scene = Scene::new(distro, files);
        assert_eq!(scene.tree("t").unwrap(), expected, "{distro}");
    }
}

#[test]
fn a_tree_without_a_signature_is_accepted_only_if_it_is_called_trusted() {
    let files = [
        "t/dists/trixie/Release",
        "t/dists/trixie/main/binary-amd64/Packages",
    ];
    let scene = Scene::new("debian13", &files);
    assert_eq!(
        scene.tree("t").unwrap_err(),
        "DIR/t/dists/trixie has no InRelease and no Release.gpg, and nodes would refuse it: import the medium with \
         copycds, which verifies it, or put '[trusted=yes]' in front of it in pkgdir"
    );
    let tree = scene.directory.path().join("t");
    let part = |called| of_tree(&tree, &scene.served(), called).unwrap().remove(0);
    let note = |called| unsigned(&part(called)).map(|note| note.to_string());
    assert!(part(true).trusted);
    // That copycds verified it once is of no use to a node.
    fs::create_dir(tree.join(".slipway")).unwrap();
    fs::write(tree.join(".slipway/tree.toml"), "").unwrap();
    assert!(!part(false).trusted);
    assert_eq!(
        note(false)
            .unwrap()
            .replace(scene.directory.path().to_str().unwrap(), "DIR"),
        "DIR/t/dists/trixie has no InRelease and no Release.gpg, so that nodes cannot tell its packages from \
         anybody else's on their network, and their installer will refuse them: have the site sign it (slipway-trust \
         init, then slipway-trust sign-tree), or put '[trusted=yes]' in front of the tree in pkgdir to have nodes take \
         them without a signature, now and later"
    );
    assert_eq!(note(true), None);
    fs::write(tree.join("dists/trixie/Release.gpg"), "").unwrap();
    assert_eq!(note(false), None);
    assert!(!part(false).trusted);
    let signed = Scene::new("rocky9.4", &["t/BaseOS/repodata/repomd.xml"]);
    let tree = signed.directory.path().join("t");
    let found = of_tree(&tree, &signed.served(), false).unwrap();
    assert!(!found[0].trusted);
    let found = of_tree(&tree, &signed.served(), true).unwrap();
    assert!(found[0].trusted);
}

#[test]
fn a_tree_that_the_site_signed_is_reached_by_the_site_s_signatures_with_its_key() {
    let site = key::fingerprints(KEY).remove(0);
    let parts = |distro: &str, signer: &str, trusted: bool| {
        let mut files = Vec::new();
        for disc in ["t/", "t/.slipway/discs/2/"] {
            for name in ["Release", "Release.gpg", "main/binary-amd64/Packages"] {
                files.push(format!("{disc}dists/trixie/{name}"));
            }
        }
        files.push("t/.slipway/tree.toml".to_owned());
        let scene = Scene::new(
            distro,
            &files.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        let tree = scene.directory.path().join("t");
        for disc in ["", ".slipway/discs/2"] {
            let suite = tree
                .join(InstallDir::SIGNED)
                .join(disc)
                .join("dists/trixie");
            fs::create_dir_all(&suite).unwrap();
            fs::write(suite.join("InRelease"), signed_by(signer)).unwrap();
        }
        let served = Served {
            tree_key: Some(KEY),
            ..scene.served()
        };
        let found = of_tree(&tree, &served, trusted).unwrap();
        let line = |part: &Repository| {
            let directory = scene.hide(part.directory.as_deref().unwrap());
            let key = part.key.as_deref().map_or("-", |key| {
                assert_eq!(key::fingerprints(key), [site.as_str()]);
                "site"
            });
            let uri = part.uri.trim_start_matches("http://10.1.0.1/install/");
            let note = accepted_unsigned(part).map(|note| scene.hide(&note.to_string()));
            let note = note.unwrap_or_default();
            format!("{} {uri} {directory} {key} {note}", part.name)
                .trim_end()
                .to_owned()
        };
        found.iter().map(line).collect::<Vec<_>>()
    };
    let own = [
        "tree t DIR/t -",
        "disc2 t/.slipway/discs/2 DIR/t/.slipway/discs/2 -",
    ];
    assert_eq!(
        parts("debian13", &site, false),
        [
            "tree t/.slipway/signed DIR/t/.slipway/signed site",
            "disc2 t/.slipway/signed/.slipway/discs/2 DIR/t/.slipway/signed/.slipway/discs/2 site",
        ]
    );
    // Another key than the site has now signs nothing; the installers of Ubuntu know who signs its media.
    assert_eq!(parts("debian13", "0123456789ABCDEF", false), own);
    assert_eq!(parts("ubuntu24.04", &site, false), own);
    assert_eq!(
        parts("debian13", &site, true),
        [
            "tree t DIR/t - pkgdir has '[trusted=yes]' in front of its tree: its nodes take as packages of DIR/t what \
             anybody on their network hands out, now and later; leave it out where the site signs the tree \
             (slipway-trust sign-tree)",
            own[1],
        ]
    );
}

#[test]
fn an_index_of_rpms_that_the_site_signed_is_verified_by_the_site_s_key() {
    let site = key::fingerprints(KEY).remove(0);
    let repositories = |distro: &str, own: &str, signer: &str, trusted: bool| {
        let files = [
            "t/BaseOS/repodata/repomd.xml",
            "t/AppStream/repodata/repomd.xml",
            "t/.slipway/discs/2/repodata/repomd.xml",
            own,
        ];
        let scene = Scene::new(distro, &files);
        let tree = scene.directory.path().join("t");
        for part in ["BaseOS", "AppStream", ".slipway/discs/2"] {
            let metadata = tree.join(InstallDir::SIGNED).join(part).join("repodata");
            fs::create_dir_all(&metadata).unwrap();
            fs::write(metadata.join("repomd.xml.asc"), signed_by(signer)).unwrap();
        }
        let served = Served {
            tree_key: Some(KEY),
            ..scene.served()
        };
        let found = of_tree(&tree, &served, trusted).unwrap();
        let line = |part: &Repository| {
            let directory = part.directory.as_deref().unwrap();
            let below = directory.strip_prefix(&tree.display().to_string()).unwrap();
            assert_eq!(part.uri, format!("http://10.1.0.1/install/t{below}"));
            let checked: Vec<_> = part
                .file()
                .lines()
                .filter(|line| line.contains("gpg"))
                .map(str::to_owned)
                .collect();
            format!("{}{below} {}", part.name, checked.join(" "))
        };
        found.iter().map(line).collect::<Vec<_>>()
    };
    let none = "t/images/boot.iso";
    let site_key = "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-slipway-trees";
    let rocky_key = "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9";
    let both = format!("gpgcheck=1 repo_gpgcheck=1 gpgkey={rocky_key} {site_key}");
    // Whatever else the medium has: nodes have no key of it.
    for own in [none, "t/BaseOS/repodata/repomd.xml.asc"] {
        assert_eq!(
            repositories("rocky9.6", own, &site, false),
            [
                format!("tree-BaseOS/.slipway/signed/BaseOS {both}"),
                format!("tree-AppStream/.slipway/signed/AppStream {both}"),
                format!("disc2/.slipway/signed/.slipway/discs/2 {both}"),
            ]
        );
    }
    let usual = format!("gpgcheck=1 gpgkey={rocky_key}");
    assert_eq!(
        repositories("rocky9.6", none, "0123456789ABCDEF", false)[0],
        format!("tree-BaseOS/BaseOS {usual}"),
        "another key than the site has now signs nothing"
    );
    assert_eq!(
        repositories("rocky9.6", none, &site, true)[0],
        "tree-BaseOS/BaseOS gpgcheck=0"
    );
    // SUSE's installers have the keys of its media.
    assert_eq!(
        repositories(
            "leap15.6",
            "t/AppStream/repodata/repomd.xml.asc",
            &site,
            false
        )[..2],
        [
            "tree-BaseOS/BaseOS gpgcheck=1",
            "tree-AppStream/AppStream gpgcheck=1"
        ]
    );
    assert_eq!(
        repositories("leap15.6", none, &site, false)[0],
        format!("tree-BaseOS/.slipway/signed/BaseOS gpgcheck=1 repo_gpgcheck=1 gpgkey={site_key}")
    );
}

#[test]
fn an_osimage_has_its_tree_then_mirrors_then_what_is_extra() {
    let scene = Scene::new("rocky8.9", &["t/BaseOS/repodata/repomd.xml", "k.asc"]);
    let own = scene.directory.path().display().to_string();
    fs::write(scene.directory.path().join("k.asc"), KEY).unwrap();
    let entries = |entries: &[&str]| {
        let own = |text: &&str| text.replace("DIR", &own);
        entries.iter().map(own).collect::<Vec<_>>()
    };
    let names = |pkgdir: &[&str], otherpkgdir: &[&str]| {
        let image = OsImage {
            name: "mine".to_owned(),
            pkgdir: entries(pkgdir),
            otherpkgdir: entries(otherpkgdir),
            ..OsImage::default()
        };
        let tree = std::path::PathBuf::from(&image.pkgdir[0]);
        let repositories =
            of_image(&image, (&tree, false), scene.served(), &[]).map_err(|problems| {
                let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
                scene.hide(&lines.join("\n"))
            })?;
        let names = [repositories.tree, repositories.extra].map(|repositories| {
            let names = repositories.into_iter().map(|repository| repository.name);
            names.collect::<Vec<_>>().join(" ")
        });
        Ok::<_, String>(names)
    };
    let mirror = "[gpgkey=distribution] https://h/BaseOS";
    let docker = "[gpgkey=DIR/k.asc] https://h/docker";
    assert_eq!(
        names(
            &["DIR/t", mirror],
            &["DIR/post/otherpkgs/rocky8.9/x86_64", docker]
        )
        .unwrap(),
        ["tree-BaseOS mirror1", "extra2"]
    );
    fs::create_dir(scene.directory.path().join("empty")).unwrap();
    assert_eq!(names(&["DIR/empty", mirror], &[]).unwrap(), ["mirror1", ""]);
    assert_eq!(
        names(&["DIR/empty"], &[]).unwrap_err(),
        "the osimage mine: its tree holds no packages for x86_64: import a medium that has them, or name a mirror in pkgdir, after the tree"
    );
    let named = "[name=one trusted=yes] https://h/r";
    assert_eq!(
        names(&["DIR/t", named], &[named, "[gpgkey=DIR/t] https://h/r"]).unwrap_err(),
        "otherpkgdir '[gpgkey=DIR/t] https://h/r': its key DIR/t cannot be read: it is not a regular file"
    );
    assert_eq!(
        names(&["DIR/t", named], &[named]).unwrap_err(),
        "there are two repositories named 'one': give one of them another name, as in '[name=…]'"
    );
    // The tree of a root image that another management node built may stay there; who needs one asks before.
    assert_eq!(names(&["DIR/none", mirror], &[]).unwrap(), ["mirror1", ""]);
}

#[test]
fn the_codename_is_what_the_main_suite_says() {
    let scene = Scene::new(
        "debian12",
        &["t/dists/stable/Release", "t/dists/stable-updates/Release"],
    );
    let tree = scene.directory.path().join("t");
    assert_eq!(codename(&tree).as_deref(), Some("stable"));
    fs::write(
        tree.join("dists/stable/Release"),
        "Origin: Debian\nCodename: bookworm\nSuite: stable\n",
    )
    .unwrap();
    assert_eq!(codename(&tree).as_deref(), Some("bookworm"));
    assert_eq!(codename(scene.directory.path()), None);
}

#[test]
fn discs_of_a_set_count_in_whatever_order_they_were_imported() {
    let disc1 = [
        "dists/trixie/Release",
        "dists/trixie/main/binary-amd64/Packages.gz",
        "dists/trixie/main/debian-installer/binary-amd64/Packages.gz",
    ];
    let disc2 = [
        "dists/trixie/Release",
        "dists/trixie/main/binary-amd64/Packages.gz",
        "dists/trixie/contrib/binary-amd64/Packages.gz",
    ];
    let further = "debian13.1.0/x86_64/.slipway/discs/2";
    let tree = "debian13.1.0/x86_64";
    for (first, second, base) in [(&disc1, &disc2, tree), (&disc2, &disc1, further)] {
        let own = first.iter().map(|name| format!("{tree}/{name}"));
        let other = second.iter().map(|name| format!("{further}/{name}"));
        let record = std::iter::once(format!("{tree}/.slipway/tree.toml"));
        let files: Vec<_> = own.chain(other).chain(record).collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        let scene = Scene::new("debian13.1.0", &files);
        let found = of_tree(&scene.directory.path().join(tree), &scene.served(), false).unwrap();
        let names: Vec<_> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["tree", "disc2"]);
        assert_eq!(found[0].uri, format!("http://10.1.0.1/install/{base}"));
        assert_eq!(found[0].components, ["main"]);
        assert_eq!(found[1].components, ["main", "contrib"]);
        assert!(!found[1].is_tree());
    }
}

#[test]
fn a_further_disc_of_rpms_is_a_repository_of_its_own() {
    let tree = "sles12.5/x86_64";
    let files = [
        "sles12.5/x86_64/repodata/repomd.xml",
        "sles12.5/x86_64/.slipway/discs/2/repodata/repomd.xml",
    ];
    let scene = Scene::new("rocky8.10", &files);
    let found = of_tree(&scene.directory.path().join(tree), &scene.served(), true).unwrap();
    let shown: Vec<_> = found
        .iter()
        .map(|one| (one.name.as_str(), one.trusted))
        .collect();
    assert_eq!(shown, [("tree", true), ("disc2", true)]);
}

#[test]
fn a_mirror_is_of_the_release_and_of_its_architecture() {
    let files = [
        "t/dists/bookworm/Release",
        "t/dists/bookworm/main/binary-amd64/Packages",
    ];
    let scene = Scene::new("debian12.9.0", &files);
    let tree = scene.directory.path().join("t");
    let problems = |pkgdir: &str, otherpkgdir: &str| {
        let image = OsImage {
            pkgdir: vec![tree.display().to_string(), pkgdir.to_owned()],
            otherpkgdir: vec![otherpkgdir.to_owned()],
            ..OsImage::default()
        };
        let found = of_image(&image, (&tree, true), scene.served(), &[]);
        found
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let mirror = "[signed-by=distribution] http://m.example.invalid/debian";
    let others = "[trusted=yes] http://o.example.invalid/linux bullseye stable";
    for suite in ["bookworm main", "bookworm-updates main"] {
        assert_eq!(
            problems(&format!("{mirror} {suite}"), others),
            [""; 0],
            "{suite}"
        );
    }
    // a name that the next release gets
    let moving = format!("{mirror} stable-updates main");
    assert_eq!(
        problems(&moving, others),
        [format!(
            "pkgdir '{moving}': has the suite 'stable-updates', which is another release's in time: write \
             'bookworm-updates'"
        )]
    );
    let wrong = format!("{mirror} trixie-updates main");
    let limited = "[trusted=yes arch=arm64] http://o.example.invalid/linux bookworm stable";
    assert_eq!(
        problems(&wrong, limited),
        [
            format!(
                "pkgdir '{wrong}': has the suite 'trixie-updates', which is another release's: this one is 'bookworm'"
            ),
            format!(
                "otherpkgdir '{limited}': is limited to other architectures than the osimage's: write 'arch=amd64', or \
                 leave it out"
            ),
        ]
    );
}
