//! Kickstart files of anaconda.
//!
//! A file is commands, then sections from `%name` to `%end`. Every command and every section header is
//! checked against what that release takes ([`table`]); of scripts nothing is read but where they end. What
//! a fragment that is included at installation time says is not known here. Reference: the kickstart
//! documentation of pykickstart; each line is judged as its `ksvalidator` judges it, in tests.

mod line;
mod table;
pub(super) mod words;

use std::borrow::Cow;
use std::collections::HashMap;

use definitions::{Distro, did_you_mean, nearest};

use self::table::{KickstartRelease, command, names};
use self::words::{Unterminated, split};
use super::Findings;
use super::findings::FindingsBuilder;

/// Checks a whole file for a release.
pub(super) fn check(distro: &Distro, name: &str, text: &str) -> Findings {
    let mut file = KickstartChecker {
        findings: FindingsBuilder::of(name),
        release: KickstartRelease::of(distro),
        open: None,
        seen: HashMap::new(),
    };
    if file.release.is_none() {
        let message = format!(
            "the kickstart commands of {distro} are not known here: only the sections are checked"
        );
        file.findings.note(0, message);
    }
    for (index, line) in text.lines().enumerate() {
        file.line(index + 1, line);
    }
    if let Some(section) = &file.open {
        let message = format!(
            "'{}' is not closed: end it with a line '%end'",
            section.name
        );
        file.findings.problem(section.line, message);
    }
    file.findings.finish()
}

/// A file, as far as it was read.
#[derive(Debug)]
struct KickstartChecker<'a> {
    findings: FindingsBuilder<'a>,
    release: Option<KickstartRelease>,
    open: Option<OpenSection>,
    /// Commands with the lines that say them.
    seen: HashMap<&'static str, usize>,
}

/// A section that is open.
#[derive(Debug, Clone, Copy)]
struct OpenSection {
    name: &'static str,
    line: usize,
}

/// Sections that every release knows; a body may hold any other word that begins with `%`.
fn section(name: &str) -> Option<&'static str> {
    let found = name.starts_with('%').then(|| command(name)).flatten();
    found.map(|section| section.name)
}

impl KickstartChecker<'_> {
    fn line(&mut self, number: usize, line: &str) {
        let begin = line.trim_start();
        if begin.is_empty() || begin.starts_with('#') {
            return;
        }
        match self.open {
            Some(open) => self.inside(open, number, begin),
            None => self.outside(number, line),
        }
    }

    /// A line of a section's body: of a script only what ends it is read.
    fn inside(&mut self, open: OpenSection, number: usize, begin: &str) {
        let first = begin.split_whitespace().next().unwrap_or_default();
        match first {
            "%end" => self.open = None,
            "%include" => self.include(number, begin),
            first if section(first).is_some() => {
                let message = format!(
                    "'{}' is not closed before '{first}' in line {number}: write a line '%end'",
                    open.name
                );
                self.findings.problem(open.line, message);
                self.open = None;
                self.outside(number, begin);
            }
            _ if open.name == "%packages" && begin.starts_with('@') => {
                let mut options = begin
                    .split_whitespace()
                    .filter(|word| word.starts_with("--"));
                if let Some(word) =
                    options.find(|word| !matches!(*word, "--nodefaults" | "--optional"))
                {
                    let near = did_you_mean(&nearest(word, ["--nodefaults", "--optional"]));
                    let near = near.unwrap_or_else(|| "remove it".to_owned());
                    self.findings
                        .problem(number, format!("a group has no option '{word}': {near}"));
                }
            }
            _ => {}
        }
    }

    fn include(&mut self, number: usize, line: &str) {
        let words = split(line).unwrap_or_default();
        if words.get(1).is_none_or(|file| file.is_empty()) {
            self.findings.problem(number, "'%include' names no file");
        }
    }

    /// A command, or what opens a section.
    fn outside(&mut self, number: usize, line: &str) {
        let words = match split(line) {
            Ok(words) => words,
            Err(Unterminated::Quote(mark)) => {
                let message = format!(
                    "unclosed quotation mark {mark}: close it, or put a backslash before it"
                );
                return self.findings.problem(number, message);
            }
            Err(Unterminated::Backslash) => {
                let message = "a backslash ends the line, and a command cannot go on in the next: write it in one";
                return self.findings.problem(number, message);
            }
        };
        let Some((first, rest)) = words.split_first() else {
            return;
        };
        match first.as_ref() {
            "%include" => self.include(number, line),
            "%ksappend" => {}
            "%end" => self
                .findings
                .problem(number, "'%end' closes nothing: no section is open here"),
            name if name.starts_with('%') => self.section(number, name, rest),
            name => self.command(number, name, rest),
        }
    }

    fn section(&mut self, number: usize, name: &str, rest: &[Cow<'_, str>]) {
        let Some(known) = command(name) else {
            let all = self.release.map(|release| names(release, true));
            let near = did_you_mean(&nearest(name, all.into_iter().flatten()));
            let near =
                near.unwrap_or_else(|| "write one of %packages, %pre, %post, %addon".to_owned());
            self.findings
                .problem(number, format!("there is no section '{name}': {near}"));
            return;
        };
        self.open = Some(OpenSection {
            name: known.name,
            line: number,
        });
        if let Some(release) = self.release
            && let Some(syntax) = known.syntax(release)
        {
            let line = line::check(known, syntax, release, rest);
            self.report(number, line);
        }
    }

    fn command(&mut self, number: usize, name: &str, rest: &[Cow<'_, str>]) {
        let Some(release) = self.release else {
            return;
        };
        let Some(known) = command(name) else {
            let near = did_you_mean(&nearest(name, names(release, false)));
            let near = near.unwrap_or_else(|| "correct it, or write it in a section".to_owned());
            self.findings
                .problem(number, format!("there is no command '{name}': {near}"));
            return;
        };
        let Some(syntax) = known.syntax(release) else {
            let known_in = known.known_in(release).unwrap_or_default();
            self.findings.problem(
                number,
                format!("'{name}' is not a command of {release}: {known_in}"),
            );
            return;
        };
        if syntax.constraints.deprecated {
            let message = format!("'{name}' does nothing in {release} any more: remove it");
            return self.findings.note(number, message);
        }
        for other in &syntax.constraints.conflicts {
            if let Some(line) = self.seen.get(other) {
                let message =
                    format!("'{name}' conflicts with '{other}' in line {line}: remove one of them");
                self.findings.problem(number, message);
            }
        }
        let before = self.seen.insert(canonical_name(known.name), number);
        if let Some(before) = before.filter(|_| syntax.constraints.single) {
            let message = format!(
                "duplicate command '{name}', first in line {before}: this line replaces it"
            );
            self.findings.note(number, message);
        }
        let line = line::check(known, syntax, release, rest);
        self.report(number, line);
    }

    fn report(&mut self, number: usize, line: line::ParsedLine<'_>) {
        for problem in line.problems {
            self.findings.problem(number, problem);
        }
        for note in line.notes {
            self.findings.note(number, note);
        }
    }
}

/// The one name of commands that go by several.
fn canonical_name(name: &'static str) -> &'static str {
    match name {
        "part" => "partition",
        "auth" => "authconfig",
        "halt" | "poweroff" | "shutdown" => "reboot",
        other => other,
    }
}

#[cfg(test)]
mod tests;
