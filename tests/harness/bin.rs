//! Our binaries, as cargo builds them.

use std::collections::HashMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

/// Returns the root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| unreachable!("the package e2e lies in the workspace"))
}

/// Returns where a binary of a package lies: in `PROGRAMS_BUILT`, else it is built, once per process.
///
/// Cargo builds the binaries of a package for that package's own tests only, so a trial that ran
/// whatever lies in `target/` would test yesterday's build. `tests/run` has built all, in the features of the whole
/// workspace, and tests rooms with them meanwhile: a build of one package has other features, and would replace them.
pub fn binary(package: &str, name: &str) -> Result<PathBuf> {
    if let Some(built) = env::var_os("PROGRAMS_BUILT") {
        let path = Path::new(&built).join(name);
        ensure!(path.is_file(), "{} was not built", path.display());
        return Ok(path);
    }
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut guard = BUILT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let built = guard.get_or_insert_default();
    if let Some(path) = built.get(name) {
        return Ok(path.clone());
    }
    let path = build(package, name).with_context(|| format!("building {name} of {package}"))?;
    built.insert(name.to_owned(), path.clone());
    Ok(path)
}

/// Builds the static programs that hosts run, once per process, and returns where they lie.
pub fn static_programs() -> Result<Vec<PathBuf>> {
    static BUILT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut built = BUILT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if built.is_empty() {
        let output = Command::new(workspace().join("packaging/postscripts")).output()?;
        ensure!(
            output.status.success(),
            "building the static programs: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // Each line is a size and a path.
        *built = String::from_utf8(output.stdout)?
            .split_whitespace()
            .skip(1)
            .step_by(2)
            .map(|path| workspace().join(path))
            .collect();
    }
    Ok(built.clone())
}

fn build(package: &str, name: &str) -> Result<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--message-format=json",
            "-p",
            package,
            "--bin",
            name,
        ])
        .current_dir(workspace())
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no executable")
}
