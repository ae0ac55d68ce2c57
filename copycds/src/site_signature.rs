//! The site's own signature of a published tree: `slipway-trust`, asked as a program.
//!
//! A tree that is published comes in; it is signed where the site has an authority, or a note says why it is not. The keys
//! are read by `slipway-trust` alone, which signs what the tree's record says that somebody vouched for.

use std::path::Path;
use std::process::{Command, Stdio};

use definitions::terminal::escaped;
use definitions::{Catalog, program_path};

use crate::progress;

/// The program that signs.
const PROGRAM: &str = "slipway-trust";

/// Has the site sign a tree, where it has an authority; returns why the tree is not signed.
pub(crate) fn sign(catalog: &Catalog, tree: &Path, accept_unsigned: bool) -> Option<String> {
    if !catalog.path().join("trust").exists() {
        return None;
    }
    progress::step("having the site sign the tree");
    let mut command = Command::new(program_path(PROGRAM));
    command
        .arg("--config")
        .arg(catalog.path())
        .arg("sign-tree")
        .arg(tree)
        .args(accept_unsigned.then_some("--accept-unsigned"))
        .stdin(Stdio::null());
    let why = match command.output() {
        Ok(output) if output.status.success() => return None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            escaped(said.trim().trim_start_matches("slipway-trust: "), '\t').into_owned()
        }
        Err(error) => format!("running {PROGRAM}: {error}"),
    };
    Some(format!("the site does not sign this tree: {why}"))
}
