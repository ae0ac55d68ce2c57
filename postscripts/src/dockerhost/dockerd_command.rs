//! dockerd's command line: its words, what variables make of them, and the options that dockerd finds.
//!
//! In: the value of `ExecStart=` and the variables of the service. Out: the options, each with where it
//! comes from, and the same command without some of them. Pure. References: systemd.service(5),
//! "Command lines"; dockerd(8); pflag's rules for options (`--name value`, `--name=value`, `-abc value`).

use std::fmt;
use std::path::{Path, PathBuf};

use super::environment::{Environment, VariableOrigin, specifiers, unquote, words};

/// Options of dockerd that take no value.
const SWITCHES: [&str; 22] = [
    "cri-containerd",
    "debug",
    "experimental",
    "help",
    "icc",
    "init",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "live-restore",
    "no-new-privileges",
    "raw-logs",
    "rootless",
    "selinux-enabled",
    "tls",
    "tlsverify",
    "userland-proxy",
    "validate",
    "version",
];

/// Short options and their names.
const SHORT: [(char, &str); 10] = [
    ('D', "debug"),
    ('G', "group"),
    ('H', "host"),
    ('b', "bridge"),
    ('g', "graph"),
    ('h', "help"),
    ('l', "log-level"),
    ('p', "pidfile"),
    ('s', "storage-driver"),
    ('v', "version"),
];

/// A command line that ends in dockerd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DockerdCommandLine {
    /// The file that holds it.
    file: PathBuf,
    /// The words as they stand there.
    words: Vec<String>,
    /// How many of them come before dockerd's own; `None` where none of them is dockerd.
    before: Option<usize>,
    flags: Vec<Flag>,
}

/// One option as dockerd finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flag {
    /// Its long name.
    pub(super) name: String,
    /// Its value; `true` for a switch that has none.
    pub(super) value: String,
    /// Where it comes from.
    pub(super) origin: FlagOrigin,
    /// The words that hold it and nothing else; none where it cannot be taken out.
    words: Vec<usize>,
}

/// Where an option comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FlagOrigin {
    /// `ExecStart=` in this file.
    ExecStart(PathBuf),
    /// A variable on the command line, and who sets it.
    Variable(String, VariableOrigin),
    /// A program that starts dockerd.
    Wrapper(String),
}

/// A word that dockerd gets.
struct Argument {
    text: String,
    /// The word of the command line that it is all of; `None` where it is not.
    word: Option<usize>,
    origin: FlagOrigin,
}

impl Flag {
    /// Whether it can be taken out of the command line.
    pub(super) fn is_removable(&self) -> bool {
        !self.words.is_empty()
    }

    /// Whether it has that value, however a switch spells it.
    pub(super) fn has_value(&self, value: &str) -> bool {
        match (self.value.as_str(), value) {
            ("1" | "t" | "T" | "TRUE" | "True", "true") => true,
            ("0" | "f" | "F" | "FALSE" | "False", "false") => true,
            (given, value) => given == value,
        }
    }
}

/// As a person would type it.
impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "host" => write!(f, "-H {}", self.value),
            name if SWITCHES.contains(&name) && self.has_value("true") => write!(f, "--{name}"),
            name => write!(f, "--{name}={}", self.value),
        }
    }
}

/// What has to be looked at to change it.
impl fmt::Display for FlagOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExecStart(file) => write!(f, "ExecStart in {}", file.display()),
            Self::Variable(name, setting) => write!(f, "{name} in {setting}"),
            Self::Wrapper(program) => write!(f, "{program}, which starts dockerd"),
        }
    }
}

impl DockerdCommandLine {
    /// Reads a command line that is in a file.
    pub(super) fn parse(command: &str, file: &Path, environment: &Environment) -> Self {
        let words = words(command);
        let literal = FlagOrigin::ExecStart(file.to_owned());
        let (prefix, _) = split_prefix(words.first().map_or("", String::as_str));
        let expands = !prefix.contains(':');
        let arguments: Vec<_> = words
            .iter()
            .enumerate()
            .flat_map(|(at, word)| expand(at, word, environment, &literal, expands))
            .collect();
        let program = arguments.iter().position(|argument| {
            let text = match argument.word {
                Some(0) => split_prefix(&argument.text).1,
                _ => argument.text.as_str(),
            };
            text.rsplit('/').next() == Some("dockerd")
        });
        // systemd.service(5): after "@" the second word is the name that the program gets.
        let own = program.map(|at| match (at, prefix.contains('@')) {
            (0, true) => 2,
            _ => at + 1,
        });
        let flags = own.map_or_else(Vec::new, |own| {
            flags(arguments.get(own..).unwrap_or_default())
        });
        Self {
            file: file.to_owned(),
            before: own,
            words,
            flags,
        }
    }

    /// Returns the options that dockerd gets.
    pub(super) fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Returns the value of the last option of a name, which is the one that counts.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut named = self.flags.iter().rev().filter(|flag| flag.name == name);
        named.next().map(|flag| flag.value.as_str())
    }

    /// Returns the program that starts dockerd, where the command line does not name dockerd itself.
    pub(super) fn wrapper(&self) -> Option<&str> {
        self.before.is_none().then(|| self.program())
    }

    /// Returns the program that systemd starts.
    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", |word| split_prefix(word).1)
    }

    /// Says, of a command line that starts another program, what dockerd was started with by it: words
    /// that are handed on can still be taken out, whatever else that program adds cannot.
    pub(super) fn with_observed_arguments(mut self, dockerd_process: &[String]) -> Self {
        let program = self.program().to_owned();
        let own: Vec<_> = self.words.iter().map(|word| unquote(word)).collect();
        let given = own.get(1..).unwrap_or_default();
        // Where all that the program is given comes back in one run, it handed that on.
        let handed = (!given.is_empty())
            .then(|| {
                dockerd_process
                    .windows(given.len())
                    .position(|run| run == given)
            })
            .flatten();
        let argument = |(at, text): (usize, &String)| {
            let word = handed.and_then(|from| at.checked_sub(from));
            let word = word.filter(|word| *word < given.len());
            Argument {
                text: text.clone(),
                word: word.map(|word| word + 1),
                origin: match word {
                    Some(_) => FlagOrigin::ExecStart(self.file.clone()),
                    None => FlagOrigin::Wrapper(program.clone()),
                },
            }
        };
        let arguments: Vec<_> = dockerd_process.iter().enumerate().map(argument).collect();
        self.flags = flags(&arguments);
        self
    }

    /// Returns the same command without those of its options that `unwanted` accepts and that can be
    /// taken out, or `None` where there is none.
    pub(super) fn without(&self, unwanted: impl Fn(&Flag) -> bool) -> Option<String> {
        let mut words: Vec<_> = self.words.iter().cloned().map(Some).collect();
        let mut is_changed = false;
        for flag in self
            .flags
            .iter()
            .filter(|flag| flag.is_removable() && unwanted(flag))
        {
            is_changed = true;
            for (number, at) in flag.words.iter().enumerate() {
                let rest = words[*at].as_deref().filter(|_| number == 0);
                words[*at] = rest.and_then(|word| switches_before(word, &flag.name));
            }
        }
        is_changed.then(|| words.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

/// Splits off what systemd.service(5) lets stand before the path of a program.
fn split_prefix(word: &str) -> (&str, &str) {
    let path = word.trim_start_matches(['@', '-', ':', '+', '!', '|']);
    word.split_at(word.len() - path.len())
}

/// What becomes of one word: `$NAME` alone is split into words, `${NAME}` stays in its word.
fn expand(
    at: usize,
    word: &str,
    environment: &Environment,
    literal: &FlagOrigin,
    expands: bool,
) -> Vec<Argument> {
    let argument =
        |text: String, word: Option<usize>, origin: FlagOrigin| Argument { text, word, origin };
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let plain = specifiers(&unquote(word));
    if !expands || !plain.contains('$') {
        return vec![argument(plain, Some(at), literal.clone())];
    }
    let origin = |name: &str| {
        let held = environment.variable(name);
        let setting = held.map_or(VariableOrigin::Unit, |held| held.origin.clone());
        FlagOrigin::Variable(name.to_owned(), setting)
    };
    let value = |name: &str| {
        let held = environment.variable(name);
        held.map(|held| held.value.clone()).unwrap_or_default()
    };
    if let Some(name) = plain.strip_prefix('$').filter(|name| is_name(name)) {
        let split = words(&value(name));
        let split = split.iter().map(|word| unquote(word));
        return split
            .map(|text| argument(text, None, origin(name)))
            .collect();
    }
    let mut text = String::new();
    let mut from = literal.clone();
    let mut rest = plain.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((name, after)) = after
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'))
        {
            text.push_str(&value(name));
            from = origin(name);
            rest = after;
        } else {
            text.push('$');
        }
    }
    text.push_str(rest);
    vec![argument(text, Some(at), from)]
}

/// Finds the options among the words that dockerd gets.
fn flags(arguments: &[Argument]) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let mut found = options(&argument.text);
        // The last of them takes the next word where it has no value; one that looks like an option is
        // none: a switch that is not known here comes before it.
        let mut next_word = None;
        if let Some((name, None)) = found.last()
            && !SWITCHES.contains(&name.as_str())
        {
            next_word = rest.next_if(|next| !next.text.starts_with('-') || next.text == "-");
        }
        let last = found.len().saturating_sub(1);
        for (number, (name, value)) in found.drain(..).enumerate() {
            let following = next_word.filter(|_| number == last);
            let parts = std::iter::once(argument).chain(following);
            let words: Option<Vec<_>> = parts.map(|part| part.word).collect();
            let origin = match (
                &argument.origin,
                following.map(|following| &following.origin),
            ) {
                (FlagOrigin::ExecStart(_), Some(origin)) => origin.clone(),
                (origin, _) => origin.clone(),
            };
            let value = value.or_else(|| following.map(|following| following.text.clone()));
            flags.push(Flag {
                name,
                value: value.unwrap_or_else(|| "true".to_owned()),
                origin,
                words: words.unwrap_or_default(),
            });
        }
    }
    flags
}

/// The options in one word, the last one perhaps with its value.
fn options(word: &str) -> Vec<(String, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        return match long.split_once('=') {
            _ if long.is_empty() => Vec::new(),
            Some((name, value)) => vec![(name.to_owned(), Some(value.to_owned()))],
            None => vec![(long.to_owned(), None)],
        };
    }
    let mut found = Vec::new();
    let mut rest = word.strip_prefix('-').unwrap_or_default().chars();
    while let Some(letter) = rest.next() {
        let known = SHORT.iter().find(|(short, _)| *short == letter);
        let name = known.map_or_else(|| letter.to_string(), |(_, name)| (*name).to_owned());
        let value = rest.as_str();
        let is_switch = SWITCHES.contains(&name.as_str());
        match value.strip_prefix('=') {
            Some(value) => {
                found.push((name, Some(value.to_owned())));
                break;
            }
            None if is_switch => found.push((name, None)),
            None => {
                let value = Some(value.to_owned()).filter(|value| !value.is_empty());
                found.push((name, value));
                break;
            }
        }
    }
    found
}

/// What is left of a word when its last option is taken out: the short switches before it.
fn switches_before(word: &str, name: &str) -> Option<String> {
    let (short, _) = SHORT.iter().find(|(_, long)| *long == name)?;
    let letters = word
        .strip_prefix('-')
        .filter(|word| !word.starts_with('-'))?;
    let (before, _) = letters.split_once(*short)?;
    (!before.is_empty()).then(|| format!("-{before}"))
}

#[cfg(test)]
mod tests;
