//! A site of its own for each test: definitions, an install directory, a directory of dnsmasq.

#[allow(dead_code, reason = "no suite uses all of it")]
pub(crate) mod daemon;
#[allow(dead_code, reason = "no suite uses all of it")]
pub(crate) mod programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// Runs cases; where one of the programs is missing, or what `missing` names, they are *ignored*, with the reason.
pub(crate) fn main(
    tools: &[&str],
    missing: Option<String>,
    cases: &[(&'static str, fn())],
) -> ExitCode {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        |tool: &&&str| std::env::split_paths(&path).any(|directory| directory.join(tool).is_file());
    let tool = tools
        .iter()
        .find(|tool| !found(tool))
        .map(|tool| (*tool).to_owned());
    let missing = tool.or(missing);
    let trials = cases.iter().map(|(name, case)| {
        let shown = missing.as_ref().map_or((*name).to_owned(), |missing| {
            format!("{name} (needs {missing})")
        });
        let case = *case;
        let run = move || {
            std::panic::catch_unwind(case).map_err(|panic| {
                let message = panic.downcast_ref::<String>().cloned();
                let message =
                    message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Failed::from(message.unwrap_or_else(|| "it panicked".to_owned()))
            })
        };
        Trial::test(shown, run).with_ignored_flag(missing.is_some())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) struct Lab(TempDir);

#[allow(dead_code, reason = "no suite uses all of it")]
impl Lab {
    /// Makes a site with networks and nodes, as their files hold them.
    pub(crate) fn new(networks: &str, nodes: &str) -> Self {
        // In memory where there is some: what is tested flushes each file that it writes.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let lab = Self(tempfile::tempdir_in(place).unwrap());
        for directory in ["config/nodes", "install", "dnsmasq.d", "loaders"] {
            fs::create_dir_all(lab.path(directory)).unwrap();
        }
        for loader in ["undionly.kpxe", "ipxe.efi", "ipxe-arm64.efi"] {
            lab.write(&format!("loaders/{loader}"), loader);
        }
        lab.write("config/networks.toml", networks);
        lab.write("config/nodes/nodes.toml", nodes);
        lab.site("");
        lab
    }

    /// Sets the site, the install directory beside.
    pub(crate) fn site(&self, more: &str) {
        let installdir = self.path("install");
        let text = format!("installdir = \"{}\"\n{more}", installdir.display());
        self.write("config/site.toml", &text);
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs one of our commands on the site's definitions and dnsmasq's directory.
    pub(crate) fn run(&self, binary: &str, arguments: &[&str]) -> Ended {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .arg("--directory")
            .arg(self.path("dnsmasq.d"))
            .arg("--pid-file")
            .arg(self.path("dnsmasq.pid"))
            .env("SLIPWAY_CONFIG", self.path("config"));
        ended(&mut command, self.0.path())
    }
}

/// Runs a command; paths in a directory are shown as `<lab>`.
pub(crate) fn ended(command: &mut Command, directory: &Path) -> Ended {
    let output = command.env_remove("RUST_BACKTRACE").output().unwrap();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.replace(&directory.display().to_string(), "<lab>")
    };
    Ended {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
