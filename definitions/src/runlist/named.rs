//! Which files of the postscripts directory a text names: a script, a file that it reads, or a line's argument.
//!
//! A text and the paths of all files come in; those that it names go out. Nothing is understood of any language: what looks
//! like a path counts wherever it is, in a comment too. Pure.

use std::collections::BTreeSet;

/// How much of a name there has to be before a variable or a pattern, in bytes: less would name nearly all files.
const SHORTEST_BEGINNING: usize = 3;

/// Returns the directory of a path, with its `/`; an empty one for what is at the top.
pub(super) fn directory_of(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..=at])
}

/// Returns the files that begin with a path: with its `/` at the end, those below a directory. None for the top.
pub(super) fn files_below(begin: &str, files: &BTreeSet<String>) -> Vec<String> {
    let from = files.range(begin.to_owned()..);
    let within = from.take_while(|file| file.starts_with(begin));
    match begin {
        "" => Vec::new(),
        _ => within.cloned().collect(),
    }
}

/// Returns the files that the text of a file names: by their paths from its own directory, or from the top.
pub(super) fn named(text: &str, of: &str, files: &BTreeSet<String>) -> Vec<String> {
    let text = NamingText {
        text,
        directory: directory_of(of),
        files,
    };
    let mut found = Vec::new();
    for (word, goes_on) in words(text.text) {
        if goes_on {
            text.find_beginning(word, &mut found);
        }
        // A full stop may end the sentence of a comment.
        let word = word.trim_end_matches('.');
        text.find_module(word, &mut found);
        text.find_paths(word, &mut found);
    }
    found
}

/// Splits a text into what may be paths; with each, whether a variable or a pattern goes on behind it (`lib-$OS.sh`).
fn words(text: &str) -> BTreeSet<(&str, bool)> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "._+-/".contains(c);
    let words = text.split_inclusive(|c| !is_of_path(c));
    let words = words.map(|word| match word.char_indices().next_back() {
        Some((at, end)) if !is_of_path(end) => (&word[..at], "$*?[{%".contains(end)),
        _ => (word, false),
    });
    words.filter(|(word, _)| !word.is_empty()).collect()
}

/// A text, and the files that it may name.
struct NamingText<'a> {
    text: &'a str,
    /// The directory of the file whose text it is, with its `/`.
    directory: &'a str,
    files: &'a BTreeSet<String>,
}

impl NamingText<'_> {
    /// Where a path may lead: from the text's own directory, and from the top.
    fn places(&self, path: &str) -> [String; 2] {
        [format!("{}{path}", self.directory), path.to_owned()]
    }

    /// Finds the files whose names begin with what is before a variable or a pattern.
    fn find_beginning(&self, word: &str, found: &mut Vec<String>) {
        let begin = word.trim_start_matches(['.', '/']);
        let name = begin.rsplit('/').next().unwrap_or_default();
        if name.len() >= SHORTEST_BEGINNING {
            for place in self.places(begin) {
                found.extend(files_below(&place, self.files));
            }
        }
    }

    /// Finds a module of Python or Perl, or a package of Python with all that is in it.
    fn find_module(&self, word: &str, found: &mut Vec<String>) {
        for place in self.places(&word.replace('.', "/")) {
            let files = [".py", ".pm"].map(|ending| format!("{place}{ending}"));
            found.extend(files.into_iter().filter(|file| self.files.contains(file)));
            if self.files.contains(&format!("{place}/__init__.py")) {
                found.extend(files_below(&format!("{place}/"), self.files));
            }
        }
    }

    /// Finds files and directories by their paths. What is before a path may be anything: `$(dirname "$0")/functions`
    /// names `functions`, and `./lib/` all of `lib`.
    fn find_paths(&self, word: &str, found: &mut Vec<String>) {
        let starts = word.match_indices('/').map(|(at, _)| at + 1);
        let paths = std::iter::once(0).chain(starts).map(|at| &word[at..]);
        let paths = paths.map(|path| path.trim_end_matches('/'));
        for place in paths
            .filter(|path| !path.is_empty())
            .flat_map(|path| self.places(path))
        {
            if self.files.contains(&place) {
                found.push(place);
                continue;
            }
            let below = files_below(&format!("{place}/"), self.files);
            if !below.is_empty() && self.names_directory(word) {
                found.extend(below);
            }
        }
    }

    /// Whether a word that a directory is called by means it: as a path, or as a variable's value (`PARTS=parts`).
    fn names_directory(&self, word: &str) -> bool {
        let is_assigned = |sign: &str| self.text.contains(&format!("{sign}{word}"));
        word.contains('/') || ["=", "=\"", "='"].into_iter().any(is_assigned)
    }
}
