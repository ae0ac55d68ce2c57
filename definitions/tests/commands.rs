//! The commands as users run them: real binaries, whole outputs.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers unwrap is a failure of the test"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A directory of definitions and the commands that work on it.
struct Site(tempfile::TempDir);

/// What a command did.
#[derive(Debug, PartialEq)]
struct Outcome {
    code: i32,
    out: String,
    err: String,
}

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a line as a shell would, with a text on standard input; the directory's path is taken out
    /// of what it says.
    fn pipe(&self, line: &str, input: &str) -> Outcome {
        let bins = Path::new(env!("CARGO_BIN_EXE_lsdef")).parent().unwrap();
        let path = format!("{}:{}", bins.display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("sh")
            .args(["-c", line])
            .env("PATH", path)
            .env("SLIPWAY_CONFIG", self.path())
            .env("SLIPWAY_STATE", self.path().join("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let directory = format!("{}/", self.path().display());
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&directory, "");
        Outcome {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    fn run(&self, line: &str) -> Outcome {
        self.pipe(line, "")
    }

    /// Runs a line that must succeed, and returns what it prints.
    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let Outcome { code, out, err } = self.run(line);
        assert_eq!((code, err.as_str()), (0, ""), "{line}\n{out}");
        out
    }

    /// Runs a line that must fail, and returns what it says.
    #[track_caller]
    fn fails(&self, line: &str) -> String {
        let Outcome { code, out, err } = self.run(line);
        assert_eq!((code, out.as_str()), (1, ""), "{line}\n{err}");
        err
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }
}

const ONE_CHANGED: &str = "1 object definitions have been created or modified.\n";

#[path = "commands/changes.rs"]
mod changes;
#[path = "commands/containers.rs"]
mod containers;
#[path = "commands/life_cycle.rs"]
mod life_cycle;
#[path = "commands/lists.rs"]
mod lists;
#[path = "commands/names.rs"]
mod names;
#[path = "commands/secrets.rs"]
mod secrets;
#[path = "commands/writers.rs"]
mod writers;
