//! Entries of `otherpkgdir`, and what nodes are told of them.

use proptest::prelude::*;

use super::{KEY, Scene};
use definitions::{AptKey, AptSource, RepositoryEntry, RepositoryFormat};

#[test]
fn apt_is_configured_for_a_repository_with_its_key() {
    let scene = Scene::new("ubuntu24.04.3", &[]);
    let repositories = scene
        .extra(
            &["[signed-by=/keys/docker.asc arch=amd64] https://docker.example.invalid/linux/ubuntu noble stable"],
            &[],
        )
        .unwrap();
    let key: String = KEY
        .lines()
        .map(|line| match line {
            "" => " .\n".to_owned(),
            line => format!(" {line}\n"),
        })
        .collect();
    let head = "Types: deb\nURIs: https://docker.example.invalid/linux/ubuntu\nSuites: noble\nComponents: stable\n\
                Architectures: amd64\n";
    let [docker] = repositories.as_slice() else {
        panic!("{repositories:?}");
    };
    assert_eq!(docker.file_name(), "extra1.sources");
    assert_eq!(docker.file(), format!("{head}Signed-By:\n{key}"));
    let path = "/etc/apt/keyrings/extra1.asc";
    let with_file = AptSource {
        signed_by: Some(AptKey::File(path.to_owned())),
        ..docker.apt_source()
    };
    assert_eq!(with_file.render(), format!("{head}Signed-By: {path}\n"));
    assert_eq!(
        with_file.render_line(),
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/extra1.asc] https://docker.example.invalid/linux/ubuntu noble stable"
    );
    let json = serde_json::to_value(docker).unwrap();
    assert_eq!(json["file"], docker.file());
    assert_eq!(json["form"], "apt");
}

#[test]
fn dnf_and_zypper_are_configured_for_a_repository_with_its_key() {
    let entry = "[name=docker-ce gpgkey=https://docker.example.invalid/linux/rhel/gpg] \
                 https://docker.example.invalid/linux/rhel/$releasever/$basearch/stable";
    let repositories = Scene::new("rocky9.4", &[]).extra(&[entry], &[]).unwrap();
    assert_eq!(repositories[0].file_name(), "docker-ce.repo");
    assert_eq!(
        repositories[0].file(),
        "[docker-ce]\nname=docker-ce\nbaseurl=https://docker.example.invalid/linux/rhel/9/x86_64/stable\nenabled=1\n\
         gpgcheck=1\ngpgkey=https://docker.example.invalid/linux/rhel/gpg\n"
    );
    let entries = [
        "[gpgkey=distribution] https://mirror.example.invalid/distribution/leap/$releasever/repo/oss",
        "[trusted=yes] http://10.1.0.1/ours",
    ];
    let repositories = Scene::new("leap15.6", &[]).extra(&entries, &[]).unwrap();
    assert_eq!(
        repositories[0].file(),
        "[extra1]\nname=extra1\nbaseurl=https://mirror.example.invalid/distribution/leap/15.6/repo/oss\nenabled=1\n\
         autorefresh=1\ngpgcheck=1\n"
    );
    assert_eq!(
        repositories[1].file(),
        "[extra2]\nname=extra2\nbaseurl=http://10.1.0.1/ours\nenabled=1\nautorefresh=1\ngpgcheck=0\n\
         repo_gpgcheck=0\npkg_gpgcheck=0\n"
    );
    let mirror = "[gpgkey=distribution] https://mirror.example/rocky/9/BaseOS/x86_64/os";
    let repositories = Scene::new("rocky9.4", &[]).extra(&[mirror], &[]).unwrap();
    assert_eq!(
        repositories[0].key_url.as_deref(),
        Some("file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9")
    );
}

#[test]
fn an_entry_may_be_a_line_of_a_sources_list() {
    let scene = Scene::new("debian12", &[]);
    for (entry, expected) in [
        (
            "deb [trusted=yes] https://host/repo ./",
            "deb [trusted=yes] https://host/repo ./",
        ),
        (
            "[signed-by=distribution arch=amd64 arch=arm64] http://mirror.example.invalid/debian bookworm-backports main contrib",
            "deb [arch=amd64,arm64] http://mirror.example.invalid/debian bookworm-backports main contrib",
        ),
        (
            "  [ trusted=yes ]   https://[fd00::1]:8080/a/b~c%20d  stable/updates   main ",
            "deb [trusted=yes] https://[fd00::1]:8080/a/b~c%20d stable/updates main",
        ),
    ] {
        let repositories = scene.extra(&[entry], &[]).unwrap();
        assert_eq!(repositories[0].apt_source().render_line(), expected);
    }
}

#[test]
fn what_nobody_could_check_is_refused_with_what_to_add() {
    for (distro, entry, expected) in [
        (
            "ubuntu24.04",
            "https://docker.example.invalid/linux/ubuntu noble stable",
            "otherpkgdir 'https://docker.example.invalid/linux/ubuntu noble stable': has no reason to be \
             trusted: put '[signed-by=/path/of/its/key.asc]' in front of it, '[signed-by=distribution]' where \
             the distribution's own key signs the repository, or '[trusted=yes]' to accept it unsigned",
        ),
        (
            "rocky9.4",
            "https://host/repo",
            "otherpkgdir 'https://host/repo': has no reason to be trusted: put \
             '[gpgkey=/path/of/its/key.asc]' in front of it, '[gpgkey=distribution]' where the distribution's \
             own key signs the packages, or '[trusted=yes]' to accept it unsigned",
        ),
    ] {
        let message = Scene::new(distro, &[]).extra(&[entry], &[]).unwrap_err();
        assert_eq!(message, expected);
    }
}

#[test]
fn a_bad_entry_is_an_error_that_says_what_to_write() {
    let deb = Scene::new("debian12", &[]);
    let rpm = Scene::new("rocky9.4", &[]);
    for (scene, entry, expected) in [
        (
            &deb,
            "[trusted=yes https://h/r ./",
            "has a '[' without its ']'",
        ),
        (
            &deb,
            "[trusted=yes]",
            "names no repository: write a directory, or a URI such as https://…",
        ),
        (
            &deb,
            "[trusted=true] https://h/r ./",
            "has 'trusted': write 'trusted=yes', or leave it out",
        ),
        (
            &deb,
            "deb-src https://h/r a b",
            "is a repository of sources, which nodes do not install: leave it out",
        ),
        (
            &rpm,
            "deb https://h/r",
            "begins with 'deb', which is apt's: write the URI alone",
        ),
        (
            &rpm,
            "[trusted=yes] https://h/r a",
            "has 'a' after the URI: suites and components are apt's, leave them out",
        ),
        (
            &deb,
            "[trusted=yes gpgkey=/a] https://h/r ./",
            "has 'gpgkey=/a', which another package manager reads: write 'signed-by=…' here",
        ),
        (
            &rpm,
            "[signed-by=/a] https://h/r",
            "has 'signed-by=/a', which another package manager reads: write 'gpgkey=…' here",
        ),
        (
            &rpm,
            "[arch=x86_64] https://h/r",
            "has the option 'arch' twice, or it is unknown: there are gpgkey=, trusted=yes, name=",
        ),
        (
            &deb,
            "[name=a name=b] https://h/r ./",
            "has the option 'name' twice, or it is unknown: there are signed-by=, trusted=yes, name=, arch=",
        ),
        (
            &deb,
            "[trusted=yes signed-by=/a] https://h/r ./",
            "gives two reasons to be trusted: leave one",
        ),
        (
            &deb,
            "[name=tree2] https://h/r ./",
            "has the name 'tree2': a name consists of letters, digits, '-' and '_', and does not begin with \
             'tree', which is the tree's",
        ),
        (
            &deb,
            "[signed-by=ABCDEF] https://h/r ./",
            "has 'signed-by=ABCDEF': give the path of a key on the management node, or 'distribution'",
        ),
        (
            &rpm,
            "[gpgkey=http://h/key] https://h/r",
            "has 'gpgkey=http://h/key': give the path of a key on the management node, an https URL, or 'distribution'",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r",
            "has no suite: write it after the URI, as in '… noble stable', or './' where Packages lies beside \
             the packages",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r noble",
            "has no component after 'noble': write them, as in 'noble main'",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r ./ main",
            "has components after './', which is a flat repository: leave them out",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r ../x main",
            "has '../x', which is neither a suite nor a component",
        ),
        (
            &deb,
            "[trusted=yes] file:///a ./",
            "begins with 'file:': write the directory alone, '/a'",
        ),
        (
            &deb,
            "[trusted=yes] ftp://h/r ./",
            "has 'ftp://h/r', which is neither an absolute directory nor an http or https URI",
        ),
        (
            &deb,
            "[trusted=yes] /a/../b",
            "has '..' in '/a/../b': write the path without it",
        ),
        (
            &deb,
            "[trusted=yes] https://me:secret@h/r ./",
            "has a user name or a password in its URI, and definitions hold no secrets: mirror it, or grant \
             access to the nodes' addresses",
        ),
        (
            &rpm,
            "[trusted=yes] https://h/$(id)",
            "has 'https://h/$(id)', which is not the URI of a repository: letters, digits and . _ + ~ - / : % @ = \
             are allowed after the host",
        ),
        (
            &deb,
            "[signed-by=/none.asc] https://h/r ./",
            "its key /none.asc cannot be read: entity not found",
        ),
        (
            &deb,
            "/nonexistent",
            "there is no such directory: make it, or name another one",
        ),
        (
            &deb,
            "/tmp",
            "/tmp is not below DIR, and so nodes cannot fetch it: move it there",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r\u{1b}[2J ./",
            "contains a control character: delete it",
        ),
    ] {
        let message = scene.extra(&[entry], &[]).unwrap_err();
        assert_eq!(
            message,
            format!("otherpkgdir '{}': {expected}", entry.escape_debug())
        );
    }
}

#[test]
fn every_entry_is_reported_and_two_of_one_name_are_refused() {
    let scene = Scene::new("debian12", &[]);
    let entries = [
        "[name=a trusted=yes] https://h/1 ./",
        "nonsense",
        "[name=a trusted=yes] https://h/2 ./",
    ];
    assert_eq!(
        scene.extra(&entries, &["docker"]).unwrap_err(),
        "otherpkgdir 'nonsense': has 'nonsense', which is neither an absolute directory nor an http or https URI\n\
         list:1: 'docker' is not a directory of otherpkgdir: make it there, or name the package alone\n\
         there are two repositories named 'a': give one of them another name, as in '[name=…]'"
    );
}

proptest! {
    #[test]
    fn no_entry_makes_it_panic_and_none_gets_through_that_says_more_than_a_repository(
        text in "(deb |\\[|\\]|trusted=yes|signed-by=|gpgkey=|/k|name=a|arch=amd64|https://h|/r|\\./| |noble|main|[ -~]){0,12}",
        form in prop::sample::select(vec![RepositoryFormat::Apt, RepositoryFormat::Dnf, RepositoryFormat::Zypper]),
    ) {
        if let Ok(entry) = RepositoryEntry::parse(&text, form) {
            let words = [entry.suite.into_iter().collect(), entry.components].concat();
            for word in words {
                prop_assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-/".contains(c)));
            }
        }
    }
}
