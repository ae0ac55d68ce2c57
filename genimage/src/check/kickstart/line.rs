//! One command or section header, checked against what its release takes.
//!
//! Options are taken as Python's argparse takes them: `--name=value` or `--name value`, and cut short
//! where no other option begins so.

use std::borrow::Cow;

use definitions::{did_you_mean, nearest};

use super::table::{CommandOption, CommandSyntax, KickstartCommand, KickstartRelease, OptionValue};

/// The words of a line after the first.
pub(super) type LineArguments<'a> = [Cow<'a, str>];

/// What a line says.
#[derive(Debug)]
pub(super) struct ParsedLine<'a> {
    command: &'static KickstartCommand,
    syntax: &'static CommandSyntax,
    release: KickstartRelease,
    given: Vec<&'static CommandOption>,
    words: Vec<&'a str>,
    /// What is wrong.
    pub(super) problems: Vec<String>,
    /// What does nothing any more.
    pub(super) notes: Vec<String>,
}

/// Checks the words after the name of a command or a section.
pub(super) fn check<'a>(
    command: &'static KickstartCommand,
    syntax: &'static CommandSyntax,
    release: KickstartRelease,
    words: &'a LineArguments<'_>,
) -> ParsedLine<'a> {
    let mut line = ParsedLine {
        command,
        syntax,
        release,
        given: Vec::new(),
        words: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    if syntax.constraints.opaque {
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

impl<'a> ParsedLine<'a> {
    fn read(&mut self, words: &'a LineArguments<'_>) {
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
            let Some(option) = self.find(name) else {
                continue;
            };
            self.given.push(option);
            if value.is_none() && option.takes != OptionValue::Flag {
                value = words.next_if(|next| !is_option(next) && *next != "--");
            }
            self.value(option, value);
        }
    }

    /// Finds an option by its name, or by a beginning that no other option has.
    fn find(&mut self, name: &str) -> Option<&'static CommandOption> {
        let command = self.command;
        let mut short = command
            .options(self.release)
            .filter(|option| option.name.starts_with(name) && name.len() > 2);
        if let Some(option) = command
            .options(self.release)
            .find(|option| option.name == name)
        {
            return Some(option);
        }
        match (short.next(), short.next()) {
            (Some(option), None) => return Some(option),
            (Some(one), Some(other)) => {
                let message = format!(
                    "'{name}' may be '{}' or '{}': write it out",
                    one.name, other.name
                );
                self.problems.push(message);
                return None;
            }
            (None, _) => {}
        }
        let (command, release) = (self.command, self.release);
        let message = match command.option_known_in(name, release) {
            Some(known_in) => format!(
                "'{}' has no option '{name}' in {release}: {known_in}",
                command.name
            ),
            None => {
                let known = command.options(release).map(|option| option.name);
                let near = did_you_mean(&nearest(name, known));
                let near = near.unwrap_or_else(|| "remove it".to_owned());
                format!("'{}' has no option '{name}': {near}", command.name)
            }
        };
        self.problems.push(message);
        None
    }

    fn value(&mut self, option: &'static CommandOption, value: Option<&str>) {
        let name = option.name;
        let message = match (&option.takes, value) {
            (OptionValue::Flag, Some(value)) => {
                format!("'{name}' takes no value, and this gives it '{value}'")
            }
            (OptionValue::Flag | OptionValue::Optional, _) => return,
            (_, None) => format!("'{name}' takes a value: write '{name}=…'"),
            (OptionValue::Value, Some(_)) => return,
            (OptionValue::Int, Some(value)) if is_int(value) => return,
            (OptionValue::Int, Some(value)) => {
                format!("'{name}' takes a whole number, not '{value}'")
            }
            (OptionValue::Bool, Some(value)) if is_bool(value) => return,
            (OptionValue::Bool, Some(value)) => {
                format!("'{name}' takes yes or no, not '{value}'")
            }
            (OptionValue::OneOf { values, any_case }, Some(value)) => {
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
        self.problems.push(message);
    }

    fn count(&mut self) {
        let name = self.command.name;
        let (least, most) = self.syntax.words;
        let count = self.words.len();
        let plural = if least == 1 { "word" } else { "words" };
        if count > most {
            let word = self.words[most];
            let message = match most {
                0 => format!("'{name}' takes options only, not '{word}'"),
                _ => format!("'{word}' is one word more than '{name}' takes"),
            };
            self.problems.push(message);
        } else if count < least {
            self.problems.push(format!(
                "'{name}' takes {least} {plural} that are not options, and this has {count}"
            ));
        }
        let needs = &self.syntax.constraints.needs;
        let met = || self.given.iter().any(|option| needs.contains(&option.name));
        if !needs.is_empty() && count == least && !met() {
            let word = if least < most { "a word or " } else { "" };
            self.problems
                .push(format!("'{name}' needs {word}one of {}", needs.join(", ")));
        }
    }

    fn options(&mut self) {
        let given = |name: &str| self.given.iter().any(|option| option.name == name);
        let name = self.command.name;
        let mut problems = Vec::new();
        for option in self.command.options(self.release) {
            let Some(required) = option.constraints.required else {
                continue;
            };
            let same = |other: &&&CommandOption| other.constraints.required == Some(required);
            if option.name == required && self.given.iter().find(same).is_none() {
                problems.push(format!("'{name}' needs '{required}'"));
            }
        }
        for (one, other) in &self.syntax.constraints.exclusive {
            if given(one) && given(other) {
                problems.push(format!("'{name}' takes '{one}' or '{other}', not both"));
            }
        }
        for option in &self.given {
            let with = &option.constraints.with;
            if !with.is_empty() && !with.iter().any(|name| given(name)) {
                problems.push(format!(
                    "'{}' needs '{}' with it",
                    option.name,
                    with.join("' or '")
                ));
            }
            if option.constraints.deprecated {
                let message = format!(
                    "'{}' does nothing in {} any more: remove it",
                    option.name, self.release
                );
                self.notes.push(message);
            }
        }
        self.problems.append(&mut problems);
    }
}

/// Whether argparse takes a word for an option; not one with a space in it, nor a negative number.
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
