use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use definitions::RepositoryFormat;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::pkglist::{PackageTransaction, VersionPin};
use crate::problem::FileLine;

static DEBIAN: LazyLock<Distro> = LazyLock::new(|| "debian12.9.0".parse().unwrap());
static ROCKY: LazyLock<Distro> = LazyLock::new(|| "rocky9.4".parse().unwrap());

/// The nodes whose package manager has these repositories.
fn platform(repositories: &[Repository]) -> TargetPlatform<'static> {
    let apt = repositories
        .iter()
        .any(|one| one.form == RepositoryFormat::Apt);
    TargetPlatform {
        distro: if apt { &DEBIAN } else { &ROCKY },
        arch: Arch::X86_64,
    }
}

/// An installation directory with the repositories that a test needs.
struct Scene {
    root: tempfile::TempDir,
    repositories: Vec<Repository>,
}

impl Scene {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            repositories: Vec::new(),
        }
    }

    fn repository(mut self, name: &str, suite: Option<&str>, components: &[&str]) -> Self {
        let directory = self.root.path().join(name);
        self.repositories.push(Repository {
            name: name.to_owned(),
            form: suite.map_or(RepositoryFormat::Dnf, |_| RepositoryFormat::Apt),
            uri: format!("http://10.1.0.1/{name}"),
            directory: Some(directory.display().to_string()),
            suite: suite.map(str::to_owned),
            components: components.iter().map(|one| (*one).to_owned()).collect(),
            ..Repository::default()
        });
        self
    }

    fn internet(mut self) -> Self {
        self = self.repository("docker", Some("bookworm"), &["stable"]);
        let last = self.repositories.last_mut().unwrap();
        last.directory = None;
        last.uri = "https://docker.example.invalid/linux/debian".to_owned();
        self
    }

    fn file(self, path: &str, bytes: &[u8]) -> Self {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn debian() -> Self {
        let main = "Package: exim4\nVersion: 4.96\nProvides: mail-transport-agent\n\n\
            Package: postfix\nVersion: 3.7\nProvides: mail-transport-agent, postfix-lmdb\n\n\
            Package: openssh-server\nVersion: 1:9.2p1-2\n\nPackage: task-ssh-server\nVersion: 3\n";
        Self::new()
            .repository("tree", Some("bookworm"), &["main", "contrib"])
            .file(
                "tree/dists/bookworm/main/binary-amd64/Packages.gz",
                &gzip(main),
            )
            .file("tree/dists/bookworm/contrib/binary-amd64/Packages", b"")
    }

    fn rocky() -> Self {
        let repomd = "<repomd><data type=\"primary\"><location href=\"repodata/p.xml.gz\"/></data>\
                      <data type=\"group_gz\"><location href=\"repodata/c.xml.gz\"/></data></repomd>";
        let primary = "<metadata><package><name>bash</name><arch>x86_64</arch><version epoch=\"0\" ver=\"5.1.8\" rel=\"9.el9\"/>\
                       <format><provides><entry name=\"config(bash)\"/></provides></format></package>\
                       <package><name>kernel-core</name><arch>x86_64</arch><version epoch=\"2\" ver=\"5.14\" rel=\"1\"/></package></metadata>";
        let comps = "<comps><group><id>core</id><name>Core</name></group><environment>\
                     <id>minimal-environment</id><name>Minimal Install</name></environment></comps>";
        Self::new()
            .repository("tree", None, &[])
            .file("tree/repodata/repomd.xml", repomd.as_bytes())
            .file("tree/repodata/p.xml.gz", &gzip(primary))
            .file("tree/repodata/c.xml.gz", &gzip(comps))
    }

    /// What is found of a list, a line each; the scene's own directory is shown as `DIR`.
    fn messages(&self, lines: &[&str]) -> Vec<String> {
        let found = packages(
            &list(lines),
            &self.repositories,
            platform(&self.repositories),
            &IndexCache::default(),
        );
        let plain = |problem: &Problem| {
            let messages = problem.to_string();
            messages.replace(&self.root.path().display().to_string(), "DIR")
        };
        let notes = found
            .notes
            .iter()
            .map(|note| format!("note: {}", plain(note)));
        found.problems.iter().map(plain).chain(notes).collect()
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn list(lines: &[&str]) -> PkgList {
    let mut all = PackageTransaction::default();
    for (number, line) in lines.iter().enumerate() {
        let plain = line.trim_start_matches(['-', '@']);
        let (directory, plain) = match plain.strip_prefix("dir/") {
            Some(plain) => (Some("dir".to_owned()), plain),
            None => (None, plain),
        };
        let (name, version) = match plain.split_once('=') {
            Some((name, version)) => (name, Some(VersionPin::Exact(version.to_owned()))),
            None => (plain, None),
        };
        let place = FileLine {
            file: "a.pkglist".into(),
            line: number + 1,
        };
        let item = ListItem {
            name: name.to_owned(),
            directory,
            version,
            place,
        };
        match line.as_bytes() {
            [b'-', b'-', ..] => all.remove_after.push(item),
            [b'-', ..] => all.exclude.push(item),
            [b'@', ..] => all.groups.push(item),
            _ => all.install.push(item),
        }
    }
    PkgList {
        transactions: vec![all],
        ..PkgList::default()
    }
}

/// `Package: sitetool`, `Version: 1`, packed with bzip2.
const SITETOOL_BZ2: [u8; 70] = *b"\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\x03\xee\x1b\xcf\x00\x00\x03\xdb\x80\x00\x10\x40\x00\x20\x10\x41\x00\x2a\xad\x9c\x00\x20\x00\x31\x4d\x32\x31\x31\x31\x08\x86\xd4\x0c\x13\x26\x18\x10\x74\xd1\x6d\xd1\x96\x8e\x8a\x26\xd3\x95\xa8\x07\xf1\x77\x24\x53\x85\x09\x00\x3e\xe1\xbc\xf0";

#[test]
fn what_apt_can_install_is_not_reported() {
    let wanted = [
        "openssh-server",
        "openssh-server=1:9.2p1-2",
        "openssh-server=1:9.2*",
        "openssh-server:amd64",
        "openssh-*",
        "postfix-lmdb",
        "@ssh-server",
        "@standard",
        "-exim4",
        "-mail-transport-agent",
    ];
    assert_eq!(Scene::debian().messages(&wanted), [""; 0]);
    assert_eq!(Scene::new().messages(&[]), [""; 0]);
}

#[test]
fn what_apt_cannot_install_is_reported_with_what_is_near() {
    for (wanted, messages) in [
        (
            "opensh-server",
            "a.pkglist:1: there is no package 'opensh-server' in tree (DIR/tree bookworm main contrib): did you mean 'openssh-server'?",
        ),
        (
            "zsh",
            "a.pkglist:1: there is no package 'zsh' in tree (DIR/tree bookworm main contrib): correct the name, or name its repository in otherpkgdir",
        ),
        (
            "mail-transport-agent",
            "a.pkglist:1: 'mail-transport-agent' is a virtual package: name one that provides it, such as 'exim4', 'postfix'",
        ),
        (
            "openssh-server=1:9",
            "a.pkglist:1: there is no version '1:9' of 'openssh-server' in tree (DIR/tree bookworm main contrib): there is '1:9.2p1-2'",
        ),
        (
            "@ssh-serve",
            "a.pkglist:1: there is no task 'ssh-serve' in tree (DIR/tree bookworm main contrib): did you mean 'ssh-server'?",
        ),
        (
            "--zsh",
            "note: a.pkglist:1: there is no package 'zsh' in tree (DIR/tree bookworm main contrib): the package to keep out does not exist anyway",
        ),
        (
            "postfix:i386",
            "a.pkglist:1: 'postfix:i386' is not looked up: there is no index of i386 in tree (DIR/tree bookworm main contrib): correct the name, or name its repository in otherpkgdir",
        ),
        (
            "--postfix:i386",
            "note: a.pkglist:1: 'postfix:i386' is not looked up: there is no index of i386 in tree (DIR/tree bookworm main contrib): the package to keep out does not exist anyway",
        ),
    ] {
        assert_eq!(Scene::debian().messages(&[wanted]), [messages]);
    }
}

#[test]
fn a_package_of_another_architecture_is_looked_up_in_the_indices_of_that_one() {
    let index = "Package: libc6\nVersion: 2.36-9\n\nPackage: wine32\nVersion: 8.0\n";
    let scene = || {
        Scene::debian().file(
            "tree/dists/bookworm/main/binary-i386/Packages.gz",
            &gzip(index),
        )
    };
    let nothing: [&str; 0] = [];
    assert_eq!(
        scene().messages(&["libc6:i386", "libc6:i386=2.36-9", "postfix:any"]),
        nothing
    );
    for (wanted, message) in [
        (
            "postfix:i386",
            "a.pkglist:1: there is no package 'postfix:i386' in tree (DIR/tree bookworm main contrib): correct the name, or name its repository in otherpkgdir",
        ),
        (
            "wine3:i386",
            "a.pkglist:1: there is no package 'wine3:i386' in tree (DIR/tree bookworm main contrib): did you mean 'wine32:i386'?",
        ),
        (
            "libc6",
            "a.pkglist:1: there is no package 'libc6' in tree (DIR/tree bookworm main contrib): correct the name, or name its repository in otherpkgdir",
        ),
        (
            "libc6:i386=1",
            "a.pkglist:1: there is no version '1' of 'libc6:i386' in tree (DIR/tree bookworm main contrib): there is '2.36-9'",
        ),
        (
            "libc6:arm64",
            "a.pkglist:1: 'libc6:arm64' is not looked up: there is no index of arm64 in tree (DIR/tree bookworm main contrib): correct the name, or name its repository in otherpkgdir",
        ),
    ] {
        assert_eq!(scene().messages(&[wanted]), [message]);
    }
    let mut limited = scene();
    limited.repositories[0].architectures = vec!["amd64".to_owned()];
    assert_eq!(
        limited.messages(&["libc6:i386"]),
        [
            "a.pkglist:1: there is no package 'libc6:i386': no repository is for i386: correct the name, or name its repository in otherpkgdir"
        ]
    );
    assert_eq!(
        Scene::debian().internet().messages(&["libc6:i386"])[1..],
        [
            "note: a.pkglist:1: 'libc6:i386' is not looked up: there is no index of i386 in tree (DIR/tree bookworm main contrib), and docker (https://docker.example.invalid/linux/debian bookworm stable) could not be read: correct the name, or name its repository in otherpkgdir"
        ]
    );
}

#[test]
fn a_repository_that_cannot_be_read_makes_notes_of_problems() {
    let expected = [
        "note: packages of docker (https://docker.example.invalid/linux/debian bookworm stable) are not looked up: it is not on this machine",
        "note: a.pkglist:2: there is no package 'docker-ce' in tree (DIR/tree bookworm main contrib), and docker (https://docker.example.invalid/linux/debian bookworm stable) could not be read: correct the name, or name its repository in otherpkgdir",
    ];
    let scene = Scene::debian().internet();
    assert_eq!(scene.messages(&["postfix", "docker-ce"]), expected);
}

#[test]
fn a_tree_without_an_index_says_so_once() {
    let expected = [
        "note: packages of tree (DIR/tree bookworm main) are not looked up: there is no DIR/tree/dists/bookworm/main/binary-amd64/Packages",
    ];
    let scene = Scene::new().repository("tree", Some("bookworm"), &["main"]);
    assert_eq!(scene.messages(&["postfix", "zsh", "@x"]), expected);
    let expected = [
        "note: packages of tree (DIR/tree) are not looked up: there is no DIR/tree/repodata/repomd.xml",
    ];
    let scene = Scene::new().repository("tree", None, &[]);
    assert_eq!(scene.messages(&["postfix", "zsh", "@x"]), expected);
}

#[test]
fn an_empty_index_has_no_package() {
    let index = "tree/dists/bookworm/main/binary-amd64/Packages";
    let scene = Scene::new()
        .repository("tree", Some("bookworm"), &["main"])
        .file(index, b"");
    let expected = [
        "a.pkglist:1: there is no package 'zsh' in tree (DIR/tree bookworm main): correct the name, or name its repository in otherpkgdir",
    ];
    assert_eq!(scene.messages(&["zsh"]), expected);
}

#[test]
fn a_damaged_index_is_a_problem_of_its_own() {
    let scene = Scene::debian().file(
        "tree/dists/bookworm/contrib/binary-amd64/Packages",
        b"Package: \xff",
    );
    let expected = [
        "DIR/tree/dists/bookworm/contrib/binary-amd64/Packages:1: this index cannot be read: the field Package is no UTF-8 text: import the medium again, or create the index again",
        "note: a.pkglist:1: there is no package 'zsh' in what was read of tree (DIR/tree bookworm main contrib): correct the name, or name its repository in otherpkgdir",
    ];
    assert_eq!(scene.messages(&["zsh"]), expected);
}

#[test]
fn a_local_directory_is_searched_for_what_is_below_it() {
    let scene = Scene::debian()
        .repository("otherpkgs/dir", Some("./"), &[])
        .file("otherpkgs/dir/Packages", b"Package: ours\nVersion: 1\n");
    assert_eq!(scene.messages(&["ours", "dir/ours", "postfix"]), [""; 0]);
    let expected = [
        "a.pkglist:1: there is no package 'postfix' in otherpkgs/dir (DIR/otherpkgs/dir): correct the name, or name its repository in otherpkgdir",
    ];
    assert_eq!(scene.messages(&["dir/postfix"]), expected);
}

#[test]
fn an_index_of_all_architectures_is_read_where_it_is_apart() {
    let all = "Package: ours\nVersion: 1\n";
    let scene = Scene::debian().file(
        "tree/dists/bookworm/main/binary-all/Packages",
        all.as_bytes(),
    );
    assert_eq!(scene.messages(&["ours"]).len(), 1);
    let scene = scene.file(
        "tree/dists/bookworm/Release",
        b"Architectures: all amd64\nSHA256:\n",
    );
    assert_eq!(scene.messages(&["ours"]), [""; 0]);
}

#[test]
fn what_dnf_can_install_is_not_reported() {
    let wanted = [
        "bash",
        "bash.x86_64",
        "bash-5.1.8",
        "bash-5.1.8-9.el9",
        "bash-5.1.8-9.el9.x86_64",
        "kernel-core-5.14-1",
        "kernel-core-2:5.14-1",
        "kernel*",
        "config(bash)",
        "@core",
        "@^minimal-environment",
        "@^Minimal Install",
        "-bash",
    ];
    assert_eq!(Scene::rocky().messages(&wanted), [""; 0]);
}

#[test]
fn what_dnf_cannot_install_is_reported_with_what_is_near() {
    for (wanted, messages) in [
        (
            "bahs",
            "a.pkglist:1: there is no package 'bahs' in tree (DIR/tree): did you mean 'bash'?",
        ),
        (
            "bash=4",
            "a.pkglist:1: there is no version '4' of 'bash' in tree (DIR/tree): there is '5.1.8-9.el9.x86_64'",
        ),
        (
            "@minimal-environment",
            "a.pkglist:1: there is no group 'minimal-environment' in tree (DIR/tree): write '@^minimal-environment', which is an environment",
        ),
        (
            "@^minimal-enviroment",
            "a.pkglist:1: there is no environment 'minimal-enviroment' in tree (DIR/tree): did you mean 'minimal-environment'?",
        ),
        (
            "@nodejs:16",
            "note: a.pkglist:1: 'nodejs:16' is not looked up: modules are not",
        ),
        (
            "/usr/bin/sh",
            "note: a.pkglist:1: '/usr/bin/sh' is not looked up: files of packages are not",
        ),
    ] {
        assert_eq!(Scene::rocky().messages(&[wanted]), [messages]);
    }
}

#[test]
fn suse_patterns_are_found_in_both_forms_of_index() {
    let packages = "=Pkg: patterns-sles-base 12 77.1 x86_64\n+Prv:\npattern() = base\n-Prv:\n";
    let scene = Scene::new()
        .repository("tree", None, &[])
        .file("tree/suse/setup/descr/packages.gz", &gzip(packages));
    assert_eq!(scene.messages(&["@base", "patterns-sles-base"]), [""; 0]);
}

#[test]
fn a_repository_of_other_architectures_is_not_read() {
    let mut scene = Scene::debian();
    scene.repositories[0].architectures = vec!["arm64".to_owned()];
    assert_eq!(scene.messages(&["postfix"]), [""; 0]);
}

#[test]
fn nothing_is_read_outside_of_the_repository() {
    for (suite, component) in [("../..", "main"), ("bookworm", "../main"), ("/etc/", "x")] {
        let scene = Scene::new().repository("tree", Some(suite), &[component]);
        let messages = scene.messages(&["zsh"]);
        assert_eq!(messages.len(), 1);
        assert!(
            messages[0].ends_with("leads out of DIR/tree"),
            "{messages:?}"
        );
    }
    let repomd = "<repomd><data type=\"primary\"><location href=\"../p.xml\"/></data></repomd>";
    let scene = Scene::new()
        .repository("tree", None, &[])
        .file("tree/repodata/repomd.xml", repomd.as_bytes());
    let expected = [
        "DIR/tree/repodata/repomd.xml: names '../p.xml', which leads out of the repository: create it again",
    ];
    assert_eq!(scene.messages(&["zsh"]), expected);
}

#[test]
fn an_index_is_read_once() {
    let scene = Scene::debian();
    let cache = IndexCache::default();
    let found = packages(
        &list(&["postfix"]),
        &scene.repositories,
        platform(&scene.repositories),
        &cache,
    );
    assert!(found.is_ok());
    fs::remove_dir_all(Path::new(scene.root.path()).join("tree")).unwrap();
    let found = packages(
        &list(&["exim4"]),
        &scene.repositories,
        platform(&scene.repositories),
        &cache,
    );
    assert_eq!(found, Findings::default());
}

#[test]
fn an_architecture_after_a_name_is_the_package_s_own() {
    let primary = "<metadata><package><name>glibc</name><arch>i686</arch><version epoch=\"0\" ver=\"2.34\" rel=\"1\"/>\
                   </package><package><name>glibc</name><arch>x86_64</arch><version epoch=\"0\" ver=\"2.34\" rel=\"1\"/>\
                   </package><package><name>chrony</name><arch>noarch</arch><version epoch=\"0\" ver=\"4\" rel=\"2\"/>\
                   </package></metadata>";
    let scene = Scene::rocky().file("tree/repodata/p.xml.gz", &gzip(primary));
    let wanted = [
        "glibc",
        "glibc.i686",
        "glibc.x86_64",
        "glibc-2.34",
        "glibc-2.34-1",
        "glibc-2.34-1.x86_64",
        "chrony.noarch",
        "chrony-4.noarch",
    ];
    assert_eq!(scene.messages(&wanted), [""; 0]);
    for (wanted, messages) in [
        (
            "chrony.i686",
            "a.pkglist:1: there is no version 'i686' of 'chrony' in tree (DIR/tree): there is '4-2.noarch'",
        ),
        (
            "glibc.i386",
            "a.pkglist:1: there is no version 'i386' of 'glibc' in tree (DIR/tree): there is '2.34-1.i686', \
             '2.34-1.x86_64'",
        ),
        (
            "glibc-2.34-1.noarch",
            "a.pkglist:1: there is no package 'glibc-2.34-1.noarch' in tree (DIR/tree): correct the name, or name its \
             repository in otherpkgdir",
        ),
    ] {
        assert_eq!(scene.messages(&[wanted]), [messages]);
    }
}

#[test]
fn a_suite_after_a_name_is_one_of_the_repositories() {
    let release = b"Suite: stable\nCodename: bookworm\n";
    let scene = Scene::debian().file("tree/dists/bookworm/Release", release);
    let messages = |suite: &str| {
        let mut list = list(&["postfix"]);
        list.transactions[0].install[0].version = Some(VersionPin::Suite(suite.to_owned()));
        let platform = platform(&scene.repositories);
        let found = packages(&list, &scene.repositories, platform, &IndexCache::default());
        found
            .problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(messages("bookworm"), [""; 0]);
    assert_eq!(messages("stable"), [""; 0]);
    assert_eq!(
        messages("trixie"),
        [
            "a.pkglist:1: 'postfix/trixie' asks for a suite that none of its repositories has: there is 'bookworm', \
             'stable'"
        ]
    );
}

#[test]
fn an_index_that_the_node_cannot_read_is_reported() {
    let repomd =
        "<repomd><data type=\"primary\"><location href=\"repodata/p.xml.zst\"/></data></repomd>";
    let scene = Scene::rocky()
        .file("tree/repodata/repomd.xml", repomd.as_bytes())
        .file("tree/repodata/p.xml.zst", b"");
    let old: Distro = "centos7.9".parse().unwrap();
    let platform = TargetPlatform {
        distro: &old,
        arch: Arch::X86_64,
    };
    let found = packages(
        &list(&["bash"]),
        &scene.repositories,
        platform,
        &IndexCache::default(),
    );
    let messages: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    let root = scene.root.path().display();
    assert_eq!(
        messages,
        [format!(
            "{root}/tree/repodata/p.xml.zst: the package manager of centos7.9 cannot read an index with this compression: \
             create it again with gzip, as by `createrepo_c --general-compress-type=gz --compress-type=gz`"
        )]
    );
}

#[test]
fn an_index_that_is_packed_with_bzip2_alone_is_looked_up() {
    let scene = Scene::new()
        .repository("extra1", Some("./"), &[])
        .file("extra1/Packages.bz2", &SITETOOL_BZ2);
    assert_eq!(scene.messages(&["sitetool"]), [""; 0]);
}

#[test]
fn an_index_counts_if_release_names_it_as_it_is() {
    let index = "Package: sitetool\nVersion: 1\n";
    let release = |digest: &str| format!("SHA256:\n {digest} 31 Packages.gz\n");
    let packed = gzip(index);
    let digest: String = Sha256::digest(&packed)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let scene = |digest: &str| {
        Scene::new()
            .repository("extra1", Some("./"), &[])
            .file("extra1/Packages", b"Package: old\nVersion: 1\n")
            .file("extra1/Packages.gz", &packed)
            .file("extra1/Release", release(digest).as_bytes())
    };
    assert_eq!(scene(&digest).messages(&["sitetool"]), [""; 0]);
    assert_eq!(
        scene(&digest).messages(&["old"]),
        [
            "a.pkglist:1: there is no package 'old' in extra1 (DIR/extra1): correct the name, or name its repository in \
             otherpkgdir"
        ]
    );
    assert_eq!(
        scene(&"00".repeat(32)).messages(&["sitetool"]),
        [
            "DIR/extra1/./Packages.gz: differs from the digest in Release, and nodes would refuse it: bring the mirror up to date, \
             or create that again"
        ]
    );
    let unnamed = Scene::new()
        .repository("extra1", Some("./"), &[])
        .file("extra1/Packages.xz", b"")
        .file("extra1/Release", release(&digest).as_bytes());
    assert_eq!(
        unnamed.messages(&["sitetool"]),
        [
            "DIR/extra1/./Packages: is not named by its Release, so that apt does not read it: create Release again"
        ]
    );
}
