//! What a root image leaves out: a list in xCAT's syntax.
//!
//! A text comes in; whether a path is left out goes out. A line is a pattern as find(1) has it after `-path`, so that `*`
//! goes over `/` too: `./usr/share/man*`; with `-` before it the same, with `+` what is kept all the same;
//! `#INCLUDE:file#` reads another list, `#` begins a comment. Pure but for the files that are read.

use std::path::{Path, PathBuf};

use definitions::glob;

use crate::library;
use crate::problem::{FileLine, Problem};

/// How deep lists include each other.
const MAX_DEPTH: usize = 16;

/// Patterns of what is left out and what is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ExcludeList {
    excluded: Vec<String>,
    kept: Vec<String>,
}

impl ExcludeList {
    /// Reads a list with those that it includes, and says what is noted of them; without one, nothing is left out.
    ///
    /// # Errors
    /// Files that cannot be read, and lines that are no pattern.
    pub(super) fn load(path: Option<&Path>) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut list = Self::default();
        let (mut notes, mut problems) = (Vec::new(), Vec::new());
        if let Some(path) = path {
            list.read(path, 0, (&mut notes, &mut problems));
        }
        if problems.is_empty() {
            Ok((list, notes))
        } else {
            Err(problems)
        }
    }

    fn read(
        &mut self,
        path: &Path,
        depth: usize,
        (notes, problems): (&mut Vec<Problem>, &mut Vec<Problem>),
    ) {
        let place = |line| FileLine {
            file: path.display().to_string().into(),
            line,
        };
        let text = match library::load(path) {
            Ok((text, note)) => {
                notes.extend(note);
                text
            }
            Err(problem) => return problems.push(problem),
        };
        for (at, line) in text.lines().enumerate() {
            match Line::parse(line) {
                Ok(Line::Nothing) => {}
                Ok(Line::Exclude(pattern)) => self.excluded.push(pattern),
                Ok(Line::Keep(pattern)) => self.kept.push(pattern),
                Ok(Line::Include(_)) if depth == MAX_DEPTH => {
                    problems.push(Problem::at(
                        place(at + 1),
                        "includes itself, or is too deep",
                    ));
                }
                Ok(Line::Include(name)) => {
                    let beside = path.parent().unwrap_or(Path::new("/")).join(name);
                    self.read(&beside, depth + 1, (&mut *notes, &mut *problems));
                }
                Err(why) => problems.push(Problem::at(place(at + 1), why)),
            }
        }
    }

    /// Whether a path of the image, without a `/` at its begin, is left out.
    pub(super) fn excludes(&self, path: &str) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        let path = format!("./{path}");
        let any = |patterns: &[String]| patterns.iter().any(|one| glob::matches(one, &path));
        any(&self.excluded) && !any(&self.kept)
    }
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Nothing,
    Exclude(String),
    Keep(String),
    Include(PathBuf),
}

impl Line {
    fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim();
        let include = line
            .strip_prefix("#INCLUDE:")
            .and_then(|rest| rest.strip_suffix('#'));
        if let Some(name) = include {
            return Ok(Self::Include(PathBuf::from(name)));
        }
        // As in xCAT: what follows blanks and '#' is a comment.
        let line = line
            .split_once(" #")
            .map_or(line, |(line, _)| line)
            .trim_end();
        if line.is_empty() || line.starts_with('#') {
            return Ok(Self::Nothing);
        }
        let (keep, pattern) = match line.split_at(1) {
            ("+", rest) => (true, rest.trim_start()),
            ("-", rest) => (false, rest.trim_start()),
            _ => (false, line),
        };
        if !pattern.starts_with("./") && !pattern.starts_with('*') {
            return Err(format!(
                "'{}' begins with neither './' nor '*', and so leaves out nothing: write './{}'",
                pattern.escape_debug(),
                pattern.trim_start_matches('/').escape_debug()
            ));
        }
        let pattern = pattern.to_owned();
        Ok(if keep {
            Self::Keep(pattern)
        } else {
            Self::Exclude(pattern)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_list_leaves_out_what_find_would() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("compute.exlist");
        fs::write(dir.path().join("base.exlist"), "./boot*\n").unwrap();
        let text = "# docs\n./usr/share/man*\n-./usr/share/doc/*   # all\n+./usr/share/doc/keep*\n\
                    #INCLUDE:base.exlist#\n\n";
        fs::write(&list, text).unwrap();
        let (list, notes) = ExcludeList::load(Some(&list)).unwrap();
        assert_eq!(notes, []);
        for (path, expected) in [
            ("usr/share/man", true),
            ("usr/share/man/man1/ls.1.gz", true),
            ("usr/share/doc", false),
            ("usr/share/doc/bash/README", true),
            ("usr/share/doc/keep/a", false),
            ("boot/vmlinuz", true),
            ("usr/boot", false),
        ] {
            assert_eq!(list.excludes(path), expected, "{path}");
        }
        assert!(!ExcludeList::load(None).unwrap().0.excludes("usr"));
    }

    #[test]
    fn what_editors_leave_in_a_list_is_taken_out_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let own = path.display();
        fs::write(&path, "\u{feff}./usr/share/man*\r\n+./usr/share/man/de\r\n").unwrap();
        let (list, notes) = ExcludeList::load(Some(&path)).unwrap();
        assert!(list.excludes("usr/share/man/fr") && !list.excludes("usr/share/man/de"));
        let notes: Vec<_> = notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [format!(
                "{own}: was saved with carriage returns or a byte order mark, which were left out"
            )]
        );
        fs::write(&path, "./usr\n./opt\u{1b}*\n").unwrap();
        let problems = ExcludeList::load(Some(&path)).unwrap_err();
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [format!(
                "{own}:2: contains a control character (\\u{{1b}}): delete it"
            )]
        );
    }

    #[test]
    fn lines_that_leave_out_nothing_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "/usr/share\n#INCLUDE:none#\n#INCLUDE:a#\n").unwrap();
        let problems = ExcludeList::load(Some(&path)).unwrap_err();
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let own = path.display();
        let none = dir.path().join("none");
        assert_eq!(
            shown[0],
            format!(
                "{own}:1: '/usr/share' begins with neither './' nor '*', and so leaves out nothing: write './usr/share'"
            )
        );
        assert_eq!(
            shown[1],
            format!(
                "{}: cannot be read: No such file or directory (os error 2)",
                none.display()
            )
        );
        assert!(shown.contains(&format!("{own}:3: includes itself, or is too deep")));
    }
}
