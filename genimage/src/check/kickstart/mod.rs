//! Kickstart files of anaconda.
//!
//! A file is commands, then sections from `%name` to `%end`. Every command and every section header is
//! held against what that release takes ([`table`]); of scripts nothing is read but where they end. What
//! a fragment that is included at installation time says is not known here. Reference: the kickstart
//! documentation of pykickstart; each line is judged as its `ksvalidator` judges it, in tests.

mod line;
mod table;
mod words;

use std::borrow::Cow;
use std::collections::HashMap;

use definitions::{Distro, did_you_mean, nearest};

use self::table::{Release, command, names};
use self::words::{Unended, split};
use super::Findings;
use super::telling::Telling;

/// Checks a whole file for a release.
pub(super) fn check(distro: &Distro, name: &str, text: &str) -> Findings {
    let mut file = File {
        telling: Telling::of(name),
        release: Release::of(distro),
        open: None,
        said: HashMap::new(),
    };
    if file.release.is_none() {
        let told = format!(
            "the kickstart commands of {distro} are not known here: only the sections are checked"
        );
        file.telling.note(0, told);
    }
    for (index, line) in text.lines().enumerate() {
        file.line(index + 1, line);
    }
    if let Some(section) = &file.open {
        let told = format!(
            "'{}' is not closed: end it with a line '%end'",
            section.name
        );
        file.telling.problem(section.line, told);
    }
    file.telling.findings()
}

/// A file, as far as it was read.
#[derive(Debug)]
struct File<'a> {
    telling: Telling<'a>,
    release: Option<Release>,
    open: Option<Section>,
    /// Commands with the lines that say them.
    said: HashMap<&'static str, usize>,
}

/// A section that is open.
#[derive(Debug, Clone, Copy)]
struct Section {
    name: &'static str,
    line: usize,
}

/// Sections that every release knows; a body may hold any other word that begins with `%`.
fn section(name: &str) -> Option<&'static str> {
    let found = name.starts_with('%').then(|| command(name)).flatten();
    found.map(|section| section.name)
}

impl File<'_> {
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
    fn inside(&mut self, open: Section, number: usize, begin: &str) {
        let first = begin.split_whitespace().next().unwrap_or_default();
        match first {
            "%end" => self.open = None,
            "%include" => self.include(number, begin),
            first if section(first).is_some() => {
                let told = format!(
                    "'{}' is not closed before '{first}' in line {number}: write a line '%end'",
                    open.name
                );
                self.telling.problem(open.line, told);
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
                    self.telling
                        .problem(number, format!("a group knows no option '{word}': {near}"));
                }
            }
            _ => {}
        }
    }

    fn include(&mut self, number: usize, line: &str) {
        let words = split(line).unwrap_or_default();
        if words.get(1).is_none_or(|file| file.is_empty()) {
            self.telling.problem(number, "'%include' names no file");
        }
    }

    /// A command, or what opens a section.
    fn outside(&mut self, number: usize, line: &str) {
        let words = match split(line) {
            Ok(words) => words,
            Err(Unended::Quote(mark)) => {
                let told = format!(
                    "a quotation mark {mark} has no other: close it, or write it behind a backslash"
                );
                return self.telling.problem(number, told);
            }
            Err(Unended::Backslash) => {
                let told = "a backslash ends the line, and a command cannot go on in the next: write it in one";
                return self.telling.problem(number, told);
            }
        };
        let Some((first, rest)) = words.split_first() else {
            return;
        };
        match first.as_ref() {
            "%include" => self.include(number, line),
            "%ksappend" => {}
            "%end" => self
                .telling
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
            self.telling
                .problem(number, format!("there is no section '{name}': {near}"));
            return;
        };
        self.open = Some(Section {
            name: known.name,
            line: number,
        });
        if let Some(release) = self.release
            && let Some(form) = known.form(release)
        {
            let line = line::check(known, form, release, rest);
            self.tell(number, line);
        }
    }

    fn command(&mut self, number: usize, name: &str, rest: &[Cow<'_, str>]) {
        let Some(release) = self.release else {
            return;
        };
        let Some(known) = command(name) else {
            let near = did_you_mean(&nearest(name, names(release, false)));
            let near = near.unwrap_or_else(|| "correct it, or write it in a section".to_owned());
            self.telling
                .problem(number, format!("there is no command '{name}': {near}"));
            return;
        };
        let Some(form) = known.form(release) else {
            let elsewhere = known.elsewhere(release).unwrap_or_default();
            self.telling.problem(
                number,
                format!("'{name}' is no command of {release}: {elsewhere}"),
            );
            return;
        };
        if form.about.deprecated {
            let told = format!("'{name}' does nothing in {release} any more: remove it");
            return self.telling.note(number, told);
        }
        for other in &form.about.conflicts {
            if let Some(line) = self.said.get(other) {
                let told = format!(
                    "'{name}' cannot be said beside '{other}' in line {line}: remove one of them"
                );
                self.telling.problem(number, told);
            }
        }
        let before = self.said.insert(one_name(known.name), number);
        if let Some(before) = before.filter(|_| form.about.single) {
            let told = format!("'{name}' was said in line {before} already: this line replaces it");
            self.telling.note(number, told);
        }
        let line = line::check(known, form, release, rest);
        self.tell(number, line);
    }

    fn tell(&mut self, number: usize, line: line::Line<'_>) {
        for problem in line.problems {
            self.telling.problem(number, problem);
        }
        for note in line.notes {
            self.telling.note(number, note);
        }
    }
}

/// The one name of commands that go by several.
fn one_name(name: &'static str) -> &'static str {
    match name {
        "part" => "partition",
        "auth" => "authconfig",
        "halt" | "poweroff" | "shutdown" => "reboot",
        other => other,
    }
}

#[cfg(test)]
mod tests;
