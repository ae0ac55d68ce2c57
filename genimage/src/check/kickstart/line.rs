//! One command or section header, held against what its release takes.
//!
//! Options are taken as Python's argparse takes them: `--name=value` or `--name value`, and cut short
//! where no other option begins so.

use std::borrow::Cow;

use definitions::{did_you_mean, nearest};

use super::table::{Choice, Command, Form, Release, Takes};

/// A line's words, behind the first.
pub(super) type Words<'a> = [Cow<'a, str>];

/// What a line says.
#[derive(Debug)]
pub(super) struct Line<'a> {
    command: &'static Command,
    form: &'static Form,
    release: Release,
    said: Vec<&'static Choice>,
    words: Vec<&'a str>,
    /// What is wrong.
    pub(super) problems: Vec<String>,
    /// What does nothing any more.
    pub(super) notes: Vec<String>,
}

/// Checks the words behind a command or a section's name.
pub(super) fn check<'a>(
    command: &'static Command,
    form: &'static Form,
    release: Release,
    words: &'a Words<'_>,
) -> Line<'a> {
    let mut line = Line {
        command,
        form,
        release,
        said: Vec::new(),
        words: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    if form.about.opaque {
        line.words.extend(words.iter().map(AsRef::as_ref));
        line.count();
        return line;
    }
    line.read(words);
    if line.problems.is_empty() {
        line.count();
        line.options();
    }
    line
}

impl<'a> Line<'a> {
    fn read(&mut self, words: &'a Words<'_>) {
        let mut words = words.iter().map(AsRef::as_ref).peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                self.words.extend(words);
                return;
            }
            if !is_option(word) {
                self.words.push(word);
                continue;
            }
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            };
            let Some(choice) = self.find(name) else {
                continue;
            };
            self.said.push(choice);
            if value.is_none() && choice.takes != Takes::Flag {
                value = words.next_if(|next| !is_option(next) && *next != "--");
            }
            self.value(choice, value);
        }
    }

    /// Finds an option by its name, or by a beginning that no other option has.
    fn find(&mut self, name: &str) -> Option<&'static Choice> {
        let command = self.command;
        let mut short = command
            .options(self.release)
            .filter(|choice| choice.name.starts_with(name) && name.len() > 2);
        if let Some(choice) = command
            .options(self.release)
            .find(|choice| choice.name == name)
        {
            return Some(choice);
        }
        match (short.next(), short.next()) {
            (Some(choice), None) => return Some(choice),
            (Some(one), Some(other)) => {
                let told = format!(
                    "'{name}' may be '{}' or '{}': write it out",
                    one.name, other.name
                );
                self.problems.push(told);
                return None;
            }
            (None, _) => {}
        }
        let (command, release) = (self.command, self.release);
        let told = match command.option_elsewhere(name, release) {
            Some(elsewhere) => format!(
                "'{}' knows no option '{name}' in {release}: {elsewhere}",
                command.name
            ),
            None => {
                let known = command.options(release).map(|choice| choice.name);
                let near = did_you_mean(&nearest(name, known));
                let near = near.unwrap_or_else(|| "remove it".to_owned());
                format!("'{}' knows no option '{name}': {near}", command.name)
            }
        };
        self.problems.push(told);
        None
    }

    fn value(&mut self, choice: &'static Choice, value: Option<&str>) {
        let name = choice.name;
        let told = match (&choice.takes, value) {
            (Takes::Flag, Some(value)) => {
                format!("'{name}' takes no value, and this gives it '{value}'")
            }
            (Takes::Flag | Takes::Optional, _) => return,
            (_, None) => format!("'{name}' takes a value: write '{name}=…'"),
            (Takes::Value, Some(_)) => return,
            (Takes::Int, Some(value)) if is_int(value) => return,
            (Takes::Int, Some(value)) => {
                format!("'{name}' takes a whole number, and '{value}' is none")
            }
            (Takes::Bool, Some(value)) if is_bool(value) => return,
            (Takes::Bool, Some(value)) => {
                format!("'{name}' takes yes or no, and '{value}' is neither")
            }
            (Takes::OneOf { values, any_case }, Some(value)) => {
                let same = |known: &&&str| {
                    **known == value || *any_case && known.eq_ignore_ascii_case(value)
                };
                if values.iter().find(same).is_some() {
                    return;
                }
                let near = did_you_mean(&nearest(value, values.iter().copied()));
                let near = near.unwrap_or_else(|| format!("write one of {}", values.join(", ")));
                format!("'{name}' does not take '{value}': {near}")
            }
        };
        self.problems.push(told);
    }

    fn count(&mut self) {
        let name = self.command.name;
        let (least, most) = self.form.words;
        let count = self.words.len();
        let plural = if least == 1 { "word" } else { "words" };
        if count > most {
            let word = self.words[most];
            let told = match most {
                0 => format!("'{name}' takes options only, and '{word}' is none"),
                _ => format!("'{word}' is one word more than '{name}' takes"),
            };
            self.problems.push(told);
        } else if count < least {
            self.problems.push(format!(
                "'{name}' takes {least} {plural} that are no options, and this says {count}"
            ));
        }
        let needs = &self.form.about.needs;
        let met = || self.said.iter().any(|choice| needs.contains(&choice.name));
        if !needs.is_empty() && count == least && !met() {
            let word = if least < most { "a word or " } else { "" };
            self.problems
                .push(format!("'{name}' needs {word}one of {}", needs.join(", ")));
        }
    }

    fn options(&mut self) {
        let said = |name: &str| self.said.iter().any(|choice| choice.name == name);
        let name = self.command.name;
        let mut problems = Vec::new();
        for choice in self.command.options(self.release) {
            let Some(required) = choice.about.required else {
                continue;
            };
            let same = |other: &&&Choice| other.about.required == Some(required);
            if choice.name == required && self.said.iter().find(same).is_none() {
                problems.push(format!("'{name}' needs '{required}'"));
            }
        }
        for (one, other) in &self.form.about.apart {
            if said(one) && said(other) {
                problems.push(format!("'{name}' takes '{one}' or '{other}', not both"));
            }
        }
        for choice in &self.said {
            let with = &choice.about.with;
            if !with.is_empty() && !with.iter().any(|name| said(name)) {
                problems.push(format!(
                    "'{}' needs '{}' beside it",
                    choice.name,
                    with.join("' or '")
                ));
            }
            if choice.about.deprecated {
                let told = format!(
                    "'{}' does nothing in {} any more: remove it",
                    choice.name, self.release
                );
                self.notes.push(told);
            }
        }
        self.problems.append(&mut problems);
    }
}

/// Whether argparse takes a word for an option; one with a blank in it, or a negative number, is none.
fn is_option(word: &str) -> bool {
    word.len() > 1
        && word.starts_with('-')
        && (word.contains('=') || !word.contains(' '))
        && word[1..].parse::<f64>().is_err()
}

/// Whether Python reads a whole number.
fn is_int(value: &str) -> bool {
    let value = value.trim();
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_bool(value: &str) -> bool {
    ["on", "yes", "true", "1", "off", "no", "false", "0"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(value))
}
