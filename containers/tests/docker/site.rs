//! Definitions of one case, and the commands that work on them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::lab::{HOSTS, Lab, lab, text};

/// What a command did.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A directory of definitions.
pub(crate) struct Site {
    directory: tempfile::TempDir,
    lab: Option<&'static Lab>,
}

impl Site {
    /// Makes one that knows the hosts of the lab, and these nodes: TOML.
    pub(crate) fn new(nodes: &str) -> Self {
        let site = Self {
            directory: tempfile::tempdir().unwrap(),
            lab: Some(lab()),
        };
        let hosts = HOSTS.map(|(name, address)| {
            format!("[node.{name}]\ngroups = [\"hosts\"]\nip = \"{address}\"\n")
        });
        site.define(&format!("{}{nodes}", hosts.concat()));
        site
    }

    /// Makes one without the lab.
    pub(crate) fn bare(nodes: &str) -> Self {
        let site = Self {
            directory: tempfile::tempdir().unwrap(),
            lab: None,
        };
        site.define(nodes);
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces the definitions of nodes.
    pub(crate) fn define(&self, nodes: &str) {
        fs::create_dir_all(self.path().join("nodes")).unwrap();
        fs::write(self.path().join("nodes/nodes.toml"), nodes).unwrap();
    }

    /// Changes a text in the definitions, which must be there.
    pub(crate) fn redefine(&self, from: &str, to: &str) {
        let nodes = self.read("nodes/nodes.toml");
        assert!(nodes.contains(from), "{nodes}");
        self.define(&nodes.replace(from, to));
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// Makes a command of ours, to be run on the management node.
    pub(crate) fn command(&self, name: &str) -> Command {
        let bins = Path::new(env!("CARGO_BIN_EXE_mkdocker")).parent().unwrap();
        let mut command = match self.lab {
            Some(lab) => {
                let mut command = lab.inside("switch", bins.join(name));
                command.env("DOCKER_CERT_PATH", lab.client());
                command
            }
            None => Command::new(bins.join(name)),
        };
        command.env("SLIPWAY_CONFIG", self.path());
        command
    }

    /// Runs a line of words; `'` keeps blanks. A busy kernel may not freeze a container in the time that runc gives it:
    /// that is tried again.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        let words: definitions::ProcessArguments = line.parse().unwrap();
        let (name, arguments) = words.words().split_first().unwrap();
        let run = || outcome(self.command(name).args(arguments).output().unwrap());
        let mut ran = run();
        for _ in 0..4 {
            if !ran.err.contains("unable to freeze") {
                break;
            }
            ran = run();
        }
        ran
    }

    /// Runs a line that must succeed and say nothing on standard error.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        let Outcome { code, out, err } = self.run(line);
        assert_eq!((code, err.as_str()), (0, ""), "{line}\n{out}");
        out
    }

    /// Runs a line that must fail, and returns what it says on standard error, without the server's name.
    #[track_caller]
    pub(crate) fn fails(&self, line: &str) -> String {
        let Outcome { code, out, err } = self.run(line);
        assert_eq!(code, 1, "{line}\n{out}{err}");
        err
    }

    /// Runs a line that must succeed and print a document; returns that of one node.
    #[track_caller]
    pub(crate) fn document(&self, line: &str, node: &str) -> Value {
        let Outcome { out, err, .. } = self.run(line);
        let document: Value =
            serde_json::from_str(&out).unwrap_or_else(|_| panic!("{line}\n{out}{err}"));
        let nodes = document["nodes"].as_array().unwrap();
        let found = nodes.iter().find(|found| found["node"] == node);
        found.unwrap_or_else(|| panic!("{document:#}")).clone()
    }
}

/// Reads what a command did; the name of this machine is taken out of it.
pub(crate) fn outcome(output: Output) -> Outcome {
    let name = nix::unistd::gethostname().unwrap();
    let server = format!("[{}]: ", name.to_string_lossy());
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr).replace(&server, "[mn]: "),
    }
}
