//! One pattern of the rules: a regular expression that is compiled when a text may match it.
//!
//! Most texts are ruled out by the words that a pattern has in it, so that a run compiles a few of two hundred. What
//! a user wrote is compiled at once all the same, so that every error in it is found ([`RulePattern::ensure_compiles`]).

use std::sync::OnceLock;

use anyhow::anyhow;
use regex::{Captures, Regex, RegexBuilder};

use super::arch_words::arch_words;
use super::finding::Version;
use super::literals::Literals;
use super::trailing_words::TrailingWords;

/// A regular expression, and what it means besides what it captures.
#[derive(Debug, Clone)]
pub(super) struct RulePattern {
    regex: String,
    /// What rules texts out.
    literals: Literals,
    compiled: OnceLock<Result<Regex, String>>,
    version: Option<Version>,
    mark: Option<String>,
}

/// What a pattern took from a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PatternMatch {
    pub(super) version: Option<Version>,
    pub(super) codename: Option<String>,
    pub(super) variant: Option<String>,
    pub(super) disc: Option<u32>,
    /// What makes it another release than the plain one: `beta`, `ostree`.
    pub(super) mark: Option<String>,
    /// Where in the text the last digit of the version is.
    pub(super) version_end: usize,
    /// Where in the text the pattern ends.
    pub(super) end: usize,
}

const VERSION: &str = "(?<version>[0-9]{1,2}(?:[._-][0-9]{1,2})?)";
const VERSION3: &str = r"(?<version>[0-9]{1,2}(?:\.[0-9]{1,2}){0,2})";
const END: &str = "(?:[ ._-]|$)";

impl RulePattern {
    /// Parses one pattern of a rules file: a regular expression, and after ` => ` the version it means, or after ` => .`
    /// what makes its version another release.
    pub(super) fn parse(text: &str, words: &TrailingWords) -> Self {
        let (regex, given) = match text.split_once(" => ") {
            Some((regex, given)) => (regex, Some(given)),
            None => (text, None),
        };
        let mark = given.and_then(|given| given.strip_prefix('.'));
        let version = given.filter(|_| mark.is_none()).map(Version::new);
        let literals = Literals::of(regex);
        let mut regex = regex
            .replace("{version}", VERSION)
            .replace("{version3}", VERSION3)
            .replace("{end}", END);
        if regex.contains("{words}") {
            regex = regex.replace("{words}", &words.pattern());
        }
        if regex.contains("{arch}") {
            // as a stage of a release, alpha has a capital
            let arches = arch_words().join("|").replace("alpha", "(?-i:alpha)");
            regex = regex.replace("{arch}", &format!("(?:{arches})"));
        }
        Self {
            regex,
            literals,
            compiled: OnceLock::new(),
            version,
            mark: mark.map(str::to_owned),
        }
    }

    /// Compiles it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn ensure_compiles(&self) -> anyhow::Result<()> {
        self.compiled().map(drop).map_err(|why| anyhow!("{why}"))
    }

    /// Returns the bytes, in small letters, with one of which every match begins; none where that is not known.
    pub(super) fn first_bytes(&self) -> impl Iterator<Item = u8> {
        self.literals.first_bytes()
    }

    /// Matches a text.
    pub(super) fn match_text(&self, text: &str) -> Option<PatternMatch> {
        if !self.literals.allow(text) {
            return None;
        }
        let found = self.compiled().ok()?.captures(text)?;
        let group = |name| found.name(name).map(|group| group.as_str().to_owned());
        let version_start = ["version", "major"]
            .iter()
            .find_map(|name| found.name(name));
        if version_start.is_some_and(|group| is_in_arch_word(text, group.start())) {
            return None;
        }
        Some(PatternMatch {
            version: captured_version(&found).or_else(|| self.version.clone()),
            codename: group("codename").map(|name| name.to_lowercase()),
            variant: group("variant"),
            disc: group("disc").and_then(|digits| digits.parse().ok()),
            mark: group("mark")
                .map(|word| mark(&word.to_lowercase()))
                .or_else(|| self.mark.clone()),
            end: found.get(0).map_or(0, |whole| whole.end()),
            version_end: ["third", "minor", "version", "major"]
                .iter()
                .find_map(|name| found.name(name))
                .map_or(0, |group| group.end()),
        })
    }

    fn compiled(&self) -> Result<&Regex, &str> {
        let compile = || {
            let mut builder = RegexBuilder::new(&self.regex);
            let regex = builder.case_insensitive(true).size_limit(1 << 20).build();
            regex.map_err(|error| {
                let message = error.to_string();
                let last = message.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            })
        };
        self.compiled
            .get_or_init(compile)
            .as_ref()
            .map_err(String::as_str)
    }
}

/// Whether a place is inside a word for an architecture: the `64` of `x86_64` is no version.
fn is_in_arch_word(text: &str, at: usize) -> bool {
    let text = text.to_ascii_lowercase();
    arch_words().into_iter().any(|word| {
        let mut places = text.match_indices(word);
        places.any(|(start, _)| start < at && at < start + word.len())
    })
}

/// Media abbreviate what is not finished: `Fedora-S-23_B`.
fn mark(word: &str) -> String {
    let whole = match word {
        "a" => "alpha",
        "b" => "beta",
        "release candidate" => "rc",
        other => other,
    };
    whole.replace(|c: char| !c.is_ascii_alphanumeric(), "")
}

fn captured_version(found: &Captures<'_>) -> Option<Version> {
    let group = |name| found.name(name).map(|group| group.as_str());
    let parts: Vec<_> = ["major", "minor", "third"]
        .into_iter()
        .filter_map(group)
        .collect();
    match group("version") {
        Some(version) => Some(Version::new(version)),
        None => (!parts.is_empty()).then(|| Version::new(&parts.join("."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_rule_out_nothing_that_the_expression_matches() {
        let words = TrailingWords::new(std::iter::empty(), std::iter::empty());
        for (regex, text) in [
            ("^RHEL-{version}", "rhel-9.4"),
            ("^Fedora?-WS", "FEDOR-ws"),
            ("^OL{2}", "oll"),
            ("^one|two", "a two"),
            ("SLE", "the SLE"),
        ] {
            let pattern = RulePattern::parse(regex, &words);
            assert!(pattern.match_text(text).is_some(), "{regex} {text}");
        }
    }
}
