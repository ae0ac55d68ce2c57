//! Repositories made by the distributions' own tools, and what apt itself says of names in them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use definitions::Arch;
use definitions::RepositoryFormat;
use genimage::check::Findings;
use genimage::check::packages::{Platform, Shelf, packages};
use genimage::pkglist::{Item, PkgList, Transaction};
use genimage::problem::Place;
use genimage::repository::Repository;
use libtest_mimic::Trial;

use crate::needs::Need;
use crate::trial;

/// Names, and whether apt installs them from the repository of [`debian`].
const NAMES: &[(&str, bool)] = &[
    ("one", true),
    ("one=1.0-1", true),
    ("one=1.*", true),
    ("one=1.0", false),
    ("two", true),
    ("on*", true),
    ("on?", true),
    ("nothing*", false),
    ("three", false),
    ("only", true),
    ("either", false),
    ("one:all", true),
];

pub(crate) fn trials() -> Vec<Trial> {
    let apt = &[
        Need::Tool("apt-get"),
        Need::Tool("apt-ftparchive"),
        Need::Tool("dpkg-deb"),
        Need::Tool("xz"),
    ];
    let rpm = &[
        Need::Tool("createrepo_c"),
        Need::Tool("rpmbuild"),
        Need::Tool("zstd"),
    ];
    vec![
        trial("apt_says_the_same_of_every_name", apt, every_name),
        trial(
            "an_rpm_repository_is_read_however_packed",
            rpm,
            rpm_repository,
        ),
    ]
}

fn every_name() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    debian(root);
    // Release names all three; one of them lies there at a time
    let index = root.join("dists/bookworm/main/binary-amd64/Packages");
    let forms = ["Packages", "Packages.gz", "Packages.xz"].map(|name| index.with_file_name(name));
    for only in &forms {
        let others = || forms.iter().filter(|form| *form != only);
        for form in others() {
            fs::rename(
                form,
                form.with_extension("hidden-".to_owned() + &extension(form)),
            )
            .unwrap();
        }
        for (name, good) in NAMES {
            let findings = look_up(root, Some("bookworm"), name);
            assert_eq!(findings.is_ok(), *good, "{only:?}: {name}: {findings:?}");
            assert!(findings.notes.is_empty(), "{only:?}: {name}: {findings:?}");
        }
        for form in others() {
            fs::rename(
                form.with_extension("hidden-".to_owned() + &extension(form)),
                form,
            )
            .unwrap();
        }
    }
    for (name, good) in NAMES {
        assert_eq!(apt(root, name), *good, "apt: {name}");
    }
}

/// A repository with `one`, and with `two` and `two-more`, which both provide `either`.
fn debian(root: &Path) {
    let pool = root.join("pool");
    fs::create_dir_all(&pool).unwrap();
    for (name, more) in [
        ("one", "Provides: only, one\n"),
        ("two", "Provides: either (= 1)\n"),
        ("two-more", "Provides: either\n"),
    ] {
        let package = root.join("build").join(name);
        fs::create_dir_all(package.join("DEBIAN")).unwrap();
        let control = format!(
            "Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: nobody\n{more}Description: a package\n"
        );
        fs::write(package.join("DEBIAN/control"), control).unwrap();
        run(Command::new("dpkg-deb")
            .arg("--build")
            .arg(&package)
            .arg(&pool));
    }
    let binary = root.join("dists/bookworm/main/binary-amd64");
    fs::create_dir_all(&binary).unwrap();
    let index = run(Command::new("apt-ftparchive")
        .args(["packages", "pool"])
        .current_dir(root));
    fs::write(binary.join("Packages"), index.stdout).unwrap();
    // what Release names, apt reads
    for packing in ["gzip", "xz"] {
        run(Command::new(packing)
            .arg("--keep")
            .arg(binary.join("Packages")));
    }
    let dists = root.join("dists/bookworm");
    let mut release = Command::new("apt-ftparchive");
    for option in [
        "Suite=stable",
        "Codename=bookworm",
        "Architectures=amd64",
        "Components=main",
    ] {
        release.arg(format!("-oAPT::FTPArchive::Release::{option}"));
    }
    let release = run(release.args(["release", "."]).current_dir(&dists));
    fs::write(dists.join("Release"), release.stdout).unwrap();
}

/// The packing that a file's name ends in.
fn extension(path: &Path) -> String {
    path.extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Whether apt would install a name, on a machine where nothing is installed.
fn apt(root: &Path, name: &str) -> bool {
    let state = root.join("state");
    fs::create_dir_all(state.join("lists/partial")).unwrap();
    fs::create_dir_all(state.join("cache/archives/partial")).unwrap();
    fs::write(state.join("status"), "").unwrap();
    let sources = format!(
        "deb [trusted=yes arch=amd64] file:{} bookworm main\n",
        root.display()
    );
    fs::write(state.join("sources.list"), sources).unwrap();
    let mut update = apt_get(&state);
    run(update.arg("update"));
    let output = apt_get(&state)
        .args(["--simulate", "install", name])
        .output()
        .unwrap();
    output.status.success()
}

fn apt_get(state: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let state = state.display();
    for option in [
        format!("Dir::Etc::sourcelist={state}/sources.list"),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        format!("Dir::State::lists={state}/lists"),
        format!("Dir::State::status={state}/status"),
        format!("Dir::Cache={state}/cache"),
        "APT::Architecture=amd64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
        "Debug::NoLocking=true".to_owned(),
    ] {
        command.arg("-o").arg(option);
    }
    command
}

fn rpm_repository() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::write(
        root.join("comps.xml"),
        "<comps><group><id>core</id><name>Core</name><packagelist/></group><environment><id>minimal</id>\
         <name>Minimal Install</name><grouplist/></environment></comps>",
    )
    .unwrap();
    let spec = "Name: patterns-base-base\nVersion: 1\nRelease: 2\nSummary: a package\nLicense: none\nBuildArch: noarch\n\
        Provides: pattern() = base\nProvides: config(base)\n%description\nA package.\n%files\n";
    fs::write(root.join("one.spec"), spec).unwrap();
    let top = format!("_topdir {}", root.join("build").display());
    let into = format!("_rpmdir {}", root.display());
    run(Command::new("rpmbuild")
        .args(["-bb", "--quiet", "-D", &top, "-D", &into])
        .arg(root.join("one.spec")));
    for packing in ["gz", "xz", "zstd"] {
        let made = if packing == "zstd" { "gz" } else { packing };
        let mut createrepo = Command::new("createrepo_c");
        createrepo.args(["--quiet", "--no-database", "--general-compress-type", made]);
        run(createrepo.args(["--groupfile", "comps.xml"]).arg(root));
        if packing == "zstd" {
            repack(&root.join("repodata"));
        }
        for name in [
            "patterns-base-base",
            "patterns-base-base=1-2",
            "config(base)",
            "@base",
            "@core",
            "@^Minimal Install",
        ] {
            assert_eq!(
                look_up(root, None, name),
                Findings::default(),
                "{packing}: {name}"
            );
        }
        let findings = look_up(root, None, "pattern-base-base");
        let problem = findings.problems[0].to_string();
        assert!(
            problem.ends_with("did you mean 'patterns-base-base'?"),
            "{packing}: {problem}"
        );
    }
}

/// Packs primary with zstd, as newer versions of createrepo_c do.
fn repack(repodata: &Path) {
    let repomd = fs::read_to_string(repodata.join("repomd.xml")).unwrap();
    let start = repomd.find("repodata/").unwrap();
    let all: Vec<_> = repomd.match_indices("-primary.xml.gz").collect();
    assert_eq!((all.len(), start > 0), (1, true));
    let old = fs::read_dir(repodata)
        .unwrap()
        .map(|file| file.unwrap().path());
    let old = { old }
        .find(|path| path.to_string_lossy().ends_with("-primary.xml.gz"))
        .unwrap();
    run(Command::new("gzip").arg("--decompress").arg(&old));
    run(Command::new("zstd")
        .args(["--quiet", "--rm"])
        .arg(old.with_extension("")));
    fs::write(
        repodata.join("repomd.xml"),
        repomd.replace("-primary.xml.gz", "-primary.xml.zst"),
    )
    .unwrap();
}

/// Looks up one name of a list: a package, or a group behind `@`.
fn look_up(root: &Path, suite: Option<&str>, line: &str) -> Findings {
    let (name, version) = match line.split_once('=') {
        Some((name, version)) => (name, Some(format!("={version}"))),
        None => (line, None),
    };
    let item = Item {
        name: name.trim_start_matches('@').to_owned(),
        directory: None,
        version,
        place: Place {
            file: "a.pkglist".into(),
            line: 1,
        },
    };
    let mut all = Transaction::default();
    match line.starts_with('@') {
        true => all.groups.push(item),
        false => all.install.push(item),
    }
    let list = PkgList {
        transactions: vec![all],
        ..PkgList::default()
    };
    let distro = if suite.is_some() {
        "debian12.9.0"
    } else {
        "rocky9.4"
    };
    packages(
        &list,
        &[repository(root, suite)],
        Platform {
            distro: &distro.parse().unwrap(),
            arch: Arch::X86_64,
        },
        &Shelf::default(),
    )
}

fn repository(root: &Path, suite: Option<&str>) -> Repository {
    Repository {
        name: "tree".to_owned(),
        form: suite.map_or(RepositoryFormat::Dnf, |_| RepositoryFormat::Apt),
        directory: Some(root.display().to_string()),
        suite: suite.map(str::to_owned),
        components: suite.map(|_| "main".to_owned()).into_iter().collect(),
        ..Repository::default()
    }
}

/// Runs a tool that must succeed.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}
