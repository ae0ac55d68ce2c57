//! Preseed files of debian-installer.
//!
//! Every line is read as debconf reads it (owner, template, type, value; a backslash at the end of a
//! line joins the next to it), and answers to the installer (`d-i`) are checked against a table of its
//! templates. `preseed.tsv` has one a line, with its type; `#` means a number. A template that is
//! not in the table may belong to an installer that we have not seen: unless it is near one that is, it
//! makes a note. Reference: debconf-set-selections(1), debian-installer's templates.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use definitions::{did_you_mean, nearest};

use super::Findings;
use super::findings::FindingsBuilder;

/// What debconf takes as a type.
const TYPES: [&str; 8] = [
    "boolean",
    "multiselect",
    "note",
    "password",
    "select",
    "string",
    "text",
    "title",
];

/// Templates of the installer with their types.
static TEMPLATES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("preseed.tsv").lines();
    lines.filter_map(|line| line.split_once('\t')).collect()
});

/// Checks a whole file.
pub(super) fn check(name: &str, text: &str) -> Findings {
    let mut findings = FindingsBuilder::of(name);
    let mut answers: HashMap<String, (usize, String)> = HashMap::new();
    let mut lines = LogicalLines::new(text);
    while let Some(line) = lines.next(&mut findings) {
        let entry = PreseedAnswer::parse_and_check(&line.text, line.number, &mut findings);
        let Some(entry) = entry.filter(|entry| entry.kind != AnswerType::Seen) else {
            continue;
        };
        let question = format!("{} {}", entry.owner, entry.template);
        let before = answers.insert(question, (line.number, entry.value.to_owned()));
        if let Some((before, _)) = before.filter(|(_, value)| value != entry.value) {
            let template = entry.template;
            let message = format!(
                "duplicate answer to '{template}', first in line {before}: this value is used"
            );
            findings.note(line.number, message);
        }
    }
    findings.finish()
}

/// A line as debconf sees it: joined to those that continue it.
#[derive(Debug)]
pub(super) struct LogicalLine<'a> {
    pub(super) number: usize,
    pub(super) text: Cow<'a, str>,
}

/// Joins lines.
#[derive(Debug)]
pub(super) struct LogicalLines<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
}

impl<'a> LogicalLines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            lines: text.lines().enumerate(),
        }
    }

    /// Returns the next line that is neither empty nor a comment.
    pub(super) fn next(&mut self, findings: &mut FindingsBuilder<'_>) -> Option<LogicalLine<'a>> {
        loop {
            let (index, first) = self.lines.next()?;
            let (number, begin) = (index + 1, first.trim_start());
            let mut text = Cow::Borrowed(first);
            let (mut last, mut end) = (number, first);
            while let Some(part) = end.strip_suffix('\\') {
                let Some((index, next)) = self.lines.next() else {
                    findings.problem(
                        last,
                        "the file ends after a backslash, which continues the line: remove the backslash",
                    );
                    break;
                };
                let length = text.len() - (end.len() - part.len());
                let text = text.to_mut();
                text.truncate(length);
                text.push_str(next);
                (last, end) = (index + 1, next);
                if begin.starts_with('#') && !is_blank_or_comment(next) {
                    let message = "the comment before ends with a backslash, so that this line is a comment too: remove the backslash";
                    findings.problem(last, message);
                }
            }
            if is_blank_or_comment(begin) {
                continue;
            }
            if end.trim_end().ends_with('\\') && !end.ends_with('\\') {
                let message =
                    "a space follows the backslash, so that the line ends here: remove the space";
                findings.problem(last, message);
            }
            return Some(LogicalLine { number, text });
        }
    }
}

/// Whether a line says nothing.
fn is_blank_or_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// How debconf reads the value of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerType<'a> {
    /// `seen`: whether the question is asked.
    Seen,
    Boolean,
    Select,
    /// Another type of debconf's.
    Other(&'a str),
    /// None of debconf's.
    Unknown(&'a str),
}

impl<'a> AnswerType<'a> {
    fn parse(name: &'a str) -> Self {
        match name {
            "seen" => Self::Seen,
            "boolean" => Self::Boolean,
            "select" => Self::Select,
            other if TYPES.contains(&other) => Self::Other(other),
            other => Self::Unknown(other),
        }
    }

    fn name(self) -> &'a str {
        match self {
            Self::Seen => "seen",
            Self::Boolean => "boolean",
            Self::Select => "select",
            Self::Other(name) | Self::Unknown(name) => name,
        }
    }
}

/// What a line says.
#[derive(Debug, Clone, Copy)]
pub(super) struct PreseedAnswer<'a> {
    owner: &'a str,
    pub(super) template: &'a str,
    pub(super) kind: AnswerType<'a>,
    /// Everything after the one space that ends the type.
    pub(super) value: &'a str,
}

impl<'a> PreseedAnswer<'a> {
    fn parse_and_check(
        text: &'a str,
        number: usize,
        findings: &mut FindingsBuilder<'_>,
    ) -> Option<Self> {
        let entry = Self::split(text);
        match &entry {
            Some(entry) => entry.check(number, findings),
            None => {
                let message = format!(
                    "'{}' is not an answer: write owner, template, type and value, such as 'd-i passwd/make-user boolean false'",
                    text.trim()
                );
                findings.problem(number, message);
            }
        }
        entry
    }

    /// Reads a line, whatever is wrong with it.
    pub(super) fn split(line: &'a str) -> Option<Self> {
        let (owner, rest) = word(line)?;
        let (template, rest) = word(rest)?;
        let (kind, rest) = word(rest)?;
        let mut value = rest.chars();
        value.next();
        Some(Self {
            owner,
            template,
            kind: AnswerType::parse(kind),
            value: value.as_str(),
        })
    }

    fn check(&self, number: usize, findings: &mut FindingsBuilder<'_>) {
        let Self { template, kind, .. } = *self;
        if let AnswerType::Unknown(kind) = kind {
            let near = did_you_mean(&nearest(kind, TYPES));
            let near = near.unwrap_or_else(|| format!("write one of {}", TYPES.join(", ")));
            findings.problem(
                number,
                format!("there is no type '{kind}', so that the line would be skipped: {near}"),
            );
            return;
        }
        self.check_value(number, findings);
        match self.owner {
            "d-i" => self.check_template(number, findings),
            owner => {
                if strsim::osa_distance(owner, "d-i") == 1 && template_type(template).is_some() {
                    findings.problem(number, format!("the installer does not read answers of '{owner}': write 'd-i {template}'"));
                }
            }
        }
    }

    fn check_value(&self, number: usize, findings: &mut FindingsBuilder<'_>) {
        let Self {
            template,
            kind,
            value,
            ..
        } = *self;
        let trimmed = value.trim();
        if matches!(kind, AnswerType::Boolean | AnswerType::Seen)
            && !matches!(trimmed, "true" | "false")
        {
            let message =
                format!("'{trimmed}' is not a value of '{template}': write 'true' or 'false'");
            findings.problem(number, message);
        } else if matches!(
            kind,
            AnswerType::Boolean | AnswerType::Seen | AnswerType::Select
        ) && value != trimmed
        {
            let message = format!(
                "a space before or after '{trimmed}' is part of the value of '{template}': write one space before it and none after it"
            );
            findings.problem(number, message);
        }
    }

    fn check_template(&self, number: usize, findings: &mut FindingsBuilder<'_>) {
        let Self { template, kind, .. } = *self;
        match template_type(template) {
            Some(expected) => {
                let expects_boolean = expected == "boolean";
                let is_boolean = kind == AnswerType::Boolean;
                if kind != AnswerType::Seen && expected != "error" && expects_boolean != is_boolean
                {
                    let message = format!(
                        "'{template}' is of type {expected}, and this is {}: write '{expected}'",
                        kind.name()
                    );
                    findings.problem(number, message);
                }
            }
            None => {
                let mut names: Vec<_> = TEMPLATES.keys().copied().collect();
                names.sort_unstable();
                match did_you_mean(&nearest(template, names)) {
                    Some(near) => findings.problem(number, format!("the installer has no question '{template}': {near}")),
                    None => findings.note(number, format!("'{template}' is not a known question of the installer: it is not checked")),
                }
            }
        }
    }
}

/// Returns the first word and what follows it, whatever spaces come first. A no-break space is none, as for isspace(3)
/// in the installer's locale.
fn word(text: &str) -> Option<(&str, &str)> {
    let is_blank = |c: char| c.is_ascii_whitespace();
    let text = text.trim_start_matches(is_blank);
    let end = text.find(is_blank).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Returns the type of a template of the installer.
fn template_type(template: &str) -> Option<&'static str> {
    let find = |wanted: &str| TEMPLATES.get(wanted).copied();
    find(template).or_else(|| {
        // `apt-setup/local0/repository`
        let (before, rest) = template.split_once(|c: char| c.is_ascii_digit())?;
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        find(&format!("{before}#{rest}"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Vec<String> {
        let findings = check("host01/preseed.cfg", text);
        let notes = findings.notes.iter().map(|note| format!("note: {note}"));
        let problems = findings.problems.iter().map(ToString::to_string);
        problems.chain(notes).collect()
    }

    #[test]
    fn templates_have_a_type() {
        assert!(TEMPLATES.len() > 500);
        let types: Vec<_> = TYPES.into_iter().chain(["error"]).collect();
        for (name, kind) in TEMPLATES.iter() {
            assert!(types.contains(kind), "{name} {kind}");
        }
    }

    #[test]
    fn what_the_installer_takes_is_not_reported() {
        let text = "# an answer\n\nd-i passwd/make-user boolean false\n  d-i\tpartman-auto/method\tstring regular\n\
            d-i apt-setup/local0/repository string http://10.1.0.1/a ./\nd-i apt-setup/local12/key string x\n\
            d-i pkgsel/include string openssh-server \\\n  gawk \\\n  chrony\nd-i partman-auto/disk string\n\
            d-i passwd/make-user seen true\ntasksel tasksel/first multiselect standard\n\
            d-i debian-installer/locale string en_US.UTF-8\nd-i netcfg/choose_interface select auto\n\
            d-i preseed/late_command string in-target sh -c 'echo \\\\ > /x'; \\\n true\r\n\
            # a comment \\\n# that goes on\nmypackage mypackage/what text  two blanks\n";
        assert_eq!(message(text), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_line_and_what_to_do() {
        for (line, expected) in [
            (
                "d-i partman-auto/methd string lvm",
                "the installer has no question 'partman-auto/methd': did you mean 'partman-auto/method'?",
            ),
            (
                "d-i passwd/make-user",
                "'d-i passwd/make-user' is not an answer: write owner, template, type and value, such as 'd-i passwd/make-user boolean false'",
            ),
            (
                "d-i clock-setup/utc\u{a0}boolean true",
                "there is no type 'true', so that the line would be skipped: write one of boolean, multiselect, note, password, select, string, text, title",
            ),
            (
                "d-i passwd/make-user bolean false",
                "there is no type 'bolean', so that the line would be skipped: did you mean 'boolean'?",
            ),
            (
                "d-i passwd/make-user x false",
                "there is no type 'x', so that the line would be skipped: write one of boolean, multiselect, note, password, select, string, text, title",
            ),
            (
                "d-i passwd/make-user boolean no",
                "'no' is not a value of 'passwd/make-user': write 'true' or 'false'",
            ),
            (
                "d-i passwd/make-user boolean  false",
                "a space before or after 'false' is part of the value of 'passwd/make-user': write one space before it and none after it",
            ),
            (
                "d-i passwd/make-user string false",
                "'passwd/make-user' is of type boolean, and this is string: write 'boolean'",
            ),
            (
                "di passwd/make-user boolean false",
                "the installer does not read answers of 'di': write 'd-i passwd/make-user'",
            ),
            (
                "d-i pkgsel/include string a \\ ",
                "a space follows the backslash, so that the line ends here: remove the space",
            ),
            (
                "d-i pkgsel/include string a \\",
                "the file ends after a backslash, which continues the line: remove the backslash",
            ),
        ] {
            assert_eq!(
                message(&format!("\n{line}")),
                [format!("host01/preseed.cfg:2: {expected}")]
            );
        }
    }

    #[test]
    fn a_comment_that_swallows_an_answer_is_reported() {
        let text = "# a \\\nd-i passwd/make-user boolean false\n";
        let expected = "host01/preseed.cfg:2: the comment before ends with a backslash, so that this line is a comment too: remove the backslash";
        assert_eq!(message(text), [expected]);
    }

    #[test]
    fn what_is_doubtful_is_a_note() {
        for (text, expected) in [
            (
                "d-i our-own-component/setting string x\n",
                "note: host01/preseed.cfg:1: 'our-own-component/setting' is not a known question of the installer: it is not checked",
            ),
            (
                "d-i partman-auto/disk string /dev/sda\n\nd-i partman-auto/disk string /dev/sdb\n",
                "note: host01/preseed.cfg:3: duplicate answer to 'partman-auto/disk', first in line 1: this value is used",
            ),
        ] {
            assert_eq!(message(text), [expected]);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((d-i|di|#|x|partman-auto/method|é|boolean|string|true|\\\\)[ \t\r]?|\n){0,24}") {
            let _ = message(&text);
        }

        #[test]
        fn lines_are_joined_as_debconf_joins_them(parts in proptest::collection::vec("[ab]{0,4}", 1..6)) {
            let text = format!("d-i our-own/x string {}\n", parts.join("\\\n"));
            let mut findings = FindingsBuilder::of("x");
            let line = LogicalLines::new(&text).next(&mut findings).unwrap();
            prop_assert_eq!(PreseedAnswer::split(&line.text).unwrap().value, parts.concat());
        }
    }
}
