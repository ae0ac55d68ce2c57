//! The rules by which words on a medium become findings. They are data: a table in this crate, and
//! whatever files a user lays beside it.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use definitions::Arch;
use regex::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::arch_words::arch_words;
use super::finding::{ReleaseFinding, Version};
use super::trailing_words::TrailingWords;

/// The rules in force.
#[derive(Debug, Clone)]
pub struct RecognitionRules {
    pub(super) families: Vec<FamilyRules>,
    pub(super) others: Vec<OtherSystem>,
    /// Labels that name no product, whatever is in them.
    pub(super) neutral: Vec<RulePattern>,
    /// What makes a release another one where a file shows it: `ostree`.
    pub(super) marks: Vec<String>,
    /// Names of files that hint at a family, an architecture or another system, and whose they are.
    pub(super) names: NameRules,
    /// Every architecture word, alone or with a build number glued to its end.
    pub(super) arch_word: Regex,
}

/// One distribution.
#[derive(Debug, Clone)]
pub(super) struct FamilyRules {
    pub(super) name: String,
    pub(super) product: String,
    pub(super) says: Vec<RulePattern>,
    pub(super) disk_info: Vec<RulePattern>,
    pub(super) release: Vec<RulePattern>,
    /// Version and codename, in the order of the file.
    pub(super) codenames: Vec<(Version, String)>,
    pub(super) arches: BTreeMap<String, Arch>,
    /// Families whose release packages are on its media too.
    pub(super) carries: Vec<String>,
    /// What may follow the words that a pattern reads.
    pub(super) words: TrailingWords,
}

/// Something to refuse by name.
#[derive(Debug, Clone)]
pub(super) struct OtherSystem {
    pub(super) name: String,
    pub(super) derivative: bool,
    pub(super) says: Vec<RulePattern>,
    pub(super) ids: Vec<RulePattern>,
}

/// A regular expression, and what it means besides what it captures.
#[derive(Debug, Clone)]
pub(super) struct RulePattern {
    regex: Regex,
    version: Option<Version>,
    mark: Option<String>,
}

/// Which rule a file's name matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NameRule {
    /// A package of this family (index), and whether only this family has it.
    Package { family: usize, own: bool },
    /// A package that says which product a medium of RPM packages is: `acme-release-9.4-1.noarch.rpm`.
    ReleasePackage,
    /// A package that has such a name and says nothing of the product: it adds a repository.
    KnownReleasePackage,
    /// A path that hints at this family (index).
    Family(usize),
    /// A path that hints at an architecture.
    Arch(Arch),
    /// A path that makes the release another one (index of the mark).
    Mark(usize),
    /// A path that only another system (index) has.
    Other(usize),
}

/// All patterns for names, matched in one pass.
#[derive(Debug, Clone)]
pub(super) struct NameRules {
    set: RegexSet,
    rules: Vec<(NameRule, RulePattern)>,
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

impl FamilyRules {
    /// Returns the findings that count for a family: its own, and those of a format that names none.
    pub(super) fn relevant<'a>(
        &self,
        findings: &[&'a ReleaseFinding],
    ) -> impl Iterator<Item = &'a ReleaseFinding> {
        findings.iter().copied().filter(|finding| {
            let family = finding.family.as_ref();
            family.is_none_or(|name| *name == self.name)
        })
    }
}

impl NameRule {
    /// Whether it is matched against the file name of a package, not against the path of a file.
    fn is_of_package(self) -> bool {
        matches!(
            self,
            Self::Package { .. } | Self::ReleasePackage | Self::KnownReleasePackage
        )
    }
}

impl NameRules {
    pub(super) fn new(rules: Vec<(NameRule, RulePattern)>) -> anyhow::Result<Self> {
        let set = RegexSetBuilder::new(rules.iter().map(|(_, pattern)| pattern.regex.as_str()))
            .case_insensitive(true)
            .build()
            .context("compiling the patterns for names")?;
        Ok(Self { set, rules })
    }

    /// Returns the rules that a path matches: packages by their last component, others whole.
    pub(super) fn matching(&self, path: &str) -> Vec<(NameRule, PatternMatch)> {
        let base = path.rsplit('/').next().unwrap_or(path);
        let match_text = |text: &str, package: bool| {
            self.set
                .matches(text)
                .into_iter()
                .map(|index| &self.rules[index])
                .filter(|(rule, _)| rule.is_of_package() == package)
                .filter_map(|(rule, pattern)| Some((*rule, pattern.match_text(text)?)))
                .collect::<Vec<_>>()
        };
        let mut found = match_text(path, false);
        if base.ends_with(".rpm") || base.ends_with(".deb") {
            found.extend(match_text(base, true));
        }
        found
    }
}

impl RulePattern {
    /// Compiles one pattern of a rules file: a regular expression, and after ` => ` the version it
    /// means, or after ` => .` what makes its version another release.
    pub(super) fn compile(text: &str, words: &TrailingWords) -> anyhow::Result<Self> {
        let (regex, given) = match text.split_once(" => ") {
            Some((regex, given)) => (regex, Some(given)),
            None => (text, None),
        };
        let mark = given.and_then(|given| given.strip_prefix('.'));
        let version = given.filter(|_| mark.is_none()).map(Version::new);
        let regex = regex
            .replace("{version}", VERSION)
            .replace("{version3}", VERSION3)
            .replace("{end}", END)
            .replace("{words}", &words.pattern())
            .replace("{arch}", &format!("(?:{})", arch_words().join("|")));
        let regex = RegexBuilder::new(&regex)
            .case_insensitive(true)
            .size_limit(1 << 20)
            .build()
            .map_err(|err| {
                let message = err.to_string();
                let last = message.lines().last().unwrap_or_default();
                anyhow!("{}", last.trim_start_matches("error: "))
            })?;
        Ok(Self {
            regex,
            version,
            mark: mark.map(str::to_owned),
        })
    }

    /// Matches a text.
    pub(super) fn match_text(&self, text: &str) -> Option<PatternMatch> {
        let found = self.regex.captures(text)?;
        let group = |name| found.name(name).map(|group| group.as_str().to_owned());
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
