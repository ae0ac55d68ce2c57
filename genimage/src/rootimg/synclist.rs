//! Files of the management node that a root image has: lists in xCAT's syntax.
//!
//! Lists come in; the files that they name go out, read, with where each goes. `source… -> destination` puts, where
//! several sources, or a destination that ends in `/`, mean a directory, and a directory is put with everything in it;
//! after `APPEND:` the files are appended to those of the image, after `MERGE:` the lines of accounts are merged into
//! /etc/passwd, /etc/shadow and /etc/group. What follows `EXECUTE:` and `EXECUTEALWAYS:` runs on nodes and not in an
//! image, and so does a line with a node range: a note says so. Lists and merged accounts are texts, and are read as every
//! text of the site is; the other files are bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use definitions::glob;
use walkdir::WalkDir;

use super::spec::sha256;
use crate::library;
use crate::problem::{FileLine, Problem};

/// The most bytes of all files together.
const MAX_BYTES: u64 = 256 << 20;
/// The files into which accounts are merged.
const ACCOUNTS: [&str; 3] = ["etc/passwd", "etc/shadow", "etc/group"];

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SyncAction {
    Put,
    Append,
    Merge,
}

/// A file that the image has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SyncFile {
    pub(super) action: SyncAction,
    /// Where it goes, without a `/` at its begin.
    pub(super) destination: String,
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
    source: PathBuf,
}

/// All files of the lists, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SyncList {
    pub(super) files: Vec<SyncFile>,
    pub(super) notes: Vec<Problem>,
}

/// What the lines after a clause mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    Files(SyncAction),
    Execute,
}

impl SyncList {
    /// Reads lists and the files that they name.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub(super) fn load(paths: &[PathBuf]) -> Result<Self, Vec<Problem>> {
        let mut list = Self::default();
        let mut problems = Vec::new();
        for path in paths {
            let place = |line| FileLine {
                file: path.display().to_string().into(),
                line,
            };
            let text = match library::load(path) {
                Ok((text, note)) => {
                    list.notes.extend(note);
                    text
                }
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let mut clause = Clause::Files(SyncAction::Put);
            for (at, line) in text.lines().enumerate() {
                if let Err(why) = list.line(line.trim(), &mut clause, &place(at + 1)) {
                    problems.push(Problem::at(place(at + 1), why));
                }
            }
        }
        if problems.is_empty() {
            Ok(list)
        } else {
            Err(problems)
        }
    }

    /// Returns the digest of every file with where it goes.
    pub(super) fn digests(&self) -> impl Iterator<Item = (String, String)> {
        self.files.iter().map(|file| {
            let name = format!("{} -> /{}", file.source.display(), file.destination);
            let rest = format!("{:?} {:o} {}", file.action, file.mode, sha256(&file.bytes));
            (name, sha256(rest.as_bytes()))
        })
    }

    fn line(&mut self, line: &str, clause: &mut Clause, place: &FileLine) -> Result<(), String> {
        let named = [
            ("EXECUTE:", Clause::Execute),
            ("EXECUTEALWAYS:", Clause::Execute),
            ("APPEND:", Clause::Files(SyncAction::Append)),
            ("MERGE:", Clause::Files(SyncAction::Merge)),
        ];
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some((_, found)) = named.into_iter().find(|(name, _)| *name == line) {
            *clause = found;
            return Ok(());
        }
        let Clause::Files(action) = *clause else {
            self.notes.push(Problem::at(
                place.clone(),
                format!("'{line}' runs on nodes and not in an image: make it a postinstall or a postbootscript"),
            ));
            return Ok(());
        };
        let (sources, destination) = line
            .split_once("->")
            .ok_or("expected 'source -> destination'")?;
        let destination = destination.trim();
        if destination.starts_with('(') {
            self.notes.push(Problem::at(
                place.clone(),
                "is for some nodes, and the image is for all of its own: left out",
            ));
            return Ok(());
        }
        if line.contains('$') {
            return Err(
                "has a '$' of a node's attribute, and the image is for all of its nodes".to_owned(),
            );
        }
        let mut found = Vec::new();
        for source in sources.split_whitespace() {
            found.extend(expand(Path::new(source))?);
        }
        let is_directory = found.len() > 1 || destination.ends_with('/');
        for source in found {
            self.source(&source, destination, is_directory, action)?;
        }
        Ok(())
    }

    fn source(
        &mut self,
        source: &Path,
        destination: &str,
        is_directory: bool,
        action: SyncAction,
    ) -> Result<(), String> {
        let destination = below_root(destination)?;
        let base = match source.file_name().filter(|_| is_directory) {
            Some(name) => destination.join(name),
            None => destination,
        };
        for entry in WalkDir::new(source).follow_links(false).sort_by_file_name() {
            let entry = entry.map_err(|error| format!("reading {}: {error}", source.display()))?;
            if entry.file_type().is_dir() {
                continue;
            }
            let path = entry.path();
            let below = path.strip_prefix(source).unwrap_or(Path::new(""));
            let to = if below == Path::new("") {
                base.clone()
            } else {
                base.join(below)
            };
            self.file(path, &to, action)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, to: &Path, action: SyncAction) -> Result<(), String> {
        let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
        let found = fs::metadata(path).map_err(cannot)?;
        if !found.is_file() {
            return Err(format!("{} is not a file", path.display()));
        }
        let all: u64 = self.files.iter().map(|file| file.bytes.len() as u64).sum();
        if all + found.len() > MAX_BYTES {
            return Err(format!(
                "names more than {MAX_BYTES} bytes: make a package of them"
            ));
        }
        let destination = to
            .to_str()
            .ok_or("names a file that is not UTF-8")?
            .to_owned();
        if action == SyncAction::Merge && !ACCOUNTS.contains(&destination.as_str()) {
            return Err(format!(
                "MERGE: is for /etc/passwd, /etc/shadow and /etc/group, and not for /{destination}"
            ));
        }
        let bytes = if action == SyncAction::Merge {
            let (text, note) = library::load(path).map_err(|problem| problem.to_string())?;
            self.notes.extend(note);
            text.into_bytes()
        } else {
            fs::read(path).map_err(cannot)?
        };
        self.files.push(SyncFile {
            action,
            destination,
            bytes,
            mode: found.permissions().mode() & 0o7777,
            source: path.to_owned(),
        });
        Ok(())
    }
}

/// Returns an absolute path as one below the root.
fn below_root(path: &str) -> Result<PathBuf, String> {
    let below = path.strip_prefix('/');
    let below = below.filter(|below| !below.split('/').any(|part| part == ".."));
    below.map(PathBuf::from).ok_or_else(|| {
        format!("'{path}' is not an absolute path without '..', and so is not in the image")
    })
}

/// Expands wildcards in the last part of a path.
fn expand(source: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = source.display();
    if !source.is_absolute() {
        return Err(format!("'{shown}' is not an absolute path"));
    }
    let name = source
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if !glob::is_pattern(name) {
        let there = source.exists();
        return there
            .then(|| vec![source.to_owned()])
            .ok_or_else(|| format!("{shown} is not there"));
    }
    let directory = source.parent().unwrap_or(Path::new("/"));
    let entries = fs::read_dir(directory)
        .map_err(|error| format!("{} cannot be read: {error}", directory.display()))?;
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| {
            let own = entry.file_name();
            let own = own.to_string_lossy();
            (!own.starts_with('.') || name.starts_with('.')) && glob::matches(name, &own)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(format!("there is nothing at {shown}"));
    }
    Ok(found)
}

/// Merges lines of accounts: one whose name is there takes the place of that.
pub(super) fn merge_accounts(own: &str, more: &str) -> String {
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = own.lines().map(str::to_owned).collect();
    for line in more.lines().filter(|line| !line.trim().is_empty()) {
        match lines.iter_mut().find(|known| name(known) == name(line)) {
            Some(known) => *known = line.to_owned(),
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(dir: &Path, text: &str) -> Result<SyncList, Vec<String>> {
        let path = dir.join("list");
        fs::write(&path, text.replace("DIR", &dir.display().to_string())).unwrap();
        SyncList::load(&[path])
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn files_directories_and_wildcards_go_where_the_list_says() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::create_dir_all(dir.join("conf/sub")).unwrap();
        for name in ["hosts", "conf/a.conf", "conf/b.conf", "conf/sub/c", "motd"] {
            fs::write(dir.join(name), name).unwrap();
        }
        let text = "# files\nDIR/hosts -> /etc/hosts.site\nDIR/conf/*.conf -> /etc/own\nDIR/conf -> /opt/conf\n\
                    DIR/motd -> /etc/\nAPPEND:\nDIR/motd -> /etc/profile\nEXECUTE:\n/etc/own/a.conf.post\n";
        let list = load(dir, text).unwrap();
        let found: Vec<_> = list
            .files
            .iter()
            .map(|file| (file.destination.as_str(), file.action))
            .collect();
        assert_eq!(
            found,
            [
                ("etc/hosts.site", SyncAction::Put),
                ("etc/own/a.conf", SyncAction::Put),
                ("etc/own/b.conf", SyncAction::Put),
                ("opt/conf/a.conf", SyncAction::Put),
                ("opt/conf/b.conf", SyncAction::Put),
                ("opt/conf/sub/c", SyncAction::Put),
                ("etc/motd", SyncAction::Put),
                ("etc/profile", SyncAction::Append),
            ]
        );
        assert!(
            list.notes[0]
                .message
                .starts_with("'/etc/own/a.conf.post' runs on nodes")
        );
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::write(dir.join("a"), "").unwrap();
        for (line, expected) in [
            ("DIR/a /etc/a", "expected 'source -> destination'"),
            ("DIR/none -> /etc/a", "DIR/none is not there"),
            ("DIR/n* -> /etc/a", "there is nothing at DIR/n*"),
            ("a -> /etc/a", "'a' is not an absolute path"),
            (
                "DIR/a -> etc/a",
                "'etc/a' is not an absolute path without '..', and so is not in the image",
            ),
            (
                "DIR/a -> /../a",
                "'/../a' is not an absolute path without '..', and so is not in the image",
            ),
            (
                "DIR/a -> /etc/$NODE",
                "has a '$' of a node's attribute, and the image is for all of its nodes",
            ),
        ] {
            let refused = load(dir, line).unwrap_err();
            let shown = dir.display().to_string();
            assert_eq!(
                refused,
                [format!(
                    "{shown}/list:1: {}",
                    expected.replace("DIR", &shown)
                )]
            );
        }
    }

    #[test]
    fn what_editors_leave_in_a_list_and_in_accounts_is_taken_out_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let shown = dir.display();
        fs::write(dir.join("passwd"), "ops:x:7:7::/:/bin/sh\r\n").unwrap();
        fs::write(dir.join("motd"), "as it is\r\n").unwrap();
        let text = "\u{feff}DIR/motd -> /etc/motd\r\nMERGE:\r\nDIR/passwd -> /etc/passwd\r\n";
        let list = load(dir, text).unwrap();
        let bytes: Vec<_> = list
            .files
            .iter()
            .map(|file| file.bytes.as_slice())
            .collect();
        assert_eq!(bytes, [&b"as it is\r\n"[..], b"ops:x:7:7::/:/bin/sh\n"]);
        let notes: Vec<_> = list.notes.iter().map(ToString::to_string).collect();
        let left_out = "was saved with carriage returns or a byte order mark, which were left out";
        assert_eq!(
            notes,
            ["list", "passwd"].map(|name| format!("{shown}/{name}: {left_out}"))
        );
        let refused = |text: &str| load(dir, text).unwrap_err();
        assert_eq!(
            refused("# a\nDIR/mo\u{0}td -> /etc/motd\n"),
            [format!(
                "{shown}/list:2: contains a control character (\\u{{0}}): delete it"
            )]
        );
        fs::write(dir.join("passwd"), "a:x:1:\nops:x:7:\u{1b}[2J\n").unwrap();
        assert_eq!(
            refused("MERGE:\nDIR/passwd -> /etc/passwd\n"),
            [format!(
                "{shown}/list:2: {shown}/passwd:2: contains a control character (\\u{{1b}}): delete it"
            )]
        );
    }

    #[test]
    fn an_account_takes_the_place_of_its_own() {
        let merged = merge_accounts("root:x:0:\nops:x:1:\n", "ops:x:7:\n\nnew:x:8:\n");
        assert_eq!(merged, "root:x:0:\nops:x:7:\nnew:x:8:\n");
    }
}
