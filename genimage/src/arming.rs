//! Letting nodes enrol while they install, and signing what they boot and their trees: `slipway-trust`, asked as a program,
//! and what it answers in the nodes' files.
//!
//! Nodes whose files are rendered and checked come in; each one's files with a one-time secret go out. The authority's keys
//! are read by `slipway-trust` alone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use definitions::terminal::escaped;
use definitions::{Catalog, EnrolmentToken, program_path};
use serde::Deserialize;

/// The program that signs and arms.
const PROGRAM: &str = "slipway-trust";

/// How many nodes it is given at a time: a command line has a bound.
const MAX_NODES: usize = 500;

/// How long a node is armed unless asked otherwise.
pub(crate) const DEFAULT_TERM: &str = "4h";

/// Reads the certificate of the site's root, where the site has one.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn root_certificate(catalog: &Catalog) -> Result<Option<String>> {
    public_part(catalog, "root.crt")
}

/// Reads the key that the site signs trees and root images with, where it has one.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn tree_key(catalog: &Catalog) -> Result<Option<String>> {
    public_part(catalog, "trees.asc")
}

fn public_part(catalog: &Catalog, name: &str) -> Result<Option<String>> {
    let path = catalog.path().join("trust").join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Whether the site's nodes boot its own iPXE, which boots nothing that is not signed.
///
/// # Errors
/// When it cannot be told.
pub(crate) fn has_ipxe(catalog: &Catalog) -> Result<bool> {
    let path = catalog.path().join("trust/ipxe.json");
    path.try_exists()
        .with_context(|| format!("looking at {}", path.display()))
}

/// What lets a node enrol, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct NodeToken {
    node: String,
    pub(crate) token: EnrolmentToken,
    pub(crate) until: String,
}

/// What `slipway-trust arm --json` prints, as far as it is read.
#[derive(Debug, Deserialize)]
struct ArmingReport {
    nodes: Vec<NodeToken>,
}

impl ArmingReport {
    /// Returns what each of the nodes enrols with.
    ///
    /// # Errors
    /// When there is none of a node.
    fn of(self, nodes: &[&str]) -> Result<BTreeMap<String, NodeToken>> {
        let pairs = self.nodes.into_iter();
        let armed: BTreeMap<_, _> = pairs.map(|node| (node.node.clone(), node)).collect();
        match nodes.iter().find(|node| !armed.contains_key(**node)) {
            Some(missing) => bail!("{PROGRAM} arm has not armed {missing}"),
            None => Ok(armed),
        }
    }
}

/// The program, and the definitions that it is to read.
#[derive(Debug, Clone)]
pub(crate) struct TrustProgram {
    path: PathBuf,
    config: PathBuf,
}

impl TrustProgram {
    /// Finds the program.
    pub(crate) fn of(catalog: &Catalog) -> Self {
        Self {
            path: program_path(PROGRAM),
            config: catalog.path().to_owned(),
        }
    }

    /// Arms nodes; returns what each of them enrols with.
    ///
    /// # Errors
    /// What the program says; no node of the part that it refuses is armed.
    pub(crate) fn arm(&self, nodes: &[&str], term: &str) -> Result<BTreeMap<String, NodeToken>> {
        let mut armed = BTreeMap::new();
        for part in nodes.chunks(MAX_NODES) {
            let text = self.run("arm", [&part.join(","), "--for", term, "--json"])?;
            let report: ArmingReport = serde_json::from_str(&text)
                .with_context(|| format!("reading what {PROGRAM} arm prints"))?;
            armed.extend(report.of(part)?);
        }
        Ok(armed)
    }

    /// Disarms nodes.
    ///
    /// # Errors
    /// What the program says.
    pub(crate) fn disarm(&self, nodes: &[&str]) -> Result<()> {
        for part in nodes.chunks(MAX_NODES) {
            self.run("disarm", [part.join(",")])?;
        }
        Ok(())
    }

    /// Signs files that nodes boot, each as its signer; the signatures are beside them, or in a directory.
    ///
    /// # Errors
    /// What the program says.
    pub(crate) fn sign(&self, files: &[(String, PathBuf)], out: Option<&Path>) -> Result<()> {
        for part in files.chunks(MAX_NODES) {
            let files = part.iter().map(|(signer, path)| {
                let mut argument = OsString::from(format!("{signer}="));
                argument.push(path);
                argument
            });
            let out = out
                .iter()
                .flat_map(|out| ["--out".into(), out.as_os_str().to_owned()]);
            self.run("sign", files.chain(out))
                .context("signing what nodes boot")?;
        }
        Ok(())
    }

    /// Has the site sign a tree that `copycds` published; one that is signed is left alone.
    ///
    /// # Errors
    /// What the program says.
    pub(crate) fn sign_tree(&self, tree: &Path) -> Result<()> {
        self.run("sign-tree", [tree]).map(drop)
    }

    /// Has the site sign what vouches for a root image; the signature is beside it.
    ///
    /// # Errors
    /// What the program says.
    pub(crate) fn sign_image(&self, file: &Path) -> Result<()> {
        self.run("sign-image", [file]).map(drop)
    }

    fn run(
        &self,
        verb: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<String> {
        let output = Command::new(&self.path)
            .arg("--config")
            .arg(&self.config)
            .arg(verb)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running {}", self.path.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().trim_start_matches("slipway-trust: ");
            bail!("{PROGRAM} {verb}: {}", escaped(said, '\t'));
        }
        String::from_utf8(output.stdout).with_context(|| format!("reading what {PROGRAM} prints"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_armed_nodes_is_read_with_all_that_is_not_needed() {
        let token = EnrolmentToken::new(&"ab".repeat(32), &"01".repeat(16)).unwrap();
        let text = format!(
            r#"{{"dry_run":false,"nodes":[{{"node":"n1","until":"2026-01-01T00:00:00Z","token":"{}","names":[],"addresses":["10.1.0.11"]}}]}}"#,
            token.reveal()
        );
        let report = || serde_json::from_str::<ArmingReport>(&text).unwrap();
        let armed = NodeToken {
            node: "n1".to_owned(),
            token,
            until: "2026-01-01T00:00:00Z".to_owned(),
        };
        assert_eq!(
            report().of(&["n1"]).unwrap(),
            BTreeMap::from([("n1".to_owned(), armed)])
        );
        assert_eq!(
            report().of(&["n1", "n2"]).unwrap_err().to_string(),
            "slipway-trust arm has not armed n2"
        );
    }
}
