//! From statements to claims: the rules read what the medium says.

use std::collections::{BTreeMap, BTreeSet};

use definitions::Arch;

use super::claim::{Claim, Disc, Version, Weight};
use super::evidence::Evidence;
use super::rules::{Family, NameRule, Pattern, Rules, Taken, arch_of, arch_words};
use super::sources::{Kind, Statement, statements};

/// Everything that a medium claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) claims: Vec<Claim>,
    /// Another system that it is, whether that is built from a family of ours, and what says so.
    pub(super) other: Option<(String, bool, Claim)>,
}

/// Reads a medium's evidence by the rules.
pub(super) fn hear(evidence: &Evidence, rules: &Rules) -> Heard {
    let mut heard = Heard::default();
    for statement in statements(evidence) {
        if heard.other.is_none() {
            heard.other = other_system(&statement, rules);
        }
        if statement.kind != Kind::Ids {
            heard.claims.push(claim(&statement, rules));
        }
    }
    hear_names(evidence, rules, &mut heard);
    heard.claims.retain(|claim| !claim.is_empty());
    heard
}

fn other_system(statement: &Statement, rules: &Rules) -> Option<(String, bool, Claim)> {
    let other = rules.others.iter().find(|other| {
        let matches = |patterns: &[Pattern]| {
            patterns
                .iter()
                .any(|pattern| pattern.take(&statement.text).is_some())
        };
        match statement.kind {
            Kind::Ids => matches(&other.ids),
            Kind::Field(_) => matches(&other.ids) || matches(&other.says),
            _ => matches(&other.says),
        }
    })?;
    let claim = Claim::new(&*statement.source, &statement.text, Weight::Firm);
    Some((other.name.clone(), other.derivative, claim))
}

fn claim(statement: &Statement, rules: &Rules) -> Claim {
    let read = rules.families.iter().find_map(|family| {
        let patterns = match statement.kind {
            Kind::DiskInfo => &family.disk_info,
            Kind::Release => &family.release,
            _ => &family.says,
        };
        let taken = patterns
            .iter()
            .find_map(|pattern| pattern.take(&statement.text))?;
        Some((family, taken))
    });
    match read {
        Some((family, taken)) => family_claim(statement, family, taken, rules),
        None => unread_claim(statement),
    }
}

fn family_claim(statement: &Statement, family: &Family, taken: Taken, rules: &Rules) -> Claim {
    let cut_at = match statement.kind {
        Kind::Field(width) if statement.text.len() >= width => statement.text.len(),
        _ => usize::MAX,
    };
    let arches = if statement.arches.is_empty() {
        arches_in(&statement.text, family, rules, cut_at)
    } else {
        statement.arches.clone()
    };
    let version = match taken.version {
        Some(version) if taken.version_end >= cut_at => version.without_last(),
        version => version,
    };
    let disc = taken.disc.map(|number| Disc { number, of: None });
    Claim {
        family: Some(family.name.clone()),
        version,
        arches,
        codename: taken.codename.or_else(|| statement.codename.clone()),
        variant: taken.variant.or_else(|| statement.variant.clone()),
        disc: statement.disc.or(disc),
        ..Claim::new(&*statement.source, &statement.text, Weight::Firm)
    }
}

/// What is left of a statement that no rule reads: what stands in fixed places, a bare version, or
/// that it is none of ours.
fn unread_claim(statement: &Statement) -> Claim {
    let foreign = matches!(
        statement.kind,
        Kind::DiskInfo | Kind::Release | Kind::Product
    );
    if foreign && !statement.text.is_empty() {
        return Claim::new(&*statement.source, &statement.text, Weight::Foreign);
    }
    let text = &statement.text;
    let part = |part: &str| matches!(part.len(), 1 | 2) && part.parse::<u8>().is_ok();
    let bare = statement.source.ends_with(".discinfo")
        && !text.is_empty()
        && text.split('.').count() <= 3
        && text.split('.').all(part);
    Claim {
        version: bare.then(|| Version::new(text)),
        arches: statement.arches.clone(),
        disc: statement.disc,
        ..Claim::new(&*statement.source, text, Weight::Firm)
    }
}

/// Finds the architecture words in a label. A word that the end of its field may have cut says
/// nothing, unless it could not be the beginning of another.
fn arches_in(text: &str, family: &Family, rules: &Rules, cut_at: usize) -> Vec<Arch> {
    let mut found = BTreeSet::new();
    let mut from = 0;
    while let Some(captures) = rules.arch_word.captures_at(text, from) {
        let Some(word) = captures.get(1) else { break };
        from = word.end();
        let own = family.arches.get(word.as_str()).copied();
        let rest = &text[word.start()..];
        let cut = text.len() >= cut_at
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

/// What the names of files say, one claim for each rule that any of them meets.
fn hear_names(evidence: &Evidence, rules: &Rules, heard: &mut Heard) {
    let mut met: BTreeMap<NameRule, Vec<(&str, Taken)>> = BTreeMap::new();
    let mut codenames: BTreeMap<&str, &str> = BTreeMap::new();
    for path in &evidence.names {
        for (rule, taken) in rules.names.matching(path) {
            met.entry(rule).or_default().push((path, taken));
        }
        if let Some((suite, _)) = path
            .strip_prefix("dists/")
            .and_then(|rest| rest.split_once('/'))
        {
            codenames.entry(suite).or_insert(path);
        }
    }
    for (rule, found) in met {
        let (path, _) = found[0];
        let hint = Claim::new("the name", path, Weight::Hint);
        match rule {
            NameRule::Package { family, own } => {
                heard
                    .claims
                    .push(package_claim(&rules.families[family], own, &found));
            }
            NameRule::Family(family) => heard.claims.push(Claim {
                family: Some(rules.families[family].name.clone()),
                version: common_version(&found),
                ..hint
            }),
            NameRule::Arch(arch) => heard.claims.push(Claim {
                arches: vec![arch],
                ..hint
            }),
            NameRule::Other(index) if heard.other.is_none() => {
                let other = &rules.others[index];
                let claim = Claim::new("the name", path, Weight::Firm);
                heard.other = Some((other.name.clone(), other.derivative, claim));
            }
            NameRule::Other(_) => {}
        }
    }
    for (suite, path) in codenames {
        heard.claims.extend(codename_hint(suite, path, rules));
    }
}

/// What the packages of one rule agree on. Several of one family may lie on a medium (updates beside
/// the first build): only what they have in common counts.
fn package_claim(family: &Family, own: bool, found: &[(&str, Taken)]) -> Claim {
    let base = found[0].0.rsplit('/').next().unwrap_or_default();
    let arches: BTreeSet<_> = found
        .iter()
        .filter_map(|(path, _)| package_arch(path))
        .collect();
    let weight = if own { Weight::Firm } else { Weight::Hint };
    Claim {
        family: Some(family.name.clone()),
        version: common_version(found),
        arches: if arches.len() == 1 {
            arches.into_iter().collect()
        } else {
            Vec::new()
        },
        ..Claim::new("the package", base, weight)
    }
}

/// What the versions in several names have in common; names without one do not count.
fn common_version(found: &[(&str, Taken)]) -> Option<Version> {
    let mut versions = found.iter().filter_map(|(_, taken)| taken.version.clone());
    let first = versions.next()?;
    versions.try_fold(first, |common, version| common.common(&version))
}

/// `….x86_64.rpm`, `…_amd64.deb`; none for a package that fits every architecture.
fn package_arch(path: &str) -> Option<Arch> {
    let (stem, suffix) = path.rsplit_once('.')?;
    let separator = if suffix == "deb" { '_' } else { '.' };
    arch_of(stem.rsplit(separator).next()?)
}

/// A directory of `dists/` that carries a codename which only one family has.
fn codename_hint(suite: &str, path: &str, rules: &Rules) -> Option<Claim> {
    rules.families.iter().find_map(|family| {
        let (version, codename) = family.codenames.iter().find(|(_, name)| name == suite)?;
        Some(Claim {
            family: Some(family.name.clone()),
            version: Some(version.clone()),
            codename: Some(codename.clone()),
            ..Claim::new("the name", path, Weight::Hint)
        })
    })
}
