//! Where iPXE's source comes from: the distribution's source package, or a directory.
//!
//! The package is fetched with indexes, a cache and a list of sources of this run's own: nothing of this machine's apt
//! changes. apt checks it by the archive's key. Reference: apt-get(8), sources.list(5), dpkg-source(1).

use std::convert::Infallible;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use definitions::hex;
use definitions::terminal::escaped;
use sha2::{Digest as _, Sha256};

/// The name of the source package.
const PACKAGE: &str = "ipxe";

/// No source of iPXE is as large.
const MAX_BYTES: u64 = 512 << 20;

/// Where the source comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourcePlace {
    /// This distribution's source package.
    Apt,
    /// A directory that holds it unpacked.
    Directory(PathBuf),
}

impl FromStr for SourcePlace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "apt" => Self::Apt,
            path => Self::Directory(path.into()),
        })
    }
}

/// A source that may be built in.
#[derive(Debug)]
pub(super) struct SourceTree {
    pub(super) path: PathBuf,
    /// The SHA-256 of the names and contents of its files.
    pub(super) digest: String,
}

/// Brings the source below a directory.
///
/// # Errors
/// When there is none.
pub(super) fn fetch(place: &SourcePlace, scratch: &Path) -> Result<SourceTree> {
    let from = match place {
        SourcePlace::Directory(path) => path.clone(),
        SourcePlace::Apt => from_apt(&scratch.join("apt"))?,
    };
    if !from.join("src/Makefile").is_file() {
        bail!(
            "{} holds no source of iPXE: expected src/Makefile in it",
            from.display()
        );
    }
    let path = scratch.join("source");
    let mut copy = SourceCopy {
        digest: Sha256::new(),
        left: MAX_BYTES,
    };
    copy.directory(&from, &path, Path::new(""))
        .with_context(|| format!("copying the source of iPXE from {}", from.display()))?;
    Ok(SourceTree {
        path,
        digest: hex(&copy.digest.finalize()),
    })
}

/// Copies a source, and computes its digest meanwhile.
struct SourceCopy {
    digest: Sha256,
    left: u64,
}

impl SourceCopy {
    fn directory(&mut self, from: &Path, to: &Path, below: &Path) -> Result<()> {
        fs::create_dir(to)?;
        let entries = fs::read_dir(from)?.collect::<std::io::Result<Vec<_>>>()?;
        let mut names: Vec<_> = entries.iter().map(fs::DirEntry::file_name).collect();
        names.sort();
        for name in names {
            let (source, target, path) = (from.join(&name), to.join(&name), below.join(&name));
            let kind = fs::symlink_metadata(&source)?;
            if kind.is_dir() {
                if !is_left_out(&path) {
                    self.directory(&source, &target, &path)?;
                }
                continue;
            }
            let bytes = if kind.is_symlink() {
                let leads = fs::read_link(&source)?;
                symlink(&leads, &target)?;
                leads.into_os_string().into_encoded_bytes()
            } else if kind.is_file() {
                self.left = self.left.checked_sub(kind.len()).with_context(|| {
                    format!("it has more than {MAX_BYTES} bytes: no source of iPXE has")
                })?;
                fs::copy(&source, &target)?;
                fs::read(&target)?
            } else {
                bail!("{} is no regular file", path.display());
            };
            self.add(path.as_os_str());
            self.add(OsStr::new(&bytes.len().to_string()));
            self.digest.update(&bytes);
        }
        Ok(())
    }

    fn add(&mut self, text: &OsStr) {
        self.digest.update(text.as_encoded_bytes());
        self.digest.update([0]);
    }
}

/// Whether a directory holds what was built or is git's, and not source.
fn is_left_out(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let built = name == "bin" || name.starts_with("bin-");
    name == ".git" || (built && path.parent() == Some(Path::new("src")))
}

/// Fetches and unpacks the distribution's source package.
fn from_apt(directory: &Path) -> Result<PathBuf> {
    let (list, parts) = machine_sources()?;
    let (sources, unpacked) = (directory.join("sources.list.d"), directory.join("unpacked"));
    for made in [
        &sources,
        &unpacked,
        &directory.join("state/lists/partial"),
        &directory.join("cache/archives/partial"),
    ] {
        fs::create_dir_all(made).with_context(|| format!("making {}", made.display()))?;
    }
    let mut files: Vec<_> = fs::read_dir(&parts)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.push(list);
    for file in files.iter().filter(|file| file.is_file()) {
        let text =
            fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let target = sources.join(file.file_name().unwrap_or_default());
        fs::write(&target, of_sources(&text))
            .with_context(|| format!("writing {}", target.display()))?;
    }
    let apt = |verb: &[&str]| {
        let option = |name: &str, path: &Path| format!("{name}={}", path.display());
        let mut command = Command::new("apt-get");
        for option in [
            option("Dir::State", &directory.join("state")),
            option("Dir::State::status", Path::new("/var/lib/dpkg/status")),
            option("Dir::Cache", &directory.join("cache")),
            option("Dir::Etc::SourceList", Path::new("/dev/null")),
            option("Dir::Etc::SourceParts", &sources),
        ] {
            command.arg("-o").arg(option);
        }
        command.arg("-q").args(verb).current_dir(&unpacked);
        run(command, &format!("apt-get {}", verb.join(" ")))
    };
    apt(&["update"])?;
    apt(&["source", PACKAGE]).context(
        "fetching the source package of iPXE: unpack one elsewhere and name its directory with --source",
    )?;
    let mut found = fs::read_dir(&unpacked)
        .with_context(|| format!("reading {}", unpacked.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()));
    found
        .find(|path| path.is_dir())
        .context("apt-get source has unpacked no source of iPXE: install dpkg-dev")
}

/// Asks apt where this machine's sources are: a file, and a directory.
fn machine_sources() -> Result<(PathBuf, PathBuf)> {
    let mut command = Command::new("apt-config");
    command.args([
        "shell",
        "LIST",
        "Dir::Etc::SourceList/f",
        "PARTS",
        "Dir::Etc::SourceParts/d",
    ]);
    let text = run(command, "apt-config").context(
        "this machine has no apt that has the source of iPXE: unpack its source package and name the directory with \
         --source",
    )?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        PathBuf::from(line.unwrap_or_default().trim_matches('\''))
    };
    Ok((value("LIST="), value("PARTS=")))
}

/// Makes sources of binary packages ones of source packages.
fn of_sources(text: &str) -> String {
    let line = |line: &str| match line.split_once([' ', '\t']) {
        Some(("deb", rest)) => format!("deb-src {rest}\n"),
        Some(("Types:", _)) => "Types: deb-src\n".to_owned(),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Runs a program; returns what it printed.
fn run(mut command: Command, name: &str) -> Result<String> {
    let ended = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("running {name}"))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let errors = said.lines().filter(|line| line.starts_with("E: "));
        bail!(
            "{name}: {}",
            escaped(&errors.collect::<Vec<_>>().join("; "), '\t')
        );
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_packages_become_those_of_their_source() {
        for (text, expected) in [
            (
                "deb [signed-by=/k] http://m.example.invalid/debian trixie main\n# deb x\n",
                "deb-src [signed-by=/k] http://m.example.invalid/debian trixie main\n# deb x\n",
            ),
            (
                "deb-src http://m.example.invalid/debian trixie main\n",
                "deb-src http://m.example.invalid/debian trixie main\n",
            ),
            (
                "Types: deb\nURIs: http://m.example.invalid/debian\nSuites: trixie\n",
                "Types: deb-src\nURIs: http://m.example.invalid/debian\nSuites: trixie\n",
            ),
        ] {
            assert_eq!(of_sources(text), expected, "{text}");
        }
    }

    #[test]
    fn a_source_is_known_by_its_files_and_not_by_what_was_built_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("given");
        for made in ["src/core", "src/bin", ".git"] {
            fs::create_dir_all(from.join(made)).unwrap();
        }
        fs::write(from.join("src/Makefile"), "all:\n").unwrap();
        fs::write(from.join("src/core/a.c"), "int a;\n").unwrap();
        let mut number = 0;
        let mut digest = || {
            number += 1;
            let scratch = dir.path().join(format!("scratch{number}"));
            fs::create_dir(&scratch).unwrap();
            let place = SourcePlace::Directory(from.clone());
            let tree = fetch(&place, &scratch).unwrap();
            assert!(tree.path.join("src/core/a.c").is_file());
            assert!(!tree.path.join("src/bin").exists());
            tree.digest
        };
        let first = digest();
        fs::write(from.join("src/bin/a.o"), "built").unwrap();
        fs::write(from.join(".git/index"), "git").unwrap();
        assert_eq!(digest(), first);
        fs::write(from.join("src/core/a.c"), "int b;\n").unwrap();
        assert_ne!(digest(), first);
    }
}
