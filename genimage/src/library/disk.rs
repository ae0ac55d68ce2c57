//! The administrator's own files: read whole, as text, within bounds.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use definitions::read_bounded;

use super::{Asset, AssetKind, AssetOrigin};
use crate::installer::InstallerKind;
use crate::problem::{FileLine, Problem};

/// No list and no template is longer, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// No directory of the library lies deeper, and no section holds more files.
const MAX_DEPTH: usize = 4;
const MAX_FILES: usize = 4096;
/// What is said of a text out of which [`clean`] took something.
const CLEANED: &str = "was saved with carriage returns or a byte order mark, which were left out";

/// Reads a text of the site, as [`clean`] leaves it, with a note where that took something out. Every list, template and
/// layout that is read from disk goes through here.
///
/// # Errors
/// The file, and the line that holds what no such text may hold.
pub(crate) fn load(path: &Path) -> Result<(String, Option<Problem>), Problem> {
    let file: Arc<str> = path.to_string_lossy().into();
    let at = |line: usize, message: String| {
        let file = Arc::clone(&file);
        Problem::at(FileLine { file, line }, message)
    };
    let cannot = |err: std::io::Error| at(0, format!("cannot be read: {err}"));
    let bytes = read_bounded(path, MAX_BYTES).map_err(cannot)?;
    let text = String::from_utf8(bytes).map_err(|err| {
        let good = &err.as_bytes()[..err.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        at(line, "is not UTF-8 text: save it as UTF-8".to_owned())
    })?;
    let (text, cleaned) = clean(text).map_err(|(line, message)| at(line, message))?;
    let note = cleaned.then(|| at(0, CLEANED.to_owned()));
    Ok((text, note))
}

/// Takes out what editors on other systems leave in a text, and what no installer's file may hold: a byte order
/// mark at the beginning and the carriage return at the end of a line. Says whether there was any.
///
/// # Errors
/// The line, from 1, that holds any other control character, and what to do.
fn clean(text: String) -> Result<(String, bool), (usize, String)> {
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    let foreign = |c: char| !plain(c) || c == '\u{feff}';
    if !text.contains(foreign) {
        return Ok((text, false));
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines: Vec<_> = body
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .collect();
    for (number, line) in (1..).zip(&lines) {
        if let Some(found) = line.chars().find(|c| foreign(*c)) {
            let name = match found {
                '\r' => "a carriage return in the middle of a line",
                '\u{feff}' => "a byte order mark in the middle of the text",
                _ => "a control character",
            };
            let message = format!("contains {name} ({}): delete it", found.escape_unicode());
            return Err((number, message));
        }
    }
    Ok((lines.join("\n"), true))
}

/// Loads every file of a section, by the name that it has below `custom`.
pub(super) fn scan(custom: &Path, kind: AssetKind) -> Result<Vec<(String, Asset)>, Vec<Problem>> {
    let mut scan = DirectoryScan {
        kind,
        found: Vec::new(),
        problems: Vec::new(),
    };
    scan.directory(&custom.join(kind.section()), kind.section(), 0);
    scan.directory(&custom.join("install"), "install", 0);
    scan.found.sort_by(|(one, _), (two, _)| one.cmp(two));
    if scan.problems.is_empty() {
        Ok(scan.found)
    } else {
        Err(scan.problems)
    }
}

struct DirectoryScan {
    kind: AssetKind,
    found: Vec<(String, Asset)>,
    problems: Vec<Problem>,
}

impl DirectoryScan {
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
                if depth < MAX_DEPTH {
                    self.directory(&path, &name, depth + 1);
                }
            } else if self.wanted(&name) && self.found.len() < MAX_FILES {
                self.file(&path, name);
            }
        }
    }

    /// In our own layout everything counts, in xCAT's what has an ending of ours.
    fn wanted(&self, name: &str) -> bool {
        let endings = InstallerKind::ALL.map(|installer| self.kind.ending(installer));
        !name.starts_with("install/")
            || endings.iter().any(|ending| {
                name.strip_suffix(ending)
                    .is_some_and(|own| own.ends_with('.'))
            })
    }

    fn file(&mut self, path: &Path, name: String) {
        match load(path) {
            Ok((text, note)) => {
                let origin = AssetOrigin::Custom(path.to_path_buf());
                let asset = Asset { origin, text, note };
                self.found.push((name, asset));
            }
            Err(problem) => self.problems.push(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_marks_of_other_systems_are_taken_out() {
        for (text, expected) in [
            ("a\n\tb\n", ("a\n\tb\n", false)),
            ("a\r\nb\r\n", ("a\nb\n", true)),
            ("a\r\nb\r", ("a\nb", true)),
            ("\u{feff}a\n", ("a\n", true)),
            ("\u{feff}", ("", true)),
            ("", ("", false)),
        ] {
            let (cleaned, any) = clean(text.to_owned()).unwrap();
            assert_eq!((cleaned.as_str(), any), expected, "{text:?}");
        }
    }

    #[test]
    fn other_control_characters_are_refused_with_their_line() {
        for (text, line, message) in [
            (
                "a\nb\rc\n",
                2,
                "contains a carriage return in the middle of a line (\\u{d}): delete it",
            ),
            (
                "a\n\u{1b}[31m\n",
                2,
                "contains a control character (\\u{1b}): delete it",
            ),
            (
                "a\0\n",
                1,
                "contains a control character (\\u{0}): delete it",
            ),
            (
                "a\n\n\u{feff}b",
                3,
                "contains a byte order mark in the middle of the text (\\u{feff}): delete it",
            ),
            (
                "a\r\r\n",
                1,
                "contains a carriage return in the middle of a line (\\u{d}): delete it",
            ),
        ] {
            assert_eq!(
                clean(text.to_owned()),
                Err((line, message.to_owned())),
                "{text:?}"
            );
        }
    }
}
