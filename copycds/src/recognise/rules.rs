//! The rules by which words on a medium become findings. They are data: a table in this crate, and
//! whatever files a user lays beside it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use definitions::Arch;
use regex::{Regex, RegexSet, RegexSetBuilder};

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
    /// Those of which the beginning of every match is known, by its first byte.
    by_first: BTreeMap<u8, Vec<(NameRule, RulePattern)>>,
    /// The others: of paths, and of packages.
    sets: [OpenPatterns; 2],
}

/// Patterns of which no beginning is known.
#[derive(Debug, Clone)]
struct OpenPatterns {
    rules: Vec<(NameRule, RulePattern)>,
    set: OnceLock<Option<RegexSet>>,
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
        let (known, open): (Vec<_>, Vec<_>) = rules
            .into_iter()
            .partition(|(_, pattern)| !pattern.prefix().is_empty());
        let mut by_first = BTreeMap::<u8, Vec<_>>::new();
        for rule in known {
            let first = rule.1.prefix().as_bytes()[0];
            by_first.entry(first).or_default().push(rule);
        }
        let sets = [false, true].map(|package| OpenPatterns {
            rules: open
                .iter()
                .filter(|(rule, _)| rule.is_of_package() == package)
                .cloned()
                .collect(),
            set: OnceLock::new(),
        });
        Self { by_first, sets }
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
        let known = known.into_iter().flatten();
        let known = known.filter(|(rule, _)| rule.is_of_package() == package);
        let open = self.sets[usize::from(package)].matching(text);
        known
            .chain(open)
            .filter_map(|(rule, pattern)| Some((*rule, pattern.match_text(text)?)))
            .collect()
    }
}

impl OpenPatterns {
    /// Returns the rules that match a text: all of them are tried in one pass.
    fn matching(&self, text: &str) -> impl Iterator<Item = &(NameRule, RulePattern)> {
        let compile = || {
            let patterns = self.rules.iter().map(|(_, pattern)| pattern.as_str());
            RegexSetBuilder::new(patterns)
                .case_insensitive(true)
                .build()
                .ok()
        };
        let set = match self.rules.as_slice() {
            [] => None,
            _ => self.set.get_or_init(compile).as_ref(),
        };
        let matches = set.map(|set| set.matches(text));
        let indices = matches.into_iter().flatten();
        indices.map(|index| &self.rules[index])
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
        let names = &rules.names;
        let known = names.by_first.values().flatten();
        let open = names.sets.iter().flat_map(|set| &set.rules);
        let of_names = known.chain(open).map(|(_, pattern)| pattern);
        let mut count = 0;
        for pattern in of_texts.chain(of_names) {
            pattern.ensure_compiles().unwrap();
            count += 1;
        }
        assert!(count > 150, "{count}");
        for set in &names.sets {
            let _ = set.matching("a").count();
            assert!(set.rules.is_empty() || matches!(set.set.get(), Some(Some(_))));
        }
        for family in &rules.families {
            assert!(family.words.reads("x86_64 1"), "{}", family.name);
        }
    }
}
