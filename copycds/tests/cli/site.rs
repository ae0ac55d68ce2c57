//! A site to import into, and what a run of `copycds` there came to.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::workbench::Workbench;

pub(crate) const RELEASE: &str = "debian12.9.0";

/// A bench with a configuration and an install directory.
pub(crate) struct Site {
    pub(crate) bench: Workbench,
}

impl Site {
    pub(crate) fn new() -> Self {
        let bench = Workbench::new();
        fs::create_dir_all(bench.path().join("config")).unwrap();
        let install = bench.path().join("install");
        let text = format!("installdir = {:?}\n", install.to_str().unwrap());
        fs::write(bench.path().join("config/site.toml"), text).unwrap();
        Self { bench }
    }

    pub(crate) fn install(&self) -> PathBuf {
        self.bench.path().join("install")
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.install().join(RELEASE).join("x86_64")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_copycds"));
        command
            .arg("--config")
            .arg(self.bench.path().join("config"))
            .args(arguments);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.command(arguments).output().unwrap())
    }

    /// Runs what must succeed and returns what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stdout()
    }

    /// Runs what must fail with one sentence and returns that.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        let stderr = ran.stderr();
        assert_eq!(ran.code(), 1, "{stderr}");
        let errors: Vec<_> = stderr
            .lines()
            .filter(|line| line.starts_with("copycds: "))
            .collect();
        let [error] = errors[..] else {
            panic!("{stderr}")
        };
        error.strip_prefix("copycds: ").unwrap().to_owned()
    }

    pub(crate) fn osimages(&self) -> Vec<String> {
        let Ok(files) = fs::read_dir(self.bench.path().join("config/osimages")) else {
            return Vec::new();
        };
        let mut names: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

/// Returns every path under a directory with its size, its inode and when it was changed.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        found.insert(
            path,
            (meta.size(), meta.ino(), meta.mtime(), meta.mtime_nsec()),
        );
    }
    found
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn images(change: &str) -> String {
    [
        "install-compute",
        "install-dockerhost",
        "netboot-compute",
        "netboot-dockerhost",
    ]
    .map(|image| format!("osimage {RELEASE}-x86_64-{image} {change}\n"))
    .concat()
}

/// Flips one bit of the first place that holds these bytes.
pub(crate) fn flip(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    let at = content
        .windows(bytes.len())
        .position(|window| window == bytes)
        .unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[content[at] ^ 1]).unwrap();
}
