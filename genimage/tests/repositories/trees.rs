//! The trees of real media, laid out as empty files.

use std::fs;
use std::io::Read;
use std::path::Path;

use definitions::{Arch, InstallDir};
use libtest_mimic::Failed;

use genimage::repository::{Repository, Served, of_tree};

/// Real media, by the beginning of their listing's name, and their repositories.
pub(crate) const TREES: [(&str, &str, &[&str]); 10] = [
    (
        "trusty__",
        "ubuntu14.04.6",
        &["tree trusty main restricted"],
    ),
    ("jammy__", "ubuntu22.04.1", &["tree jammy main restricted"]),
    ("cloudlinux7__", "cloudlinux7.9", &["tree"]),
    (
        "rhel8__Rocky-8.5",
        "rocky8.5",
        &["tree-BaseOS", "tree-AppStream"],
    ),
    (
        "rhel8__Rocky-8.9",
        "rocky8.9",
        &["tree-BaseOS", "tree-Minimal"],
    ),
    ("rhel10__", "alma10.0", &["tree-Minimal"]),
    ("fedora44__", "fedora44", &["tree"]),
    ("opensuse15.5__", "leap15.5", &["tree"]),
    (
        "sles15sp5__",
        "sle15.5",
        &[
            "tree",
            "tree-Module-Basesystem",
            "tree-Module-Containers",
            "tree-Module-Desktop-Applications",
            "tree-Module-Development-Tools",
            "tree-Module-HPC",
            "tree-Module-Legacy",
            "tree-Module-Live-Patching",
            "tree-Module-Public-Cloud",
            "tree-Module-Python3",
            "tree-Module-Server-Applications",
            "tree-Module-Transactional-Server",
            "tree-Module-Web-Scripting",
            "tree-Product-SLES",
        ],
    ),
    ("sles16.0__", "sle16.0", &["tree-install"]),
];

/// Lays a medium's indices out as empty files, and asks for its repositories.
pub(crate) fn tree(
    listings: &Path,
    beginning: &str,
    distro: &str,
    expected: &[&str],
) -> Result<(), Failed> {
    let names = fs::read_dir(listings)?.filter_map(Result::ok);
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let listing = names
        .find(|name| name.starts_with(beginning) && name.ends_with(".txt.gz"))
        .ok_or_else(|| format!("no listing begins with {beginning}"))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(listings.join(listing))?)
        .read_to_string(&mut text)?;
    let directory = tempfile::tempdir()?;
    let tree = directory.path().join("t");
    for path in text.lines() {
        if path.starts_with("dists/") || path.ends_with("/repomd.xml") || path == "content" {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap())?;
            fs::write(path, "")?;
        }
    }
    let installdir = InstallDir::new(directory.path());
    let served = Served {
        installdir: &installdir,
        url: "http://10.1.0.1/install",
        distro: &distro.parse()?,
        arch: Arch::X86_64,
        tree_key: None,
    };
    let repositories = of_tree(&tree, &served, false).map_err(|problem| problem.to_string())?;
    let line = |repository: Repository| {
        let words = [repository.name]
            .into_iter()
            .chain(repository.suite)
            .chain(repository.components);
        words.collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<_> = repositories.into_iter().map(line).collect();
    if lines == expected {
        Ok(())
    } else {
        Err(format!("{distro} has {lines:?}").into())
    }
}
