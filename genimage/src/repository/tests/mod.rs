//! Entries, trees and what nodes are told of them, on an install directory of its own.

mod entries;
mod keys;
mod local;
mod mirrors;
mod trees;

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::*;
use crate::problem::FileLine;
use definitions::PackageOrigin;

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
            tree_key: None,
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
        let place = |line| FileLine {
            file: "list".into(),
            line,
        };
        let directories: Vec<_> = directories
            .iter()
            .enumerate()
            .map(|(at, name)| ((*name).to_owned(), place(at + 1)))
            .collect();
        let with = ResolveContext {
            origin: PackageOrigin::Others,
            served: self.served(),
            codename: None,
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
        let repositories = of_tree(&tree, &self.served(), false)
            .map_err(|problem| self.hide(&problem.to_string()))?;
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
