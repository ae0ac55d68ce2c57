//! The postscripts directory of the management node: the files that nodes can be handed, and which of them a script needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Runlist, ScriptLine, read_bounded};

/// The most files of the directory that are listed.
const MAX_FILES: usize = 100_000;
/// The most bytes of a text that may name others.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The files that nodes can be handed.
#[derive(Debug, Default)]
pub struct ScriptFiles {
    directory: PathBuf,
    /// Their paths in it.
    paths: BTreeSet<String>,
}

impl ScriptFiles {
    /// Lists the files of a directory and of those below it, as far as a [`Runlist`] can name them. A symbolic link counts
    /// if it leads to a file in the directory: nodes fetch through a web server, which follows it.
    pub fn find(directory: impl Into<PathBuf>) -> Self {
        let mut found = Self {
            directory: directory.into(),
            paths: BTreeSet::new(),
        };
        if let Ok(real) = found.directory.canonicalize() {
            found.collect(&real, "");
        }
        found
    }

    fn collect(&mut self, real: &Path, within: &str) {
        let entries = fs::read_dir(self.directory.join(within));
        for entry in entries.into_iter().flatten().flatten() {
            let name = format!("{within}{}", entry.file_name().to_string_lossy());
            if !Runlist::can_name(&name) || self.paths.len() >= MAX_FILES {
                continue;
            }
            let place = || entry.path().canonicalize();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.collect(real, &format!("{name}/")),
                Ok(_) if place().is_ok_and(|to| to.is_file() && to.starts_with(real)) => {
                    self.paths.insert(name);
                }
                _ => {}
            }
        }
    }

    /// Returns the files that a line needs on the node, see [`Runlist::needs`].
    pub fn needs(&self, line: &ScriptLine) -> BTreeSet<String> {
        Runlist::needs(line, &self.paths, &|name| self.text(name))
    }

    /// Reads a file that is a text.
    fn text(&self, name: &str) -> Option<String> {
        let bytes = read_bounded(&self.directory.join(name), MAX_TEXT_BYTES).ok()?;
        (!bytes.contains(&0)).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }
}
