//! Entries, trees and what nodes are told of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use definitions::OsImage;

use super::*;
use crate::problem::Place;

/// A public key of nobody, for these tests.
const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawdbjhYJKwYBBAHaRw8BAQdAtY0mnmh6x3UpIHPPuO/W3nu6kkKK00Zjotg6
cUhl31u0D3Rlc3QgcmVwb3NpdG9yeYiQBBMWCAA4FiEEfpEzKI7S2sNaqwP5dbV1
+c5odq0FAmsHW44CGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQdbV1+c5o
dq15XgD/ZXTmfxO5NCdsYhU3LLhdHvlLiirGZmtYv9qjXT4u6KkBAK/438Jtm8j/
f5haXXvFbc3FuD6upuXNWLNjuO/dBpMA
=dhz6
-----END PGP PUBLIC KEY BLOCK-----
";

/// An install directory that holds these files, and what is served from it.
struct Scene {
    directory: tempfile::TempDir,
    installdir: InstallDir,
    distro: Distro,
    keys: BTreeMap<&'static str, Vec<u8>>,
}

impl Scene {
    fn new(distro: &str, files: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        Self {
            installdir: InstallDir::new(directory.path()),
            directory,
            distro: distro.parse().unwrap(),
            keys: BTreeMap::from([("/keys/docker.asc", KEY.as_bytes().to_vec())]),
        }
    }

    fn served(&self) -> Served<'_> {
        Served {
            installdir: &self.installdir,
            url: "http://10.1.0.1/install",
            distro: &self.distro,
            arch: Arch::X86_64,
        }
    }

    /// The directory, as tests write it.
    fn hide(&self, text: &str) -> String {
        text.replace(&self.directory.path().display().to_string(), "DIR")
    }

    fn extra(&self, entries: &[&str], directories: &[&str]) -> Result<Vec<Repository>, String> {
        let own = self.directory.path().display().to_string();
        let entries: Vec<_> = entries
            .iter()
            .map(|text| text.replace("DIR", &own))
            .collect();
        let place = |line| Place {
            file: "list".into(),
            line,
        };
        let directories: Vec<_> = directories
            .iter()
            .enumerate()
            .map(|(at, name)| ((*name).to_owned(), place(at + 1)))
            .collect();
        let with = Extra {
            attribute: "otherpkgdir",
            stem: "extra",
            served: self.served(),
            directories: &directories,
            read: &|path| {
                let key = self.keys.get(path.to_str().unwrap());
                key.cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
            },
        };
        extra(&entries, &with).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
            self.hide(&lines.join("\n"))
        })
    }

    /// The tree's repositories, a line each.
    fn tree(&self, tree: &str) -> Result<Vec<String>, String> {
        let tree = self.directory.path().join(tree);
        let repositories =
            of_tree(&tree, &self.served()).map_err(|problem| self.hide(&problem.to_string()))?;
        let line = |repository: Repository| {
            let trusted = if repository.trusted { " trusted" } else { "" };
            let suite = repository.suite.map(|suite| format!(" {suite} "));
            let line = format!(
                "{}: {}{}{}{trusted}",
                repository.name,
                repository.uri,
                suite.unwrap_or_default(),
                repository.components.join(" ")
            );
            self.hide(&line)
        };
        Ok(repositories.into_iter().map(line).collect())
    }
}

#[test]
fn dockers_repository_is_told_to_apt_with_its_key() {
    let scene = Scene::new("ubuntu24.04.3", &[]);
    let repositories = scene
        .extra(
            &["[signed-by=/keys/docker.asc arch=amd64] https://download.docker.com/linux/ubuntu noble stable"],
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
    let head = "Types: deb\nURIs: https://download.docker.com/linux/ubuntu\nSuites: noble\nComponents: stable\n\
                Architectures: amd64\n";
    let [docker] = repositories.as_slice() else {
        panic!("{repositories:?}");
    };
    assert_eq!(docker.file_name(), "extra1.sources");
    assert_eq!(docker.file(), format!("{head}Signed-By:\n{key}"));
    let path = "/etc/apt/keyrings/extra1.asc";
    assert_eq!(
        docker.file_with_key(path),
        format!("{head}Signed-By: {path}\n")
    );
    assert_eq!(
        docker.line(Some(path)),
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/extra1.asc] https://download.docker.com/linux/ubuntu noble stable"
    );
    let json = serde_json::to_value(docker).unwrap();
    assert_eq!(json["file"], docker.file());
    assert_eq!(json["form"], "apt");
}

#[test]
fn dockers_repository_is_told_to_dnf_and_zypper_with_its_key() {
    let entry = "[name=docker-ce gpgkey=https://download.docker.com/linux/rhel/gpg] \
                 https://download.docker.com/linux/rhel/$releasever/$basearch/stable";
    let repositories = Scene::new("rocky9.4", &[]).extra(&[entry], &[]).unwrap();
    assert_eq!(repositories[0].file_name(), "docker-ce.repo");
    assert_eq!(
        repositories[0].file(),
        "[docker-ce]\nname=docker-ce\nbaseurl=https://download.docker.com/linux/rhel/9/x86_64/stable\nenabled=1\n\
         gpgcheck=1\ngpgkey=https://download.docker.com/linux/rhel/gpg\n"
    );
    let entries = [
        "[gpgkey=distribution] https://download.opensuse.org/distribution/leap/$releasever/repo/oss",
        "[trusted=yes] http://10.1.0.1/ours",
    ];
    let repositories = Scene::new("leap15.6", &[]).extra(&entries, &[]).unwrap();
    assert_eq!(
        repositories[0].file(),
        "[extra1]\nname=extra1\nbaseurl=https://download.opensuse.org/distribution/leap/15.6/repo/oss\nenabled=1\n\
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
            "[signed-by=distribution arch=amd64 arch=arm64] http://deb.debian.org/debian bookworm-backports main contrib",
            "deb [arch=amd64,arm64] http://deb.debian.org/debian bookworm-backports main contrib",
        ),
        (
            "  [ trusted=yes ]   https://[fd00::1]:8080/a/b~c%20d  stable/updates   main ",
            "deb [trusted=yes] https://[fd00::1]:8080/a/b~c%20d stable/updates main",
        ),
    ] {
        let repositories = scene.extra(&[entry], &[]).unwrap();
        assert_eq!(repositories[0].line(None), expected);
    }
}

#[test]
fn what_nobody_could_check_is_refused_with_what_to_add() {
    for (distro, entry, expected) in [
        (
            "ubuntu24.04",
            "https://download.docker.com/linux/ubuntu noble stable",
            "otherpkgdir 'https://download.docker.com/linux/ubuntu noble stable': does not say why it may be \
             believed: put '[signed-by=/path/of/its/key.asc]' in front of it, '[signed-by=distribution]' where \
             the distribution's own key signs the repository, or '[trusted=yes]' to do without",
        ),
        (
            "rocky9.4",
            "https://host/repo",
            "otherpkgdir 'https://host/repo': does not say why it may be believed: put \
             '[gpgkey=/path/of/its/key.asc]' in front of it, '[gpgkey=distribution]' where the distribution's \
             own key signs the packages, or '[trusted=yes]' to do without",
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
            "'trusted' is said as 'trusted=yes', or left out",
        ),
        (
            &deb,
            "deb-src https://h/r a b",
            "is a repository of sources, which nodes do not install: leave it out",
        ),
        (
            &rpm,
            "deb https://h/r",
            "begins with 'deb', and is for apt: write the URI alone",
        ),
        (
            &rpm,
            "[trusted=yes] https://h/r a",
            "has 'a' behind the URI: suites and components are apt's, leave them out",
        ),
        (
            &deb,
            "[trusted=yes gpgkey=/a] https://h/r ./",
            "'gpgkey=/a' is for others: write 'signed-by=…' here",
        ),
        (
            &rpm,
            "[signed-by=/a] https://h/r",
            "'signed-by=/a' is for others: write 'gpgkey=…' here",
        ),
        (
            &rpm,
            "[arch=x86_64] https://h/r",
            "has the option 'arch' twice or to no use: there are gpgkey=, trusted=yes, name=",
        ),
        (
            &deb,
            "[name=a name=b] https://h/r ./",
            "has the option 'name' twice or to no use: there are signed-by=, trusted=yes, name=, arch=",
        ),
        (
            &deb,
            "[trusted=yes signed-by=/a] https://h/r ./",
            "says twice why it may be believed: leave one",
        ),
        (
            &deb,
            "[name=tree2] https://h/r ./",
            "has the name 'tree2': letters, digits, '-' and '_' make one, and none begins with 'tree', which is \
             the tree's",
        ),
        (
            &deb,
            "[signed-by=ABCDEF] https://h/r ./",
            "has 'signed-by=ABCDEF': give the path of a key on this machine, or 'distribution'",
        ),
        (
            &rpm,
            "[gpgkey=http://h/key] https://h/r",
            "has 'gpgkey=http://h/key': give the path of a key on this machine, an https URL, or 'distribution'",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r",
            "has no suite: write it behind the URI, as in '… noble stable', or './' where Packages lies beside \
             the packages",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r noble",
            "has no component behind 'noble': write them, as in 'noble main'",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r ./ main",
            "has components behind './', which is a flat repository: leave them out",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r ../x main",
            "has '../x', which is no suite and no component",
        ),
        (
            &deb,
            "[trusted=yes] file:///a ./",
            "begins with 'file:': write the directory alone, '/a'",
        ),
        (
            &deb,
            "[trusted=yes] ftp://h/r ./",
            "has 'ftp://h/r', which is neither a directory, with a '/' in front, nor an http or https URI",
        ),
        (
            &deb,
            "[trusted=yes] /a/../b",
            "has '..' in '/a/../b': write where it leads",
        ),
        (
            &deb,
            "[trusted=yes] https://me:secret@h/r ./",
            "has a name or a password in its URI, and definitions hold no secrets: mirror it, or let the nodes' \
             addresses in",
        ),
        (
            &rpm,
            "[trusted=yes] https://h/$(id)",
            "has 'https://h/$(id)', which is no URI of a repository: letters, digits and . _ + ~ - / : % @ = \
             stand behind the host",
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
            "/tmp is not beneath DIR, and so nodes cannot fetch it: move it there",
        ),
        (
            &deb,
            "[trusted=yes] https://h/r\u{1b}[2J ./",
            "holds a control character: delete it",
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
fn every_entry_is_told_of_and_two_of_one_name_are_refused() {
    let scene = Scene::new("debian12", &[]);
    let entries = [
        "[name=a trusted=yes] https://h/1 ./",
        "nonsense",
        "[name=a trusted=yes] https://h/2 ./",
    ];
    assert_eq!(
        scene.extra(&entries, &["docker"]).unwrap_err(),
        "otherpkgdir 'nonsense': has 'nonsense', which is neither a directory, with a '/' in front, nor an http or \
         https URI\n\
         list:1: 'docker' is no directory of otherpkgdir: make it there, or name the package alone\n\
         there are two repositories named 'a': give one of them another name, as in '[name=…]'"
    );
}

#[test]
fn a_local_directory_is_a_repository_where_it_has_an_index() {
    let own = "post/otherpkgs/debian12/x86_64";
    let files = [
        "post/otherpkgs/debian12/x86_64/Packages",
        "post/otherpkgs/debian12/x86_64/docker/Packages.gz",
        "post/otherpkgs/debian12/x86_64/docker/InRelease",
        "mirror/dists/noble/Release",
        "mirror/dists/noble/InRelease",
        "debs/a.deb",
        "signed/Packages",
        "signed/Release.gpg",
    ];
    let scene = Scene::new("debian12", &files);
    let lines = |entries: &[&str], directories: &[&str]| {
        let repositories = scene.extra(entries, directories)?;
        let line = |repository: &Repository| {
            let directory = scene.hide(repository.directory.as_deref().unwrap_or("-"));
            format!("{} {} {directory}", repository.name, repository.line(None))
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
            "does not say why it may be believed: put '[signed-by=/path/of/its/key.asc]' in front of it, \
             '[signed-by=distribution]' where the distribution's own key signs the repository, or \
             '[trusted=yes]' to do without",
        ),
        (
            "[trusted=yes] DIR/debs",
            "DIR/debs has packages and no index: run `cd DIR/debs && apt-ftparchive packages . > Packages`",
        ),
        (
            "[trusted=yes] DIR/mirror",
            "DIR/mirror has suites: write the one and its components behind it, as in 'DIR/mirror noble main'",
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
    fs::write(scene.directory.path().join("a/repodata/repomd.xml.asc"), "").unwrap();
    assert_eq!(scene.extra(&[entry], &[]).unwrap().len(), 1);
    fs::remove_file(scene.directory.path().join("a/repodata/repomd.xml.asc")).unwrap();
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
fn a_key_beneath_the_install_directory_is_served_from_there() {
    let scene = Scene::new("rocky9.4", &["keys/ours.asc"]);
    let own = scene.directory.path().display().to_string();
    let entries = [format!("[gpgkey={own}/keys/ours.asc] https://h/r")];
    let with = Extra {
        attribute: "otherpkgdir",
        stem: "extra",
        served: scene.served(),
        directories: &[],
        read: &|_| Ok(KEY.into()),
    };
    let repositories = extra(&entries, &with).unwrap();
    assert_eq!(
        repositories[0].file(),
        "[extra1]\nname=extra1\nbaseurl=https://h/r\nenabled=1\ngpgcheck=1\n\
         gpgkey=http://10.1.0.1/install/keys/ours.asc\n"
    );
}

#[test]
fn only_public_keys_are_handed_on() {
    let body: String = KEY.lines().skip(2).take(5).collect();
    let binary = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap();
    assert_eq!(key::armoured(KEY.as_bytes()).as_deref(), Ok(KEY));
    assert_eq!(key::armoured(&binary).as_deref(), Ok(KEY));
    let commented = KEY.replace("BLOCK-----\n\nmDME", "BLOCK-----\nComment: x\r\n\r\nmDME");
    let commented = format!("My key:\n{commented}");
    assert_eq!(key::armoured(commented.as_bytes()).as_deref(), Ok(KEY));
    let two = format!("{KEY}{KEY}");
    let both = [binary.clone(), binary.clone()].concat();
    assert_eq!(key::armoured(two.as_bytes()), key::armoured(&both));

    let secret = "holds a secret key, which must not leave its owner: export the public one";
    let with = |packet: &[u8]| [binary.as_slice(), packet].concat();
    let private =
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxx==\n-----END PGP PRIVATE KEY BLOCK-----\n";
    let signature = KEY.replace("PUBLIC KEY BLOCK", "SIGNATURE");
    for (bytes, expected) in [
        (private.as_bytes().to_vec(), secret),
        (vec![0x95, 0, 1, 0], secret),
        (with(&[0x9d, 0, 1, 0]), secret),
        (with(&[0xc5, 1, 0]), secret),
        (Vec::new(), "is no OpenPGP public key"),
        (b"<html>404</html>".to_vec(), "is no OpenPGP public key"),
        (vec![0x88, 1, 0], "is no OpenPGP public key"),
        (with(&[0x01]), "is no OpenPGP public key"),
        (binary[..40].to_vec(), "is cut short"),
        (
            KEY.replace("mDME", "mDMF").into_bytes(),
            "is damaged: its checksum is another one",
        ),
        (
            KEY.replace("mDME", "m*ME").into_bytes(),
            "is damaged: its block is no base64",
        ),
        (
            KEY.as_bytes()[..200].to_vec(),
            "is cut short: its last block has no end",
        ),
        (
            signature.into_bytes(),
            "holds '-----BEGIN PGP SIGNATURE-----', which is no public key",
        ),
    ] {
        assert_eq!(key::armoured(&bytes), Err(expected.to_owned()));
    }
}

#[test]
fn a_tree_says_itself_what_repositories_it_has() {
    for (distro, files, expected) in [
        (
            "debian12.9.0",
            &[
                "t/dists/bookworm/Release",
                "t/dists/bookworm/main/binary-amd64/Packages.gz",
                "t/dists/bookworm/contrib/binary-amd64/Packages",
                "t/dists/bookworm/non-free/binary-arm64/Packages",
                "t/dists/bookworm/main/debian-installer/binary-amd64/Packages",
            ][..],
            &["tree: http://10.1.0.1/install/t bookworm main contrib trusted"][..],
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
        let repositories = of_image(&image, scene.served(), &[]).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
            scene.hide(&lines.join("\n"))
        })?;
        let names = repositories.into_iter().map(|repository| repository.name);
        Ok::<_, String>(names.collect::<Vec<_>>())
    };
    let mirror = "[gpgkey=distribution] https://h/BaseOS";
    let docker = "[gpgkey=DIR/k.asc] https://h/docker";
    assert_eq!(
        names(
            &["DIR/t", mirror],
            &["DIR/post/otherpkgs/rocky8.9/x86_64", docker]
        )
        .unwrap(),
        ["tree-BaseOS", "mirror1", "extra2"]
    );
    fs::create_dir(scene.directory.path().join("empty")).unwrap();
    assert_eq!(names(&["DIR/empty", mirror], &[]).unwrap(), ["mirror1"]);
    assert_eq!(
        names(&["DIR/empty"], &[]).unwrap_err(),
        "the osimage mine: its tree holds no packages for x86_64: import a medium that has them, or name a mirror \
         in pkgdir, behind the tree"
    );
    let named = "[name=one trusted=yes] https://h/r";
    assert_eq!(
        names(&["DIR/t", named], &[named, "[gpgkey=DIR/t] https://h/r"]).unwrap_err(),
        "otherpkgdir '[gpgkey=DIR/t] https://h/r': its key DIR/t cannot be read: it is no file"
    );
    assert_eq!(
        names(&["DIR/t", named], &[named]).unwrap_err(),
        "there are two repositories named 'one': give one of them another name, as in '[name=…]'"
    );
    assert_eq!(
        names(&["DIR/none"], &[]).unwrap_err(),
        "DIR/none: cannot be read: No such file or directory (os error 2)"
    );
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
