//! Any bytes as each index of a repository: never a panic, and always a word on a name that is nowhere.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use definitions::RepositoryFormat;
use genimage::check::packages::{IndexCache, TargetPlatform, packages};
use genimage::pkglist::{ListItem, PackageTransaction, PkgList};
use genimage::problem::FileLine;
use genimage::repository::Repository;
use libfuzzer_sys::fuzz_target;

/// Each index, with what tells that it is apt's.
const INDICES: &[(&str, Option<&str>)] = &[
    ("Packages", Some("./")),
    ("Packages.gz", Some("./")),
    ("Packages.xz", Some("./")),
    ("repodata/repomd.xml", None),
    ("repodata/p.xml", None),
    ("repodata/p.xml.zst", None),
    ("repodata/c.xml", None),
    ("suse/setup/descr/packages", None),
];

/// Where they lie, each with what must lie beside it: in the directory that `run` makes.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = std::env::var_os("SLIPWAY_FUZZ").expect("tests/fuzz/run to have set SLIPWAY_FUZZ");
    let root = PathBuf::from(root);
    for (at, (path, _)) in INDICES.iter().enumerate() {
        let file = root.join(at.to_string()).join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("making a directory");
        if path.starts_with("repodata/") {
            let name = if path.contains("p.xml") {
                path
            } else {
                &"repodata/p.xml"
            };
            let repomd = format!(
                "<repomd><data type=\"primary\"><location href=\"{name}\"/></data>\
                 <data type=\"group\"><location href=\"repodata/c.xml\"/></data></repomd>"
            );
            let place = file.with_file_name("repomd.xml");
            fs::write(place, repomd).expect("writing repomd.xml");
        }
    }
    root
});

fuzz_target!(|data: (u8, &[u8])| {
    let (which, bytes) = data;
    let at = usize::from(which) % INDICES.len();
    let (path, suite) = INDICES[at];
    let root = ROOT.join(at.to_string());
    fs::write(root.join(path), bytes).expect("writing an index");
    let item = |name: &str| ListItem {
        name: name.to_owned(),
        directory: None,
        version: None,
        place: FileLine {
            file: "a.pkglist".into(),
            line: 1,
        },
    };
    let list = PkgList {
        transactions: vec![PackageTransaction {
            install: vec![item("no such name"), item("a*")],
            groups: vec![item("core"), item("^minimal")],
            ..PackageTransaction::default()
        }],
        ..PkgList::default()
    };
    let repository = Repository {
        name: "tree".to_owned(),
        form: suite.map_or(RepositoryFormat::Dnf, |_| RepositoryFormat::Apt),
        directory: Some(root.display().to_string()),
        suite: suite.map(str::to_owned),
        ..Repository::default()
    };
    let distro = if suite.is_some() { "debian12.9.0" } else { "rocky9.4" };
    let platform = TargetPlatform {
        distro: &distro.parse().expect("a release"),
        arch: "x86_64".parse().expect("an architecture"),
    };
    let findings = packages(&list, &[repository], platform, &IndexCache::default());
    let told = findings.problems.len() + findings.notes.len();
    assert!(
        told > 0 || bytes.windows(4).any(|word| word == b"such"),
        "{bytes:?}"
    );
});
