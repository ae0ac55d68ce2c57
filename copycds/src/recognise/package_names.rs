//! What the names of packages say: whose release package is on a medium, and for which machines its packages are.
//!
//! Paths on the medium come in, findings go out. A name is `NAME-VERSION-RELEASE.ARCH.rpm` (RPM) or
//! `NAME_VERSION_ARCH.deb` (Debian Policy §2.1), in any case, because ISO 9660 alone has capitals.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::arch_words::arch_of;
use super::finding::{ReleaseFinding, Version, Weight};
use super::pattern::PatternMatch;
use super::rules::{FamilyRules, NameRule, RecognitionRules};
use super::source::FindingSource;

/// What ends the name of a package.
const ENDINGS: [&str; 3] = ["rpm", "deb", "udeb"];

/// Returns whether a path is that of a package.
pub(super) fn is_package(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    ending.is_some_and(|ending| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// For which machines the packages of a medium are: the architecture of most of them first. A word that is no
/// architecture of ours counts where most packages have it.
pub(super) fn packages_finding(names: &[String]) -> Option<ReleaseFinding> {
    let mut words: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    for path in names.iter().filter(|path| is_package(path)) {
        if let Some(word) = package_arch(path).filter(|word| is_arch_word(word)) {
            words.entry(word).or_insert((0, path)).0 += 1;
        }
    }
    let mut words: Vec<_> = words.into_iter().collect();
    words.sort_by_key(|(_, (count, _))| Reverse(*count));
    let (word, (_, path)) = words.first()?;
    let mut arches = Vec::new();
    for arch in words.iter().filter_map(|(word, _)| arch_of(word)) {
        if !arches.contains(&arch) {
            arches.push(arch);
        }
    }
    Some(ReleaseFinding {
        arches,
        other_arch: arch_of(word).is_none().then(|| word.clone()),
        ..ReleaseFinding::new(FindingSource::Package, base_of(path), Weight::Hint)
    })
}

/// Whether a word is one that packages have for an architecture: ours, or one of ours with a level (`x86_64_v2`).
/// Others are the end of a name that was cut, or of machines that no release of ours is for.
fn is_arch_word(word: &str) -> bool {
    let is_level = |word: &str| {
        let (base, level) = word.rsplit_once('v').unwrap_or_default();
        let digits = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit());
        digits && arch_of(base.trim_end_matches('_')).is_some()
    };
    arch_of(word).is_some() || is_level(word)
}

fn base_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What the packages of one rule agree on. Several of one family may be on a medium (updates beside
/// the first build): only what they have in common counts.
pub(super) fn package_finding(
    family: &FamilyRules,
    own: bool,
    found: &[(&str, PatternMatch)],
) -> ReleaseFinding {
    let base = base_of(found[0].0);
    let words = || found.iter().filter_map(|(path, _)| package_arch(path));
    let arches: BTreeSet<_> = words().filter_map(|word| arch_of(&word)).collect();
    let weight = if own { Weight::Firm } else { Weight::Hint };
    ReleaseFinding {
        family: Some(family.name.clone()),
        version: common_version(found),
        arches: if arches.len() == 1 {
            arches.into_iter().collect()
        } else {
            Vec::new()
        },
        other_arch: words().find(|word| arch_of(word).is_none()),
        ..ReleaseFinding::new(FindingSource::Package, base, weight)
    }
}

/// A release package that no family has and that is not one of those that only add a repository: the medium of
/// another product.
pub(super) fn unknown_release(path: &str, rules: &RecognitionRules) -> Option<ReleaseFinding> {
    let base = base_of(path);
    let is_known = |rule: &NameRule| match rule {
        NameRule::Package { .. } | NameRule::KnownReleasePackage | NameRule::Other(_) => true,
        NameRule::ReleasePackage | NameRule::Family(_) | NameRule::Arch(_) | NameRule::Mark(_) => {
            false
        }
    };
    let known = rules
        .names
        .matching(path)
        .iter()
        .any(|(rule, _)| is_known(rule));
    (!known).then(|| ReleaseFinding::new(FindingSource::Package, base, Weight::Foreign))
}

/// What the versions in several names have in common; names without one do not count.
pub(super) fn common_version(found: &[(&str, PatternMatch)]) -> Option<Version> {
    let mut versions = found
        .iter()
        .filter_map(|(_, matched)| matched.version.clone());
    let first = versions.next()?;
    versions.try_fold(first, |common, version| common.common(&version))
}

/// `….x86_64.rpm`, `…_amd64.deb`; none for a package that fits every architecture.
fn package_arch(path: &str) -> Option<String> {
    let path = base_of(path).to_ascii_lowercase();
    let (stem, ending) = path.rsplit_once('.')?;
    let separator = if ending == "rpm" { '.' } else { '_' };
    let (_, word) = stem.rsplit_once(separator)?;
    (!matches!(word, "noarch" | "all" | "src" | "nosrc")).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_architecture_of_most_packages_is_the_first() {
        for (names, expected) in [
            (
                &["a-1-1.x86_64.rpm", "b-1-1.i686.rpm", "c-1-1.x86_64.rpm"][..],
                "a-1-1.x86_64.rpm x86_64,x86 -",
            ),
            (
                &["p/A-1-1.X86_64.RPM", "p/B-1-1.NOARCH.RPM"],
                "A-1-1.X86_64.RPM x86_64 -",
            ),
            (
                &["p/a_1_arm64.deb", "p/b_1_arm64.udeb", "p/c_1_amd64.deb"],
                "a_1_arm64.deb aarch64,x86_64 -",
            ),
            (
                &[
                    "a-1-1.x86_64_v2.rpm",
                    "b-1-1.x86_64_v2.rpm",
                    "c-1-1.i686.rpm",
                ],
                "a-1-1.x86_64_v2.rpm x86 x86_64_v2",
            ),
            (
                &[
                    "a-1-1.x86_64.rpm",
                    "b-1-1.x86_64.rpm",
                    "c-1-1.x86_64_v2.rpm",
                ],
                "a-1-1.x86_64.rpm x86_64 -",
            ),
            (&["a_1_amd64v3.deb"], "a_1_amd64v3.deb  amd64v3"),
            (
                &["a-1-1.noarch.rpm", "b_1_all.deb", "c-1-1.src.rpm"],
                "none",
            ),
            (
                &[
                    "A_1_1_X8.RPM",
                    "PACKAGE.RPM",
                    "a-1.0.rpm",
                    "a-1-1.x86_.rpm",
                    "a-1-1.athlon.rpm",
                ],
                "none",
            ),
        ] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let found = packages_finding(&names).map_or("none".to_owned(), |found| {
                let arches: Vec<_> = found.arches.iter().map(|arch| arch.name()).collect();
                let other = found.other_arch.as_deref().unwrap_or("-");
                format!("{} {} {other}", found.says, arches.join(","))
            });
            assert_eq!(found, expected, "{names:?}");
        }
    }
}
