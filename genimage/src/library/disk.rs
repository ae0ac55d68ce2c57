//! The administrator's own files: read whole, as text, within bounds.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::{Asset, Kind, Origin};
use crate::installer::Installer;
use crate::problem::{Place, Problem};

/// No list and no template is longer, in bytes.
const LONGEST: u64 = 1 << 20;
/// No directory of the library lies deeper, and no section holds more files.
const DEEPEST: usize = 4;
const MOST: usize = 4096;

/// Loads a text.
pub(super) fn load(path: &Path) -> Result<String, Problem> {
    let problem = |message: String| {
        let file = path.to_string_lossy().into();
        Problem::at(Place { file, line: 0 }, message)
    };
    let cannot = |err: std::io::Error| problem(format!("cannot be read: {err}"));
    let file = fs::File::open(path).map_err(cannot)?;
    // A pipe would block, a device never end.
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err(problem("is no file: name one".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > LONGEST {
        return Err(problem(format!(
            "is longer than {LONGEST} bytes: no list and no template is"
        )));
    }
    String::from_utf8(bytes).map_err(|err| {
        let good = &err.as_bytes()[..err.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let file = path.to_string_lossy().into();
        Problem::at(
            Place { file, line },
            "is no UTF-8 text: save it as UTF-8".to_owned(),
        )
    })
}

/// Loads every file of a section, by the name that it has beneath `custom`.
pub(super) fn walk(custom: &Path, kind: Kind) -> Result<Vec<(String, Asset)>, Vec<Problem>> {
    let mut walk = Walk {
        kind,
        found: Vec::new(),
        problems: Vec::new(),
    };
    walk.directory(&custom.join(kind.section()), kind.section(), 0);
    walk.directory(&custom.join("install"), "install", 0);
    walk.found.sort_by(|(one, _), (two, _)| one.cmp(two));
    if walk.problems.is_empty() {
        Ok(walk.found)
    } else {
        Err(walk.problems)
    }
}

struct Walk {
    kind: Kind,
    found: Vec<(String, Asset)>,
    problems: Vec<Problem>,
}

impl Walk {
    fn directory(&mut self, path: &Path, name: &str, depth: usize) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return,
            Err(err) => {
                let message = format!("{}: cannot be read: {err}", path.display());
                return self.problems.push(Problem::new(message));
            }
        };
        for entry in entries.filter_map(Result::ok) {
            let own = entry.file_name().to_string_lossy().into_owned();
            if own.starts_with('.') || own.ends_with('~') {
                continue;
            }
            let (path, name) = (entry.path(), format!("{name}/{own}"));
            if path.is_dir() {
                if depth < DEEPEST {
                    self.directory(&path, &name, depth + 1);
                }
            } else if self.wanted(&name) && self.found.len() < MOST {
                self.file(&path, name);
            }
        }
    }

    /// In our own layout everything counts, in xCAT's what has an ending of ours.
    fn wanted(&self, name: &str) -> bool {
        let endings = Installer::ALL.map(|installer| self.kind.ending(installer));
        !name.starts_with("install/")
            || endings.iter().any(|ending| {
                name.strip_suffix(ending)
                    .is_some_and(|own| own.ends_with('.'))
            })
    }

    fn file(&mut self, path: &Path, name: String) {
        match load(path) {
            Ok(text) => {
                let origin = Origin::Custom(path.to_path_buf());
                self.found.push((name, Asset { origin, text }));
            }
            Err(problem) => self.problems.push(problem),
        }
    }
}
