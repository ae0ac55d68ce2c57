//! Directories of the management node's.

use std::fs;

use definitions::AptSource;

use super::{KEY, Scene};
use crate::repository::rpm_signature::tests::{package, signed_by as package_by};
use crate::repository::signature::tests::signed_by;
use crate::repository::{Repository, expired, key, of_tree};

#[test]
fn a_local_directory_is_a_repository_where_it_has_an_index() {
    let own = "post/otherpkgs/debian12/x86_64";
    let files = [
        "post/otherpkgs/debian12/x86_64/Packages",
        "post/otherpkgs/debian12/x86_64/docker/Packages.gz",
        "post/otherpkgs/debian12/x86_64/docker/InRelease",
        "mirror/dists/noble/Release",
        "mirror/dists/noble/InRelease",
        "mirror/dists/noble/main/binary-amd64/Packages.bz2",
        "debs/a.deb",
        "signed/Packages",
        "signed/Release.gpg",
    ];
    let scene = Scene::new("debian12", &files);
    let ours = key::fingerprints(KEY).remove(0);
    for name in [
        "post/otherpkgs/debian12/x86_64/docker/InRelease",
        "mirror/dists/noble/InRelease",
        "signed/Release.gpg",
    ] {
        fs::write(scene.directory.path().join(name), signed_by(&ours)).unwrap();
    }
    let lines = |entries: &[&str], directories: &[&str]| {
        let repositories = scene.extra(entries, directories)?;
        let line = |repository: &Repository| {
            let directory = scene.hide(repository.directory.as_deref().unwrap_or("-"));
            format!(
                "{} {} {directory}",
                repository.name,
                AptSource {
                    signed_by: None,
                    ..repository.apt_source()
                }
                .render_line()
            )
        };
        Ok::<_, String>(repositories.iter().map(line).collect::<Vec<_>>())
    };
    let entry = format!("[trusted=yes] DIR/{own}");
    assert_eq!(
        lines(&[&entry], &["docker"]).unwrap(),
        [
            format!("extra1 deb [trusted=yes] http://10.1.0.1/install/{own} ./ DIR/{own}"),
            format!(
                "extra1-docker deb [trusted=yes] http://10.1.0.1/install/{own}/docker ./ DIR/{own}/docker"
            ),
        ]
    );
    assert_eq!(
        lines(&["[signed-by=/keys/docker.asc] DIR/mirror noble main"], &[]).unwrap(),
        ["extra1 deb http://10.1.0.1/install/mirror noble main DIR/mirror"]
    );
    assert_eq!(
        lines(&["[signed-by=/keys/docker.asc] DIR/signed"], &[]).unwrap(),
        ["extra1 deb http://10.1.0.1/install/signed ./ DIR/signed"]
    );
    for (entry, expected) in [
        (
            "[signed-by=/keys/docker.asc] DIR/post/otherpkgs/debian12/x86_64",
            "DIR/post/otherpkgs/debian12/x86_64 has no InRelease and no Release.gpg, and nodes would refuse it: sign its \
             Release, or put '[trusted=yes]' in front of the entry",
        ),
        (
            "DIR/signed",
            "has no reason to be trusted: put '[signed-by=/path/of/its/key.asc]' in front of it, \
             '[signed-by=distribution]' where the distribution's own key signs the repository, or \
             '[trusted=yes]' to accept it unsigned",
        ),
        (
            "[trusted=yes] DIR/debs",
            "DIR/debs has packages and no index: run `cd DIR/debs && apt-ftparchive packages . > Packages`",
        ),
        (
            "[trusted=yes] DIR/mirror",
            "DIR/mirror has suites: write the one and its components after it, as in 'DIR/mirror noble main'",
        ),
        (
            "[signed-by=/keys/docker.asc] DIR/mirror noble universe",
            "DIR/mirror/dists/noble has no component 'universe' for amd64: correct its name, or leave it out",
        ),
        (
            "[trusted=yes] DIR/mirror jammy main",
            "DIR/mirror/dists/jammy has no Release",
        ),
        (
            "[trusted=yes] DIR/mirror sub/",
            "DIR/mirror/sub/ has no Packages",
        ),
        (
            "[trusted=yes] DIR/post",
            "holds no packages: put them there, or leave it out",
        ),
    ] {
        let message = lines(&[entry], &[]).unwrap_err();
        assert_eq!(message, format!("otherpkgdir '{entry}': {expected}"));
    }
}

#[test]
fn rpms_need_an_index_and_a_key_too() {
    let scene = Scene::new(
        "rocky9.4",
        &[
            "good/repodata/repomd.xml",
            "bare/a.rpm",
            "good/sub/repodata/repomd.xml",
        ],
    );
    let repositories = scene
        .extra(&["[gpgkey=/keys/docker.asc] DIR/good"], &["sub"])
        .unwrap();
    assert_eq!(repositories[0].key.as_deref(), Some(KEY));
    assert_eq!(repositories[1].uri, "http://10.1.0.1/install/good/sub");
    assert_eq!(repositories[1].suite, None);
    let lost =
        "<repomd><data type=\"primary\"><location href=\"repodata/p.xml.gz\"/></data></repomd>";
    fs::write(
        scene.directory.path().join("good/repodata/repomd.xml"),
        lost,
    )
    .unwrap();
    assert_eq!(
        scene.extra(&["[trusted=yes] DIR/good"], &[]).unwrap_err(),
        "otherpkgdir '[trusted=yes] DIR/good': DIR/good/repodata/repomd.xml names repodata/p.xml.gz, which is not there: \
         run `createrepo_c DIR/good` again"
    );
    assert_eq!(
        scene.extra(&["[trusted=yes] DIR/bare"], &[]).unwrap_err(),
        "otherpkgdir '[trusted=yes] DIR/bare': DIR/bare has packages and no index: run `createrepo_c DIR/bare`"
    );
}

#[test]
fn zypper_asks_for_a_signed_index() {
    let mut scene = Scene::new("sle15.5", &["a/repodata/repomd.xml"]);
    let entry = "[gpgkey=/keys/docker.asc] DIR/a";
    assert_eq!(
        scene.extra(&[entry], &[]).unwrap_err(),
        "otherpkgdir '[gpgkey=/keys/docker.asc] DIR/a': DIR/a has no repodata/repomd.xml.asc, and nodes would \
         refuse it: sign its repodata/repomd.xml, or put '[trusted=yes]' in front of the entry"
    );
    let signature = scene.directory.path().join("a/repodata/repomd.xml.asc");
    let ours = key::fingerprints(KEY).remove(0);
    fs::write(&signature, signed_by(&ours)).unwrap();
    assert_eq!(scene.extra(&[entry], &[]).unwrap().len(), 1);
    fs::remove_file(signature).unwrap();
    scene.distro = "rocky9.4".parse().unwrap();
    assert_eq!(scene.extra(&[entry], &[]).unwrap().len(), 1);
}

#[test]
fn the_release_s_own_directory_may_be_missing_or_empty() {
    let entry = "DIR/post/otherpkgs/rocky9.4/x86_64";
    assert_eq!(
        Scene::new("rocky9.4", &[]).extra(&[entry], &[]),
        Ok(Vec::new())
    );
    let empty = Scene::new("rocky9.4", &["post/otherpkgs/rocky9.4/x86_64/README"]);
    assert_eq!(empty.extra(&[entry], &[]), Ok(Vec::new()));
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let files = ["a/Packages", "a/InRelease"];
    let scene = Scene::new("debian12", &files);
    let ours = key::fingerprints(KEY).remove(0);
    let entry = "[signed-by=/keys/docker.asc] DIR/a";
    for (signature, expected) in [
        (signed_by(&ours), None),
        (signed_by(&ours[24..]), None),
        (
            signed_by("0123456789ABCDEF0123456789ABCDEF01234567"),
            Some(format!(
                "DIR/a/InRelease is signed by the key 0123456789ABCDEF0123456789ABCDEF01234567, and the named one is {ours}: name the key that signs it"
            )),
        ),
        (
            "Suite: x\n".to_owned(),
            Some("DIR/a/InRelease holds no signature: sign it again".to_owned()),
        ),
    ] {
        fs::write(scene.directory.path().join("a/InRelease"), signature).unwrap();
        let expected = expected.map(|why| format!("otherpkgdir '{entry}': {why}"));
        assert_eq!(scene.extra(&[entry], &[]).err(), expected);
    }
}

#[test]
fn dnf_asks_for_signed_packages() {
    let entry = "[gpgkey=/keys/docker.asc] DIR/a";
    let ours = key::fingerprints(KEY).remove(0);
    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    for (package, expected) in [
        (package_by(&ours), None),
        (package_by(&ours[24..]), None),
        (
            package_by(other),
            Some(format!(
                "is signed by the key {other}, and the named one is {ours}: name the key that signs it"
            )),
        ),
        (
            package(&[]),
            Some(
                "is not signed, and nodes would refuse it: sign it (rpmsign --addsign), or put '[trusted=yes]' in \
                 front of the entry"
                    .to_owned(),
            ),
        ),
        (
            b"<html>404 not found</html>".repeat(9),
            Some("is not a package of rpm's: fetch it again".to_owned()),
        ),
    ] {
        let files = ["a/repodata/repomd.xml", "a/Packages/b/b.rpm"];
        let scene = Scene::new("rocky9.4", &files);
        fs::write(scene.directory.path().join(files[1]), package).unwrap();
        let found = scene.extra(&[entry], &[]).err();
        let expected =
            expected.map(|why| format!("otherpkgdir '{entry}': DIR/a/Packages/b/b.rpm {why}"));
        assert_eq!(found, expected);
        assert!(scene.extra(&["[trusted=yes] DIR/a"], &[]).is_ok());
    }
}

#[test]
fn an_index_whose_time_is_over_is_refused_in_a_mirror_and_told_of_a_medium() {
    let files =
        ["noble", "over"].map(|suite| format!("m/dists/{suite}/main/binary-amd64/Packages"));
    let flat = ["f/Packages", "f/sub/Packages", "m/.slipway/tree.toml"];
    let files: Vec<_> = files.iter().map(String::as_str).chain(flat).collect();
    let scene = Scene::new("ubuntu24.04", &files);
    let release = |place: &str, end: &str| {
        let text = format!("Suite: x\nValid-Until: {end}\n");
        fs::write(scene.directory.path().join(place).join("Release"), text).unwrap();
    };
    let over = "Sat, 13 Sep 2025 09:30:13 UTC";
    release("m/dists/noble", "Sat, 13 Sep 2185 09:30:13 UTC");
    release("m/dists/over", over);
    release("f/sub", over);
    let message = |entry: &str| scene.extra(&[entry], &[]).map(drop).unwrap_err();
    // Apt asks for the time whether or not it asks for a signature.
    scene
        .extra(&["[trusted=yes] DIR/m noble main"], &[])
        .unwrap();
    scene.extra(&["[trusted=yes] DIR/f"], &[]).unwrap();
    for (entry, index) in [
        ("DIR/m over main", "DIR/m/dists/over"),
        ("DIR/f sub/", "DIR/f/sub/"),
    ] {
        let entry = format!("[trusted=yes] {entry}");
        assert_eq!(
            message(&entry),
            format!(
                "otherpkgdir '{entry}': {index} counted until {over}, and nodes refuse it since: bring the mirror up to date, \
                 or leave Valid-Until out when you sign it"
            )
        );
    }
    let tree = of_tree(&scene.directory.path().join("m"), &scene.served(), false).unwrap();
    let told: Vec<_> = tree.iter().map(expired).collect();
    let told: Vec<_> = told
        .iter()
        .flatten()
        .map(|note| scene.hide(&note.to_string()))
        .collect();
    assert_eq!(
        told,
        [format!(
            "DIR/m/dists/over counted until {over}, and nodes refuse it since: have the site sign the tree (slipway-trust \
             init, then slipway-trust sign-tree), whose signature has no end, or import a newer medium"
        )]
    );
}
