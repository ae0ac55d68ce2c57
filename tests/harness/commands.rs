//! The commands of the management node: those that the Makefile installs.

use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bin::workspace;

/// A command, and where it is at home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// The section of its man page.
    pub section: u8,
    /// The package that builds it.
    pub package: String,
}

/// Lists what the Makefile installs: its `BINARIES`.
pub fn commands() -> Result<&'static [Installed]> {
    static COMMANDS: OnceLock<Vec<Installed>> = OnceLock::new();
    if let Some(commands) = COMMANDS.get() {
        return Ok(commands);
    }
    let makefile = std::fs::read_to_string(workspace().join("Makefile"))?;
    let joined = makefile.replace("\\\n", " ");
    let line = joined
        .lines()
        .find_map(|line| line.strip_prefix("BINARIES = "));
    let owners = owners()?;
    let mut commands = Vec::new();
    for entry in line
        .context("the Makefile names no BINARIES")?
        .split_whitespace()
    {
        let (name, section) = entry
            .split_once(':')
            .with_context(|| format!("'{entry}' has no section"))?;
        let owner = owners.iter().find(|(bin, _)| bin == name);
        let (_, package) = owner.with_context(|| format!("no package builds {name}"))?;
        commands.push(Installed {
            name: name.to_owned(),
            section: section
                .parse()
                .with_context(|| format!("reading '{entry}'"))?,
            package: package.clone(),
        });
    }
    Ok(COMMANDS.get_or_init(|| commands))
}

/// Lists the binaries of the workspace, each with its package.
fn owners() -> Result<Vec<(String, String)>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--no-deps"])
        .current_dir(workspace())
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut owners = Vec::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        for target in package["targets"].as_array().context("no targets")? {
            let is_binary = target["kind"] == serde_json::json!(["bin"]);
            if let (true, Some(bin), Some(name)) =
                (is_binary, target["name"].as_str(), package["name"].as_str())
            {
                owners.push((bin.to_owned(), name.to_owned()));
            }
        }
    }
    Ok(owners)
}
