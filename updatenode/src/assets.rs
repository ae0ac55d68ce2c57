//! From a node's assets to what it is sent.
//!
//! The list that `nodeset` wrote and the programs that are in the install directory now come in; a [`NodeJob`] goes out.
//! The list is sent with the current digests of the programs: after a program is replaced, no node has to be rendered
//! again. Nothing is written here.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use definitions::{InstallDir, Node, ProgramDigest, Runlist, ScriptFiles, ScriptLine, hex};
use sha2::{Digest, Sha256};

use crate::markers::SessionMarkers;
use crate::remote;
use crate::request::Request;

/// The most bytes of a program.
const MAX_PROGRAM_BYTES: u64 = 64 << 20;
/// The most bytes of a command: Linux limits one argument to 128 KiB (`MAX_ARG_STRLEN`), and ssh adds a little.
const MAX_COMMAND: usize = 120 << 10;
/// The name of the program that runs the others.
const FIRSTBOOT: &str = "firstboot";

/// What the install directory has for nodes, with the digests of the files that were read.
#[derive(Debug)]
pub(crate) struct NodeAssets {
    installdir: InstallDir,
    /// The program that runs the others, and its digest.
    firstboot: (Arc<[u8]>, ProgramDigest),
    /// The files in its directory of scripts.
    files: ScriptFiles,
    /// The programs that were looked up: `None` for one that does not exist.
    programs: HashMap<String, Option<ProgramDigest>>,
}

/// What is to be done on one node.
#[derive(Debug, Clone)]
pub(crate) struct NodeJob {
    pub(crate) node: String,
    pub(crate) address: String,
    /// The lines that run, in order.
    pub(crate) lines: Vec<ScriptLine>,
    /// The command that ssh runs on the node.
    pub(crate) command: String,
    /// The program that runs the others.
    pub(crate) firstboot: Arc<[u8]>,
    /// The markers in the output of its shell and its `firstboot`.
    pub(crate) markers: SessionMarkers,
    /// The nonce of the results on a line of its own, and the list as JSON.
    pub(crate) list: Arc<[u8]>,
}

impl NodeJob {
    /// Returns the job that reads which script is running on the node.
    pub(crate) fn inquiry(&self) -> Self {
        Self {
            command: remote::inquiry(&self.markers),
            list: Arc::new([]),
            ..self.clone()
        }
    }
}

impl NodeAssets {
    /// Reads what every node needs.
    pub(crate) fn open(installdir: InstallDir) -> Result<Self> {
        let path = installdir.postscripts().join(FIRSTBOOT);
        let bytes = read(&path, MAX_PROGRAM_BYTES).with_context(|| {
            format!(
                "reading {}, which runs the scripts on nodes",
                path.display()
            )
        })?;
        let program = program_of(&bytes);
        let files = ScriptFiles::find(installdir.postscripts());
        Ok(Self {
            installdir,
            firstboot: (bytes.into(), program),
            files,
            programs: HashMap::new(),
        })
    }

    /// Returns the program that runs the others.
    pub(crate) fn firstboot(&self) -> &ProgramDigest {
        &self.firstboot.1
    }

    /// Prepares what is to be done on a node; `None` where its list asks for none of it.
    pub(crate) fn job(&mut self, node: &Node, request: &Request) -> Result<Option<NodeJob>> {
        let mut list = self.list(&node.name)?;
        let lines = request.plan(&list);
        // A command without lines would run all of them.
        if lines.is_empty() && !request.is_everything() {
            return Ok(None);
        }
        let directory = self.installdir.postscripts();
        for line in &lines {
            let name = line.program();
            let missing = || format!("there is no script '{name}' in {}", directory.display());
            let program = self.program(name)?.with_context(missing)?;
            list.programs.insert(name.to_owned(), program);
            let needs = self.files.needs(line);
            ensure!(
                needs.len() <= Runlist::FILES,
                "'{line}' needs {} files: everything in its directory, and the files that these name; a node fetches each of \
                 them: move files that no script needs out of that directory",
                needs.len()
            );
            for needed in needs {
                if let Some(program) = self.program(&needed)? {
                    list.programs.insert(needed, program);
                }
            }
        }
        for (name, program) in &mut list.programs {
            if let Some(now) = self.program(name)? {
                *program = now;
            }
        }
        let arguments = if request.is_everything() {
            &[][..]
        } else {
            &lines
        };
        let markers = SessionMarkers::new()?;
        let command = remote::command(self.firstboot(), &markers, arguments);
        ensure!(
            command.len() <= MAX_COMMAND,
            "the scripts do not fit into one command: name fewer"
        );
        let mut sent = format!("{}\n", markers.results_nonce()).into_bytes();
        serde_json::to_writer(&mut sent, &list)?;
        Ok(Some(NodeJob {
            node: node.name.clone(),
            address: address(node),
            lines,
            command,
            firstboot: Arc::clone(&self.firstboot.0),
            markers,
            list: sent.into(),
        }))
    }

    /// Loads the list among a node's assets.
    fn list(&self, node: &str) -> Result<Runlist> {
        let path = self.installdir.assets(node).join(Runlist::FILE);
        let shown = path.display();
        let bytes = match read(&path, Runlist::LIMIT) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("there is no {shown}: run nodeset {node} osimage=NAME first, which writes it")
            }
            bytes => bytes.with_context(|| format!("reading {shown}"))?,
        };
        let list: Runlist =
            serde_json::from_slice(&bytes).with_context(|| format!("reading {shown}"))?;
        ensure!(
            list.node == node,
            "{shown} is the list of '{}': run nodeset {node} osimage={}",
            list.node,
            list.osimage
        );
        list.check().with_context(|| format!("reading {shown}"))?;
        Ok(list)
    }

    /// Returns the current digest of a program; `None` if it does not exist.
    fn program(&mut self, name: &str) -> Result<Option<ProgramDigest>> {
        if let Some(known) = self.programs.get(name) {
            return Ok(known.clone());
        }
        let path = self.installdir.postscripts().join(name);
        let program = match read(&path, MAX_PROGRAM_BYTES) {
            Ok(bytes) => Some(program_of(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        self.programs.insert(name.to_owned(), program.clone());
        Ok(program)
    }
}

/// Returns where a node is reached: at its address, else by its name.
pub(crate) fn address(node: &Node) -> String {
    node.address()
        .map_or_else(|| node.name.clone(), |ip| ip.to_string())
}

/// Returns the digest and the size of a program.
fn program_of(bytes: &[u8]) -> ProgramDigest {
    ProgramDigest {
        sha256: hex(&Sha256::digest(bytes)),
        size: bytes.len() as u64,
    }
}

/// Reads a file that has at most so many bytes.
fn read(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("it has more than {limit} bytes");
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_reached_at_its_address_of_either_family_or_by_its_name() {
        let mut node = Node {
            name: "n1".to_owned(),
            ..Node::default()
        };
        assert_eq!(address(&node), "n1");
        node.ip6 = "fd00::5".parse().ok();
        assert_eq!(address(&node), "fd00::5");
        node.ip = "10.1.0.5".parse().ok();
        assert_eq!(address(&node), "10.1.0.5");
    }
}
