//! A checker of others that says `ok`, or what is wrong, of each of many files.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::needs::{python, workspace};

/// Runs a script of this directory over files; it comes with one argument.
pub(crate) fn verdicts(script: &str, argument: impl AsRef<Path>, files: &[&str]) -> Vec<String> {
    let mut child = Command::new(python("python3"))
        .arg(workspace("genimage/tests/check").join(script))
        .arg(argument.as_ref())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = files.join("\u{c}");
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{script}: {}", output.status);
    let said = String::from_utf8(output.stdout).unwrap();
    let verdicts: Vec<_> = said.lines().map(str::to_owned).collect();
    assert_eq!(verdicts.len(), files.len(), "{script}");
    verdicts
}
