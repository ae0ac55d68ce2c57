//! From statements to findings: the rules read what the medium says.

use std::collections::{BTreeMap, BTreeSet};

use definitions::Arch;

use super::arch_words::{arch_of, arch_words};
use super::evidence::Evidence;
use super::finding::{DiscNumber, ReleaseFinding, Version, Weight};
use super::package_names::{common_version, package_finding, packages_finding, unknown_release};
use super::pattern::{PatternMatch, RulePattern};
use super::release_files::ReleaseFile;
use super::rules::{FamilyRules, NameRule, OtherSystem, RecognitionRules};
use super::source::FindingSource;
use super::statements::{ReleaseStatement, StatementKind, statements};
use super::trailing_words::{LabelEnd, names_a_product};

/// Everything that was found on a medium.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ReleaseFindings {
    /// Every text that was read, whether it says something or not.
    pub(super) all: Vec<ReleaseFinding>,
    /// What makes the release another one, by a file that only that one has: `ostree`.
    pub(super) mark: Option<String>,
    /// For which machines its packages are, if they are for any.
    pub(super) packages: Option<ReleaseFinding>,
    /// Another system that it is, if it is one.
    pub(super) other: Option<OtherFinding>,
}

/// What says that a medium is of another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OtherFinding {
    /// The system, as its rule calls it.
    pub(super) name: String,
    /// Whether it is built from a family of ours.
    pub(super) derivative: bool,
    pub(super) finding: ReleaseFinding,
}

impl OtherFinding {
    fn new(rule: &OtherSystem, finding: ReleaseFinding) -> Self {
        Self {
            name: rule.name.clone(),
            derivative: rule.derivative,
            finding,
        }
    }
}

/// Reads a medium's evidence by the rules.
pub(super) fn match_rules(evidence: &Evidence, rules: &RecognitionRules) -> ReleaseFindings {
    let mut found = ReleaseFindings::default();
    for statement in statements(evidence) {
        if found.other.is_none() {
            found.other = other_system(&statement, rules);
            let labels = found
                .other
                .iter()
                .filter(|_| statement.kind == StatementKind::Ids);
            found.all.extend(labels.map(|other| other.finding.clone()));
        }
        let read = finding(&statement, rules);
        let other = read
            .as_ref()
            .and_then(|read| other_arches(&statement, read, rules));
        found.all.extend(read.into_iter().chain(other));
    }
    match_names(evidence, rules, &mut found);
    found
}

fn other_system(statement: &ReleaseStatement, rules: &RecognitionRules) -> Option<OtherFinding> {
    let other = rules.others.iter().find(|other| {
        let matches = |patterns: &[RulePattern]| {
            patterns
                .iter()
                .any(|pattern| pattern.match_text(&statement.text).is_some())
        };
        match statement.kind {
            StatementKind::Ids => matches(&other.ids),
            StatementKind::Field(_) => matches(&other.ids) || matches(&other.says),
            _ => matches(&other.says),
        }
    })?;
    let finding = ReleaseFinding::new(statement.source.clone(), &statement.text, Weight::Firm);
    Some(OtherFinding::new(other, finding))
}

/// What a statement says; nothing for one that does not count.
fn finding(statement: &ReleaseStatement, rules: &RecognitionRules) -> Option<ReleaseFinding> {
    if statement.kind == StatementKind::Ids {
        return None;
    }
    let variants = statement.alternatives.iter().find_map(|text| {
        let statement = ReleaseStatement {
            text: text.clone(),
            alternatives: Vec::new(),
            ..statement.clone()
        };
        finding(&statement, rules).filter(|finding| finding.family.is_some())
    });
    if variants.is_some() {
        return variants;
    }
    let extent = LabelEnd::of(&statement.text, statement.kind.width());
    match read(statement, extent, rules) {
        Some((family, matched)) => Some(family_finding(statement, family, matched, extent, rules)),
        None => unmatched_finding(statement, rules),
    }
}

/// Finds the family one of whose patterns reads a statement from its first word to its last; or whose
/// product it is, and no more.
fn read<'r>(
    statement: &ReleaseStatement,
    extent: LabelEnd,
    rules: &'r RecognitionRules,
) -> Option<(&'r FamilyRules, PatternMatch)> {
    let text = &statement.text;
    let by_pattern = rules.families.iter().find_map(|family| {
        let patterns = match statement.kind {
            StatementKind::DiskInfo => &family.disk_info,
            StatementKind::Release => &family.release,
            _ => &family.says,
        };
        let whole = |matched: &PatternMatch| family.words.know(text, matched.end, extent);
        let matched = patterns
            .iter()
            .filter_map(|pattern| pattern.match_text(text))
            .find(whole)?;
        Some((family, matched))
    });
    let named = matches!(
        statement.kind,
        StatementKind::Product | StatementKind::Field(_)
    ) && !is_neutral(text, rules);
    let by_product = || {
        let mut families = rules.families.iter().filter(|_| named);
        let family = families.find(|family| family.product.eq_ignore_ascii_case(text))?;
        Some((family, PatternMatch::default()))
    };
    by_pattern.or_else(by_product)
}

/// Whether a text names no product, whatever is in it.
fn is_neutral(text: &str, rules: &RecognitionRules) -> bool {
    let mut patterns = rules.neutral.iter();
    patterns.any(|pattern| pattern.match_text(text).is_some())
}

fn family_finding(
    statement: &ReleaseStatement,
    family: &FamilyRules,
    matched: PatternMatch,
    extent: LabelEnd,
    rules: &RecognitionRules,
) -> ReleaseFinding {
    let arches = if statement.arches.is_empty() {
        arches_in(&statement.text, family, rules, extent)
    } else {
        statement.arches.clone()
    };
    let version = match matched.version {
        Some(version) if extent.cut && matched.version_end >= extent.end => version.cut(),
        version => version,
    };
    let version = match &matched.mark {
        // what has no number is unfinished anyway
        Some(mark) => version.map(|version| {
            let marked = version.is_numbered().then(|| version.marked(mark));
            marked.unwrap_or(version)
        }),
        None => version,
    };
    let disc = matched.disc.map(|number| DiscNumber { number, of: None });
    ReleaseFinding {
        family: Some(family.name.clone()),
        version,
        arches,
        other_arch: statement.other_arch.clone(),
        codename: matched.codename.or_else(|| statement.codename.clone()),
        variant: matched.variant.or_else(|| statement.variant.clone()),
        disc: statement.disc.or(disc),
        ..ReleaseFinding::new(statement.source.clone(), &statement.text, Weight::Firm)
    }
}

/// What the text of a statement says of the architecture where the place that its format has for it says another:
/// `24.03-aarch64` beside `arch = x86_64`.
fn other_arches(
    statement: &ReleaseStatement,
    read: &ReleaseFinding,
    rules: &RecognitionRules,
) -> Option<ReleaseFinding> {
    let family = rules
        .families
        .iter()
        .find(|family| Some(&family.name) == read.family.as_ref())?;
    let extent = LabelEnd::of(&statement.text, statement.kind.width());
    let arches = arches_in(&statement.text, family, rules, extent);
    let differ = !statement.arches.is_empty()
        && !arches.is_empty()
        && !arches.iter().any(|arch| statement.arches.contains(arch));
    differ.then(|| ReleaseFinding {
        arches,
        ..read.clone()
    })
}

/// What is left of a statement that no rule reads: what is in fixed places, a bare version, or
/// that it is none of ours.
fn unmatched_finding(
    statement: &ReleaseStatement,
    rules: &RecognitionRules,
) -> Option<ReleaseFinding> {
    let text = &statement.text;
    let neutral = is_neutral(text, rules);
    let bare = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let foreign = match statement.kind {
        StatementKind::Field(_) => names_a_product(text),
        _ => true,
    };
    let weight = if foreign && !neutral && !bare {
        Weight::Foreign
    } else {
        Weight::Firm
    };
    let finding = ReleaseFinding {
        version: bare_version(statement),
        arches: statement.arches.clone(),
        other_arch: statement.other_arch.clone(),
        disc: statement.disc,
        ..ReleaseFinding::new(statement.source.clone(), text, weight)
    };
    // the name of the program that made the image
    let idle = neutral && statement.source == FindingSource::ApplicationId;
    (!idle || !finding.is_empty()).then_some(finding)
}

/// A version and nothing else in the line of `.discinfo` that is for the product; not a date.
fn bare_version(statement: &ReleaseStatement) -> Option<Version> {
    let text = &statement.text;
    let part = |part: &str| matches!(part.len(), 1 | 2) && part.parse::<u8>().is_ok();
    let bare = statement.source.file() == Some(ReleaseFile::Discinfo)
        && !text.is_empty()
        && text.split('.').count() <= 3
        && text.split('.').all(part);
    bare.then(|| Version::new(text))
}

/// Finds the architecture words in a label. A word that the end of its field may have cut says
/// nothing, unless it could not be the beginning of another.
fn arches_in(
    text: &str,
    family: &FamilyRules,
    rules: &RecognitionRules,
    extent: LabelEnd,
) -> Vec<Arch> {
    let text = &text[..extent.end];
    let mut found = BTreeSet::new();
    let mut from = 0;
    while let Some(captures) = rules.arch_word.captures_at(text, from) {
        let Some(word) = captures.get(1) else { break };
        from = word.end();
        let own = family.arches.get(word.as_str()).copied();
        let rest = &text[word.start()..];
        let cut = extent.cut
            && arch_words()
                .iter()
                .any(|known| known.len() > rest.len() && known.starts_with(rest));
        if let Some(arch) = own.or_else(|| arch_of(word.as_str()).filter(|_| !cut)) {
            found.insert(arch);
        }
    }
    if found.is_empty() {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        found.extend(words.filter_map(|word| family.arches.get(word)));
    }
    found.into_iter().collect()
}

/// What the names of files say, one finding for each rule that any of them meets.
fn match_names(evidence: &Evidence, rules: &RecognitionRules, found: &mut ReleaseFindings) {
    let mut matching: BTreeMap<NameRule, Vec<(&str, PatternMatch)>> = BTreeMap::new();
    let mut codenames: BTreeMap<&str, &str> = BTreeMap::new();
    for path in &evidence.names {
        for (rule, matched) in rules.names.matching(path) {
            matching.entry(rule).or_default().push((path, matched));
        }
        if let Some((suite, _)) = path
            .strip_prefix("dists/")
            .and_then(|rest| rest.split_once('/'))
        {
            codenames.entry(suite).or_insert(path);
        }
    }
    for (rule, matches) in matching {
        let (path, _) = matches[0];
        let hint = ReleaseFinding::new(FindingSource::Name, path, Weight::Hint);
        match rule {
            NameRule::Package { family, own } => {
                found
                    .all
                    .push(package_finding(&rules.families[family], own, &matches));
            }
            NameRule::Family(family) => found.all.push(ReleaseFinding {
                family: Some(rules.families[family].name.clone()),
                version: common_version(&matches),
                ..hint
            }),
            NameRule::Arch(arch) => found.all.push(ReleaseFinding {
                arches: vec![arch],
                ..hint
            }),
            NameRule::Mark(index) => found.mark = Some(rules.marks[index].clone()),
            NameRule::ReleasePackage => {
                let unknown = matches.iter().map(|(path, _)| *path);
                found
                    .all
                    .extend(unknown.filter_map(|path| unknown_release(path, rules)));
            }
            NameRule::Other(index) if found.other.is_none() => {
                let other = &rules.others[index];
                let finding = ReleaseFinding::new(FindingSource::Name, path, Weight::Firm);
                found.all.push(finding.clone());
                found.other = Some(OtherFinding::new(other, finding));
            }
            NameRule::KnownReleasePackage | NameRule::Other(_) => {}
        }
    }
    found.packages = packages_finding(&evidence.names);
    for (suite, path) in codenames {
        found.all.extend(codename_hint(suite, path, rules));
    }
}

/// A directory of `dists/` that carries a codename which only one family has.
fn codename_hint(suite: &str, path: &str, rules: &RecognitionRules) -> Option<ReleaseFinding> {
    rules.families.iter().find_map(|family| {
        let (version, codename) = family.codenames.iter().find(|(_, name)| name == suite)?;
        Some(ReleaseFinding {
            family: Some(family.name.clone()),
            version: Some(version.clone()),
            codename: Some(codename.clone()),
            ..ReleaseFinding::new(FindingSource::Name, path, Weight::Hint)
        })
    })
}
