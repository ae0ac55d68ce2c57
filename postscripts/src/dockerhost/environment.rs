//! The variables that systemd gives a service, as text: `Environment=` and files of `EnvironmentFile=`.
//!
//! Pure. Quotes, comments and continued lines are those of systemd.exec(5), "Environment", and
//! systemd.syntax(7), "Quoting"; nothing is expanded in a value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Variables by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Environment(BTreeMap<String, Variable>);

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) value: String,
    pub(super) origin: VariableOrigin,
}

/// Who sets a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VariableOrigin {
    /// systemd itself, for all its services: `DefaultEnvironment=`, `systemctl set-environment`, and what
    /// `PassEnvironment=` hands on.
    ServiceManager,
    /// `Environment=` of the unit.
    Unit,
    /// This file of `EnvironmentFile=`.
    File(PathBuf),
}

impl fmt::Display for VariableOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceManager => {
                f.write_str("systemd's own environment ('systemctl show-environment')")
            }
            Self::Unit => f.write_str("docker.service"),
            Self::File(file) => file.display().fmt(f),
        }
    }
}

impl Environment {
    /// Returns a variable.
    pub(super) fn variable(&self, name: &str) -> Option<&Variable> {
        self.0.get(name)
    }

    /// Adds what one `Environment=` line says.
    pub(super) fn assign(&mut self, line: &str) {
        for word in words(line) {
            self.set(&unquote(&word), VariableOrigin::Unit);
        }
    }

    /// Adds what `systemctl show-environment` prints: values that need it are quoted as a shell's are
    /// (`$'…'`), older ones with their names.
    pub(super) fn inherit(&mut self, text: &str) {
        for line in text.lines() {
            self.set(
                &unquote(&line.replacen("$'", "'", 1)),
                VariableOrigin::ServiceManager,
            );
        }
    }

    /// Adds those variables of a process that `names` names; `text` is its `/proc/PID/environ`.
    pub(super) fn pass(&mut self, text: &str, names: &str) {
        let names: Vec<_> = names.split_whitespace().collect();
        for variable in text.split('\0') {
            if variable
                .split_once('=')
                .is_some_and(|(name, _)| names.contains(&name))
            {
                self.set(variable, VariableOrigin::ServiceManager);
            }
        }
    }

    /// Adds what a file of `EnvironmentFile=` says; it wins over what is there.
    pub(super) fn read_file(&mut self, file: &Path, text: &str) {
        for line in file_lines(text) {
            self.set(&line, VariableOrigin::File(file.to_owned()));
        }
    }

    /// Takes out what one `UnsetEnvironment=` line names: a variable, or one with that value.
    pub(super) fn unset(&mut self, line: &str) {
        for word in words(line) {
            let word = unquote(&word);
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            if value.is_none_or(|value| self.0.get(name).is_some_and(|held| held.value == value)) {
                self.0.remove(name);
            }
        }
    }

    fn set(&mut self, assignment: &str, origin: VariableOrigin) {
        let Some((name, value)) = assignment.split_once('=') else {
            return;
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return;
        }
        let variable = Variable {
            value: value.to_owned(),
            origin,
        };
        self.0.insert(name.to_owned(), variable);
    }
}

/// Splits a line at white space outside of quotes; the words keep their quotes and escapes.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (_, '\\') => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Puts in what specifiers stand for in docker.service (systemd.unit(5), "Specifiers"), as far as that is the same on every
/// host; the others stay.
pub(super) fn specifiers(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('%') => plain.push('%'),
            Some('n') => plain.push_str("docker.service"),
            Some('N' | 'p' | 'P') => plain.push_str("docker"),
            Some('t') => plain.push_str("/run"),
            Some('S') => plain.push_str("/var/lib"),
            Some('C') => plain.push_str("/var/cache"),
            Some('L') => plain.push_str("/var/log"),
            Some('E') => plain.push_str("/etc"),
            other => {
                plain.push('%');
                plain.extend(other);
            }
        }
        rest = chars.as_str();
    }
    plain + rest
}

/// Takes the quotes and escapes out of a word.
pub(super) fn unquote(word: &str) -> String {
    let mut plain = String::new();
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (_, '\\') => match chars.next() {
                Some('n') => plain.push('\n'),
                Some('t') => plain.push('\t'),
                Some('s') => plain.push(' '),
                Some('x') => plain.extend(character(&mut chars, None, 16)),
                Some(digit @ '0'..='7') => plain.extend(character(&mut chars, Some(digit), 8)),
                Some(c) => plain.push(c),
                None => plain.push('\\'),
            },
            (_, c) => plain.push(c),
        }
    }
    plain
}

/// Reads the rest of `\x2f` or `\057`: the character of a number.
fn character(chars: &mut std::str::Chars<'_>, first: Option<char>, radix: u32) -> Option<char> {
    let digits: String = first.into_iter().chain(chars.by_ref().take(2)).collect();
    u8::from_str_radix(&digits, radix).ok().map(char::from)
}

/// Returns the assignments of an environment file, unquoted: a line for each, continued lines joined.
fn file_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&first) = chars.peek() {
        match first {
            '#' | ';' => skip_comment(&mut chars),
            c if c.is_whitespace() => drop(chars.next()),
            _ => lines.push(assignment(&mut chars)),
        }
    }
    lines
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// A comment goes on where its line ends in a backslash.
fn skip_comment(chars: &mut Chars<'_>) {
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '\n' => return,
            _ => {}
        }
    }
}

/// Reads `NAME=value` to the end of its last line; nothing where there is no `=`. Quotes count where a value or a part
/// of it begins, and not within one (systemd's `env-file.c`).
fn assignment(chars: &mut Chars<'_>) -> String {
    let mut line = String::new();
    loop {
        match chars.next() {
            Some('=') => break,
            None | Some('\n' | '\r') => return String::new(),
            Some(c) => line.push(c),
        }
    }
    line.truncate(line.trim_end().len());
    line.push('=');
    let (mut quote, mut is_plain) = (None, false);
    // White space at the end counts only where quotes or a backslash keep it.
    let mut kept = line.len();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\n' | '\r') => break,
            (None, '"' | '\'') if !is_plain => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            // Between single quotes a backslash is a backslash.
            (None | Some('"'), '\\') => {
                is_plain |= quote.is_none();
                match chars.next() {
                    Some('\n' | '\r') | None => continue,
                    Some(c) => {
                        if quote.is_some() && !matches!(c, '"' | '\\' | '`' | '$') {
                            line.push('\\');
                        }
                        line.push(c);
                    }
                }
            }
            (None, c) if c.is_whitespace() => {
                line.extend(is_plain.then_some(c));
                continue;
            }
            (_, c) => {
                is_plain |= quote.is_none();
                line.push(c);
            }
        }
        kept = line.len();
    }
    line.truncate(kept);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, name: &str) -> Option<String> {
        let mut environment = Environment::default();
        environment.read_file(Path::new("/etc/default/docker"), text);
        environment.variable(name).map(|held| held.value.clone())
    }

    #[test]
    fn an_environment_file_is_read_as_systemd_reads_it() {
        for (text, read) in [
            ("O=-H fd://\n", "-H fd://"),
            ("O=\"-H fd://\" \n", "-H fd://"),
            ("O='a \"b\"'\n", "a \"b\""),
            ("O=\"--a \\\n  --b \\\n\"\n", "--a   --b "),
            ("# O=x \\\nO=still a comment\nO=y\n", "y"),
            ("; c\n\nO=  z  \n", "z"),
            (
                "  O = -H tcp://127.0.0.1:2375 \n",
                "-H tcp://127.0.0.1:2375",
            ),
            ("O=--label a=\"b c\" -D\n", "--label a=\"b c\" -D"),
            ("O=\"-H fd://\" -D\n", "-H fd://-D"),
            ("O=a'b\n", "a'b"),
            ("no assignment\nO=x", "x"),
            ("O=x # no comment\n", "x # no comment"),
            ("O=a\\ b\\\nc\n", "a bc"),
            ("O=\"a\\tb \\$x\"\n", "a\\tb $x"),
            ("O=1\nO=2\n", "2"),
            ("O=\"two\nlines\"\n", "two\nlines"),
            ("O=\"never closed", "never closed"),
        ] {
            assert_eq!(value(text, "O").as_deref(), Some(read), "{text:?}");
        }
        assert_eq!(value("export O=1\nno assignment\n", "O"), None);
    }

    #[test]
    fn a_file_wins_over_the_unit_and_what_is_unset_is_gone() {
        let mut environment = Environment::default();
        environment.assign("A=1 \"B=two words\" 'C=3' D");
        assert_eq!(environment.variable("B").unwrap().value, "two words");
        environment.read_file(Path::new("/f"), "A=2\n");
        let origin = VariableOrigin::File(PathBuf::from("/f"));
        let value = "2".to_owned();
        assert_eq!(environment.variable("A"), Some(&Variable { value, origin }));
        environment.unset("A B=other C=3");
        for (name, is_set) in [("A", false), ("B", true), ("C", false), ("D", false)] {
            assert_eq!(environment.variable(name).is_some(), is_set, "{name}");
        }
    }

    #[test]
    fn what_systemd_itself_hands_on_comes_before_the_unit() {
        let shown =
            "LANG=C\nO=$'-H tcp://127.0.0.1:2375 --label \\'a b\\''\n$'OLD=two words'\nU=1\n";
        let mut environment = Environment::default();
        environment.inherit(shown);
        environment.pass("P=passed on\0Q=not\0", "X P");
        environment.assign("U=2");
        for (name, value, origin) in [
            ("LANG", "C", VariableOrigin::ServiceManager),
            (
                "O",
                "-H tcp://127.0.0.1:2375 --label 'a b'",
                VariableOrigin::ServiceManager,
            ),
            ("OLD", "two words", VariableOrigin::ServiceManager),
            ("P", "passed on", VariableOrigin::ServiceManager),
            ("U", "2", VariableOrigin::Unit),
        ] {
            let value = value.to_owned();
            assert_eq!(
                environment.variable(name),
                Some(&Variable { value, origin })
            );
        }
        assert_eq!(environment.variable("Q"), None);
    }

    #[test]
    fn a_specifier_is_what_it_stands_for() {
        for (text, expected) in [
            ("/etc/default/%p", "/etc/default/docker"),
            ("%E/%N-%n%%", "/etc/docker-docker.service%"),
            ("%t%H%", "/run%H%"),
            ("none", "none"),
        ] {
            assert_eq!(specifiers(text), expected, "{text}");
        }
    }

    #[test]
    fn words_keep_their_quotes_until_they_are_taken_out() {
        assert_eq!(unquote("\\x2fa\\057b\\tc\\x20"), "/a/b\tc ");
        let line = "a \"b c\" 'd \"e' f\\ g h\"i j\"k";
        let words = words(line);
        assert_eq!(words.join(" "), line);
        let plain: Vec<_> = words.iter().map(|word| unquote(word)).collect();
        assert_eq!(plain, ["a", "b c", "d \"e", "f g", "hi jk"]);
    }
}
