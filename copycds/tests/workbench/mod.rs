//! A directory to build media in, and the tools that build them.

#![allow(dead_code)] // each test program uses its own part

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use copycds::digest::{Algorithm, Digest};
use libtest_mimic::Trial;
use tempfile::TempDir;

pub(crate) mod gpg;

/// A directory that is gone when the test ends.
pub(crate) struct Bench(TempDir);

/// Makes a test that is ignored, with the reason in its kind, where one of the tools is absent.
pub(crate) fn trial(name: &str, tools: &[&str], test: fn()) -> Trial {
    let absent = tools.iter().find(|tool| !installed(tool));
    let trial = Trial::test(name, move || {
        test();
        Ok(())
    });
    match absent {
        Some(tool) => trial
            .with_kind(format!("needs {tool}"))
            .with_ignored_flag(true),
        None => trial,
    }
}

fn installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(tool).is_file())
}

/// Runs a tool that must succeed.
pub(crate) fn run<S: AsRef<OsStr>>(tool: &str, arguments: &[S]) -> Output {
    let output = Command::new(tool).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("starting {tool}: {error}"));
    assert!(
        output.status.success(),
        "{tool}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

impl Bench {
    pub(crate) fn new() -> Self {
        // In memory where there is some: publishing waits for the whole file system to be written.
        let memory = Path::new("/dev/shm");
        Self(
            if memory.is_dir() {
                TempDir::new_in(memory)
            } else {
                TempDir::new()
            }
            .unwrap(),
        )
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the directory of keyrings; it is there.
    pub(crate) fn keys(&self) -> PathBuf {
        let keys = self.path().join("keyrings");
        fs::create_dir_all(&keys).unwrap();
        keys
    }

    /// Lays files out under `root`.
    pub(crate) fn lay(&self, root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Makes an image of a directory.
    pub(crate) fn image(&self, tree: &Path, name: &str, options: &[&str]) -> PathBuf {
        let iso = self.path().join(name);
        let fixed = ["-as", "mkisofs", "-quiet", "-R", "-iso-level", "3"];
        let mut arguments: Vec<&OsStr> = fixed.iter().chain(options).map(OsStr::new).collect();
        arguments.extend([OsStr::new("-o"), iso.as_os_str(), tree.as_os_str()]);
        run("xorriso", &arguments);
        iso
    }

    /// Makes a small Debian medium; its signature's key goes among the keyrings.
    pub(crate) fn mini_debian(&self, name: &str, signed: bool) -> PathBuf {
        self.mini_debian_of(name, signed, "one")
    }

    /// Makes a small Debian medium whose packages carry a mark.
    pub(crate) fn mini_debian_of(&self, name: &str, signed: bool, mark: &str) -> PathBuf {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/media/mini-debian");
        let iso = self.path().join(name);
        let mut command = Command::new(script);
        command.arg(&iso).env("MARK", mark);
        if signed {
            command.arg(self.keys().join("medium.gpg"));
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        iso
    }

    /// Makes the same as a directory that can be changed.
    pub(crate) fn mini_debian_tree(&self, signed: bool) -> PathBuf {
        let iso = self.mini_debian("extracted.iso", signed);
        let tree = self.path().join("tree");
        // xorriso takes what lies under /dev for a drive, unless it is told better.
        let image = format!("stdio:{}", iso.display());
        let tree_text = tree.to_str().unwrap();
        run(
            "xorriso",
            &[
                "-osirrox", "on", "-indev", &image, "-extract", "/", tree_text,
            ],
        );
        run("chmod", &["-R", "u+w", tree_text]);
        tree
    }

    /// Makes a directory with a repository of two packages at `place`.
    pub(crate) fn rpm_tree(&self, place: &str, packing: &str, checksum: &str) -> PathBuf {
        let tree = self.path().join("rpms");
        let root = tree.join(place);
        fs::create_dir_all(root.join("Packages")).unwrap();
        for name in ["one", "two"] {
            let spec = self.path().join(format!("{name}.spec"));
            let text = format!(
                "Name: {name}\nVersion: 1\nRelease: 1\nSummary: a package\nLicense: none\n\
                 BuildArch: noarch\n%description\nA package.\n%files\n"
            );
            fs::write(&spec, text).unwrap();
            let top = format!("_topdir {}", self.path().join("rpmbuild").display());
            let into = format!("_rpmdir {}", self.path().join("built").display());
            let name = "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm";
            let spec = spec.to_str().unwrap();
            run(
                "rpmbuild",
                &["-bb", "--quiet", "-D", &top, "-D", &into, "-D", name, spec],
            );
        }
        for package in fs::read_dir(self.path().join("built")).unwrap() {
            let package = package.unwrap();
            fs::copy(
                package.path(),
                root.join("Packages").join(package.file_name()),
            )
            .unwrap();
        }
        let made = if packing == "zstd" { "gz" } else { packing };
        let to = root.to_str().unwrap();
        let options = [
            "--quiet",
            "--no-database",
            "--general-compress-type",
            made,
            "--checksum",
            checksum,
        ];
        run("createrepo_c", &[&options[..], &[to]].concat());
        if packing == "zstd" {
            repack(&root.join("repodata"));
        }
        tree
    }
}

/// Packs `primary` with zstd, as newer versions of createrepo_c do.
fn repack(repodata: &Path) {
    let names = fs::read_dir(repodata)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let old = { names }
        .find(|path| path.to_string_lossy().ends_with("-primary.xml.gz"))
        .unwrap();
    let (new, old_text) = (repodata.join("primary.xml.zst"), old.to_str().unwrap());
    let script = format!("zcat {old_text} | zstd -q -o {}", new.display());
    run("bash", &["-o", "pipefail", "-c", &script]);
    let sum = |path: &Path| Digest::of(Algorithm::Sha256, &fs::read(path).unwrap()).to_string();
    let size = |path: &Path| format!("<size>{}</size>", fs::metadata(path).unwrap().len());
    let repomd = repodata.join("repomd.xml");
    let text = fs::read_to_string(&repomd).unwrap();
    let text = text
        .replace(
            &format!("repodata/{}-primary.xml.gz", sum(&old)),
            "repodata/primary.xml.zst",
        )
        .replace(&sum(&old), &sum(&new))
        .replace(&size(&old), &size(&new));
    fs::write(repomd, text).unwrap();
    fs::remove_file(old).unwrap();
}
