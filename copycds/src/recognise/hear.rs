//! From statements to claims: the rules read what the medium says.

use std::collections::{BTreeMap, BTreeSet};

use definitions::Arch;

use super::claim::{Claim, Disc, Version, Weight};
use super::evidence::Evidence;
use super::rules::{Family, NameRule, Pattern, Rules, Taken, arch_of, arch_words};
use super::sources::{Kind, Statement, statements};
use super::words::{Extent, names_a_product};

/// Everything that a medium claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Every text that was read, whether it tells something or not.
    pub(super) claims: Vec<Claim>,
    /// What makes the release another one, by a file that only that one has: `ostree`.
    pub(super) mark: Option<String>,
    /// Another system that it is, whether that is built from a family of ours, and what says so.
    pub(super) other: Option<(String, bool, Claim)>,
}

/// Reads a medium's evidence by the rules.
pub(super) fn hear(evidence: &Evidence, rules: &Rules) -> Heard {
    let mut heard = Heard::default();
    for statement in statements(evidence) {
        if heard.other.is_none() {
            heard.other = other_system(&statement, rules);
            let said = heard.other.iter().filter(|_| statement.kind == Kind::Ids);
            heard.claims.extend(said.map(|(_, _, claim)| claim.clone()));
        }
        heard.claims.extend(claim(&statement, rules));
    }
    hear_names(evidence, rules, &mut heard);
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

/// What a statement claims; nothing for one that is of no account.
fn claim(statement: &Statement, rules: &Rules) -> Option<Claim> {
    if statement.kind == Kind::Ids {
        return None;
    }
    let extent = Extent::of(&statement.text, statement.kind.width());
    match read(statement, extent, rules) {
        Some((family, taken)) => Some(family_claim(statement, family, taken, extent, rules)),
        None => unread_claim(statement, rules),
    }
}

/// Finds the family one of whose patterns reads a statement from its first word to its last; or whose
/// product it is, and no more.
fn read<'r>(
    statement: &Statement,
    extent: Extent,
    rules: &'r Rules,
) -> Option<(&'r Family, Taken)> {
    let text = &statement.text;
    let by_pattern = rules.families.iter().find_map(|family| {
        let patterns = match statement.kind {
            Kind::DiskInfo => &family.disk_info,
            Kind::Release => &family.release,
            _ => &family.says,
        };
        let whole = |taken: &Taken| family.words.know(text, taken.end, extent);
        let taken = patterns
            .iter()
            .filter_map(|pattern| pattern.take(text))
            .find(whole)?;
        Some((family, taken))
    });
    let named =
        matches!(statement.kind, Kind::Product | Kind::Field(_)) && !is_neutral(text, rules);
    let by_product = || {
        let mut families = rules.families.iter().filter(|_| named);
        let family = families.find(|family| family.product.eq_ignore_ascii_case(text))?;
        Some((family, Taken::default()))
    };
    by_pattern.or_else(by_product)
}

/// Whether a text names no product, whatever stands in it.
fn is_neutral(text: &str, rules: &Rules) -> bool {
    let mut patterns = rules.neutral.iter();
    patterns.any(|pattern| pattern.take(text).is_some())
}

fn family_claim(
    statement: &Statement,
    family: &Family,
    taken: Taken,
    extent: Extent,
    rules: &Rules,
) -> Claim {
    let arches = if statement.arches.is_empty() {
        arches_in(&statement.text, family, rules, extent)
    } else {
        statement.arches.clone()
    };
    let version = match taken.version {
        Some(version) if extent.cut && taken.version_end >= extent.end => version.cut(),
        version => version,
    };
    let version = match &taken.mark {
        // what has no number is unfinished anyway
        Some(mark) => version.map(|version| {
            let marked = version.is_numbered().then(|| version.marked(mark));
            marked.unwrap_or(version)
        }),
        None => version,
    };
    let disc = taken.disc.map(|number| Disc { number, of: None });
    Claim {
        family: Some(family.name.clone()),
        version,
        arches,
        other_arch: statement.other_arch.clone(),
        codename: taken.codename.or_else(|| statement.codename.clone()),
        variant: taken.variant.or_else(|| statement.variant.clone()),
        disc: statement.disc.or(disc),
        ..Claim::new(&*statement.source, &statement.text, Weight::Firm)
    }
}

/// What is left of a statement that no rule reads: what stands in fixed places, a bare version, or
/// that it is none of ours.
fn unread_claim(statement: &Statement, rules: &Rules) -> Option<Claim> {
    let text = &statement.text;
    let neutral = is_neutral(text, rules);
    let bare = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let foreign = match statement.kind {
        Kind::Field(_) => names_a_product(text),
        _ => true,
    };
    let weight = if foreign && !neutral && !bare {
        Weight::Foreign
    } else {
        Weight::Firm
    };
    let claim = Claim {
        version: bare_version(statement),
        arches: statement.arches.clone(),
        other_arch: statement.other_arch.clone(),
        disc: statement.disc,
        ..Claim::new(&*statement.source, text, weight)
    };
    // the name of the program that made the image
    let idle = neutral && statement.source == "application id";
    (!idle || !claim.is_empty()).then_some(claim)
}

/// A version and nothing else in the line of `.discinfo` that is for the product; not a date.
fn bare_version(statement: &Statement) -> Option<Version> {
    let text = &statement.text;
    let part = |part: &str| matches!(part.len(), 1 | 2) && part.parse::<u8>().is_ok();
    let bare = statement.source.ends_with(".discinfo")
        && !text.is_empty()
        && text.split('.').count() <= 3
        && text.split('.').all(part);
    bare.then(|| Version::new(text))
}

/// Finds the architecture words in a label. A word that the end of its field may have cut says
/// nothing, unless it could not be the beginning of another.
fn arches_in(text: &str, family: &Family, rules: &Rules, extent: Extent) -> Vec<Arch> {
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
            NameRule::Mark(index) => heard.mark = Some(rules.marks[index].clone()),
            NameRule::Other(index) if heard.other.is_none() => {
                let other = &rules.others[index];
                let claim = Claim::new("the name", path, Weight::Firm);
                heard.claims.push(claim.clone());
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
    let words = || found.iter().filter_map(|(path, _)| package_arch(path));
    let arches: BTreeSet<_> = words().filter_map(arch_of).collect();
    let weight = if own { Weight::Firm } else { Weight::Hint };
    Claim {
        family: Some(family.name.clone()),
        version: common_version(found),
        arches: if arches.len() == 1 {
            arches.into_iter().collect()
        } else {
            Vec::new()
        },
        other_arch: words()
            .find(|word| arch_of(word).is_none())
            .map(str::to_owned),
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
fn package_arch(path: &str) -> Option<&str> {
    let (stem, suffix) = path.rsplit_once('.')?;
    let separator = if suffix == "deb" { '_' } else { '.' };
    let word = stem.rsplit(separator).next()?;
    (!matches!(word, "noarch" | "all" | "src" | "nosrc")).then_some(word)
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
