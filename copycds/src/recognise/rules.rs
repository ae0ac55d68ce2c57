//! The rules by which words on a medium become findings. They are data: a table in this crate, and
//! whatever files a user lays beside it.

use std::collections::{BTreeMap, BTreeSet};

use definitions::Arch;
use regex::Regex;

use super::finding::{ReleaseFinding, Version};
use super::package_names::is_package;
use super::pattern::{PatternMatch, RulePattern};
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

/// All patterns for names.
#[derive(Debug, Clone)]
pub(super) struct NameRules {
    rules: Vec<(NameRule, RulePattern)>,
    /// Those (by index) of which the beginning of every match is known, by its first byte.
    by_first: BTreeMap<u8, BTreeSet<usize>>,
    /// The others.
    open: Vec<usize>,
}

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
    /// Sorts patterns by how the names begin that they match.
    pub(super) fn new(rules: Vec<(NameRule, RulePattern)>) -> Self {
        let mut by_first = BTreeMap::<u8, BTreeSet<_>>::new();
        let mut open = Vec::new();
        for (index, (_, pattern)) in rules.iter().enumerate() {
            let mut bytes = pattern.first_bytes().peekable();
            if bytes.peek().is_none() {
                open.push(index);
            }
            for byte in bytes {
                by_first.entry(byte).or_default().insert(index);
            }
        }
        Self {
            rules,
            by_first,
            open,
        }
    }

    /// Returns the rules that a path matches: packages by their last component, others whole.
    pub(super) fn matching(&self, path: &str) -> Vec<(NameRule, PatternMatch)> {
        let base = path.rsplit('/').next().unwrap_or(path);
        let mut found = self.match_text(path, false);
        if is_package(base) {
            found.extend(self.match_text(base, true));
        }
        found
    }

    fn match_text(&self, text: &str, package: bool) -> Vec<(NameRule, PatternMatch)> {
        let first = text.bytes().next().map(|byte| byte.to_ascii_lowercase());
        let known = first.and_then(|first| self.by_first.get(&first));
        let rules = known.into_iter().flatten().chain(&self.open);
        rules
            .map(|index| &self.rules[*index])
            .filter(|(rule, _)| rule.is_of_package() == package)
            .filter_map(|(rule, pattern)| Some((*rule, pattern.match_text(text)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_that_comes_with_this_program_compiles() {
        let rules = RecognitionRules::embedded().unwrap();
        let of_families = rules
            .families
            .iter()
            .flat_map(|family| [&family.says, &family.disk_info, &family.release]);
        let of_others = rules
            .others
            .iter()
            .flat_map(|other| [&other.says, &other.ids]);
        let of_texts = of_families
            .chain(of_others)
            .chain([&rules.neutral])
            .flatten();
        let of_names = rules.names.rules.iter().map(|(_, pattern)| pattern);
        let mut count = 0;
        for pattern in of_texts.chain(of_names) {
            pattern.ensure_compiles().unwrap();
            count += 1;
        }
        assert!(count > 150, "{count}");
        for family in &rules.families {
            assert!(family.words.reads("x86_64 1"), "{}", family.name);
        }
    }
}
