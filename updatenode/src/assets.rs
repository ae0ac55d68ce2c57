//! From a node's assets to what it is sent.
//!
//! The list that `nodeset` wrote comes in, and the programs as they lie in the install directory now; a [`Job`] goes
//! out. The list is sent with the digests of the programs as they are: who replaces a program need not
//! render every node again. Nothing is written here.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use definitions::{InstallDir, Node, ProgramDigest, Runlist, ScriptLine, hex};
use sha2::{Digest, Sha256};

use crate::marks::Marks;
use crate::remote;
use crate::request::Request;

/// The most bytes of a program.
const LARGEST: u64 = 64 << 20;
/// The most bytes of a text that may name other files, and the most files that are looked at.
const TEXT: u64 = 1 << 20;
const MOST: usize = 100_000;
/// The most bytes of a command line: what Linux lets one argument have, less a little.
const LONGEST: usize = 120 << 10;
/// The name of the program that runs the others.
const FIRSTBOOT: &str = "firstboot";

/// The install directory, with the digests of what was read there.
#[derive(Debug)]
pub(crate) struct Shelf {
    installdir: InstallDir,
    /// The program that runs the others, and what it is.
    firstboot: (Arc<[u8]>, ProgramDigest),
    /// What stands in its directory of scripts, by paths in it.
    files: BTreeSet<String>,
    /// What was looked up: `None` is what does not exist.
    programs: HashMap<String, Option<ProgramDigest>>,
}

/// What is to be done on one node.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) node: String,
    pub(crate) address: String,
    /// The lines that run, in order.
    pub(crate) lines: Vec<ScriptLine>,
    /// What ssh is told to run.
    pub(crate) command: String,
    /// The program that runs the others.
    pub(crate) firstboot: Arc<[u8]>,
    /// What tells its shell and its `firstboot` from all else that is printed there.
    pub(crate) marks: Marks,
    /// The nonce of the results in a line, and the list as JSON.
    pub(crate) list: Arc<[u8]>,
}

impl Shelf {
    /// Reads what every node needs.
    pub(crate) fn open(installdir: InstallDir) -> Result<Self> {
        let path = installdir.postscripts().join(FIRSTBOOT);
        let bytes = read(&path, LARGEST).with_context(|| {
            format!(
                "reading {}, which runs the scripts on nodes",
                path.display()
            )
        })?;
        let program = describe(&bytes);
        let mut files = BTreeSet::new();
        find(&installdir.postscripts(), "", &mut files);
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
    pub(crate) fn job(&mut self, node: &Node, request: &Request) -> Result<Option<Job>> {
        let mut list = self.list(&node.name)?;
        let lines = request.plan(&list);
        // To name no line would be to ask for all of them.
        if lines.is_empty() && !request.is_everything() {
            return Ok(None);
        }
        let directory = self.installdir.postscripts();
        for line in &lines {
            let name = line.program();
            let missing = || format!("there is no script '{name}' in {}", directory.display());
            let program = self.program(name)?.with_context(missing)?;
            list.programs.insert(name.to_owned(), program);
            let needs = Runlist::needs(line, &self.files, &|name| text(&directory.join(name)));
            ensure!(
                needs.len() <= Runlist::FILES,
                "'{line}' needs {} files, all of its directory and what they name: nodes fetch each of them, so \
                 move there what no script needs",
                needs.len()
            );
            for beside in needs {
                if let Some(program) = self.program(&beside)? {
                    list.programs.insert(beside, program);
                }
            }
        }
        for (name, program) in &mut list.programs {
            if let Some(now) = self.program(name)? {
                *program = now;
            }
        }
        let spoken = if request.is_everything() {
            &[][..]
        } else {
            &lines
        };
        let marks = Marks::new()?;
        let command = remote::command(self.firstboot(), &marks, spoken);
        ensure!(
            command.len() <= LONGEST,
            "so many scripts do not fit into one command: name fewer"
        );
        let mut sent = format!("{}\n", marks.results()).into_bytes();
        serde_json::to_writer(&mut sent, &list)?;
        Ok(Some(Job {
            node: node.name.clone(),
            address: address(node),
            lines,
            command,
            firstboot: Arc::clone(&self.firstboot.0),
            marks,
            list: sent.into(),
        }))
    }

    /// Loads the list among a node's assets.
    fn list(&self, node: &str) -> Result<Runlist> {
        let path = self.installdir.assets(node).join(Runlist::FILE);
        let shown = path.display();
        let bytes = match read(&path, Runlist::LIMIT) {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "there is no {shown}: run nodeset {node} osimage=NAME first, which says what the node runs"
            ),
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

    /// Says what a program is now; `None` where there is none.
    fn program(&mut self, name: &str) -> Result<Option<ProgramDigest>> {
        if let Some(known) = self.programs.get(name) {
            return Ok(known.clone());
        }
        let path = self.installdir.postscripts().join(name);
        let program = match read(&path, LARGEST) {
            Ok(bytes) => Some(describe(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        self.programs.insert(name.to_owned(), program.clone());
        Ok(program)
    }
}

/// Finds the files of a directory and of those beneath it, as far as a list can name them; a link counts where it
/// leads to another file of the directory, as the web server that nodes fetch it from has it.
fn find(directory: &Path, within: &str, found: &mut BTreeSet<String>) {
    let entries = std::fs::read_dir(directory.join(within));
    for entry in entries.into_iter().flatten().flatten() {
        let name = format!("{within}{}", entry.file_name().to_string_lossy());
        if !Runlist::can_name(&name) || found.len() >= MOST {
            continue;
        }
        let inside = || {
            let place = entry.path().canonicalize()?;
            Ok::<_, std::io::Error>(place.is_file() && place.starts_with(directory.canonicalize()?))
        };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => find(directory, &format!("{name}/"), found),
            Ok(_) if inside().unwrap_or(false) => drop(found.insert(name)),
            _ => {}
        }
    }
}

/// Reads a file that is a text.
fn text(path: &Path) -> Option<String> {
    let bytes = read(path, TEXT).ok()?;
    (!bytes.contains(&0)).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Says where a node is reached: at its address, else by its name.
pub(crate) fn address(node: &Node) -> String {
    node.ip
        .map_or_else(|| node.name.clone(), |ip| ip.to_string())
}

/// Says what a program is.
fn describe(bytes: &[u8]) -> ProgramDigest {
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
